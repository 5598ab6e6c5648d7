/* study/html.c -- escaping, UTF-8 repair, base64. */
#include "study/html.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void put(html *h, const char *bytes, size_t size)
{
    if (h->status == CN_OK && size)
        h->status = output_write(h->out, bytes, size, h->err);
}

void html_raw(html *h, const char *markup)
{
    put(h, markup, strlen(markup));
}

uint32_t utf8_next(const char *text, size_t *length)
{
    const unsigned char *t = (const unsigned char *)text;
    uint32_t point;
    int more;
    *length = 1;
    if (t[0] < 0x80)
        return t[0];
    if (t[0] >= 0xc2 && t[0] < 0xe0)
        point = t[0] & 0x1f, more = 1;
    else if (t[0] >= 0xe0 && t[0] < 0xf0)
        point = t[0] & 0x0f, more = 2;
    else if (t[0] >= 0xf0 && t[0] < 0xf5)
        point = t[0] & 0x07, more = 3;
    else
        return 0xfffd;
    for (int i = 1; i <= more; i++) {
        if ((t[i] & 0xc0) != 0x80) /* stops at the terminating zero, too */
            return 0xfffd;
        point = point << 6 | (t[i] & 0x3f);
    }
    if ((more == 2 && point < 0x800) || (more == 3 && (point < 0x10000 || point > 0x10ffff)) ||
        (point >= 0xd800 && point < 0xe000))
        return 0xfffd;
    *length = (size_t)more + 1;
    return point;
}

void html_text(html *h, const char *text)
{
    while (*text && h->status == CN_OK) {
        size_t length;
        uint32_t point = utf8_next(text, &length);
        if (point == '&')
            html_raw(h, "&amp;");
        else if (point == '<')
            html_raw(h, "&lt;");
        else if (point == '>')
            html_raw(h, "&gt;");
        else if (point == '"')
            html_raw(h, "&quot;");
        else if (point == '\'')
            html_raw(h, "&#39;");
        else if (point < 0x20 || (point >= 0x7f && point < 0xa0))
            html_raw(h, " ");
        /* Marks that turn the direction of text could make a name read as something else. */
        else if (point == 0xfffd || (point >= 0x202a && point <= 0x202e) ||
                 (point >= 0x2066 && point <= 0x2069) || (point & 0xfffe) == 0xfffe)
            html_raw(h, "\xef\xbf\xbd");
        else
            put(h, text, length);
        text += length;
    }
}

void html_attribute(html *h, const char *name, const char *value)
{
    html_raw(h, " ");
    html_raw(h, name);
    html_raw(h, "=\"");
    html_text(h, value);
    html_raw(h, "\"");
}

void html_format(html *h, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    html_text(h, text);
}

void html_count(html *h, int64_t n)
{
    char digits[32], text[48];
    int length = snprintf(digits, sizeof digits, "%" PRId64, n);
    int at = 0;
    for (int i = 0; i < length; i++) {
        text[at++] = digits[i];
        if (digits[i] != '-' && i + 1 < length && (length - 1 - i) % 3 == 0)
            text[at++] = ',';
    }
    text[at] = '\0';
    html_raw(h, text);
}

void html_data(html *h, const char *type, const void *bytes, size_t size)
{
    html_raw(h, "data:");
    html_raw(h, type);
    html_raw(h, ";base64,");
    html_base64(h, bytes, size);
}

void html_base64(html *h, const void *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *b = bytes;
    char text[1024];
    size_t at = 0;
    for (size_t i = 0; i < size; i += 3) {
        uint32_t three = (uint32_t)b[i] << 16 | (i + 1 < size ? (uint32_t)b[i + 1] << 8 : 0) |
                         (i + 2 < size ? b[i + 2] : 0);
        text[at++] = digits[three >> 18];
        text[at++] = digits[three >> 12 & 63];
        text[at++] = i + 1 < size ? digits[three >> 6 & 63] : '=';
        text[at++] = i + 2 < size ? digits[three & 63] : '=';
        if (at == sizeof text) {
            put(h, text, at);
            at = 0;
        }
    }
    put(h, text, at);
}

void utf8_clean(const char *text, char *out, size_t room)
{
    size_t at = 0;
    while (*text && at + 5 < room) {
        size_t length;
        const uint32_t point = utf8_next(text, &length);
        if (point == 0xfffd || (point >= 0x202a && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069))
            at += (size_t)snprintf(out + at, room - at, "\xef\xbf\xbd");
        else if (point < 0x20 || (point >= 0x7f && point < 0xa0))
            out[at++] = ' ';
        else {
            memcpy(out + at, text, length);
            at += length;
        }
        text += length;
    }
    out[at] = '\0';
}
