/* cli/termpicture.c -- graphics protocols and half blocks. */
#include "termpicture.h"
#include "report.h"

#include <clipneuron/image.h>
#include <stdlib.h>
#include <string.h>

static bool env_is(const char *name, const char *value)
{
    const char *text = getenv(name);
    return text && strcmp(text, value) == 0;
}

static bool env_set(const char *name)
{
    const char *text = getenv(name);
    return text && *text;
}

term_picture term_picture_kind(term_picture asked)
{
    const char *term = getenv("TERM");
    if (asked != TERM_AUTO)
        return asked;
    if (!term || strcmp(term, "dumb") == 0)
        return TERM_NONE;
    if (env_set("TMUX") || env_set("STY"))
        return TERM_BLOCKS;
    if (env_set("KITTY_WINDOW_ID") || strcmp(term, "xterm-kitty") == 0 || env_is("TERM_PROGRAM", "ghostty"))
        return TERM_KITTY;
    return env_is("TERM_PROGRAM", "iTerm.app") || env_is("TERM_PROGRAM", "WezTerm") ? TERM_ITERM : TERM_BLOCKS;
}

/* Owned by the caller; *length without the zero. */
static char *base64(const void *bytes, size_t size, size_t *length)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *b = bytes;
    char *text = need(malloc((size + 2) / 3 * 4 + 1));
    size_t at = 0;
    for (size_t i = 0; i < size; i += 3) {
        const unsigned three = (unsigned)b[i] << 16 | (i + 1 < size ? (unsigned)b[i + 1] << 8 : 0) | (i + 2 < size ? b[i + 2] : 0);
        text[at++] = digits[three >> 18];
        text[at++] = digits[three >> 12 & 63];
        text[at++] = i + 1 < size ? digits[three >> 6 & 63] : '=';
        text[at++] = i + 2 < size ? digits[three & 63] : '=';
    }
    text[at] = '\0';
    *length = at;
    return text;
}

/* kitty takes PNG in pieces of 4096 characters; a=T shows at once, q=2 asks for no answer, r is the height in cells. */
static void kitty(FILE *out, const void *png, size_t size, int columns, int rows)
{
    size_t length, at = 0;
    char *text = base64(png, size, &length);
    while (at < length) {
        const size_t piece = length - at < 4096 ? length - at : 4096;
        if (at == 0)
            fprintf(out, "\033_Ga=T,f=100,q=2,c=%d,r=%d,m=%d;", columns, rows, at + piece < length);
        else
            fprintf(out, "\033_Gm=%d;", at + piece < length);
        fwrite(text + at, 1, piece, out);
        fputs("\033\\", out);
        at += piece;
    }
    fputc('\n', out);
    free(text);
}

static void iterm(FILE *out, const void *bytes, size_t size, int columns, int rows)
{
    size_t length;
    char *text = base64(bytes, size, &length);
    fprintf(out, "\033]1337;File=inline=1;size=%zu;width=%d;height=%d;preserveAspectRatio=1:%s\a\n", size, columns, rows, text);
    free(text);
}

/* The upper half of a cell has the letter's colour, the lower one the background's. */
static void blocks(FILE *out, const uint8_t *rgb, int width, int height)
{
    for (int y = 0; y < height; y += 2) {
        for (int x = 0; x < width; x++) {
            const uint8_t *up = rgb + 3 * (y * width + x), *down = y + 1 < height ? up + 3 * width : up;
            fprintf(out, "\033[38;2;%d;%d;%d;48;2;%d;%d;%dm\xe2\x96\x80", up[0], up[1], up[2], down[0], down[1], down[2]);
        }
        fputs("\033[0m\n", out);
    }
}

cn_status term_picture_draw(FILE *out, term_picture kind, const void *bytes, size_t size, const char *name, int columns, int rows,
                            cn_error *err)
{
    cn_image *image = NULL;
    uint8_t *rgb = NULL;
    void *png = NULL;
    size_t png_size = 0;
    if (columns < 4 || rows < 2 || kind == TERM_NONE)
        return CN_OK;
    cn_status st = cn_image_decode(&image, bytes, size, name, NULL, err); /* whatever is shown was a picture */
    if (st != CN_OK)
        return st;
    /* A cell is about twice as high as wide. */
    int width = columns, height = 2 * rows;
    if ((double)image->width / image->height > (double)width / height)
        height = (int)((double)width * image->height / image->width + 0.5);
    else
        width = (int)((double)height * image->width / image->height + 0.5);
    height = height < 2 ? 2 : height;
    width = width < 1 ? 1 : width;
    if (kind == TERM_BLOCKS) {
        rgb = need(malloc(3 * (size_t)width * (size_t)height));
        st = cn_image_resize(image, width, height, rgb, err);
        if (st == CN_OK)
            blocks(out, rgb, width, height);
    } else {
        st = cn_image_encode(image->rgb, image->width, image->height, CN_IMAGE_PNG, 0, &png, &png_size, err);
        if (st == CN_OK && kind == TERM_KITTY)
            kitty(out, png, png_size, width, (height + 1) / 2);
        else if (st == CN_OK)
            iterm(out, png, png_size, width, (height + 1) / 2);
    }
    free(rgb);
    cn_bytes_free(png);
    cn_image_free(image);
    return st;
}
