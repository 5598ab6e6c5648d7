/* cli/json.c -- a small JSON writer. */
#include "json.h"

#include <math.h>
#include <string.h>

/* Bytes of the UTF-8 character at s, 0 when malformed. */
static size_t utf8_length(const unsigned char *s)
{
    size_t length = s[0] < 0x80   ? 1
                    : s[0] < 0xc2 ? 0
                    : s[0] < 0xe0 ? 2
                    : s[0] < 0xf0 ? 3
                    : s[0] < 0xf5 ? 4
                                  : 0;
    for (size_t i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
        (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return length;
}

void json_string(FILE *out, const char *text)
{
    fputc('"', out);
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        size_t length = utf8_length(s);
        if (length == 0) {
            fputs("\\ufffd", out);
            s++;
            continue;
        }
        if (*s == '"' || *s == '\\')
            fprintf(out, "\\%c", *s);
        else if (*s == '\n')
            fputs("\\n", out);
        else if (*s == '\t')
            fputs("\\t", out);
        else if (*s < 0x20 || *s == 0x7f)
            fprintf(out, "\\u%04x", *s);
        else
            fwrite(s, 1, length, out);
        s += length;
    }
    fputc('"', out);
}

void json_begin(struct json *j, FILE *out)
{
    memset(j, 0, sizeof *j);
    j->out = out;
}

static void lead(struct json *j, const char *key)
{
    bool flat = j->flat && j->depth >= j->flat;
    if (j->comma)
        fputs(flat ? ", " : ",", j->out);
    if (j->depth && !flat)
        fprintf(j->out, "\n%*s", 2 * j->depth, "");
    if (key) {
        json_string(j->out, key);
        fputs(": ", j->out);
    }
    j->comma = true;
}

void json_open(struct json *j, const char *key, char bracket)
{
    lead(j, key);
    fputc(bracket, j->out);
    j->depth++;
    j->comma = false;
}

void json_close(struct json *j, char bracket)
{
    bool flat = j->flat && j->depth >= j->flat;
    j->depth--;
    if (j->comma && !flat)
        fprintf(j->out, "\n%*s", 2 * j->depth, "");
    fputc(bracket, j->out);
    j->comma = true;
    if (j->depth < j->flat)
        j->flat = 0;
}

void json_text(struct json *j, const char *key, const char *text)
{
    lead(j, key);
    if (text)
        json_string(j->out, text);
    else
        fputs("null", j->out);
}

void json_int(struct json *j, const char *key, int64_t value)
{
    lead(j, key);
    fprintf(j->out, "%lld", (long long)value);
}

void json_real(struct json *j, const char *key, double value)
{
    lead(j, key);
    if (isfinite(value))
        fprintf(j->out, "%.9g", value);
    else
        fputs("null", j->out);
}

void json_bool(struct json *j, const char *key, bool value)
{
    lead(j, key);
    fputs(value ? "true" : "false", j->out);
}

void json_end(struct json *j)
{
    fputc('\n', j->out);
}
