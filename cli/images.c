/* cli/images.c -- pixels from the reader's threads, through the network, to a callback. */
#include "images.h"
#include "interrupt.h"
#include "progress.h"
#include "report.h"

#include <clipneuron/image.h>
#include <stdlib.h>

int images_run(const cn_model *model, cn_runner_options options, const struct pictures *pictures,
               struct reading how, image_batch_callback *each, void *user, size_t *bad)
{
    const cn_model_info *info = cn_model_get_info(model);
    int size = options.resolution ? options.resolution : info->resolution;
    struct picture_reader *reader = NULL;
    cn_runner *runner = NULL;
    cn_error err = {0};
    float *pixels = need(calloc((size_t)options.batch, 3 * (size_t)size * (size_t)size * sizeof *pixels));

    /* the first images are decoded while the network is built */
    int code = pictures_read(&reader, pictures, size, (size_t)options.batch, options.threads, how);
    cn_status st = code == EXIT_DONE ? cn_runner_create(&runner, model, &options, &err) : CN_OK;
    if (st != CN_OK)
        code = fail_error(&err, st);
    progress_start("images", (int64_t)pictures->count, PROGRESS_ITEMS, how.quiet);
    while (code == EXIT_DONE) {
        struct picture_batch batch;
        code = pictures_next(reader, &batch);
        if (code != EXIT_DONE || batch.n == 0)
            break;
        cn_pixels_normalise(batch.rgb, batch.n, size, info->mean, info->std, pixels);
        batch.pixels = pixels;
        st = cn_runner_images(runner, pixels, (int64_t)batch.n, &err);
        code = st == CN_OK ? each(runner, &batch, user) : fail_error(&err, st);
        progress_set((int64_t)(batch.first + batch.n), (int64_t)pictures->count, 0);
    }
    progress_end();
    if (bad)
        *bad = reader ? pictures_bad(reader) : 0;
    pictures_close(reader);
    cn_runner_free(runner);
    free(pixels);
    return code;
}
