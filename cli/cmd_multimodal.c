/* cli/cmd_multimodal.c -- `clipneuron multimodal`: which units answer to a concept in pictures and as a written word. */
#include "asking.h"
#include "commands.h"
#include "interrupt.h"
#include "models.h"
#include "progress.h"
#include "report.h"

#include <clipneuron/multimodal.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct arguments {
    struct model_arguments model;
    struct run_arguments run;
    struct words operands, media, font_files;
    const char *site, *concepts, *families, *level, *fdr;
    int64_t top, best, least, drawings, shuffles, resamples, seed;
    struct show show;
    bool no_draw, dry, quiet;
};

/* clang-format off */
static const struct option options[] = {
    MODEL_OPTIONS(struct arguments, model),
    {'s', "site", OPTION_TEXT, offsetof(struct arguments, site), "SITE", "Units of this site of the study. Default: its first, or that of UNIT."},
    {'c', "concepts", OPTION_TEXT, offsetof(struct arguments, concepts), "FILE",
     "Concepts to look for: one a line, or CSV with columns family,concept; lines that begin with # are comments. A concept's pictures are those "
     "labelled so, or, where no label is, those whose caption has it. Default: the study's labels."},
    {0, "families", OPTION_TEXT, offsetof(struct arguments, families), "FILE",
     "CSV with columns family,concept, in place of the one that comes with the program."},
    {0, "medium", OPTION_WORDS, offsetof(struct arguments, media), "NAME[=MEDIA]",
     "Look at this medium of the study; several under one name: --medium icon=colour,line,solid. May be repeated. Default: photo and 3-d are one, "
     "'photo or 3-D'; line, solid, colour, icon, sketch and the like another, 'drawing'; others stay by themselves."},
    {'n', "top", OPTION_COUNT, offsetof(struct arguments, top), "N", "Units in the tables. Default: 24.", 0, INT64_MAX},
    {0, "best", OPTION_COUNT, offsetof(struct arguments, best), "N", "Concepts for each unit. Default: 1.", 1, CN_MAX_MULTIMODAL_BEST},
    {0, "level", OPTION_TEXT, offsetof(struct arguments, level), "AUC", "What the lower ends of the intervals have to exceed. Default: 0.9."},
    {0, "fdr", OPTION_TEXT, offsetof(struct arguments, fdr), "RATE", "False discovery rate over units. Default: 0.05."},
    {0, "least", OPTION_COUNT, offsetof(struct arguments, least), "N", "Pictures that a concept needs in a medium. Default: 3.", 1,
     CN_MAX_STUDY_IMAGES},
    {0, "drawings", OPTION_COUNT, offsetof(struct arguments, drawings), "N", "Pictures of each concept's word that are drawn. Default: 12.", 1,
     CN_MAX_MULTIMODAL_DRAWINGS},
    {0, "font-file", OPTION_WORDS, offsetof(struct arguments, font_files), "FILE",
     "A font of a file (.ttf, .otf) to draw words in, whatever the system has; repeat it, and drawings of a word go round the fonts."},
    {0, "no-draw", OPTION_FLAG, offsetof(struct arguments, no_draw), NULL,
     "Draw no words: the study's own pictures of writing have to do. No model is needed."},
    {0, "shuffles", OPTION_COUNT, offsetof(struct arguments, shuffles), "N", "Shuffles for p. Default: 999.", 1, CN_MAX_MULTIMODAL_ROUNDS},
    {0, "resamples", OPTION_COUNT, offsetof(struct arguments, resamples), "N", "Resamples for intervals. Default: 1000.", 1,
     CN_MAX_MULTIMODAL_ROUNDS},
    {0, "seed", OPTION_COUNT, offsetof(struct arguments, seed), "N", "Of shuffles and resamples. Default: 0.", 0, INT64_MAX},
    {0, "dry-run", OPTION_FLAG, offsetof(struct arguments, dry), NULL, "Print only: leave the study as it is."},
    SHOW_OPTIONS(struct arguments, show),
    RUN_OPTIONS(struct arguments, run),
    {'q', "quiet", OPTION_FLAG, offsetof(struct arguments, quiet), NULL, "No progress and no notes."},
};
/* clang-format on */

struct task {
    const struct arguments *a;
    cn_study *study;
    const char *shown; /* the phase on the progress line */
    cn_multimodal *r;
    char **texts; /* that cells borrow */
    size_t n_texts;
};

static bool show_progress(const char *what, int64_t done, int64_t total, void *user)
{
    struct task *t = user;
    if (!t->shown || strcmp(t->shown, what) != 0)
        progress_start(what, total, PROGRESS_ITEMS, t->a->quiet);
    t->shown = what;
    progress_set(done, total, 0);
    return !interrupted();
}

/* ---- tables ---- */

/* A text of the task that a cell may borrow. */
static const char *kept(struct task *t, char *text)
{
    t->texts = need(realloc(t->texts, (t->n_texts + 1) * sizeof *t->texts));
    return t->texts[t->n_texts++] = text;
}

static void interval_cell(struct task *t, struct grid *g, const cn_medium_auc *a)
{
    if (isnan(a->auc))
        grid_text(g, "-");
    else
        grid_text(g, kept(t, need_format("%.2f [%.2f, %.2f]", a->auc, a->low, a->high)));
}

/* Printed: AUC and interval in one cell; in CSV each number in its own. */
static size_t unit_columns(struct task *t, struct grid_column *c, bool csv)
{
    size_t n = 0;
    c[n++] = (struct grid_column){"unit", "unit", GRID_INT, 0};
    c[n++] = (struct grid_column){"concept", "concept", GRID_TEXT, 0};
    c[n++] = (struct grid_column){"family", "family", GRID_TEXT, 0};
    c[n++] = (struct grid_column){"multimodal", "multi", GRID_TEXT, 0};
    c[n++] = (struct grid_column){"score", "score", GRID_REAL, 3};
    c[n++] = (struct grid_column){"p", "p", GRID_REAL, -2};
    c[n++] = (struct grid_column){"q", "q", GRID_REAL, -2};
    c[n++] = (struct grid_column){"matched", "matched", GRID_REAL, -2};
    c[n++] = (struct grid_column){"base_rate", "base rate", GRID_SHARE, 2};
    for (size_t m = 0; m < t->r->n_media; m++) {
        const char *name = t->r->media[m].name;
        if (!csv) {
            c[n++] = (struct grid_column){NULL, name, GRID_TEXT, 0};
            continue;
        }
        c[n++] = (struct grid_column){kept(t, need_format("%s_auc", name)), NULL, GRID_REAL, 3};
        c[n++] = (struct grid_column){kept(t, need_format("%s_low", name)), NULL, GRID_REAL, 3};
        c[n++] = (struct grid_column){kept(t, need_format("%s_high", name)), NULL, GRID_REAL, 3};
        c[n++] = (struct grid_column){kept(t, need_format("%s_images", name)), NULL, GRID_INT, 0};
    }
    return n;
}

static void real_cell(struct grid *g, double value)
{
    if (isnan(value))
        grid_none(g);
    else
        grid_real(g, value);
}

static void fill_units(struct task *t, struct grid *g, size_t n, bool csv)
{
    const cn_multimodal *r = t->r;
    for (size_t i = 0; i < n; i++) {
        const cn_multimodal_unit *u = &r->units[i];
        grid_int(g, u->ref.unit);
        grid_text(g, u->concept_name);
        grid_text(g, u->family);
        grid_text(g, u->multimodal ? "yes" : "no");
        grid_real(g, u->score);
        grid_real(g, u->p);
        grid_real(g, u->q);
        real_cell(g, u->matched);
        grid_real(g, (double)u->images / (double)r->images);
        for (size_t m = 0; m < r->n_media; m++) {
            if (!csv) {
                interval_cell(t, g, &u->media[m]);
                continue;
            }
            real_cell(g, u->media[m].auc);
            real_cell(g, u->media[m].low);
            real_cell(g, u->media[m].high);
            grid_int(g, u->media[m].images);
        }
    }
}

static void show_units(struct task *t, size_t n, bool csv)
{
    struct grid_column columns[9 + 4 * CN_MAX_MULTIMODAL_MEDIA];
    struct grid g;
    const size_t n_columns = unit_columns(t, columns, csv);
    grid_begin(&g, columns, n_columns);
    fill_units(t, &g, n, csv);
    (csv ? grid_csv : grid_print)(&g, stdout);
    grid_free(&g);
}

/* How many rows of the table belong to the first `top` units. */
static size_t rows_of(const cn_multimodal *r, int64_t top)
{
    size_t i = 0;
    for (int64_t units = 0; i < r->n; i++)
        if ((i == 0 || r->units[i].ref.unit != r->units[i - 1].ref.unit) && ++units > top)
            break;
    return i;
}

/* "animal 20, region 15, ..." of n names, the most frequent first; NULL ones do not count. Nothing where there are none. */
static void print_counts(const char *before, const char **names, size_t n)
{
    for (bool first = true;; first = false) {
        size_t most = 0, best = 0;
        for (size_t i = 0; i < n; i++) {
            size_t count = 0;
            for (size_t k = i; names[i] && k < n; k++)
                count += names[k] && strcmp(names[k], names[i]) == 0;
            if (count > most) {
                most = count;
                best = i;
            }
        }
        if (!most) {
            if (!first)
                putchar('\n');
            return;
        }
        const char *name = names[best];
        fputs(first ? before : ", ", stdout);
        print_safely(stdout, name);
        printf(" %zu", most);
        for (size_t i = 0; i < n; i++)
            if (names[i] && strcmp(names[i], name) == 0)
                names[i] = NULL;
    }
}

static void print_kinds(const struct task *t)
{
    const cn_multimodal *r = t->r;
    const char **names = need(calloc(r->n + 1, sizeof *names));
    for (size_t i = 0; i < r->n; i++)
        names[i] = r->units[i].multimodal && r->units[i].family[0] ? r->units[i].family : NULL;
    print_counts("by the family of their concept: ", names, r->n);
    free(names);
}

static void print_families(struct task *t)
{
    static const struct grid_column columns[] = {{"unit", "unit", GRID_INT, 0},        {"family", "family", GRID_TEXT, 0},
                                                 {NULL, "AUC of its concepts", GRID_TEXT, 0}, {"concepts", "concepts", GRID_INT, 0},
                                                 {"p", "p", GRID_REAL, -2},            {"q", "q", GRID_REAL, -2},
                                                 {"base_rate", "base rate", GRID_SHARE, 2}};
    const cn_multimodal *r = t->r;
    struct grid g;
    if (!r->n_families)
        return;
    grid_begin(&g, columns, CN_COUNT(columns));
    for (size_t i = 0; i < r->n_families && (int64_t)i < t->a->top && (r->families[i].belongs || t->a->operands.count > 1); i++) {
        const cn_family_unit *f = &r->families[i];
        grid_int(&g, f->ref.unit);
        grid_text(&g, f->family);
        grid_text(&g, kept(t, need_format("%.2f [%.2f, %.2f]", f->auc, f->low, f->high)));
        grid_int(&g, f->concepts);
        grid_real(&g, f->p);
        grid_real(&g, f->q);
        grid_real(&g, (double)f->images / (double)r->images);
    }
    if (grid_rows(&g)) {
        putchar('\n');
        grid_print(&g, stdout);
    }
    grid_free(&g);
    printf("\n%lld of %zu units belong to a family: false discovery rate %g, lower end of the AUC above 0.7\n", (long long)r->belonging, r->n_families, r->fdr);
    const char **names = need(calloc(r->n_families + 1, sizeof *names));
    for (size_t i = 0; i < r->n_families; i++)
        names[i] = r->families[i].belongs ? r->families[i].family : NULL;
    print_counts("by family: ", names, r->n_families);
    free(names);
}

/* Families of the table's rows and of the units that belong to one which are about people, each with its warning once. */
static void print_warnings(FILE *out, const struct task *t, size_t n)
{
    const cn_multimodal *r = t->r;
    const char *said[8];
    size_t n_said = 0;
    for (size_t i = 0; i < n + r->n_families; i++) {
        const bool unit = i < n;
        const cn_family_unit *f = unit ? NULL : &r->families[i - n];
        const char *family = unit ? r->units[i].family : f->family;
        if (unit ? !r->units[i].sensitive || !r->units[i].multimodal : !f->sensitive || !f->belongs)
            continue;
        bool before = n_said == CN_COUNT(said);
        for (size_t k = 0; k < n_said; k++)
            before = before || strcmp(said[k], family) == 0;
        if (before)
            continue;
        said[n_said++] = family;
        fputs(out == stdout ? "\nwarning: " : "warning: ", out);
        print_safely(out, family);
        for (size_t k = 0; k < r->n_families; k++) /* families without a unit of theirs are not counted */
            if (strcmp(r->families[k].family, family) == 0) {
                fprintf(out, " (%.2g%% of the pictures)", 100 * (double)r->families[k].images / (double)r->images);
                break;
            }
        fprintf(out, " is %s\n", cn_family_warning(family));
    }
}

static void print_result(struct task *t)
{
    const cn_multimodal *r = t->r;
    const size_t n = rows_of(r, t->a->top);
    if (n) {
        show_units(t, n, false);
        putchar('\n');
    }
    printf("%lld of %lld units are multimodal: lower ends of %g%% intervals above %g in a written medium and another, false discovery rate %g\n",
           (long long)r->multimodal, (long long)r->live, 100 * r->confidence, r->level, r->fdr);
    printf("%lld have a score above %g; with another concept's writing %.1f have by chance\n", (long long)r->above, r->level, r->by_chance);
    printf("%lld concepts, %lld with %lld pictures or more in a written medium and another", (long long)r->concepts, (long long)r->tested,
           (long long)r->least);
    if (r->drawings)
        printf("; %lld words drawn as %lld pictures in %.1f s", (long long)r->words, (long long)r->drawings, r->draw_seconds);
    putchar('\n');
    print_kinds(t);
    print_families(t);
    print_warnings(stdout, t, n);
}

/* ---- JSON ---- */

static void json_unit(struct json *j, const struct task *t, const cn_multimodal_unit *u)
{
    const cn_multimodal *r = t->r;
    j->flat = j->depth + 1;
    json_open(j, NULL, '{');
    ask_json(j, t->study, u->ref);
    json_text(j, "concept", u->concept_name);
    json_text(j, "family", u->family);
    json_bool(j, "multimodal", u->multimodal);
    json_int(j, "passing", u->passing);
    json_real(j, "score", u->score);
    json_real(j, "p", u->p);
    json_real(j, "p_pictures", u->p_pictures);
    json_real(j, "p_names", u->p_names);
    json_real(j, "q", u->q);
    json_real(j, "matched", u->matched);
    json_int(j, "images", u->images);
    json_real(j, "base_rate", (double)u->images / (double)r->images);
    json_text(j, "warning", u->sensitive ? cn_family_warning(u->family) : NULL);
    json_open(j, "media", '{');
    for (size_t m = 0; m < r->n_media; m++) {
        json_open(j, r->media[m].name, '{');
        json_real(j, "auc", u->media[m].auc);
        json_real(j, "low", u->media[m].low);
        json_real(j, "high", u->media[m].high);
        json_int(j, "images", u->media[m].images);
        json_close(j, '}');
    }
    json_close(j, '}');
    json_close(j, '}');
}

static void json_family(struct json *j, const struct task *t, const cn_family_unit *f)
{
    j->flat = j->depth + 1;
    json_open(j, NULL, '{');
    ask_json(j, t->study, f->ref);
    json_text(j, "family", f->family);
    json_bool(j, "belongs", f->belongs);
    json_real(j, "auc", f->auc);
    json_real(j, "low", f->low);
    json_real(j, "high", f->high);
    json_int(j, "concepts", f->concepts);
    json_real(j, "p", f->p);
    json_real(j, "q", f->q);
    json_int(j, "images", f->images);
    json_real(j, "base_rate", (double)f->images / (double)t->r->images);
    json_text(j, "warning", cn_family_warning(f->family));
    json_close(j, '}');
}

static void json_result(const struct task *t)
{
    const cn_multimodal *r = t->r;
    struct json j;
    json_begin(&j, stdout);
    json_open(&j, NULL, '{');
    json_text(&j, "study", t->a->operands.items[0]);
    json_int(&j, "images", r->images);
    json_real(&j, "level", r->level);
    json_real(&j, "fdr", r->fdr);
    json_real(&j, "confidence", r->confidence);
    json_int(&j, "least", r->least);
    json_int(&j, "shuffles", r->shuffles);
    json_int(&j, "resamples", r->resamples);
    json_int(&j, "seed", t->a->seed);
    json_bool(&j, "kept", !t->a->dry);
    json_open(&j, "media", '[');
    for (size_t m = 0; m < r->n_media; m++) {
        j.flat = j.depth + 1;
        json_open(&j, NULL, '{');
        json_text(&j, "name", r->media[m].name);
        json_bool(&j, "written", r->media[m].written);
        json_bool(&j, "drawn", r->media[m].drawn);
        json_int(&j, "images", r->media[m].images);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_int(&j, "concepts", r->concepts);
    json_int(&j, "tested", r->tested);
    json_int(&j, "live", r->live);
    json_int(&j, "multimodal", r->multimodal);
    json_int(&j, "above", r->above);
    json_real(&j, "by_chance", r->by_chance);
    json_int(&j, "belonging", r->belonging);
    json_int(&j, "words", r->words);
    json_int(&j, "drawings", r->drawings);
    json_int(&j, "undrawn", r->undrawn);
    json_real(&j, "draw_seconds", r->draw_seconds);
    json_open(&j, "units", '[');
    for (size_t i = 0; i < r->n; i++)
        json_unit(&j, t, &r->units[i]);
    json_close(&j, ']');
    json_open(&j, "families", '[');
    for (size_t i = 0; i < r->n_families; i++)
        json_family(&j, t, &r->families[i]);
    json_close(&j, ']');
    json_close(&j, '}');
    json_end(&j);
}

/* ---- */

/* The units that are named, all of one site. */
static int read_units(struct task *t, cn_multimodal_options *o, int64_t **units)
{
    const struct arguments *a = t->a;
    int code = ask_site("multimodal", t->study, a->site, &o->site);
    *units = need(calloc(a->operands.count, sizeof **units));
    for (size_t i = 1; i < a->operands.count && code == EXIT_DONE; i++) {
        cn_unit_ref ref;
        char *scoped = a->site && !strchr(a->operands.items[i], ':') ? need_format("%s:%s", a->site, a->operands.items[i]) : NULL;
        code = ask_unit("multimodal", t->study, scoped ? scoped : a->operands.items[i], &ref);
        free(scoped);
        if (code == EXIT_DONE && ref.site != o->site && (i > 1 || a->site))
            code = fail_usage("multimodal", "'%s' is of another site than the rest", a->operands.items[i]);
        if (code != EXIT_DONE)
            break;
        o->site = ref.site;
        (*units)[o->n_units++] = ref.unit;
    }
    if (o->n_units)
        o->units = *units;
    return code;
}

static int multimodal(const struct arguments *a, float level, float fdr)
{
    struct task t = {.a = a};
    cn_model *model = NULL;
    cn_error err = {0};
    cn_status st = CN_OK;
    int64_t *units = NULL;
    cn_multimodal_options o = {.concepts = a->concepts,
                               .families = a->families,
                               .media = a->media.items,
                               .n_media = a->media.count,
                               .level = (double)level,
                               .fdr = (double)fdr,
                               .least = a->least,
                               .best = (int)a->best,
                               .drawings = a->no_draw ? -1 : (int)a->drawings,
                               .font_files = a->font_files.items,
                               .n_font_files = a->font_files.count,
                               .shuffles = (int)a->shuffles,
                               .resamples = (int)a->resamples,
                               .seed = (uint64_t)a->seed,
                               .dry = a->dry,
                               .threads = (int)a->run.threads,
                               .precision = precision_of(&a->run),
                               .backend = (cn_backend)a->run.backend,
                               .progress = show_progress,
                               .user = &t};
    int code = ask_open("multimodal", &a->operands, &t.study);
    if (code == EXIT_DONE)
        code = read_units(&t, &o, &units);
    if (code == EXIT_DONE && !a->no_draw)
        code = model_open(&a->model, &model);
    if (code == EXIT_DONE) {
        st = cn_study_multimodal(t.study, model, &o, &t.r, &err);
        progress_end();
    }
    if (st == CN_OK && code == EXIT_DONE) {
        if (a->show.json)
            json_result(&t);
        else if (a->show.csv) {
            show_units(&t, t.r->n, true);
            print_warnings(stderr, &t, t.r->n); /* a program reads the table */
        } else
            print_result(&t);
        if (t.r->undrawn)
            note(a->quiet, "clipneuron: %lld %s not drawn: %s has all letters", (long long)t.r->undrawn, t.r->undrawn == 1 ? "word was" : "words were",
                 a->font_files.count ? "not every font" : "no font of this system");
    }
    for (size_t i = 0; i < t.n_texts; i++)
        free(t.texts[i]);
    free(t.texts);
    free(units);
    cn_multimodal_free(t.r);
    cn_model_close(model);
    cn_study_close(t.study);
    return st == CN_OK ? code : fail_error(&err, st);
}

static int run(int argc, char **argv)
{
    struct arguments a = {.top = 24};
    float level = 0, fdr = 0;
    int code = options_begin(&command_multimodal, argc, argv, &a);
    if (code >= 0)
        return code;
    code = EXIT_DONE;
    if (a.show.json && a.show.csv)
        code = fail_usage("multimodal", "either --json or --csv");
    else if (a.no_draw && a.font_files.count)
        code = fail_usage("multimodal", "--font-file is for words that are drawn, and --no-draw draws none");
    if (code == EXIT_DONE)
        code = options_number("multimodal", "level", a.level, 0.5, 0.9999, &level);
    if (code == EXIT_DONE)
        code = options_number("multimodal", "fdr", a.fdr, 0.0001, 0.9999, &fdr);
    if (code == EXIT_DONE)
        code = multimodal(&a, level, fdr);
    options_free(&command_multimodal, &a);
    return code;
}

const struct command command_multimodal = {
    .name = "multimodal",
    .summary = "which units answer to a concept in pictures and as a written word",
    .synopsis = "multimodal STUDY [UNIT...] [--concepts FILE] [--medium NAME=MEDIA] [--best N] [--json|--csv]\n"
                "multimodal STUDY [UNIT...] --no-draw",
    .description =
        "For every unit, the concept that it tells best from all others, in each medium of the study and in pictures of the concept's word that the "
        "program draws: AUC, the share of pairs of a picture of the concept and another one of the same medium where the former drives the unit more, with an interval "
        "over resampled pictures. score is the smaller of the mean AUC in written media and the mean in the others. A unit is multimodal where lower ends "
        "exceed --level in a medium of either kind, and the false discovery rate over units (q) is at most --fdr. p is how often the unit's best concept has such a "
        "score by chance: when pictures are shuffled within each medium, or, nearly always the harder test, when each concept's pictures go with another "
        "concept's writing. It pays for having looked at all concepts, and so cannot be below about 1/concepts: with few concepts nothing is certain. "
        "matched is the same for one concept.\n\n"
        "Families are groups of concepts (regions, emotions, animals, ...): a second table has the units whose concepts rank by family, as surely as its p and q say. "
        "Units about people carry a warning: read them beside the base rate, the share of the collection's pictures that show the concept.\n\n"
        "Words are drawn anew each time: (concepts) x (drawings) pictures go through the model, about as long as it takes to scan as many. The result is "
        "kept in the study, where cards show it, unless --dry-run is given. The model must be the study's.",
    .examples = "All units, for the study's labels, which a table names from files called CONCEPT-MEDIUM-NUMBER:\n\n"
                "$ echo path,label,medium > labels.csv\n"
                "$ ls photos | sed 's|\\([^-]*\\)-\\(.*\\)-.*|photos/&,\\1,\\2|' >> labels.csv\n"
                "$ clipneuron scan --quiet photos -o study > /dev/null\n"
                "$ clipneuron multimodal study --least 1 --drawings 4 --top 5\n\n"
                "Two units and their three best concepts, without keeping them:\n\n"
                "$ clipneuron multimodal study 3 17 --best 3 --least 1 --drawings 4 --dry-run --json\n\n"
                "Concepts of one's own, three media of a study put together:\n\n"
                "    clipneuron multimodal icons.study --concepts mine.csv --medium icon=colour,line,solid --medium word",
    .options = options,
    .n_options = CN_COUNT(options),
    .operand = "STUDY [UNIT...]",
    .operands_offset = offsetof(struct arguments, operands),
    .run = run,
};
