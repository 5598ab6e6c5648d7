/* compose/textspace.c -- reads and measures. */
#include "compose/textspace.h"

#include "base/memory.h"
#include "base/order.h"
#include "clipneuron/find.h"
#include "clipneuron/linear.h"
#include "study/product.h"
#include "study/rowfile.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PICTURES = 2048, FIT_WORDS = 256, SAMPLES = 1000 };

/* Lengths of the sample's embeddings before they were normalised. */
static cn_status read_lengths(const textspace *s, double *length, cn_error *err)
{
    cn_status st = CN_OK;
    rowfile f = {0};
    float *row = product_floats(1, s->width);
    CN_CHECK(row, CN_ENOMEM, "out of memory for an embedding");
    CN_TRY(rowfile_open(&f, s->study, "embeddings.npy", s->study->info.images, s->width, err));
    for (int64_t i = 0; i < s->pictures.n; i++) {
        CN_TRY(rowfile_read(&f, s->pictures.image[i], row, err));
        length[i] = product_normalise(row, row, s->width);
    }
done:
    rowfile_close(&f);
    cn_free(row);
    return st;
}

/* Values behind the ReLU, as nearly as a mean over space says, and their deviations. */
static void rectify(textspace *s)
{
    const int64_t n = s->pictures.n;
    for (int64_t u = 0; u < s->n; u++) {
        float *row = s->pictures.values + u * n;
        double sum = 0, squares = 0;
        for (int64_t i = 0; i < n; i++) {
            row[i] = row[i] > 0 ? row[i] : 0;
            sum += (double)row[i];
        }
        const double mean = sum / (double)n;
        for (int64_t i = 0; i < n; i++)
            squares += ((double)row[i] - mean) * ((double)row[i] - mean);
        s->units.sd[u] = sqrt(squares / (double)n);
    }
}

static cn_status open_fit(textspace *s, cn_error *err)
{
    cn_status st = CN_OK;
    double *length = NULL;
    cn_error reason = {0};
    st = corpus_pictures_read(&s->pictures, s->study, s->o.site, s->o.pictures, &reason);
    if (st == CN_ENOTFOUND) { /* no matrices: there is no fit, and nothing else is missing */
        corpus_pictures_free(&s->pictures);
        snprintf(s->why, sizeof s->why, "%s", reason.text);
        return CN_OK;
    }
    if (st != CN_OK)
        return cn_fail(err, st, "%s", reason.text);
    length = cn_calloc((size_t)s->pictures.n + 1, sizeof *length);
    CN_CHECK(length, CN_ENOMEM, "out of memory for %" PRId64 " pictures", s->pictures.n);
    CN_TRY(read_lengths(s, length, err));
    if (s->rectified)
        rectify(s);
    const linfit_data data = {.n = s->pictures.n,
                              .first = s->pictures.even,
                              .units = s->n,
                              .width = s->width,
                              .values = s->pictures.values,
                              .embedding = s->pictures.embedding,
                              .length = length,
                              .directions = s->directions};
    st = linfit_open(&s->fit, &data, &reason);
    if (st == CN_EINVAL) {
        linfit_free(&s->fit);
        snprintf(s->why, sizeof s->why, "%s", reason.text);
        st = CN_OK;
    } else if (st != CN_OK) {
        (void)cn_fail(err, st, "%s", reason.text);
    }
done:
    cn_free(length);
    cn_free(s->pictures.values); /* large, and all that was wanted of it is in the fit */
    s->pictures.values = NULL;
    return st;
}

static bool ends_with(const char *text, const char *ending)
{
    const size_t n = strlen(text), m = strlen(ending);
    return n >= m && strcmp(text + n - m, ending) == 0;
}

cn_status textspace_open(textspace *s, cn_study *study, const cn_model *model, const textspace_options *o, cn_error *err)
{
    cn_status st = CN_OK;
    cn_error reason = {0};
    memset(s, 0, sizeof *s);
    s->study = study;
    s->model = model;
    s->o = *o;
    CN_CHECK(o->site < study->n_sites, CN_EINVAL, "%s: site %zu: the study has %zu", study->path, o->site, study->n_sites);
    CN_CHECK(o->pictures >= 0 && o->pictures <= CN_MAX_FIND_PICTURES, CN_EINVAL, "%" PRId64 " pictures, the limit is %d", o->pictures,
             CN_MAX_FIND_PICTURES);
    if (!s->o.pictures)
        s->o.pictures = PICTURES;
    CN_TRY(cn_study_check_model(study, model, err));
    CN_CHECK(study->info.reduce != CN_REDUCE_MAX, CN_EUNSUPPORTED,
             "%s: activations are maxima over space, and only means or a ViT's class token add up to an embedding (scan --reduce mean, class)", study->path);
    CN_TRY(cn_model_find_site(model, study->sites[o->site].name, &s->found, err));
    s->n = s->found->units;
    s->width = cn_model_get_info(model)->embedding;
    CN_CHECK(s->n == study->sites[o->site].units && s->width == study->info.embedding, CN_EFORMAT,
             "%s: the study is damaged: %s has %" PRId64 " units, and embeddings %" PRId64 " values", study->path, s->found->name, s->n, s->width);
    s->rectified = cn_model_get_info(model)->architecture == CN_ARCH_RESNET && ends_with(s->found->name, ".add");
    s->directions = product_floats(s->n, s->width);
    CN_CHECK(s->directions, CN_ENOMEM, "out of memory for the directions of units");
    CN_TRY(cn_unit_directions(model, s->found, s->directions, err));
    CN_TRY(texttower_open(&s->tower, model, o->threads, o->precision, o->backend, err));
    CN_TRY(corpus_units_read(&s->units, study, o->site, err));
    st = corpus_words_read(&s->words, study, &reason);
    if (st == CN_ENOTFOUND) {
        corpus_words_free(&s->words);
    } else if (st != CN_OK) {
        (void)cn_fail(err, st, "%s", reason.text);
        goto done;
    }
    CN_TRY(open_fit(s, err));
done:
    return st;
}

void textspace_close(textspace *s)
{
    corpus_units_free(&s->units);
    corpus_words_free(&s->words);
    corpus_pictures_free(&s->pictures);
    linfit_free(&s->fit);
    texttower_close(&s->tower);
    cn_free(s->directions);
    memset(s, 0, sizeof *s);
}

/* ---- weights ---- */

static double deviation(const textspace *s, int64_t unit)
{
    return s->units.dead[unit] ? 0 : s->units.sd[unit];
}

/* What a unit's one standard deviation is in an embedding of usual length. */
static double factor(const textspace *s, int64_t unit)
{
    return deviation(s, unit) / (s->fit.n ? s->fit.length : 1);
}

void textspace_many_weights(const textspace *s, const float *texts, int64_t m, float *weights)
{
    product_rows(texts, m, s->directions, s->n, s->width, weights, s->n);
    for (int64_t i = 0; i < m; i++)
        for (int64_t u = 0; u < s->n; u++)
            weights[i * s->n + u] = (float)((double)weights[i * s->n + u] * factor(s, u));
}

void textspace_weights(const textspace *s, const float *text, double *weights)
{
    for (int64_t u = 0; u < s->n; u++) {
        const float *d = s->directions + u * s->width;
        double sum = 0;
        for (int64_t k = 0; k < s->width; k++)
            sum += (double)d[k] * (double)text[k];
        weights[u] = factor(s, u) * sum;
    }
}

/* ---- the fit ---- */

static double median(double *v, int64_t n)
{
    qsort(v, (size_t)n, sizeof *v, order_doubles);
    return n ? (v[(n - 1) / 2] + v[n / 2]) / 2 : (double)NAN;
}

cn_status textspace_measure(const textspace *s, const float *text, cn_linear_fit *out, cn_error *err)
{
    cn_status st = CN_OK;
    double *x = NULL, *r = NULL;
    const int64_t n = s->fit.n, words = s->words.n < FIT_WORDS ? s->words.n : FIT_WORDS;
    linfit_interval interval;
    memset(out, 0, sizeof *out);
    if (!n) {
        snprintf(out->why, sizeof out->why, "%s", s->why);
        return CN_OK;
    }
    x = cn_calloc((size_t)n, 2 * sizeof *x);
    r = cn_calloc((size_t)words + 1, 2 * sizeof *r);
    CN_CHECK(x && r, CN_ENOMEM, "out of memory for %" PRId64 " cosines", n);
    linfit_products(&s->fit, text, x, x + n);
    const linfit_score score = linfit_compare(x, x + n, n);
    CN_TRY(linfit_bootstrap(x, x + n, n, SAMPLES, s->o.seed, &interval, err));
    for (int64_t i = 0; i < words; i++) {
        linfit_products(&s->fit, s->words.text + i * s->words.n / words * s->width, x, x + n);
        const linfit_score one = linfit_compare(x, x + n, n);
        r[i] = one.r;
        r[words + i] = one.r2;
    }
    *out = (cn_linear_fit){.pictures = n,
                           .r = score.r,
                           .r_low = interval.low.r,
                           .r_high = interval.high.r,
                           .r2 = score.r2,
                           .r2_low = interval.low.r2,
                           .r2_high = interval.high.r2,
                           .words = words,
                           .words_r = median(r, words),
                           .words_r2 = median(r + words, words)};
done:
    cn_free(x);
    cn_free(r);
    return st;
}

/* ---- names ---- */

cn_status textspace_name(const textspace *s, int64_t unit, char **name, char **example, cn_error *err)
{
    cn_status st = CN_OK;
    cn_unit_row *row = NULL;
    cn_unit_name *names = NULL;
    cn_example *examples = NULL;
    size_t n = 0, shown = 0;
    const cn_unit_ref ref = {s->o.site, unit};
    *name = NULL;
    if (example)
        *example = NULL;
    CN_TRY(cn_study_unit_names(s->study, ref, &names, &n, err));
    if (!n)
        CN_TRY(cn_study_unit(s->study, ref, &row, err));
    *name = cn_strdup(n ? names[0].name : *row->label ? row->label : row->word);
    CN_CHECK(*name, CN_ENOMEM, "out of memory for a name");
    if (example) {
        CN_TRY(cn_study_examples(s->study, ref, CN_EXAMPLE_TOP, &examples, &shown, err));
        *example = cn_strdup(shown ? examples[0].path : "");
        CN_CHECK(*example, CN_ENOMEM, "out of memory for a path");
    }
done:
    if (st != CN_OK) {
        cn_free(*name);
        *name = NULL;
    }
    cn_unit_rows_free(row);
    cn_unit_names_free(names);
    cn_examples_free(examples);
    return st;
}
