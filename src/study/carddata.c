/* study/carddata.c -- reads a unit's card and prepares its numbers. */
#include "study/carddata.h"

#include "base/check.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

cn_status card_options(cn_card_options *out, const cn_card_options *options, cn_error *err)
{
    static const cn_card_options defaults;
    cn_status st = CN_OK;
    *out = options ? *options : defaults;
    int *const numbers[] = {&out->top, &out->bottom, &out->per_bucket, &out->words, &out->labels};
    static const int usual[] = {12, 6, 4, 5, 8};
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++) {
        if (*numbers[i] == 0)
            *numbers[i] = usual[i];
        CN_CHECK(*numbers[i] > 0 && *numbers[i] <= CN_MAX_STUDY_EXAMPLES, CN_EINVAL,
                 "numbers of examples, words and labels must be 1 to %d", CN_MAX_STUDY_EXAMPLES);
    }
    CN_CHECK(out->columns >= 0 && out->columns <= 16, CN_EINVAL, "columns must be 1 to 16");
    if (out->scale == 0)
        out->scale = 2;
    CN_CHECK(out->scale >= 0.25 && out->scale <= 8, CN_EINVAL, "scale must be 0.25 to 8");
done:
    return st;
}

void card_title(const cn_study_info *info, char *text, size_t room)
{
    snprintf(text, room, "%s: what its neurons respond to in \xe2\x80\x9c%s\xe2\x80\x9d", info->model_file,
             info->collection_name);
}

double card_step(double span, int steps)
{
    double rough = span / steps, power = pow(10, floor(log10(rough > 0 ? rough : 1)));
    double part = rough / power;
    return power * (part <= 1 ? 1 : part <= 2 ? 2 : part <= 5 ? 5 : 10);
}

/* Half of the first bar has a height of its own, so that single pictures in the tail are seen. */
double card_height(int64_t count, int64_t most)
{
    return count <= 0 || most <= 0 ? 0 : (log10((double)count) + 0.35) / (log10((double)most) + 0.35);
}

static const char *signed_number(double value, int digits, char text[32])
{
    char plain[24];
    snprintf(plain, sizeof plain, "%.*f", digits, fabs(value));
    bool zero = strspn(plain, "0.") == strlen(plain);
    snprintf(text, 32, "%s%s", value < 0 && !zero ? "\xe2\x88\x92" : "", plain);
    return text;
}

const char *card_number(double value, char text[32])
{
    double size = fabs(value);
    return signed_number(value, size >= 99.95 ? 0 : size >= 0.995 || size < 0.005 ? 1 : 2, text);
}

const char *card_number_at(double value, double step, char text[32])
{
    int digits = step > 0 ? (int)ceil(-log10(step) + 0.3) : 1;
    return signed_number(value, digits < 1 ? 1 : digits > 6 ? 6 : digits, text);
}

double card_right_height(const card *c)
{
    double tallest = 0;
    for (size_t i = c->bins - c->bins / 8; i < c->bins; i++)
        tallest = fmax(tallest, card_height(c->counts[i], c->most));
    return tallest;
}

const char *card_share(double share, char text[32])
{
    double percent = 100 * share;
    if (percent > 0 && percent < 0.1)
        snprintf(text, 32, "<0.1%%");
    else if (percent < 100 && percent > 99.9)
        snprintf(text, 32, ">99.9%%");
    else
        snprintf(text, 32, "%.*f%%", percent == 0 || percent >= 10 ? 0 : 1, percent);
    return text;
}

#define DAGGER "\xe2\x80\xa0"

bool card_other_path(const cn_visualisation *v)
{
    return v->path < (double)CN_PATH_LOW; /* not for NaN */
}

bool card_falls_short(const card *c, const cn_visualisation *v)
{
    return v->sd < c->row->peak_sd;
}

void card_seen_sd(const card *c, const cn_visualisation *v, bool alone, char *text, size_t room)
{
    char number[32];
    snprintf(text, room, "%s sd%s", card_number(v->sd, number), card_falls_short(c, v) && !alone ? DAGGER : "");
}

void card_seen_note(const card *c, char *text, size_t room)
{
    size_t other = 0, measured = 0, shorter = 0;
    for (size_t i = 0; i < c->n_seen; i++) {
        shorter += card_falls_short(c, &c->seen[i]);
        other += card_other_path(&c->seen[i]);
        measured += !isnan(c->seen[i].path);
    }
    *text = 0;
    if (shorter) {
        const int n = snprintf(text, room, "%s not reach the strongest natural picture. ",
                               c->n_seen == 1 ? "This picture does" : shorter == c->n_seen ? "These pictures do" : "Those marked with " DAGGER " do");
        text += n, room -= (size_t)n;
    }
    if (other)
        snprintf(text, room,
                 "%s through the lower blocks than natural pictures that drive the unit: what %s may have little to do with "
                 "what the unit does.",
                 c->n_seen == 1       ? "This picture takes another path"
                 : other == c->n_seen ? "These pictures take another path"
                                      : "Those marked with * take another path",
                 c->n_seen == 1 ? "it shows" : "they show");
    else if (measured)
        snprintf(text, room, "Path: 1 is like natural pictures that drive the unit through the blocks below, 0 like any others.");
}

void card_legend(bool short_ones, bool other_paths, char *text, size_t room)
{
    snprintf(text, room, "%s%s%s", short_ones ? DAGGER " does not reach the strongest natural picture" : "",
             short_ones && other_paths ? " \xc2\xb7 " : "", other_paths ? "* takes another path through the lower blocks than natural pictures" : "");
}

/* ---- reading ---- */

static size_t at_most(size_t n, int limit)
{
    return n < (size_t)limit ? n : (size_t)limit;
}

/* Keeps the first `per` examples of every bucket. */
static void thin_buckets(card *c, int per)
{
    size_t kept = 0;
    int bucket = -1, held = 0;
    for (size_t i = 0; i < c->n_bucket; i++) {
        if (c->bucket[i].bucket != bucket) {
            bucket = c->bucket[i].bucket;
            held = 0;
        }
        if (held++ < per)
            c->bucket[kept++] = c->bucket[i];
    }
    c->n_bucket = kept;
}

static cn_status read_histogram(card *c, cn_study *study, cn_error *err)
{
    cn_status st = CN_OK;
    c->bucket_counts = cn_calloc((size_t)c->info->buckets, sizeof *c->bucket_counts);
    CN_CHECK(c->bucket_counts, CN_ENOMEM, "out of memory for a card");
    if (c->row->dead)
        goto done;
    c->low = c->row->min / c->row->rms;
    c->high = c->row->max / c->row->rms;
    c->bins = CARD_BINS;
    CN_CHECK(c->row->rms > 0 && isfinite(c->low) && isfinite(c->high) && c->high > c->low, CN_EFORMAT,
             "%s: the study is damaged: the range of unit %lld", c->info->path, (long long)c->row->ref.unit);
    CN_TRY(cn_study_histogram(study, c->row->ref, c->low, c->high, c->bins, c->counts, err));
    CN_TRY(cn_study_histogram(study, c->row->ref, c->low, c->high, (size_t)c->info->buckets, c->bucket_counts,
                              err));
    for (size_t i = 0; i < c->bins; i++)
        c->most = c->counts[i] > c->most ? c->counts[i] : c->most;
done:
    return st;
}

/* What raters saw, if anybody rated the unit. */
static cn_status read_categories(card *c, cn_study *study, cn_unit_ref ref, cn_error *err)
{
    cn_rating *ratings = NULL;
    size_t n = 0;
    cn_status st = cn_study_ratings(study, ref, NULL, &ratings, &n, err);
    cn_ratings_free(ratings);
    if (st == CN_OK && n > 0)
        st = cn_study_category_table(study, ref, NULL, &c->categories, err);
    return st;
}

/* ---- names about people ---- */

typedef struct warning {
    cn_study *study;
    char text[2048];
    const char *names[8]; /* said */
    size_t n;
    const char *family;
} warning;

/* rate < 0: the share of the pictures that carry the name as a label. */
static cn_status warn_of(warning *w, const char *name, const char *family, double rate, cn_error *err)
{
    cn_status st = CN_OK;
    char number[32];
    const size_t used = strlen(w->text);
    if (!family || w->n == sizeof w->names / sizeof *w->names)
        return CN_OK;
    for (size_t i = 0; i < w->n; i++)
        if (strcasecmp(w->names[i], name) == 0)
            return CN_OK;
    if (rate < 0)
        CN_TRY(cn_study_base_rate(w->study, name, &rate, err));
    snprintf(w->text + used, sizeof w->text - used, "%s%.200s (%s, ", w->n ? ", " : "", name, family);
    const size_t more = strlen(w->text);
    if (rate > 0)
        snprintf(w->text + more, sizeof w->text - more, "%s of the pictures)", card_share(rate, number));
    else
        snprintf(w->text + more, sizeof w->text - more, "label of no picture)");
    w->names[w->n++] = name;
    w->family = family;
done:
    return st;
}

static const char *family_of(const cn_multimodal_fact *f)
{
    return f->sensitive ? f->family : cn_concept_people(f->concept_name);
}

static cn_status read_warning(card *c, cn_study *study, cn_error *err)
{
    cn_status st = CN_OK;
    warning w = {.study = study};
    CN_TRY(warn_of(&w, c->row->label, cn_concept_people(c->row->label), -1, err));
    for (size_t i = 0; i < c->n_names; i++)
        CN_TRY(warn_of(&w, c->names[i].name, cn_concept_people(c->names[i].name), -1, err));
    for (size_t i = 0; i < c->n_facts; i++)
        CN_TRY(warn_of(&w, c->facts[i].concept_name, family_of(&c->facts[i]), c->facts[i].base_rate, err));
    for (size_t i = 0; i < c->n_served; i++)
        CN_TRY(warn_of(&w, c->served[i].class_name, cn_concept_people(c->served[i].class_name), -1, err));
    for (size_t i = 0; i < c->n_words; i++)
        if (c->words[i].significant)
            CN_TRY(warn_of(&w, c->words[i].word, cn_concept_people(c->words[i].word), -1, err));
    if (c->family && c->family->belongs && c->family->sensitive && !w.n)
        CN_TRY(warn_of(&w, c->family->family, c->family->family, c->family->base_rate, err));
    if (w.n) {
        const char *sentence = cn_family_warning(w.family) ? cn_family_warning(w.family) : cn_family_warning("region");
        const size_t size = strlen(w.text) + strlen(sentence) + 16;
        c->warning = cn_malloc(size);
        CN_CHECK(c->warning, CN_ENOMEM, "out of memory for a card");
        snprintf(c->warning, size, "%s: %s.", w.text, sentence);
    }
done:
    return st;
}

void card_reader_text(const card *c, char *text, size_t room)
{
    const cn_reader_fact *f = c->reader;
    *text = 0;
    if (f)
        snprintf(text, room,
                 "It reads: a common word on a picture moves the picture's cosine with that word by %+.2g (%+.2g to %+.2g) through this unit. Number %lld of the "
                 "%lld units that read.",
                 f->unit.push, f->unit.low, f->unit.high, (long long)f->rank + 1, (long long)f->of);
}

void card_family_text(const card *c, char *text, size_t room)
{
    const cn_family_fact *f = c->family;
    *text = 0;
    if (f && f->belongs)
        snprintf(text, room, "Family: %.100s, AUC %.2f (%.2f to %.2f) over its %lld concepts, q %.2g.", f->family, f->auc, f->low, f->high,
                 (long long)f->concepts, f->q);
}

void card_multimodal_text(const card *c, char *text, size_t room)
{
    *text = 0;
    if (c->n_facts) { /* the best of its concepts first */
        if (c->facts[0].multimodal)
            snprintf(text, room, "multimodal: %.200s", c->facts[0].concept_name);
    } else if (c->row->reads && c->row->media_count > 1 && c->row->max > 0) {
        snprintf(text, room, "pictures and the word among its strongest");
    }
}

cn_status card_read(card *c, cn_study *study, cn_unit_ref ref, const cn_card_options *o, cn_error *err)
{
    cn_status st = CN_OK;
    memset(c, 0, sizeof *c);
    c->info = cn_study_get_info(study);
    CN_TRY(cn_study_unit(study, ref, &c->row, err));
    c->site = cn_study_site_at(study, ref.site);
    c->theme = o->theme;
    CN_TRY(cn_study_examples(study, ref, CN_EXAMPLE_TOP, &c->top, &c->n_top, err));
    CN_TRY(cn_study_examples(study, ref, CN_EXAMPLE_BOTTOM, &c->bottom, &c->n_bottom, err));
    c->n_top = at_most(c->n_top, o->top);
    c->n_bottom = at_most(c->n_bottom, o->bottom);
    if (!o->no_buckets) {
        CN_TRY(cn_study_examples(study, ref, CN_EXAMPLE_BUCKET, &c->bucket, &c->n_bucket, err));
        thin_buckets(c, o->per_bucket);
        if (!c->row->dead)
            CN_TRY(read_categories(c, study, ref, err));
    }
    CN_TRY(cn_study_groups(study, ref, CN_GROUP_LABEL, &c->labels, &c->n_labels, err));
    CN_TRY(cn_study_groups(study, ref, CN_GROUP_MEDIUM, &c->media, &c->n_media, err));
    CN_TRY(cn_study_groups(study, ref, CN_GROUP_LABEL_MEDIUM, &c->label_media, &c->n_label_media, err));
    CN_TRY(cn_study_words(study, ref, &c->words, &c->n_words, err));
    c->n_labels = at_most(c->n_labels, o->labels);
    c->n_words = at_most(c->n_words, o->words);
    CN_TRY(cn_study_visualisations(study, ref, &c->seen, &c->n_seen, err));
    CN_TRY(cn_study_unit_names(study, ref, &c->names, &c->n_names, err));
    CN_TRY(cn_study_multimodal_facts(study, ref, &c->facts, &c->n_facts, err));
    CN_TRY(cn_study_family_fact(study, ref, &c->family, err));
    CN_TRY(cn_study_served_classes(study, ref, &c->served, &c->n_served, err));
    CN_TRY(cn_study_reader_fact(study, ref, &c->reader, err));
    CN_TRY(read_warning(c, study, err));
    CN_TRY(read_histogram(c, study, err));
done:
    return st;
}

void card_free(card *c)
{
    cn_unit_rows_free(c->row);
    cn_examples_free(c->top);
    cn_examples_free(c->bottom);
    cn_examples_free(c->bucket);
    cn_groups_free(c->labels);
    cn_groups_free(c->media);
    cn_groups_free(c->label_media);
    cn_words_free(c->words);
    cn_visualisations_free(c->seen);
    cn_unit_names_free(c->names);
    cn_multimodal_facts_free(c->facts);
    cn_family_fact_free(c->family);
    cn_served_classes_free(c->served);
    cn_reader_fact_free(c->reader);
    cn_free(c->warning);
    cn_category_table_free(c->categories);
    cn_free(c->bucket_counts);
    memset(c, 0, sizeof *c);
}

/* ---- the mask ---- */

typedef struct bytes {
    unsigned char *data;
    size_t size, room;
} bytes;

static cairo_status_t append(void *self, const unsigned char *data, unsigned int length)
{
    bytes *b = self;
    if (b->size + length > b->room) {
        size_t room = 2 * b->room + length + 256;
        unsigned char *grown = cn_realloc(b->data, room);
        if (!grown)
            return CAIRO_STATUS_NO_MEMORY;
        b->data = grown;
        b->room = room;
    }
    memcpy(b->data + b->size, data, length);
    b->size += length;
    return CAIRO_STATUS_SUCCESS;
}

/* The weight between cell centres, linear; flat beyond the outermost centres. */
static double between(const float *weight, int64_t height, int64_t width, double y, double x)
{
    y = fmin(fmax(y - 0.5, 0), (double)height - 1);
    x = fmin(fmax(x - 0.5, 0), (double)width - 1);
    int64_t y0 = (int64_t)y, x0 = (int64_t)x;
    int64_t y1 = y0 + 1 < height ? y0 + 1 : y0, x1 = x0 + 1 < width ? x0 + 1 : x0;
    double fy = y - (double)y0, fx = x - (double)x0;
    return (1 - fy) * ((1 - fx) * weight[y0 * width + x0] + fx * weight[y0 * width + x1]) +
           fy * ((1 - fx) * weight[y1 * width + x0] + fx * weight[y1 * width + x1]);
}

cairo_surface_t *card_mask(const float *weight, int64_t height, int64_t width)
{
    int64_t most = height > width ? height : width, times = most >= 24 ? 1 : (24 + most - 1) / most;
    int down = (int)(height * times), across = (int)(width * times);
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_ARGB32, across, down);
    if (cairo_surface_status(surface) != CAIRO_STATUS_SUCCESS)
        return surface;
    cairo_surface_flush(surface);
    unsigned char *pixels = cairo_image_surface_get_data(surface);
    int stride = cairo_image_surface_get_stride(surface);
    for (int y = 0; y < down; y++)
        for (int x = 0; x < across; x++) {
            double w = between(weight, height, width, (y + 0.5) / (double)times, (x + 0.5) / (double)times);
            double shade = fmin(1, 1.35 * (1 - w)); /* a quarter below the peak it begins to be seen */
            uint32_t alpha = (uint32_t)lround(122 * shade * shade) / 4 * 4; /* few values: a small file */
            uint32_t argb = alpha << 24;                                    /* black, premultiplied */
            memcpy(pixels + (size_t)y * (size_t)stride + 4 * (size_t)x, &argb, sizeof argb);
        }
    cairo_surface_mark_dirty(surface);
    return surface;
}

cn_status card_mask_png(const float *weight, int64_t height, int64_t width, void **png, size_t *size,
                        cn_error *err)
{
    cn_status st = CN_OK;
    bytes b = {0};
    cairo_surface_t *surface = card_mask(weight, height, width);
    *png = NULL;
    *size = 0;
    CN_CHECK(cairo_surface_write_to_png_stream(surface, append, &b) == CAIRO_STATUS_SUCCESS, CN_ENOMEM,
             "out of memory for a mask");
    *png = b.data, b.data = NULL;
    *size = b.size;
done:
    cn_free(b.data);
    cairo_surface_destroy(surface);
    return st;
}
