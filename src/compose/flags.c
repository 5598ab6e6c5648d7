/* compose/flags.c -- which unit answers to a country's flag and to its written name: the pictures of a study beside a space of drawn words. */
#include "base/memory.h"
#include "compose/regionflags.h"
#include "study/corpus.h"
#include "study/rowfile.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <strings.h>

enum { LEAST_COUNTRIES = 3 }; /* a flag is told from others, and a name needs others' flags */

/* What the caller gets, with what flags_values reads. */
typedef struct holder {
    cn_region_flags r; /* first */
    float *values;     /* (r.n, units): what units answer to each country's pictures, sd */
} holder;

void cn_region_flags_free(cn_region_flags *flags)
{
    holder *h = (holder *)flags;
    if (!h)
        return;
    cn_free(h->r.countries);
    cn_free(h->values);
    cn_free(h);
}

const float *flags_values(const cn_region_flags *flags)
{
    return ((const holder *)flags)->values;
}

/* ---- pictures ---- */

/* place (labels.n): the place that each label names, -1. */
static cn_status match_labels(cn_study *s, corpus_labels *labels, int64_t **place, cn_error *err)
{
    cn_status st = CN_OK;
    size_t n;
    const cn_place *places = cn_places(&n);
    CN_TRY(corpus_labels_read(labels, s, err));
    *place = cn_calloc((size_t)labels->n + 1, sizeof **place);
    CN_CHECK(*place, CN_ENOMEM, "out of memory for %" PRId64 " labels", labels->n);
    for (int64_t l = 0; l < labels->n; l++) {
        (*place)[l] = -1;
        for (size_t i = 0; i < n && (*place)[l] < 0; i++)
            if (strcasecmp(labels->word[l], places[i].country) == 0 || strcasecmp(labels->name[l], places[i].country) == 0)
                (*place)[l] = (int64_t)i;
    }
done:
    return st;
}

/* of (images): the place that each picture shows, -1: another thing, -2: it is writing. images: (places) how many show each. */
static cn_status find_pictures(cn_study *s, const int64_t *place, int64_t labels, int64_t *of, int64_t *images, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    bool more;
    int64_t n = 0;
    CN_TRY(reader_query(s, &q, err,
                        "SELECT i.id, i.label, coalesce(m.written, 0) FROM images i LEFT JOIN media m ON m.id = i.medium ORDER BY i.id", ""));
    for (;; n++) {
        CN_TRY(reader_step(s, q, &more, err));
        if (!more)
            break;
        const int64_t label = sqlite3_column_type(q, 1) == SQLITE_NULL ? -1 : sqlite3_column_int64(q, 1);
        CN_CHECK(n < s->info.images && sqlite3_column_int64(q, 0) == n && label >= -1 && label < labels, CN_EFORMAT,
                 "%s: the study is damaged: number or label of image %" PRId64, s->path, n);
        of[n] = sqlite3_column_int(q, 2) ? -2 : label < 0 ? -1 : place[label];
        if (of[n] >= 0)
            images[of[n]]++;
    }
    CN_CHECK(n == s->info.images, CN_EFORMAT, "%s: the study is damaged: %" PRId64 " images, not %" PRId64, s->path, n, s->info.images);
done:
    sqlite3_finalize(q);
    return st;
}

/* h->values: means over a country's pictures less the mean over all that are no writing, in their deviations. row: (places) of a country in
 * h->r.countries. */
static cn_status read_values(holder *h, cn_study *s, size_t site, bool rectified, const int64_t *of, const size_t *row, cn_error *err)
{
    cn_status st = CN_OK;
    rowfile f = {0};
    const int64_t units = s->sites[site].units;
    double *mean = cn_calloc((size_t)units + 1, sizeof *mean), *squares = cn_calloc((size_t)units + 1, sizeof *squares);
    double *sums = cn_calloc(h->r.n * (size_t)units + 1, sizeof *sums);
    float *values = cn_calloc((size_t)units + 1, sizeof *values);
    int64_t count = 0;
    CN_CHECK(mean && squares && sums && values, CN_ENOMEM, "out of memory for %" PRId64 " units", units);
    CN_TRY(rowfile_open_site(&f, s, site, "mean", s->info.images, units, err));
    for (int64_t i = 0; i < s->info.images; i++) {
        if (of[i] < -1)
            continue;
        CN_TRY(rowfile_read(&f, i, values, err));
        count++;
        for (int64_t u = 0; u < units; u++) { /* Welford's update: large means with small deviations stay exact */
            const double v = rectified && values[u] < 0 ? 0 : (double)values[u], delta = v - mean[u];
            mean[u] += delta / (double)count;
            squares[u] += delta * (v - mean[u]);
            if (of[i] >= 0)
                sums[row[of[i]] * (size_t)units + (size_t)u] += v;
        }
    }
    h->values = cn_calloc(h->r.n * (size_t)units + 1, sizeof *h->values);
    CN_CHECK(h->values, CN_ENOMEM, "out of memory for %" PRId64 " units", units);
    for (size_t c = 0; c < h->r.n; c++)
        for (int64_t u = 0; u < units; u++) {
            const double sd = sqrt(squares[u] / (double)count);
            const size_t at = c * (size_t)units + (size_t)u;
            h->values[at] = sd > 0 ? (float)((sums[at] / (double)h->r.countries[c].pictures - mean[u]) / sd) : 0;
        }
done:
    rowfile_close(&f);
    cn_free(mean);
    cn_free(squares);
    cn_free(sums);
    cn_free(values);
    return st;
}

/* ---- units ---- */

static float least(float a, float b)
{
    return a < b ? a : b;
}

/* names: (n, units) of the countries' names, sd. */
static void choose_units(holder *h, const float *names, int64_t units)
{
    for (size_t c = 0; c < h->r.n; c++) {
        cn_region_country *r = &h->r.countries[c];
        const float *name = names + c * (size_t)units, *flag = h->values + c * (size_t)units;
        for (int64_t u = 1; u < units; u++) {
            r->unit = least(name[u], flag[u]) > least(name[r->unit], flag[r->unit]) ? u : r->unit;
            r->name_unit = name[u] > name[r->name_unit] ? u : r->name_unit;
            r->flag_unit = flag[u] > flag[r->flag_unit] ? u : r->flag_unit;
        }
        r->name = (double)name[r->unit];
        r->flag = (double)flag[r->unit];
        r->name_most = (double)name[r->name_unit];
        r->flag_most = (double)flag[r->flag_unit];
    }
}

/* The same with every other country's flag. */
static cn_status compare_with_chance(holder *h, const float *names, int64_t units, cn_error *err)
{
    cn_status st = CN_OK;
    cn_region_flags *r = &h->r;
    const double pairs = (double)r->n * (double)(r->n - 1);
    int64_t *higher = cn_calloc(r->n, sizeof *higher), above = 0;
    CN_CHECK(higher, CN_ENOMEM, "out of memory for %zu countries", r->n);
    for (size_t a = 0; a < r->n; a++)
        for (size_t b = 0; b < r->n; b++) {
            const float *name = names + a * (size_t)units, *flag = h->values + b * (size_t)units;
            float most = least(name[0], flag[0]);
            if (a == b)
                continue;
            for (int64_t u = 1; u < units; u++) {
                const float both = least(name[u], flag[u]);
                most = both > most ? both : most;
            }
            above += (double)most >= CN_REGION_LEVEL;
            for (size_t c = 0; c < r->n; c++)
                higher[c] += (double)most >= fmin(r->countries[c].name, r->countries[c].flag);
        }
    r->by_chance = (double)above / (double)(r->n - 1);
    for (size_t c = 0; c < r->n; c++) {
        const cn_region_country *k = &r->countries[c];
        r->countries[c].p = (1 + (double)higher[c]) / (1 + pairs);
        r->both += fmin(k->name, k->flag) >= CN_REGION_LEVEL;
    }
done:
    cn_free(higher);
    return st;
}

cn_status cn_word_space_flags(const cn_word_space *space, cn_study *s, size_t site, cn_region_flags **out, cn_error *err)
{
    cn_status st = CN_OK;
    size_t n_places, *row = NULL;
    const cn_place *places = cn_places(&n_places);
    corpus_labels labels = {0};
    int64_t *place = NULL, *of = NULL, *images = NULL;
    float *names = NULL;
    double *sd = NULL;
    holder *h = cn_calloc(1, sizeof *h);
    *out = NULL;
    CN_CHECK(h, CN_ENOMEM, "out of memory for countries");
    CN_CHECK(site < s->n_sites, CN_EINVAL, "%s: site %zu: the study has %zu", s->path, site, s->n_sites);
    CN_CHECK(s->sites[site].units == space->units && (!space->site || strcmp(space->site, s->sites[site].name) == 0), CN_EINVAL,
             "%s: %s is another site than that of the drawn words", s->path, s->sites[site].name);
    CN_CHECK(s->info.reduce == CN_REDUCE_MEAN, CN_EUNSUPPORTED, "%s: a study with --reduce %s, and activations of words are means (scan --reduce mean)",
             s->path, cn_reduce_name(s->info.reduce));
    CN_CHECK(!*s->info.edits, CN_EMISMATCH, "%s: its network was edited (%s), that of the drawn words was not", s->path, s->info.edits);
    CN_CHECK(s->info.images > 0 && s->info.images <= CN_MAX_STUDY_IMAGES, CN_ENOTFOUND, "%s: the study has no pictures", s->path);
    of = cn_calloc((size_t)s->info.images, sizeof *of);
    images = cn_calloc(n_places, sizeof *images);
    row = cn_calloc(n_places, sizeof *row);
    CN_CHECK(of && images && row, CN_ENOMEM, "out of memory for %" PRId64 " pictures", s->info.images);
    CN_TRY(match_labels(s, &labels, &place, err));
    CN_TRY(find_pictures(s, place, labels.n, of, images, err));

    h->r.countries = cn_calloc(n_places, sizeof *h->r.countries);
    CN_CHECK(h->r.countries, CN_ENOMEM, "out of memory for countries");
    for (size_t i = 0; i < n_places; i++)
        if (images[i] && cn_word_space_find(space, places[i].country) >= 0) {
            row[i] = h->r.n;
            h->r.countries[h->r.n++] = (cn_region_country){.place = i, .pictures = images[i]};
        } else {
            for (int64_t k = 0; k < s->info.images && images[i]; k++) /* no name to compare them with: pictures like others */
                of[k] = of[k] == (int64_t)i ? -1 : of[k];
        }
    CN_CHECK(h->r.n >= LEAST_COUNTRIES, CN_ENOTFOUND,
             "%s: %zu countries have pictures that are no writing, labelled with the country's name; %d are needed", s->path, h->r.n, LEAST_COUNTRIES);
    CN_TRY(read_values(h, s, site, space->rectified, of, row, err));

    const size_t units = (size_t)space->units;
    sd = cn_calloc(units, sizeof *sd);
    names = cn_calloc(h->r.n * units, sizeof *names);
    CN_CHECK(sd && names, CN_ENOMEM, "out of memory for %zu units", units);
    wordspace_deviations(space, sd);
    for (size_t c = 0; c < h->r.n; c++) {
        const int64_t word = cn_word_space_find(space, places[h->r.countries[c].place].country);
        for (size_t u = 0; u < units; u++)
            names[c * units + u] = sd[u] > 0 ? (float)((double)space->values[(size_t)word * units + u] / sd[u]) : 0;
    }
    choose_units(h, names, space->units);
    CN_TRY(compare_with_chance(h, names, space->units, err));
    for (size_t c = 0; c < h->r.n; c++) {
        cn_region_country *k = &h->r.countries[c];
        const int64_t capital = cn_word_space_find(space, places[k->place].capital);
        const double deviation = sd[k->unit];
        k->capital = capital < 0 ? (double)NAN : deviation > 0 ? (double)space->values[(size_t)capital * units + (size_t)k->unit] / deviation : 0;
    }
    *out = &h->r, h = NULL;
done:
    cn_region_flags_free((cn_region_flags *)h);
    corpus_labels_free(&labels);
    cn_free(place);
    cn_free(of);
    cn_free(images);
    cn_free(row);
    cn_free(names);
    cn_free(sd);
    return st;
}
