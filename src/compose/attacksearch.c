/* compose/attacksearch.c -- texts that fool: what the units like that serve the target, and their names; names and words whose meaning is near the
 * target's; and strings that a genetic search breeds. Texts are chosen on some pictures and measured on others. */
#include "compose/attackpictures.h"
#include "compose/attackset.h"
#include "compose/textspace.h"

#include "base/memory.h"
#include "clipneuron/find.h"
#include "clipneuron/linear.h"
#include "study/product.h"
#include "study/wordlist.h"
#include "base/rng.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

typedef struct trial {
    char *text; /* in the search's bag */
    cn_attack_origin origin;
    int64_t unit;
    double margin, pixels;
    int64_t hits;
} trial;

typedef struct search {
    attack_set set;
    cn_attack_search_options o;
    const char *target;
    int class;
    bag memory;
    int64_t *train, *heldout; /* pictures */
    int64_t n_train, n_heldout;
    const char **texts; /* (n_texts): classes, then words; the target behind them */
    size_t n_texts;
    float *vectors;     /* (n_texts + 1, width) of length 1 */
    bool *known;        /* (n_texts): the model has seen all tokens */
    cn_attack_unit *units; /* (n_units), in the search's bag */
    size_t n_units;
    cn_linear_fit fit;
    trial *trials; /* all that were drawn */
    size_t n, room;
    uint8_t *rgb;
    float *embedding;
    int64_t total; /* about how many there will be */
} search;

/* ---- one text ---- */

static bool tried(const search *s, const char *text)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->trials[i].text, text) == 0)
            return true;
    return false;
}

/* Draws a text on pictures and calls each for every embedding. */
typedef void take_embedding(void *user, int64_t picture, const float *embedding);
static cn_status draw_on(search *s, const char *text, const int64_t *pictures, int64_t n, int64_t *changed, take_embedding *each, void *user,
                         cn_error *err)
{
    cn_status st = CN_OK;
    attack_set *set = &s->set;
    const size_t bytes = (size_t)set->side * (size_t)set->side * 3;
    *changed = 0;
    for (int64_t first = 0; first < n; first += set->o.batch) {
        const int64_t count = n - first < set->o.batch ? n - first : set->o.batch;
        for (int64_t i = 0; i < count; i++) {
            int64_t px;
            uint8_t *rgb = s->rgb + (size_t)i * bytes;
            memcpy(rgb, attack_rgb(set, pictures[first + i]), bytes);
            CN_TRY(cn_lettering_draw(rgb, set->side, set->side, text, &set->o.lettering, &px, err));
            *changed += px;
        }
        CN_TRY(attack_embed(set, s->rgb, count, s->embedding, err));
        for (int64_t i = 0; i < count; i++)
            each(user, pictures[first + i], s->embedding + i * set->width);
    }
done:
    return st;
}

typedef struct judge {
    const search *s;
    double margin;
    int64_t hits;
} judge;

static void judge_one(void *user, int64_t picture, const float *embedding)
{
    judge *j = user;
    const attack_set *set = &j->s->set;
    const float *classes = set->plain[0];
    double own = 0, other = -INFINITY;
    (void)picture;
    for (size_t c = 0; c < set->n_classes; c++) {
        const double cosine = attack_dot(embedding, classes + (int64_t)c * set->width, set->width);
        if ((int)c == j->s->class)
            own = cosine;
        else
            other = fmax(other, cosine);
    }
    j->margin += own - other;
    j->hits += attack_answer(embedding, classes, set->n_classes, set->width) == j->s->class;
}

/* A text that cannot be drawn, or that was drawn before, is passed over. */
static cn_status try_text(search *s, const char *text, cn_attack_origin origin, int64_t unit, cn_error *err)
{
    cn_status st = CN_OK;
    cn_error ignored = {0};
    uint8_t pixel[3] = {0};
    judge j = {.s = s};
    int64_t changed;
    if (tried(s, text) || cn_lettering_draw(pixel, 1, 1, text, &s->set.o.lettering, NULL, &ignored) != CN_OK)
        return CN_OK;
    if (s->n == s->room) {
        const size_t room = s->room ? 2 * s->room : 128;
        trial *more = cn_reallocarray(s->trials, room, sizeof *more);
        CN_CHECK(more, CN_ENOMEM, "out of memory for %zu texts", room);
        s->trials = more, s->room = room;
    }
    CN_TRY(draw_on(s, text, s->train, s->n_train, &changed, judge_one, &j, err));
    trial *t = &s->trials[s->n];
    *t = (trial){bag_text(&s->memory, text), origin, unit, j.margin / (double)s->n_train,
                 (double)changed / ((double)s->n_train * s->set.side * s->set.side), j.hits};
    CN_CHECK(t->text, CN_ENOMEM, "out of memory for a text");
    s->n++;
    CN_TRY(attack_go_on(&s->set, "searching", (int64_t)s->n < s->total ? (int64_t)s->n : s->total, s->total, err));
done:
    return st;
}

/* ---- names and words ---- */

typedef struct near {
    size_t at; /* in the search's texts */
    const char *text;
    double cosine;
} near;

static int by_cosine(const void *a, const void *b)
{
    const near *x = a, *y = b;
    if (x->cosine != y->cosine)
        return x->cosine > y->cosine ? -1 : 1;
    return strcmp(x->text, y->text);
}

static cn_status embed_texts(search *s, cn_error *err)
{
    cn_status st = CN_OK;
    attack_set *set = &s->set;
    const char *const *words = s->o.words ? s->o.words : wordlist_common;
    const size_t n = set->n_classes + (s->o.words ? s->o.n_words : wordlist_common_count);
    const size_t context = (size_t)cn_model_get_info(set->model)->context_length;
    int32_t *row = cn_calloc(context + 1, sizeof *row);
    s->texts = bag_calloc(&s->memory, n + 1, sizeof *s->texts);
    s->known = bag_calloc(&s->memory, n + 1, sizeof *s->known);
    s->vectors = product_floats((int64_t)n + 1, set->width);
    CN_CHECK(row && s->texts && s->known && s->vectors, CN_ENOMEM, "out of memory for %zu words", n);
    for (size_t i = 0; i < n; i++)
        s->texts[i] = i < set->n_classes ? set->classes[i] : words[i - set->n_classes];
    s->texts[n] = s->target;
    s->n_texts = n;
    CN_TRY(attack_embed_texts(set, s->texts, n + 1, s->vectors, err));
    for (size_t i = 0; i < n; i++) {
        size_t used;
        CN_TRY(cn_tokenizer_row(set->tower.tokenizer, s->texts[i], context, true, row, &used, err));
        s->known[i] = texttower_row_known(&set->tower, row, used);
    }
done:
    cn_free(row);
    return st;
}

/* Those nearest to a direction of length 1 first. *list: (n_texts), owned by the caller, cn_free. */
static cn_status rank(const search *s, const float *direction, near **list, cn_error *err)
{
    near *out = cn_calloc(s->n_texts + 1, sizeof *out);
    *list = out;
    if (!out)
        return cn_fail(err, CN_ENOMEM, "out of memory for %zu words", s->n_texts);
    for (size_t i = 0; i < s->n_texts; i++)
        out[i] = (near){i, s->texts[i], attack_dot(s->vectors + (int64_t)i * s->set.width, direction, s->set.width)};
    qsort(out, s->n_texts, sizeof *out, by_cosine);
    return CN_OK;
}

/* Those whose own texts are nearest to the target's. */
static cn_status try_words(search *s, cn_error *err)
{
    cn_status st = CN_OK;
    near *list = NULL;
    CN_TRY(rank(s, s->vectors + (int64_t)s->n_texts * s->set.width, &list, err));
    for (size_t i = 0; i < s->n_texts && i < (size_t)s->o.shortlist; i++)
        CN_TRY(try_text(s, list[i].text, list[i].at < s->set.n_classes ? CN_ATTACK_CLASS : CN_ATTACK_WORD, -1, err));
done:
    cn_free(list);
    return st;
}

/* ---- units ---- */

static int by_serving(const void *a, const void *b)
{
    const cn_attack_unit *x = a, *y = b;
    if (x->serves != y->serves)
        return x->serves > y->serves ? -1 : 1;
    return x->unit < y->unit ? -1 : x->unit > y->unit;
}

/* The words nearest to a unit's direction. One that the model has never seen has the embedding of no text: what it is near to says nothing. */
static cn_status find_liked(search *s, const float *direction, cn_attack_unit *u, cn_error *err)
{
    cn_status st = CN_OK;
    near *list = NULL;
    float *unit = product_floats(1, s->set.width);
    const char **texts = bag_calloc(&s->memory, (size_t)s->o.liked, sizeof *texts);
    double *cosines = bag_calloc(&s->memory, (size_t)s->o.liked, sizeof *cosines);
    CN_CHECK(unit && texts && cosines, CN_ENOMEM, "out of memory for what unit %" PRId64 " likes", u->unit);
    product_normalise(direction, unit, s->set.width);
    CN_TRY(rank(s, unit, &list, err));
    for (size_t i = 0; i < s->n_texts && u->n < (size_t)s->o.liked; i++)
        if (list[i].at >= s->set.n_classes && s->known[list[i].at] && (u->n == 0 || strcmp(list[i].text, texts[u->n - 1]) != 0)) {
            texts[u->n] = list[i].text;
            cosines[u->n++] = list[i].cosine;
        }
    u->texts = texts, u->cosines = cosines;
done:
    cn_free(list);
    cn_free(unit);
    return st;
}

/* The units that serve the class most, and what they like. */
static cn_status find_units(search *s, const cn_site *site, cn_error *err)
{
    cn_status st = CN_OK;
    const int64_t width = s->set.width;
    cn_attack_unit *all = cn_calloc((size_t)site->units + 1, sizeof *all);
    float *directions = product_floats(site->units, width);
    s->n_units = (size_t)(s->o.units < site->units ? s->o.units : site->units);
    s->units = bag_calloc(&s->memory, s->n_units + 1, sizeof *s->units);
    CN_CHECK(all && directions && s->units, CN_ENOMEM, "out of memory for %" PRId64 " units", site->units);
    CN_TRY(cn_unit_directions(s->set.model, site, directions, err));
    for (int64_t u = 0; u < site->units; u++)
        all[u] = (cn_attack_unit){.unit = u, .serves = attack_dot(directions + u * width, s->set.plain[0] + (int64_t)s->class * width, width)};
    qsort(all, (size_t)site->units, sizeof *all, by_serving);
    for (size_t i = 0; i < s->n_units; i++) {
        s->units[i] = all[i];
        CN_TRY(find_liked(s, directions + all[i].unit * width, &s->units[i], err));
    }
done:
    cn_free(all);
    cn_free(directions);
    return st;
}

/* How far the directions hold on the study's pictures, for the target's text. A study that cannot say is no reason not to search. */
static cn_status measure_fit(search *s, cn_study *study, size_t site, cn_error *err)
{
    cn_status st = CN_OK;
    cn_error reason = {0};
    textspace space = {0};
    const cn_attack_options *o = &s->set.o;
    const textspace_options how = {.site = site, .seed = o->seed, .threads = o->threads, .precision = o->precision, .backend = o->backend};
    st = textspace_open(&space, study, s->set.model, &how, &reason);
    if (st == CN_EUNSUPPORTED) {
        snprintf(s->fit.why, sizeof s->fit.why, "%s", reason.text);
        st = CN_OK;
    } else if (st != CN_OK) {
        (void)cn_fail(err, st, "%s", reason.text);
    } else {
        CN_TRY(textspace_measure(&space, s->set.plain[0] + (int64_t)s->class * s->set.width, &s->fit, err));
    }
done:
    textspace_close(&space);
    return st;
}

/* Every name that a study knows for a unit. */
static cn_status try_names(search *s, cn_study *study, cn_unit_ref ref, cn_error *err)
{
    cn_status st = CN_OK;
    cn_unit_name *names = NULL;
    cn_unit_row *row = NULL;
    size_t n = 0;
    CN_TRY(cn_study_unit_names(study, ref, &names, &n, err));
    CN_TRY(cn_study_unit(study, ref, &row, err));
    for (size_t i = 0; i < n; i++)
        CN_TRY(try_text(s, names[i].name, CN_ATTACK_UNIT, ref.unit, err));
    if (*row->label)
        CN_TRY(try_text(s, row->label, CN_ATTACK_UNIT, ref.unit, err));
    if (*row->word)
        CN_TRY(try_text(s, row->word, CN_ATTACK_UNIT, ref.unit, err));
done:
    cn_unit_names_free(names);
    cn_unit_rows_free(row);
    return st;
}

/* What only a study knows: how far the directions hold, and names. */
static cn_status ask_study(search *s, const char *collection, const cn_site *site, cn_error *err)
{
    cn_status st = CN_OK;
    bool is_study = false;
    cn_study *study = NULL;
    cn_unit_ref ref = {0, 0};
    CN_TRY(attack_is_study(collection, &is_study, err));
    if (!is_study) {
        snprintf(s->fit.why, sizeof s->fit.why, "the collection is no study");
        goto done;
    }
    CN_TRY(cn_study_open(&study, collection, err));
    CN_TRY(cn_study_check_model(study, s->set.model, err));
    while (ref.site < cn_study_site_count(study) && strcmp(cn_study_site_at(study, ref.site)->name, site->name) != 0)
        ref.site++;
    if (ref.site == cn_study_site_count(study)) {
        snprintf(s->fit.why, sizeof s->fit.why, "the study has no %s", site->name);
        goto done;
    }
    CN_TRY(measure_fit(s, study, ref.site, err));
    for (size_t i = 0; i < s->n_units; i++) {
        ref.unit = s->units[i].unit;
        CN_TRY(try_names(s, study, ref, err));
    }
done:
    cn_study_close(study);
    return st;
}

static cn_status try_units(search *s, const char *collection, cn_error *err)
{
    cn_status st = CN_OK;
    const cn_site *site = cn_model_default_site(s->set.model);
    CN_TRY(find_units(s, site, err));
    for (size_t i = 0; i < s->n_units; i++)
        for (size_t k = 0; k < s->units[i].n; k++)
            CN_TRY(try_text(s, s->units[i].texts[k], CN_ATTACK_LIKED, s->units[i].unit, err));
    CN_TRY(ask_study(s, collection, site, err));
done:
    return st;
}

/* ---- the genetic search ---- */

static int by_margin(const void *a, const void *b)
{
    const trial *x = a, *y = b;
    if (x->margin != y->margin)
        return x->margin > y->margin ? -1 : 1;
    return strcmp(x->text, y->text);
}

enum { LONGEST = 32 };

static char letter(rng *r)
{
    return (char)('a' + rng_below(r, 26));
}

/* One of three at random, the best of them; parents are the first `n` trials, which are sorted. */
static const char *parent(const search *s, size_t n, rng *r)
{
    int64_t best = (int64_t)n - 1;
    for (int i = 0; i < 3; i++) {
        const int64_t at = rng_below(r, (int64_t)n);
        best = at < best ? at : best;
    }
    return s->trials[best].text;
}

/* A child of two: the beginning of one and the end of the other, then one to two small changes. Letters other than ASCII are not cut: such
 * parents are left out by their callers. */
static void breed(const search *s, const char *mother, const char *father, rng *r, char child[LONGEST + 1])
{
    const size_t most = (size_t)s->o.longest, m = strlen(mother), f = strlen(father);
    size_t n = (size_t)rng_below(r, (int64_t)m + 1), from = (size_t)rng_below(r, (int64_t)f + 1);
    if (rng_unit(r) < 0.5)
        n = m, from = f; /* the mother alone */
    n = n < most ? n : most;
    memcpy(child, mother, n);
    while (from < f && n < most)
        child[n++] = father[from++];
    for (int changes = 1 + (rng_unit(r) < 0.4); changes > 0; changes--) {
        const double what = rng_unit(r);
        const size_t at = n ? (size_t)rng_below(r, (int64_t)n) : 0;
        if (n < most && (n < 2 || what < 0.3)) {
            memmove(child + at + 1, child + at, n - at);
            child[at] = letter(r);
            n++;
        } else if (n > 2 && what < 0.55) {
            memmove(child + at, child + at + 1, n - at - 1);
            n--;
        } else if (n) {
            child[at] = letter(r);
        }
    }
    child[n] = '\0';
}

static bool is_plain(const char *text, int longest)
{
    for (const char *p = text; *p; p++)
        if ((unsigned char)*p < ' ' || (unsigned char)*p > 0x7e)
            return false;
    return strlen(text) <= (size_t)longest;
}

/* The best `n` that can be parents to the front. */
static size_t select_parents(search *s, size_t n)
{
    size_t kept = 0;
    qsort(s->trials, s->n, sizeof *s->trials, by_margin);
    for (size_t i = 0; i < s->n && kept < n; i++)
        if (is_plain(s->trials[i].text, s->o.longest)) {
            const trial swap = s->trials[kept];
            s->trials[kept++] = s->trials[i];
            s->trials[i] = swap;
        }
    return kept;
}

static cn_status evolve(search *s, cn_error *err)
{
    cn_status st = CN_OK;
    rng r = rng_stream(s->set.o.seed, 0x67656e65, 0);
    char child[LONGEST + 1];
    if (s->o.population < 0)
        return CN_OK;
    for (int i = 0; i < s->o.population / 2; i++) { /* strangers */
        const int n = 2 + (int)rng_below(&r, s->o.longest - 1 > 1 ? s->o.longest - 1 : 1);
        for (int k = 0; k < n && k < s->o.longest; k++)
            child[k] = letter(&r);
        child[n < s->o.longest ? n : s->o.longest] = '\0';
        CN_TRY(try_text(s, child, CN_ATTACK_GENETIC, -1, err));
    }
    for (int g = 0; g < s->o.generations; g++) {
        const size_t parents = select_parents(s, (size_t)s->o.population);
        for (int i = 0; parents && i < s->o.population; i++) {
            breed(s, parent(s, parents, &r), parent(s, parents, &r), &r, child);
            CN_TRY(try_text(s, child, CN_ATTACK_GENETIC, -1, err)); /* goes to the end: parents stay where they are */
        }
    }
done:
    return st;
}

/* ---- measuring ---- */

typedef struct private_result {
    cn_attack_search_result public;
    bag memory;
} private_result;

typedef struct count {
    const attack_set *set;
    const float *const *vectors;
    int class;
    int64_t *hits; /* (n_prompts) */
} count;

static void count_one(void *user, int64_t picture, const float *embedding)
{
    count *c = user;
    (void)picture;
    for (size_t p = 0; p < c->set->n_prompts; p++)
        c->hits[p] += attack_answer(embedding, c->vectors[p], c->set->n_classes, c->set->width) == c->class;
}

static cn_status measure(search *s, const trial *t, bag *memory, cn_attack_found *to, cn_error *err)
{
    cn_status st = CN_OK;
    attack_set *set = &s->set;
    bag own = {0};
    int64_t changed;
    count c = {.set = set, .class = s->class};
    cn_share *success = bag_calloc(memory, set->n_prompts, sizeof *success);
    c.hits = bag_calloc(&own, set->n_prompts, sizeof *c.hits);
    to->text = bag_text(memory, t->text);
    CN_CHECK(success && c.hits && to->text, CN_ENOMEM, "out of memory for a result");
    CN_TRY(attack_vectors(set, &own, t->text, &c.vectors, err));
    CN_TRY(draw_on(s, t->text, s->heldout, s->n_heldout, &changed, count_one, &c, err));
    for (size_t p = 0; p < set->n_prompts; p++)
        success[p] = attack_share(c.hits[p], s->n_heldout);
    to->origin = t->origin, to->unit = t->unit, to->margin = t->margin, to->pixels = t->pixels;
    to->train = attack_share(t->hits, s->n_train);
    to->success = success;
done:
    bag_free(&own);
    return st;
}

static int by_success(const void *a, const void *b)
{
    const cn_attack_found *x = a, *y = b;
    if (x->success[0].hits != y->success[0].hits)
        return x->success[0].hits > y->success[0].hits ? -1 : 1;
    if (x->margin != y->margin)
        return x->margin > y->margin ? -1 : 1;
    return strcmp(x->text, y->text);
}

/* The search's units, in the result's memory. */
static cn_status keep_units(const search *s, bag *memory, cn_attack_search_result *to, cn_error *err)
{
    cn_attack_unit *units = bag_calloc(memory, s->n_units + 1, sizeof *units);
    bool good = units != NULL;
    for (size_t i = 0; good && i < s->n_units; i++) {
        const cn_attack_unit *u = &s->units[i];
        double *cosines = bag_calloc(memory, u->n + 1, sizeof *cosines);
        units[i] = *u;
        units[i].cosines = cosines;
        units[i].texts = bag_texts(memory, u->texts, u->n);
        good = cosines && units[i].texts;
        for (size_t k = 0; good && k < u->n; k++)
            cosines[k] = u->cosines[k];
    }
    to->units = units;
    to->n_units = s->n_units;
    return good ? CN_OK : cn_fail(err, CN_ENOMEM, "out of memory for a result");
}

static cn_status finish(search *s, cn_attack_search_result **out, cn_error *err)
{
    cn_status st = CN_OK;
    private_result *r = cn_calloc(1, sizeof *r);
    CN_CHECK(r, CN_ENOMEM, "out of memory for a result");
    cn_attack_search_result *to = &r->public;
    cn_attack_found *found = bag_calloc(&r->memory, (size_t)s->o.top + 1, sizeof *found);
    to->target = bag_text(&r->memory, s->target);
    to->prompts = bag_texts(&r->memory, s->set.prompts, s->set.n_prompts);
    CN_CHECK(found && to->target && to->prompts, CN_ENOMEM, "out of memory for a result");
    qsort(s->trials, s->n, sizeof *s->trials, by_margin);
    for (size_t i = 0; i < s->n; i++) /* the best, and the target's own name to compare with */
        if (i < (size_t)s->o.top || s->trials[i].origin == CN_ATTACK_TARGET) {
            CN_TRY(measure(s, &s->trials[i], &r->memory, &found[to->n++], err));
            CN_TRY(attack_go_on(&s->set, "measuring", (int64_t)to->n, (int64_t)s->o.top, err));
        }
    qsort(found, to->n, sizeof *found, by_success);
    CN_TRY(keep_units(s, &r->memory, to, err));
    to->site = bag_text(&r->memory, cn_model_default_site(s->set.model)->name);
    CN_CHECK(to->site, CN_ENOMEM, "out of memory for a result");
    to->fit = s->fit;
    to->found = found;
    to->n_prompts = s->set.n_prompts;
    to->tried = (int64_t)s->n;
    to->train = s->n_train;
    to->heldout = s->n_heldout;
    *out = to, r = NULL;
done:
    if (r)
        cn_attack_search_free(&r->public);
    return st;
}

void cn_attack_search_free(cn_attack_search_result *result)
{
    private_result *r = (private_result *)result;
    if (r)
        bag_free(&r->memory);
    cn_free(r);
}

/* ---- */

static cn_status check_options(search *s, cn_error *err)
{
    cn_status st = CN_OK;
    cn_attack_search_options *o = &s->o;
    o->train = o->train ? o->train : 12;
    o->population = o->population ? o->population : 24;
    o->generations = o->generations ? o->generations : 10;
    o->longest = o->longest ? o->longest : 8;
    o->shortlist = o->shortlist ? o->shortlist : 48;
    o->units = o->units ? o->units : 8;
    o->liked = o->liked ? o->liked : 4;
    o->top = o->top ? o->top : 5;
    CN_CHECK(o->train > 0 && o->train <= CN_MAX_ATTACK_IMAGES / 2, CN_EINVAL, "1 to %d training pictures, not %" PRId64, CN_MAX_ATTACK_IMAGES / 2, o->train);
    CN_CHECK(o->population <= 1024 && o->generations >= 0 && o->generations <= 10000, CN_EINVAL, "a population of at most 1024 and 10000 generations");
    CN_CHECK(o->longest >= 2 && o->longest <= LONGEST, CN_EINVAL, "strings have 2 to %d letters, not %d", LONGEST, o->longest);
    CN_CHECK(o->shortlist >= 1 && o->shortlist <= 65536 && o->units >= 0 && o->units <= 65536 && o->liked >= 1 && o->liked <= 1000 && o->top >= 1 &&
                 o->top <= 1000,
             CN_EINVAL, "a shortlist of 1 to 65536, at most 65536 units, 1 to 1000 words that each likes, 1 to 1000 texts");
    s->total = o->shortlist + 1 + (int64_t)o->units * o->liked + (o->population > 0 ? o->population / 2 + (int64_t)o->population * o->generations : 0);
done:
    return st;
}

static cn_status split(search *s, cn_error *err)
{
    cn_status st = CN_OK;
    const attack_set *set = &s->set;
    s->train = bag_calloc(&s->memory, (size_t)set->n, sizeof *s->train);
    s->heldout = bag_calloc(&s->memory, (size_t)set->n, sizeof *s->heldout);
    CN_CHECK(s->train && s->heldout, CN_ENOMEM, "out of memory for %" PRId64 " pictures", set->n);
    for (int64_t i = 0; i < set->n; i++) {
        if (set->pictures[i].label == s->class)
            continue;
        if (s->n_train < s->o.train)
            s->train[s->n_train++] = i;
        else
            s->heldout[s->n_heldout++] = i;
    }
    CN_CHECK(s->n_heldout > 0, CN_EINVAL, "%" PRId64 " pictures of other classes are too few for %" PRId64 " to choose texts on and others to measure them on",
             s->n_train, s->o.train);
done:
    return st;
}

cn_status cn_attack_search(cn_attack_search_result **out, const cn_model *model, const char *collection, const char *target,
                           const cn_attack_search_options *options, const cn_attack_options *attack, cn_error *err)
{
    cn_status st = CN_OK;
    search s = {.target = target};
    cn_attack_options a = attack ? *attack : (cn_attack_options){0};
    *out = NULL;
    if (options)
        s.o = *options;
    CN_CHECK(target && *target, CN_EINVAL, "no target");
    CN_TRY(check_options(&s, err));
    a.images = (a.images ? a.images : 200) + s.o.train;
    CN_TRY(attack_set_open(&s.set, model, collection, &target, 1, false, NULL, &a, err));
    CN_CHECK(!attack_wants_text(&s.set, 0), CN_EINVAL, "texts are chosen by the first prompt, which must not have {text}: \"%.80s\"", s.set.prompts[0]);
    s.class = attack_class(&s.set, target);
    s.rgb = cn_reallocarray(NULL, (size_t)s.set.o.batch, (size_t)s.set.side * (size_t)s.set.side * 3);
    s.embedding = product_floats(s.set.o.batch, s.set.width);
    CN_CHECK(s.rgb && s.embedding, CN_ENOMEM, "out of memory for a batch");
    CN_TRY(split(&s, err));
    CN_TRY(try_text(&s, target, CN_ATTACK_TARGET, -1, err));
    CN_TRY(embed_texts(&s, err));
    CN_TRY(try_units(&s, collection, err));
    CN_TRY(try_words(&s, err));
    CN_TRY(evolve(&s, err));
    CN_TRY(finish(&s, out, err));
done:
    cn_free(s.rgb);
    cn_free(s.embedding);
    cn_free(s.vectors);
    cn_free(s.trials);
    attack_set_close(&s.set);
    bag_free(&s.memory);
    return st;
}
