/* study/braces.c -- the first brace is expanded, and what comes of it expanded again. */
#include "study/braces.h"

#include "base/memory.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

cn_status name_list_add(name_list *list, char *name, cn_error *err)
{
    cn_status st = CN_OK;
    CN_CHECK(name, CN_ENOMEM, "out of memory for %zu names", list->count);
    CN_CHECK(list->count < BRACES_MAX, CN_ELIMIT, "more than %zu names", BRACES_MAX);
    if (list->count == list->room) {
        const size_t room = list->room ? 2 * list->room : 64;
        char **grown = cn_reallocarray(list->items, room, sizeof *grown);
        CN_CHECK(grown, CN_ENOMEM, "out of memory for %zu names", room);
        list->items = grown;
        list->room = room;
    }
    list->items[list->count++] = name, name = NULL;
done:
    cn_free(name);
    return st;
}

void name_list_free(name_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        cn_free(list->items[i]);
    cn_free(list->items);
    memset(list, 0, sizeof *list);
}

/* "NUMBER..NUMBER", all of it; *width: the digits that every number has at least. */
static bool is_range(const char *text, size_t length, long long *from, long long *to, int *width)
{
    char copy[64];
    size_t first = 0;
    int used = 0;
    if (length >= sizeof copy)
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    while (isdigit((unsigned char)copy[first]))
        first++;
    if (first == 0 || first > 17 || strncmp(copy + first, "..", 2) != 0 || !isdigit((unsigned char)copy[first + 2]))
        return false;
    const size_t second = strspn(copy + first + 2, "0123456789");
    if (second > 17 || sscanf(copy, "%lld..%lld%n", from, to, &used) != 2 || (size_t)used != length)
        return false;
    const bool padded = (copy[0] == '0' && first > 1) || (copy[first + 2] == '0' && second > 1);
    *width = padded ? (int)(first > second ? first : second) : 1;
    return true;
}

/* The brace that closes the one at `open`; NULL: none. *comma: there is one between them, in no other braces. */
static const char *closing(const char *open, bool *comma)
{
    int depth = 0;
    *comma = false;
    for (const char *p = open; *p; p++) {
        depth += *p == '{';
        *comma = *comma || (*p == ',' && depth == 1);
        if (*p == '}' && --depth == 0)
            return p;
    }
    return NULL;
}

static cn_status expand(name_list *list, const char *pattern, size_t from, int depth, cn_error *err);

/* pattern with what is between open and close replaced. */
static cn_status replace(name_list *list, const char *pattern, const char *open, const char *close, const char *middle, size_t length, int depth,
                         cn_error *err)
{
    const size_t before = (size_t)(open - pattern), after = strlen(close + 1);
    char *name = cn_malloc(before + length + after + 1);
    if (!name)
        return cn_fail(err, CN_ENOMEM, "out of memory for the name %s", pattern);
    memcpy(name, pattern, before);
    memcpy(name + before, middle, length);
    memcpy(name + before + length, close + 1, after + 1);
    const cn_status st = expand(list, name, before, depth + 1, err);
    cn_free(name);
    return st;
}

static cn_status expand(name_list *list, const char *pattern, size_t from, int depth, cn_error *err)
{
    cn_status st = CN_OK;
    long long first, last;
    int width;
    bool comma;
    CN_CHECK(depth < 64, CN_ELIMIT, "%.200s: too many braces", pattern);
    for (const char *open = strchr(pattern + from, '{'); open; open = strchr(open + 1, '{')) {
        const char *close = closing(open, &comma);
        if (!close)
            continue;
        if (is_range(open + 1, (size_t)(close - open - 1), &first, &last, &width)) {
            const long long step = first <= last ? 1 : -1;
            CN_CHECK((size_t)llabs(last - first) < BRACES_MAX, CN_ELIMIT, "%.200s: more than %zu names", pattern, BRACES_MAX);
            for (long long i = first;; i += step) {
                char number[32];
                const int n = snprintf(number, sizeof number, "%0*lld", width, i);
                CN_TRY(replace(list, pattern, open, close, number, (size_t)n, depth, err));
                if (i == last)
                    goto done;
            }
        }
        if (comma) {
            int inside = 0;
            const char *start = open + 1;
            for (const char *p = start; p <= close; p++) {
                inside += *p == '{';
                if (p == close || (*p == ',' && inside == 0)) {
                    CN_TRY(replace(list, pattern, open, close, start, (size_t)(p - start), depth, err));
                    start = p + 1;
                }
                inside -= *p == '}';
            }
            goto done;
        }
    }
    CN_TRY(name_list_add(list, cn_strdup(pattern), err));
done:
    return st;
}

cn_status braces_expand(name_list *list, const char *pattern, cn_error *err)
{
    return expand(list, pattern, 0, 0, err);
}
