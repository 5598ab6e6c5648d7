/* cli/cmd_activations.c -- `clipneuron activations`: images (or texts) times units, at any sites. */
#include "columns.h"
#include "commands.h"
#include "edits.h"
#include "images.h"
#include "json.h"
#include "outfile.h"
#include "report.h"
#include "texts.h"

#include <assert.h>
#include <clipneuron/array.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct arguments {
    struct edit_arguments edit;
    cn_edits *edits; /* what edit comes to */
    struct image_arguments image;
    cn_image_options reading; /* what image comes to */
    struct model_arguments model;
    struct run_arguments run;
    struct words sites, units, texts, files;
    const char *output;
    int reduce;
    bool truncate, skip_bad, json, quiet;
};

static const char *const reduce_choices[] = {"none", "mean", "max", "argmax", NULL};

/* clang-format off */
static const struct option options[] = {
    MODEL_OPTIONS(struct arguments, model),
    {'s', "site", OPTION_WORDS, offsetof(struct arguments, sites), "SITE",
     "Where to read: a module path of the original code (visual.layer4.5.add) or an alias (layer4); "
     "'clipneuron info --sites' lists them. SITE:UNIT is like --unit. May be repeated; several sites need .npz "
     "or .csv. Default: the sum "
     "before the last ReLU of a ResNet, the last MLP activation of a ViT."},
    {'u', "unit", OPTION_WORDS, offsetof(struct arguments, units), "SITE:UNIT",
     "Only this unit of the site; may be repeated, and the order is kept."},
    {'r', "reduce", OPTION_CHOICE, offsetof(struct arguments, reduce), "HOW",
     "none: the full map; mean, max: over space; argmax: the position of the maximum. Default: mean.", 0, 0,
     reduce_choices},
    {0, "text", OPTION_GREEDY, offsetof(struct arguments, texts), "TEXT...",
     "Texts, up to the next option, for sites of the text tower; may be repeated."},
    {'o', "output", OPTION_TEXT, offsetof(struct arguments, output), "FILE",
     "OUT.npy, OUT.npz or OUT.csv; - prints CSV. Required."},
    {0, "json", OPTION_FLAG, offsetof(struct arguments, json), NULL,
     "When done, print JSON that says what is in the file: for each site its arrays, shape and units."},
    {0, "truncate", OPTION_FLAG, offsetof(struct arguments, truncate), NULL,
     "Cut texts that are too long for the model; otherwise they are an error."},
    EDIT_OPTIONS(struct arguments, edit),
    IMAGE_OPTIONS(struct arguments, image),
    {0, "skip-bad", OPTION_FLAG, offsetof(struct arguments, skip_bad), NULL,
     "Name images that cannot be read on stderr and give them rows of NaN (position -1; no lines in CSV), where "
     "otherwise nothing is written."},
    RUN_OPTIONS(struct arguments, run),
    {'q', "quiet", OPTION_FLAG, offsetof(struct arguments, quiet), NULL, "No progress and no notes."},
};
/* clang-format on */

typedef enum format { FORMAT_NPY, FORMAT_NPZ, FORMAT_CSV } format;

struct job {
    const struct arguments *a;
    reduce how;
    format format;
    struct columns columns;
    size_t inputs[2]; /* images, texts */
    size_t bad;
    const struct pictures *pictures;
    cn_npy_writer *npy;
    cn_npz_writer *npz;
    struct outfile csv;
};

static int check_towers(struct job *job)
{
    const char *of_tower[2] = {NULL, NULL};
    for (size_t i = 0; i < job->columns.count; i++)
        of_tower[job->columns.items[i].selection.site->tower] = job->columns.items[i].name;
    if (of_tower[CN_TOWER_TEXT] && !job->inputs[CN_TOWER_TEXT])
        return fail_usage("activations", "%s is a site of the text tower: name texts with --text",
                          of_tower[CN_TOWER_TEXT]);
    if (of_tower[CN_TOWER_IMAGE] && !job->inputs[CN_TOWER_IMAGE])
        return fail_usage("activations", "%s is a site of the image tower: name images",
                          of_tower[CN_TOWER_IMAGE]);
    if (!of_tower[CN_TOWER_TEXT] && job->inputs[CN_TOWER_TEXT])
        return fail_usage("activations", "--text needs a site of the text tower, e.g. --site transformer");
    if (!of_tower[CN_TOWER_IMAGE] && job->inputs[CN_TOWER_IMAGE])
        return fail_usage("activations", "images need a site of the image tower");
    if (job->columns.count > 1 && job->format == FORMAT_NPY)
        return fail_usage("activations", "%zu sites need -o OUT.npz or OUT.csv", job->columns.count);
    return EXIT_DONE;
}

/* Dimensions of a column's array: inputs first. */
static int column_shape(const struct job *job, const struct column *c, reduce how, int64_t shape[4])
{
    shape[0] = (int64_t)job->inputs[c->selection.site->tower];
    return 1 + selection_shape(&c->selection, how, shape + 1);
}

static bool wants_where(const struct job *job)
{
    return job->how == REDUCE_ARGMAX || (job->how == REDUCE_MAX && job->format != FORMAT_NPY);
}

static int make_room(struct job *job, struct column *c, size_t batch)
{
    int64_t shape[4];
    int ndim = column_shape(job, c, job->how == REDUCE_ARGMAX ? REDUCE_MAX : job->how, shape);
    c->item_values = 1;
    for (int i = 1; i < ndim; i++)
        c->item_values *= (size_t)shape[i];
    c->item_where = 2 * selection_count(&c->selection);
    size_t held = job->format == FORMAT_NPZ ? (size_t)shape[0] : batch;
    if (job->how != REDUCE_ARGMAX || job->format == FORMAT_CSV)
        c->values = calloc(held, c->item_values * sizeof *c->values);
    if (wants_where(job))
        c->where = calloc(held, c->item_where * sizeof *c->where);
    if ((wants_where(job) && !c->where) || (!c->values && job->how != REDUCE_ARGMAX))
        return fail("out of memory for %zu rows of %s%s", held, c->name,
                    job->format == FORMAT_NPZ ? "; a .npy is written as they come" : "");
    return EXIT_DONE;
}

/* The lines of one input at one site: input,site,unit,y,x,value */
static void csv_lines(struct job *job, const struct column *c, const char *input, const float *values,
                      const int32_t *where)
{
    FILE *out = job->csv.stream;
    const cn_site *site = c->selection.site;
    size_t count = selection_count(&c->selection);
    size_t positions = job->how == REDUCE_NONE ? (size_t)site->positions : 1;
    assert(values && (where || job->how == REDUCE_NONE || job->how == REDUCE_MEAN));
    for (size_t k = 0; k < count; k++) {
        for (size_t p = 0; p < positions; p++) {
            csv_field(out, input);
            fputc(',', out);
            csv_field(out, c->name);
            fprintf(out, ",%lld,", (long long)(c->selection.n_units ? c->units[k] : (int64_t)k));
            size_t at = site->layout == CN_SITE_TOKENS ? p * count + k : k * positions + p;
            if (job->how == REDUCE_MEAN)
                fprintf(out, ",,%.9g\n", (double)values[k]);
            else if (job->how == REDUCE_NONE)
                fprintf(out, "%zu,%zu,%.9g\n", site->layout == CN_SITE_MAP ? p / (size_t)site->width : p,
                        site->layout == CN_SITE_MAP ? p % (size_t)site->width : 0, (double)values[at]);
            else
                fprintf(out, "%d,%d,%.9g\n", where[2 * k], where[2 * k + 1], (double)values[k]);
        }
    }
}

/* Reduces one batch of one tower and passes it on. used: NULL for images. */
static int take(struct job *job, cn_runner *runner, cn_tower tower, size_t first, size_t n, const bool *good,
                const size_t *used)
{
    size_t number = 0; /* of the site in the runner */
    for (size_t i = 0; i < job->columns.count; i++) {
        struct column *c = &job->columns.items[i];
        const cn_site *site = c->selection.site;
        if (site->tower != tower)
            continue;
        const float *data = cn_runner_site(runner, number++);
        for (size_t k = 0; k < n; k++) {
            size_t row = job->format == FORMAT_NPZ ? first + k : k;
            float *values = c->values ? c->values + row * c->item_values : NULL;
            int32_t *where = c->where ? c->where + row * c->item_where : NULL;
            bool bad = good && !good[k];
            if (!bad)
                reduce_item(&c->selection, job->how, data + k * (size_t)(site->units * site->positions),
                            used ? (int64_t)used[k] : site->positions, values, where);
            for (size_t v = 0; bad && values && v < c->item_values; v++)
                values[v] = NAN;
            for (size_t v = 0; bad && where && v < c->item_where; v++)
                where[v] = -1;
            if (job->format == FORMAT_CSV && !bad)
                csv_lines(job, c, used ? job->a->texts.items[first + k] : job->pictures->paths[first + k],
                          values, where);
        }
        if (job->format == FORMAT_NPY) {
            cn_error err = {0};
            const void *rows = job->how == REDUCE_ARGMAX ? (const void *)c->where : (const void *)c->values;
            cn_status st = cn_npy_writer_rows(job->npy, rows, (int64_t)n, &err);
            if (st != CN_OK)
                return fail_error(&err, st);
        }
    }
    if (job->format == FORMAT_CSV && ferror(job->csv.stream))
        return job->csv.path ? fail("%s: cannot be written: %s", job->csv.path, strerror(errno)) : EXIT_DONE;
    return EXIT_DONE;
}

static int take_images(cn_runner *runner, const struct picture_batch *batch, void *user)
{
    return take(user, runner, CN_TOWER_IMAGE, batch->first, batch->n, batch->good, NULL);
}

static int take_texts(cn_runner *runner, const struct text_batch *batch, void *user)
{
    return take(user, runner, CN_TOWER_TEXT, batch->first, batch->n, NULL, batch->used);
}

static int run_tower(struct job *job, const cn_model *model, cn_tower tower)
{
    const struct arguments *a = job->a;
    if (!job->inputs[tower])
        return EXIT_DONE;
    cn_runner_options o =
        runner_options(&a->run, tower, tower == CN_TOWER_IMAGE ? 8 : 32, (int64_t)job->inputs[tower]);
    const cn_site **sites = need(calloc(job->columns.count, sizeof *sites));
    int code = EXIT_DONE;
    for (size_t i = 0; i < job->columns.count && code == EXIT_DONE; i++) {
        if (job->columns.items[i].selection.site->tower != tower)
            continue;
        sites[o.n_sites++] = job->columns.items[i].selection.site;
        code = make_room(job, &job->columns.items[i], (size_t)o.batch);
    }
    o.sites = sites;
    if (tower == CN_TOWER_IMAGE)
        edits_apply(a->edits, &o);
    if (code != EXIT_DONE)
        ; /* reported */
    else if (tower == CN_TOWER_IMAGE)
        code = images_run(model, o, job->pictures, (struct reading){a->skip_bad, a->reading, a->quiet},
                          take_images, job, &job->bad);
    else
        code = texts_run(model, o, a->texts.items, a->texts.count, a->truncate, a->quiet, take_texts, job);
    free(sites);
    return code;
}

static int open_output(struct job *job)
{
    cn_error err = {0};
    cn_status st = CN_OK;
    if (job->format == FORMAT_NPY) {
        int64_t shape[4];
        int ndim = column_shape(job, &job->columns.items[0], job->how, shape);
        st = cn_npy_writer_open(&job->npy, job->a->output,
                                job->how == REDUCE_ARGMAX ? CN_DTYPE_I32 : CN_DTYPE_F32, ndim, shape, &err);
    } else if (job->format == FORMAT_NPZ) {
        st = cn_npz_writer_open(&job->npz, job->a->output, &err);
    } else {
        int code = outfile_open(&job->csv, job->a->output);
        if (code == EXIT_DONE)
            fputs("input,site,unit,y,x,value\n", job->csv.stream);
        return code;
    }
    return st == CN_OK ? EXIT_DONE : fail_error(&err, st);
}

/* The name that a column's array has in a .npz; owned by the caller. */
static char *array_name(const struct job *job, const struct column *c, bool where)
{
    if (where)
        return need_format("%s.position", c->name);
    return job->how == REDUCE_NONE ? need_format("%s", c->name)
                                   : need_format("%s.%s", c->name, reduce_choices[job->how]);
}

static int write_npz(struct job *job)
{
    cn_error err = {0};
    cn_status st = CN_OK;
    for (size_t i = 0; i < job->columns.count && st == CN_OK; i++) {
        struct column *c = &job->columns.items[i];
        int64_t shape[4];
        for (int where = 0; where < 2 && st == CN_OK; where++) {
            if (where ? !c->where : !c->values)
                continue;
            char *name = array_name(job, c, where);
            int ndim = column_shape(job, c, where ? REDUCE_ARGMAX : job->how, shape);
            st = cn_npz_writer_add(job->npz, name, where ? CN_DTYPE_I32 : CN_DTYPE_F32, ndim, shape,
                                   where ? (const void *)c->where : (const void *)c->values, &err);
            free(name);
        }
    }
    return st == CN_OK ? EXIT_DONE : fail_error(&err, st);
}

static int close_output(struct job *job, int code)
{
    cn_error err = {0};
    cn_status st = CN_OK;
    if (code == EXIT_DONE && job->format == FORMAT_NPZ)
        code = write_npz(job);
    if (code != EXIT_DONE) {
        cn_npy_writer_discard(job->npy);
        cn_npz_writer_discard(job->npz);
        outfile_discard(&job->csv);
        return code;
    }
    if (job->format == FORMAT_CSV)
        return outfile_commit(&job->csv);
    st = job->format == FORMAT_NPY ? cn_npy_writer_finish(job->npy, &err)
                                   : cn_npz_writer_finish(job->npz, &err);
    return st == CN_OK ? EXIT_DONE : fail_error(&err, st);
}

static void json_array(struct json *j, const struct job *job, const struct column *c, bool where)
{
    int64_t shape[4];
    int ndim = column_shape(job, c, where ? REDUCE_ARGMAX : job->how, shape);
    char *name = array_name(job, c, where);
    j->flat = j->depth + 1;
    json_open(j, NULL, '{');
    json_text(j, "name", job->format == FORMAT_NPZ ? name : NULL);
    json_text(j, "dtype", where ? "int32" : "float32");
    json_open(j, "shape", '[');
    for (int i = 0; i < ndim; i++)
        json_int(j, NULL, shape[i]);
    json_close(j, ']');
    json_close(j, '}');
    free(name);
}

static void print_summary(const struct job *job)
{
    struct json j;
    json_begin(&j, stdout);
    json_open(&j, NULL, '{');
    json_text(&j, "output", job->a->output);
    json_text(&j, "reduce", reduce_choices[job->how]);
    json_int(&j, "images", (int64_t)job->inputs[CN_TOWER_IMAGE]);
    json_int(&j, "bad_images", (int64_t)job->bad);
    json_int(&j, "texts", (int64_t)job->inputs[CN_TOWER_TEXT]);
    json_open(&j, "sites", '[');
    for (size_t i = 0; i < job->columns.count; i++) {
        const struct column *c = &job->columns.items[i];
        json_open(&j, NULL, '{');
        json_text(&j, "name", c->name);
        json_text(&j, "site", c->selection.site->name);
        json_int(&j, "units", c->selection.site->units);
        if (c->selection.n_units) {
            j.flat = j.depth + 1;
            json_open(&j, "selected", '[');
            for (size_t k = 0; k < c->selection.n_units; k++)
                json_int(&j, NULL, c->units[k]);
            json_close(&j, ']');
        }
        if (job->format != FORMAT_CSV) {
            json_open(&j, "arrays", '[');
            if (c->values)
                json_array(&j, job, c, false);
            if (c->where)
                json_array(&j, job, c, true);
            json_close(&j, ']');
        }
        json_close(&j, '}');
    }
    json_close(&j, ']');
    json_close(&j, '}');
    json_end(&j);
}

static int find_format(const char *output, format *out)
{
    if (!output)
        return fail_usage("activations", "-o FILE is missing");
    *out = FORMAT_NPY;
    if (has_ending(output, ".npz"))
        *out = FORMAT_NPZ;
    else if (has_ending(output, ".csv") || strcmp(output, "-") == 0)
        *out = FORMAT_CSV;
    else if (wrong_ending(output, ".npy"))
        return fail_usage("activations", "the output must end in .npy, .npz or .csv, not '%s'", output);
    return EXIT_DONE;
}

static int run(int argc, char **argv)
{
    struct arguments a = {.reduce = REDUCE_MEAN};
    int code = options_begin(&command_activations, argc, argv, &a);
    if (code >= 0)
        return code;
    struct pictures pictures = {0};
    struct job job = {.a = &a, .how = (reduce)a.reduce, .pictures = &pictures};
    cn_model *model = NULL;
    code = find_format(a.output, &job.format);
    if (code == EXIT_DONE && !a.files.count && !a.texts.count)
        code = fail_usage("activations", "no image named");
    if (code == EXIT_DONE && a.json && strcmp(a.output, "-") == 0)
        code = fail_usage("activations", "--json and -o - would both go to standard output");
    if (code == EXIT_DONE)
        code = image_options("activations", &a.image, &a.reading);
    if (code == EXIT_DONE)
        code = pictures_find(&pictures, &a.files);
    job.inputs[CN_TOWER_IMAGE] = pictures.count;
    job.inputs[CN_TOWER_TEXT] = a.texts.count;
    if (code == EXIT_DONE)
        code = model_open(&a.model, &model);
    if (code == EXIT_DONE)
        code = columns_find(&job.columns, model, &a.sites, &a.units);
    if (code == EXIT_DONE)
        code = edits_open(&a.edit, model, &a.edits);
    if (code == EXIT_DONE)
        code = check_towers(&job);
    if (code == EXIT_DONE) {
        code = open_output(&job);
        if (code == EXIT_DONE)
            code = run_tower(&job, model, CN_TOWER_IMAGE);
        if (code == EXIT_DONE)
            code = run_tower(&job, model, CN_TOWER_TEXT);
        code = close_output(&job, code);
    }
    if (code == EXIT_DONE && a.json)
        print_summary(&job);
    columns_free(&job.columns);
    cn_edits_free(a.edits);
    cn_model_close(model);
    pictures_free(&pictures);
    options_free(&command_activations, &a);
    return code;
}

const struct command command_activations = {
    .name = "activations",
    .summary = "values of units on images at any sites: numpy or CSV",
    .synopsis = "activations [--model M] [--site S] [--reduce none|mean|max|argmax] FILE... -o OUT.npy\n"
                "activations [--model M] --site S --site S2... [--unit S:U...] FILE... -o OUT.npz\n"
                "activations [--model M] --site S FILE... -o OUT.csv\n"
                "activations [--model M] --site S --text TEXT... -o OUT.npy",
    .description = "Reads any sites in one pass; nothing deeper than the deepest site is computed. Arrays "
                   "are float32 with "
                   "the images (or texts) first:\n\n"
                   "  mean, max  (n, units)\n"
                   "  argmax     (n, units, 2) int32: row and column of the maximum on the\n"
                   "             site's grid; for tokens their number and 0\n"
                   "  none       (n, C, H, W) for maps, (n, L, D) for tokens, (n, D) for vectors\n\n"
                   "A .npz has, for each SITE as it was written, SITE.mean for mean, SITE.max and "
                   "SITE.position for max, "
                   "SITE.position for argmax, and SITE for full maps. CSV has a line for every input and "
                   "unit: input, site, unit, y, x, "
                   "value, with y and x empty for means.\n\n"
                   "The mean and maximum of tokens are over all tokens of an image, class token included, "
                   "and over the tokens of "
                   "a text up to its end mark.\n\n" IMAGES_HELP
                   "\n\nOutput appears when it is complete; a failure leaves nothing behind.",
    .examples =
        "The mean of every unit at the default site:\n\n"
        "$ clipneuron activations photos -o units.npy\n\n"
        "The maximum and its position at two sites:\n\n"
        "$ clipneuron activations --site layer3 --site layer4 --reduce max photos -o units.npz\n\n"
        "Two units as a table:\n\n"
        "$ clipneuron activations --unit layer4:7 --unit layer4:12 --reduce max cat.png rocket.jpg -o -\n\n"
        "The whole map of a stage:\n\n"
        "$ clipneuron activations --site layer3 --reduce none cat.png -o map.npy\n\n"
        "What a layer of the text tower makes of two prompts:\n\n"
        "$ clipneuron activations --site transformer.resblocks.1 --text \"a cat\" \"a dog\" -o text.npy",
    .options = options,
    .n_options = CN_COUNT(options),
    .operand = "FILE...",
    .operands_offset = offsetof(struct arguments, files),
    .run = run,
};
