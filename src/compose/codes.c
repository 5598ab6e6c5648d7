/* compose/codes.c -- words as sparse sums of units. */
#include "base/memory.h"
#include "compose/emotions.h"
#include "compose/lasso.h"
#include "compose/textspace.h"
#include "study/product.h"
#include "study/wordlist.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const char *const *cn_emotion_words(size_t *n)
{
    *n = emotions_count;
    return emotions_words;
}

/* The paper's prompts for emotions speak of feelings and of looks; a word by itself comes first. */
static const char *const templates[] = {"{}", "i feel {}", "i am feeling {}", "feeling {}", "a {} person", "a {} face", "this is {}"};

const char *const *cn_emotion_templates(size_t *n)
{
    *n = sizeof templates / sizeof *templates;
    return templates;
}

typedef struct kept_codes {
    cn_codes result;
    wordlist words; /* those of the result, in its order, then those that are left out */
    char **names;   /* (units), owned */
    size_t n_names;
    cn_code_term *terms; /* of all codes */
} kept_codes;

typedef struct coding {
    textspace space;
    cn_codes_options o;
    const char *const *templates; /* (n_templates) */
    size_t n_templates, n_used;   /* given, known to the model */
    kept_codes *kept;
    int64_t words;  /* that the model knows */
    float *texts;   /* (used templates, words, width): less the mean over words, of length 1 */
    float *targets; /* (words, width): of the mean over templates, likewise */
    float *mean;    /* (width) of length 1: the mean of all */
    float *units;   /* (units, width): directions of length 1, zeros for dead ones */
    float *gram;    /* (units, units) */
    double *xy;     /* (units) */
} coding;

/* ---- texts ---- */

static cn_status read_words(coding *c, cn_error *err)
{
    cn_status st = CN_OK;
    wordlist *l = &c->kept->words;
    if (c->o.n_more_words) {
        for (size_t i = 0; i < c->o.n_more_words; i++)
            CN_TRY(wordlist_add(l, c->o.more_words[i], strlen(c->o.more_words[i]), err));
    } else if (c->o.words) {
        CN_TRY(wordlist_add_file(l, c->o.words, err));
    } else {
        for (size_t i = 0; i < emotions_count; i++)
            CN_TRY(wordlist_add(l, emotions_words[i], strlen(emotions_words[i]), err));
    }
    wordlist_finish(l);
    CN_CHECK(l->count <= CN_MAX_CODE_WORDS, CN_ELIMIT, "%zu words, the limit is %d", l->count, CN_MAX_CODE_WORDS);
done:
    return st;
}

/* A template is known when all of its own words are. */
static cn_status template_known(const coding *c, const char *template, bool *known, cn_error *err)
{
    cn_status st = CN_OK;
    size_t used;
    char *bare = wordlist_prompt(template, " ");
    int32_t *row = cn_calloc(c->space.tower.context, sizeof *row);
    CN_CHECK(bare && row, CN_ENOMEM, "out of memory for a template");
    CN_TRY(cn_tokenizer_row(c->space.tower.tokenizer, bare, c->space.tower.context, false, row, &used, err));
    *known = used <= 2 || texttower_row_known(&c->space.tower, row, used);
done:
    cn_free(bare);
    cn_free(row);
    return st;
}

/* Moves the words that the model knows to the front, in their order. */
static cn_status sort_out(coding *c, cn_error *err)
{
    cn_status st = CN_OK;
    wordlist *l = &c->kept->words;
    size_t used;
    int32_t *row = cn_calloc(c->space.tower.context, sizeof *row);
    CN_CHECK(row, CN_ENOMEM, "out of memory for a word");
    for (size_t i = 0; i < l->count; i++) {
        CN_TRY(texttower_row(&c->space.tower, l->words[i], row, &used, err));
        if (!texttower_row_known(&c->space.tower, row, used))
            continue;
        char *word = l->words[i];
        memmove(l->words + c->words + 1, l->words + c->words, (i - (size_t)c->words) * sizeof *l->words);
        l->words[c->words++] = word;
    }
    CN_CHECK(c->words >= 2, CN_EINVAL, "the model knows %" PRId64 " of the %zu words: a code needs others to compare with", c->words, l->count);
done:
    cn_free(row);
    return st;
}

static bool texts_go_on(void *user, int64_t done, int64_t total)
{
    const coding *c = user;
    return !c->o.progress || c->o.progress("texts", done, total, c->o.user);
}

static cn_status embed_template(coding *c, const char *template, float *out, cn_error *err)
{
    cn_status st = CN_OK;
    const size_t context = c->space.tower.context;
    size_t used;
    char *prompt = NULL;
    int32_t *rows = cn_calloc((size_t)c->words, context * sizeof *rows);
    CN_CHECK(rows, CN_ENOMEM, "out of memory for %" PRId64 " words", c->words);
    for (int64_t i = 0; i < c->words; i++) {
        cn_free(prompt);
        prompt = wordlist_prompt(template, c->kept->words.words[i]);
        CN_CHECK(prompt, CN_ENOMEM, "out of memory for %" PRId64 " words", c->words);
        CN_TRY(texttower_row(&c->space.tower, prompt, rows + (size_t)i * context, &used, err));
    }
    CN_TRY(texttower_embed(&c->space.tower, rows, c->words, out, texts_go_on, c, err));
done:
    cn_free(prompt);
    cn_free(rows);
    return st;
}

/* Rows (n, width): less their mean, then to length 1. */
static cn_status centre(float *rows, int64_t n, int64_t width, cn_error *err)
{
    double *mean = cn_calloc((size_t)width, sizeof *mean);
    if (!mean)
        return cn_fail(err, CN_ENOMEM, "out of memory for a mean");
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < width; k++)
            mean[k] += (double)rows[i * width + k] / (double)n;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t k = 0; k < width; k++)
            rows[i * width + k] = (float)((double)rows[i * width + k] - mean[k]);
        product_normalise(rows + i * width, rows + i * width, width);
    }
    cn_free(mean);
    return CN_OK;
}

static cn_status embed_all(coding *c, cn_error *err)
{
    cn_status st = CN_OK;
    const int64_t width = c->space.width, size = c->words * width;
    c->texts = product_floats((int64_t)c->n_templates * c->words, width);
    c->targets = product_floats(c->words, width);
    c->mean = product_floats(1, width);
    CN_CHECK(c->texts && c->targets && c->mean, CN_ENOMEM, "out of memory for %" PRId64 " words", c->words);
    for (size_t t = 0; t < c->n_templates; t++) {
        bool known = false;
        float *texts = c->texts + (int64_t)c->n_used * size;
        CN_TRY(corpus_check_template(c->templates[t], err));
        CN_TRY(template_known(c, c->templates[t], &known, err));
        if (!known)
            continue;
        CN_TRY(embed_template(c, c->templates[t], texts, err));
        for (int64_t i = 0; i < size; i++) {
            c->targets[i] += texts[i];
            c->mean[i % width] += texts[i];
        }
        CN_TRY(centre(texts, c->words, width, err));
        c->n_used++;
    }
    CN_CHECK(c->n_used, CN_EINVAL, "the model knows the words of none of the %zu templates", c->n_templates);
    product_normalise(c->mean, c->mean, width);
    CN_TRY(centre(c->targets, c->words, width, err));
done:
    return st;
}

/* ---- codes ---- */

static int by_weight(const void *a, const void *b)
{
    const cn_code_term *x = a, *y = b;
    if (fabs(x->weight) != fabs(y->weight))
        return fabs(x->weight) > fabs(y->weight) ? -1 : 1;
    return x->unit < y->unit ? -1 : x->unit > y->unit;
}

/* c, one: (levels, units), room for a path. */
static cn_status code_word(coding *c, int64_t word, double *weights, double *one, cn_code_term **next, cn_error *err)
{
    cn_status st = CN_OK;
    const int64_t n = c->space.n, width = c->space.width;
    double lambda[CN_CODE_LEVELS], ignored[CN_CODE_LEVELS];
    cn_code *code = &c->kept->result.codes[word];
    const double yy = lasso_target(c->units, n, width, c->targets + word * width, c->xy);
    const lasso_problem p = {.gram = c->gram, .xy = c->xy, .yy = yy, .columns = n};
    CN_TRY(lasso_path(&p, c->o.levels, CN_CODE_LEVELS, weights, lambda, err));
    code->word = c->kept->words.words[word];
    for (int l = 0; l < CN_CODE_LEVELS; l++) {
        const double *w = weights + l * n;
        code->level[l].terms = *next;
        code->level[l].lambda = lambda[l];
        code->level[l].explained = lasso_explained(&p, w);
        for (int64_t u = 0; u < n; u++)
            if (w[u] != 0)
                code->level[l].terms[code->level[l].n++] = (cn_code_term){.unit = u, .weight = w[u]};
        qsort(code->level[l].terms, code->level[l].n, sizeof **next, by_weight);
        *next += code->level[l].n;
    }
    for (size_t t = 0; t < c->n_used; t++) {
        (void)lasso_target(c->units, n, width, c->texts + ((int64_t)t * c->words + word) * width, c->xy);
        const lasso_problem q = {.gram = c->gram, .xy = c->xy, .columns = n};
        CN_TRY(lasso_path(&q, c->o.levels, CN_CODE_LEVELS, one, ignored, err));
        for (int l = 0; l < CN_CODE_LEVELS; l++)
            for (size_t i = 0; i < code->level[l].n; i++) {
                cn_code_term *term = &code->level[l].terms[i];
                term->stability += one[l * n + term->unit] * term->weight > 0 ? 1.0 / (double)c->n_used : 0;
            }
    }
done:
    return st;
}

static cn_status code_all(coding *c, cn_error *err)
{
    cn_status st = CN_OK;
    const int64_t n = c->space.n;
    cn_codes *r = &c->kept->result;
    size_t most = 0;
    double *weights = NULL;
    for (int l = 0; l < CN_CODE_LEVELS; l++)
        most += (size_t)c->o.levels[l];
    c->units = product_floats(n, c->space.width);
    weights = cn_calloc((size_t)n, 2 * CN_CODE_LEVELS * sizeof *weights);
    r->codes = cn_calloc((size_t)c->words, sizeof *r->codes);
    c->kept->terms = cn_calloc((size_t)c->words, most * sizeof *c->kept->terms);
    c->gram = product_floats(n, n);
    c->xy = cn_calloc((size_t)n, sizeof *c->xy);
    CN_CHECK(c->units && c->gram && c->xy && weights && r->codes && c->kept->terms, CN_ENOMEM, "out of memory for the codes of %" PRId64 " words", c->words);
    for (int64_t u = 0; u < n; u++)
        if (!c->space.units.dead[u])
            product_normalise(c->space.directions + u * c->space.width, c->units + u * c->space.width, c->space.width);
    product_rows(c->units, n, c->units, n, c->space.width, c->gram, n);
    cn_code_term *next = c->kept->terms;
    for (int64_t i = 0; i < c->words; i++) {
        CN_TRY(code_word(c, i, weights, weights + CN_CODE_LEVELS * n, &next, err));
        CN_CHECK(!c->o.progress || c->o.progress("codes", i + 1, c->words, c->o.user), CN_ECANCELED, "cancelled");
    }
    r->n = (size_t)c->words;
done:
    cn_free(weights);
    return st;
}

static cn_status name_units(coding *c, cn_error *err)
{
    cn_status st = CN_OK;
    cn_codes *r = &c->kept->result;
    r->units = (size_t)c->space.n;
    r->names = cn_calloc(r->units, sizeof *r->names);
    c->kept->names = cn_calloc(r->units, sizeof *c->kept->names);
    CN_CHECK(r->names && c->kept->names, CN_ENOMEM, "out of memory for names");
    c->kept->n_names = r->units;
    for (size_t u = 0; u < r->units; u++)
        r->names[u] = "";
    for (size_t i = 0; i < r->n; i++)
        for (int l = 0; l < CN_CODE_LEVELS; l++)
            for (size_t k = 0; k < r->codes[i].level[l].n; k++) {
                const int64_t u = r->codes[i].level[l].terms[k].unit;
                if (c->kept->names[u])
                    continue;
                CN_TRY(textspace_name(&c->space, u, &c->kept->names[u], NULL, err));
                r->names[u] = c->kept->names[u];
            }
done:
    return st;
}

static cn_status check_levels(coding *c, cn_error *err)
{
    static const int usual[CN_CODE_LEVELS] = {2, 4, 8, 16};
    bool given = false;
    for (int l = 0; l < CN_CODE_LEVELS; l++)
        given = given || c->o.levels[l];
    for (int l = 0; l < CN_CODE_LEVELS; l++) {
        if (!given)
            c->o.levels[l] = usual[l];
        if (c->o.levels[l] < 1 || c->o.levels[l] > CN_MAX_CODE_UNITS || (l && c->o.levels[l] <= c->o.levels[l - 1]))
            return cn_fail(err, CN_EINVAL, "levels are %d numbers of units, rising, of 1 to %d", CN_CODE_LEVELS, CN_MAX_CODE_UNITS);
    }
    return CN_OK;
}

cn_status cn_text_codes(cn_study *study, const cn_model *model, const cn_codes_options *options, cn_codes **out, cn_error *err)
{
    cn_status st = CN_OK;
    coding c = {0};
    *out = NULL;
    c.kept = cn_calloc(1, sizeof *c.kept);
    CN_CHECK(c.kept, CN_ENOMEM, "out of memory for codes");
    if (options)
        c.o = *options;
    c.templates = c.o.n_templates ? c.o.templates : templates;
    c.n_templates = c.o.n_templates ? c.o.n_templates : sizeof templates / sizeof *templates;
    CN_CHECK(c.n_templates <= CN_MAX_CODE_TEMPLATES, CN_ELIMIT, "%zu templates, the limit is %d", c.n_templates, CN_MAX_CODE_TEMPLATES);
    CN_TRY(check_levels(&c, err));
    const textspace_options o = {c.o.site, c.o.pictures, c.o.seed, c.o.threads, c.o.precision, c.o.backend};
    CN_TRY(read_words(&c, err));
    CN_TRY(textspace_open(&c.space, study, model, &o, err));
    CN_TRY(sort_out(&c, err));
    CN_TRY(embed_all(&c, err));
    CN_TRY(code_all(&c, err));
    CN_TRY(name_units(&c, err));
    cn_codes *r = &c.kept->result;
    CN_TRY(textspace_measure(&c.space, c.mean, &r->fit, err));
    memcpy(r->levels, c.o.levels, sizeof r->levels);
    r->site = c.o.site;
    r->unknown = (int64_t)c.kept->words.count - c.words;
    r->templates = c.n_used;
    r->unknown_templates = c.n_templates - c.n_used;
    *out = r, c.kept = NULL;
done:
    if (c.kept)
        cn_codes_free(&c.kept->result);
    textspace_close(&c.space);
    cn_free(c.texts);
    cn_free(c.targets);
    cn_free(c.mean);
    cn_free(c.units);
    cn_free(c.gram);
    cn_free(c.xy);
    return st;
}

void cn_codes_free(cn_codes *codes)
{
    kept_codes *kept = (kept_codes *)codes; /* its first member */
    if (!kept)
        return;
    for (size_t i = 0; i < kept->n_names; i++)
        cn_free(kept->names[i]);
    cn_free(kept->names);
    cn_free(kept->terms);
    cn_free(kept->result.names);
    cn_free(kept->result.codes);
    wordlist_free(&kept->words);
    cn_free(kept);
}
