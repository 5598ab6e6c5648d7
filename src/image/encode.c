/* image/encode.c -- RGB pixels to PNG, JPEG or WebP, in memory and into files, for cards and figures. Not: GIF, metadata. */
#include "clipneuron/image.h"

#include "base/check.h"
#include "base/memory.h"
#include "base/path.h"
#include "file/output.h"
#include "image/picture.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>
#include <spng.h>
#include <webp/encode.h>

void cn_bytes_free(void *bytes)
{
    cn_free(bytes);
}

typedef struct jpeg_writer {
    struct jpeg_compress_struct info;
    struct jpeg_error_mgr errors;
    struct jpeg_destination_mgr target;
    jmp_buf escape;
    char reason[JMSG_LENGTH_MAX];
    uint8_t *bytes;
    size_t capacity;
} jpeg_writer;

static void on_error(j_common_ptr info)
{
    jpeg_writer *w = info->client_data;
    info->err->format_message(info, w->reason);
    longjmp(w->escape, 1);
}

static void print_nothing(j_common_ptr info)
{
    (void)info;
}

static void grow(jpeg_writer *w)
{
    const size_t used = w->capacity, bigger = used ? used * 2 : 16384;
    uint8_t *bytes = cn_realloc(w->bytes, bigger);
    if (!bytes)
        ERREXIT1(&w->info, JERR_OUT_OF_MEMORY, 0);
    w->bytes = bytes;
    w->capacity = bigger;
    w->target.next_output_byte = bytes + used;
    w->target.free_in_buffer = bigger - used;
}

static void start_target(j_compress_ptr info)
{
    grow(info->client_data);
}

static boolean empty_target(j_compress_ptr info)
{
    grow(info->client_data);
    return TRUE;
}

static void finish_target(j_compress_ptr info)
{
    (void)info;
}

static cn_status write_jpeg(jpeg_writer *w, const uint8_t *rgb, int width, int height, int quality,
                            cn_error *err)
{
    if (setjmp(w->escape)) {
        if (w->info.err->msg_code == JERR_OUT_OF_MEMORY)
            return cn_fail(err, CN_ENOMEM, "out of memory in the JPEG encoder");
        return cn_fail(err, CN_EINVAL, "the JPEG encoder refused: %s", w->reason);
    }
    jpeg_create_compress(&w->info);
    w->info.client_data = w;
    w->info.dest = &w->target;
    w->info.image_width = (JDIMENSION)width;
    w->info.image_height = (JDIMENSION)height;
    w->info.input_components = 3;
    w->info.in_color_space = JCS_RGB;
    jpeg_set_defaults(&w->info);
    jpeg_set_quality(&w->info, quality, TRUE);
    w->info.optimize_coding = TRUE;
    jpeg_start_compress(&w->info, TRUE);
    while (w->info.next_scanline < w->info.image_height) {
        const uint8_t *from = rgb + (size_t)w->info.next_scanline * (size_t)width * 3;
        JSAMPROW row = (JSAMPROW)(uintptr_t)from; /* libjpeg's type lacks the const */
        jpeg_write_scanlines(&w->info, &row, 1);
    }
    jpeg_finish_compress(&w->info);
    return CN_OK;
}

static cn_status encode_jpeg(const uint8_t *rgb, int width, int height, int quality, void **bytes,
                             size_t *size, cn_error *err)
{
    cn_status st = CN_OK;
    jpeg_writer *w = cn_calloc(1, sizeof *w);
    CN_CHECK(w, CN_ENOMEM, "out of memory in the JPEG encoder");
    w->info.err = jpeg_std_error(&w->errors);
    w->info.client_data = w;
    w->errors.error_exit = on_error;
    w->errors.output_message = print_nothing;
    w->target.init_destination = start_target;
    w->target.empty_output_buffer = empty_target;
    w->target.term_destination = finish_target;
    CN_TRY(write_jpeg(w, rgb, width, height, quality, err));
    *size = w->capacity - w->target.free_in_buffer;
    *bytes = w->bytes, w->bytes = NULL;
done:
    if (w) {
        jpeg_destroy_compress(&w->info);
        cn_free(w->bytes);
        cn_free(w);
    }
    return st;
}

cn_status png_encode(const uint8_t *pixels, int width, int height, int channels, struct spng_text *texts, size_t n, void **bytes,
                        size_t *size, cn_error *err)
{
    cn_status st = CN_OK;
    struct spng_alloc alloc = {
        .malloc_fn = cn_malloc, .realloc_fn = cn_realloc, .calloc_fn = cn_calloc, .free_fn = cn_free};
    struct spng_ihdr header = {.width = (uint32_t)width, .height = (uint32_t)height, .bit_depth = 8,
                               .color_type = channels == 4 ? SPNG_COLOR_TYPE_TRUECOLOR_ALPHA : SPNG_COLOR_TYPE_TRUECOLOR};
    int code = 0;
    spng_ctx *ctx = spng_ctx_new2(&alloc, SPNG_CTX_ENCODER);
    CN_CHECK(ctx, CN_ENOMEM, "out of memory in the PNG encoder");
    code = spng_set_option(ctx, SPNG_ENCODE_TO_BUFFER, 1);
    if (!code)
        code = spng_set_ihdr(ctx, &header);
    if (!code && n)
        code = spng_set_text(ctx, texts, (uint32_t)n);
    if (!code)
        code = spng_encode_image(ctx, pixels, (size_t)width * (size_t)height * (size_t)channels, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
    if (!code)
        *bytes = spng_get_png_buffer(ctx, size, &code); /* now ours; made by cn_realloc */
    CN_CHECK(code == 0, code == SPNG_EMEM || code == SPNG_EZLIB_INIT ? CN_ENOMEM : CN_EINVAL, "the PNG encoder refused: %s",
             spng_strerror(code));
done:
    spng_ctx_free(ctx);
    return st;
}

static cn_status encode_webp(const uint8_t *rgb, int width, int height, int quality, void **bytes,
                             size_t *size, cn_error *err)
{
    cn_status st = CN_OK;
    uint8_t *made = NULL;
    size_t made_size = 0;
    CN_CHECK(width <= WEBP_MAX_DIMENSION && height <= WEBP_MAX_DIMENSION, CN_ELIMIT,
             "%d x %d px; a side of a WebP may have %d", width, height, WEBP_MAX_DIMENSION);
    made_size = WebPEncodeRGB(rgb, width, height, width * 3, (float)quality, &made);
    CN_CHECK(made_size > 0 && made, CN_ENOMEM, "the WebP encoder failed, probably for lack of memory");
    *bytes = cn_malloc(made_size);
    CN_CHECK(*bytes, CN_ENOMEM, "out of memory for %zu bytes", made_size);
    memcpy(*bytes, made, made_size);
    *size = made_size;
done:
    WebPFree(made);
    return st;
}

cn_status cn_image_encode(const uint8_t *rgb, int width, int height, cn_image_format format, int quality,
                          void **bytes, size_t *size, cn_error *err)
{
    *bytes = NULL;
    *size = 0;
    if (width < 1 || height < 1 || width > CN_MAX_IMAGE_SIDE || height > CN_MAX_IMAGE_SIDE ||
        (int64_t)width * height > CN_MAX_IMAGE_PIXELS)
        return cn_fail(err, CN_EINVAL, "cannot encode a picture of %d x %d px", width, height);
    if (format != CN_IMAGE_PNG && (quality < 1 || quality > 100))
        return cn_fail(err, CN_EINVAL, "quality %d; it goes from 1 to 100", quality);
    switch (format) {
    case CN_IMAGE_JPEG: return encode_jpeg(rgb, width, height, quality, bytes, size, err);
    case CN_IMAGE_PNG: return png_encode(rgb, width, height, 3, NULL, 0, bytes, size, err);
    case CN_IMAGE_WEBP: return encode_webp(rgb, width, height, quality, bytes, size, err);
    default: return cn_fail(err, CN_EUNSUPPORTED, "pictures are written as PNG, JPEG or WebP");
    }
}

cn_status cn_image_write(const char *path, const uint8_t *rgb, int width, int height, int quality, cn_error *err)
{
    static const struct {
        const char *ending;
        cn_image_format format;
    } endings[] = {{".png", CN_IMAGE_PNG}, {".jpg", CN_IMAGE_JPEG}, {".jpeg", CN_IMAGE_JPEG}, {".webp", CN_IMAGE_WEBP}};
    enum { ENDINGS = sizeof endings / sizeof *endings };
    cn_status st = CN_OK;
    void *bytes = NULL;
    size_t size, at = 0;
    const char *slash = strrchr(path, '/');
    while (at < ENDINGS && !path_has_ending(path, endings[at].ending))
        at++;
    CN_CHECK(at < ENDINGS || !strchr(slash ? slash : path, '.'), CN_EINVAL, "%s: a picture's name ends in .png, .jpg, .jpeg or .webp", path);
    CN_TRY(cn_image_encode(rgb, width, height, at < ENDINGS ? endings[at].format : CN_IMAGE_PNG, quality, &bytes, &size, err));
    CN_TRY(output_file(path, bytes, size, err));
done:
    cn_free(bytes);
    return st;
}
