/* cli/cmd_attribute.c -- `clipneuron attribute`: which units, where, and which heads speak for a text. */
#include "commands.h"
#include "goals.h"
#include "grid.h"
#include "people.h"
#include "pictures.h"
#include "report.h"

#include <clipneuron/array.h>
#include <clipneuron/attribute.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct arguments {
    struct image_arguments image;
    cn_image_options reading;
    struct model_arguments model;
    struct words files;
    const char *text, *versus, *site, *study, *unit, *map, *output, *head_map;
    int baseline;
    int64_t steps, ablate, top, heads, threads;
    bool json, renormalise, quiet;
};

enum { BASELINE_ZERO, BASELINE_MEAN };
static const char *const baseline_choices[] = {"zero", "mean", NULL};

/* clang-format off */
static const struct option options[] = {
    MODEL_OPTIONS(struct arguments, model),
    {0, "text", OPTION_TEXT, offsetof(struct arguments, text), "TEXT", "Whose logit is taken apart. Required."},
    {0, "versus", OPTION_TEXT, offsetof(struct arguments, versus), "TEXT", "Take apart by how much the first text's logit is larger than this one's."},
    {'s', "site", OPTION_TEXT, offsetof(struct arguments, site), "SITE",
     "Whose units. Default: the sum before the last ReLU of a ResNet, the last MLP activation of a ViT."},
    {0, "study", OPTION_TEXT, offsetof(struct arguments, study), "STUDY", "Name units as this study does; also where --baseline mean has its means from."},
    {0, "baseline", OPTION_CHOICE, offsetof(struct arguments, baseline), "WHAT",
     "What a unit's absence is: zero, or mean: its mean over the study's pictures. Default: zero.", 0, 0, baseline_choices},
    {0, "renormalise", OPTION_FLAG, offsetof(struct arguments, renormalise), NULL,
     "Let the embedding's length follow, as the logit does, in place of holding it at the image's; complete for few sites and baselines."},
    {0, "steps", OPTION_COUNT, offsetof(struct arguments, steps), "N",
     "Gradients along the path. Default: as many as it takes to be complete within 0.5%, 16 to 1024.", 1, CN_MAX_ATTRIBUTION_STEPS},
    {0, "ablate", OPTION_COUNT, offsetof(struct arguments, ablate), "K", "Units whose contribution is measured exactly, by taking them away. Default: 16.",
     0, 65536},
    {'n', "top", OPTION_COUNT, offsetof(struct arguments, top), "N", "Units in the table. Default: those that were ablated.", 1, 65536},
    {0, "heads", OPTION_COUNT, offsetof(struct arguments, heads), "N", "Also the N strongest heads of the attention pool (ResNets). Default: 0.", 0, 65536},
    {0, "map", OPTION_TEXT, offsetof(struct arguments, map), "OUT.png", "Draw the contributions by position over the picture: red for, blue against."},
    {0, "unit", OPTION_TEXT, offsetof(struct arguments, unit), "N", "Draw this unit's contribution in place of all units'."},
    {0, "head-map", OPTION_TEXT, offsetof(struct arguments, head_map), "OUT.png", "Draw what the strongest head adds by position."},
    {'o', "output", OPTION_TEXT, offsetof(struct arguments, output), "OUT.npz",
     "Write all contributions: gradient and integrated, float32 (units, positions), and activation (units)."},
    {0, "json", OPTION_FLAG, offsetof(struct arguments, json), NULL, "Print JSON in place of the table."},
    IMAGE_OPTIONS(struct arguments, image),
    {'t', "threads", OPTION_COUNT, offsetof(struct arguments, threads), "N", "CPU threads. Default: all cores.", 1, 1024},
    {'q', "quiet", OPTION_FLAG, offsetof(struct arguments, quiet), NULL, "No notes."},
};

static const struct grid_column unit_columns[] = {
    {NULL, "unit", GRID_TEXT, 0},
    {"unit", NULL, GRID_INT, 0},
    {"name", "name", GRID_TEXT, 0},
    {"activation", "activation", GRID_REAL, 3},
    {"gradient", "gradient", GRID_REAL, 3},
    {"integrated", "integrated", GRID_REAL, 3},
    {"exact", "exact", GRID_REAL, 3},
    {"logit", "logit", GRID_REAL, 3},
    {"at", "strongest at", GRID_TEXT, 0},
};
static const struct grid_column head_columns[] = {
    {"head", "head", GRID_INT, 0},
    {"value", "adds", GRID_REAL, 3},
    {"rest", "of it bias", GRID_REAL, 3},
    {"at", "strongest at", GRID_TEXT, 0},
    {"units", "units", GRID_TEXT, 0},
};
/* clang-format on */

struct job {
    const struct arguments *a;
    cn_model *model;
    const cn_site *site;
    cn_study *study;
    size_t study_site;
    bool named; /* the study has the site */
    struct people people; /* of the units' names */
    uint8_t *rgb;
    float *pixels, *goal, *baseline;
    cn_attribution *result;
    cn_head_attribution *heads;
    char **kept; /* texts of the table */
    size_t n_kept;
};

static const char *keep(struct job *j, char *text)
{
    j->kept = need(realloc(j->kept, (j->n_kept + 1) * sizeof *j->kept));
    return j->kept[j->n_kept++] = text;
}

static const char *name_of(struct job *j, int64_t unit)
{
    const char *name = keep(j, goals_unit_name(j->study, j->study_site, unit));
    people_note(&j->people, name);
    return name;
}

static int read_picture(struct job *j, const char *path)
{
    const cn_model_info *info = cn_model_get_info(j->model);
    const size_t size = (size_t)info->resolution;
    cn_image *image = NULL;
    cn_error err = {0};
    j->rgb = need(calloc(size * size, 3));
    j->pixels = need(calloc(3 * size * size, sizeof *j->pixels));
    cn_status st = cn_image_load(&image, path, &j->a->reading, &err);
    if (st == CN_OK)
        st = cn_image_preprocess(image, info->resolution, j->rgb, &err);
    cn_image_free(image);
    if (st != CN_OK)
        return fail_error(&err, st);
    cn_pixels_normalise(j->rgb, 1, info->resolution, info->mean, info->std, j->pixels);
    return EXIT_DONE;
}

/* Logit scale times the first text, less the second. */
static int make_goal(struct job *j)
{
    const char *const texts[2] = {j->a->text, j->a->versus};
    const size_t width = (size_t)cn_model_get_info(j->model)->embedding;
    const int code = goals_embed(j->model, j->a->threads, texts, j->a->versus ? 2 : 1, &j->goal);
    for (size_t k = 0; k < width && code == EXIT_DONE; k++)
        j->goal[k] = cn_model_get_info(j->model)->logit_scale * (j->goal[k] - (j->a->versus ? j->goal[width + k] : 0));
    return code;
}

static int open_study(struct job *j)
{
    cn_error err = {0};
    cn_status st = cn_study_open(&j->study, j->a->study, &err);
    if (st == CN_OK)
        st = cn_study_check_model(j->study, j->model, &err);
    if (st != CN_OK)
        return fail_error(&err, st);
    j->named = goals_study_site(j->study, j->site, &j->study_site);
    if (!j->named)
        note(j->a->json || j->a->quiet, "clipneuron: the study has no %s: units stay without names", j->site->name);
    if (j->a->baseline == BASELINE_ZERO)
        return EXIT_DONE;
    if (!j->named)
        return fail("%s: has no %s, so no means of its units", j->a->study, j->site->name);
    const cn_reduce reduce = cn_study_get_info(j->study)->reduce;
    if (reduce != CN_REDUCE_MEAN)
        return fail("%s: a study with --reduce %s, and means over space are needed", j->a->study, cn_reduce_name(reduce));
    cn_unit_row *rows = NULL;
    size_t n = 0;
    j->baseline = need(calloc((size_t)j->site->units, sizeof *j->baseline));
    st = cn_study_units(j->study, j->study_site, CN_ORDER_UNIT, 0, &rows, &n, &err);
    for (size_t i = 0; i < n && st == CN_OK; i++)
        if (rows[i].ref.unit >= 0 && rows[i].ref.unit < j->site->units)
            j->baseline[rows[i].ref.unit] = (float)rows[i].mean;
    cn_unit_rows_free(rows);
    return st == CN_OK ? EXIT_DONE : fail_error(&err, st);
}

/* "3,4", "token 0" */
static char *place(const cn_attribution *r, const float *parts)
{
    int64_t best = 0;
    for (int64_t p = 1; p < r->positions; p++)
        if (fabsf(parts[p]) > fabsf(parts[best]))
            best = p;
    if (r->class_token && best == 0)
        return need_format("class token");
    best -= r->class_token;
    return r->positions == 1 ? need_format("%s", "") : need_format("%lld,%lld", (long long)(best / r->width), (long long)(best % r->width));
}

static int larger_first(const void *a, const void *b)
{
    const double x = fabs(((const double *)a)[0]), y = fabs(((const double *)b)[0]);
    return (x < y) - (x > y);
}

static void add_units(struct job *j, struct grid *g)
{
    const cn_attribution *r = j->result;
    double (*order)[2] = need(calloc((size_t)r->units, sizeof *order)); /* contribution, unit */
    const char *shown = strncmp(r->site->name, "visual.", 7) == 0 ? r->site->name + 7 : r->site->name;
    for (int64_t u = 0; u < r->units; u++) {
        for (int64_t p = 0; p < r->positions; p++)
            order[u][0] += r->integrated[u * r->positions + p];
        order[u][1] = (double)u;
    }
    qsort(order, (size_t)r->units, sizeof *order, larger_first);
    int64_t n = j->a->top ? j->a->top : r->n_ablations ? (int64_t)r->n_ablations : 16;
    n = n < r->units ? n : r->units;
    for (int64_t i = 0; i < n; i++) {
        const int64_t u = (int64_t)order[i][1];
        double gradient = 0;
        const cn_ablation *exact = NULL;
        for (int64_t p = 0; p < r->positions; p++)
            gradient += r->gradient[u * r->positions + p];
        for (size_t k = 0; k < r->n_ablations; k++)
            exact = r->ablation[k].unit == u ? &r->ablation[k] : exact;
        grid_text(g, keep(j, need_format("%s:%lld", shown, (long long)u)));
        grid_int(g, u);
        grid_text(g, j->named ? name_of(j, u) : "");
        grid_real(g, r->activation[u]);
        grid_real(g, gradient);
        grid_real(g, order[i][0]);
        for (int k = 0; k < 2; k++)
            if (exact)
                grid_real(g, k ? exact->logit : exact->exact);
            else
                grid_none(g);
        grid_text(g, keep(j, place(r, r->integrated + u * r->positions)));
    }
    free(order);
}

static int64_t strongest_head(const cn_head_attribution *h, const bool *taken)
{
    int64_t best = -1;
    for (int64_t i = 0; i < h->heads; i++)
        if (!(taken && taken[i]) && (best < 0 || fabs(h->head[i]) > fabs(h->head[best])))
            best = i;
    return best;
}

/* The three units of a head that add most. */
static char *head_units(struct job *j, const float *parts)
{
    int64_t best[3] = {-1, -1, -1};
    char *text = need_format("%s", "");
    for (int k = 0; k < 3; k++) {
        for (int64_t u = 0; u < j->heads->units; u++)
            if (u != best[0] && u != best[1] && (best[k] < 0 || fabsf(parts[u]) > fabsf(parts[best[k]])))
                best[k] = u;
        if (best[k] < 0)
            break;
        const char *name = j->named && j->site->units == j->heads->units ? name_of(j, best[k]) : "";
        char *longer = need_format("%s%s%lld %s%+.2f", text, k ? ", " : "", (long long)best[k], name[0] ? need_format("%s ", name) : "",
                                   (double)parts[best[k]]);
        free(text);
        text = longer;
    }
    return text;
}

static void add_heads(struct job *j, struct grid *g)
{
    const cn_head_attribution *h = j->heads;
    const int64_t cells = h->height * h->width;
    bool *taken = need(calloc((size_t)h->heads, sizeof *taken));
    for (int64_t i = 0; i < j->a->heads && i < h->heads; i++) {
        const int64_t head = strongest_head(h, taken);
        int64_t best = 0;
        taken[head] = true;
        for (int64_t c = 1; c < cells; c++)
            best = fabsf(h->map[head * cells + c]) > fabsf(h->map[head * cells + best]) ? c : best;
        grid_int(g, head);
        grid_real(g, h->head[head]);
        grid_real(g, h->rest[head]);
        grid_text(g, keep(j, need_format("%lld,%lld", (long long)(best / h->width), (long long)(best % h->width))));
        grid_text(g, keep(j, head_units(j, h->unit + head * h->units)));
    }
    free(taken);
}

static void print(struct job *j)
{
    const cn_attribution *r = j->result;
    struct grid units, heads;
    people_begin(&j->people, j->study);
    grid_begin(&units, unit_columns, CN_COUNT(unit_columns));
    grid_begin(&heads, head_columns, CN_COUNT(head_columns));
    add_units(j, &units);
    if (j->heads)
        add_heads(j, &heads);
    if (j->a->json) {
        struct json out;
        json_begin(&out, stdout);
        json_open(&out, NULL, '{');
        json_text(&out, "image", j->a->files.items[0]);
        json_text(&out, "text", j->a->text);
        json_text(&out, "versus", j->a->versus);
        json_text(&out, "site", r->site->name);
        json_text(&out, "baseline", baseline_choices[j->a->baseline]);
        json_real(&out, "value", r->value);
        json_real(&out, "baseline_value", r->baseline_value);
        json_real(&out, "sum", r->sum);
        json_real(&out, "error", r->error);
        json_int(&out, "steps", r->steps);
        grid_json(&units, &out, "units");
        if (j->heads) {
            json_real(&out, "head_bias", j->heads->bias);
            grid_json(&heads, &out, "heads");
        }
        if (j->study)
            people_json(&j->people, &out);
        json_close(&out, '}');
        json_end(&out);
    } else {
        printf("%s of ", j->a->versus ? "difference of logits" : "logit");
        print_safely(stdout, j->a->text);
        if (j->a->versus) {
            fputs(" and ", stdout);
            print_safely(stdout, j->a->versus);
        }
        printf(": %.3f; %.3f with %s at %s; units add up to %.3f, %.2f%% off (%d steps)\n\n", r->value, r->baseline_value, r->site->name,
               baseline_choices[j->a->baseline], r->sum, 100 * r->error, r->steps);
        grid_print(&units, stdout);
        if (j->heads && grid_rows(&heads)) {
            printf("\nheads of the attention pool add up to %.3f with a bias of %.3f; the strongest:\n\n", j->heads->value, j->heads->bias);
            grid_print(&heads, stdout);
        }
        people_print(&j->people);
    }
    grid_free(&units);
    grid_free(&heads);
}

static cn_status write_all(const struct job *j, cn_error *err)
{
    const cn_attribution *r = j->result;
    const int64_t shape[2] = {r->units, r->positions};
    cn_npz_writer *w = NULL;
    cn_status st = cn_npz_writer_open(&w, j->a->output, err);
    if (st == CN_OK)
        st = cn_npz_writer_add(w, "integrated", CN_DTYPE_F32, 2, shape, r->integrated, err);
    if (st == CN_OK)
        st = cn_npz_writer_add(w, "gradient", CN_DTYPE_F32, 2, shape, r->gradient, err);
    if (st == CN_OK)
        st = cn_npz_writer_add(w, "activation", CN_DTYPE_F32, 1, shape, r->activation, err);
    if (st == CN_OK)
        return cn_npz_writer_finish(w, err);
    cn_npz_writer_discard(w);
    return st;
}

static int write_files(const struct job *j, int64_t unit)
{
    const cn_attribution *r = j->result;
    const int side = cn_model_get_info(j->model)->resolution;
    cn_error err = {0};
    cn_status st = CN_OK;
    float *map = need(calloc((size_t)(r->height * r->width), sizeof *map));
    cn_attribution_map(r, unit, map);
    if (j->a->map)
        st = cn_heatmap_write(j->a->map, j->rgb, side, map, r->height, r->width, &err);
    free(map);
    if (st == CN_OK && j->a->head_map)
        st = cn_heatmap_write(j->a->head_map, j->rgb, side, j->heads->map + strongest_head(j->heads, NULL) * j->heads->height * j->heads->width,
                              j->heads->height, j->heads->width, &err);
    if (st == CN_OK && j->a->output)
        st = write_all(j, &err);
    return st == CN_OK ? EXIT_DONE : fail_error(&err, st);
}

static int attribute(struct job *j)
{
    const struct arguments *a = j->a;
    cn_error err = {0};
    cn_status st = CN_OK;
    int64_t unit = -1;
    int code = model_open(&a->model, &j->model);
    if (code != EXIT_DONE)
        return code;
    j->site = cn_model_default_site(j->model);
    if (!j->site)
        return fail("%s: has no image tower", cn_weights_path(cn_model_weights(j->model)));
    if (a->site)
        st = cn_model_find_site(j->model, a->site, &j->site, &err);
    if (st != CN_OK)
        return fail_error(&err, st);
    if (a->unit) {
        char *end;
        unit = strtoll(a->unit, &end, 10);
        if (end == a->unit || *end || unit < 0 || unit >= j->site->units)
            return fail("--unit is 0 to %lld at %s, not '%s'", (long long)j->site->units - 1, j->site->name, a->unit);
    }
    code = read_picture(j, a->files.items[0]);
    if (code == EXIT_DONE && a->study)
        code = open_study(j);
    if (code == EXIT_DONE)
        code = make_goal(j);
    if (code != EXIT_DONE)
        return code;
    const cn_attribution_options o = {.site = j->site, .baseline = j->baseline, .steps = (int)a->steps, .ablate = a->ablate ? (int)a->ablate : -1,
                                      .threads = (int)a->threads, .renormalise = a->renormalise};
    st = cn_attribution_compute(&j->result, j->model, j->pixels, j->goal, &o, &err);
    if (st == CN_OK && (a->heads || a->head_map))
        st = cn_attribution_heads(&j->heads, j->model, j->pixels, j->goal, (int)a->threads, &err);
    if (st != CN_OK)
        return fail_error(&err, st);
    if (j->result->error > CN_ATTRIBUTION_TOLERANCE)
        note(a->quiet, "clipneuron: integrated gradients are %.1f%% off; more --steps would bring them closer", 100 * j->result->error);
    code = write_files(j, unit);
    if (code == EXIT_DONE)
        print(j);
    return code;
}

static int run(int argc, char **argv)
{
    struct arguments a = {.ablate = 16};
    int code = options_begin(&command_attribute, argc, argv, &a);
    if (code >= 0)
        return code;
    struct job j = {.a = &a};
    if (a.files.count != 1)
        code = fail_usage("attribute", "name one image");
    else if (!a.text)
        code = fail_usage("attribute", "--text TEXT is missing");
    else if (!*a.text)
        code = fail_usage("attribute", "--text is empty");
    else if (a.versus && !*a.versus)
        code = fail_usage("attribute", "--versus is empty");
    else if (a.baseline == BASELINE_MEAN && !a.study)
        code = fail_usage("attribute", "--baseline mean needs --study STUDY, whose means are meant");
    else if (a.unit && !a.map)
        code = fail_usage("attribute", "--unit says what --map draws, and there is no --map");
    else if (a.output && wrong_ending(a.output, ".npz"))
        code = fail_usage("attribute", "the output must end in .npz, not '%s'", a.output);
    else
        code = image_options("attribute", &a.image, &a.reading);
    if (code == EXIT_DONE)
        code = attribute(&j);
    cn_attribution_free(j.result);
    cn_head_attribution_free(j.heads);
    cn_study_close(j.study);
    cn_model_close(j.model);
    free(j.rgb);
    free(j.pixels);
    free(j.goal);
    free(j.baseline);
    for (size_t i = 0; i < j.n_kept; i++)
        free(j.kept[i]);
    free(j.kept);
    options_free(&command_attribute, &a);
    return code;
}

const struct command command_attribute = {
    .name = "attribute",
    .summary = "what units, positions and heads add to an image's logit for a text",
    .synopsis = "attribute [--model M] IMAGE --text TEXT [--versus TEXT] [--site S] [--study STUDY] [--map OUT.png] [--json]",
    .description = "Takes the logit of a text for one image apart (with --versus: the difference of two texts' logits) by the units of a site. "
                   "For each unit it prints the activation (mean over space) and, summed over positions:\n\n"
                   "  gradient    gradient times activation: first order\n"
                   "  integrated  integrated gradients from the baseline to the image: all units\n"
                   "              together add up to what the site is worth, within 1%\n"
                   "  exact       by how much the logit falls when this unit alone goes to its\n"
                   "              baseline at every position\n"
                   "  logit       the same when the embedding is brought to length 1 again\n\n"
                   "The embedding's length is held at that of the image but for the last column: a cosine does not change when all units shrink "
                   "together, so its parts do not add up. "
                   "Where integrated and exact disagree, units stand in for each other or work together; the exact number is the one about cause. "
                   "At a site that a residual connection passes by, what passes by stays.\n\n"
                   "--heads tells apart what each head of a ResNet's attention pool adds, with the attention as it is for this image: "
                   "where it looks and which units it reads. Heads and the bias add up to the logit exactly.",
    .examples = "Why a cat is a cat:\n\n"
                "$ clipneuron attribute cat.png --text \"a cat\"\n\n"
                "Rather than a rocket, with heads and maps:\n\n"
                "$ clipneuron attribute cat.png --text cat --versus rocket --heads 4 --map where.png --head-map head.png\n\n"
                "With a study's names, taking units to their means:\n\n"
                "$ clipneuron scan --show 0 photos -o study\n"
                "$ clipneuron attribute cat.png --text cat --study study --baseline mean --top 5 --json",
    .options = options,
    .n_options = CN_COUNT(options),
    .operand = "IMAGE",
    .operands_offset = offsetof(struct arguments, files),
    .run = run,
};
