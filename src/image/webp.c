/* image/webp.c -- WebP by libwebp: lossy and lossless, alpha dropped or blended; of an animation the first frame
 * on its canvas, which is transparent black where the frame does not reach, as Pillow shows it. */
#include "image/picture.h"

#include "base/check.h"
#include "base/memory.h"

#include <string.h>

#include <webp/decode.h>
#include <webp/demux.h>

static cn_status webp_status(VP8StatusCode code, const picture_source *src, cn_error *err)
{
    switch (code) {
    case VP8_STATUS_OK: return CN_OK;
    case VP8_STATUS_OUT_OF_MEMORY:
        /* libwebp 1.5 says this of damaged transparency, too; how much it needs is bounded by the limits on pixels. */
        return cn_fail(err, CN_EFORMAT, "%s: damaged WebP, or no memory for its decoder", src->name);
    case VP8_STATUS_UNSUPPORTED_FEATURE:
        return cn_fail(err, CN_EUNSUPPORTED, "%s: a WebP feature that libwebp does not know", src->name);
    case VP8_STATUS_NOT_ENOUGH_DATA:
    case VP8_STATUS_SUSPENDED: return cn_fail(err, CN_EFORMAT, "%s: truncated WebP", src->name);
    default: return cn_fail(err, CN_EFORMAT, "%s: damaged WebP", src->name);
    }
}

/* Decodes one frame's bitstream to `to` (rows of stride bytes). */
static cn_status decode_frame(const WebPIterator *frame, WEBP_CSP_MODE mode, uint8_t *to, size_t stride,
                              const picture_source *src, cn_error *err)
{
    cn_status st = CN_OK;
    WebPDecoderConfig config;
    CN_CHECK(WebPInitDecoderConfig(&config), CN_EUNSUPPORTED, "%s: libwebp is of another version", src->name);
    CN_TRY(
        webp_status(WebPGetFeatures(frame->fragment.bytes, frame->fragment.size, &config.input), src, err));
    CN_CHECK(config.input.width == frame->width && config.input.height == frame->height, CN_EFORMAT,
             "%s: damaged WebP: frame sizes differ", src->name);
    config.output.colorspace = mode;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = to;
    config.output.u.RGBA.stride = (int)stride;
    config.output.u.RGBA.size =
        stride * (size_t)(frame->height - 1) + (size_t)frame->width * (mode == MODE_RGBA ? 4 : 3);
    CN_TRY(webp_status(WebPDecode(frame->fragment.bytes, frame->fragment.size, &config), src, err));
done:
    return st;
}

/* Puts the frame's pixels into the picture: beside their alpha where the picture keeps it, else blended. */
static void place_frame(cn_image *image, const WebPIterator *frame, const uint8_t *rgba,
                        const uint8_t background[3])
{
    for (int y = 0; y < frame->height; y++) {
        const size_t at = (size_t)(frame->y_offset + y) * (size_t)image->width + (size_t)frame->x_offset;
        uint8_t *to = image->rgb + 3 * at, *alpha = image->stored ? (uint8_t *)image->stored + at : NULL;
        for (int x = 0; x < frame->width; x++, to += 3, rgba += 4) {
            for (int c = 0; c < 3; c++)
                to[c] = alpha ? rgba[c] : blend(rgba[c], background[c], rgba[3]);
            if (alpha)
                alpha[x] = rgba[3];
        }
    }
}

/* Whether the file says so, which is what Pillow goes by. */
static bool has_alpha(const picture_source *src)
{
    WebPBitstreamFeatures features;
    return WebPGetFeatures(src->bytes, src->size, &features) == VP8_STATUS_OK && features.has_alpha;
}

cn_status webp_decode(cn_image **out, const picture_source *src, cn_error *err)
{
    cn_status st = CN_OK;
    WebPData data = {src->bytes, src->size};
    WebPIterator frame = {0};
    cn_image *image = NULL;
    uint8_t *rgba = NULL;
    bool have_frame = false;
    WebPDemuxState state = WEBP_DEMUX_PARSE_ERROR;
    WebPDemuxer *demux = WebPDemuxPartial(&data, &state);
    *out = NULL;
    CN_CHECK(state != WEBP_DEMUX_PARSE_ERROR, CN_EFORMAT, "%s: damaged WebP", src->name);
    CN_CHECK(demux && state == WEBP_DEMUX_DONE, CN_EFORMAT, "%s: truncated WebP (%zu bytes)", src->name,
             src->size);
    const uint32_t width = WebPDemuxGetI(demux, WEBP_FF_CANVAS_WIDTH),
                   height = WebPDemuxGetI(demux, WEBP_FF_CANVAS_HEIGHT);
    CN_TRY(picture_new(&image, src, width, height, CN_IMAGE_WEBP, err));
    have_frame = WebPDemuxGetFrame(demux, 1, &frame);
    CN_CHECK(have_frame, CN_EFORMAT, "%s: damaged WebP: no frame", src->name);
    CN_CHECK(frame.width > 0 && frame.height > 0 && frame.x_offset >= 0 && frame.y_offset >= 0 &&
                 frame.x_offset + (int64_t)frame.width <= image->width &&
                 frame.y_offset + (int64_t)frame.height <= image->height,
             CN_EFORMAT, "%s: damaged WebP: the frame leaves the canvas", src->name);
    if (has_alpha(src))
        CN_TRY(picture_store(image, CN_IMAGE_MODE_ALPHA, src, err));
    const size_t pixels = (size_t)width * height;
    const bool smaller = frame.width < image->width || frame.height < image->height;
    const bool blends = src->options.composite_alpha && (frame.has_alpha || smaller);
    if (!blends && smaller) {
        memset(image->rgb, 0, pixels * 3);
        if (image->stored)
            memset(image->stored, 0, pixels);
    }
    if (!blends && !image->stored) {
        const size_t stride = (size_t)image->width * 3;
        uint8_t *to = image->rgb + (size_t)frame.y_offset * stride + (size_t)frame.x_offset * 3;
        CN_TRY(decode_frame(&frame, MODE_RGB, to, stride, src, err));
    } else {
        const size_t stride = (size_t)frame.width * 4;
        rgba = cn_malloc(stride * (size_t)frame.height);
        CN_CHECK(rgba, CN_ENOMEM, "%s: out of memory", src->name);
        CN_TRY(decode_frame(&frame, MODE_RGBA, rgba, stride, src, err));
        for (size_t i = 0; blends && i < pixels; i++)
            memcpy(image->rgb + 3 * i, src->options.background, 3);
        place_frame(image, &frame, rgba, src->options.background);
    }
    *out = image, image = NULL;
done:
    if (have_frame)
        WebPDemuxReleaseIterator(&frame);
    WebPDemuxDelete(demux);
    cn_free(rgba);
    cn_image_free(image);
    return st;
}
