/* image/png.c -- PNG by libspng, all colour types and depths, converted as Pillow's convert("RGB") does:
 * 16-bit colour keeps its high byte, 16-bit grey is clipped at 255 (Pillow's mode I), alpha and tRNS are dropped
 * or blended. Palette indices beyond the palette are the grey of their number, as in Pillow. */
#include "image/picture.h"

#include "base/check.h"
#include "base/memory.h"

#include <string.h>

#include <spng.h>

#define MAX_CHUNK ((size_t)64 << 20) /* bytes; of one ancillary chunk, and of all that are kept */

typedef struct png_job {
    spng_ctx *ctx;
    struct spng_ihdr header;
    struct spng_plte palette;
    struct spng_trns trns;
    bool has_trns;
    bool blend;
    uint8_t background[3];
    uint8_t colours[256]
                   [3]; /* of indices or of grey values under 16 bit, blended already where that is asked */
    uint8_t *rows;
    cn_image *image;
} png_job;

/* libspng and zlib report some failed allocations as damaged data, and their allocators carry no user pointer:
 * so the failure is noted here. */
static _Thread_local bool short_of_memory;

static void *noted(void *p)
{
    short_of_memory |= !p;
    return p;
}

static void *noted_malloc(size_t size)
{
    return noted(cn_malloc(size));
}

static void *noted_realloc(void *old, size_t size)
{
    return noted(cn_realloc(old, size));
}

static void *noted_calloc(size_t count, size_t size)
{
    return noted(cn_calloc(count, size));
}

static cn_status png_status(int code)
{
    switch (code) {
    case SPNG_EMEM: return CN_ENOMEM;
    case SPNG_EUSER_WIDTH:
    case SPNG_EUSER_HEIGHT:
    case SPNG_ECHUNK_LIMITS: return CN_ELIMIT;
    default: return CN_EFORMAT;
    }
}

static const char *png_reason(int code)
{
    switch (code) {
    case SPNG_IO_EOF: return "truncated PNG";
    case SPNG_ECHUNK_CRC: return "damaged PNG: wrong checksum of a chunk";
    case SPNG_EZLIB:
    case SPNG_EIDAT_STREAM: return "damaged PNG: bad compressed data";
    case SPNG_EIDAT_TOO_SHORT: return "truncated PNG: too few pixels";
    case SPNG_ENOPLTE: return "damaged PNG: no palette";
    default: return NULL;
    }
}

static cn_status png_fail(const picture_source *src, int code, cn_error *err)
{
    if (short_of_memory)
        return cn_fail(err, CN_ENOMEM, "%s: out of memory in the PNG decoder", src->name);
    if (png_reason(code))
        return cn_fail(err, png_status(code), "%s: %s", src->name, png_reason(code));
    return cn_fail(err, png_status(code), "%s: PNG: %s", src->name, spng_strerror(code));
}

static unsigned be16(const uint8_t *p)
{
    return (unsigned)p[0] << 8 | p[1];
}

static void put(const png_job *job, uint8_t *to, uint8_t r, uint8_t g, uint8_t b, unsigned alpha)
{
    to[0] = job->blend ? blend(r, job->background[0], alpha) : r;
    to[1] = job->blend ? blend(g, job->background[1], alpha) : g;
    to[2] = job->blend ? blend(b, job->background[2], alpha) : b;
}

/* Fills `colours` for indices, and for grey of 1 to 8 bits. */
static void make_colours(png_job *job)
{
    const bool indexed = job->header.color_type == SPNG_COLOR_TYPE_INDEXED;
    const unsigned top = (1u << (job->header.bit_depth & 15)) - 1; /* largest sample; unused at 16 bits */
    for (unsigned i = 0; i < 256; i++) {
        uint8_t rgb[3] = {(uint8_t)i, (uint8_t)i, (uint8_t)i};
        unsigned alpha = 255;
        if (indexed && i < job->palette.n_entries) {
            rgb[0] = job->palette.entries[i].red;
            rgb[1] = job->palette.entries[i].green;
            rgb[2] = job->palette.entries[i].blue;
        }
        if (!indexed && top)
            memset(rgb, (int)(i <= top ? i * 255 / top : 255), 3);
        if (job->has_trns && indexed && i < job->trns.n_type3_entries)
            alpha = job->trns.type3_alpha[i];
        if (job->has_trns && !indexed && i == job->trns.gray)
            alpha = 0;
        put(job, job->colours[i], rgb[0], rgb[1], rgb[2], alpha);
    }
}

/* One row of 16-bit grey or of colour. With tRNS one colour is transparent, compared in full depth.
 * stored: the row of what the picture's mode keeps, or NULL. */
static void wide_row(const png_job *job, uint8_t *to, void *stored, const uint8_t *from)
{
    uint8_t *kept_alpha = job->image->mode == CN_IMAGE_MODE_ALPHA ? stored : NULL;
    uint16_t *kept_grey = job->image->mode == CN_IMAGE_MODE_GREY16 ? stored : NULL;
    const bool wide = job->header.bit_depth == 16;
    const int bytes = wide ? 2 : 1;
    const struct spng_trns *t = &job->trns;
    for (uint32_t x = 0; x < job->header.width; x++, to += 3) {
        unsigned alpha = 255;
        switch (job->header.color_type) {
        case SPNG_COLOR_TYPE_GRAYSCALE: {
            unsigned v = be16(from);
            uint8_t grey = (uint8_t)(v > 255 ? 255 : v);
            if (job->has_trns && v == t->gray)
                alpha = 0;
            put(job, to, grey, grey, grey, alpha);
            if (kept_grey)
                kept_grey[x] = (uint16_t)v;
            from += 2;
            break;
        }
        case SPNG_COLOR_TYPE_GRAYSCALE_ALPHA:
            put(job, to, from[0], from[0], from[0], from[bytes]);
            if (kept_alpha)
                kept_alpha[x] = from[bytes];
            from += 2 * bytes;
            break;
        case SPNG_COLOR_TYPE_TRUECOLOR_ALPHA:
            put(job, to, from[0], from[bytes], from[2 * bytes], from[3 * bytes]);
            if (kept_alpha)
                kept_alpha[x] = from[3 * bytes];
            from += 4 * bytes;
            break;
        default: /* true colour */
            if (job->has_trns &&
                (wide ? be16(from) == t->red && be16(from + 2) == t->green && be16(from + 4) == t->blue
                      : from[0] == t->red && from[1] == t->green && from[2] == t->blue))
                alpha = 0;
            put(job, to, from[0], from[bytes], from[2 * bytes], alpha);
            from += 3 * bytes;
        }
    }
}

/* One row of indices, or of grey of up to 8 bits, packed from the high bits of each byte. */
static void packed_row(const png_job *job, uint8_t *to, const uint8_t *from)
{
    const unsigned depth = job->header.bit_depth, mask = (1u << depth) - 1;
    for (uint32_t x = 0; x < job->header.width; x++, to += 3) {
        size_t bit = (size_t)x * depth;
        memcpy(to, job->colours[from[bit / 8] >> (8 - depth - bit % 8) & mask], 3);
    }
}

static void convert_row(const png_job *job, uint32_t y, const uint8_t *from)
{
    const int type = job->header.color_type, depth = job->header.bit_depth;
    const size_t width = job->header.width;
    uint8_t *to = job->image->rgb + y * width * 3;
    void *stored = job->image->stored
                       ? (uint8_t *)job->image->stored + y * width * stored_bytes(job->image->mode)
                       : NULL;
    if (depth <= 8 && (type == SPNG_COLOR_TYPE_INDEXED || type == SPNG_COLOR_TYPE_GRAYSCALE))
        packed_row(job, to, from);
    else if (type == SPNG_COLOR_TYPE_TRUECOLOR && depth == 8 && !(job->blend && job->has_trns))
        memcpy(to, from, width * 3);
    else
        wide_row(job, to, stored, from);
}

/* Pillow's mode of the file, as far as the resize cares. */
static cn_image_mode mode_of(const struct spng_ihdr *header)
{
    switch (header->color_type) {
    case SPNG_COLOR_TYPE_INDEXED: return CN_IMAGE_MODE_NEAREST;
    case SPNG_COLOR_TYPE_GRAYSCALE:
        return header->bit_depth == 1    ? CN_IMAGE_MODE_NEAREST
               : header->bit_depth == 16 ? CN_IMAGE_MODE_GREY16
                                         : CN_IMAGE_MODE_RGB;
    case SPNG_COLOR_TYPE_GRAYSCALE_ALPHA:
    case SPNG_COLOR_TYPE_TRUECOLOR_ALPHA: return CN_IMAGE_MODE_ALPHA;
    default: return CN_IMAGE_MODE_RGB;
    }
}

/* With the last pixel the checksum of its chunk is still to come: damage there counts. Whatever else is wrong
 * behind the pixels (no end mark, a broken comment) does not. */
static int check_the_end(png_job *job)
{
    return spng_decode_chunks(job->ctx) == SPNG_ECHUNK_CRC ? SPNG_ECHUNK_CRC : 0;
}

static cn_status read_pixels(png_job *job, const picture_source *src, cn_error *err)
{
    cn_status st = CN_OK;
    const size_t out_row = (size_t)job->header.width * 3;
    const uint32_t height = job->header.height;
    size_t all = 0;
    int code = spng_decoded_image_size(job->ctx, SPNG_FMT_RAW, &all);
    CN_CHECK(code == 0, png_status(code), "%s: PNG: %s", src->name, spng_strerror(code));
    const size_t row = all / height;
    if (job->header.interlace_method != SPNG_INTERLACE_NONE) { /* its rows come in seven passes */
        job->rows = cn_calloc(1, all); /* zeroed: spng adds samples under 8 bits into their bytes */
        CN_CHECK(job->rows, CN_ENOMEM, "%s: out of memory for %zu bytes", src->name, all);
        code = spng_decode_image(job->ctx, job->rows, all, SPNG_FMT_RAW, 0);
        if (!code)
            code = check_the_end(job);
        if (code)
            return png_fail(src, code, err);
        for (uint32_t y = 0; y < height; y++)
            convert_row(job, y, job->rows + y * row);
        return CN_OK;
    }
    const bool direct = job->header.color_type == SPNG_COLOR_TYPE_TRUECOLOR && job->header.bit_depth == 8 &&
                        !(job->blend && job->has_trns);
    if (!direct) {
        job->rows = cn_malloc(row);
        CN_CHECK(job->rows, CN_ENOMEM, "%s: out of memory for %zu bytes", src->name, row);
    }
    code = spng_decode_image(job->ctx, NULL, 0, SPNG_FMT_RAW, SPNG_DECODE_PROGRESSIVE);
    for (uint32_t y = 0; y < height && code == 0; y++) {
        uint8_t *to = job->image->rgb + y * out_row;
        code = spng_decode_row(job->ctx, direct ? to : job->rows, row);
        if (code == SPNG_EOI && y + 1 == height)
            code = 0;
        if (code == 0 && !direct)
            convert_row(job, y, job->rows);
    }
    if (!code)
        code = check_the_end(job);
    if (code)
        return png_fail(src, code, err);
done:
    return st;
}

cn_status png_decode(cn_image **out, const picture_source *src, cn_error *err)
{
    cn_status st = CN_OK;
    struct spng_alloc alloc = {.malloc_fn = noted_malloc,
                               .realloc_fn = noted_realloc,
                               .calloc_fn = noted_calloc,
                               .free_fn = cn_free};
    int code = 0;
    short_of_memory = false;
    png_job *job = cn_calloc(1, sizeof *job);
    *out = NULL;
    CN_CHECK(job, CN_ENOMEM, "%s: out of memory", src->name);
    job->ctx = spng_ctx_new2(&alloc, 0);
    CN_CHECK(job->ctx, CN_ENOMEM, "%s: out of memory", src->name);
    spng_set_chunk_limits(job->ctx, MAX_CHUNK, MAX_CHUNK);
    spng_set_png_buffer(job->ctx, src->bytes, src->size);
    code = spng_get_ihdr(job->ctx, &job->header);
    if (code) {
        st = png_fail(src, code, err);
        goto done;
    }
    CN_TRY(picture_new(&job->image, src, job->header.width, job->header.height, CN_IMAGE_PNG, err));
    CN_TRY(picture_store(job->image, mode_of(&job->header), src, err));
    job->blend = src->options.composite_alpha;
    memcpy(job->background, src->options.background, 3);
    code = spng_get_plte(job->ctx, &job->palette);
    if (code && code != SPNG_ECHUNKAVAIL) {
        st = png_fail(src, code, err);
        goto done;
    }
    CN_CHECK(code == 0 || job->header.color_type != SPNG_COLOR_TYPE_INDEXED, CN_EFORMAT,
             "%s: damaged PNG: no palette", src->name);
    job->has_trns = spng_get_trns(job->ctx, &job->trns) == 0;
    make_colours(job);
    CN_TRY(read_pixels(job, src, err));
    *out = job->image, job->image = NULL;
done:
    if (job) {
        spng_ctx_free(job->ctx);
        cn_image_free(job->image);
        cn_free(job->rows);
        cn_free(job);
    }
    return st;
}
