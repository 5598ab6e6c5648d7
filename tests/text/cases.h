/* tests/text/cases.h -- reads [{"text": "...", "ids": [1, 2]}, ...], and no other JSON. */
#ifndef TEST_TEXT_CASES_H
#define TEST_TEXT_CASES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct token_case {
    char *text;
    int32_t *ids;
    size_t count;
} token_case;

typedef struct token_cases {
    token_case *at;
    size_t count;
} token_cases;

static inline char *case_put(char *to, unsigned c)
{
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xC0 | c >> 6);
        *to++ = (char)(0x80 | (c & 0x3F));
    } else {
        if (c >= 0x10000)
            *to++ = (char)(0xF0 | c >> 18);
        *to++ = (char)(c >= 0x10000 ? 0x80 | (c >> 12 & 0x3F) : 0xE0 | c >> 12);
        *to++ = (char)(0x80 | (c >> 6 & 0x3F));
        *to++ = (char)(0x80 | (c & 0x3F));
    }
    return to;
}

static inline unsigned case_hex(const char *s)
{
    unsigned value = 0;
    for (int i = 0; i < 4; i++)
        value = value * 16 + (unsigned)(s[i] <= '9' ? s[i] - '0' : (s[i] | 0x20) - 'a' + 10);
    return value;
}

/* The string after the quotation mark at *at, owned by the caller; *at moves behind it. */
static inline char *case_string(const char **at)
{
    const char *s = *at + 1;
    char *text = malloc(strlen(s) + 1), *to = text;
    for (; *s && *s != '"'; s++) {
        if (*s != '\\') {
            *to++ = *s;
            continue;
        }
        s++;
        const char *short_forms = "n\nt\tr\rb\bf\f\"\"\\\\//", *form = strchr(short_forms, *s);
        if (*s != 'u') {
            *to++ = form[1];
            continue;
        }
        unsigned c = case_hex(s + 1);
        s += 4;
        if (c >= 0xD800 && c < 0xDC00 && s[1] == '\\' && s[2] == 'u') {
            c = 0x10000 + ((c - 0xD800) << 10) + (case_hex(s + 3) - 0xDC00);
            s += 6;
        }
        to = case_put(to, c);
    }
    *to = '\0';
    *at = s + 1;
    return text;
}

static inline bool cases_read(token_cases *cases, const char *path)
{
    *cases = (token_cases){0};
    FILE *f = fopen(path, "rb");
    if (!f)
        return false;
    size_t size = 0, room = 1 << 20;
    char *file = malloc(room + 1);
    size = fread(file, 1, room, f);
    file[size] = '\0';
    fclose(f);
    for (const char *s = file; (s = strstr(s, "\"text\":"));) {
        cases->at = realloc(cases->at, (cases->count + 1) * sizeof *cases->at);
        token_case *c = &cases->at[cases->count++];
        *c = (token_case){0};
        s = strchr(s + 7, '"');
        c->text = case_string(&s);
        s = strchr(strstr(s, "\"ids\":"), '[') + 1;
        while (s[strspn(s, " \n")] != ']') {
            char *end;
            c->ids = realloc(c->ids, (c->count + 1) * sizeof *c->ids);
            c->ids[c->count++] = (int32_t)strtol(s, &end, 10);
            s = end + strspn(end, ", \n");
        }
    }
    free(file);
    return size < room;
}

static inline void cases_free(token_cases *cases)
{
    for (size_t i = 0; i < cases->count; i++) {
        free(cases->at[i].text);
        free(cases->at[i].ids);
    }
    free(cases->at);
}

#endif
