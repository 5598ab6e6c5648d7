/* cli/cmd_probe.c -- `clipneuron probe`: classes as short sums of units. */
#include "commands.h"
#include "grid.h"
#include "interrupt.h"
#include "json.h"
#include "models.h"
#include "people.h"
#include "progress.h"
#include "report.h"

#include <clipneuron/probe.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct arguments {
    struct model_arguments model;
    struct run_arguments run;
    struct words operands, classes;
    const char *site, *labels, *template, *units, *most, *mix, *held_out, *output, *graph, *direction, *least_weight;
    int64_t top, seed, least, unit;
    int theme;
    bool relu, no_zero_shot, dry, json, quiet;
};

static const char *const theme_choices[] = {"light", "dark", "print", NULL}; /* cn_plot_theme */

/* clang-format off */
static const struct option options[] = {
    MODEL_OPTIONS(struct arguments, model),
    {'l', "labels", OPTION_TEXT, offsetof(struct arguments, labels), "COLUMN",
     "What to tell apart: label, medium, or any column of the study's table `fields`. Default: label."},
    {'s', "site", OPTION_TEXT, offsetof(struct arguments, site), "SITE", "Units of this site of the study. Default: its first."},
    {'u', "units", OPTION_TEXT, offsetof(struct arguments, units), "N",
     "Units a class, on average: the strength of the penalty is chosen for it. Default: 3."},
    {0, "most", OPTION_TEXT, offsetof(struct arguments, most), "N", "Units a class at which the path ends. Default: twice --units."},
    {0, "mix", OPTION_TEXT, offsetof(struct arguments, mix), "SHARE",
     "Share of L1 in the penalty, the rest is L2 (elastic net), from 0.01 to 1. Default: 1."},
    {0, "relu", OPTION_FLAG, offsetof(struct arguments, relu), NULL,
     "Take negative activations (spatial means) as 0. Behind a site's own ReLU lies another site: scan that to use it."},
    {0, "held-out", OPTION_TEXT, offsetof(struct arguments, held_out), "SHARE", "Of each class's pictures, for measuring. Default: 0.25."},
    {0, "seed", OPTION_COUNT, offsetof(struct arguments, seed), "N", "Of the hash of paths that holds pictures out. Default: 0.", 0, INT64_MAX},
    {0, "least", OPTION_COUNT, offsetof(struct arguments, least), "N",
     "Pictures that a class must have, and keeps for training; others are left out. Default: 2.", 1, INT64_MAX},
    {0, "template", OPTION_TEXT, offsetof(struct arguments, template), "TEXT",
     "Prompt of the zero-shot probe, with {} for the class. Default: the study's."},
    {0, "no-zero-shot", OPTION_FLAG, offsetof(struct arguments, no_zero_shot), NULL, "Leave the zero-shot probe out: no model is read."},
    {'n', "top", OPTION_COUNT, offsetof(struct arguments, top), "N",
     "Equations to print: of the classes that their units carry most. Default: 12.", 0, INT64_MAX},
    {'c', "class", OPTION_WORDS, offsetof(struct arguments, classes), "NAME", "Of this class alone. May be repeated."},
    {0, "unit", OPTION_COUNT, offsetof(struct arguments, unit), "N", "In place of equations: the classes that this unit serves.", 0, INT64_MAX},
    {'o', "output", OPTION_TEXT, offsetof(struct arguments, output), "FILE.npz", "Write the probe to a file, too, to be shown again."},
    {0, "dry-run", OPTION_FLAG, offsetof(struct arguments, dry), NULL, "Do not keep the probe in the study."},
    {0, "graph", OPTION_TEXT, offsetof(struct arguments, graph), "FILE",
     "Draw the units and classes as .svg or .png, or write Graphviz's .dot; with --class, of those alone."},
    {0, "graph-least", OPTION_TEXT, offsetof(struct arguments, least_weight), "W", "Leave weights below W out of the graph. Default: 0."},
    {0, "theme", OPTION_CHOICE, offsetof(struct arguments, theme), "THEME", "Of the graph: light, dark or print. Default: light.", 0, 0, theme_choices},
    {0, "direction", OPTION_TEXT, offsetof(struct arguments, direction), "FILE.npy",
     "With one --class: its weights on the units as they are, for `clipneuron see SITE:FILE.npy`."},
    {0, "json", OPTION_FLAG, offsetof(struct arguments, json), NULL, "Print JSON, with the whole path and all equations."},
    RUN_OPTIONS(struct arguments, run),
    {'q', "quiet", OPTION_FLAG, offsetof(struct arguments, quiet), NULL, "No progress and no notes."},
};
/* clang-format on */

struct showing {
    const struct arguments *a;
    const cn_probe *p;
    cn_study *study; /* NULL: the probe comes from a file */
    size_t *classes; /* that are shown, in order */
    size_t n;
    const char *shown; /* the phase on the progress line */
};

static bool probe_progress(const char *what, int64_t done, int64_t total, void *user)
{
    struct showing *s = user;
    if (s->shown != what)
        progress_start(what, total ? total : -1, PROGRESS_ITEMS, s->a->quiet);
    s->shown = what;
    progress_set(done, total ? total : -1, 0);
    return !interrupted();
}

/* ---- which classes ---- */

static const cn_probe *ordered; /* for qsort */

static int by_effect(const void *a, const void *b)
{
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;
    const double p = ordered->classes[x].check.predicted, q = ordered->classes[y].check.predicted;
    return p != q ? (p < q ? -1 : 1) : x < y ? -1 : x > y;
}

static int choose_classes(struct showing *s)
{
    const struct words *names = &s->a->classes;
    s->classes = need(calloc(s->p->n_classes + names->count + 1, sizeof *s->classes));
    for (size_t i = 0; i < names->count; i++) {
        const size_t k = cn_probe_find_class(s->p, names->items[i]);
        if (k == s->p->n_classes) {
            const char **all = need(calloc(k + 1, sizeof *all));
            for (size_t j = 0; j < k; j++)
                all[j] = s->p->classes[j].name;
            const char *near = nearest(names->items[i], all, k);
            const int code = near ? fail("the probe has no class \"%s\"; did you mean \"%s\"?", names->items[i], near)
                                  : fail("the probe has no class \"%s\"; it has %zu, \"%s\" to \"%s\"", names->items[i], k, all[0], all[k - 1]);
            free(all);
            return code;
        }
        s->classes[s->n++] = k;
    }
    if (names->count)
        return EXIT_DONE;
    for (; s->n < s->p->n_classes; s->n++)
        s->classes[s->n] = s->n;
    ordered = s->p;
    qsort(s->classes, s->n, sizeof *s->classes, by_effect);
    return EXIT_DONE;
}

/* Share of the pictures that a probe of labels knows to be of a class. */
static double share_of_class(const void *user, const char *name)
{
    const cn_probe *p = user;
    const size_t k = cn_probe_find_class(p, name);
    const int64_t all = p->train + p->test + p->left_pictures + p->without;
    if (strcmp(p->column, "label") != 0 || k == p->n_classes || all <= 0)
        return (double)NAN;
    return (double)(p->classes[k].train + p->classes[k].held_out) / (double)all;
}

/* Names in the equations that are shown, and their classes. */
static void note_people(struct people *people, const struct showing *s)
{
    const cn_probe *p = s->p;
    const size_t shown = s->a->json || s->a->classes.count || s->n < (size_t)s->a->top ? s->n : (size_t)s->a->top;
    people_begin(people, s->study);
    people->rate = share_of_class;
    people->user = p;
    for (size_t t = 0; s->a->unit >= 0 && t < p->n_terms; t++)
        if (p->terms[t].unit == s->a->unit) {
            people_note(people, p->terms[t].name);
            people_note(people, p->classes[p->terms[t].class_index].name);
        }
    for (size_t i = 0; s->a->unit < 0 && i < shown; i++) {
        const cn_probe_class *c = &p->classes[s->classes[i]];
        people_note(people, c->name);
        for (size_t t = c->first; t < c->first + c->n; t++)
            people_note(people, p->terms[t].name);
    }
}

/* ---- as text ---- */

static void print_share(const char *before, const cn_probe_share *x)
{
    printf("%s%5.1f%% (%.1f to %.1f)", before, 100 * x->share, 100 * x->low, 100 * x->high);
}

static void print_path(const struct showing *s)
{
    const cn_probe *p = s->p;
    const double violation = p->points[p->chosen].violation;
    if (violation > 0.05)
        note(false, "the chosen fit ended before it was optimal (violation %.2g, wanted 0.001): its weights are not to be trusted", violation);
    printf("  strength  units/class  units  top-1 held out           top-5\n");
    size_t last = 0;
    for (size_t i = 0; i < p->n_points; i++) {
        const cn_probe_point *x = &p->points[i];
        if (i != p->chosen && i > 0 && p->points[last].strength < 1.2 * x->strength && i + 1 < p->n_points)
            continue; /* the search for the wanted number is a crowd: a line for a fifth is enough */
        last = i;
        printf("%c%9.3g  %11.2f  %5lld", i == p->chosen ? '*' : ' ', x->strength, x->units_a_class, (long long)x->units);
        print_share("  ", &x->top1);
        print_share("  ", &x->top5);
        putchar('\n');
    }
}

static void print_equation(const cn_probe *p, size_t k)
{
    const cn_probe_class *c = &p->classes[k];
    print_safely(stdout, c->name);
    printf(" =");
    for (size_t t = c->first; t < c->first + c->n; t++) {
        const cn_probe_term *x = &p->terms[t];
        printf(x->weight < 0 ? " - %.2f " : t == c->first ? " %.2f " : " + %.2f ", fabs(x->weight));
        print_safely(stdout, x->name);
        printf(" [%lld]", (long long)x->unit);
    }
    if (!c->n)
        printf(" nothing: its intercept alone");
    putchar('\n');
    if (!c->n)
        return;
    printf("  its units at their mean: logit predicted %+.2f, measured ", c->check.predicted);
    if (isnan(c->check.measured))
        printf("nowhere: no picture of it is held out\n");
    else if (isnan(c->check.low))
        printf("%+.2f on one picture", c->check.measured);
    else
        printf("%+.2f (%+.2f to %+.2f)", c->check.measured, c->check.low, c->check.high);
    if (!isnan(c->check.measured))
        printf("; right: %lld of %lld, then %lld\n", (long long)c->check.before.hits, (long long)c->check.before.of, (long long)c->check.after.hits);
}

static int by_weight(const void *a, const void *b)
{
    const cn_probe_term *const *x = a, *const *y = b;
    const double p = (*x)->weight, q = (*y)->weight;
    return p != q ? (p > q ? -1 : 1) : (*x)->class_index < (*y)->class_index ? -1 : (*x)->class_index > (*y)->class_index;
}

/* The terms of a unit, by weight, falling. Owned by the caller. */
static const cn_probe_term **terms_of(const cn_probe *p, int64_t unit, size_t *n)
{
    const cn_probe_term **list = need(calloc(p->n_terms + 1, sizeof *list));
    *n = 0;
    for (size_t t = 0; t < p->n_terms; t++)
        if (p->terms[t].unit == unit)
            list[(*n)++] = &p->terms[t];
    if (*n)
        qsort(list, *n, sizeof *list, by_weight);
    return list;
}

static void print_unit(const struct showing *s)
{
    size_t n;
    const cn_probe_term **list = terms_of(s->p, s->a->unit, &n);
    printf("unit %lld of %s", (long long)s->a->unit, s->p->site);
    if (n) {
        printf(" (");
        print_safely(stdout, list[0]->name);
        printf(") serves %zu of %zu classes:\n", n, s->p->n_classes);
    } else {
        printf(" serves no class\n");
    }
    for (size_t i = 0; i < n; i++) {
        printf("  %+6.2f  ", list[i]->weight);
        print_safely(stdout, s->p->classes[list[i]->class_index].name);
        printf("  (%.0f%% of its equation)\n", 100 * list[i]->share);
    }
    free(list);
}

static void print_probe(const struct showing *s)
{
    const cn_probe *p = s->p;
    const cn_probe_point *x = &p->points[p->chosen];
    printf("%s of ", p->column);
    print_safely(stdout, p->collection);
    printf(": %zu classes from units of %s%s; %lld pictures, %lld held out\n", p->n_classes, p->site, p->relu ? " behind a ReLU" : "",
           (long long)p->train, (long long)p->test);
    if (p->left_classes || p->without)
        printf("left out: %lld class%s with too few pictures (%lld), %lld picture%s without a %s\n", (long long)p->left_classes,
               p->left_classes == 1 ? "" : "es", (long long)p->left_pictures, (long long)p->without, p->without == 1 ? "" : "s", p->column);
    putchar('\n');
    print_path(s);
    if (p->zero1.of) {
        printf(" zero-shot %-23s", "");
        print_share("", &p->zero1);
        print_share("  ", &p->zero5);
        printf("  \"");
        print_safely(stdout, p->zero_shot_template);
        printf("\", %lld of %zu names known\n", (long long)p->zero_known, p->n_classes);
    } else if (p->zero_shot_why && !s->a->no_zero_shot) {
        printf(" zero-shot: not computed: ");
        print_safely(stdout, p->zero_shot_why);
        putchar('\n');
    }
    printf("\n* %.2f units a class; weights are nats of the logit a standard deviation of the unit\n", x->units_a_class);
    if (!isnan(p->check_slope))
        printf("  set to their mean: over the classes, measured = %.2f predicted, correlation %.2f\n", p->check_slope, p->check_r);
    putchar('\n');
    if (s->a->unit >= 0)
        print_unit(s);
    for (size_t i = 0; s->a->unit < 0 && i < s->n && (s->a->classes.count || i < (size_t)s->a->top); i++)
        print_equation(p, s->classes[i]);
    struct people people;
    note_people(&people, s);
    people_print(&people);
}

/* ---- as JSON ---- */

static void json_share(struct json *j, const char *key, const cn_probe_share *x)
{
    json_open(j, key, '{');
    json_int(j, "hits", x->hits);
    json_int(j, "of", x->of);
    json_real(j, "share", x->share);
    json_real(j, "low", x->low);
    json_real(j, "high", x->high);
    json_close(j, '}');
}

static void json_point(struct json *j, const cn_probe_point *x, bool chosen)
{
    json_open(j, NULL, '{');
    json_real(j, "strength", x->strength);
    json_bool(j, "chosen", chosen);
    json_real(j, "units_a_class", x->units_a_class);
    json_int(j, "weights", x->weights);
    json_int(j, "units", x->units);
    json_real(j, "objective", x->objective);
    json_real(j, "loss", x->loss);
    json_real(j, "violation", x->violation);
    json_int(j, "passes", x->passes);
    json_share(j, "top1", &x->top1);
    json_share(j, "top5", &x->top5);
    json_close(j, '}');
}

static void json_class(struct json *j, const cn_probe *p, size_t k)
{
    const cn_probe_class *c = &p->classes[k];
    json_open(j, NULL, '{');
    json_text(j, "class", c->name);
    json_int(j, "train", c->train);
    json_int(j, "held_out", c->held_out);
    json_real(j, "intercept", c->intercept);
    json_open(j, "terms", '[');
    j->flat = j->depth + 1;
    for (size_t t = c->first; t < c->first + c->n; t++) {
        const cn_probe_term *x = &p->terms[t];
        j->flat = j->depth + 1;
        json_open(j, NULL, '{');
        json_int(j, "unit", x->unit);
        json_text(j, "name", x->name);
        json_bool(j, "named", x->named);
        json_real(j, "weight", x->weight);
        json_real(j, "share", x->share);
        json_real(j, "level", x->level);
        json_close(j, '}');
    }
    json_close(j, ']');
    json_open(j, "check", '{');
    json_real(j, "predicted", c->check.predicted);
    json_real(j, "measured", c->check.measured);
    json_real(j, "low", c->check.low);
    json_real(j, "high", c->check.high);
    json_int(j, "pictures", c->check.pictures);
    json_share(j, "before", &c->check.before);
    json_share(j, "after", &c->check.after);
    json_close(j, '}');
    json_close(j, '}');
}

static void json_unit(struct json *j, const struct showing *s)
{
    size_t n;
    const cn_probe_term **list = terms_of(s->p, s->a->unit, &n);
    json_int(j, "unit", s->a->unit);
    json_text(j, "name", n ? list[0]->name : NULL);
    json_open(j, "serves", '[');
    for (size_t i = 0; i < n; i++) {
        j->flat = j->depth + 1;
        json_open(j, NULL, '{');
        json_text(j, "class", s->p->classes[list[i]->class_index].name);
        json_real(j, "weight", list[i]->weight);
        json_real(j, "share", list[i]->share);
        json_close(j, '}');
    }
    json_close(j, ']');
    free(list);
}

static void json_probe(const struct showing *s)
{
    const cn_probe *p = s->p;
    struct json j;
    json_begin(&j, stdout);
    json_open(&j, NULL, '{');
    json_text(&j, "column", p->column);
    json_text(&j, "collection", p->collection);
    json_text(&j, "site", p->site);
    json_text(&j, "fingerprint", p->fingerprint);
    json_text(&j, "created", p->created);
    json_bool(&j, "relu", p->relu);
    json_real(&j, "mix", p->mix);
    json_int(&j, "seed", (int64_t)p->seed);
    json_int(&j, "classes", (int64_t)p->n_classes);
    json_int(&j, "train", p->train);
    json_int(&j, "held_out", p->test);
    json_int(&j, "without", p->without);
    json_int(&j, "left_classes", p->left_classes);
    json_int(&j, "left_pictures", p->left_pictures);
    json_text(&j, "unit_of_weights", "nats a standard deviation");
    json_open(&j, "path", '[');
    for (size_t i = 0; i < p->n_points; i++)
        json_point(&j, &p->points[i], i == p->chosen);
    json_close(&j, ']');
    json_open(&j, "zero_shot", '{');
    json_text(&j, "template", p->zero_shot_template);
    json_text(&j, "why_not", p->zero_shot_why);
    json_int(&j, "known", p->zero_known);
    json_share(&j, "top1", &p->zero1);
    json_share(&j, "top5", &p->zero5);
    json_close(&j, '}');
    json_open(&j, "check", '{');
    json_real(&j, "slope", p->check_slope);
    json_real(&j, "correlation", p->check_r);
    json_close(&j, '}');
    if (s->a->unit >= 0) {
        json_unit(&j, s);
    } else {
        json_open(&j, "equations", '[');
        for (size_t i = 0; i < s->n; i++)
            json_class(&j, p, s->classes[i]);
        json_close(&j, ']');
    }
    struct people people;
    note_people(&people, s);
    people_json(&people, &j);
    json_close(&j, '}');
    json_end(&j);
}

/* ---- */

static int numbers(const struct arguments *a, cn_probe_options *o, float *least)
{
    float units = 0, most = 0, mix = 0, held_out = 0;
    int code = options_number("probe", "units", a->units, 0.01, 65536, &units);
    if (code == EXIT_DONE)
        code = options_number("probe", "most", a->most, 0.01, 65536, &most);
    if (code == EXIT_DONE)
        code = options_number("probe", "mix", a->mix, 0.01, 1, &mix);
    if (code == EXIT_DONE)
        code = options_number("probe", "held-out", a->held_out, 0.01, 0.99, &held_out);
    if (code == EXIT_DONE)
        code = options_number("probe", "graph-least", a->least_weight, 0, 1e6, least);
    o->units = (double)units;
    o->most_units = (double)most;
    o->mix = (double)mix;
    o->held_out = (double)held_out;
    return code;
}

static int fit(const struct arguments *a, cn_probe_options *o, struct showing *s, cn_probe **out)
{
    cn_error err = {0};
    cn_model *model = NULL;
    int64_t unit;
    int code = EXIT_DONE;
    cn_status st = cn_study_open(&s->study, a->operands.items[0], &err);
    if (st == CN_OK && a->site)
        st = cn_study_parse_unit(s->study, a->site, &o->site, &unit, &err);
    if (st == CN_OK && !a->no_zero_shot)
        code = model_open(&a->model, &model);
    if (st == CN_OK && code == EXIT_DONE) {
        o->progress = probe_progress;
        o->user = s;
        st = cn_study_probe(s->study, model, o, out, &err);
        progress_end();
    }
    if (st == CN_OK && code == EXIT_DONE && a->output)
        st = cn_probe_save(*out, a->output, &err);
    if (st == CN_OK && code == EXIT_DONE && !a->dry)
        st = cn_study_keep_probe(s->study, *out, &err);
    cn_model_close(model);
    return st == CN_OK ? code : fail_error(&err, st);
}

static int probe(const struct arguments *a)
{
    struct showing s = {.a = a};
    float least = 0;
    cn_probe_options o = {.column = a->labels,
                          .relu = a->relu,
                          .seed = (uint64_t)a->seed,
                          .least = a->least,
                          .word_template = a->template,
                          .no_zero_shot = a->no_zero_shot,
                          .threads = (int)a->run.threads,
                          .precision = precision_of(&a->run),
                          .backend = (cn_backend)a->run.backend};
    cn_error err = {0};
    cn_probe *p = NULL;
    int code = numbers(a, &o, &least);
    if (code != EXIT_DONE)
        return code;
    if (has_ending(a->operands.items[0], ".npz")) {
        const cn_status st = cn_probe_load(&p, a->operands.items[0], &err);
        code = st == CN_OK ? EXIT_DONE : fail_error(&err, st);
    } else {
        code = fit(a, &o, &s, &p);
    }
    s.p = p;
    if (!p) {
        cn_study_close(s.study);
        return code;
    }
    if (code == EXIT_DONE && a->unit >= p->units)
        code = fail("unit %lld: the probe's site has the units 0 to %lld", (long long)a->unit, (long long)p->units - 1);
    if (code == EXIT_DONE)
        code = choose_classes(&s);
    if (code == EXIT_DONE && a->graph) {
        const cn_probe_graph_options g = {.classes = a->classes.count ? s.classes : NULL, .n_classes = s.n, .least = (double)least, .theme = (cn_plot_theme)a->theme};
        const cn_status st = cn_probe_write_graph(p, a->graph, &g, &err);
        code = st == CN_OK ? EXIT_DONE : fail_error(&err, st);
    }
    if (code == EXIT_DONE && a->direction) {
        const cn_status st = cn_probe_write_direction(p, s.classes[0], a->direction, &err);
        code = st == CN_OK ? EXIT_DONE : fail_error(&err, st);
    }
    if (code == EXIT_DONE)
        (a->json ? json_probe : print_probe)(&s);
    free(s.classes);
    cn_probe_free(p);
    cn_study_close(s.study);
    return code;
}

static int run(int argc, char **argv)
{
    struct arguments a = {.top = 12, .unit = -1};
    int code = options_begin(&command_probe, argc, argv, &a);
    if (code >= 0)
        return code;
    if (a.operands.count != 1)
        code = fail_usage("probe", a.operands.count ? "one study at a time" : "no study named");
    else if (a.template && options_template("probe", a.template) != EXIT_DONE)
        code = EXIT_USAGE;
    else if (a.direction && a.classes.count != 1)
        code = fail_usage("probe", "--direction is of one class: name it with --class");
    else if (a.unit >= 0 && a.classes.count)
        code = fail_usage("probe", "either --unit or --class");
    else if (a.output && !has_ending(a.output, ".npz"))
        code = fail_usage("probe", "a probe is kept as .npz, not %s", a.output);
    else if (has_ending(a.operands.items[0], ".npz") && a.output)
        code = fail_usage("probe", "--output is for a new probe; %s is one already", a.operands.items[0]);
    else
        code = probe(&a);
    options_free(&command_probe, &a);
    return code;
}

const struct command command_probe = {
    .name = "probe",
    .summary = "classes of a study as short sums of units, and how well they tell",
    .synopsis = "probe STUDY [--labels COLUMN] [--units N] [-o PROBE.npz] [--json]\nprobe STUDY|PROBE.npz --class NAME... [--graph FILE] [--direction FILE.npy]\n"
                "probe STUDY|PROBE.npz --unit N",
    .description =
        "Multinomial logistic regression of a column on the spatial means of a site's units, standardised, with an L1 penalty that leaves each class a "
        "few units. Fits a path of penalties, from nothing to many units, prints for each the share of held-out pictures whose class comes first (top-1) or "
        "among the first five, with 95% intervals (Wilson), and goes back to the penalty (*) that gives the wanted number of units. Below stands the zero-shot "
        "probe: the class whose name's embedding is nearest to the picture's.\n\n"
        "Pictures are held out by a hash of their path, copies together. Equations name units as `name` did, else by their label; a weight says how many nats "
        "the class's logit rises when the unit rises by one standard deviation. Each is checked: what happens to the logit of the class's held-out pictures "
        "when its units are set to their mean, beside what weights and training pictures predict.",
    .examples = "Labels from the names of files, a unit each or so, kept for later:\n\n"
                "$ ls photos | sed 's/\\([^-]*\\)-.*/&,\\1/; 1s/^/path,label\\n/' > photos.csv\n"
                "$ clipneuron scan --quiet photos --labels photos.csv -o study > /dev/null\n"
                "$ clipneuron probe study --units 1 -o probe.npz\n\n"
                "What a probe says, from its file: a class, a unit, a drawing:\n\n"
                "$ clipneuron probe probe.npz --class alien\n"
                "$ clipneuron probe probe.npz --unit 856\n"
                "$ clipneuron probe probe.npz --graph graph.svg --top 0 > /dev/null\n\n"
                "A class as a direction, for \"clipneuron see layer4:alien.npy\":\n\n"
                "$ clipneuron probe probe.npz --class alien --direction alien.npy > /dev/null\n\n"
                "For a script:\n\n"
                "$ clipneuron probe study --no-zero-shot --json",
    .options = options,
    .n_options = CN_COUNT(options),
    .operand = "STUDY|PROBE.npz",
    .operands_offset = offsetof(struct arguments, operands),
    .run = run,
};
