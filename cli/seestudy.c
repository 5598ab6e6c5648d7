/* cli/seestudy.c -- measures optimised pictures where a study measured natural ones. */
#include "seestudy.h"
#include "report.h"

#include <clipneuron/evidence.h>
#include <clipneuron/image.h>
#include <clipneuron/study.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DRIVING = 16, DRIVING_LEAST = 4, OTHERS = 48 }; /* natural pictures that a path is compared with, at most */

struct seestudy {
    const cn_model *model;
    const char *path;
    int threads;
    cn_study *study;
    size_t site;         /* of the runner and the evidence, a number in the study */
    const cn_site *found;  /* the same in the model */
    cn_runner *runner;   /* NULL: none yet */
    cn_evidence *evidence; /* NULL: none yet, or the site has no blocks below */
    int64_t natural;     /* the unit whose natural pictures `evidence` has; -1: none */
};

int seestudy_open(struct seestudy **out, const cn_model *model, const char *path, int threads)
{
    struct seestudy *s = need(calloc(1, sizeof *s));
    cn_error err = {0};
    *s = (struct seestudy){.model = model, .path = path, .threads = threads, .natural = -1};
    cn_status st = cn_study_open(&s->study, path, &err);
    if (st == CN_OK)
        st = cn_study_check_model(s->study, model, &err);
    if (st != CN_OK) {
        seestudy_close(s);
        *out = NULL;
        return fail_error(&err, st);
    }
    *out = s;
    return EXIT_DONE;
}

void seestudy_close(struct seestudy *s)
{
    if (!s)
        return;
    cn_runner_free(s->runner);
    cn_evidence_close(s->evidence);
    cn_study_close(s->study);
    free(s);
}

/* The block whose sum a site of a ResNet is, before or after its ReLU: "visual.layer4" of four blocks, "visual.layer4.3", ".add" and
 * ".relu3" are all "visual.layer4.3". Other sites are themselves. */
static void sum_of(const cn_model_info *info, const char *name, char *out, size_t room)
{
    const size_t n = strlen(name);
    if (n == 13 && strncmp(name, "visual.layer", 12) == 0 && name[12] >= '1' && name[12] <= '4')
        snprintf(out, room, "%s.%d", name, info->blocks[name[12] - '1'] - 1);
    else if (strncmp(name, "visual.layer", 12) == 0 && has_ending(name, ".add"))
        snprintf(out, room, "%.*s", (int)n - 4, name);
    else if (strncmp(name, "visual.layer", 12) == 0 && has_ending(name, ".relu3"))
        snprintf(out, room, "%.*s", (int)n - 6, name);
    else
        snprintf(out, room, "%s", name);
}

/* The study's site that is the objective's, or the same sum on the other side of its ReLU. */
static bool find_unit(struct seestudy *s, const char *objective, cn_unit_ref *ref)
{
    const cn_model_info *info = cn_model_get_info(s->model);
    const cn_site *site;
    char wanted[256], there[256];
    cn_error ignored = {0};
    if (cn_model_parse_unit(s->model, objective, &site, &ref->unit, &ignored) != CN_OK)
        return false;
    sum_of(info, site->name, wanted, sizeof wanted);
    for (ref->site = 0; ref->site < cn_study_site_count(s->study); ref->site++) {
        sum_of(info, cn_study_site_at(s->study, ref->site)->name, there, sizeof there);
        if (strcmp(wanted, there) == 0)
            return ref->unit < cn_study_site_at(s->study, ref->site)->units;
    }
    return false;
}

bool seestudy_has(struct seestudy *s, const char *objective)
{
    cn_unit_ref ref;
    return find_unit(s, objective, &ref);
}

bool seestudy_keeps(struct seestudy *s, const char *objective, const char *facet, const char *settings)
{
    cn_visualisation *list = NULL;
    cn_unit_ref ref;
    size_t n = 0;
    bool kept = false;
    if (!find_unit(s, objective, &ref) || cn_study_visualisations(s->study, ref, &list, &n, NULL) != CN_OK)
        return false;
    for (size_t i = 0; i < n; i++)
        kept |= !strcmp(list[i].facet, facet ? facet : "") && !strcmp(list[i].settings, settings);
    cn_visualisations_free(list);
    return kept;
}

/* ---- measuring ---- */

static cn_status load_pixels(const struct seestudy *s, const void *bytes, size_t size, const char *name, bool drop_alpha, float *pixels,
                             cn_error *err)
{
    const cn_model_info *info = cn_model_get_info(s->model);
    const size_t side = (size_t)info->resolution;
    uint8_t *rgb = need(malloc(3 * side * side));
    const cn_image_options over_grey = {.rgb_first = drop_alpha, .composite_alpha = !drop_alpha, .background = {128, 128, 128}};
    cn_image *image = NULL;
    cn_status st = cn_image_decode(&image, bytes, size, name, &over_grey, err);
    if (st == CN_OK)
        st = cn_image_preprocess(image, info->resolution, rgb, err);
    if (st == CN_OK)
        cn_pixels_normalise(rgb, 1, info->resolution, info->mean, info->std, pixels);
    cn_image_free(image);
    free(rgb);
    return st;
}

/* The runner and the evidence for the site of a unit. */
static cn_status set_site(struct seestudy *s, size_t index, cn_error *err)
{
    if (s->runner && s->site == index)
        return CN_OK;
    cn_runner_free(s->runner);
    cn_evidence_close(s->evidence);
    s->runner = NULL;
    s->evidence = NULL;
    s->natural = -1;
    s->site = index;
    cn_status st = cn_model_find_site(s->model, cn_study_site_at(s->study, index)->name, &s->found, err);
    if (st == CN_OK) {
        const cn_runner_options o = {.tower = CN_TOWER_IMAGE, .sites = &s->found, .n_sites = 1, .batch = 1, .threads = s->threads};
        st = cn_runner_create(&s->runner, s->model, &o, err);
    }
    if (st == CN_OK) {
        st = cn_evidence_open(&s->evidence, s->model, s->found, s->threads, err);
        if (st == CN_EUNSUPPORTED) { /* the first block has none below it */
            cn_error_clear(err);
            st = CN_OK;
        }
    }
    return st;
}

/* Pixels of examples that have thumbnails: at most `most`, spread over the list. */
static cn_status example_pixels(const struct seestudy *s, const cn_example *list, size_t n, size_t most, float **pixels, size_t *count,
                                cn_error *err)
{
    const size_t side = (size_t)cn_model_get_info(s->model)->resolution, size = 3 * side * side, step = n > most ? (n + most - 1) / most : 1;
    cn_status st = CN_OK;
    *pixels = need(malloc((most + 1) * size * sizeof **pixels));
    *count = 0;
    for (size_t i = 0; i < n && *count < most && st == CN_OK; i += step) {
        if (!list[i].thumbnail)
            continue;
        st = load_pixels(s, list[i].thumbnail, list[i].thumbnail_size, list[i].path, true, *pixels + *count * size, err);
        *count += st == CN_OK;
    }
    return st;
}

/* How many of the strongest pictures drive the unit: at least half as much as the very strongest. */
static size_t count_driving(const cn_example *top, size_t n)
{
    size_t count = 0;
    while (count < n && count < DRIVING && (count < DRIVING_LEAST || top[count].sd >= top[0].sd / 2))
        count++;
    return count;
}

/* Leaves those out that are among the driving ones: a picture is like itself. */
static size_t drop_driving(cn_example *levels, size_t n, const cn_example *driving, size_t n_driving)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        bool among = false;
        for (size_t k = 0; k < n_driving; k++)
            among |= levels[i].image == driving[k].image;
        if (!among)
            levels[kept++] = levels[i];
    }
    return kept;
}

/* The natural pictures of a unit: its strongest, and a sample from all levels of activation. */
static cn_status set_natural(struct seestudy *s, cn_unit_ref ref, cn_error *err)
{
    cn_example *top = NULL, *levels = NULL;
    size_t n_top = 0, n_levels = 0, n_driving = 0, n_others = 0;
    float *driving = NULL, *others = NULL;
    if (!s->evidence || s->natural == ref.unit)
        return CN_OK;
    s->natural = -1;
    cn_status st = cn_study_examples(s->study, ref, CN_EXAMPLE_TOP, &top, &n_top, err);
    if (st == CN_OK)
        st = cn_study_examples(s->study, ref, CN_EXAMPLE_BUCKET, &levels, &n_levels, err);
    n_top = count_driving(top, n_top);
    n_levels = drop_driving(levels, n_levels, top, n_top);
    if (st == CN_OK)
        st = example_pixels(s, top, n_top, DRIVING, &driving, &n_driving, err);
    if (st == CN_OK)
        st = example_pixels(s, levels, n_levels, OTHERS, &others, &n_others, err);
    if (st == CN_OK && n_driving >= 2 && n_others >= 2) {
        st = cn_evidence_natural(s->evidence, driving, (int64_t)n_driving, others, (int64_t)n_others, err);
        if (st == CN_OK)
            s->natural = ref.unit;
    }
    cn_examples_free(top);
    cn_examples_free(levels);
    free(driving);
    free(others);
    return st;
}

/* {"layer1.0": 0.93, ...}, owned by the caller. */
static char *blocks_text(const cn_evidence *e, const float *similarity)
{
    char *text = need_format("{");
    for (size_t i = 0; i < cn_evidence_blocks(e); i++) {
        const char *name = cn_evidence_block(e, i)->name;
        char *more = isnan(similarity[i]) ? need_format("%s%s\"%s\": null", text, i ? ", " : "", name)
                                          : need_format("%s%s\"%s\": %.3f", text, i ? ", " : "", name, (double)similarity[i]);
        free(text);
        text = more;
    }
    char *whole = need_format("%s}", text);
    free(text);
    return whole;
}

static cn_status measure(struct seestudy *s, cn_unit_ref ref, const float *pixels, struct seen *out, char **blocks, cn_error *err)
{
    cn_unit_row *row = NULL;
    cn_status st = cn_study_unit(s->study, ref, &row, err);
    if (st == CN_OK)
        st = cn_runner_images(s->runner, pixels, 1, err);
    if (st == CN_OK) {
        out->value = (double)cn_reduce_unit(cn_study_get_info(s->study)->reduce, s->found, cn_runner_site(s->runner, 0), ref.unit);
        out->sd = row->rms > 0 ? out->value / row->rms : 0;
        out->natural_sd = row->peak_sd;
    }
    if (st == CN_OK && s->natural == ref.unit && s->evidence) {
        float *similarity = need(calloc(cn_evidence_blocks(s->evidence), sizeof *similarity));
        float overall;
        st = cn_evidence_measure(s->evidence, pixels, 1, similarity, &overall, err);
        if (st == CN_OK) {
            out->path = (double)overall;
            *blocks = blocks_text(s->evidence, similarity);
        }
        free(similarity);
    }
    cn_unit_rows_free(row);
    return st;
}

static int read_file(const char *path, void **bytes, size_t *size)
{
    FILE *f = fopen(path, "rbe");
    *bytes = NULL;
    *size = 0;
    if (!f)
        return fail("%s: cannot be read again", path);
    int code = fseek(f, 0, SEEK_END) == 0 ? EXIT_DONE : EXIT_FAILED;
    const long length = ftell(f);
    rewind(f);
    if (code == EXIT_DONE && length > 0) {
        *bytes = need(malloc((size_t)length));
        *size = fread(*bytes, 1, (size_t)length, f);
    }
    fclose(f);
    return *size && *size == (size_t)length ? EXIT_DONE : fail("%s: cannot be read again", path);
}

int seestudy_take(struct seestudy *s, const char *objective, const char *facet, const char *settings, const char *file, bool drop_alpha,
                  struct seen *out)
{
    const size_t side = (size_t)cn_model_get_info(s->model)->resolution;
    float *pixels = need(malloc(3 * side * side * sizeof *pixels));
    cn_unit_ref ref = {0, 0};
    cn_error err = {0};
    char *blocks = NULL;
    void *bytes = NULL;
    size_t size = 0;
    *out = (struct seen){.path = (double)NAN};
    int code = find_unit(s, objective, &ref) ? read_file(file, &bytes, &size) : fail("%s is no unit of %s", objective, s->path);
    cn_status st = CN_OK;
    if (code == EXIT_DONE) {
        st = load_pixels(s, bytes, size, file, drop_alpha, pixels, &err);
        if (st == CN_OK)
            st = set_site(s, ref.site, &err);
        if (st == CN_OK)
            st = set_natural(s, ref, &err);
        if (st == CN_OK)
            st = measure(s, ref, pixels, out, &blocks, &err);
        if (st == CN_OK) {
            const cn_visualisation v = {.facet = facet ? facet : "", .objective = objective, .settings = settings, .value = out->value,
                                        .path = out->path, .blocks = blocks ? blocks : "", .png = bytes, .png_size = size};
            st = cn_study_keep_visualisation(s->study, ref, &v, &err);
        }
        code = st == CN_OK ? EXIT_DONE : fail_error(&err, st);
    }
    free(blocks);
    free(bytes);
    free(pixels);
    return code;
}
