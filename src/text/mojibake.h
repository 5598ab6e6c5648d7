/* text/mojibake.h -- the tables of mojibake.c: code pages and character classes. */
#ifndef TEXT_MOJIBAKE_H
#define TEXT_MOJIBAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MOJIBAKE_COMMON = 1 << 0, /* in many contexts */
    MOJIBAKE_C1 = 1 << 1,     /* control characters U+0080..9F */
    MOJIBAKE_BAD = 1 << 2,    /* nearly always mojibake */
    MOJIBAKE_LAW = 1 << 3,
    MOJIBAKE_CURRENCY = 1 << 4,
    MOJIBAKE_START = 1 << 5, /* punctuation before a word */
    MOJIBAKE_END = 1 << 6,   /* and after it */
    MOJIBAKE_NUMERIC = 1 << 7,
    MOJIBAKE_KAOMOJI = 1 << 8, /* parts of faces */
    MOJIBAKE_UPPER_ACCENTED = 1 << 9,
    MOJIBAKE_LOWER_ACCENTED = 1 << 10,
    MOJIBAKE_UPPER_COMMON = 1 << 11,
    MOJIBAKE_LOWER_COMMON = 1 << 12,
    MOJIBAKE_BOX = 1 << 13,
    MOJIBAKE_FIRST_OF_2 = 1 << 14, /* a first byte of UTF-8 read in some encoding */
    MOJIBAKE_FIRST_OF_3 = 1 << 15,
    MOJIBAKE_FIRST_OF_4 = 1 << 16,
    MOJIBAKE_REST_STRICT = 1 << 17, /* a later byte of UTF-8 that is rarely meant as itself */
    MOJIBAKE_REST_LOOSE = 1 << 18,  /* ... that may be */
};

typedef struct mojibake_class {
    uint32_t c, mask;
} mojibake_class;

/* Sorted by c; characters beyond ASCII. */
extern const mojibake_class mojibake_classes[];
extern const size_t mojibake_class_count;

#define MOJIBAKE_PAGES 10

typedef struct mojibake_page {
    int sloppy;         /* byte 1A stands for U+FFFD */
    uint16_t high[128]; /* what bytes 80..FF mean */
} mojibake_page;

extern const mojibake_page mojibake_pages[MOJIBAKE_PAGES];
#define MOJIBAKE_WINDOWS_1252 1
#define MOJIBAKE_MACROMAN 8

/* The union of the classes of a character. */
uint32_t mojibake_mask(uint32_t c);

/* Whether text has a sequence that is more likely mojibake than meant (ftfy's is_bad). */
bool mojibake_is_bad(const uint32_t *at, size_t count);

#endif
