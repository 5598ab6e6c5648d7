/* cli/scanning.c */
#include "scanning.h"

#include "commands.h"
#include "interrupt.h"
#include "json.h"
#include "progress.h"
#include "report.h"
#include "scanlog.h"
#include "unittable.h"

#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

bool scan_progress(const cn_scan_progress *p, void *user)
{
    struct scan_progress *s = user;
    if (p->phase == CN_SCAN_IMAGES && p->total == 0 && !s->may_be_nothing) {
        s->nothing = true; /* an empty study is nobody's wish: a wrong folder, more likely */
        return false;
    }
    if (p->phase == CN_SCAN_IMAGES) {
        s->done = p->done;
        s->total = p->total;
    }
    int n = snprintf(s->label, sizeof s->label, "%s", scan_phase(p->phase));
    if (p->failed)
        snprintf(s->label + n, sizeof s->label - (size_t)n, ", %lld failed", (long long)p->failed);
    if ((int)p->phase + 1 != s->phase) {
        progress_start(s->label, p->total ? p->total : -1, PROGRESS_ITEMS, s->quiet);
        s->phase = (int)p->phase + 1;
        s->base = p->done;
    }
    progress_set(p->done, p->total ? p->total : -1, s->base);
    if (!s->quiet && !isatty(STDERR_FILENO))
        scan_log(stderr, p, &s->logged);
    return !interrupted();
}

void scan_fill(cn_scan_options *o, const struct word_arguments *words, const struct run_arguments *run, struct scan_progress *progress)
{
    o->words = words->list;
    o->word_template = words->template;
    o->no_words = words->none;
    o->no_label_words = words->no_labels;
    o->batch = run->batch;
    o->threads = o->decode_threads = (int)run->threads;
    o->precision = precision_of(run);
    o->backend = (cn_backend)run->backend;
    o->progress = scan_progress;
    o->user = progress;
}

static const struct {
    const char *one, *many, *key;
    size_t offset; /* in cn_scan_kept */
} kept[] = {
    {"answer", "answers", "answers", offsetof(cn_scan_kept, answers)},
    {"category", "categories", "categories", offsetof(cn_scan_kept, categories)},
    {"note", "notes", "notes", offsetof(cn_scan_kept, notes)},
    {"name", "names", "names", offsetof(cn_scan_kept, names)},
    {"visualisation", "visualisations", "visualisations", offsetof(cn_scan_kept, visualisations)},
    {"result that commands computed", "results that commands computed", "results", offsetof(cn_scan_kept, results)},
};

static int64_t kept_rows(const cn_scan_kept *k, size_t i)
{
    return *(const int64_t *)(const void *)((const char *)k + kept[i].offset);
}

static void kept_json(struct json *j, const char *name, const cn_scan_kept *k)
{
    json_open(j, name, '{');
    for (size_t i = 0; i < CN_COUNT(kept); i++)
        json_int(j, kept[i].key, kept_rows(k, i));
    json_close(j, '}');
}

/* "3 answers, 1 note"; "" for nothing. */
static const char *kept_text(const cn_scan_kept *k, char *text, size_t room)
{
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < CN_COUNT(kept) && at < room; i++)
        if (kept_rows(k, i))
            at += (size_t)snprintf(text + at, room - at, "%s%lld %s", at ? ", " : "", (long long)kept_rows(k, i),
                                   kept_rows(k, i) == 1 ? kept[i].one : kept[i].many);
    return text;
}

/* The result from the study itself, so that what is shown is what was written. */
int scan_show(const char *path, const struct scan_show *how, const cn_scan_result *result)
{
    cn_study *study = NULL;
    cn_error err = {0};
    cn_status st = cn_study_open(&study, path, &err);
    struct json j;
    json_begin(&j, stdout);
    if (st == CN_OK && how->json) {
        json_open(&j, NULL, '{');
        json_text(&j, "study", path);
        json_int(&j, "images", result->images);
        json_int(&j, "failed", result->failed);
        json_int(&j, "ignored", result->ignored);
        json_int(&j, "labelled", result->labelled);
        json_int(&j, "labels", result->labels);
        json_int(&j, "words", result->words);
        json_int(&j, "resumed", result->resumed);
        json_real(&j, "seconds", result->seconds);
        json_real(&j, "network_seconds", result->network_seconds);
        kept_json(&j, "carried", &result->carried);
        kept_json(&j, "left_out", &result->left_out);
        json_open(&j, "sites", '[');
    }
    for (size_t site = 0; st == CN_OK && site < cn_study_site_count(study); site++) {
        cn_unit_row *rows = NULL;
        size_t n = 0;
        const cn_study_site *s = cn_study_site_at(study, site);
        if (how->units > 0 && result->images > 0)
            st = cn_study_units(study, site, CN_ORDER_INTERESTING, (size_t)how->units, &rows, &n, &err);
        if (st == CN_OK && how->json) {
            json_open(&j, NULL, '{');
            json_text(&j, "site", s->name);
            json_int(&j, "units", s->units);
            json_int(&j, "dead", s->dead);
            unit_table_json(&j, "interesting", study, rows, n);
            json_close(&j, '}');
        } else if (st == CN_OK && n > 0) {
            printf("%s%s: %lld units, the most interesting %zu\n\n", site ? "\n" : "", s->name,
                   (long long)s->units, n);
            unit_table_print(study, rows, n, stdout);
        }
        cn_unit_rows_free(rows);
    }
    if (st == CN_OK && how->json) {
        json_close(&j, ']');
        json_close(&j, '}');
        json_end(&j);
    }
    cn_study_close(study);
    if (st != CN_OK)
        return fail_error(&err, st);
    note(how->quiet, "clipneuron: %lld images in %.1f s%s", (long long)result->images, result->seconds,
         result->failed ? "" : "; 'clipneuron card' shows units");
    if (result->failed)
        note(how->quiet, "clipneuron: %lld images could not be read; the study names them", (long long)result->failed);
    char carried[256], left_out[256];
    kept_text(&result->carried, carried, sizeof carried);
    kept_text(&result->left_out, left_out, sizeof left_out);
    if (*carried || *left_out)
        note(how->quiet, "clipneuron: from the older study: %s carried over%s%s", *carried ? carried : "nothing", *left_out ? "; left out: " : "", left_out);
    return EXIT_DONE;
}
