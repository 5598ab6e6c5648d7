/* image/jpeg.c -- JPEG by libjpeg(-turbo), with the settings that Pillow uses: accurate integer DCT, fancy
 * upsampling, no draft scaling; CMYK and YCCK as Adobe writes them (inverted) and Pillow's CMYK -> RGB.
 * Damage that libjpeg warns about and repairs is tolerated, as Pillow does; a file that ends too early is not. */
#include "image/picture.h"

#include "base/check.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>

/* A few bytes can hold thousands of scans that each walk over the whole picture. */
#define MAX_SCANS 500

typedef struct jpeg_job {
    struct jpeg_decompress_struct info;
    struct jpeg_error_mgr errors;
    struct jpeg_source_mgr source;
    struct jpeg_progress_mgr progress;
    jmp_buf escape;
    bool truncated, too_many_scans, complete; /* complete: all pixels are there */
    char reason[JMSG_LENGTH_MAX];
    uint8_t *row; /* one row of CMYK */
    cn_image *image;
} jpeg_job;

static jpeg_job *job_of(j_common_ptr info)
{
    return info->client_data;
}

static void on_error(j_common_ptr info)
{
    jpeg_job *job = job_of(info);
    info->err->format_message(info, job->reason);
    longjmp(job->escape, 1);
}

static void on_message(j_common_ptr info, int level)
{
    if (level < 0)
        info->err->num_warnings++;
}

static void print_nothing(j_common_ptr info)
{
    (void)info;
}

static void on_progress(j_common_ptr info)
{
    jpeg_job *job = job_of(info);
    if (job->info.input_scan_number > MAX_SCANS) {
        job->too_many_scans = true;
        longjmp(job->escape, 1);
    }
}

static void start_source(j_decompress_ptr info)
{
    (void)info;
}

/* All bytes are in the buffer from the start: whoever asks for more has met the end of the file. */
static boolean fill_source(j_decompress_ptr info)
{
    jpeg_job *job = job_of((j_common_ptr)info);
    job->truncated = true;
    longjmp(job->escape, 1);
}

static void skip_source(j_decompress_ptr info, long count)
{
    if (count <= 0)
        return;
    if ((size_t)count > info->src->bytes_in_buffer)
        fill_source(info);
    info->src->next_input_byte += count;
    info->src->bytes_in_buffer -= (size_t)count;
}

/* What is stored is inverted, as Adobe does. kept: the row of the picture's inks, or NULL. */
static void cmyk_row(uint8_t *rgb, uint8_t *kept, const uint8_t *inverted, int width)
{
    for (int x = 0; x < width; x++, rgb += 3, inverted += 4) {
        uint8_t cmyk[4];
        for (int c = 0; c < 4; c++)
            cmyk[c] = 255 - inverted[c];
        cmyk_to_rgb(cmyk, rgb);
        if (kept)
            memcpy(kept + 4 * (size_t)x, cmyk, 4);
    }
}

/* Everything that may longjmp. Only `job` lives across the jump. */
static cn_status read_picture(jpeg_job *job, const picture_source *src, cn_error *err)
{
    cn_status st = CN_OK;
    struct jpeg_decompress_struct *info = &job->info;
    if (setjmp(job->escape)) {
        if (job->too_many_scans)
            return cn_fail(err, CN_ELIMIT, "%s: a JPEG with more than %d scans", src->name, MAX_SCANS);
        if (job->truncated && job->complete)
            return CN_OK; /* only the end mark is missing, which Pillow does not insist on */
        if (job->truncated)
            return cn_fail(err, CN_EFORMAT, "%s: truncated JPEG (%zu bytes)", src->name, src->size);
        if (info->err->msg_code == JERR_OUT_OF_MEMORY)
            return cn_fail(err, CN_ENOMEM, "%s: out of memory in the JPEG decoder", src->name);
        if (info->err->msg_code == JERR_BAD_PRECISION || info->err->msg_code == JERR_SOF_UNSUPPORTED)
            return cn_fail(err, CN_EUNSUPPORTED, "%s: JPEG: %s", src->name, job->reason);
        return cn_fail(err, CN_EFORMAT, "%s: damaged JPEG: %s", src->name, job->reason);
    }
    jpeg_create_decompress(info);
    info->client_data = job; /* create zeroes all but err */
    info->src = &job->source;
    info->progress = &job->progress;
    jpeg_read_header(info, TRUE);
    CN_CHECK(info->num_components == 1 || info->num_components == 3 || info->num_components == 4,
             CN_EUNSUPPORTED, "%s: a JPEG with %d components", src->name, info->num_components);
    CN_TRY(picture_new(&job->image, src, info->image_width, info->image_height, CN_IMAGE_JPEG, err));
    info->out_color_space = info->num_components == 4 ? JCS_CMYK : JCS_RGB;
    if (info->num_components == 4) {
        CN_TRY(picture_store(job->image, CN_IMAGE_MODE_CMYK, src, err));
        job->row = cn_malloc((size_t)info->image_width * 4);
        CN_CHECK(job->row, CN_ENOMEM, "%s: out of memory", src->name);
    }
    jpeg_start_decompress(info);
    while (info->output_scanline < info->output_height) {
        const size_t at = (size_t)info->output_scanline * info->output_width;
        uint8_t *to = job->image->rgb + at * 3, *inks = job->image->stored;
        JSAMPROW row = job->row ? job->row : to;
        jpeg_read_scanlines(info, &row, 1);
        if (job->row)
            cmyk_row(to, inks ? inks + at * 4 : NULL, job->row, (int)info->output_width);
    }
    job->complete = true;
    jpeg_finish_decompress(info); /* reads on to the end mark: damage on the way counts, as in Pillow */
done:
    return st;
}

cn_status jpeg_decode(cn_image **out, const picture_source *src, cn_error *err)
{
    cn_status st = CN_OK;
    jpeg_job *job = cn_calloc(1, sizeof *job);
    *out = NULL;
    CN_CHECK(job, CN_ENOMEM, "%s: out of memory", src->name);
    job->info.err = jpeg_std_error(&job->errors);
    job->info.client_data = job; /* for errors inside jpeg_create_decompress */
    job->errors.error_exit = on_error;
    job->errors.emit_message = on_message;
    job->errors.output_message = print_nothing;
    job->progress.progress_monitor = on_progress;
    job->source.next_input_byte = src->bytes;
    job->source.bytes_in_buffer = src->size;
    job->source.init_source = start_source;
    job->source.fill_input_buffer = fill_source;
    job->source.skip_input_data = skip_source;
    job->source.resync_to_restart = jpeg_resync_to_restart;
    job->source.term_source = start_source;
    CN_TRY(read_picture(job, src, err));
    *out = job->image, job->image = NULL;
done:
    if (job) {
        jpeg_destroy_decompress(&job->info);
        cn_image_free(job->image);
        cn_free(job->row);
        cn_free(job);
    }
    return st;
}
