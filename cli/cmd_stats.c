/* cli/cmd_stats.c -- `clipneuron stats`: a study's summary, or all numbers of units. */
#include "asking.h"
#include "commands.h"
#include "report.h"

#include <stdarg.h>
#include <stdlib.h>

struct arguments {
    struct words operands;
    int64_t labels;
    bool json, quiet;
};

/* clang-format off */
static const struct option options[] = {
    {'n', "labels", OPTION_COUNT, offsetof(struct arguments, labels), "K",
     "Labels in the table: of a unit the strongest K, at most 24, of a study the first K. Default: 8 and all.", 1, 65536},
    {0, "json", OPTION_FLAG, offsetof(struct arguments, json), NULL, "Print JSON in place of the tables."},
    QUIET_OPTION(struct arguments, quiet),
};
/* clang-format on */

/* ---- the study ---- */

struct facts {
    const cn_study_info *info;
    cn_study_summary summary;
    cn_tally *labels, *media, *reasons;
    size_t n_labels, n_media, n_reasons;
    cn_run *runs;
    size_t n_runs;
};

static cn_status read_facts(struct facts *f, cn_study *study, cn_error *err)
{
    f->info = cn_study_get_info(study);
    cn_status st = cn_study_summarise(study, &f->summary, err);
    if (st == CN_OK)
        st = cn_study_tallies(study, CN_TALLY_LABEL, &f->labels, &f->n_labels, err);
    if (st == CN_OK)
        st = cn_study_tallies(study, CN_TALLY_MEDIUM, &f->media, &f->n_media, err);
    if (st == CN_OK)
        st = cn_study_tallies(study, CN_TALLY_REASON, &f->reasons, &f->n_reasons, err);
    if (st == CN_OK)
        st = cn_study_runs(study, &f->runs, &f->n_runs, err);
    return st;
}

static void free_facts(struct facts *f)
{
    cn_tallies_free(f->labels);
    cn_tallies_free(f->media);
    cn_tallies_free(f->reasons);
    cn_runs_free(f->runs);
}

static void print_line(const char *name, const char *first, const char *fmt, ...) CN_PRINTF(3, 4);
static void print_line(const char *name, const char *first, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    printf("%-12s", name);
    print_safely(stdout, first);
    print_safely(stdout, text);
    putchar('\n');
}

static void print_tallies(const char *title, const char *heading, const cn_tally *list, size_t n)
{
    const struct grid_column columns[] = {{NULL, heading, GRID_TEXT, 0}, {NULL, "pictures", GRID_INT, 0}};
    struct grid g;
    if (!n)
        return;
    grid_begin(&g, columns, CN_COUNT(columns));
    for (size_t i = 0; i < n; i++) {
        grid_text(&g, list[i].name);
        grid_int(&g, list[i].count);
    }
    printf("\n%s\n", title);
    grid_print(&g, stdout);
    grid_free(&g);
}

static void print_sites(const cn_study *study)
{
    static const struct grid_column columns[] = {
        {NULL, "site", GRID_TEXT, 0}, {NULL, "units", GRID_INT, 0}, {NULL, "constant", GRID_INT, 0}, {NULL, "map", GRID_TEXT, 0}};
    const size_t n = cn_study_site_count(study);
    char(*maps)[32] = need(calloc(n + 1, sizeof *maps));
    struct grid g;
    grid_begin(&g, columns, CN_COUNT(columns));
    for (size_t i = 0; i < n; i++) {
        const cn_study_site *s = cn_study_site_at(study, i);
        if (s->height)
            snprintf(maps[i], sizeof maps[i], "%lld x %lld", (long long)s->height, (long long)s->width);
        grid_text(&g, s->short_name);
        grid_int(&g, s->units);
        grid_int(&g, s->dead);
        grid_text(&g, maps[i]);
    }
    putchar('\n');
    grid_print(&g, stdout);
    grid_free(&g);
    free(maps);
}

static void print_runs(const struct facts *f)
{
    static const struct grid_column columns[] = {{NULL, "started", GRID_TEXT, 0}, {NULL, "part", GRID_TEXT, 0},
                                                 {NULL, "pictures", GRID_INT, 0}, {NULL, "failed", GRID_INT, 0},
                                                 {NULL, "seconds", GRID_REAL, 1}, {NULL, "a second", GRID_REAL, 1},
                                                 {NULL, "program", GRID_TEXT, 0}, {NULL, "backend", GRID_TEXT, 0}};
    struct grid g;
    if (!f->n_runs)
        return;
    grid_begin(&g, columns, CN_COUNT(columns));
    for (size_t i = 0; i < f->n_runs; i++) {
        const cn_run *r = &f->runs[i];
        grid_text(&g, r->started);
        grid_text(&g, r->shard);
        grid_int(&g, r->images);
        grid_int(&g, r->failed);
        grid_real(&g, r->seconds);
        if (r->seconds > 0)
            grid_real(&g, (double)r->images / r->seconds);
        else
            grid_none(&g);
        grid_text(&g, r->program);
        grid_text(&g, r->backend);
    }
    puts("\nRuns");
    grid_print(&g, stdout);
    grid_free(&g);
}

static void print_study(const struct arguments *a, const cn_study *study, const struct facts *f)
{
    static const char *const values[] = {[CN_REDUCE_MEAN] = "spatial mean", [CN_REDUCE_MAX] = "spatial maximum", [CN_REDUCE_CLASS] = "at the class token"};
    const cn_study_info *i = f->info;
    const cn_study_summary *s = &f->summary;
    char n[6][32];
    const size_t labels = a->labels && (size_t)a->labels < f->n_labels ? (size_t)a->labels : f->n_labels;
    print_line("study", i->path, ": %.1f MB of tables, %.1f MB of matrices (%s)", (double)s->database_bytes / 1e6,
               (double)s->matrix_bytes / 1e6, s->matrices);
    print_line("model", i->model_file, " (%s, %d px), fingerprint %.12s", i->model_name, i->resolution, i->fingerprint);
    print_line("collection", i->collection_name, ", scanned %s by %s in %.1f s, %s", i->created, i->program, i->seconds, i->precision);
    if (i->edits[0])
        print_line("edits", i->edits, ": the network was changed while it ran");
    print_line("pictures", "", "%s: %s labelled, %s with the bytes of an earlier one; %s failed", ask_count(i->images, n[0]),
               ask_count(i->labelled, n[1]), ask_count(s->duplicates, n[2]), ask_count(i->failed, n[3]));
    print_line("values", "", "%s", values[i->reduce]);
    print_line("words", "", "%s, %s of them unknown to the model", ask_count(i->words, n[4]), ask_count(i->unknown_words, n[5]));
    if (s->visualisations || s->notes)
        print_line("yours", "", "%lld visualisations, %lld notes", (long long)s->visualisations, (long long)s->notes);
    print_sites(study);
    print_tallies("Media", "medium", f->media, f->n_media);
    print_tallies("Labels", "label", f->labels, labels);
    if (labels < f->n_labels)
        printf("... and %zu more\n", f->n_labels - labels);
    print_tallies("Failures", "reason", f->reasons, f->n_reasons);
    print_runs(f);
}

static void tallies_json(struct json *j, const char *key, const char *name, const cn_tally *list, size_t n)
{
    json_open(j, key, '[');
    for (size_t i = 0; i < n; i++) {
        j->flat = j->depth + 1;
        json_open(j, NULL, '{');
        json_text(j, name, list[i].name);
        json_int(j, "images", list[i].count);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void sites_json(struct json *j, const cn_study *study)
{
    json_open(j, "sites", '[');
    for (size_t k = 0; k < cn_study_site_count(study); k++) {
        const cn_study_site *site = cn_study_site_at(study, k);
        j->flat = j->depth + 1;
        json_open(j, NULL, '{');
        json_text(j, "site", site->name);
        json_int(j, "units", site->units);
        json_int(j, "dead", site->dead);
        json_int(j, "height", site->height);
        json_int(j, "width", site->width);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void runs_json(struct json *j, const struct facts *f)
{
    json_open(j, "runs", '[');
    for (size_t k = 0; k < f->n_runs; k++) {
        const cn_run *r = &f->runs[k];
        j->flat = j->depth + 1;
        json_open(j, NULL, '{');
        json_text(j, "started", r->started);
        json_real(j, "seconds", r->seconds);
        json_int(j, "images", r->images);
        json_int(j, "failed", r->failed);
        json_text(j, "shard", r->shard);
        json_text(j, "program", r->program);
        json_text(j, "backend", r->backend);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void study_json(const cn_study *study, const struct facts *f)
{
    const cn_study_info *i = f->info;
    const cn_study_summary *s = &f->summary;
    struct json j;
    json_begin(&j, stdout);
    json_open(&j, NULL, '{');
    json_text(&j, "study", i->path);
    json_text(&j, "model_name", i->model_name);
    json_text(&j, "model_file", i->model_file);
    json_text(&j, "fingerprint", i->fingerprint);
    json_text(&j, "collection", i->collection);
    json_text(&j, "created", i->created);
    json_text(&j, "program", i->program);
    json_text(&j, "backend", i->backend);
    json_text(&j, "precision", i->precision);
    json_text(&j, "edits", i->edits);
    json_text(&j, "reduce", cn_reduce_name(i->reduce));
    json_int(&j, "resolution", i->resolution);
    json_real(&j, "seconds", i->seconds);
    json_int(&j, "images", i->images);
    json_int(&j, "failed", i->failed);
    json_int(&j, "labelled", i->labelled);
    json_int(&j, "duplicates", s->duplicates);
    json_int(&j, "words", i->words);
    json_int(&j, "unknown_words", i->unknown_words);
    json_int(&j, "dead", s->dead);
    json_int(&j, "visualisations", s->visualisations);
    json_int(&j, "notes", s->notes);
    json_text(&j, "matrices", s->matrices);
    json_int(&j, "database_bytes", s->database_bytes);
    json_int(&j, "matrix_bytes", s->matrix_bytes);
    sites_json(&j, study);
    tallies_json(&j, "media", "medium", f->media, f->n_media);
    tallies_json(&j, "labels", "label", f->labels, f->n_labels);
    tallies_json(&j, "failures", "reason", f->reasons, f->n_reasons);
    runs_json(&j, f);
    json_close(&j, '}');
    json_end(&j);
}

static int show_study(const struct arguments *a, cn_study *study)
{
    struct facts f = {0};
    cn_error err = {0};
    const cn_status st = read_facts(&f, study, &err);
    if (st == CN_OK && a->json)
        study_json(study, &f);
    else if (st == CN_OK)
        print_study(a, study, &f);
    free_facts(&f);
    return st == CN_OK ? EXIT_DONE : fail_error(&err, st);
}

/* ---- units ---- */

static const double shares[] = {0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999};

struct unit_facts {
    cn_unit_row *row;
    cn_quantile quantiles[CN_COUNT(shares)];
    cn_group *labels, *media, *label_media;
    size_t n_labels, n_media, n_label_media;
    cn_word *words;
    size_t n_words;
};

static cn_status read_unit(struct unit_facts *f, cn_study *study, cn_unit_ref ref, cn_error *err)
{
    cn_status st = cn_study_unit(study, ref, &f->row, err);
    if (st == CN_OK)
        st = cn_study_quantiles(study, ref, shares, CN_COUNT(shares), f->quantiles, err);
    if (st == CN_OK)
        st = cn_study_groups(study, ref, CN_GROUP_LABEL, &f->labels, &f->n_labels, err);
    if (st == CN_OK)
        st = cn_study_groups(study, ref, CN_GROUP_MEDIUM, &f->media, &f->n_media, err);
    if (st == CN_OK)
        st = cn_study_groups(study, ref, CN_GROUP_LABEL_MEDIUM, &f->label_media, &f->n_label_media, err);
    if (st == CN_OK)
        st = cn_study_words(study, ref, &f->words, &f->n_words, err);
    return st;
}

static void free_unit(struct unit_facts *f)
{
    cn_unit_rows_free(f->row);
    cn_groups_free(f->labels);
    cn_groups_free(f->media);
    cn_groups_free(f->label_media);
    cn_words_free(f->words);
}

static void print_groups(const char *title, const char *heading, const cn_group *list, size_t n)
{
    const bool counted = n && list[0].share_positive >= 0;
    const struct grid_column columns[] = {{NULL, heading, GRID_TEXT, 0},
                                          {NULL, "pictures", GRID_INT, 0},
                                          {NULL, "mean sd", GRID_REAL, 2},
                                          {NULL, counted ? "active" : NULL, GRID_SHARE, 0},
                                          {NULL, "z", GRID_REAL, 1}};
    struct grid g;
    if (!n)
        return;
    grid_begin(&g, columns, CN_COUNT(columns));
    for (size_t i = 0; i < n; i++) {
        grid_text(&g, list[i].name);
        grid_int(&g, list[i].images);
        grid_real(&g, list[i].mean_sd);
        if (list[i].share_positive >= 0)
            grid_real(&g, list[i].share_positive);
        else
            grid_none(&g);
        grid_real(&g, list[i].z);
    }
    printf("\n%s\n", title);
    grid_print(&g, stdout);
    grid_free(&g);
}

static void print_quantiles(const struct unit_facts *f)
{
    static const struct grid_column columns[] = {
        {NULL, "quantile", GRID_TEXT, 0}, {NULL, "activation", GRID_REAL, -4}, {NULL, "sd", GRID_REAL, 2}};
    char names[CN_COUNT(shares)][16];
    struct grid g;
    grid_begin(&g, columns, CN_COUNT(columns));
    grid_text(&g, "minimum");
    grid_real(&g, f->row->min);
    grid_real(&g, f->row->min / f->row->rms);
    for (size_t i = 0; i < CN_COUNT(shares); i++) {
        snprintf(names[i], sizeof names[i], "%g%%", 100 * shares[i]);
        grid_text(&g, names[i]);
        grid_real(&g, f->quantiles[i].value);
        grid_real(&g, f->quantiles[i].sd);
    }
    grid_text(&g, "maximum");
    grid_real(&g, f->row->max);
    grid_real(&g, f->row->peak_sd);
    putchar('\n');
    grid_print(&g, stdout);
    grid_free(&g);
}

static void print_words(const struct unit_facts *f)
{
    static const struct grid_column columns[] = {
        {NULL, "word", GRID_TEXT, 0}, {NULL, "corr", GRID_REAL, 2}, {NULL, "z", GRID_REAL, 1}, {NULL, "", GRID_TEXT, 0}};
    struct grid g;
    if (!f->n_words)
        return;
    grid_begin(&g, columns, CN_COUNT(columns));
    for (size_t i = 0; i < f->n_words; i++) {
        grid_text(&g, f->words[i].word);
        grid_real(&g, f->words[i].score);
        grid_real(&g, f->words[i].z);
        grid_text(&g, f->words[i].significant ? "" : "not significant");
    }
    puts("\nNearest words");
    grid_print(&g, stdout);
    grid_free(&g);
}

static void print_unit(const struct arguments *a, const cn_study *study, const struct unit_facts *f)
{
    const cn_unit_row *r = f->row;
    const size_t most = a->labels ? (size_t)a->labels : 8, labels = f->n_labels < most ? f->n_labels : most;
    char *name = ask_name(study, r->ref), n[32];
    print_line("unit", name, " in %s pictures", ask_count(r->count, n));
    free(name);
    if (r->dead) {
        print_line("value", "", "%.6g on all of them", r->mean);
        return;
    }
    print_line("mean", "", "%.6g", r->mean);
    print_line("sd", "", "%.6g", r->sd);
    print_line("rms", "", "%.6g: one sd unit", r->rms);
    print_line("kurtosis", "", "%.4g", r->kurtosis);
    print_line("above zero", "", "%.4g%%", 100 * r->share_positive);
    if (r->label[0])
        print_line("label", r->label, ": %lld of the %d strongest, %lld in the collection; purity %.0f%%, surprise %.1f",
                   (long long)r->label_hits, CN_STUDY_PURITY_TOP, (long long)r->label_images, 100 * r->purity, r->surprise);
    if (r->media[0])
        print_line("media", r->media, "%s", r->reads ? " (reads)" : "");
    print_quantiles(f);
    print_groups("Media", "medium", f->media, f->n_media);
    print_groups("Labels with the largest z", "label", f->labels, labels);
    print_groups("Media of its own label", "medium", f->label_media, f->n_label_media);
    print_words(f);
}

static void groups_json(struct json *j, const char *key, const char *name, const cn_group *list, size_t n)
{
    json_open(j, key, '[');
    for (size_t i = 0; i < n; i++) {
        j->flat = j->depth + 1;
        json_open(j, NULL, '{');
        json_text(j, name, list[i].name);
        json_int(j, "images", list[i].images);
        json_real(j, "mean", list[i].mean);
        json_real(j, "mean_sd", list[i].mean_sd);
        if (list[i].share_positive >= 0)
            json_real(j, "share_positive", list[i].share_positive);
        json_real(j, "z", list[i].z);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void quantiles_json(struct json *j, const struct unit_facts *f)
{
    json_open(j, "quantiles", '[');
    for (size_t i = 0; i < CN_COUNT(shares); i++) {
        const cn_quantile *q = &f->quantiles[i];
        j->flat = j->depth + 1;
        json_open(j, NULL, '{');
        json_real(j, "share", q->share);
        json_real(j, "value", q->value);
        json_real(j, "sd", q->sd);
        json_real(j, "low", q->low);
        json_real(j, "high", q->high);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void unit_json(struct json *j, const cn_study *study, const struct unit_facts *f)
{
    const cn_unit_row *r = f->row;
    json_open(j, NULL, '{');
    ask_json(j, study, r->ref);
    json_int(j, "count", r->count);
    json_bool(j, "dead", r->dead);
    json_real(j, "mean", r->mean);
    json_real(j, "sd", r->sd);
    json_real(j, "rms", r->rms);
    json_real(j, "min", r->min);
    json_real(j, "max", r->max);
    json_real(j, "peak_sd", r->peak_sd);
    json_real(j, "share_positive", r->share_positive);
    json_real(j, "kurtosis", r->kurtosis);
    json_text(j, "label", r->label);
    json_int(j, "label_hits", r->label_hits);
    json_int(j, "label_images", r->label_images);
    json_real(j, "purity", r->purity);
    json_real(j, "surprise", r->surprise);
    json_real(j, "label_z", r->label_z);
    json_text(j, "label_media_names", r->media);
    json_bool(j, "reads", r->reads);
    json_real(j, "score", r->score);
    quantiles_json(j, f);
    groups_json(j, "media", "medium", f->media, f->n_media);
    groups_json(j, "labels", "label", f->labels, f->n_labels);
    groups_json(j, "label_media", "medium", f->label_media, f->n_label_media);
    json_open(j, "words", '[');
    for (size_t i = 0; i < f->n_words; i++) {
        j->flat = j->depth + 1;
        json_open(j, NULL, '{');
        json_text(j, "word", f->words[i].word);
        json_real(j, "score", f->words[i].score);
        json_real(j, "z", f->words[i].z);
        json_bool(j, "significant", f->words[i].significant);
        json_close(j, '}');
    }
    json_close(j, ']');
    json_close(j, '}');
}

static int show_units(const struct arguments *a, cn_study *study)
{
    const size_t n = a->operands.count - 1;
    struct unit_facts *units = need(calloc(n, sizeof *units));
    int code = EXIT_DONE;
    for (size_t i = 0; i < n && code == EXIT_DONE; i++) { /* all is read before anything is printed */
        cn_unit_ref ref;
        cn_error err = {0};
        code = ask_unit("stats", study, a->operands.items[i + 1], &ref);
        const cn_status st = code == EXIT_DONE ? read_unit(&units[i], study, ref, &err) : CN_OK;
        if (st != CN_OK)
            code = fail_error(&err, st);
    }
    if (code == EXIT_DONE && a->json) {
        struct json j;
        json_begin(&j, stdout);
        json_open(&j, NULL, '{');
        json_open(&j, "units", '[');
        for (size_t i = 0; i < n; i++)
            unit_json(&j, study, &units[i]);
        json_close(&j, ']');
        json_close(&j, '}');
        json_end(&j);
    } else {
        for (size_t i = 0; i < n && code == EXIT_DONE; i++) {
            fputs(i ? "\n" : "", stdout);
            print_unit(a, study, &units[i]);
        }
    }
    for (size_t i = 0; i < n; i++)
        free_unit(&units[i]);
    free(units);
    return code;
}

static int run(int argc, char **argv)
{
    struct arguments a = {0};
    int code = options_begin(&command_stats, argc, argv, &a);
    if (code >= 0)
        return code;
    cn_study *study = NULL;
    code = ask_open("stats", &a.operands, &study);
    if (code == EXIT_DONE)
        code = a.operands.count > 1 ? show_units(&a, study) : show_study(&a, study);
    cn_study_close(study);
    options_free(&command_stats, &a);
    return code;
}

const struct command command_stats = {
    .name = "stats",
    .summary = "what a study is made of, or all numbers of units",
    .synopsis = "stats STUDY [UNIT...]",
    .description =
        "Without UNITs: the model, the collection, how many pictures there are, failed (with the reasons counted), have labels, or "
        "are there twice, the sites with their units, media and labels, and who worked on the study. With UNITs: mean, standard "
        "deviation, rms, kurtosis, the share of pictures above zero, quantiles, the label, the media, the labels with the largest "
        "z and the nearest words of each.\n\n"
        "Quantiles come from the study's histogram, which has 128 bins in each octave: they are within 0.8% of the true value "
        "(JSON: between low and high for certain). UNIT is a number at the study's first site, or SITE:UNIT.",
    .examples = "What a study is:\n\n"
                "$ clipneuron scan --quiet photos -o study > /dev/null\n"
                "$ clipneuron stats study\n\n"
                "All about two units:\n\n"
                "$ clipneuron stats study 7 layer4:12 --json",
    .options = options,
    .n_options = CN_COUNT(options),
    .operand = "STUDY [UNIT...]",
    .operands_offset = offsetof(struct arguments, operands),
    .run = run,
};
