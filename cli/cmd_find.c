/* cli/cmd_find.c -- `clipneuron find`: units of a study for a word, a sentence or a picture. */
#include "commands.h"
#include "interrupt.h"
#include "json.h"
#include "models.h"
#include "people.h"
#include "progress.h"
#include "report.h"

#include <clipneuron/find.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BY_LINEAR, BY_DISSECT, BY_LABELS, BY_ALL }; /* the first three are cn_find_by */

struct arguments {
    struct model_arguments model;
    struct run_arguments run;
    struct words operands;
    const char *site, *image;
    int64_t top, pictures;
    int by, order;
    bool measure, json, quiet;
};

static const char *const by_choices[] = {"linear", "dissect", "labels", "all", NULL};
static const char *const order_choices[] = {"sd", "percentile", NULL};

/* clang-format off */
static const struct option options[] = {
    MODEL_OPTIONS(struct arguments, model),
    {'s', "site", OPTION_TEXT, offsetof(struct arguments, site), "SITE", "Units of this site of the study. Default: its first."},
    {'n', "top", OPTION_COUNT, offsetof(struct arguments, top), "N", "Units in the table. Default: 10.", 1, INT64_MAX},
    {0, "by", OPTION_CHOICE, offsetof(struct arguments, by), "SCORE",
     "linear (cosine of the text with what the unit adds to the embedding), dissect (what its strongest pictures have in common: soft WPMI), "
     "labels (z of the mean over the pictures that the collection labels so) or all: the mean of 1/rank over them. Default: all.", 0, 0, by_choices},
    {'i', "image", OPTION_TEXT, offsetof(struct arguments, image), "FILE", "Units for a picture, in place of a text."},
    {0, "order", OPTION_CHOICE, offsetof(struct arguments, order), "ORDER",
     "With --image: by sd units, or by percentile among the study's pictures. Default: sd.", 0, 0, order_choices},
    {0, "measure", OPTION_FLAG, offsetof(struct arguments, measure), NULL,
     "In place of a text: ask for every label of the study, and print how often the first unit is one whose own label it is."},
    {0, "pictures", OPTION_COUNT, offsetof(struct arguments, pictures), "N", "Pictures that dissect looks at, at most. Default: 8192.", 1,
     CN_MAX_FIND_PICTURES},
    {0, "json", OPTION_FLAG, offsetof(struct arguments, json), NULL, "Print JSON."},
    RUN_OPTIONS(struct arguments, run),
    {'q', "quiet", OPTION_FLAG, offsetof(struct arguments, quiet), NULL, "No progress and no notes."},
};
/* clang-format on */

struct search {
    const struct arguments *a;
    cn_study *study;
    cn_model *model;
    cn_find_options o;
    cn_unit_row *rows; /* of all units of the site, by number */
    size_t n_rows;
    const char *shown; /* the phase on the progress line */
};

static bool find_progress(const char *what, int64_t done, int64_t total, void *user)
{
    struct search *s = user;
    if (s->shown != what)
        progress_start(what, total, PROGRESS_ITEMS, s->a->quiet);
    s->shown = what;
    progress_set(done, total, 0);
    return !interrupted();
}

static const cn_unit_row *row_of(const struct search *s, cn_unit_ref ref)
{
    return &s->rows[ref.unit];
}

/* A cell of a table: text, then blanks to the width; "" for what is longer is not cut. */
static void cell(const char *text, size_t width)
{
    const size_t used = printed_width(text);
    print_safely(stdout, text);
    printf("%*s", used < width ? (int)(width - used) : 0, "");
}

static size_t widest_label(const struct search *s, const int64_t *units, size_t n)
{
    size_t width = 5;
    for (size_t i = 0; i < n; i++) {
        const size_t w = printed_width(s->rows[units[i]].label);
        width = w > width ? w : width;
    }
    return width;
}

static void json_label(struct json *j, const struct search *s, cn_unit_ref ref)
{
    const cn_unit_row *row = row_of(s, ref);
    json_text(j, "site", cn_study_site_at(s->study, ref.site)->name);
    json_int(j, "unit", ref.unit);
    json_text(j, "label", row->label);
    json_real(j, "purity", row->purity);
    json_text(j, "word", row->word);
}

/* ---- for a text ---- */

static void print_score(const cn_found *u, int kind)
{
    if (u->rank[kind])
        printf("  %8.*f  %6.1f  %5lld", kind == CN_FIND_LINEAR ? 3 : 1, u->score[kind], u->z[kind], (long long)u->rank[kind]);
    else
        printf("  %8s  %6s  %5s", "-", "-", "-");
}

/* Labels of the units in the table. */
static void note_found(struct people *people, const struct search *s, const cn_find_result *r, size_t n)
{
    people_begin(people, s->study);
    for (size_t i = 0; i < n; i++)
        people_note(people, row_of(s, r->units[i].ref)->label);
}

static void print_text(const struct search *s, const cn_find_result *r, size_t n, const char *text)
{
    const int by = s->a->by;
    int64_t *units = need(calloc(n + 1, sizeof *units));
    for (size_t i = 0; i < n; i++)
        units[i] = r->units[i].ref.unit;
    const size_t width = widest_label(s, units, n);
    print_safely(stdout, text);
    printf(": units of %s\n", cn_study_site_at(s->study, s->o.site)->name);
    for (int k = 0; k < CN_FIND_KINDS; k++)
        if (r->why[k]) {
            printf("  %s: not computed: ", by_choices[k]);
            print_safely(stdout, r->why[k]);
            putchar('\n');
        }
    if (r->label) {
        printf("  labels: ");
        print_safely(stdout, r->label);
        if (r->label_same)
            printf(", %lld pictures\n", (long long)r->label_images);
        else
            printf(", the nearest label (cosine %.2f), %lld pictures%s\n", r->label_cosine, (long long)r->label_images,
                   r->counts[CN_FIND_LABELS] ? "" : "; it does not count for the order");
    }
    printf("\n unit  %-*s", (int)width, "label");
    if (by == BY_ALL)
        printf("  score");
    for (int k = 0; k < CN_FIND_KINDS; k++)
        if (by == BY_ALL || by == k)
            printf("  %8s  %6s  %5s", by_choices[k], "z", "rank");
    putchar('\n');
    for (size_t i = 0; i < n; i++) {
        printf("%5lld  ", (long long)units[i]);
        cell(row_of(s, r->units[i].ref)->label, width);
        if (by == BY_ALL)
            printf("  %5.3f", r->units[i].combined);
        for (int k = 0; k < CN_FIND_KINDS; k++)
            if (by == BY_ALL || by == k)
                print_score(&r->units[i], k);
        putchar('\n');
    }
    free(units);
    struct people people;
    note_found(&people, s, r, n);
    people_print(&people);
}

static void json_score(struct json *j, const char *key, const cn_found *u, int kind)
{
    json_open(j, key, '{');
    json_real(j, "score", u->score[kind]);
    json_real(j, "z", u->z[kind]);
    json_int(j, "rank", u->rank[kind]);
    json_close(j, '}');
}

static void json_find(const struct search *s, const cn_find_result *r, size_t n, const char *text)
{
    struct json j;
    json_begin(&j, stdout);
    json_open(&j, NULL, '{');
    json_text(&j, "text", text);
    json_text(&j, "site", cn_study_site_at(s->study, s->o.site)->name);
    json_int(&j, "pictures", r->pictures);
    json_int(&j, "strongest", r->strongest);
    json_int(&j, "words", r->words);
    json_text(&j, "label", r->label);
    json_bool(&j, "label_same", r->label_same);
    json_real(&j, "label_cosine", r->label ? r->label_cosine : (double)NAN);
    json_int(&j, "label_images", r->label_images);
    json_open(&j, "missing", '{');
    for (int k = 0; k < CN_FIND_KINDS; k++)
        if (r->why[k])
            json_text(&j, by_choices[k], r->why[k]);
    json_close(&j, '}');
    json_open(&j, "units", '[');
    for (size_t i = 0; i < n; i++) {
        const cn_found *u = &r->units[i];
        j.flat = j.depth + 1;
        json_open(&j, NULL, '{');
        json_label(&j, s, u->ref);
        json_real(&j, "combined", u->combined);
        for (int k = 0; k < CN_FIND_KINDS; k++)
            if (s->a->by == BY_ALL || s->a->by == k)
                json_score(&j, by_choices[k], u, k);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    struct people people;
    note_found(&people, s, r, n);
    people_json(&people, &j);
    json_close(&j, '}');
    json_end(&j);
}

static cn_status find_text(struct search *s, const char *text, cn_error *err)
{
    cn_find_result *r = NULL;
    cn_status st = cn_find_text(s->study, s->model, text, &s->o, &r, err);
    progress_end();
    if (st == CN_OK) {
        const size_t n = r->n < (size_t)s->a->top ? r->n : (size_t)s->a->top;
        (s->a->json ? json_find : print_text)(s, r, n, text);
    }
    cn_find_result_free(r);
    return st;
}

/* ---- for a picture ---- */

static int by_sd(const void *a, const void *b)
{
    const cn_answer *x = a, *y = b;
    if (x->sd != y->sd)
        return x->sd > y->sd ? -1 : 1;
    return x->ref.unit < y->ref.unit ? -1 : x->ref.unit > y->ref.unit;
}

static int by_percentile(const void *a, const void *b)
{
    const cn_answer *x = a, *y = b;
    if (x->percentile != y->percentile)
        return x->percentile > y->percentile ? -1 : 1;
    return by_sd(a, b);
}

static void note_answers(struct people *people, const struct search *s, const cn_answer *answers, size_t n)
{
    people_begin(people, s->study);
    for (size_t i = 0; i < n; i++)
        people_note(people, row_of(s, answers[i].ref)->label);
}

static void print_image(const struct search *s, const cn_answer *answers, size_t n)
{
    int64_t *units = need(calloc(n + 1, sizeof *units));
    for (size_t i = 0; i < n; i++)
        units[i] = answers[i].ref.unit;
    const size_t width = widest_label(s, units, n);
    print_safely(stdout, s->a->image);
    printf(": units of %s\n\n unit  %-*s  %6s  %10s  %9s\n", cn_study_site_at(s->study, s->o.site)->name, (int)width, "label", "sd", "percentile",
           "value");
    for (size_t i = 0; i < n; i++) {
        printf("%5lld  ", (long long)units[i]);
        cell(row_of(s, answers[i].ref)->label, width);
        printf("  %6.1f  %10.2f  %9.4g\n", answers[i].sd, answers[i].percentile, answers[i].value);
    }
    free(units);
    struct people people;
    note_answers(&people, s, answers, n);
    people_print(&people);
}

static void json_image(const struct search *s, const cn_answer *answers, size_t n)
{
    struct json j;
    json_begin(&j, stdout);
    json_open(&j, NULL, '{');
    json_text(&j, "image", s->a->image);
    json_text(&j, "site", cn_study_site_at(s->study, s->o.site)->name);
    json_open(&j, "units", '[');
    for (size_t i = 0; i < n; i++) {
        j.flat = j.depth + 1;
        json_open(&j, NULL, '{');
        json_label(&j, s, answers[i].ref);
        json_real(&j, "value", answers[i].value);
        json_real(&j, "sd", answers[i].sd);
        json_real(&j, "percentile", answers[i].percentile);
        json_close(&j, '}');
    }
    json_close(&j, ']');
    struct people people;
    note_answers(&people, s, answers, n);
    people_json(&people, &j);
    json_close(&j, '}');
    json_end(&j);
}

static cn_status find_image(struct search *s, cn_error *err)
{
    cn_answer *answers = NULL;
    size_t n = 0, kept = 0;
    cn_status st = cn_find_image(s->study, s->model, s->a->image, &s->o, &answers, &n, err);
    if (st == CN_OK) {
        for (size_t i = 0; i < n; i++)
            if (!row_of(s, answers[i].ref)->dead)
                answers[kept++] = answers[i];
        if (kept)
            qsort(answers, kept, sizeof *answers, s->a->order ? by_percentile : by_sd);
        kept = kept < (size_t)s->a->top ? kept : (size_t)s->a->top;
        (s->a->json ? json_image : print_image)(s, answers, kept);
    }
    cn_answers_free(answers);
    return st;
}

/* ---- measuring ---- */

static const char *const measured[] = {"linear", "dissect", "labels", "linear and dissect"};

static void print_measure(const struct search *s, const cn_find_measure *m)
{
    printf("%s: %lld labels asked for, %lld units; at random %.1f%%\n\n", cn_study_site_at(s->study, s->o.site)->name, (long long)m->asked,
           (long long)m->units, 100 * m->chance);
    printf("%-18s  first unit right  one of ten\n", "score");
    for (int k = 0; k <= CN_FIND_KINDS; k++)
        if (m->first[k] >= 0 && (k == CN_FIND_ALL || s->o.by & 1u << k))
            printf("%-18s  %15.1f%%  %9.1f%%%s\n", measured[k], 100 * (double)m->first[k] / (double)m->asked,
                   100 * (double)m->ten[k] / (double)m->asked, k == CN_FIND_LABELS ? "  (made of the labels)" : "");
    for (int k = 0; k < CN_FIND_KINDS; k++)
        if (m->why[k])
            printf("%s: not computed: %s\n", measured[k], m->why[k]);
}

static void json_measure(const struct search *s, const cn_find_measure *m)
{
    static const char *const keys[] = {"linear", "dissect", "labels", "combined"};
    struct json j;
    json_begin(&j, stdout);
    json_open(&j, NULL, '{');
    json_text(&j, "site", cn_study_site_at(s->study, s->o.site)->name);
    json_int(&j, "asked", m->asked);
    json_int(&j, "units", m->units);
    json_real(&j, "chance", m->chance);
    json_int(&j, "pictures", m->pictures);
    json_int(&j, "strongest", m->strongest);
    json_int(&j, "words", m->words);
    for (int k = 0; k <= CN_FIND_KINDS; k++) {
        if (m->first[k] < 0 || !(k == CN_FIND_ALL || s->o.by & 1u << k))
            continue;
        json_open(&j, keys[k], '{');
        json_int(&j, "first", m->first[k]);
        json_int(&j, "ten", m->ten[k]);
        json_close(&j, '}');
    }
    json_close(&j, '}');
    json_end(&j);
}

static cn_status find_measure(struct search *s, cn_error *err)
{
    cn_find_measure m;
    cn_status st = cn_find_measure_text(s->study, s->model, &s->o, &m, err);
    progress_end();
    if (st == CN_OK)
        (s->a->json ? json_measure : print_measure)(s, &m);
    return st;
}

/* ---- */

static int find(const struct arguments *a)
{
    struct search s = {.a = a};
    cn_error err = {0};
    int64_t unit = -1;
    cn_status st = cn_study_open(&s.study, a->operands.items[0], &err);
    s.o = (cn_find_options){.by = a->by == BY_ALL ? (1u << CN_FIND_KINDS) - 1 : 1u << a->by,
                            .pictures = a->pictures,
                            .threads = (int)a->run.threads,
                            .precision = precision_of(&a->run),
                            .backend = (cn_backend)a->run.backend,
                            .progress = find_progress,
                            .user = &s};
    if (st == CN_OK && a->site)
        st = cn_study_parse_unit(s.study, a->site, &s.o.site, &unit, &err);
    if (st == CN_OK)
        st = cn_study_units(s.study, s.o.site, CN_ORDER_UNIT, 0, &s.rows, &s.n_rows, &err);
    int code = EXIT_DONE;
    if (st == CN_OK && s.n_rows != (size_t)cn_study_site_at(s.study, s.o.site)->units)
        code = fail("%s: the study is damaged: %zu units of %s", a->operands.items[0], s.n_rows, cn_study_site_at(s.study, s.o.site)->short_name);
    for (size_t i = 0; st == CN_OK && code == EXIT_DONE && i < s.n_rows; i++)
        if (s.rows[i].ref.unit != (int64_t)i)
            code = fail("%s: the study is damaged: its units are not numbered 0, 1, 2...", a->operands.items[0]);
    if (st == CN_OK && code == EXIT_DONE)
        code = model_open(&a->model, &s.model);
    if (st == CN_OK && code == EXIT_DONE)
        st = a->measure ? find_measure(&s, &err) : a->image ? find_image(&s, &err) : find_text(&s, a->operands.items[1], &err);
    cn_unit_rows_free(s.rows);
    cn_model_close(s.model);
    cn_study_close(s.study);
    return st == CN_OK ? code : fail_error(&err, st);
}

static int run(int argc, char **argv)
{
    struct arguments a = {.top = 10, .by = BY_ALL};
    int code = options_begin(&command_find, argc, argv, &a);
    if (code >= 0)
        return code;
    const bool text = !a.image && !a.measure;
    if (!a.operands.count)
        code = fail_usage("find", "no study named");
    else if (a.image && a.measure)
        code = fail_usage("find", "either --image or --measure");
    else if (text && a.operands.count == 1)
        code = fail_usage("find", "no text, and no --image");
    else if (a.operands.count > (text ? 2u : 1u))
        code = fail_usage("find", text ? "one text at a time: put a sentence in quotes" : "no text beside --image or --measure");
    else
        code = find(&a);
    options_free(&command_find, &a);
    return code;
}

const struct command command_find = {
    .name = "find",
    .summary = "units of a study for a word, a sentence or a picture",
    .synopsis = "find STUDY TEXT [--model M] [--by SCORE] [-n N] [--json]\nfind STUDY --image FILE [--order sd|percentile]\nfind STUDY --measure",
    .description =
        "Ranks the units of a site for a text by three scores, each with its z among the units and its rank: linear asks the model's last linear step, "
        "dissect the strongest pictures of each unit, labels the labels of the collection. What cannot be computed is named with the reason. Where no "
        "label is the text, the nearest in the model's eyes is shown, which does not count for the order.\n\n"
        "With --image the picture goes through the model as the study's pictures did, and units are ranked by what they answer: in sd units of the study, "
        "and by the share of the study's pictures below it.\n\n"
        "How far to trust the scores on a study says --measure. The model must be the study's.",
    .examples = "Units for a word:\n\n"
                "$ clipneuron scan --quiet photos -o study > /dev/null\n"
                "$ clipneuron find study \"a spider\"\n\n"
                "The same by one score, for a script:\n\n"
                "$ clipneuron find study spider --by linear -n 3 --json\n\n"
                "Units for a picture:\n\n"
                "$ clipneuron find study --image cat.png",
    .options = options,
    .n_options = CN_COUNT(options),
    .operand = "STUDY [TEXT]",
    .operands_offset = offsetof(struct arguments, operands),
    .run = run,
};
