/* vis/objective.c -- reads expressions such as "layer4:89 - 0.5*layer4:17 - 10*l2"; the grammar is in
 * clipneuron/objective.h. Nothing is computed here but the embeddings of texts. */
#include "vis/terms.h"
#include "vis/probeclass.h"

#include "base/memory.h"
#include "clipneuron/array.h"
#include "clipneuron/tokenizer.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct reader {
    cn_objective *o;
    const char *text; /* the whole expression, for messages */
    const char *at;
    int threads;
    cn_error *err;
    int depth; /* of parentheses */
} reader;

#define MAX_DEPTH 16

static cn_status read_sum(reader *r, float weight);

static void skip_space(reader *r)
{
    while (isspace((unsigned char)*r->at))
        r->at++;
}

/* "at 12" counts bytes from 1, as editors do. */
static int place(const reader *r)
{
    return (int)(r->at - r->text) + 1;
}

/* ---- sites, units and positions ---- */

static cn_status use_site(reader *r, const cn_site *site, term *t)
{
    cn_status st = CN_OK;
    cn_error *err = r->err;
    cn_objective *o = r->o;
    CN_CHECK(site->tower == CN_TOWER_IMAGE, CN_EINVAL, "%s is a site of the text tower; an image has values at sites of the image tower only",
             site->name);
    for (t->site = 0; t->site < o->n_sites; t->site++)
        if (o->site[t->site] == site)
            goto done;
    o->site[o->n_sites++] = site; /* no more sites than terms */
done:
    return st;
}

static cn_status find_site(reader *r, const char *name, term *t)
{
    const cn_site *site;
    const cn_status st = cn_model_find_site(r->o->model, name, &site, r->err);
    return st == CN_OK ? use_site(r, site, t) : st;
}

static bool read_number(const char **at, int64_t *out)
{
    int64_t value = 0;
    const char *begin = *at;
    for (; isdigit((unsigned char)**at) && value <= INT32_MAX; (*at)++)
        value = 10 * value + (**at - '0');
    *out = value;
    return *at > begin && !isdigit((unsigned char)**at);
}

/* "3,5,10-12" up to the end of the text or '@'. */
static cn_status read_units(reader *r, const char *text, term *t)
{
    cn_status st = CN_OK;
    cn_error *err = r->err;
    const cn_site *site = r->o->site[t->site];
    const char *at = text;
    size_t room = 0;
    do {
        int64_t first, last;
        at += at > text; /* the comma */
        bool good = read_number(&at, &first);
        last = first;
        if (good && *at == '-') {
            at++;
            good = read_number(&at, &last) && last >= first;
        }
        CN_CHECK(good && (!*at || *at == ',' || *at == '@'), CN_EINVAL,
                 "\"%.60s\" names no units: write a number, a list 3,5 or a range 10-12, with white space around + and -", text);
        CN_CHECK(last < site->units, CN_EINVAL, "%s has units 0 to %lld, not %lld", site->name, (long long)site->units - 1,
                 (long long)last);
        for (int64_t u = first; u <= last; u++) {
            CN_CHECK(t->n_units < CN_MAX_OBJECTIVE_UNITS, CN_ELIMIT, "more than %d units in one term", CN_MAX_OBJECTIVE_UNITS);
            if (t->n_units == room) {
                room = room ? 2 * room : 16;
                int64_t *grown = cn_reallocarray(t->unit, room, sizeof *grown);
                CN_CHECK(grown, CN_ENOMEM, "out of memory for an objective");
                t->unit = grown;
            }
            t->unit[t->n_units++] = u;
        }
    } while (*at == ',');
done:
    return st;
}

static cn_status read_direction(reader *r, const char *path, term *t)
{
    cn_status st = CN_OK;
    cn_error *err = r->err;
    const cn_site *site = r->o->site[t->site];
    cn_arrays *arrays = NULL;
    CN_TRY(cn_arrays_open(&arrays, path, err));
    const cn_tensor *v = cn_arrays_at(arrays, 0);
    CN_CHECK(cn_arrays_count(arrays) == 1 && v, CN_EFORMAT, "%s: one array is wanted", path);
    CN_CHECK(v->count == site->units, CN_EMISMATCH, "%s: has %lld values, %s has %lld units", path, (long long)v->count, site->name,
             (long long)site->units);
    t->kind = TERM_DIRECTION;
    t->vector = cn_malloc((size_t)v->count * sizeof *t->vector);
    CN_CHECK(t->vector, CN_ENOMEM, "out of memory for a direction");
    cn_tensor_read_f32(v, t->vector);
    for (int64_t i = 0; i < v->count; i++)
        CN_CHECK(isfinite(t->vector[i]), CN_EFORMAT, "%s: value %lld is not a finite number", path, (long long)i);
done:
    cn_arrays_close(arrays);
    return st;
}

/* "4,4", "center", "12": whether it lies inside is checked when the size is known. */
static cn_status read_position(reader *r, const char *text, term *t)
{
    cn_status st = CN_OK;
    cn_error *err = r->err;
    const cn_site *site = r->o->site[t->site];
    const char *at = text;
    t->x = 0;
    if (!strcmp(text, "center")) {
        t->y = POSITION_CENTER;
        goto done;
    }
    bool good = read_number(&at, &t->y);
    if (good && site->layout == CN_SITE_MAP) {
        good = *at == ',';
        at += good;
        good = good && read_number(&at, &t->x);
    }
    CN_CHECK(good && !*at && site->layout != CN_SITE_VECTOR, CN_EINVAL, "\"@%.40s\" is no position of %s; %s", text, site->name,
             site->layout == CN_SITE_MAP      ? "write @ROW,COLUMN or @center"
             : site->layout == CN_SITE_TOKENS ? "write @TOKEN, 0 being the class token, or @center"
                                              : "it has only one");
done:
    return st;
}

static bool ends_in(const char *text, size_t length, const char *ending)
{
    const size_t n = strlen(ending);
    return length >= n && !memcmp(text + length - n, ending, n);
}

/* A text in quotes. A quote inside is written \" and a backslash \\. */
static cn_status read_quoted(reader *r, char text[CN_MAX_OBJECTIVE])
{
    cn_status st = CN_OK;
    cn_error *err = r->err;
    const int begin = place(r);
    size_t length = 0;
    CN_CHECK(*r->at == '"', CN_EINVAL, "a text in quotes is wanted at %d, such as text:\"a spider\"", begin);
    for (r->at++; *r->at && *r->at != '"'; r->at++) {
        if (*r->at == '\\' && (r->at[1] == '"' || r->at[1] == '\\'))
            r->at++;
        text[length++] = *r->at;
    }
    CN_CHECK(*r->at == '"', CN_EINVAL, "the text that begins at %d has no closing quote", begin);
    r->at++;
    text[length] = 0;
    CN_CHECK(length > 0, CN_EINVAL, "the text at %d is empty", begin);
done:
    return st;
}

/* Up to white space, a quote, or the parenthesis that closes: what is read in one piece. */
static size_t word_length(const reader *r)
{
    return strcspn(r->at, r->depth ? " \t\r\n\v\f\")" : " \t\r\n\v\f\"");
}

static void take_piece(reader *r, char word[CN_MAX_OBJECTIVE])
{
    const size_t length = word_length(r);
    memcpy(word, r->at, length);
    word[length] = 0;
    r->at += length;
}

/* SITE:"FILE"[@POSITION], with the word SITE: read. */
static cn_status read_quoted_direction(reader *r, char *word, term *t)
{
    cn_status st = CN_OK;
    cn_error *err = r->err;
    char path[CN_MAX_OBJECTIVE], position[CN_MAX_OBJECTIVE];
    word[strlen(word) - 1] = 0; /* the colon */
    CN_TRY(find_site(r, word, t));
    CN_TRY(read_quoted(r, path));
    t->y = POSITION_MEAN;
    CN_TRY(read_direction(r, path, t));
    take_piece(r, position);
    CN_CHECK(!*position || *position == '@', CN_EINVAL, "\"%.40s\" behind the file of a direction is no position: write @ROW,COLUMN", position);
    if (*position)
        CN_TRY(read_position(r, position + 1, t));
done:
    return st;
}

/* SITE:UNITS[@POSITION] or SITE:FILE.npy[@POSITION]; the word is the caller's and is cut up. */
static cn_status read_site_term(reader *r, char *word, term *t)
{
    cn_status st = CN_OK;
    cn_error *err = r->err;
    char *colon = strchr(word + (strncmp(word, "pre:", 4) != 0 ? 0 : 4), ':');
    CN_CHECK(colon && colon > word && colon[1], CN_EINVAL,
             "\"%.80s\" (at %d) is no term: write SITE:UNIT, such as layer4:89, or text:\"...\", logit:\"...\", energy:SITE, "
             "diversity:SITE, l1, l2 or tv",
             word, place(r));
    *colon = 0;
    CN_TRY(find_site(r, word, t));
    char *rest = colon + 1, *position = strrchr(rest, '@');
    if (position)
        *position++ = 0;
    t->kind = TERM_UNITS;
    t->y = POSITION_MEAN;
    if (ends_in(rest, strlen(rest), ".npy"))
        CN_TRY(read_direction(r, rest, t));
    else
        CN_TRY(read_units(r, rest, t));
    if (position)
        CN_TRY(read_position(r, position, t));
done:
    return st;
}

/* ---- texts ---- */

static cn_status embed_text(reader *r, const char *text, term *t)
{
    cn_status st = CN_OK;
    cn_error *err = r->err;
    const cn_model_info *info = cn_model_get_info(r->o->model);
    cn_tokenizer *tokenizer = NULL;
    cn_runner *runner = NULL;
    int32_t *row = NULL;
    size_t used = 0;
    double square = 0;
    CN_CHECK(info->context_length > 0, CN_EUNSUPPORTED, "%s: has no text tower, so no text: or logit: can be a goal",
             cn_weights_path(cn_model_weights(r->o->model)));
    row = cn_calloc((size_t)info->context_length, sizeof *row);
    CN_CHECK(row, CN_ENOMEM, "out of memory for a text");
    CN_TRY(cn_tokenizer_create(&tokenizer, err));
    CN_TRY(cn_tokenizer_row(tokenizer, text, (size_t)info->context_length, false, row, &used, err));
    const cn_runner_options options = {.tower = CN_TOWER_TEXT, .embedding = true, .batch = 1, .text_length = (int64_t)used,
                                       .threads = r->threads};
    CN_TRY(cn_runner_create(&runner, r->o->model, &options, err));
    CN_TRY(cn_runner_texts(runner, row, 1, err));
    t->vector = cn_malloc((size_t)info->embedding * sizeof *t->vector);
    CN_CHECK(t->vector, CN_ENOMEM, "out of memory for a text");
    const float *embedding = cn_runner_embedding(runner);
    for (int i = 0; i < info->embedding; i++)
        square += (double)embedding[i] * embedding[i];
    CN_CHECK(square > 0 && isfinite(square), CN_EINVAL, "\"%.80s\" has no embedding of this model", text);
    for (int i = 0; i < info->embedding; i++)
        t->vector[i] = (float)(embedding[i] / sqrt(square));
    t->kind = TERM_TEXT;
    r->o->embedding = true;
done:
    cn_tokenizer_free(tokenizer);
    cn_runner_free(runner);
    cn_free(row);
    return st;
}

static cn_status read_text_term(reader *r, term *t)
{
    cn_status st = CN_OK;
    cn_error *err = r->err;
    char text[CN_MAX_OBJECTIVE];
    CN_TRY(read_quoted(r, text));
    CN_CHECK(*r->at != '@', CN_EINVAL, "@ is wanted nowhere behind a text (at %d); a class of a probe is logit:\"...\"@FILE.npz", place(r));
    CN_TRY(embed_text(r, text, t));
done:
    return st;
}

/* The logit of the class `name` of a probe in the file that is named here, up to white space or in quotes. */
static cn_status read_probe_class(reader *r, const char *name, term *t)
{
    cn_status st = CN_OK;
    cn_error *err = r->err;
    char path[CN_MAX_OBJECTIVE];
    probeclass found = {0};
    if (*r->at == '"') {
        CN_TRY(read_quoted(r, path));
    } else {
        CN_CHECK(word_length(r) > 0, CN_EINVAL, "the file of a probe is wanted at %d, such as logit:\"a spider\"@probe.npz", place(r));
        take_piece(r, path);
    }
    CN_TRY(probeclass_read(&found, r->o->model, path, name, err));
    CN_TRY(use_site(r, found.site, t));
    t->kind = TERM_DIRECTION;
    t->y = POSITION_MEAN;
    t->constant = found.constant;
    t->relu = found.relu;
    t->vector = found.weight, found.weight = NULL;
done:
    probeclass_free(&found);
    return st;
}

/* logit:"a spider", CLIP's, or logit:"a spider"@FILE.npz, a probe's. */
static cn_status read_logit_term(reader *r, term *t)
{
    cn_status st = CN_OK;
    char text[CN_MAX_OBJECTIVE];
    CN_TRY(read_quoted(r, text));
    if (*r->at == '@') {
        r->at++;
        CN_TRY(read_probe_class(r, text, t));
    } else {
        t->weight *= cn_model_get_info(r->o->model)->logit_scale;
        CN_TRY(embed_text(r, text, t));
    }
done:
    return st;
}

/* ---- terms ---- */

static bool take_word(reader *r, const char *word)
{
    const size_t n = strlen(word);
    if (strncmp(r->at, word, n) != 0)
        return false;
    r->at += n;
    return true;
}

static bool is_word(const char *word, const char *what)
{
    return !strcmp(word, what);
}

static cn_status read_atom(reader *r, term *t)
{
    cn_status st = CN_OK;
    cn_error *err = r->err;
    char word[CN_MAX_OBJECTIVE];
    if (take_word(r, "text:")) {
        CN_TRY(read_text_term(r, t));
        goto done;
    }
    if (take_word(r, "logit:")) {
        CN_TRY(read_logit_term(r, t));
        goto done;
    }
    const char *begin = r->at;
    take_piece(r, word);
    const size_t length = strlen(word);
    CN_CHECK(length > 0, CN_EINVAL, "a term is wanted at %d, such as layer4:89", place(r));
    if (*r->at == '"' && word[length - 1] == ':') {
        CN_TRY(read_quoted_direction(r, word, t));
        goto done;
    }
    const bool energy = !strncmp(word, "energy:", 7), diversity = !strncmp(word, "diversity:", 10);
    if (energy || diversity) {
        t->kind = energy ? TERM_ENERGY : TERM_DIVERSITY;
        CN_TRY(find_site(r, word + (energy ? 7 : 10), t));
    } else if (is_word(word, "l1") || is_word(word, "l2") || is_word(word, "tv")) {
        t->kind = word[1] == '1' ? TERM_L1 : word[1] == '2' ? TERM_L2 : TERM_TV;
    } else {
        r->at = begin; /* for the place in messages */
        CN_TRY(read_site_term(r, word, t));
        r->at = begin + length;
    }
done:
    return st;
}

/* [NUMBER *] atom, or a sum in parentheses. */
static cn_status read_term(reader *r, float weight)
{
    cn_status st = CN_OK;
    cn_error *err = r->err;
    char *end = NULL;
    if (isdigit((unsigned char)*r->at) || *r->at == '.') {
        const double number = strtod(r->at, &end);
        const char *star = end;
        while (isspace((unsigned char)*star))
            star++;
        CN_CHECK(*star == '*', CN_EINVAL, "a weight is followed by *, such as 0.5*layer4:17 (at %d)", place(r));
        CN_CHECK(isfinite(number) && fabs(number) <= 1e6, CN_EINVAL, "the weight at %d is no number up to 1e6", place(r));
        weight *= (float)number;
        r->at = star + 1;
        skip_space(r);
    }
    if (*r->at == '(') {
        const int begin = place(r);
        CN_CHECK(r->depth < MAX_DEPTH, CN_ELIMIT, "parentheses are nested more than %d deep at %d", MAX_DEPTH, begin);
        r->at++;
        r->depth++;
        CN_TRY(read_sum(r, weight));
        CN_CHECK(*r->at == ')', CN_EINVAL, "the parenthesis at %d is not closed", begin);
        r->at++;
        r->depth--;
        goto done;
    }
    CN_CHECK(r->o->n_terms < CN_MAX_OBJECTIVE_TERMS, CN_ELIMIT, "an objective has %d terms at most", CN_MAX_OBJECTIVE_TERMS);
    term *t = &r->o->term[r->o->n_terms++]; /* counted before it is whole, so that closing frees its parts */
    t->weight = weight;
    CN_TRY(read_atom(r, t));
done:
    return st;
}

/* Terms joined by + and -, up to the end of the text or the parenthesis that closes them; each times the weight. */
static cn_status read_sum(reader *r, float weight)
{
    cn_status st = CN_OK;
    cn_error *err = r->err;
    skip_space(r);
    do {
        float sign = 1;
        if (*r->at == '+' || *r->at == '-') {
            sign = *r->at++ == '-' ? -1 : 1;
            skip_space(r);
        }
        CN_TRY(read_term(r, sign * weight));
        skip_space(r);
        if (r->depth && *r->at == ')')
            break;
        CN_CHECK(!*r->at || *r->at == '+' || *r->at == '-', CN_EINVAL, "+ or - is wanted at %d, before \"%.40s\"", place(r), r->at);
    } while (*r->at);
done:
    return st;
}

cn_status cn_objective_parse(cn_objective **out, const cn_model *model, const char *expression, int threads, cn_error *err)
{
    cn_status st = CN_OK;
    cn_objective *o = cn_calloc(1, sizeof *o);
    reader r = {o, expression, expression, threads, err, 0};
    *out = NULL;
    CN_CHECK(o, CN_ENOMEM, "out of memory for an objective");
    o->model = model;
    CN_CHECK(strlen(expression) < CN_MAX_OBJECTIVE, CN_ELIMIT, "an objective is at most %d bytes long", CN_MAX_OBJECTIVE - 1);
    CN_CHECK(cn_model_get_info(model)->resolution > 0, CN_EUNSUPPORTED, "%s: has no image tower",
             cn_weights_path(cn_model_weights(model)));
    CN_TRY(read_sum(&r, 1));
    *out = o, o = NULL;
done:
    cn_objective_free(o);
    return st;
}

static uint32_t sum_of(uint32_t sum, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        sum = (sum ^ ((const uint8_t *)bytes)[i]) * 16777619u;
    return sum;
}

uint32_t cn_objective_files_sum(const cn_objective *o)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < o->n_terms; i++)
        if (o->term[i].kind == TERM_DIRECTION) {
            const term *t = &o->term[i];
            sum = sum_of(sum ? sum : 2166136261u, t->vector, (size_t)o->site[t->site]->units * sizeof *t->vector);
            sum = sum_of(sum, &t->constant, sizeof t->constant);
        }
    return sum;
}

void cn_objective_free(cn_objective *o)
{
    if (!o)
        return;
    for (size_t i = 0; i < o->n_terms; i++) {
        cn_free(o->term[i].unit);
        cn_free(o->term[i].vector);
    }
    seeds_free(o->seeds);
    cn_free(o);
}
