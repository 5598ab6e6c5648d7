/* image/pngtext.c -- PNG files with texts in them: written for pictures that the program makes, and read again to see with
 * which settings a picture was made. */
#include "clipneuron/image.h"

#include "base/check.h"
#include "base/memory.h"
#include "file/filemap.h"
#include "file/output.h"
#include "image/picture.h"

#include <spng.h>
#include <string.h>

#define MAX_TEXT_BYTES ((size_t)1 << 20) /* of one chunk; what this program writes is far below */

cn_status cn_png_write(const char *path, const uint8_t *pixels, int width, int height, int channels, const cn_png_text *texts, size_t n,
                       cn_error *err)
{
    cn_status st = CN_OK;
    void *bytes = NULL;
    size_t size = 0;
    char nothing[] = "";
    struct spng_text *chunks = cn_calloc(n + 1, sizeof *chunks);
    CN_CHECK(chunks, CN_ENOMEM, "out of memory for the texts of a picture");
    CN_CHECK(width >= 1 && height >= 1 && width <= CN_MAX_IMAGE_SIDE && height <= CN_MAX_IMAGE_SIDE &&
                 (int64_t)width * height <= CN_MAX_IMAGE_PIXELS && (channels == 3 || channels == 4),
             CN_EINVAL, "%s: cannot write a picture of %d x %d px in %d channels", path, width, height, channels);
    for (size_t i = 0; i < n; i++) {
        const size_t length = strlen(texts[i].keyword);
        CN_CHECK(length >= 1 && length < sizeof chunks[i].keyword, CN_EINVAL, "%s: a keyword has 1 to 79 bytes, not %zu", path, length);
        memcpy(chunks[i].keyword, texts[i].keyword, length + 1);
        chunks[i].type = SPNG_ITXT;
        chunks[i].text = (char *)(uintptr_t)texts[i].text; /* read only, but the library's type lacks the const */
        chunks[i].length = strlen(texts[i].text);
        chunks[i].language_tag = chunks[i].translated_keyword = nothing;
    }
    CN_TRY(png_encode(pixels, width, height, channels, chunks, n, &bytes, &size, err));
    CN_TRY(output_file(path, bytes, size, err));
done:
    cn_free(chunks);
    cn_free(bytes);
    return st;
}

cn_status cn_png_read_text(char **text, const char *path, const char *keyword, cn_error *err)
{
    cn_status st = CN_OK;
    struct spng_alloc alloc = {
        .malloc_fn = cn_malloc, .realloc_fn = cn_realloc, .calloc_fn = cn_calloc, .free_fn = cn_free};
    struct spng_text *chunks = NULL;
    filemap file = {0};
    spng_ctx *ctx = NULL;
    uint32_t n = 0;
    int code;
    *text = NULL;
    CN_TRY(filemap_open(&file, path, err));
    ctx = spng_ctx_new2(&alloc, 0);
    CN_CHECK(ctx, CN_ENOMEM, "out of memory in the PNG decoder");
    code = spng_set_chunk_limits(ctx, MAX_TEXT_BYTES, 4 * MAX_TEXT_BYTES);
    if (!code)
        code = spng_set_png_buffer(ctx, file.data, file.size);
    if (!code)
        code = spng_decode_chunks(ctx);
    CN_CHECK(code == 0, code == SPNG_EMEM ? CN_ENOMEM : CN_EFORMAT, "%s: no PNG that can be read: %s", path, spng_strerror(code));
    if (spng_get_text(ctx, NULL, &n) != 0 || n == 0)
        goto done;
    chunks = cn_calloc(n, sizeof *chunks);
    CN_CHECK(chunks, CN_ENOMEM, "out of memory for %u texts", n);
    code = spng_get_text(ctx, chunks, &n);
    CN_CHECK(code == 0, CN_EFORMAT, "%s: its texts cannot be read: %s", path, spng_strerror(code));
    for (uint32_t i = 0; i < n && !*text; i++)
        if (!strcmp(chunks[i].keyword, keyword)) {
            *text = cn_strndup(chunks[i].text, chunks[i].length);
            CN_CHECK(*text, CN_ENOMEM, "out of memory for a text");
        }
done:
    cn_free(chunks);
    spng_ctx_free(ctx);
    filemap_close(&file);
    return st;
}
