/* compose/attackrun.c -- success of written texts over a collection, with a log from which an interrupted run goes on. */
#include "compose/attackset.h"

#include "base/memory.h"
#include "compose/attacklog.h"
#include "file/sha256.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct run {
    attack_set set;
    const cn_attack_target *targets;
    size_t n_targets;
    const char **texts;              /* (n_targets) */
    int *class;                      /* (n_targets) */
    const float *const **vectors;    /* (n_targets) of (n_prompts) */
    int32_t *answers;                /* (n, 2, n_targets, n_prompts): as it is, asked with each text in the prompt; with the text on it */
    int64_t *changed;                /* (n, n_targets) px */
    bool *known;                     /* (n) */
    bag memory;
    attack_log *log;
} run;

/* A batch that fills: which picture and which text (0: none) each row is. */
typedef struct rows {
    uint8_t *rgb;
    float *embedding;
    int64_t *picture;
    size_t *text;
    int64_t n;
} rows;

/* ---- settings that answers depend on ---- */

static cn_status add_text(sha256 *sum, const char *text, cn_error *err)
{
    return sha256_add(sum, text, strlen(text) + 1, err);
}

static cn_status digest(const run *r, char hex[65], cn_error *err)
{
    cn_status st = CN_OK;
    sha256 *sum = NULL;
    char line[512], fingerprint[65];
    const cn_lettering *l = &r->set.o.lettering;
    CN_TRY(cn_model_fingerprint(r->set.model, fingerprint, err));
    CN_TRY(sha256_open(&sum, err));
    snprintf(line, sizeof line, "1 %s %d %d %.17g %d %.17g %.17g %d %d,%d,%d %d,%d,%d %.17g %.17g %d %zu %zu %zu", fingerprint, r->set.side,
             (int)l->layout, l->size, l->copies, l->x, l->y, l->coloured, l->colour[0], l->colour[1], l->colour[2], l->outline_colour[0],
             l->outline_colour[1], l->outline_colour[2], l->outline, l->rotation, (int)r->set.o.precision, r->set.n_classes, r->set.n_prompts,
             r->n_targets);
    CN_TRY(add_text(sum, line, err));
    CN_TRY(add_text(sum, l->font ? l->font : "", err));
    if (l->font_file) /* added where there is one: logs without stay as they were */
        CN_TRY(add_text(sum, l->font_file, err));
    for (size_t i = 0; i < r->set.n_classes; i++)
        CN_TRY(add_text(sum, r->set.classes[i], err));
    for (size_t i = 0; i < r->set.n_prompts; i++)
        CN_TRY(add_text(sum, r->set.prompts[i], err));
    for (size_t i = 0; i < r->n_targets; i++) {
        CN_TRY(add_text(sum, r->targets[i].target, err));
        CN_TRY(add_text(sum, r->texts[i], err));
    }
    CN_TRY(sha256_hex(sum, hex, err));
done:
    sha256_close(sum);
    return st;
}

/* ---- answering ---- */

static int32_t *answers_of(const run *r, int64_t picture, bool attacked, size_t target)
{
    return r->answers + ((2 * picture + attacked) * (int64_t)r->n_targets + (int64_t)target) * (int64_t)r->set.n_prompts;
}

static void answer(run *r, int64_t picture, bool attacked, size_t target, const float *embedding)
{
    const attack_set *s = &r->set;
    int32_t *to = answers_of(r, picture, attacked, target);
    for (size_t p = 0; p < s->n_prompts; p++)
        if (!attacked && target > 0 && s->plain[p]) /* the question is the same for every target */
            to[p] = answers_of(r, picture, false, 0)[p];
        else
            to[p] = attack_answer(embedding, r->vectors[target][p], s->n_classes, s->width);
}

static cn_status flush(run *r, rows *b, cn_error *err)
{
    cn_status st = CN_OK;
    attack_set *s = &r->set;
    if (b->n == 0)
        return CN_OK;
    CN_TRY(attack_embed(s, b->rgb, b->n, b->embedding, err));
    for (int64_t i = 0; i < b->n; i++) {
        const size_t text = b->text[i];
        for (size_t t = text ? text - 1 : 0; t < (text ? text : r->n_targets); t++)
            answer(r, b->picture[i], text > 0, t, b->embedding + i * s->width);
        if (text == r->n_targets) /* the picture's last row */
            CN_TRY(attack_log_add(r->log, s->pictures[b->picture[i]].path, s->pictures[b->picture[i]].key,
                                  r->changed + b->picture[i] * (int64_t)r->n_targets, answers_of(r, b->picture[i], false, 0), err));
    }
    b->n = 0;
    CN_TRY(attack_log_flush(r->log, err));
done:
    return st;
}

static cn_status answer_all(run *r, cn_error *err)
{
    cn_status st = CN_OK;
    attack_set *s = &r->set;
    rows b = {0};
    const size_t bytes = (size_t)s->side * (size_t)s->side * 3, batch = (size_t)s->o.batch;
    b.rgb = cn_reallocarray(NULL, batch, bytes);
    b.embedding = cn_reallocarray(NULL, batch, (size_t)s->width * sizeof(float));
    b.picture = cn_calloc(batch, sizeof *b.picture);
    b.text = cn_calloc(batch, sizeof *b.text);
    CN_CHECK(b.rgb && b.embedding && b.picture && b.text, CN_ENOMEM, "out of memory for a batch of %zu pictures", batch);
    for (int64_t i = 0; i < s->n; i++) {
        for (size_t t = 0; t <= r->n_targets && !r->known[i]; t++) {
            uint8_t *rgb = b.rgb + (size_t)b.n * bytes;
            memcpy(rgb, attack_rgb(s, i), bytes);
            if (t)
                CN_TRY(cn_lettering_draw(rgb, s->side, s->side, r->texts[t - 1], &s->o.lettering,
                                         &r->changed[i * (int64_t)r->n_targets + (int64_t)t - 1], err));
            b.picture[b.n] = i;
            b.text[b.n++] = t;
            if (b.n == s->o.batch) {
                CN_TRY(flush(r, &b, err));
                CN_TRY(attack_go_on(s, "attacking", i, s->n, err));
            }
        }
    }
    CN_TRY(flush(r, &b, err));
    CN_TRY(attack_go_on(s, "attacking", s->n, s->n, err));
done:
    cn_free(b.rgb);
    cn_free(b.embedding);
    cn_free(b.picture);
    cn_free(b.text);
    return st;
}

/* ---- counting ---- */

typedef struct private_table {
    cn_attack_table public;
    bag memory;
} private_table;

static cn_status count_row(const run *r, bag *memory, size_t t, cn_attack_row *row, cn_error *err)
{
    cn_status st = CN_OK;
    const attack_set *s = &r->set;
    const size_t P = s->n_prompts;
    cn_share *success = bag_calloc(memory, P, sizeof *success), *before = bag_calloc(memory, P, sizeof *before),
             *kept = bag_calloc(memory, P, sizeof *kept);
    row->target = bag_text(memory, r->targets[t].target);
    row->text = bag_text(memory, r->texts[t]);
    CN_CHECK(success && before && kept && row->target && row->text, CN_ENOMEM, "out of memory for a table");
    double pixels = 0;
    for (size_t p = 0; p < P; p++) {
        int64_t of = 0, hits = 0, already = 0, labelled = 0, own = 0;
        for (int64_t i = 0; i < s->n; i++) {
            const int label = s->pictures[i].label;
            if (label == r->class[t])
                continue;
            const int32_t with = answers_of(r, i, true, t)[p];
            of++;
            hits += with == r->class[t];
            already += answers_of(r, i, false, t)[p] == r->class[t];
            labelled += label >= 0;
            own += label >= 0 && with == label;
        }
        success[p] = attack_share(hits, of);
        before[p] = attack_share(already, of);
        kept[p] = attack_share(own, labelled);
    }
    for (int64_t i = 0; i < s->n; i++)
        pixels += (double)r->changed[i * (int64_t)r->n_targets + (int64_t)t];
    row->pixels = pixels / ((double)s->n * s->side * s->side);
    row->success = success, row->before = before, row->kept = kept;
done:
    return st;
}

static cn_status make_table(cn_attack_table **out, const run *r, cn_error *err)
{
    cn_status st = CN_OK;
    const attack_set *s = &r->set;
    private_table *t = cn_calloc(1, sizeof *t);
    CN_CHECK(t, CN_ENOMEM, "out of memory for a table");
    cn_attack_row *list = bag_calloc(&t->memory, r->n_targets, sizeof *list);
    cn_share *clean = bag_calloc(&t->memory, s->n_prompts, sizeof *clean);
    cn_attack_table *to = &t->public;
    to->prompts = bag_texts(&t->memory, s->prompts, s->n_prompts);
    to->classes = bag_texts(&t->memory, s->classes, s->n_classes);
    to->model_file = bag_text(&t->memory, s->model_file);
    to->collection_name = bag_text(&t->memory, s->collection_name);
    CN_CHECK(list && clean && to->prompts && to->classes && to->model_file && to->collection_name, CN_ENOMEM, "out of memory for a table");
    for (size_t i = 0; i < r->n_targets; i++)
        CN_TRY(count_row(r, &t->memory, i, &list[i], err));
    for (size_t p = 0; p < s->n_prompts; p++) {
        int64_t labelled = 0, own = 0;
        for (int64_t i = 0; i < s->n; i++)
            for (size_t text = 0; text < (s->plain[p] ? 1 : r->n_targets) && s->pictures[i].label >= 0; text++) {
                labelled++;
                own += answers_of(r, i, false, text)[p] == s->pictures[i].label;
            }
        clean[p] = attack_share(own, labelled);
    }
    to->n_prompts = s->n_prompts, to->n_rows = r->n_targets, to->n_classes = s->n_classes;
    to->rows = list, to->clean = clean;
    to->images = s->n, to->failed = s->failed;
    for (int64_t i = 0; i < s->n; i++)
        to->resumed += r->known[i];
    *out = to, t = NULL;
done:
    if (t)
        cn_attack_table_free(&t->public);
    return st;
}

void cn_attack_table_free(cn_attack_table *table)
{
    private_table *t = (private_table *)table;
    if (t)
        bag_free(&t->memory);
    cn_free(t);
}

/* ---- */

static cn_status open_run(run *r, const cn_model *model, const char *collection, const char *log, const cn_attack_options *options, cn_error *err)
{
    cn_status st = CN_OK;
    attack_set *s = &r->set;
    const char **names = bag_calloc(&r->memory, r->n_targets, sizeof *names);
    r->texts = bag_calloc(&r->memory, r->n_targets, sizeof *r->texts);
    r->class = bag_calloc(&r->memory, r->n_targets, sizeof *r->class);
    r->vectors = bag_calloc(&r->memory, r->n_targets, sizeof *r->vectors);
    CN_CHECK(names && r->texts && r->class && r->vectors, CN_ENOMEM, "out of memory for %zu targets", r->n_targets);
    for (size_t i = 0; i < r->n_targets; i++) {
        uint8_t pixel[3] = {0};
        CN_CHECK(r->targets[i].target && *r->targets[i].target, CN_EINVAL, "a target has a name");
        names[i] = r->targets[i].target;
        r->texts[i] = r->targets[i].text ? r->targets[i].text : names[i];
        CN_TRY(cn_lettering_draw(pixel, 1, 1, r->texts[i], options ? &options->lettering : NULL, NULL, err)); /* is it all right? */
    }
    CN_TRY(attack_set_open(s, model, collection, names, r->n_targets, false, NULL, options, err));
    for (size_t i = 0; i < r->n_targets; i++) {
        r->class[i] = attack_class(s, names[i]);
        CN_TRY(attack_vectors(s, &r->memory, r->texts[i], &r->vectors[i], err));
    }
    const size_t rows_each = 2 * r->n_targets * s->n_prompts;
    r->answers = bag_calloc(&r->memory, (size_t)s->n, rows_each * sizeof *r->answers);
    r->changed = bag_calloc(&r->memory, (size_t)s->n, r->n_targets * sizeof *r->changed);
    r->known = bag_calloc(&r->memory, (size_t)s->n, sizeof *r->known);
    CN_CHECK(r->answers && r->changed && r->known, CN_ENOMEM, "out of memory for %" PRId64 " pictures", s->n);
    if (log) {
        char hex[65];
        CN_TRY(digest(r, hex, err));
        const attack_log_shape shape = {hex, r->n_targets, s->n_prompts, s->n_classes, (int64_t)s->side * s->side};
        CN_TRY(attack_log_open(&r->log, log, &shape, s->pictures, s->n, r->changed, r->answers, r->known, err));
    }
done:
    return st;
}

cn_status cn_attack_run(cn_attack_table **out, const cn_model *model, const char *collection, const cn_attack_target *targets, size_t n_targets,
                        const char *log, const cn_attack_options *options, cn_error *err)
{
    cn_status st = CN_OK;
    run r = {.targets = targets, .n_targets = n_targets};
    *out = NULL;
    CN_CHECK(n_targets >= 1 && n_targets <= CN_MAX_ATTACK_TARGETS, CN_EINVAL, "1 to %d targets, not %zu", CN_MAX_ATTACK_TARGETS, n_targets);
    CN_TRY(open_run(&r, model, collection, log, options, err));
    CN_TRY(answer_all(&r, err));
    CN_TRY(make_table(out, &r, err));
done:
    attack_log_close(r.log);
    attack_set_close(&r.set);
    bag_free(&r.memory);
    return st;
}
