/* cli/report.c -- one-line errors, names that cannot command the terminal, exit codes. */
#include "report.h"
#include "interrupt.h"
#include "progress.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Decodes one UTF-8 character; returns its bytes, 0 when it is malformed. */
static size_t decode(const unsigned char *s, uint32_t *out)
{
    if (s[0] < 0x80) {
        *out = s[0];
        return 1;
    }
    size_t length = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4)
        return 0;
    uint32_t c = s[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        c = c << 6 | (s[i] & 0x3f);
    }
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (c < smallest[length] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 0;
    *out = c;
    return length;
}

static bool harmless(uint32_t c)
{
    return c >= 0x20 && c != 0x7f && !(c >= 0x80 && c <= 0x9f) && !(c >= 0x202a && c <= 0x202e) &&
           !(c >= 0x2066 && c <= 0x2069);
}

/* Prints (or, with no stream, counts). */
static size_t put_safely(FILE *stream, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    size_t columns = 0;
    while (*s) {
        uint32_t c = 0;
        size_t length = decode(s, &c);
        if (length && harmless(c)) {
            if (stream)
                fwrite(s, 1, length, stream);
            columns++;
            s += length;
            continue;
        }
        for (size_t i = 0; i < (length ? length : 1); i++, s++, columns += 4)
            if (stream)
                fprintf(stream, "\\x%02x", *s);
    }
    return columns;
}

void print_safely(FILE *stream, const char *text)
{
    put_safely(stream, text);
}

size_t printed_width(const char *text)
{
    return put_safely(NULL, text);
}

static void say(const char *prefix, const char *command, const char *fmt, va_list args)
{
    char text[CN_ERROR_TEXT_SIZE * 2];
    vsnprintf(text, sizeof text, fmt, args);
    progress_clear();
    fputs(prefix, stderr);
    if (command) {
        print_safely(stderr, command);
        fputs(": ", stderr);
    }
    print_safely(stderr, text);
    fputc('\n', stderr);
}

int fail(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    say("clipneuron: ", NULL, fmt, args);
    va_end(args);
    return EXIT_FAILED;
}

int fail_error(const cn_error *err, cn_status status)
{
    if (status == CN_ECANCELED && interrupted())
        return 128 + interrupted();
    fail("%s", err && err->text[0] ? err->text : cn_status_name(status));
    return status == CN_ECANCELED ? EXIT_INTERRUPTED : EXIT_FAILED;
}

int fail_usage(const char *command, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    say("clipneuron: ", command, fmt, args);
    va_end(args);
    return EXIT_USAGE;
}

void note(bool quiet, const char *fmt, ...)
{
    if (quiet)
        return;
    va_list args;
    va_start(args, fmt);
    say("", NULL, fmt, args);
    va_end(args);
}

int finish_stdout(int code)
{
    errno = 0;
    if ((fflush(stdout) != 0 || ferror(stdout)) && code == EXIT_DONE)
        return fail("standard output: %s", errno ? strerror(errno) : "cannot write");
    return code;
}

void *need(void *memory)
{
    if (!memory) {
        fail("out of memory");
        exit(EXIT_FAILED);
    }
    return memory;
}

char *need_format(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *text = NULL;
    int length = vasprintf(&text, fmt, args);
    va_end(args);
    return need(length < 0 ? NULL : text);
}

bool has_ending(const char *name, const char *ending)
{
    size_t length = strlen(name), tail = strlen(ending);
    return length >= tail && strcasecmp(name + length - tail, ending) == 0;
}

bool wrong_ending(const char *name, const char *ending)
{
    const char *slash = strrchr(name, '/');
    return strrchr(slash ? slash + 1 : name, '.') && !has_ending(name, ending);
}

/* Edits (insert, delete, replace, swap of neighbours) that make b of a; words beyond 63 bytes are far. */
static size_t distance(const char *a, const char *b)
{
    enum { LONGEST = 64 };
    size_t la = strlen(a), lb = strlen(b);
    if (la >= LONGEST || lb >= LONGEST)
        return LONGEST;
    size_t rows[3][LONGEST] = {{0}};
    for (size_t j = 0; j <= lb; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= la; i++) {
        size_t *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);
            if (last[j] + 1 < best)
                best = last[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
    }
    return rows[la % 3][lb];
}

const char *nearest(const char *word, const char *const *names, size_t count)
{
    const char *best = NULL;
    size_t best_distance = strlen(word) / 3 + 2;
    for (size_t i = 0; i < count; i++) {
        size_t d = distance(word, names[i]);
        /* "--temp" means "--template": what was typed is how the name begins */
        if (strlen(word) >= 2 && strncmp(word, names[i], strlen(word)) == 0)
            d = 1;
        if (d < best_distance) {
            best_distance = d;
            best = names[i];
        }
    }
    return best;
}
