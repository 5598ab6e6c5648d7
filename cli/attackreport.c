/* cli/attackreport.c -- prints what attacks and defences came to. */
#include "attackreport.h"
#include "attacking.h"
#include "commands.h"
#include "grid.h"
#include "linearfit.h"
#include "people.h"
#include "report.h"

#include <string.h>

static const char *s_of(int64_t n)
{
    return n == 1 ? "" : "s";
}

static void grid_share(struct grid *g, const cn_share *s)
{
    grid_real(g, s->share);
    grid_real(g, s->low);
    grid_real(g, s->high);
}

static void json_texts(struct json *j, const char *key, const char *const *texts, size_t n)
{
    json_open(j, key, '[');
    for (size_t i = 0; i < n; i++)
        json_text(j, NULL, texts[i]);
    json_close(j, ']');
}

static void json_shares(struct json *j, const char *key, const cn_share *s, size_t n)
{
    json_open(j, key, '[');
    for (size_t i = 0; i < n; i++)
        json_share(j, NULL, &s[i]);
    json_close(j, ']');
}

/* ---- run ---- */

void attack_table_print(const cn_attack_table *t, struct people *people)
{
    static const struct grid_column columns[] = {
        {NULL, "target", GRID_TEXT, 0},  {NULL, "text", GRID_TEXT, 0}, {NULL, "pixels", GRID_SHARE, 1}, {NULL, "success", GRID_SHARE, 1},
        {NULL, "from", GRID_SHARE, 1},   {NULL, "to", GRID_SHARE, 1},  {NULL, "before", GRID_SHARE, 1}, {NULL, "own label", GRID_SHARE, 1},
        {NULL, "prompt", GRID_TEXT, 0},
    };
    struct grid g;
    printf("%lld picture%s of ", (long long)t->images, s_of(t->images));
    print_safely(stdout, t->collection_name);
    printf(", %zu class%s; right without a text:", t->n_classes, t->n_classes == 1 ? "" : "es");
    for (size_t p = 0; p < t->n_prompts; p++)
        if (t->clean[p].of)
            printf("%s %.1f%%", p ? "," : "", 100 * t->clean[p].share);
        else /* no picture has a label among the classes */
            printf("%s -", p ? "," : "");
    printf("\n\n");
    grid_begin(&g, columns, CN_COUNT(columns));
    for (size_t i = 0; i < t->n_rows; i++)
        for (size_t p = 0; p < t->n_prompts; p++) {
            const cn_attack_row *r = &t->rows[i];
            grid_text(&g, r->target);
            grid_text(&g, r->text);
            grid_real(&g, r->pixels);
            grid_share(&g, &r->success[p]);
            grid_real(&g, r->before[p].share);
            grid_real(&g, r->kept[p].share);
            grid_text(&g, t->prompts[p]);
        }
    grid_print(&g, stdout);
    grid_free(&g);
    people_print(people);
}

void attack_table_json(const cn_attack_table *t, int64_t seed, struct people *people)
{
    struct json j;
    json_begin(&j, stdout);
    json_open(&j, NULL, '{');
    json_text(&j, "model", t->model_file);
    json_text(&j, "collection", t->collection_name);
    json_int(&j, "images", t->images);
    json_int(&j, "failed", t->failed);
    json_int(&j, "resumed", t->resumed);
    json_int(&j, "classes", (int64_t)t->n_classes);
    json_int(&j, "seed", seed);
    json_texts(&j, "prompts", t->prompts, t->n_prompts);
    json_shares(&j, "clean", t->clean, t->n_prompts);
    json_open(&j, "targets", '[');
    for (size_t i = 0; i < t->n_rows; i++) {
        const cn_attack_row *r = &t->rows[i];
        json_open(&j, NULL, '{');
        json_text(&j, "target", r->target);
        json_text(&j, "text", r->text);
        json_real(&j, "pixels", r->pixels);
        json_shares(&j, "success", r->success, t->n_prompts);
        json_shares(&j, "before", r->before, t->n_prompts);
        json_shares(&j, "own_label", r->kept, t->n_prompts);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    people_json(people, &j);
    json_close(&j, '}');
    json_end(&j);
}

/* ---- search ---- */

static const char *const origins[] = {"target", "class", "word", "unit", "genetic", "liked"};

/* What the units like, and how far that can be said. */
static void print_liked(const cn_attack_search_result *r)
{
    printf("\nunit%s of ", s_of((int64_t)r->n_units));
    print_safely(stdout, r->site);
    printf(" that serve%s it, and what %s (cosine of the word's text and the unit's direction):\n", r->n_units == 1 ? "s" : "",
           r->n_units == 1 ? "it likes" : "they like");
    for (size_t i = 0; i < r->n_units; i++) {
        printf("  %lld:", (long long)r->units[i].unit);
        for (size_t k = 0; k < r->units[i].n; k++) {
            fputs(k ? ", " : " ", stdout);
            print_safely(stdout, r->units[i].texts[k]);
            printf(" %.2f", r->units[i].cosines[k]);
        }
        putchar('\n');
    }
    linear_fit_print(&r->fit);
}

void attack_search_print(const cn_attack_search_result *r, struct people *people)
{
    static const struct grid_column columns[] = {
        {NULL, "text", GRID_TEXT, 0},  {NULL, "from", GRID_TEXT, 0}, {NULL, "unit", GRID_INT, 0},    {NULL, "margin", GRID_REAL, 3}, {NULL, "pixels", GRID_SHARE, 1},
        {NULL, "train", GRID_SHARE, 1}, {NULL, "success", GRID_SHARE, 1}, {NULL, "low", GRID_SHARE, 1}, {NULL, "high", GRID_SHARE, 1},
        {NULL, "prompt", GRID_TEXT, 0},
    };
    struct grid g;
    print_safely(stdout, r->target);
    printf(": %lld text%s tried on %lld picture%s, the best measured on %lld other%s\n\n", (long long)r->tried, s_of(r->tried), (long long)r->train,
           s_of(r->train), (long long)r->heldout, s_of(r->heldout));
    grid_begin(&g, columns, CN_COUNT(columns));
    for (size_t i = 0; i < r->n; i++)
        for (size_t p = 0; p < r->n_prompts; p++) {
            const cn_attack_found *f = &r->found[i];
            grid_text(&g, f->text);
            grid_text(&g, origins[f->origin]);
            if (f->unit >= 0)
                grid_int(&g, f->unit);
            else
                grid_none(&g);
            grid_real(&g, f->margin);
            grid_real(&g, f->pixels);
            grid_real(&g, f->train.share);
            grid_share(&g, &f->success[p]);
            grid_text(&g, r->prompts[p]);
        }
    grid_print(&g, stdout);
    grid_free(&g);
    print_liked(r);
    people_print(people);
}

static void json_liked(struct json *j, const cn_attack_search_result *r)
{
    json_text(j, "site", r->site);
    json_open(j, "units", '[');
    for (size_t i = 0; i < r->n_units; i++) {
        const cn_attack_unit *u = &r->units[i];
        json_open(j, NULL, '{');
        json_int(j, "unit", u->unit);
        json_real(j, "serves", u->serves);
        json_open(j, "likes", '[');
        for (size_t k = 0; k < u->n; k++) {
            j->flat = j->depth + 1;
            json_open(j, NULL, '{');
            json_text(j, "text", u->texts[k]);
            json_real(j, "cosine", u->cosines[k]);
            json_close(j, '}');
        }
        json_close(j, ']');
        json_close(j, '}');
    }
    json_close(j, ']');
    linear_fit_json(j, &r->fit);
}

void attack_search_json(const cn_attack_search_result *r, int64_t seed, struct people *people)
{
    struct json j;
    json_begin(&j, stdout);
    json_open(&j, NULL, '{');
    json_text(&j, "target", r->target);
    json_int(&j, "tried", r->tried);
    json_int(&j, "train", r->train);
    json_int(&j, "heldout", r->heldout);
    json_int(&j, "seed", seed);
    json_texts(&j, "prompts", r->prompts, r->n_prompts);
    json_open(&j, "texts", '[');
    for (size_t i = 0; i < r->n; i++) {
        const cn_attack_found *f = &r->found[i];
        json_open(&j, NULL, '{');
        json_text(&j, "text", f->text);
        json_text(&j, "from", origins[f->origin]);
        if (f->unit >= 0)
            json_int(&j, "unit", f->unit);
        json_real(&j, "margin", f->margin);
        json_real(&j, "pixels", f->pixels);
        json_share(&j, "train", &f->train);
        json_shares(&j, "success", f->success, r->n_prompts);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_liked(&j, r);
    people_json(people, &j);
    json_close(&j, '}');
    json_end(&j);
}

/* ---- defend ---- */

static const char *const kinds[CN_DEFENCE_KINDS] = {"readers", "known", "random", "heads", "projection"};

static void grid_step(struct grid *g, const char *what, const cn_defence_step *s)
{
    grid_text(g, what);
    grid_int(g, s->removed);
    grid_share(g, &s->success);
    grid_real(g, s->kept.share);
    grid_share(g, &s->clean);
    grid_real(g, s->own.share);
}

static void print_readers(const char *what, const cn_reader_unit *units, size_t n)
{
    printf("%s:", what);
    for (size_t i = 0; i < n; i++)
        printf("%s %lld (%+.4f, %.4f to %.4f)", i ? "," : "", (long long)units[i].unit, units[i].push, units[i].low, units[i].high);
    putchar('\n');
}

void defence_print(const cn_defence_result *r, size_t readers, struct people *people)
{
    static const struct grid_column columns[] = {
        {NULL, "defence", GRID_TEXT, 0},   {NULL, "removed", GRID_INT, 0},  {NULL, "attack", GRID_SHARE, 1}, {NULL, "from", GRID_SHARE, 1},
        {NULL, "to", GRID_SHARE, 1},       {NULL, "own label", GRID_SHARE, 1}, {NULL, "clean", GRID_SHARE, 1}, {NULL, "from", GRID_SHARE, 1},
        {NULL, "to", GRID_SHARE, 1},       {NULL, "targets' own", GRID_SHARE, 1},
    };
    struct grid g;
    const size_t n = readers < r->n_readers ? readers : r->n_readers;
    printf("%lld picture%s of ", (long long)r->images, s_of(r->images));
    print_safely(stdout, r->collection_name);
    printf("; units and directions from %lld other%s. Units of %s explain %.4f of the embedding's variance\n", (long long)r->fitted, s_of(r->fitted), r->site,
           r->linear);
    print_readers("units that read common words", r->readers, n);
    print_readers("units that read the attack's texts", r->known, n);
    putchar('\n');
    grid_begin(&g, columns, CN_COUNT(columns));
    for (int k = 0; k < CN_DEFENCE_KINDS; k++)
        for (size_t i = 0; i < r->n_steps[k]; i++)
            grid_step(&g, kinds[k], &r->steps[k][i]);
    for (size_t p = 0; p < r->n_prompts; p++)
        grid_step(&g, r->prompts[p], &r->prompt[p]);
    grid_print(&g, stdout);
    grid_free(&g);
    people_print(people);
}

static void json_step(struct json *j, const char *prompt, const cn_defence_step *s)
{
    json_open(j, NULL, '{');
    if (prompt)
        json_text(j, "prompt", prompt);
    else
        json_int(j, "removed", s->removed);
    json_share(j, "attack", &s->success);
    json_share(j, "own_label", &s->kept);
    json_share(j, "clean", &s->clean);
    json_share(j, "targets_own", &s->own);
    json_close(j, '}');
}

static void json_readers(struct json *j, const char *key, const cn_reader_unit *units, size_t n)
{
    json_open(j, key, '[');
    for (size_t i = 0; i < n; i++) {
        j->flat = j->depth + 1;
        json_open(j, NULL, '{');
        json_int(j, "unit", units[i].unit);
        json_real(j, "push", units[i].push);
        json_real(j, "low", units[i].low);
        json_real(j, "high", units[i].high);
        json_real(j, "response", units[i].response);
        json_close(j, '}');
    }
    json_close(j, ']');
}

void defence_json(const cn_defence_result *r, size_t readers, int64_t seed, struct people *people)
{
    struct json j;
    const size_t n = readers < r->n_readers ? readers : r->n_readers;
    json_begin(&j, stdout);
    json_open(&j, NULL, '{');
    json_text(&j, "model", r->model_file);
    json_text(&j, "collection", r->collection_name);
    json_text(&j, "site", r->site);
    json_int(&j, "images", r->images);
    json_int(&j, "fitted", r->fitted);
    json_int(&j, "seed", seed);
    json_real(&j, "linear", r->linear);
    json_readers(&j, "units_common", r->readers, n);
    json_readers(&j, "units_known", r->known, n);
    json_open(&j, "heads_change", '[');
    for (size_t i = 0; i < r->n_heads; i++)
        json_real(&j, NULL, r->heads[i]);
    json_close(&j, ']');
    for (int k = 0; k < CN_DEFENCE_KINDS; k++) {
        json_open(&j, kinds[k], '[');
        for (size_t i = 0; i < r->n_steps[k]; i++)
            json_step(&j, NULL, &r->steps[k][i]);
        json_close(&j, ']');
    }
    json_open(&j, "prompts", '[');
    for (size_t p = 0; p < r->n_prompts; p++)
        json_step(&j, r->prompts[p], &r->prompt[p]);
    json_close(&j, ']');
    people_json(people, &j);
    json_close(&j, '}');
    json_end(&j);
}
