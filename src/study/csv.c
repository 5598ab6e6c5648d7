/* study/csv.c -- one row at a time into one buffer. */
#include "study/csv.h"

#include "base/memory.h"

#include <string.h>
#include <strings.h>

void csv_init(csv *c, const char *text, size_t size, const char *what)
{
    memset(c, 0, sizeof *c);
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        text += 3, size -= 3;
    c->at = text;
    c->end = text + size;
    c->what = what;
    c->next_line = 1;
}

void csv_free(csv *c)
{
    cn_free(c->buffer);
    c->buffer = NULL;
}

/* Where the row ends (behind its line break), quotes considered; counts its lines. */
static const char *row_end(const csv *c, size_t *lines, bool *open)
{
    bool quoted = false;
    const char *p = c->at;
    *lines = 0;
    for (; p < c->end; p++) {
        if (*p == '"')
            quoted = !quoted;
        else if (*p == '\n') {
            ++*lines;
            if (!quoted) {
                p++;
                break;
            }
        }
    }
    *open = quoted;
    return p;
}

cn_status csv_row(csv *c, bool *more, cn_error *err)
{
    cn_status st = CN_OK;
    *more = false;
    c->fields = 0;
    while (c->at < c->end && (*c->at == '\n' || *c->at == '\r')) {
        c->next_line += *c->at == '\n';
        c->at++;
    }
    if (c->at == c->end)
        return CN_OK;
    size_t lines;
    bool open;
    const char *end = row_end(c, &lines, &open);
    c->line = c->next_line;
    CN_CHECK(!open, CN_EFORMAT, "%s: line %zu: a quote is never closed", c->what, c->line);
    CN_CHECK(!memchr(c->at, '\0', (size_t)(end - c->at)), CN_EFORMAT, "%s: line %zu: a zero byte", c->what,
             c->line);
    size_t need = (size_t)(end - c->at) + 1;
    if (need > c->room) {
        char *grown = cn_realloc(c->buffer, need);
        CN_CHECK(grown, CN_ENOMEM, "%s: out of memory for a row of %zu bytes", c->what, need);
        c->buffer = grown;
        c->room = need;
    }
    char *to = c->buffer;
    const char *p = c->at;
    while (end > p && (end[-1] == '\n' || end[-1] == '\r'))
        end--;
    for (;;) {
        CN_CHECK(c->fields < CSV_MAX_FIELDS, CN_ELIMIT, "%s: line %zu: more than %d columns", c->what,
                 c->line, CSV_MAX_FIELDS);
        c->field[c->fields++] = to;
        bool quoted = false;
        for (; p < end && (quoted || *p != ','); p++) {
            if (*p != '"')
                *to++ = *p;
            else if (quoted && p + 1 < end && p[1] == '"')
                *to++ = *p++;
            else
                quoted = !quoted;
        }
        *to++ = '\0';
        if (p == end)
            break;
        p++; /* the comma: another field follows, be it empty */
    }
    c->at = end;
    while (c->at < c->end && *c->at == '\r')
        c->at++;
    if (c->at < c->end)
        c->at++;
    c->next_line += lines;
    *more = true;
done:
    return st;
}

int csv_find(const csv *c, const char *name)
{
    for (size_t i = 0; i < c->fields; i++)
        if (strcasecmp(c->field[i], name) == 0)
            return (int)i;
    return -1;
}

const char *csv_field(const csv *c, int i)
{
    return i >= 0 && (size_t)i < c->fields ? c->field[i] : "";
}
