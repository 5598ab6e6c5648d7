/* cli/cmd_see.c -- `clipneuron see`: pictures of what units, directions and texts look for. Work that is done, with the same
 * settings, is not done again, so a run over a whole layer can be interrupted and continued. */
#include "commands.h"
#include "interrupt.h"
#include "json.h"
#include "models.h"
#include "progress.h"
#include "report.h"

#include <clipneuron/image.h>
#include <clipneuron/see.h>
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SETTINGS "clipneuron-settings" /* keywords of the texts in a PNG */
#define OBJECTIVE "clipneuron-objective"
#define VALUE "clipneuron-value"

struct arguments {
    struct model_arguments model;
    struct run_arguments run;
    struct words operands;
    const char *output, *rate, *decay, *transforms, *facets, *strength;
    struct words facet;
    int64_t steps, size, resolution, images, seed, every;
    int canvas;
    bool all, negative, alpha, correlated, json, quiet;
};

static const char *const canvas_choices[] = {"fourier", "pixels", "phase", NULL};

/* clang-format off */
static const struct option options[] = {
    MODEL_OPTIONS(struct arguments, model),
    {'o', "output", OPTION_TEXT, offsetof(struct arguments, output), "OUT",
     "OUT.png for one picture; else a folder, which gets a PNG for each picture. Required."},
    {'a', "all", OPTION_FLAG, offsetof(struct arguments, all), NULL, "Operands are sites: every unit of each."},
    {0, "negative", OPTION_FLAG, offsetof(struct arguments, negative), NULL, "What inhibits: every objective with a minus in front."},
    {'n', "steps", OPTION_COUNT, offsetof(struct arguments, steps), "N", "Steps of the ascent. Default: 512.", 1, 1000000},
    {0, "rate", OPTION_TEXT, offsetof(struct arguments, rate), "X", "Rate of Adam. Default: 0.05."},
    {0, "size", OPTION_COUNT, offsetof(struct arguments, size), "PX",
     "Side of the pictures. Default: the model's resolution.", 2, CN_MAX_SEE_SIZE},
    {0, "resolution", OPTION_COUNT, offsetof(struct arguments, resolution), "PX",
     "What the network sees of them: the whole picture at this size. Default: the model's.", 1, 8192},
    {'i', "images", OPTION_COUNT, offsetof(struct arguments, images), "N",
     "Pictures for each objective. With a diversity term they are pushed apart; otherwise only their starts differ. Default: 1.", 1, 256},
    {'s', "seed", OPTION_COUNT, offsetof(struct arguments, seed), "N", "Of all that is random. Default: 0.", 0, INT64_MAX},
    {0, "canvas", OPTION_CHOICE, offsetof(struct arguments, canvas), "KIND",
     "What is optimised. fourier: frequencies, scaled alike; pixels; phase: phases with the magnitudes of natural pictures, for "
     "models whose pictures are noise otherwise (ViTs). Default: fourier.", 0, 0, canvas_choices},
    {0, "decay", OPTION_TEXT, offsetof(struct arguments, decay), "X", "fourier: frequencies are scaled by 1/f^X. Default: 1."},
    {0, "correlated", OPTION_FLAG, offsetof(struct arguments, correlated), NULL, "Leave colours as they are, not decorrelated."},
    {0, "alpha", OPTION_FLAG, offsetof(struct arguments, alpha), NULL, "Let what does not matter become transparent."},
    {0, "transforms", OPTION_TEXT, offsetof(struct arguments, transforms), "SET",
     "How the picture is moved in every step: standard, paper, crops, none, or a list such as \"jitter 8, scale 0.9-1.1, rotate "
     "-5-5, crop 50-100, noise 0.02\". Default: standard; crops for phase."},
    {'F', "facets", OPTION_TEXT, offsetof(struct arguments, facets), "FILE", "Facets of this model, from 'clipneuron facet train'."},
    {'f', "facet", OPTION_WORDS, offsetof(struct arguments, facet), "NAME",
     "Draw what of the objective belongs to this facet; may be repeated: pictures for each. 'all': every one of the file."},
    {0, "strength", OPTION_TEXT, offsetof(struct arguments, strength), "A-B",
     "Strength of the facet; with several --images it runs from A to B over them. Default: 1; 0.1-5 for several."},
    {0, "every", OPTION_COUNT, offsetof(struct arguments, every), "N", "Also save each picture every N steps, as NAME.STEP.png.", 1, 1000000},
    {0, "json", OPTION_FLAG, offsetof(struct arguments, json), NULL, "Print a JSON line for each picture."},
    RUN_OPTIONS(struct arguments, run),
    {'q', "quiet", OPTION_FLAG, offsetof(struct arguments, quiet), NULL, "No progress and no notes."},
};
/* clang-format on */

/* One picture to make. */
struct job {
    char *objective, *path;
    const char *facet; /* borrowed; NULL: plain */
    size_t number; /* of the picture among those for its objective */
};

struct jobs {
    struct job *items;
    size_t count;
};

struct work {
    const struct arguments *a;
    const cn_model *model;
    cn_see_options o;
    cn_facets *facets;
    const char **facet;  /* names of those wanted, borrowed */
    size_t n_facets;
    char fingerprint[65];
    struct jobs jobs;
    size_t done, kept; /* made now; there already */
};

/* ---- settings ---- */

static int read_number(const char *name, const char *text, double least, double most, float *out)
{
    char *end = NULL;
    if (!text)
        return EXIT_DONE;
    const double x = strtod(text, &end);
    if (end == text || *end || !(x >= least && x <= most))
        return fail_usage("see", "--%s is a number from %g to %g, not '%s'", name, least, most, text);
    *out = (float)x;
    return EXIT_DONE;
}

/* All that decides what a picture looks like, apart from rounding. Owned by the caller. */
static char *settings_of(const struct work *w, const struct job *job, int64_t steps)
{
    const cn_see_options *o = &w->o;
    static const char *const canvases[] = {"fourier", "pixels", "phase"};
    return need_format("1 model %s objective %s picture %zu of %d steps %lld rate %.9g size %d resolution %d seed %llu canvas %s decay %.9g "
                       "colours %s alpha %d transforms %s facet %s strength %.9g to %.9g precision %s",
                       w->fingerprint, job->objective, job->number, o->images_each, (long long)steps, (double)o->rate, o->size,
                       o->resolution, (unsigned long long)o->seed, canvases[o->canvas], (double)o->decay,
                       o->correlated ? "correlated" : "decorrelated", o->alpha, o->transforms ? o->transforms : "default",
                       job->facet ? job->facet : "none", (double)o->weakest, (double)o->strongest,
                       o->precision == CN_PRECISION_BF16 ? "bf16" : "fp32");
}

static bool is_made(const struct work *w, const struct job *job)
{
    char *text = NULL, *wanted = settings_of(w, job, w->a->steps);
    const bool same = cn_png_read_text(&text, job->path, SETTINGS, NULL) == CN_OK && text && !strcmp(text, wanted);
    cn_bytes_free(text);
    free(wanted);
    return same;
}

/* ---- jobs ---- */

/* "layer4:89 - 2*l2" -> "layer4_89_-_2_l2", at most as long as file systems like; owned by the caller. */
static char *file_name(const char *objective)
{
    char name[128];
    size_t n = 0;
    uint32_t sum = 2166136261u;
    for (const char *c = objective; *c; c++) {
        const bool plain = isalnum((unsigned char)*c) || *c == '.' || *c == '-';
        sum = (sum ^ (unsigned char)*c) * 16777619u;
        if (n < 90 && (plain || n == 0 || name[n - 1] != '_'))
            name[n++] = plain ? *c : '_';
    }
    while (n > 1 && name[n - 1] == '_')
        n--;
    name[n] = 0;
    return strlen(objective) > 90 ? need_format("%s-%08x", name, sum) : need_format("%s", name);
}

static void add_job(struct work *w, const char *objective, const char *facet, bool one_file)
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
            one_file    ? need_format("%s", w->a->output)
            : each == 1 ? need_format("%s/%s.png", w->a->output, name)
                        : need_format("%s/%s.%zu.png", w->a->output, name, i),
            facet,
            i,
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
            add_job(w, objective, facet, false);
            free(objective);
        }
    }
    return EXIT_DONE;
}

/* All pictures to make; those of one facet stand together. */
static int list_jobs(struct work *w, const char *const *operands, size_t n)
{
    const struct arguments *a = w->a;
    const bool one_file = has_ending(a->output, ".png");
    int code = EXIT_DONE;
    if (one_file && (a->all || n > 1 || w->o.images_each > 1 || w->n_facets > 1))
        return fail_usage("see", "-o must name a folder for several pictures, not '%s'", a->output);
    if (!one_file && mkdir(a->output, 0777) != 0 && errno != EEXIST)
        return fail("%s: cannot be made: %s", a->output, strerror(errno));
    for (size_t k = 0; k < (w->n_facets ? w->n_facets : 1) && code == EXIT_DONE; k++) {
        const char *facet = w->n_facets ? w->facet[k] : NULL;
        if (a->all)
            code = list_units(w, operands, n, facet);
        for (size_t i = 0; i < n && !a->all; i++) {
            char *objective = need_format("%s%s", a->negative ? "-" : "", operands[i]);
            add_job(w, objective, facet, one_file);
            free(objective);
        }
    }
    return code;
}

/* ---- one batch ---- */

static int save(const struct work *w, cn_see *see, size_t index, const struct job *job, const char *path, float value)
{
    const int side = cn_see_size(see), channels = cn_see_channels(see);
    uint8_t *pixels = need(malloc((size_t)side * (size_t)side * (size_t)channels));
    char *settings = settings_of(w, job, cn_see_steps(see)), number[32];
    cn_error err = {0};
    snprintf(number, sizeof number, "%.9g", (double)value);
    const cn_png_text texts[] = {{"Software", "clipneuron"}, {"Title", job->objective}, {OBJECTIVE, job->objective}, {VALUE, number}, {SETTINGS, settings}};
    cn_see_picture(see, index, pixels);
    const cn_status st = cn_png_write(path, pixels, side, side, channels, texts, CN_COUNT(texts), &err);
    free(settings);
    free(pixels);
    return st == CN_OK ? EXIT_DONE : fail_error(&err, st);
}

static int save_frames(const struct work *w, cn_see *see, const struct job *const *jobs, size_t n)
{
    int code = EXIT_DONE;
    for (size_t i = 0; i < n && code == EXIT_DONE; i++) {
        const int stem = (int)strlen(jobs[i]->path) - 4; /* without .png */
        char *path = need_format("%.*s.%06lld.png", stem, jobs[i]->path, (long long)cn_see_steps(see));
        code = save(w, see, i, jobs[i], path, cn_see_value(see, i));
        free(path);
    }
    return code;
}

static void print_result(const struct work *w, const struct job *job, const cn_see *see, float value)
{
    struct json j;
    if (!w->a->json)
        return;
    json_begin(&j, stdout);
    j.flat = 1;
    json_open(&j, NULL, '{');
    json_text(&j, "file", job->path);
    json_text(&j, "objective", job->objective);
    if (job->facet)
        json_text(&j, "facet", job->facet);
    json_int(&j, "picture", (int64_t)job->number);
    json_int(&j, "steps", cn_see_steps(see));
    json_real(&j, "value", (double)value);
    json_close(&j, '}');
    json_end(&j);
}

/* The pictures of n jobs, which are all those of some objectives. Ctrl-C ends the ascent; what is there is saved. */
static int make_batch(struct work *w, const struct job *const *jobs, size_t n)
{
    const struct arguments *a = w->a;
    const size_t each = (size_t)w->o.images_each, total = w->jobs.count * (size_t)a->steps;
    const char **objectives = need(calloc(n / each, sizeof *objectives));
    float *values = need(calloc(n, sizeof *values));
    cn_see *see = NULL;
    cn_error err = {0};
    for (size_t i = 0; i < n / each; i++)
        objectives[i] = jobs[i * each]->objective;
    w->o.facets = jobs[0]->facet ? w->facets : NULL;
    w->o.facet = jobs[0]->facet;
    cn_status st = cn_see_open(&see, w->model, objectives, n / each, &w->o, &err);
    int code = st == CN_OK ? EXIT_DONE : fail_error(&err, st);
    while (code == EXIT_DONE && cn_see_steps(see) < a->steps && !interrupted()) {
        st = cn_see_run(see, 1, &err);
        if (st != CN_OK)
            code = fail_error(&err, st);
        const int64_t made = st == CN_OK ? cn_see_steps(see) : 0;
        progress_set((int64_t)((w->kept + w->done) * (size_t)a->steps + n * (size_t)made), (int64_t)total, (int64_t)(w->kept * (size_t)a->steps));
        if (code == EXIT_DONE && a->every && made % a->every == 0 && made < a->steps)
            code = save_frames(w, see, jobs, n);
    }
    if (code == EXIT_DONE) {
        st = cn_see_measure(see, values, &err);
        code = st == CN_OK ? EXIT_DONE : fail_error(&err, st);
    }
    for (size_t i = 0; i < n && code == EXIT_DONE; i++) {
        code = save(w, see, i, jobs[i], jobs[i]->path, values[i]);
        if (code == EXIT_DONE)
            print_result(w, jobs[i], see, values[i]);
    }
    if (code == EXIT_DONE && interrupted()) {
        progress_end();
        note(a->quiet, "%zu pictures saved after %lld of %lld steps; the same command makes them again to the end", n,
             (long long)cn_see_steps(see), (long long)a->steps);
        code = EXIT_INTERRUPTED;
    }
    w->done += n;
    cn_see_close(see);
    free(objectives);
    free(values);
    return code;
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
    }
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
    if (code == EXIT_DONE && w->kept)
        note(w->a->quiet, "%zu of %zu pictures were there already, made with the same settings", w->kept, w->jobs.count);
    free(made);
    free(waiting);
    return code;
}

/* ---- the command ---- */

static int open_facets(struct work *w)
{
    const struct arguments *a = w->a;
    cn_error err = {0};
    cn_status st = CN_OK;
    if (!a->facets)
        return a->facet.count || a->strength ? fail_usage("see", "--facets FILE is missing") : EXIT_DONE;
    if (!a->facet.count)
        return fail_usage("see", "--facet NAME is missing; --facet all takes every one of the file");
    st = cn_facets_open(&w->facets, a->facets, w->model, &err);
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

static int set_options(struct work *w)
{
    const struct arguments *a = w->a;
    w->o = (cn_see_options){.images_each = (int)a->images, .size = (int)a->size, .resolution = (int)a->resolution, .seed = (uint64_t)a->seed,
                            .canvas = (cn_canvas)a->canvas, .correlated = a->correlated, .alpha = a->alpha, .transforms = a->transforms,
                            .threads = (int)a->run.threads, .precision = precision_of(&a->run), .backend = (cn_backend)a->run.backend};
    int code = read_number("rate", a->rate, 1e-6, 10, &w->o.rate);
    return code == EXIT_DONE ? read_number("decay", a->decay, 0.01, 4, &w->o.decay) : code;
}

static int run(int argc, char **argv)
{
    struct arguments a = {.steps = 512, .images = 1};
    int code = options_begin(&command_see, argc, argv, &a);
    if (code >= 0)
        return code;
    struct work w = {.a = &a};
    cn_model *model = NULL;
    cn_error err = {0};
    size_t begin = 0;
    code = EXIT_DONE;
    /* see MODEL OBJECTIVE... : a first operand that is no objective, before others that may be */
    if (a.operands.count > 1 && !a.model.model && !strchr(a.operands.items[0], ':')) {
        a.model.model = a.operands.items[0];
        begin = 1;
    }
    if (!a.operands.count)
        code = fail_usage("see", a.all ? "name a site, such as layer4" : "name what to see, such as layer4:89");
    else if (!a.output)
        code = fail_usage("see", "-o OUT is missing");
    if (code == EXIT_DONE)
        code = set_options(&w);
    if (code == EXIT_DONE)
        code = model_open(&a.model, &model);
    w.model = model;
    if (code == EXIT_DONE) {
        const cn_status st = cn_model_fingerprint(model, w.fingerprint, &err);
        code = st == CN_OK ? EXIT_DONE : fail_error(&err, st);
    }
    if (code == EXIT_DONE)
        code = read_strength(&w);
    if (code == EXIT_DONE)
        code = open_facets(&w);
    if (code == EXIT_DONE)
        code = list_jobs(&w, a.operands.items + begin, a.operands.count - begin);
    if (code == EXIT_DONE)
        code = make_all(&w);
    free_jobs(&w.jobs);
    free(w.facet);
    cn_facets_close(w.facets);
    cn_model_close(model);
    options_free(&command_see, &a);
    return code;
}

const struct command command_see = {
    .name = "see",
    .summary = "pictures of what units, directions and texts look for",
    .synopsis = "see [MODEL] OBJECTIVE... -o OUT\n"
                "see [MODEL] SITE... --all -o FOLDER",
    .description = "Draws pictures that drive an objective as high as possible, by gradient ascent (feature visualisation): in every step "
                   "the picture is moved about a little, the network says how to change it, and its parameters take a step. Each PNG carries "
                   "its objective, its settings and the value that it reaches, measured in fp32 without moving it.\n\n"
                   "'clipneuron help gradient' says what objectives are. A picture that is there with the same settings is not made again.\n\n"
                   "Such pictures show what drives a unit, not what it does on real pictures: look at 'clipneuron card' first.",
    .examples = "One unit of the default model:\n\n"
                "$ clipneuron see layer4:38 --steps 32 -o unit.png\n\n"
                "Two objectives, and the course of the ascent:\n\n"
                "$ clipneuron see \"layer4:38 + layer4:66\" 'text:\"a red heart\"' --steps 20 --every 10 -o pictures",
    .options = options,
    .n_options = CN_COUNT(options),
    .operand = "OBJECTIVE...",
    .operands_offset = offsetof(struct arguments, operands),
    .run = run,
};
