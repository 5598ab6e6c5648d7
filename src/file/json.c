/* file/json.c -- the strict, allocation-free JSON reader. */
#include "file/json.h"

#include <string.h>

static cn_status bad(const json *j, const char *reason, cn_error *err)
{
    return cn_fail(err, CN_EFORMAT, "%s: damaged JSON at byte %zu: %s", j->what, (size_t)(j->at - j->begin),
                   reason);
}

void json_init(json *j, const void *text, size_t size, const char *what)
{
    *j = (json){.begin = text, .at = text, .end = (const char *)text + size, .what = what};
}

static void skip_space(json *j)
{
    while (j->at < j->end && (*j->at == ' ' || *j->at == '\n' || *j->at == '\t' || *j->at == '\r'))
        j->at++;
}

json_kind json_peek(json *j)
{
    skip_space(j);
    switch (j->at < j->end ? *j->at : '\0') {
    case '{': return JSON_OBJECT;
    case '[': return JSON_ARRAY;
    case '"': return JSON_STRING;
    case 't': return JSON_TRUE;
    case 'f': return JSON_FALSE;
    case 'n': return JSON_NULL;
    case '-': return JSON_NUMBER;
    default: return j->at < j->end && *j->at >= '0' && *j->at <= '9' ? JSON_NUMBER : JSON_NOTHING;
    }
}

static bool accept(json *j, char c)
{
    skip_space(j);
    if (j->at == j->end || *j->at != c)
        return false;
    j->at++;
    return true;
}

static cn_status enter(json *j, char bracket, cn_error *err)
{
    if (j->depth == JSON_MAX_DEPTH)
        return cn_fail(err, CN_ELIMIT, "%s: JSON is nested deeper than %d", j->what, JSON_MAX_DEPTH);
    if (!accept(j, bracket))
        return bad(j, bracket == '{' ? "an object is expected" : "an array is expected", err);
    j->depth++;
    j->fresh = true;
    return CN_OK;
}

/* Steps to the next element, or over the closing bracket. */
static cn_status next(json *j, char bracket, bool *more, cn_error *err)
{
    *more = false;
    if (accept(j, bracket)) {
        j->depth--;
        j->fresh = false;
        return CN_OK;
    }
    if (!j->fresh && !accept(j, ','))
        return bad(j, "a comma or a closing bracket is expected", err);
    j->fresh = false;
    *more = true;
    return CN_OK;
}

cn_status json_object(json *j, cn_error *err)
{
    return enter(j, '{', err);
}

cn_status json_array(json *j, cn_error *err)
{
    return enter(j, '[', err);
}

cn_status json_item(json *j, bool *more, cn_error *err)
{
    return next(j, ']', more, err);
}

cn_status json_key(json *j, bool *more, char *key, size_t room, cn_error *err)
{
    cn_status st = next(j, '}', more, err);
    if (st != CN_OK || !*more)
        return st;
    st = json_string(j, key, room, err);
    if (st == CN_OK && !accept(j, ':'))
        st = bad(j, "a colon is expected", err);
    return st;
}

/* Length of the well-formed UTF-8 sequence at p, or 0. */
static size_t utf8_length(const unsigned char *p, size_t left)
{
    if (p[0] < 0x80)
        return 1;
    size_t n = p[0] >= 0xc2 && p[0] <= 0xdf   ? 2
               : (p[0] & 0xf0) == 0xe0        ? 3
               : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4
                                              : 0;
    if (n == 0 || n > left)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
        (p[0] == 0xf4 && p[1] > 0x8f))
        return 0; /* overlong, surrogate, beyond U+10FFFF */
    return n;
}

bool json_clean_text(const char *text, size_t size)
{
    for (size_t i = 0; i < size;) {
        size_t n = utf8_length((const unsigned char *)text + i, size - i);
        if (n == 0 || (unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            return false;
        i += n;
    }
    return true;
}

static size_t utf8_encode(uint32_t code, char out[4])
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 63));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 63));
        out[2] = (char)(0x80 | (code & 63));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 63));
    out[2] = (char)(0x80 | (code >> 6 & 63));
    out[3] = (char)(0x80 | (code & 63));
    return 4;
}

/* Four hex digits at j->at. */
static bool hex4(json *j, uint32_t *value)
{
    if (j->end - j->at < 4)
        return false;
    *value = 0;
    for (int i = 0; i < 4; i++) {
        char c = *j->at++;
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return false;
        *value = *value << 4 | (uint32_t)digit;
    }
    return true;
}

/* What follows a backslash, as UTF-8. 0 when malformed. */
static size_t escape(json *j, char out[4])
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (j->at == j->end)
        return 0;
    char c = *j->at++;
    const char *known = c ? strchr(from, c) : NULL;
    if (known) {
        out[0] = to[known - from];
        return 1;
    }
    uint32_t code, low;
    if (c != 'u' || !hex4(j, &code) || code == 0)
        return 0;
    if (code >= 0xd800 && code <= 0xdbff) {
        if (j->end - j->at < 2 || j->at[0] != '\\' || j->at[1] != 'u')
            return 0;
        j->at += 2;
        if (!hex4(j, &low) || low < 0xdc00 || low > 0xdfff)
            return 0;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    } else if (code >= 0xdc00 && code <= 0xdfff) {
        return 0;
    }
    return utf8_encode(code, out);
}

/* text = NULL: check only. */
static cn_status read_string(json *j, char *text, size_t room, cn_error *err)
{
    size_t fill = 0;
    if (!accept(j, '"'))
        return bad(j, "a string is expected", err);
    for (;;) {
        if (j->at == j->end)
            return bad(j, "a string does not end", err);
        char utf8[4];
        size_t n;
        if (*j->at == '"')
            break;
        if (*j->at == '\\') {
            j->at++;
            n = escape(j, utf8);
            if (n == 0)
                return bad(j, "a malformed escape in a string", err);
        } else {
            n = utf8_length((const unsigned char *)j->at, (size_t)(j->end - j->at));
            if (n == 0 || (unsigned char)*j->at < 0x20)
                return bad(j, "a string holds control characters or malformed UTF-8", err);
            memcpy(utf8, j->at, n);
            j->at += n;
        }
        if (text) {
            if (fill + n >= room)
                return cn_fail(err, CN_ELIMIT, "%s: JSON string at byte %zu is longer than %zu bytes",
                               j->what, (size_t)(j->at - j->begin), room - 1);
            memcpy(text + fill, utf8, n);
            fill += n;
        }
    }
    j->at++;
    j->fresh = false;
    if (text)
        text[fill] = '\0';
    return CN_OK;
}

cn_status json_string(json *j, char *text, size_t room, cn_error *err)
{
    return read_string(j, text, room, err);
}

static size_t digits(json *j)
{
    const char *start = j->at;
    while (j->at < j->end && *j->at >= '0' && *j->at <= '9')
        j->at++;
    return (size_t)(j->at - start);
}

/* -?(0|[1-9][0-9]*) */
static cn_status whole_part(json *j, cn_error *err)
{
    skip_space(j);
    if (j->at < j->end && *j->at == '-')
        j->at++;
    const char *start = j->at;
    size_t n = digits(j);
    if (n == 0)
        return bad(j, "a number is expected", err);
    if (n > 1 && *start == '0')
        return bad(j, "a number starts with a zero", err);
    j->fresh = false;
    return CN_OK;
}

cn_status json_integer(json *j, int64_t *value, cn_error *err)
{
    skip_space(j);
    const char *start = j->at;
    cn_status st = whole_part(j, err);
    if (st != CN_OK)
        return st;
    if (j->at < j->end && (*j->at == '.' || *j->at == 'e' || *j->at == 'E'))
        return bad(j, "a whole number is expected", err);
    bool negative = *start == '-';
    int64_t sum = 0;
    for (const char *c = start + negative; c < j->at; c++) {
        int digit = *c - '0';
        if (__builtin_mul_overflow(sum, (int64_t)10, &sum) ||
            __builtin_add_overflow(sum, (int64_t)(negative ? -digit : digit), &sum))
            return bad(j, "a number needs more than 64 bits", err);
    }
    *value = sum;
    return CN_OK;
}

static cn_status skip_number(json *j, cn_error *err)
{
    cn_status st = whole_part(j, err);
    if (st == CN_OK && j->at < j->end && *j->at == '.') {
        j->at++;
        if (digits(j) == 0)
            st = bad(j, "a number ends in a point", err);
    }
    if (st == CN_OK && j->at < j->end && (*j->at == 'e' || *j->at == 'E')) {
        j->at++;
        if (j->at < j->end && (*j->at == '+' || *j->at == '-'))
            j->at++;
        if (digits(j) == 0)
            st = bad(j, "a number has an empty exponent", err);
    }
    return st;
}

static cn_status skip_word(json *j, const char *word, cn_error *err)
{
    size_t n = strlen(word);
    if ((size_t)(j->end - j->at) < n || memcmp(j->at, word, n) != 0)
        return bad(j, "a value is expected", err);
    j->at += n;
    j->fresh = false;
    return CN_OK;
}

/* A value without members, or the opening bracket of one that has some. */
static cn_status skip_one(json *j, bool object[JSON_MAX_DEPTH + 1], cn_error *err)
{
    cn_status st;
    switch (json_peek(j)) {
    case JSON_OBJECT:
    case JSON_ARRAY: {
        bool is_object = json_peek(j) == JSON_OBJECT;
        st = enter(j, is_object ? '{' : '[', err);
        if (st == CN_OK)
            object[j->depth] = is_object;
        return st;
    }
    case JSON_STRING: return read_string(j, NULL, 0, err);
    case JSON_NUMBER: return skip_number(j, err);
    case JSON_TRUE: return skip_word(j, "true", err);
    case JSON_FALSE: return skip_word(j, "false", err);
    case JSON_NULL: return skip_word(j, "null", err);
    default: return bad(j, "a value is expected", err);
    }
}

cn_status json_skip(json *j, cn_error *err)
{
    bool object[JSON_MAX_DEPTH + 1];
    int floor = j->depth;
    cn_status st = skip_one(j, object, err);
    while (st == CN_OK && j->depth > floor) {
        bool more, is_object = object[j->depth];
        st = next(j, is_object ? '}' : ']', &more, err);
        if (st != CN_OK || !more)
            continue;
        if (is_object) {
            st = read_string(j, NULL, 0, err);
            if (st == CN_OK && !accept(j, ':'))
                st = bad(j, "a colon is expected", err);
        }
        if (st == CN_OK)
            st = skip_one(j, object, err);
    }
    return st;
}

cn_status json_end(json *j, cn_error *err)
{
    skip_space(j);
    return j->at == j->end ? CN_OK : bad(j, "text behind the end", err);
}
