/* compose/probecheck.c -- what goes beside the weights: the zero-shot probe, what happens without a class's units, names. */
#include "base/memory.h"
#include "compose/probeparts.h"
#include "study/corpus.h"
#include "study/product.h"
#include "study/rowfile.h"
#include "study/kept.h"
#include "study/wordlist.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- zero-shot ---- */

/* What is missing is a reason, not a failure. */
static cn_status excuse(probe *p, cn_status st, const cn_error *reason, cn_error *err)
{
    if (st != CN_ENOTFOUND && st != CN_EUNSUPPORTED)
        return st == CN_OK ? CN_OK : cn_fail(err, st, "%s", reason->text);
    p->public.zero_shot_why = probe_keep(p, reason->text);
    return p->public.zero_shot_why ? CN_OK : cn_fail(err, CN_ENOMEM, "out of memory for a probe");
}

/* The classes' texts: those of the study's words where all are among them and the template is theirs, else through the text tower. */
static cn_status class_texts(corpus_words *w, cn_study *s, source *from, const char *template, char **word, int64_t n,
                             const cn_probe_options *o, cn_error *err)
{
    cn_status st = CN_OK;
    cn_error reason = {0};
    const char *of_study = s->info.word_template ? s->info.word_template : "{}";
    if (strcmp(template, of_study) == 0 && (st = corpus_words_read(w, s, &reason)) == CN_OK) {
        bool all = w->n > 0;
        for (int64_t k = 0; k < n && all; k++)
            all = corpus_words_find(w, word[k]) >= 0;
        if (all || (!from && w->n > 0))
            return CN_OK;
    }
    if (st != CN_OK && st != CN_ENOTFOUND && st != CN_EUNSUPPORTED)
        return cn_fail(err, st, "%s", reason.text);
    corpus_words_free(w);
    if (!from)
        return cn_fail(err, CN_ENOTFOUND, "no model was given for the names of classes");
    if (o->progress && !o->progress("texts", 0, n, o->user))
        return cn_fail(err, CN_ECANCELED, "the probe was cancelled");
    return corpus_words_embed(w, from, (const char *const *)word, (size_t)n, template, NULL, NULL, err);
}

static cn_status compare(probe *p, cn_study *s, const corpus_words *w, char *const *word, const probedata *d, cn_error *err)
{
    cn_status st = CN_OK;
    rowfile f = {0};
    const int64_t width = s->info.embedding;
    float *texts = product_floats(d->classes, width), *row = product_floats(1, width), *cosines = product_floats(1, d->classes);
    bool *known = cn_calloc((size_t)d->classes, sizeof *known);
    int64_t one = 0, five = 0;
    CN_CHECK(texts && row && cosines && known, CN_ENOMEM, "out of memory for %" PRId64 " classes", d->classes);
    CN_TRY(rowfile_open(&f, s, "embeddings.npy", s->info.images, width, err));
    for (int64_t k = 0; k < d->classes; k++) {
        const int64_t at = corpus_words_find(w, word[k]);
        known[k] = at >= 0;
        if (known[k])
            memcpy(texts + k * width, w->text + at * width, (size_t)width * sizeof *texts);
        p->public.zero_known += known[k];
    }
    for (int64_t i = 0; i < d->m; i++) {
        const int32_t y = d->y_test[i];
        int64_t before = 0;
        CN_TRY(rowfile_read(&f, d->test[i], row, err));
        product_normalise(row, row, width);
        product_rows(row, 1, texts, d->classes, width, cosines, d->classes);
        for (int64_t k = 0; k < d->classes; k++) /* a class without a known name is never the answer */
            before += known[k] && (!known[y] || cosines[k] > cosines[y] || (cosines[k] == cosines[y] && k < y));
        one += known[y] && before == 0;
        five += known[y] && before < 5;
    }
    p->public.zero1 = probe_share(one, d->m);
    p->public.zero5 = probe_share(five, d->m);
done:
    rowfile_close(&f);
    cn_free(texts);
    cn_free(row);
    cn_free(cosines);
    cn_free(known);
    return st;
}

cn_status probe_zero_shot(probe *p, cn_study *s, source *from, const cn_probe_options *o, const probedata *d, cn_error *err)
{
    cn_status st = CN_OK;
    cn_error reason = {0};
    corpus_words w = {0};
    wordlist one = {0};
    char **word = NULL;
    const char *template = o->word_template ? o->word_template : s->info.word_template ? s->info.word_template : "{}";
    p->public.zero1 = p->public.zero5 = probe_share(0, 0);
    CN_TRY(corpus_check_template(template, err));
    p->public.zero_shot_template = probe_keep(p, template);
    CN_CHECK(p->public.zero_shot_template, CN_ENOMEM, "out of memory for a probe");
    if (o->no_zero_shot || s->info.embedding <= 0) {
        p->public.zero_shot_why = probe_keep(p, o->no_zero_shot ? "not asked for" : "the study has no embeddings");
        CN_CHECK(p->public.zero_shot_why, CN_ENOMEM, "out of memory for a probe");
        goto done;
    }
    word = cn_calloc((size_t)d->classes, sizeof *word);
    CN_CHECK(word, CN_ENOMEM, "out of memory for %" PRId64 " classes", d->classes);
    for (int64_t k = 0; k < d->classes; k++) {
        CN_TRY(wordlist_add_label(&one, d->name[k], err));
        word[k] = one.count ? one.words[0] : cn_strdup(d->name[k]);
        one.count = 0; /* the word is ours */
        CN_CHECK(word[k], CN_ENOMEM, "out of memory for %" PRId64 " classes", d->classes);
    }
    CN_TRY(excuse(p, class_texts(&w, s, from, template, word, d->classes, o, &reason), &reason, err));
    if (!p->public.zero_shot_why) {
        reason = (cn_error){0};
        CN_TRY(excuse(p, compare(p, s, &w, word, d, &reason), &reason, err));
    }
done:
    for (int64_t k = 0; word && k < d->classes; k++)
        cn_free(word[k]);
    cn_free(word);
    wordlist_free(&one);
    corpus_words_free(&w);
    return st;
}

/* ---- checks ---- */

/* z of a class for a row, with the units of class `without` at their mean, which is 0 here; n_classes: none. */
static double logit(const cn_probe *p, const float *row, size_t k, const bool *off)
{
    const cn_probe_class *c = &p->classes[k];
    double z = c->intercept;
    for (size_t t = c->first; t < c->first + c->n; t++)
        if (!off || !off[p->terms[t].unit])
            z += p->terms[t].weight * (double)row[p->terms[t].unit];
    return z;
}

static bool right(const cn_probe *p, const float *row, size_t y, const bool *off)
{
    const double z = logit(p, row, y, off);
    for (size_t k = 0; k < p->n_classes; k++) {
        const double other = k == y ? z : logit(p, row, k, off);
        if (other > z || (other == z && k < y))
            return false;
    }
    return true;
}

/* The 97.5% quantile of Student's t: from tables up to ten degrees of freedom, then by Cornish and Fisher's expansion to the second order
 * (within 0.002). */
static double student(int64_t degrees)
{
    static const double few[] = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228};
    const double z = 1.959964, v = (double)degrees;
    if (degrees <= 10)
        return few[degrees - 1];
    return z + (pow(z, 3) + z) / (4 * v) + (5 * pow(z, 5) + 16 * pow(z, 3) + 3 * z) / (96 * v * v);
}

static void check_class(cn_probe *p, size_t k, const probedata *d, bool *off)
{
    cn_probe_class *c = &p->classes[k];
    double sum = 0, power = 0;
    int64_t n = 0, before = 0, after = 0;
    c->check = (cn_probe_check){.measured = (double)NAN, .low = (double)NAN, .high = (double)NAN};
    for (size_t t = c->first; t < c->first + c->n; t++) {
        c->check.predicted -= p->terms[t].weight * p->terms[t].level;
        off[p->terms[t].unit] = true;
    }
    for (int64_t i = 0; i < d->m; i++) {
        const float *row = d->x_test + i * d->units;
        if (d->y_test[i] != (int32_t)k)
            continue;
        const double change = logit(p, row, k, off) - logit(p, row, k, NULL);
        sum += change;
        power += change * change;
        before += right(p, row, k, NULL);
        after += right(p, row, k, off);
        n++;
    }
    for (size_t t = c->first; t < c->first + c->n; t++)
        off[p->terms[t].unit] = false;
    c->check.pictures = n;
    c->check.before = probe_share(before, n);
    c->check.after = probe_share(after, n);
    if (n)
        c->check.measured = sum / (double)n;
    if (n > 1) {
        const double mean = sum / (double)n, error = sqrt(fmax(0, power / (double)n - mean * mean) / (double)(n - 1));
        c->check.low = mean - student(n - 1) * error;
        c->check.high = mean + student(n - 1) * error;
    }
}

cn_status probe_check(cn_probe *p, const probedata *d, cn_error *err)
{
    bool *off = cn_calloc((size_t)d->units, sizeof *off);
    if (!off)
        return cn_fail(err, CN_ENOMEM, "out of memory for a probe");
    double sx = 0, sy = 0, xx = 0, xy = 0, yy = 0, n = 0;
    p->check_slope = p->check_r = (double)NAN;
    for (size_t k = 0; k < p->n_classes; k++) {
        check_class(p, k, d, off);
        const double x = p->classes[k].check.predicted, y = p->classes[k].check.measured;
        if (p->classes[k].n == 0 || isnan(y))
            continue;
        n++, sx += x, sy += y, xx += x * x, xy += x * y, yy += y * y;
    }
    if (n >= 2 && xx > 0) {
        p->check_slope = xy / xx;
        const double a = xx - sx * sx / n, b = yy - sy * sy / n;
        if (a > 0 && b > 0)
            p->check_r = (xy - sx * sy / n) / sqrt(a * b);
    }
    cn_free(off);
    return CN_OK;
}

/* ---- names ---- */

static cn_status read_names(probe *p, cn_study *s, size_t site, const char *sql, const char **name, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    bool more;
    CN_TRY(reader_query(s, &q, err, sql, "i", (int64_t)site));
    for (;;) {
        CN_TRY(reader_step(s, q, &more, err));
        if (!more)
            break;
        const int64_t unit = sqlite3_column_int64(q, 0);
        const char *text = (const char *)sqlite3_column_text(q, 1);
        CN_CHECK(unit >= 0 && unit < p->public.units, CN_EFORMAT, "%s: the study is damaged: a name of unit %" PRId64, s->path, unit);
        if (name[unit] || !text || !*text)
            continue;
        name[unit] = probe_keep(p, text);
        CN_CHECK(name[unit], CN_ENOMEM, "out of memory for names");
    }
done:
    sqlite3_finalize(q);
    return st;
}

cn_status probe_name_units(probe *p, cn_study *s, size_t site, cn_error *err)
{
    cn_status st = CN_OK;
    bool has;
    cn_probe *q = &p->public;
    const char **name = cn_calloc((size_t)q->units, sizeof *name), **label = cn_calloc((size_t)q->units, sizeof *label);
    char number[32];
    CN_CHECK(name && label, CN_ENOMEM, "out of memory for names");
    CN_TRY(kept_has(s, "unit_names", &has, err));
    if (has)
        CN_TRY(read_names(p, s, site, "SELECT unit, name FROM unit_names WHERE site = ? ORDER BY unit, heldout DESC, method", name, err));
    CN_TRY(read_names(p, s, site, "SELECT u.unit, l.name FROM units u JOIN labels l ON l.id = u.label WHERE u.site = ? ORDER BY u.unit", label,
                      err));
    for (size_t t = 0; t < q->n_terms; t++) {
        cn_probe_term *term = &q->terms[t];
        const int64_t u = term->unit;
        term->named = name[u] != NULL;
        if (!name[u] && !label[u]) {
            snprintf(number, sizeof number, "unit %" PRId64, u);
            label[u] = probe_keep(p, number);
            CN_CHECK(label[u], CN_ENOMEM, "out of memory for names");
        }
        term->name = name[u] ? name[u] : label[u];
    }
done:
    cn_free(name);
    cn_free(label);
    return st;
}
