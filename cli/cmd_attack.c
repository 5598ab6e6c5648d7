/* cli/cmd_attack.c -- `clipneuron attack`: written words that fool, how often, which, and what helps. */
#include "attacking.h"
#include "attackreport.h"
#include "commands.h"
#include "grid.h"
#include "interrupt.h"
#include "linearfit.h"
#include "people.h"
#include "pictures.h"
#include "progress.h"
#include "report.h"

#include <clipneuron/image.h>
#include <clipneuron/probe.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct arguments {
    struct model_arguments model;
    struct run_arguments run;
    struct lettering_arguments lettering;
    struct words operands, targets, classes, class_files, prompts, word_files;
    const char *text, *probe, *target, *output, *log, *plot, *steps;
    int64_t images, seed, train, population, generations, longest, units, liked, top;
    int theme;
    bool whole, no_genetic, dry, json, quiet;
};

/* clang-format off */
static const struct option options[] = {
    MODEL_OPTIONS(struct arguments, model),
    {0, "text", OPTION_TEXT, offsetof(struct arguments, text), "TEXT", "draw: what is written on the picture."},
    {'o', "output", OPTION_TEXT, offsetof(struct arguments, output), "FILE",
     "draw: the picture with the text: .png, or .jpg, .jpeg or .webp, which are not exact (quality 95)."},
    {0, "whole", OPTION_FLAG, offsetof(struct arguments, whole), NULL,
     "draw: write on the whole picture, before resize and crop, in place of the square that the model sees."},
    {0, "probe", OPTION_TEXT, offsetof(struct arguments, probe), "STUDY|PROBE.npz",
     "draw: also what a linear probe says before and after, one of 'clipneuron probe', as a file or as the study keeps it."},
    {0, "targets", OPTION_GREEDY, offsetof(struct arguments, targets), "CLASS[=TEXT]",
     "run, defend: classes that are to be answered, each with the text that is written (default: its name)."},
    {0, "target", OPTION_TEXT, offsetof(struct arguments, target), "CLASS", "search: the class that is to be answered."},
    {0, "class", OPTION_WORDS, offsetof(struct arguments, classes), "TEXT",
     "What the model may answer; repeat it. Default: the labels of the collection; for draw, none: nothing is asked."},
    {0, "classes", OPTION_WORDS, offsetof(struct arguments, class_files), "FILE", "The same from a file, one a line."},
    {0, "prompt", OPTION_WORDS, offsetof(struct arguments, prompts), "PROMPT",
     "With {} where the class goes and, if wanted, {text} where the written text goes; repeat it. Default: \"{}\", \"a photo of a {}\", \"{} with a piece "
     "of paper saying {text}\"."},
    {'n', "images", OPTION_COUNT, offsetof(struct arguments, images), "N",
     "Pictures of the collection, drawn at random; those of written words are left out. Default: 1000; search: 200 to measure on; defend: 400, half of "
     "them to fit.", 1, CN_MAX_ATTACK_IMAGES / 2},
    {0, "seed", OPTION_COUNT, offsetof(struct arguments, seed), "N", "Of all that is random. Default: 0.", 0, INT64_MAX},
    LETTERING_OPTIONS(struct arguments, lettering),
    {0, "log", OPTION_TEXT, offsetof(struct arguments, log), "FILE",
     "run: keep every answer as a JSON line, and go on from what is there."},
    {0, "words", OPTION_WORDS, offsetof(struct arguments, word_files), "FILE", "search: candidates, one a line. Default: some 3,000 common words."},
    {0, "train", OPTION_COUNT, offsetof(struct arguments, train), "N", "search: pictures that texts are chosen on. Default: 12.", 1, 4096},
    {0, "units", OPTION_COUNT, offsetof(struct arguments, units), "N",
     "search: units that serve the class most, whose words are tried, and with a study their names. Default: 8.", 1, 65536},
    {0, "liked", OPTION_COUNT, offsetof(struct arguments, liked), "N",
     "search: words that each of those units likes most, by its direction in the embedding. Default: 4.", 1, 1000},
    {0, "population", OPTION_COUNT, offsetof(struct arguments, population), "N", "search: texts of a generation. Default: 24.", 2, 1024},
    {0, "generations", OPTION_COUNT, offsetof(struct arguments, generations), "N", "search: Default: 10.", 1, 10000},
    {0, "longest", OPTION_COUNT, offsetof(struct arguments, longest), "N", "search: letters of strings that are bred. Default: 8.", 2, 32},
    {0, "no-genetic", OPTION_FLAG, offsetof(struct arguments, no_genetic), NULL, "search: words and names only."},
    {0, "top", OPTION_COUNT, offsetof(struct arguments, top), "N", "search: texts that are measured; defend: units that are listed. Default: 5.", 1, 1000},
    {0, "steps", OPTION_TEXT, offsetof(struct arguments, steps), "0,N,...", "defend: how many units or directions to remove. Default: 0, 1, 2, 4, ... half."},
    {0, "dry-run", OPTION_FLAG, offsetof(struct arguments, dry), NULL, "defend: do not keep the units that read in the study."},
    {0, "plot", OPTION_TEXT, offsetof(struct arguments, plot), "FILE", "run, defend: a plot as .svg or .png."},
    {0, "theme", OPTION_CHOICE, offsetof(struct arguments, theme), "THEME", "light, dark or print. Default: light.", 0, 0, theme_choices},
    {0, "json", OPTION_FLAG, offsetof(struct arguments, json), NULL, "Print JSON."},
    RUN_OPTIONS(struct arguments, run),
    {'q', "quiet", OPTION_FLAG, offsetof(struct arguments, quiet), NULL, "No progress and no notes."},
};
/* clang-format on */

/* ---- what the library gets ---- */

struct job {
    const struct arguments *a;
    cn_attack_options o;
    struct lines *lines; /* of files */
    size_t n_lines;
    struct words classes, words;
    const char *shown;
};

static bool attack_progress(const char *what, int64_t done, int64_t total, void *user)
{
    struct job *job = user;
    if (job->shown != what)
        progress_start(what, total, PROGRESS_ITEMS, job->a->quiet);
    job->shown = what;
    progress_set(done, total, 0);
    return !interrupted();
}

static int add_files(struct job *job, struct words *to, const struct words *files)
{
    int code = EXIT_DONE;
    for (size_t i = 0; i < files->count && code == EXIT_DONE; i++) {
        struct lines *lines = &job->lines[job->n_lines++];
        code = lines_read(lines, files->items[i], true);
        const size_t before = to->count;
        for (size_t k = 0; code == EXIT_DONE && k < lines->count; k++)
            if (lines->items[k][0] != '#')
                words_add(to, lines->items[k]);
        if (code == EXIT_DONE && to->count == before)
            code = fail("%s: has no lines", files->items[i]);
    }
    return code;
}

static int prepare(struct job *job)
{
    const struct arguments *a = job->a;
    job->lines = need(calloc(a->class_files.count + a->word_files.count + 1, sizeof *job->lines));
    for (size_t i = 0; i < a->classes.count; i++)
        words_add(&job->classes, a->classes.items[i]);
    int code = add_files(job, &job->classes, &a->class_files);
    if (code == EXIT_DONE)
        code = add_files(job, &job->words, &a->word_files);
    for (size_t i = 0; i < a->prompts.count && code == EXIT_DONE; i++)
        if (!strstr(a->prompts.items[i], "{}"))
            code = fail_usage("attack", "the prompt '%s' has no {} where the class goes", a->prompts.items[i]);
    if (code == EXIT_DONE)
        code = lettering_options("attack", &a->lettering, &job->o.lettering);
    if (code == EXIT_DONE && strcmp(a->operands.items[0], "draw") == 0 && job->classes.count == 1)
        code = fail_usage("attack", "draw: two classes are needed to choose from, not '%s' alone", job->classes.items[0]);
    job->o.classes = job->classes.count ? job->classes.items : NULL;
    job->o.n_classes = job->classes.count;
    job->o.prompts = a->prompts.count ? a->prompts.items : NULL;
    job->o.n_prompts = a->prompts.count;
    job->o.images = a->images;
    job->o.seed = (uint64_t)a->seed;
    job->o.batch = a->run.batch;
    job->o.threads = (int)a->run.threads;
    job->o.precision = precision_of(&a->run);
    job->o.backend = (cn_backend)a->run.backend;
    job->o.progress = attack_progress;
    job->o.user = job;
    return code;
}

static void job_free(struct job *job)
{
    for (size_t i = 0; i < job->n_lines; i++)
        lines_free(&job->lines[i]);
    free(job->lines);
    words_free(&job->classes);
    words_free(&job->words);
}

/* CLASS or CLASS=TEXT; strings to free with the list. */
static cn_attack_target *read_targets(const struct words *words)
{
    cn_attack_target *targets = need(calloc(words->count + 1, sizeof *targets));
    for (size_t i = 0; i < words->count; i++) {
        char *copy = need_format("%s", words->items[i]), *equals = strchr(copy, '=');
        if (equals)
            *equals = '\0';
        targets[i] = (cn_attack_target){copy, equals && equals[1] ? equals + 1 : NULL};
    }
    return targets;
}

static void targets_free(cn_attack_target *targets, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free((char *)targets[i].target);
    free(targets);
}

/* ---- names about people ---- */

static bool is_study(const char *collection)
{
    char *file = need_format("%s/study.sqlite", collection);
    const bool there = access(file, F_OK) == 0;
    free(file);
    return there;
}

/* A study, where there is one; for base rates. */
static cn_study *study_of(const char *path)
{
    cn_study *study = NULL;
    if (is_study(path) && cn_study_open(&study, path, NULL) != CN_OK)
        study = NULL;
    return study;
}

/* Where a study's activations are not what units' directions are of. */
static void warn_of_tokens(const cn_study *study, const char *name, bool quiet)
{
    for (size_t i = 0; study && i < cn_study_site_count(study); i++)
        if (strcmp(cn_study_site_at(study, i)->name, name) == 0)
            linear_fit_tokens(study, i, quiet);
}

static void note_targets(struct people *people, const cn_attack_target *targets, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        people_note(people, targets[i].target);
        if (targets[i].text)
            people_note(people, targets[i].text);
    }
}

/* ---- draw ---- */

static cn_status draw_square(const struct job *job, const cn_image *image, int side, uint8_t *before, uint8_t *after, int64_t *changed, cn_error *err)
{
    cn_status st = cn_image_preprocess(image, side, before, err);
    if (st != CN_OK)
        return st;
    memcpy(after, before, (size_t)side * (size_t)side * 3);
    return cn_lettering_draw(after, side, side, job->a->text, &job->o.lettering, changed, err);
}

/* On the whole picture as RGB; the square of it that the model sees follows. */
static cn_status draw_whole(const struct job *job, cn_image *image, int side, uint8_t *before, uint8_t *after, int64_t *changed, cn_error *err)
{
    cn_status st = cn_image_preprocess(image, side, before, err);
    if (st == CN_OK)
        st = cn_lettering_draw(image->rgb, image->width, image->height, job->a->text, &job->o.lettering, changed, err);
    image->mode = CN_IMAGE_MODE_RGB;
    return st == CN_OK ? cn_image_preprocess(image, side, after, err) : st;
}

enum {
    PROBED = 5,  /* classes of a probe that are shown, the likeliest on either side */
    QUALITY = 95 /* of a JPEG or WebP */
};

/* What a probe says; p: (2, n_classes). */
struct probed {
    cn_probe *probe; /* NULL: there is none */
    double *p;
};

static cn_status probe_pictures(const struct arguments *a, const cn_model *model, const uint8_t *rgb, struct probed *to, cn_error *err)
{
    cn_study *study = NULL;
    cn_status st = CN_OK;
    if (has_ending(a->probe, ".npz")) {
        st = cn_probe_load(&to->probe, a->probe, err);
    } else {
        st = cn_study_open(&study, a->probe, err);
        if (st == CN_OK && *cn_study_get_info(study)->edits) {
            snprintf(err->text, sizeof err->text, "%s: its network was edited (%s), the one that sees the text is not", a->probe,
                     cn_study_get_info(study)->edits);
            st = err->status = CN_EMISMATCH;
        }
        if (st == CN_OK)
            st = cn_study_kept_probe(&to->probe, study, err);
        cn_study_close(study);
    }
    if (st != CN_OK)
        return st;
    to->p = need(calloc(2 * to->probe->n_classes, sizeof *to->p));
    return cn_probe_pictures(to->probe, model, rgb, 2, (int)a->run.threads, to->p, err);
}

/* Classes in the order of the larger of their two probabilities; the first PROBED of them, and those that were asked for. */
static void probed_grid(const struct job *job, const struct probed *r, struct grid *g, struct people *people)
{
    static const struct grid_column columns[] = {{"class", "class", GRID_TEXT, 0}, {"before", "before", GRID_SHARE, 2}, {"after", "after", GRID_SHARE, 2}};
    const size_t n = r->probe->n_classes;
    bool *shown = need(calloc(n, sizeof *shown));
    grid_begin(g, columns, CN_COUNT(columns));
    for (size_t row = 0; row < n; row++) {
        size_t best = n;
        for (size_t c = 0; c < n; c++) {
            bool asked = row < PROBED;
            for (size_t k = 0; k < job->o.n_classes; k++)
                asked = asked || cn_probe_find_class(r->probe, job->o.classes[k]) == c;
            if (!shown[c] && asked && (best == n || fmax(r->p[c], r->p[n + c]) > fmax(r->p[best], r->p[n + best])))
                best = c;
        }
        if (best == n)
            break;
        shown[best] = true;
        people_note(people, r->probe->classes[best].name);
        grid_text(g, r->probe->classes[best].name);
        grid_real(g, r->p[best]);
        grid_real(g, r->p[n + best]);
    }
    free(shown);
}

static void print_drawn(const struct job *job, const char *const *prompts, size_t n_prompts, const double *p, const struct probed *probed,
                        int64_t changed, int64_t of)
{
    static const struct grid_column columns[] = {
        {"prompt", "prompt", GRID_TEXT, 0}, {"class", "class", GRID_TEXT, 0}, {"before", "before", GRID_SHARE, 2}, {"after", "after", GRID_SHARE, 2}};
    const size_t C = job->o.n_classes;
    struct grid g, h;
    struct people people;
    cn_study *study = job->a->probe ? study_of(job->a->probe) : NULL;
    people_begin(&people, study);
    people_note(&people, job->a->text);
    for (size_t c = 0; c < C; c++)
        people_note(&people, job->o.classes[c]);
    if (probed->probe)
        probed_grid(job, probed, &h, &people);
    grid_begin(&g, columns, CN_COUNT(columns));
    for (size_t k = 0; k < n_prompts && C; k++)
        for (size_t c = 0; c < C; c++) {
            grid_text(&g, prompts[k]);
            grid_text(&g, job->o.classes[c]);
            grid_real(&g, p[k * C + c]);
            grid_real(&g, p[(n_prompts + k) * C + c]);
        }
    if (job->a->json) {
        struct json j;
        json_begin(&j, stdout);
        json_open(&j, NULL, '{');
        json_text(&j, "image", job->a->operands.items[1]);
        json_text(&j, "text", job->a->text);
        json_int(&j, "changed", changed);
        json_int(&j, "pixels", of);
        json_real(&j, "share", (double)changed / (double)of);
        grid_json(&g, &j, "probabilities");
        if (probed->probe)
            grid_json(&h, &j, "probe");
        people_json(&people, &j);
        json_close(&j, '}');
        json_end(&j);
    } else {
        printf("%lld of %lld pixels changed (%.1f%%)\n", (long long)changed, (long long)of, 100.0 * (double)changed / (double)of);
        if (C) {
            putchar('\n');
            grid_print(&g, stdout);
        }
        if (probed->probe) {
            printf("\nprobe of %s on %s, %zu class%s:\n\n", probed->probe->column, probed->probe->site, probed->probe->n_classes,
                   probed->probe->n_classes == 1 ? "" : "es");
            grid_print(&h, stdout);
        }
        people_print(&people);
    }
    grid_free(&g);
    if (probed->probe)
        grid_free(&h);
    cn_study_close(study);
}

static int draw(struct job *job, const cn_model *model)
{
    const struct arguments *a = job->a;
    cn_error err = {0};
    cn_image *image = NULL;
    const int side = cn_model_get_info(model)->resolution;
    const size_t bytes = (size_t)side * (size_t)side * 3;
    size_t n_prompts = a->prompts.count;
    const char *const *prompts = n_prompts ? a->prompts.items : cn_attack_default_prompts(true, &n_prompts);
    uint8_t *rgb = need(calloc(2, bytes));
    double *p = need(calloc(2 * n_prompts * job->o.n_classes + 1, sizeof *p));
    int64_t changed = 0;
    struct probed probed = {0};
    cn_status st = cn_image_load(&image, a->operands.items[1], NULL, &err);
    if (st == CN_OK)
        st = (a->whole ? draw_whole(job, image, side, rgb, rgb + bytes, &changed, &err)
                       : draw_square(job, image, side, rgb, rgb + bytes, &changed, &err));
    if (st == CN_OK && job->o.n_classes)
        st = cn_attack_probabilities(model, rgb, 2, a->text, &job->o, p, &err);
    if (st == CN_OK && a->probe)
        st = probe_pictures(a, model, rgb, &probed, &err);
    if (st == CN_OK && a->output)
        st = a->whole ? cn_image_write(a->output, image->rgb, image->width, image->height, QUALITY, &err)
                      : cn_image_write(a->output, rgb + bytes, side, side, QUALITY, &err);
    progress_end();
    if (st == CN_OK)
        print_drawn(job, prompts, n_prompts, p, &probed, changed, a->whole ? (int64_t)image->width * image->height : (int64_t)side * side);
    cn_image_free(image);
    cn_probe_free(probed.probe);
    free(probed.p);
    free(rgb);
    free(p);
    return st == CN_OK ? EXIT_DONE : fail_error(&err, st);
}

/* ---- run, search, defend ---- */

static int attack(struct job *job, const cn_model *model)
{
    const struct arguments *a = job->a;
    cn_error err = {0};
    cn_attack_table *t = NULL;
    cn_attack_target *targets = read_targets(&a->targets);
    cn_status st = cn_attack_run(&t, model, a->operands.items[1], targets, a->targets.count, a->log, &job->o, &err);
    if (st == CN_OK && a->plot)
        st = cn_attack_plot(t, (cn_plot_theme)a->theme, a->plot, &err);
    progress_end();
    if (st == CN_OK && t->failed)
        note(a->quiet, "%lld %s left out", (long long)t->failed, t->failed == 1 ? "picture could not be read and is" : "pictures could not be read and are");
    if (st == CN_OK) {
        struct people people;
        cn_study *study = study_of(a->operands.items[1]);
        people_begin(&people, study);
        note_targets(&people, targets, a->targets.count);
        if (a->json)
            attack_table_json(t, a->seed, &people);
        else
            attack_table_print(t, &people);
        cn_study_close(study);
    }
    cn_attack_table_free(t);
    targets_free(targets, a->targets.count);
    return st == CN_OK ? EXIT_DONE : fail_error(&err, st);
}

static int search(struct job *job, const cn_model *model)
{
    const struct arguments *a = job->a;
    cn_error err = {0};
    cn_attack_search_result *r = NULL;
    const cn_attack_search_options how = {.words = job->words.count ? job->words.items : NULL,
                                          .n_words = job->words.count,
                                          .train = a->train,
                                          .population = a->no_genetic ? -1 : (int)a->population,
                                          .generations = (int)a->generations,
                                          .longest = (int)a->longest,
                                          .units = (int)a->units,
                                          .liked = (int)a->liked,
                                          .top = (int)a->top};
    cn_status st = cn_attack_search(&r, model, a->operands.items[1], a->target, &how, &job->o, &err);
    progress_end();
    if (st == CN_OK) {
        struct people people;
        cn_study *study = study_of(a->operands.items[1]);
        people_begin(&people, study);
        warn_of_tokens(study, r->site, a->quiet);
        people_note(&people, r->target);
        for (size_t i = 0; i < r->n; i++)
            people_note(&people, r->found[i].text);
        for (size_t i = 0; i < r->n_units; i++)
            for (size_t k = 0; k < r->units[i].n; k++)
                people_note(&people, r->units[i].texts[k]);
        if (a->json)
            attack_search_json(r, a->seed, &people);
        else
            attack_search_print(r, &people);
        cn_study_close(study);
    }
    cn_attack_search_free(r);
    return st == CN_OK ? EXIT_DONE : fail_error(&err, st);
}

static int read_steps(const char *text, int64_t *steps, size_t *n)
{
    *n = 0;
    for (const char *p = text; *p;) {
        char *end;
        const long long value = strtoll(p, &end, 10);
        if (end == p || value < 0 || (*end && *end != ',') || *n == CN_MAX_DEFENCE_STEPS || (*n ? value <= steps[*n - 1] : value != 0))
            return fail_usage("attack", "--steps are at most %d rising numbers from 0, not '%s'", CN_MAX_DEFENCE_STEPS, text);
        steps[(*n)++] = value;
        p = *end ? end + 1 : end;
    }
    return *n ? EXIT_DONE : fail_usage("attack", "--steps has no numbers");
}

/* In the study, where the collection is one. */
static cn_status keep_readers(const struct arguments *a, const cn_defence_result *r, cn_error *err)
{
    cn_study *study = NULL;
    if (!is_study(a->operands.items[1]))
        return CN_OK;
    cn_status st = cn_study_open(&study, a->operands.items[1], err);
    if (st == CN_OK)
        st = cn_study_keep_readers(study, r, err);
    if (st == CN_EMISMATCH) { /* a study of another site has no place for them */
        note(a->quiet, "%s: the units that read are not kept", err->text);
        st = CN_OK;
    }
    cn_study_close(study);
    return st;
}

static int defend(struct job *job, const cn_model *model)
{
    const struct arguments *a = job->a;
    cn_error err = {0};
    cn_defence_result *r = NULL;
    int64_t steps[CN_MAX_DEFENCE_STEPS];
    size_t n_steps = 0;
    if (a->steps) {
        int code = read_steps(a->steps, steps, &n_steps);
        if (code != EXIT_DONE)
            return code;
    }
    cn_attack_target *targets = read_targets(&a->targets);
    cn_status st = cn_attack_defend(&r, model, a->operands.items[1], targets, a->targets.count, a->steps ? steps : NULL, n_steps, &job->o, &err);
    if (st == CN_OK && a->plot)
        st = cn_defence_plot(r, (cn_plot_theme)a->theme, a->plot, &err);
    progress_end();
    if (st == CN_OK && r->linear < 0.99)
        note(a->quiet, "removing units goes through a linear map that explains %.0f%% of the embedding's variance only", 100 * r->linear);
    const size_t listed = a->top ? (size_t)a->top : 5;
    if (st == CN_OK && !a->dry)
        st = keep_readers(a, r, &err);
    if (st == CN_OK) {
        struct people people;
        cn_study *study = study_of(a->operands.items[1]);
        warn_of_tokens(study, r->site, a->quiet);
        people_begin(&people, study);
        note_targets(&people, targets, a->targets.count);
        if (a->json)
            defence_json(r, listed, a->seed, &people);
        else
            defence_print(r, listed, &people);
        cn_study_close(study);
    }
    cn_defence_free(r);
    targets_free(targets, a->targets.count);
    return st == CN_OK ? EXIT_DONE : fail_error(&err, st);
}

/* ---- */

static const struct verb {
    const char *name;
    const char *operand;
    int (*run)(struct job *job, const cn_model *model);
} verbs[] = {{"draw", "an image", draw}, {"run", "a study or collection", attack}, {"search", "a study or collection", search}, {"defend", "a study or collection", defend}};

static int check(const struct arguments *a, const struct verb **verb)
{
    static const char *const names[] = {"draw", "run", "search", "defend"};
    if (!a->operands.count)
        return fail_usage("attack", "draw, run, search or defend?");
    for (size_t i = 0; i < CN_COUNT(verbs); i++)
        if (strcmp(a->operands.items[0], verbs[i].name) == 0)
            *verb = &verbs[i];
    if (!*verb) {
        const char *near = nearest(a->operands.items[0], names, CN_COUNT(names));
        return near ? fail_usage("attack", "there is no 'attack %s'; did you mean '%s'?", a->operands.items[0], near)
                    : fail_usage("attack", "there is no 'attack %s', but draw, run, search and defend", a->operands.items[0]);
    }
    const bool drawing = (*verb)->run == draw, searching = (*verb)->run == search;
    if (a->operands.count != 2)
        return fail_usage("attack", a->operands.count < 2 ? "%s: %s is needed" : "%s: %s at a time, and one only", (*verb)->name, (*verb)->operand);
    if (drawing && !a->text)
        return fail_usage("attack", "draw: --text is missing");
    if (a->targets.count && (drawing || searching))
        return fail_usage("attack", "--targets belong to run and defend%s", searching ? "; search has one --target" : "");
    if (a->target && !searching)
        return fail_usage("attack", "--target belongs to search%s", drawing ? "" : "; run and defend have --targets");
    if (drawing && a->output && wrong_ending(a->output, ".png") && wrong_ending(a->output, ".jpg") && wrong_ending(a->output, ".jpeg") &&
        wrong_ending(a->output, ".webp"))
        return fail_usage("attack", "a picture with a text is written as .png, .jpg, .jpeg or .webp, not '%s'", a->output);
    if (searching && !a->target)
        return fail_usage("attack", "search: --target is missing");
    if (!drawing && !searching && !a->targets.count)
        return fail_usage("attack", "%s: --targets are missing", (*verb)->name);
    if (a->log && (*verb)->run != attack)
        return fail_usage("attack", "--log belongs to run");
    if (a->plot && (drawing || searching))
        return fail_usage("attack", "--plot belongs to run and defend");
    if (a->plot && !has_ending(a->plot, ".svg") && !has_ending(a->plot, ".png"))
        return fail_usage("attack", "a plot's name ends in .svg or .png, not '%s'", a->plot);
    return EXIT_DONE;
}

static int run(int argc, char **argv)
{
    struct arguments a = {0};
    const struct verb *verb = NULL;
    int code = options_begin(&command_attack, argc, argv, &a);
    if (code >= 0)
        return code;
    struct job job = {.a = &a};
    cn_model *model = NULL;
    code = check(&a, &verb);
    if (code == EXIT_DONE)
        code = prepare(&job);
    if (code == EXIT_DONE)
        code = model_open(&a.model, &model);
    if (code == EXIT_DONE && verb)
        code = verb->run(&job, model);
    cn_model_close(model);
    job_free(&job);
    options_free(&command_attack, &a);
    return code;
}

const struct command command_attack = {
    .name = "attack",
    .summary = "typographic attacks: words on pictures, how often they fool, and what helps",
    .synopsis = "attack draw IMAGE --text TEXT [-o OUT.png|.jpg|.webp] [--class C...]\n"
                "attack run STUDY|COLLECTION --targets CLASS[=TEXT]... [--log FILE] [--plot FILE]\n"
                "attack search STUDY|COLLECTION --target CLASS\n"
                "attack defend STUDY|COLLECTION --targets CLASS[=TEXT]... [--plot FILE]",
    .description =
        "A unit that fires for a thing and for its written name can be fired by writing. draw puts a text on a picture, by default as in the paper: white "
        "with a black outline, in eight places; and prints how many pixels changed and, for classes, the probabilities before and after.\n\n"
        "run does so with many pictures of a collection and prints how many are taken for the target (with Wilson's 95% interval; pictures of the "
        "target's own class do not count), how many were before, and how many keep their own label; for every prompt. With --log the answers "
        "are kept as they come: after Ctrl-C the same command goes on, and a larger --images adds to what is there.\n\n"
        "search looks for texts: the target's name; words of the list that the units like which serve it, by their directions in the embedding, and with a study "
        "those units' names; words near it in meaning; and strings bred by a genetic search. Texts are chosen on some pictures, their success is measured on "
        "others. With a study it says how far the directions hold, as 'explain' does.\n\n"
        "defend measures what helps and what it costs, on pictures that it was not fitted on: removing the units that read (common words; or the attack's "
        "own texts, for a defender who knows them) beside as many random ones, removing heads of the attention pool, a projection that takes spelling out of "
        "the embedding, and prompts that mention the writing.\n\n"
        "docs/compose.md has the formulas.",
    .examples = "A text on a picture:\n\n"
                "$ clipneuron attack draw cat.png --text rocket -o fooled.png --class cat --class rocket --class face\n\n"
                "A large paper label:\n\n"
                "$ clipneuron attack draw cat.png --text rocket --layout label --size 80 --rotate 5 --json\n\n"
                "How often, over a collection:\n\n"
                "$ clipneuron attack run photos --targets pizza dog=puppy --class airplane --class anchor --layout label --size 90 --log answers.jsonl\n\n"
                "Which words do best, and what helps:\n\n"
                "$ clipneuron attack search photos --target pizza --class airplane --class anchor --train 4 --generations 1\n"
                "$ clipneuron attack defend photos --targets pizza --class airplane --class anchor --steps 0,4,64 --plot curve.svg",
    .options = options,
    .n_options = CN_COUNT(options),
    .operand = "draw|run|search|defend IMAGE|STUDY|COLLECTION",
    .operands_offset = offsetof(struct arguments, operands),
    .run = run,
};
