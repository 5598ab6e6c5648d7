/* text/entities.c -- HTML character references, as Python's html.unescape and as ftfy decode them. */
#include "text/entities.h"

#include "base/check.h"

#include <stdbool.h>
#include <string.h>

#define SHORT_NAME_MIN 2 /* of the names that are good without a semicolon: "lt" ... */
#define SHORT_NAME_MAX 6 /* ... "plusmn" */
#define FTFY_NAME_MAX 24

static const entity *find(const uint32_t *name, size_t length)
{
    char key[ENTITY_NAME_MAX + 1];
    if (!length || length > ENTITY_NAME_MAX)
        return NULL;
    for (size_t i = 0; i < length; i++) {
        if (name[i] > 0x7F)
            return NULL;
        key[i] = (char)name[i];
    }
    key[length] = '\0';
    size_t low = 0, high = entity_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(key, entity_table[middle].name);
        if (order == 0)
            return &entity_table[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

static bool is_digit(uint32_t c)
{
    return c >= '0' && c <= '9';
}

static int hex_value(uint32_t c)
{
    if (is_digit(c))
        return (int)(c - '0');
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? (int)(c - 'a') + 10 : -1;
}

static void put_entity(runes *out, const entity *e)
{
    for (int i = 0; i < 3 && e->value[i]; i++)
        runes_put(out, e->value[i]);
}

/* The standard's table for numbers 0x80 to 0x9F, which are meant as Windows-1252. */
static const uint16_t windows_1252[32] = {
    0x20AC, 0x81,   0x201A, 0x192,  0x201E, 0x2026, 0x2020, 0x2021, 0x2C6,  0x2030, 0x160,
    0x2039, 0x152,  0x8D,   0x17D,  0x8F,   0x90,   0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x2DC,  0x2122, 0x161,  0x203A, 0x153,  0x9D,   0x17E,  0x178,
};

/* What a number stands for; false when it stands for nothing. Numbers beyond Unicode have been cut
 * to anything above 0x10FFFF. */
static bool number_value(uint32_t number, uint32_t *c)
{
    *c = number;
    if (number == 0 || (number >= 0xD800 && number <= 0xDFFF) || number > 0x10FFFF)
        *c = RUNE_REPLACEMENT;
    else if (number >= 0x80 && number <= 0x9F)
        *c = windows_1252[number - 0x80];
    else if ((number < 0x20 && number != '\t' && number != '\n' && number != '\f' && number != '\r') ||
             number == 0x7F || (number >= 0xFDD0 && number <= 0xFDEF) || (number & 0xFFFE) == 0xFFFE)
        return false;
    return true;
}

/* Length of "#123" or "#x1f" at in[0..count), without the semicolon; 0 when there is none. */
static size_t number_length(const uint32_t *in, size_t count, uint32_t *number)
{
    size_t i = 1, digits;
    uint32_t value = 0;
    if (count < 2 || in[0] != '#')
        return 0;
    if (in[1] == 'x' || in[1] == 'X') {
        for (digits = ++i; i < count && hex_value(in[i]) >= 0; i++)
            value = value > 0x10FFFF ? value : value * 16 + (uint32_t)hex_value(in[i]);
    } else {
        for (digits = i; i < count && is_digit(in[i]); i++)
            value = value > 0x10FFFF ? value : value * 10 + (in[i] - '0');
    }
    *number = value;
    return i > digits ? i : 0;
}

/* Length of what may be a name at in[0..count): up to 32 characters and a semicolon. */
static size_t name_length(const uint32_t *in, size_t count)
{
    size_t i = 0;
    for (; i < count && i < ENTITY_NAME_MAX; i++) {
        uint32_t c = in[i];
        if (c == '\t' || c == '\n' || c == '\f' || c == ' ' || c == '<' || c == '&' || c == '#' || c == ';')
            break;
    }
    return i && i < count && in[i] == ';' ? i + 1 : i;
}

cn_status entities_unescape(runes *out, const uint32_t *in, size_t count, cn_error *err)
{
    cn_status st = CN_OK;
    CN_TRY(runes_reserve(out, count, err)); /* a reference is never shorter than its value */
    for (size_t i = 0; i < count;) {
        uint32_t number, c;
        if (in[i] != '&') {
            runes_put(out, in[i++]);
            continue;
        }
        const uint32_t *name = in + i + 1;
        size_t length = number_length(name, count - i - 1, &number);
        if (length) {
            i += 1 + length;
            if (i < count && in[i] == ';')
                i++;
            if (number_value(number, &c))
                runes_put(out, c);
            continue;
        }
        /* The whole name, else its longest beginning that is good without a semicolon. */
        length = name_length(name, count - i - 1);
        const entity *e = find(name, length);
        if (e && e->extra)
            e = NULL;
        if (!e) {
            size_t shorter = length ? length - 1 : 0;
            if (shorter > SHORT_NAME_MAX)
                shorter = SHORT_NAME_MAX;
            for (; !e && shorter >= SHORT_NAME_MIN; shorter--)
                if ((e = find(name, shorter)))
                    length = shorter;
        }
        if (!e) {
            runes_put(out, in[i++]);
            continue;
        }
        put_entity(out, e);
        i += 1 + length;
    }
done:
    return st;
}

static bool is_alnum(uint32_t c)
{
    return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z' && c < 0x80);
}

cn_status entities_unescape_ftfy(runes *out, const uint32_t *in, size_t count, cn_error *err)
{
    cn_status st = CN_OK;
    CN_TRY(runes_reserve(out, count, err));
    for (size_t i = 0; i < count;) {
        uint32_t number, c;
        if (in[i] != '&') {
            runes_put(out, in[i++]);
            continue;
        }
        const uint32_t *name = in + i + 1;
        size_t left = count - i - 1, hash = left && name[0] == '#', end = hash;
        while (end < left && end - hash < FTFY_NAME_MAX && is_alnum(name[end]))
            end++;
        if (end == hash || end >= left || name[end] != ';') {
            runes_put(out, in[i++]);
            continue;
        }
        const entity *e = hash ? NULL : find(name, end + 1);
        if (e) {
            put_entity(out, e);
            i += end + 2;
        } else if (hash && number_length(name, left, &number) == end && number != ';') {
            if (number_value(number, &c))
                runes_put(out, c);
            i += end + 2;
        } else {
            runes_put(out, in[i++]);
        }
    }
done:
    return st;
}
