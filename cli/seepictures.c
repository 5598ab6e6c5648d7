/* cli/seepictures.c -- makes the pictures of `clipneuron see`, batch by batch. Work that is done, with the same settings, is not
 * done again, so a run over a whole layer can be interrupted and continued. */
#include "interrupt.h"
#include "json.h"
#include "progress.h"
#include "report.h"
#include "see.h"
#include "seesheets.h"
#include "seestudy.h"

#include <clipneuron/image.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SETTINGS "clipneuron-settings" /* keywords of the texts in a PNG */
#define OBJECTIVE "clipneuron-objective"
#define VALUE "clipneuron-value"
#define PAPER_PENALTY " - 10*l2"
enum { FRAME_MILLISECONDS = 80 };

/* One picture to make. */
struct job {
    char *objective, *path;
    const char *facet; /* borrowed; NULL: plain */
    size_t number; /* of the picture among those for its objective */
    uint32_t files_sum; /* of the directions that the objective has from files; 0: none */
};

struct jobs {
    struct job *items;
    size_t count;
};

struct work {
    const struct see_arguments *a;
    const cn_model *model;
    char *output;        /* OUT.png or a folder; owned */
    bool one_file;
    struct seestudy *study; /* NULL: none */
    cn_see_options o;
    cn_facets *facets;
    const char **facet;  /* names of those wanted, borrowed */
    size_t n_facets;
    char fingerprint[65];
    float *magnitude;    /* of --natural; owned */
    uint32_t facets_sum, natural_sum; /* what tells files from others with the same name */
    struct jobs jobs;
    size_t done, kept; /* made now; there already */
};

/* ---- settings ---- */

/* What was optimised: the job's objective and what a preset takes from it. Owned by the caller. */
static char *optimised(const struct work *w, const struct job *job)
{
    return need_format("%s%s", job->objective, w->a->preset == PRESET_PAPER ? PAPER_PENALTY : "");
}

/* All that decides what a picture looks like, apart from rounding; 0 stands for a default, so the first number rises when defaults of the library
 * change, and pictures made with the old ones are made again. Owned by the caller. */
static char *settings_of(const struct work *w, const struct job *job, int64_t steps)
{
    const cn_see_options *o = &w->o;
    char *objective = optimised(w, job);
    char *text = need_format("6 model %s objective %s picture %zu of %d starts %d steps %lld rate %.9g size %d resolution %d seed %llu canvas %s decay %.9g "
                       "colours %s alpha %d importance %d natural %08x transforms %s facet %s %08x strength %.9g to %.9g early %d leak %.9g precision %s",
                       w->fingerprint, objective, job->number, o->images_each, o->starts, (long long)steps, (double)o->rate, o->size,
                       o->resolution, (unsigned long long)o->seed, see_canvases[o->canvas], (double)o->decay,
                       o->correlated ? "correlated" : "decorrelated", o->alpha, o->importance, w->natural_sum, o->transforms ? o->transforms : "default",
                       job->facet ? job->facet : "none", job->facet ? w->facets_sum : 0, (double)o->weakest, (double)o->strongest,
                       o->redirect_steps, (double)o->relu_leak, o->precision == CN_PRECISION_BF16 ? "bf16" : "fp32");
    free(objective);
    if (!job->files_sum)
        return text;
    char *with_files = need_format("%s files %08x", text, job->files_sum);
    free(text);
    return with_files;
}

/* The picture of an objective and facet that a study keeps: of several with rising strength, one in the middle. */
static bool goes_into_study(const struct work *w, const struct job *job)
{
    const size_t number = job->facet ? (size_t)w->o.images_each / 2 : 0;
    return w->study && job->number == number && seestudy_has(w->study, job->objective);
}

/* Beside OUT.png: OUT.course.png, OUT.000032.png, OUT.partial.png. Owned by the caller. */
static char *beside(const struct job *job, const char *what)
{
    return need_format("%.*s.%s.png", (int)strlen(job->path) - 4, job->path, what);
}

static char *course_path(const struct job *job)
{
    return beside(job, "course");
}

static char *frame_path(const struct job *job, int64_t step)
{
    char number[24];
    snprintf(number, sizeof number, "%06lld", (long long)step);
    return beside(job, number);
}

static bool is_made(const struct work *w, const struct job *job)
{
    char *text = NULL, *wanted = settings_of(w, job, w->a->steps);
    bool same = cn_png_read_text(&text, job->path, SETTINGS, NULL) == CN_OK && text && !strcmp(text, wanted);
    cn_bytes_free(text);
    free(wanted);
    if (same && w->a->every && w->a->every < w->a->steps) { /* its course, too */
        char *course = w->a->animate ? course_path(job) : frame_path(job, w->a->every);
        same = access(course, F_OK) == 0;
        free(course);
    }
    return same;
}

/* ---- jobs ---- */

#define NO_BYTES 2166136261u /* the sum to begin with */

/* FNV-1a: tells names and files from others. */
static uint32_t sum_bytes(uint32_t sum, const void *bytes, size_t size)
{
    const uint8_t *b = bytes;
    for (size_t i = 0; i < size; i++)
        sum = (sum ^ b[i]) * 16777619u;
    return sum;
}


/* "layer4:89 - 2*l2" -> "layer4_89_-_2_l2", at most as long as file systems like; owned by the caller. */
static char *file_name(const char *objective)
{
    char name[128];
    size_t n = 0;
    bool lossy = false; /* two objectives might get one name */
    if (*objective == '-') {
        n = (size_t)snprintf(name, sizeof name, "minus_");
        objective++;
    }
    for (const char *c = objective; *c; c++) {
        const bool plain = isalnum((unsigned char)*c) || *c == '.' || *c == '-';
        lossy |= !plain && *c != ':';
        if (n < 90 && (plain || n == 0 || name[n - 1] != '_'))
            name[n++] = plain ? *c : '_';
    }
    while (n > 1 && name[n - 1] == '_')
        n--;
    name[n] = 0;
    return lossy || strlen(objective) > 90 ? need_format("%s-%08x", name, sum_bytes(NO_BYTES, objective, strlen(objective))) : need_format("%s", name);
}

static void add_job(struct work *w, const char *objective, uint32_t files_sum, const char *facet, bool one_file)
{
    const size_t each = (size_t)w->o.images_each;
    for (size_t i = 0; i < each; i++) {
        struct jobs *jobs = &w->jobs;
        if ((jobs->count & (jobs->count - 1)) == 0)
            jobs->items = need(realloc(jobs->items, (jobs->count ? 2 * jobs->count : 1) * sizeof *jobs->items));
        char *base = file_name(objective), *name = facet ? need_format("%s.%s", base, facet) : need_format("%s", base);
        free(base);
        jobs->items[jobs->count++] = (struct job){
            need_format("%s", objective),
            one_file    ? need_format("%s", w->output)
            : each == 1 ? need_format("%s/%s.png", w->output, name)
                        : need_format("%s/%s.%zu.png", w->output, name, i),
            facet,
            i,
            files_sum,
        };
        free(name);
    }
}

static void free_jobs(struct jobs *jobs)
{
    for (size_t i = 0; i < jobs->count; i++) {
        free(jobs->items[i].objective);
        free(jobs->items[i].path);
    }
    free(jobs->items);
}

/* The units of sites as jobs. */
static int list_units(struct work *w, const char *const *sites, size_t n, const char *facet)
{
    for (size_t i = 0; i < n; i++) {
        cn_error err = {0};
        const cn_site *site;
        const cn_status st = cn_model_find_site(w->model, sites[i], &site, &err);
        if (st != CN_OK)
            return fail_error(&err, st);
        if (site->tower != CN_TOWER_IMAGE)
            return fail("%s is a site of the text tower: pictures have values at sites of the image tower", site->name);
        for (int64_t u = 0; u < site->units; u++) {
            char *objective = need_format("%s%s:%lld", w->a->negative ? "-" : "", sites[i], (long long)u);
            add_job(w, objective, 0, facet, false);
            free(objective);
        }
    }
    return EXIT_DONE;
}

char *see_objective(const char *operand, bool negative)
{
    const bool one_term = !strpbrk(operand, " +(") && *operand != '-'; /* stays a unit's name to studies and files */
    return need_format(!negative ? "%s" : one_term ? "-%s" : "-(%s)", operand);
}

/* Whether an expression can be read. It only names files, so what those hold is a setting of its own. */
static int check_objective(const struct work *w, const char *expression, uint32_t *sum)
{
    cn_error err = {0};
    cn_objective *objective;
    const cn_status st = cn_objective_parse(&objective, w->model, expression, (int)w->a->run.threads, &err);
    if (st != CN_OK)
        return fail_error(&err, st);
    *sum = cn_objective_files_sum(objective);
    cn_objective_free(objective);
    return EXIT_DONE;
}

/* That pictures can be written is tried before an hour of work, not behind it. */
static int check_output(const struct work *w)
{
    if (!w->one_file && mkdir(w->output, 0777) != 0 && errno != EEXIST)
        return fail("%s: cannot be made: %s", w->output, strerror(errno));
    char *path = w->one_file ? need_format("%s", w->output) : need_format("%s/seen.jsonl", w->output);
    const int there = open(path, O_WRONLY | O_APPEND | O_CLOEXEC), f = there >= 0 ? there : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    const int code = f >= 0 ? EXIT_DONE : fail("%s: cannot be written: %s", path, strerror(errno));
    if (f >= 0)
        close(f);
    if (there < 0 && f >= 0)
        unlink(path);
    free(path);
    return code;
}

/* All pictures to make; those of one facet stand together. */
static int list_jobs(struct work *w, const char *const *operands, size_t n)
{
    const struct see_arguments *a = w->a;
    const bool one_file = w->one_file;
    int code = EXIT_DONE;
    if (one_file && (a->all || n > 1 || w->o.images_each > 1 || w->n_facets > 1))
        return fail_usage("see", "-o must name a folder for several pictures, not '%s'", w->output);
    char **objectives = need(calloc(n, sizeof *objectives));
    uint32_t *files_sum = need(calloc(n, sizeof *files_sum));
    for (size_t i = 0; i < n && !a->all && code == EXIT_DONE; i++) {
        objectives[i] = see_objective(operands[i], a->negative);
        code = check_objective(w, objectives[i], &files_sum[i]);
    }
    if (code == EXIT_DONE)
        code = check_output(w);
    for (size_t k = 0; k < (w->n_facets ? w->n_facets : 1) && code == EXIT_DONE; k++) {
        const char *facet = w->n_facets ? w->facet[k] : NULL;
        if (a->all)
            code = list_units(w, operands, n, facet);
        for (size_t i = 0; i < n && !a->all; i++)
            add_job(w, objectives[i], files_sum[i], facet, one_file);
    }
    for (size_t i = 0; i < n; i++)
        free(objectives[i]);
    free(objectives);
    free(files_sum);
    return code;
}

/* ---- one batch ---- */

/* Makes what did not matter transparent: (side, side, 3) to (side, side, 4) in place. */
static int add_importance(cn_see *see, size_t index, uint8_t *pixels)
{
    const size_t area = (size_t)cn_see_size(see) * (size_t)cn_see_size(see);
    float *map = need(malloc(area * sizeof *map));
    cn_error err = {0};
    const cn_status st = cn_see_importance(see, index, map, &err);
    for (size_t k = area; k-- > 0 && st == CN_OK;) {
        memmove(pixels + 4 * k, pixels + 3 * k, 3);
        pixels[4 * k + 3] = (uint8_t)lrintf(255 * map[k]);
    }
    free(map);
    return st == CN_OK ? EXIT_DONE : fail_error(&err, st);
}

/* value NaN: not measured. */
static int save(const struct work *w, cn_see *see, size_t index, const struct job *job, const char *path, float value)
{
    const bool importance = w->o.importance && cn_see_channels(see) == 3;
    const int side = cn_see_size(see), channels = importance ? 4 : cn_see_channels(see);
    uint8_t *pixels = need(malloc((size_t)side * (size_t)side * (size_t)channels));
    char *settings = settings_of(w, job, cn_see_steps(see)), *objective = optimised(w, job), number[32];
    cn_error err = {0};
    snprintf(number, sizeof number, "%.9g", (double)value);
    const cn_png_text texts[] = {{"Software", "clipneuron"}, {"Title", job->objective}, {OBJECTIVE, objective}, {SETTINGS, settings}, {VALUE, number}};
    const size_t known = sizeof texts / sizeof *texts - (isnan(value) ? 1 : 0);
    cn_see_picture(see, index, pixels);
    int code = importance ? add_importance(see, index, pixels) : EXIT_DONE;
    if (code == EXIT_DONE) {
        const cn_status st = cn_png_write(path, pixels, side, side, channels, texts, known, &err);
        code = st == CN_OK ? EXIT_DONE : fail_error(&err, st);
    }
    free(settings);
    free(objective);
    free(pixels);
    return code;
}

static int save_frames(const struct work *w, cn_see *see, const struct job *const *jobs, size_t n)
{
    int code = EXIT_DONE;
    for (size_t i = 0; i < n && code == EXIT_DONE; i++) {
        char *path = frame_path(jobs[i], cn_see_steps(see));
        code = save(w, see, i, jobs[i], path, NAN);
        free(path);
    }
    return code;
}

/* What is known of a picture, as one line of JSON. seen NULL: not measured in a study. */
static void write_line(const struct work *w, const struct job *job, int64_t steps, float value, const struct seen *seen, const char *file, FILE *out)
{
    struct json j;
    char *settings = settings_of(w, job, steps), *objective = optimised(w, job);
    json_begin(&j, out);
    j.flat = 1;
    json_open(&j, NULL, '{');
    json_text(&j, "file", file);
    json_text(&j, "objective", objective);
    if (job->facet)
        json_text(&j, "facet", job->facet);
    json_int(&j, "picture", (int64_t)job->number);
    json_int(&j, "steps", steps);
    json_int(&j, "seed", (int64_t)w->o.seed);
    json_real(&j, "value", (double)value);
    if (seen) {
        json_real(&j, "activation", seen->value);
        json_real(&j, "sd", seen->sd);
        json_real(&j, "natural_sd", seen->natural_sd);
        json_real(&j, "path", seen->path);
    }
    json_text(&j, "settings", settings);
    json_close(&j, '}');
    json_end(&j);
    free(settings);
    free(objective);
}

/* FOLDER/seen.jsonl: a line for each picture; the last one of a file counts. */
static int keep_line(const struct work *w, const struct job *job, int64_t steps, float value, const struct seen *seen)
{
    const char *slash = strrchr(job->path, '/');
    char *path = need_format("%s/seen.jsonl", w->output);
    FILE *f = fopen(path, "ae");
    int code = f ? EXIT_DONE : fail("%s: cannot be written: %s", path, strerror(errno));
    if (f) {
        write_line(w, job, steps, value, seen, slash ? slash + 1 : job->path, f);
        const bool bad = ferror(f) != 0;
        if (fclose(f) != 0 || bad)
            code = fail("%s: cannot be written: %s", path, strerror(errno));
    }
    free(path);
    return code;
}

/* Measures a whole picture in its file and keeps it in the study. */
static int put_into_study(const struct work *w, const struct job *job, struct seen *seen)
{
    char *settings = settings_of(w, job, w->a->steps);
    const int code = seestudy_take(w->study, job->objective, job->facet, settings, job->path, w->o.importance, seen);
    free(settings);
    return code;
}

/* All that is left to do once a picture is in its file. */
static int finish(const struct work *w, const struct job *job, int64_t steps, float value)
{
    struct seen seen, *measured = NULL;
    int code = EXIT_DONE;
    if (goes_into_study(w, job) && steps == w->a->steps) {
        code = put_into_study(w, job, &seen);
        measured = &seen;
    }
    if (code == EXIT_DONE && !w->one_file)
        code = keep_line(w, job, steps, value, measured);
    if (code == EXIT_DONE && w->a->json)
        write_line(w, job, steps, value, measured, job->path, stdout);
    return code;
}

/* ---- animation ---- */

/* The course of one picture. */
struct frames {
    uint8_t **items;
    size_t count;
};

static void add_frame(struct frames *f, cn_see *see, size_t index)
{
    const size_t side = (size_t)cn_see_size(see);
    if ((f->count & (f->count - 1)) == 0)
        f->items = need(realloc(f->items, (f->count ? 2 * f->count : 1) * sizeof *f->items));
    f->items[f->count] = need(malloc(side * side * (size_t)cn_see_channels(see)));
    cn_see_picture(see, index, f->items[f->count++]);
}

static int save_animation(const cn_see *see, const struct frames *f, const struct job *job)
{
    cn_error err = {0};
    char *path = course_path(job);
    const cn_status st = cn_png_write_animation(path, (const uint8_t *const *)f->items, f->count, cn_see_size(see), cn_see_size(see),
                                                cn_see_channels(see), FRAME_MILLISECONDS, &err);
    free(path);
    return st == CN_OK ? EXIT_DONE : fail_error(&err, st);
}

static void free_frames(struct frames *f, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < f[i].count; k++)
            free(f[i].items[k]);
        free(f[i].items);
    }
    free(f);
}

static int take_frames(const struct work *w, cn_see *see, const struct job *const *jobs, size_t n, struct frames *frames)
{
    if (!w->a->animate)
        return save_frames(w, see, jobs, n);
    for (size_t i = 0; i < n; i++)
        add_frame(&frames[i], see, i);
    return EXIT_DONE;
}

/* A picture that is made already, but that the study does not have. */
static int finish_old(const struct work *w, const struct job *job)
{
    struct seen seen;
    if (!goes_into_study(w, job))
        return EXIT_DONE;
    char *settings = settings_of(w, job, w->a->steps);
    const bool kept = seestudy_keeps(w->study, job->objective, job->facet, settings);
    free(settings);
    if (kept)
        return EXIT_DONE;
    char *text = NULL;
    const float value = cn_png_read_text(&text, job->path, VALUE, NULL) == CN_OK && text ? strtof(text, NULL) : NAN;
    cn_bytes_free(text);
    int code = put_into_study(w, job, &seen);
    if (code == EXIT_DONE && !w->one_file)
        code = keep_line(w, job, w->a->steps, value, &seen);
    if (code == EXIT_DONE && w->a->json)
        write_line(w, job, w->a->steps, value, &seen, job->path, stdout);
    return code;
}

/* Steps of the picture that is in a file; 0 without one. */
static int64_t steps_of(const char *path)
{
    char *text = NULL;
    const char *steps = cn_png_read_text(&text, path, SETTINGS, NULL) == CN_OK && text ? strstr(text, " steps ") : NULL;
    const int64_t n = steps ? strtoll(steps + strlen(" steps "), NULL, 10) : 0;
    cn_bytes_free(text);
    return n;
}

/* The pictures of n jobs, which are all those of some objectives. Ctrl-C ends the ascent; what is there is saved. */
static int make_batch(struct work *w, const struct job *const *jobs, size_t n)
{
    const struct see_arguments *a = w->a;
    const size_t each = (size_t)w->o.images_each, total = w->jobs.count * (size_t)a->steps;
    char **objectives = need(calloc(n / each, sizeof *objectives));
    float *values = need(calloc(n, sizeof *values));
    struct frames *frames = need(calloc(n, sizeof *frames));
    cn_see *see = NULL;
    cn_error err = {0};
    for (size_t i = 0; i < n / each; i++)
        objectives[i] = optimised(w, jobs[i * each]);
    w->o.facets = jobs[0]->facet ? w->facets : NULL;
    w->o.facet = jobs[0]->facet;
    cn_status st = cn_see_open(&see, w->model, (const char *const *)objectives, n / each, &w->o, &err);
    int code = st == CN_OK ? EXIT_DONE : fail_error(&err, st);
    while (code == EXIT_DONE && cn_see_steps(see) < a->steps && !interrupted()) {
        st = cn_see_run(see, 1, &err);
        if (st != CN_OK)
            code = fail_error(&err, st);
        const int64_t step = st == CN_OK ? cn_see_steps(see) : 0;
        progress_set((int64_t)((w->kept + w->done) * (size_t)a->steps + n * (size_t)step), (int64_t)total, (int64_t)(w->kept * (size_t)a->steps));
        if (code == EXIT_DONE && a->every && step % a->every == 0 && step < a->steps)
            code = take_frames(w, see, jobs, n, frames);
    }
    const int64_t made = code == EXIT_DONE ? cn_see_steps(see) : 0;
    if (made) { /* nothing was done at all: nothing takes the place of what is there */
        st = cn_see_measure(see, values, &err);
        code = st == CN_OK ? EXIT_DONE : fail_error(&err, st);
    }
    for (size_t i = 0; i < n && code == EXIT_DONE && made; i++) {
        if (made < a->steps && steps_of(jobs[i]->path) > made) { /* what was made with more care stays */
            char *path = beside(jobs[i], "partial");
            code = save(w, see, i, jobs[i], path, values[i]);
            free(path);
            continue;
        }
        code = save(w, see, i, jobs[i], jobs[i]->path, values[i]);
        if (code == EXIT_DONE)
            code = finish(w, jobs[i], made, values[i]);
    }
    for (size_t i = 0; i < n && code == EXIT_DONE && made && a->animate; i++) {
        add_frame(&frames[i], see, i);
        code = save_animation(see, &frames[i], jobs[i]);
    }
    if (code == EXIT_DONE && interrupted()) {
        progress_end();
        note(a->quiet, "%zu pictures saved after %lld of %lld steps; the same command makes them again to the end", n,
             (long long)cn_see_steps(see), (long long)a->steps);
        code = EXIT_INTERRUPTED;
    }
    w->done += n;
    free_frames(frames, n);
    cn_see_close(see);
    for (size_t i = 0; i < n / each; i++)
        free(objectives[i]);
    free(objectives);
    free(values);
    return code;
}

static int write_sheets(const struct work *w)
{
    struct sheet_picture *pictures = need(calloc(w->jobs.count + 1, sizeof *pictures));
    for (size_t i = 0; i < w->jobs.count; i++)
        pictures[i] = (struct sheet_picture){w->jobs.items[i].path, w->jobs.items[i].objective, w->jobs.items[i].facet};
    const int code = seesheets_write(w->output, pictures, w->jobs.count, (int)w->a->sheets);
    free(pictures);
    return code;
}

static void note_unmeasured(const struct work *w)
{
    size_t n = 0;
    for (size_t i = 0; i < w->jobs.count; i++)
        n += !seestudy_has(w->study, w->jobs.items[i].objective);
    if (n)
        note(w->a->quiet, "%zu of %zu pictures are not of a single unit of a site of %s: made, but not measured there", n, w->jobs.count, w->a->study);
}

static int make_all(struct work *w)
{
    const size_t each = (size_t)w->o.images_each;
    const size_t batch = (w->a->run.batch ? (size_t)w->a->run.batch : 16) / each * each;
    const struct job **waiting = need(calloc(batch > each ? batch : each, sizeof *waiting));
    size_t n = 0;
    int code = EXIT_DONE;
    bool *made = need(calloc(w->jobs.count + 1, sizeof *made));
    for (size_t i = 0; i < w->jobs.count; i += each) { /* all pictures of an objective, or none */
        bool whole = true;
        for (size_t k = 0; k < each; k++)
            whole &= is_made(w, &w->jobs.items[i + k]);
        made[i] = whole;
        w->kept += whole ? each : 0;
        for (size_t k = 0; k < each && whole && code == EXIT_DONE; k++)
            code = finish_old(w, &w->jobs.items[i + k]);
    }
    if (w->study)
        note_unmeasured(w);
    progress_start("steps", (int64_t)(w->jobs.count * (size_t)w->a->steps), PROGRESS_ITEMS, w->a->quiet);
    for (size_t i = 0; i <= w->jobs.count && code == EXIT_DONE; i += each) {
        const bool end = i == w->jobs.count;
        /* pictures side by side have one facet */
        if (n && !end && !made[i] && w->jobs.items[i].facet != waiting[0]->facet) {
            code = make_batch(w, waiting, n);
            n = 0;
            if (code != EXIT_DONE)
                break;
        }
        if (!end && !made[i])
            for (size_t k = 0; k < each; k++)
                waiting[n++] = &w->jobs.items[i + k];
        if (n && (end || n + each > (batch > each ? batch : each))) {
            code = make_batch(w, waiting, n);
            n = 0;
        }
    }
    progress_end();
    if (code == EXIT_DONE && w->a->sheets)
        code = write_sheets(w);
    if (code == EXIT_DONE && w->kept)
        note(w->a->quiet, "%zu of %zu pictures were there already, made with the same settings", w->kept, w->jobs.count);
    free(made);
    free(waiting);
    return code;
}

/* ---- options ---- */

static int sum_file(const char *path, uint32_t *sum)
{
    uint8_t bytes[65536];
    size_t n;
    FILE *f = fopen(path, "rbe");
    if (!f)
        return fail("%s: %s", path, strerror(errno));
    *sum = NO_BYTES;
    while ((n = fread(bytes, 1, sizeof bytes, f)) > 0)
        *sum = sum_bytes(*sum, bytes, n);
    fclose(f);
    return EXIT_DONE;
}

/* Magnitudes of the pictures of --natural. */
static int read_natural(struct work *w)
{
    struct pictures pictures = {0};
    const int side = w->o.size ? w->o.size : cn_model_get_info(w->model)->resolution;
    const size_t size = 3 * (size_t)side * (size_t)side, count = 3 * (size_t)side * ((size_t)side / 2 + 1);
    cn_error err = {0};
    cn_status st = CN_OK;
    if (!w->a->natural.count)
        return EXIT_DONE;
    if (w->o.canvas != CN_CANVAS_PHASE)
        return fail_usage("see", "--natural goes with --canvas phase");
    int code = pictures_find(&pictures, &w->a->natural);
    if (code != EXIT_DONE)
        return code;
    uint8_t *rgb = need(malloc(size));
    float *picture = need(malloc(size * sizeof *picture)), *one = need(malloc(count * sizeof *one));
    w->magnitude = need(calloc(count, sizeof *w->magnitude));
    for (size_t i = 0; i < pictures.count && st == CN_OK && !interrupted(); i++) {
        cn_image *image = NULL;
        st = cn_image_load(&image, pictures.paths[i], NULL, &err);
        if (st == CN_OK)
            st = cn_image_preprocess(image, side, rgb, &err);
        for (size_t k = 0; k < size && st == CN_OK; k++) /* (y, x, c) to (c, y, x) */
            picture[k % 3 * (size / 3) + k / 3] = (float)rgb[k] / 255;
        if (st == CN_OK)
            st = cn_magnitudes(picture, 1, side, w->o.correlated, one, &err);
        for (size_t k = 0; k < count && st == CN_OK; k++)
            w->magnitude[k] += one[k] / (float)pictures.count;
        cn_image_free(image);
    }
    w->o.size = side;
    w->o.magnitude = w->magnitude;
    w->natural_sum = sum_bytes(NO_BYTES, w->magnitude, count * sizeof *w->magnitude);
    pictures_free(&pictures);
    free(rgb);
    free(picture);
    free(one);
    return st != CN_OK ? fail_error(&err, st) : interrupted() ? EXIT_INTERRUPTED : EXIT_DONE;
}

/* The facets that lie beside a model: MODEL.facets.npz for MODEL.safetensors. Owned by the caller; NULL after reporting. */
static char *facets_of(const char *name)
{
    char *model = model_find(name);
    if (!model)
        return NULL;
    const char *slash = strrchr(model, '/'), *dot = strrchr(model, '.');
    const size_t stem = dot && (!slash || dot > slash + 1) ? (size_t)(dot - model) : strlen(model);
    char *path = need_format("%.*s.facets.npz", (int)stem, model);
    struct stat info;
    if (stat(path, &info) != 0) {
        fail("no facets lie beside the model as %s: name a file with --facets; 'clipneuron facet train' makes one", path);
        free(path);
        path = NULL;
    }
    free(model);
    return path;
}

static int open_facets_file(struct work *w, const char *path)
{
    const struct see_arguments *a = w->a;
    cn_error err = {0};
    cn_status st = CN_OK;
    if (!a->facet.count)
        return fail_usage("see", "--facet NAME is missing; --facet all takes every one of the file");
    if (sum_file(path, &w->facets_sum) != EXIT_DONE)
        return EXIT_FAILED;
    st = cn_facets_open(&w->facets, path, w->model, &err);
    w->facet = need(calloc(CN_MAX_FACETS + a->facet.count, sizeof *w->facet));
    for (size_t i = 0; i < a->facet.count && st == CN_OK; i++) {
        size_t index;
        if (strcmp(a->facet.items[i], "all") == 0) {
            for (size_t k = 0; k < cn_facets_count(w->facets); k++)
                w->facet[w->n_facets++] = cn_facets_info(w->facets, k)->name;
            break;
        }
        st = cn_facets_find(w->facets, a->facet.items[i], &index, &err);
        if (st == CN_OK)
            w->facet[w->n_facets++] = cn_facets_info(w->facets, index)->name;
    }
    return st == CN_OK ? EXIT_DONE : fail_error(&err, st);
}

static int open_facets(struct work *w)
{
    const struct see_arguments *a = w->a;
    if (!a->facets && !a->facet.count)
        return a->strength ? fail_usage("see", "--strength goes with --facet NAME") : EXIT_DONE;
    char *path = a->facets ? need_format("%s", a->facets) : facets_of(a->model.model);
    if (!path)
        return EXIT_FAILED;
    const int code = open_facets_file(w, path);
    free(path);
    return code;
}

static int read_strength(struct work *w)
{
    const char *text = w->a->strength;
    char *end = NULL;
    if (!text)
        return EXIT_DONE;
    w->o.weakest = w->o.strongest = strtof(text, &end);
    if (end > text && *end == '-') {
        const char *second = end + 1;
        w->o.strongest = strtof(second, &end);
        end = end > second ? end : NULL;
    }
    if (!end || end == text || *end || !(w->o.weakest >= 0) || !(w->o.strongest > 0) || !(w->o.strongest <= 1000) || !(w->o.weakest <= 1000))
        return fail_usage("see", "--strength is a number, or a range such as 0.1-5, not '%s'", text);
    return EXIT_DONE;
}

/* How long and how much ReLUs leak. Defaults stay 0, also those that are said: that is how they stand in the settings of a picture. */
static int set_redirect(struct work *w)
{
    const struct see_arguments *a = w->a;
    const bool paper = a->preset == PRESET_PAPER; /* Lucid's override, as it was */
    const int64_t steps = a->redirect != UNSAID ? a->redirect : paper ? 16 : CN_SEE_REDIRECT_STEPS;
    float leak = paper ? 0 : CN_SEE_RELU_LEAK;
    const int code = options_number("see", "leak", a->leak, 0, 1, &leak);
    w->o.redirect_steps = steps == CN_SEE_REDIRECT_STEPS ? 0 : steps ? (int)steps : -1;
    w->o.relu_leak = leak == CN_SEE_RELU_LEAK ? 0 : leak > 0 ? leak : -1;
    return code;
}

static int set_options(struct work *w)
{
    const struct see_arguments *a = w->a;
    w->o = (cn_see_options){.images_each = (int)a->images, .starts = (int)a->starts, .size = (int)a->size,
                            .resolution = (int)a->resolution, .seed = (uint64_t)a->seed,
                            .canvas = (cn_canvas)a->canvas, .correlated = a->correlated, .alpha = a->alpha, .importance = a->importance, .transforms = a->transforms,
                            .activation_limit = (size_t)a->memory << 20,
                            .threads = (int)a->run.threads, .precision = precision_of(&a->run), .backend = (cn_backend)a->run.backend};
    int code = options_number("see", "rate", a->rate, 1e-6, 10, &w->o.rate);
    if (code == EXIT_DONE)
        code = options_number("see", "decay", a->decay, 0.01, 4, &w->o.decay);
    return code == EXIT_DONE ? set_redirect(w) : code;
}

int see_pictures(const cn_model *model, const struct see_arguments *a, const char *const *operands, size_t n)
{
    struct work all = {.a = a, .model = model}, *w = &all;
    cn_error err = {0};
    w->output = a->output ? need_format("%s", a->output) : need_format("%s/see", a->study);
    w->one_file = has_ending(w->output, ".png");
    int code = set_options(w);
    if (code == EXIT_DONE)
        code = read_strength(w);
    if (code == EXIT_DONE && a->sheets && w->one_file)
        code = fail_usage("see", "--sheets goes with a folder, not with '%s'", w->output);
    if (code == EXIT_DONE && a->study)
        code = seestudy_open(&w->study, model, a->study, (int)a->run.threads);
    if (code == EXIT_DONE) {
        const cn_status st = cn_model_fingerprint(model, w->fingerprint, &err);
        code = st == CN_OK ? EXIT_DONE : fail_error(&err, st);
    }
    if (code == EXIT_DONE)
        code = open_facets(w);
    if (code == EXIT_DONE)
        code = read_natural(w);
    if (code == EXIT_DONE)
        code = list_jobs(w, operands, n);
    if (code == EXIT_DONE)
        code = make_all(w);
    free_jobs(&w->jobs);
    seestudy_close(w->study);
    free(w->output);
    free(w->magnitude);
    free(w->facet);
    cn_facets_close(w->facets);
    return code;
}

