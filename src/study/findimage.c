/* study/findimage.c -- a picture through the study's model, and how usual each unit's answer is in the study. */
#include "study/finder.h"

#include "base/memory.h"
#include "study/finebins.h"
#include "study/product.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* What the scan did to its pictures: the words before "bicubic" in meta.preprocessing (scan.c writes them). */
static cn_status read_preprocessing(cn_study *s, cn_image_options *o, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    bool more;
    memset(o, 0, sizeof *o);
    CN_TRY(reader_query(s, &q, err, "SELECT value FROM meta WHERE key = 'preprocessing'", ""));
    CN_TRY(reader_step(s, q, &more, err));
    const char *text = more ? (const char *)sqlite3_column_text(q, 0) : NULL;
    if (!text)
        goto done;
    unsigned red, green, blue;
    const char *over = strstr(text, "over #");
    o->apply_orientation = strncmp(text, "orientation, ", 13) == 0;
    o->rgb_first = strstr(text, "RGB first, ") != NULL;
    if (over && sscanf(over, "over #%2x%2x%2x", &red, &green, &blue) == 3) {
        o->composite_alpha = true;
        o->background[0] = (uint8_t)red, o->background[1] = (uint8_t)green, o->background[2] = (uint8_t)blue;
    }
done:
    sqlite3_finalize(q);
    return st;
}

/* (3, R, R) normalised, owned by the caller. */
static cn_status read_pixels(cn_study *s, const source *from, const char *path, float **out, cn_error *err)
{
    cn_status st = CN_OK;
    cn_image *image = NULL;
    uint8_t *rgb = NULL;
    cn_image_options o;
    const size_t side = (size_t)from->resolution;
    *out = NULL;
    CN_TRY(read_preprocessing(s, &o, err));
    CN_TRY(cn_image_load(&image, path, &o, err));
    rgb = cn_malloc(3 * side * side);
    *out = cn_calloc(3 * side * side, sizeof **out);
    CN_CHECK(rgb && *out, CN_ENOMEM, "out of memory for a picture");
    CN_TRY(cn_image_preprocess(image, from->resolution, rgb, err));
    cn_pixels_normalise(rgb, 1, from->resolution, from->mean, from->std, *out);
done:
    if (st != CN_OK) {
        cn_free(*out);
        *out = NULL;
    }
    cn_free(rgb);
    cn_image_free(image);
    return st;
}

/* The share of the histogram's pictures below a value, in percent. */
static cn_status percentile(const cn_study *s, const unsigned char *b, int size, float value, double *out, cn_error *err)
{
    const size_t at = finebins_index(value);
    double below = 0, all = 0;
    *out = 50;
    bool sound = size % 8 == 0 && size / 8 <= FINEBINS;
    for (int i = 0; sound && b && i < size; i += 8) {
        uint32_t bin = 0, count = 0;
        for (int k = 3; k >= 0; k--) {
            bin = bin << 8 | b[i + k];
            count = count << 8 | b[i + 4 + k];
        }
        sound = bin < FINEBINS;
        all += (double)count;
        below += bin < at ? (double)count : bin == at ? 0.5 * (double)count : 0;
    }
    if (!sound)
        return cn_fail(err, CN_EFORMAT, "%s: the study is damaged: a histogram", s->path);
    if (all > 0)
        *out = 100 * below / all;
    return CN_OK;
}

static cn_status add_percentiles(cn_study *s, const corpus_units *units, size_t site, cn_answer *answers, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    bool more;
    CN_TRY(reader_query(s, &q, err, "SELECT unit, bins FROM histograms WHERE site = ?", "i", (int64_t)site));
    for (;;) {
        CN_TRY(reader_step(s, q, &more, err));
        if (!more)
            break;
        const int64_t unit = sqlite3_column_int64(q, 0);
        CN_CHECK(unit >= 0 && unit < units->n, CN_EFORMAT, "%s: the study is damaged: a histogram of unit %" PRId64, s->path, unit);
        if (!units->dead[unit])
            CN_TRY(percentile(s, sqlite3_column_blob(q, 1), sqlite3_column_bytes(q, 1), (float)answers[unit].value, &answers[unit].percentile,
                              err));
    }
done:
    sqlite3_finalize(q);
    return st;
}

cn_status finder_picture(cn_study *s, source *from, const char *path, size_t site, cn_answer **out, size_t *n, cn_error *err)
{
    cn_status st = CN_OK;
    corpus_units units = {0};
    float *pixels = NULL;
    cn_answer *answers = NULL;
    *out = NULL;
    *n = 0;
    CN_TRY(reader_check_unit(s, (cn_unit_ref){site, 0}, err));
    CN_CHECK(from->n_sites == 1 && from->sites[0]->units == s->sites[site].units, CN_EFORMAT,
             "%s: the study is damaged: %s has not %" PRId64 " units", s->path, s->sites[site].name, s->sites[site].units);
    CN_TRY(corpus_units_read(&units, s, site, err));
    CN_TRY(read_pixels(s, from, path, &pixels, err));
    CN_TRY(from->images(from, pixels, 1, err));
    const float *values = from->site(from, 0);
    answers = cn_calloc((size_t)units.n, sizeof *answers);
    CN_CHECK(answers, CN_ENOMEM, "out of memory for %" PRId64 " units", units.n);
    for (int64_t u = 0; u < units.n; u++) {
        const double value = (double)cn_reduce_unit(s->info.reduce, from->sites[0], values, u);
        CN_CHECK(isfinite(value), CN_EFORMAT, "%s: the model gives values that are not finite", path);
        answers[u] = (cn_answer){.ref = {site, u}, .value = value, .sd = units.dead[u] ? 0 : value / units.rms[u], .percentile = 50};
    }
    CN_TRY(add_percentiles(s, &units, site, answers, err));
    *out = answers, answers = NULL;
    *n = (size_t)units.n;
done:
    corpus_units_free(&units);
    cn_free(pixels);
    cn_free(answers);
    return st;
}

cn_status cn_find_image(cn_study *s, const cn_model *model, const char *path, const cn_find_options *options, cn_answer **out, size_t *n,
                        cn_error *err)
{
    cn_status st = CN_OK;
    source from = {0};
    const cn_find_options o = options ? *options : (cn_find_options){0};
    *out = NULL;
    *n = 0;
    CN_CHECK(o.site < s->n_sites, CN_EINVAL, "%s: site %zu: the study has %zu", s->path, o.site, s->n_sites);
    CN_TRY(cn_study_check_model(s, model, err));
    const char *name = s->sites[o.site].name;
    const cn_scan_options runners = {
        .sites = &name, .n_sites = 1, .batch = 1, .threads = o.threads, .precision = o.precision, .backend = o.backend};
    CN_TRY(source_open_model(&from, model, &runners, true, err));
    CN_TRY(finder_picture(s, &from, path, o.site, out, n, err));
done:
    if (from.close)
        from.close(&from);
    return st;
}

void cn_answers_free(cn_answer *answers)
{
    cn_free(answers);
}
