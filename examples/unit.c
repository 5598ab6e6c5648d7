/* examples/unit.c -- what does one unit do on a few pictures, and where?
 *
 *     unit MODEL SITE:UNIT PICTURE...
 *
 * Prints for every picture the spatial mean of the unit, its maximum and the place of the maximum. The
 * runner computes nothing deeper than the site. */
#include "clipneuron/clipneuron.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 4 };

/* All pictures through one runner, BATCH at a time. */
static cn_status show_unit(const cn_model *model, const cn_site *site, int64_t unit, char **paths, int n,
                           cn_error *err)
{
    const cn_model_info *info = cn_model_get_info(model);
    int side = info->resolution;
    size_t bytes = (size_t)side * (size_t)side * 3;
    uint8_t *rgb = malloc(bytes * BATCH);
    float *pixels = malloc(bytes * BATCH * sizeof *pixels);
    cn_runner *runner = NULL;
    cn_status st = rgb && pixels ? CN_OK : CN_ENOMEM;

    cn_runner_options options = {.tower = CN_TOWER_IMAGE, .sites = &site, .n_sites = 1, .batch = BATCH};
    if (st == CN_OK)
        st = cn_runner_create(&runner, model, &options, err);

    for (int first = 0; st == CN_OK && first < n; first += BATCH) {
        int count = n - first < BATCH ? n - first : BATCH;
        for (int i = 0; st == CN_OK && i < count; i++) {
            cn_image *image = NULL;
            st = cn_image_load(&image, paths[first + i], NULL, err);
            if (st == CN_OK)
                st = cn_image_preprocess(image, side, rgb + (size_t)i * bytes, err);
            cn_image_free(image); /* closers accept NULL */
        }
        if (st != CN_OK)
            break;
        cn_pixels_normalise(rgb, (size_t)count, side, info->mean, info->std, pixels);
        st = cn_runner_images(runner, pixels, count, err);
        for (int i = 0; st == CN_OK && i < count; i++) {
            /* (n, C, H, W): the unit's map is one stretch of H*W floats. For tokens (n, L, D) it is a column. */
            const float *values = cn_runner_site(runner, 0) + (int64_t)i * site->units * site->positions;
            int64_t step = site->layout == CN_SITE_MAP ? 1 : site->units, at = 0;
            values += site->layout == CN_SITE_MAP ? unit * site->positions : unit;
            double sum = 0;
            for (int64_t p = 0; p < site->positions; p++) {
                sum += values[p * step];
                if (values[p * step] > values[at * step])
                    at = p;
            }
            printf("mean %8.4f  max %8.4f at row %" PRId64 " column %" PRId64 "  %s\n",
                   sum / (double)site->positions, (double)values[at * step], at / site->width,
                   at % site->width, paths[first + i]);
        }
    }
    cn_runner_free(runner);
    free(pixels);
    free(rgb);
    return st;
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: unit MODEL SITE:UNIT PICTURE...\n");
        return 2;
    }
    cn_error err = {0};
    cn_model *model = NULL;
    const cn_site *site = NULL;
    int64_t unit = 0;

    cn_status st = cn_model_open(&model, argv[1], NULL, &err);
    if (st == CN_OK)
        st = cn_model_parse_unit(model, argv[2], &site, &unit, &err);
    if (st == CN_OK && site->tower != CN_TOWER_IMAGE) {
        fprintf(stderr, "unit: %s is a site of the text tower\n", site->name);
        st = CN_EINVAL;
    } else if (st == CN_OK) {
        printf("%s unit %" PRId64 " of %" PRId64 ", %" PRId64 " x %" PRId64 " positions\n", site->name, unit,
               site->units, site->height, site->width);
        st = show_unit(model, site, unit, argv + 3, argc - 3, &err);
    }
    if (err.text[0])
        fprintf(stderr, "unit: %s\n", err.text); /* names the file and the reason */
    cn_model_close(model);
    return st == CN_OK ? 0 : 1;
}
