/* cli/cmd_facet.c -- `clipneuron facet`: trains facets from folders of pictures, and lists those of a file. */
#include "commands.h"
#include "interrupt.h"
#include "json.h"
#include "images.h"
#include "models.h"
#include "outfile.h"
#include "progress.h"
#include "report.h"

#include <clipneuron/facet.h>
#include <stdlib.h>
#include <string.h>

struct arguments {
    struct model_arguments model;
    struct run_arguments run;
    struct words operands, facets, generic, sites, media;
    const char *output, *l2;
    bool json, quiet;
};

/* clang-format off */
static const struct option options[] = {
    MODEL_OPTIONS(struct arguments, model),
    {'f', "facet", OPTION_WORDS, offsetof(struct arguments, facets), "NAME=IMAGES",
     "train: a facet and its pictures, a folder, a file or @LIST; may be repeated, also with the same name."},
    {'g', "generic", OPTION_WORDS, offsetof(struct arguments, generic), "IMAGES",
     "train: pictures of all kinds, from which every facet is told apart; may be repeated. Default: those of the other facets."},
    {'s', "site", OPTION_WORDS, offsetof(struct arguments, sites), "SITE",
     "train: where; may be repeated. Default: every second block of a ResNet's third stage, of a ViT's middle third."},
    {0, "l2", OPTION_TEXT, offsetof(struct arguments, l2), "X", "train: weight of the squared length of the weights. Default: 0.01."},
    {'o', "output", OPTION_TEXT, offsetof(struct arguments, output), "FILE", "train: OUT.npz, required. score --media: a labels file."},
    {0, "media", OPTION_GREEDY, offsetof(struct arguments, media), "NAME...",
     "score: in place of scores, which of these facets each picture is most of, as a labels file (path,medium) for 'scan --labels'. Paths are those "
     "within IMAGES, where that is one folder."},
    {0, "json", OPTION_FLAG, offsetof(struct arguments, json), NULL, "Print JSON."},
    RUN_OPTIONS(struct arguments, run),
    {'q', "quiet", OPTION_FLAG, offsetof(struct arguments, quiet), NULL, "No progress and no notes."},
};
/* clang-format on */

/* Pictures under one name. */
struct group {
    char *name;
    struct words arguments;
    struct pictures pictures;
};

struct groups {
    struct group *items;
    size_t count;
};

static struct group *group_of(struct groups *g, const char *name, size_t length)
{
    for (size_t i = 0; i < g->count; i++)
        if (strlen(g->items[i].name) == length && !memcmp(g->items[i].name, name, length))
            return &g->items[i];
    g->items = need(realloc(g->items, (g->count + 1) * sizeof *g->items));
    g->items[g->count] = (struct group){.name = need_format("%.*s", (int)length, name)};
    return &g->items[g->count++];
}

static void free_groups(struct groups *g)
{
    for (size_t i = 0; i < g->count; i++) {
        free(g->items[i].name);
        words_free(&g->items[i].arguments);
        pictures_free(&g->items[i].pictures);
    }
    free(g->items);
}

static int find_pictures(const struct arguments *a, struct groups *facets, struct group *generic)
{
    int code = EXIT_DONE;
    for (size_t i = 0; i < a->facets.count; i++) {
        const char *text = a->facets.items[i], *equals = strchr(text, '=');
        if (!equals || equals == text || !equals[1])
            return fail_usage("facet", "--facet is NAME=IMAGES, such as --facet face=photos/faces, not '%s'", text);
        words_add(&group_of(facets, text, (size_t)(equals - text))->arguments, equals + 1);
    }
    for (size_t i = 0; i < facets->count && code == EXIT_DONE; i++)
        code = pictures_find(&facets->items[i].pictures, &facets->items[i].arguments);
    if (code == EXIT_DONE && a->generic.count)
        code = pictures_find(&generic->pictures, &a->generic);
    return code;
}

static bool show(void *user, size_t done, size_t total)
{
    (void)user;
    progress_set((int64_t)done, (int64_t)total, 0);
    return !interrupted();
}

static int print_facets(const struct arguments *a, const char *path, const cn_model *model)
{
    cn_facets *f = NULL;
    cn_error err = {0};
    const cn_status st = cn_facets_open(&f, path, model, &err);
    if (st != CN_OK)
        return fail_error(&err, st);
    struct json j;
    if (a->json) {
        json_begin(&j, stdout);
        json_open(&j, NULL, '{');
        json_text(&j, "file", path);
        json_open(&j, "facets", '[');
    } else {
        printf("%-20s %9s %9s  accuracy on held-out pictures at\n%-20s %9s %9s ", "facet", "pictures", "generic", "", "", "");
        for (size_t s = 0; s < cn_facets_site_count(f); s++)
            printf(" %s", cn_facets_site(f, s)->name);
        puts("");
    }
    for (size_t i = 0; i < cn_facets_count(f); i++) {
        const cn_facet_info *info = cn_facets_info(f, i);
        if (a->json) {
            json_open(&j, NULL, '{');
            json_text(&j, "name", info->name);
            json_int(&j, "pictures", info->pictures);
            json_int(&j, "generic", info->generic);
            json_open(&j, "accuracy", '{');
            for (size_t s = 0; s < cn_facets_site_count(f); s++)
                json_real(&j, cn_facets_site(f, s)->name, (double)info->accuracy[s]);
            json_close(&j, '}');
            json_close(&j, '}');
            continue;
        }
        printf("%-20s %9lld %9lld ", info->name, (long long)info->pictures, (long long)info->generic);
        for (size_t s = 0; s < cn_facets_site_count(f); s++)
            printf(" %*.1f%%", (int)strlen(cn_facets_site(f, s)->name) - 1, 100 * (double)info->accuracy[s]);
        puts("");
    }
    if (a->json) {
        json_close(&j, ']');
        json_close(&j, '}');
        json_end(&j);
    }
    cn_facets_close(f);
    return EXIT_DONE;
}

/* ---- score ---- */

struct scoring {
    const struct arguments *a;
    const struct pictures *pictures;
    const cn_facets *facets;
    float *share; /* (batch, facets) */
    struct json json;
    size_t *media; /* facets to choose from, n_media of them; 0: print scores */
    size_t n_media;
    FILE *out; /* of the labels file */
};

/* path,medium: the facet with the largest share. */
static void write_medium(const struct scoring *s, const char *path, const float *share)
{
    size_t best = s->media[0];
    for (size_t k = 1; k < s->n_media; k++)
        best = share[s->media[k]] > share[best] ? s->media[k] : best;
    const char *folder = s->a->operands.items[2];
    const size_t length = strlen(folder);
    if (s->a->operands.count == 3 && strncmp(path, folder, length) == 0 && (path[length] == '/' || (length && folder[length - 1] == '/')))
        path += length + strspn(path + length, "/"); /* as a scan of the folder has it */
    csv_field(s->out, path);
    fputc(',', s->out);
    csv_field(s->out, cn_facets_info(s->facets, best)->name);
    fputs("\r\n", s->out);
}

static int print_scores(cn_runner *runner, const struct picture_batch *batch, void *user)
{
    struct scoring *s = user;
    const size_t n = cn_facets_count(s->facets);
    cn_error err = {0};
    const cn_status st = cn_facets_score(s->facets, runner, (int64_t)batch->n, s->share, &err);
    if (st != CN_OK)
        return fail_error(&err, st);
    for (size_t i = 0; i < batch->n; i++) {
        const char *path = s->pictures->paths[batch->first + i];
        if (!batch->good[i])
            continue;
        if (s->n_media) {
            write_medium(s, path, s->share + i * n);
            continue;
        }
        if (s->a->json) {
            s->json.flat = s->json.depth + 1;
            json_open(&s->json, NULL, '{');
            json_text(&s->json, "picture", path);
            for (size_t k = 0; k < n; k++)
                json_real(&s->json, cn_facets_info(s->facets, k)->name, (double)s->share[i * n + k]);
            json_close(&s->json, '}');
            continue;
        }
        print_safely(stdout, path);
        for (size_t k = 0; k < n; k++)
            printf("\t%.4f", (double)s->share[i * n + k]);
        putchar('\n');
    }
    return EXIT_DONE;
}

static int score_pictures(struct scoring *s, const cn_model *model)
{
    const cn_site *sites[CN_MAX_FACET_SITES];
    cn_runner_options o = runner_options(&s->a->run, CN_TOWER_IMAGE, 16, (int64_t)s->pictures->count);
    for (o.n_sites = 0; o.n_sites < cn_facets_site_count(s->facets); o.n_sites++)
        sites[o.n_sites] = cn_facets_site(s->facets, o.n_sites);
    o.sites = sites;
    s->share = need(calloc((size_t)o.batch, cn_facets_count(s->facets) * sizeof *s->share));
    if (s->n_media) {
        fputs("path,medium\r\n", s->out);
    } else if (s->a->json) {
        json_begin(&s->json, stdout);
        json_open(&s->json, NULL, '[');
    } else {
        printf("picture");
        for (size_t k = 0; k < cn_facets_count(s->facets); k++)
            printf("\t%s", cn_facets_info(s->facets, k)->name);
        putchar('\n');
    }
    size_t bad = 0;
    int code = images_run(model, o, s->pictures, (struct reading){.skip_bad = true, .quiet = s->a->quiet}, print_scores, s, &bad);
    if (!s->n_media && s->a->json && code == EXIT_DONE) {
        json_close(&s->json, ']');
        json_end(&s->json);
    }
    if (code == EXIT_DONE && bad == s->pictures->count)
        code = fail("none of %zu pictures could be read", bad);
    free(s->share);
    return code;
}

/* facet score FILE IMAGES...: a table, tabs between columns, or JSON. */
static int score(const struct arguments *a, const cn_model *model)
{
    struct pictures pictures = {0};
    const struct words images = {a->operands.items + 2, a->operands.count - 2, false};
    cn_facets *f = NULL;
    cn_error err = {0};
    int code = pictures_find(&pictures, &images);
    if (code == EXIT_DONE) {
        const cn_status st = cn_facets_open(&f, a->operands.items[1], model, &err);
        code = st == CN_OK ? EXIT_DONE : fail_error(&err, st);
    }
    struct scoring s = {.a = a, .pictures = &pictures, .facets = f, .media = need(calloc(a->media.count + 1, sizeof *s.media))};
    for (size_t i = 0; i < a->media.count && code == EXIT_DONE; i++) {
        const cn_status st = cn_facets_find(f, a->media.items[i], &s.media[s.n_media++], &err);
        code = st == CN_OK ? EXIT_DONE : fail_error(&err, st);
    }
    if (code == EXIT_DONE && !s.n_media) {
        code = score_pictures(&s, model);
    } else if (code == EXIT_DONE) {
        struct outfile out;
        code = outfile_open(&out, a->output);
        if (code == EXIT_DONE) {
            s.out = out.stream;
            code = score_pictures(&s, model);
            if (code == EXIT_DONE)
                code = outfile_commit(&out);
            else
                outfile_discard(&out);
        }
    }
    free(s.media);
    cn_facets_close(f);
    pictures_free(&pictures);
    return code;
}

/* ---- train ---- */

static int train(const struct arguments *a, const cn_model *model)
{
    struct groups facets = {0};
    struct group generic = {0};
    cn_facet_pictures *examples = NULL;
    size_t unreadable = 0;
    int code = find_pictures(a, &facets, &generic);
    cn_facet_options o = {.sites = a->sites.items, .n_sites = a->sites.count, .threads = (int)a->run.threads, .batch = (int)a->run.batch,
                          .precision = precision_of(&a->run), .go_on = show};
    if (code == EXIT_DONE && a->l2) {
        char *end;
        o.l2 = strtod(a->l2, &end);
        if (end == a->l2 || *end || !(o.l2 > 0 && o.l2 <= 1e6))
            code = fail_usage("facet", "--l2 is a number above 0, not '%s'", a->l2);
    }
    if (code == EXIT_DONE) {
        examples = need(calloc(facets.count + 1, sizeof *examples));
        for (size_t i = 0; i < facets.count; i++) {
            const struct pictures *p = &facets.items[i].pictures;
            examples[i] = (cn_facet_pictures){facets.items[i].name, (const char *const *)p->paths, p->count};
        }
        cn_error err = {0};
        progress_start("pictures", -1, PROGRESS_ITEMS, a->quiet);
        const cn_status st = cn_facets_train(a->output, model, examples, facets.count,
                                             (const char *const *)generic.pictures.paths, generic.pictures.count, &o, &unreadable,
                                             &err);
        progress_end();
        code = st == CN_OK ? EXIT_DONE : fail_error(&err, st);
    }
    if (code == EXIT_DONE && unreadable)
        note(a->quiet, "%zu pictures could not be read and were left out", unreadable);
    if (code == EXIT_DONE)
        code = print_facets(a, a->output, model);
    free(examples);
    free_groups(&facets);
    pictures_free(&generic.pictures);
    return code;
}

static int run(int argc, char **argv)
{
    struct arguments a = {0};
    int code = options_begin(&command_facet, argc, argv, &a);
    if (code >= 0)
        return code;
    cn_model *model = NULL;
    const char *verb = a.operands.count ? a.operands.items[0] : "";
    const bool training = strcmp(verb, "train") == 0, listing = strcmp(verb, "list") == 0, scoring = strcmp(verb, "score") == 0;
    code = EXIT_DONE;
    if (!training && !listing && !scoring)
        code = fail_usage("facet", "say 'facet train', 'facet list FILE' or 'facet score FILE IMAGES'");
    else if (scoring && a.operands.count < 3)
        code = fail_usage("facet", "'facet score' takes a file of facets and images");
    else if (training && a.operands.count > 1)
        code = fail_usage("facet", "'%s': pictures are named by --facet NAME=IMAGES and --generic IMAGES", a.operands.items[1]);
    else if (training && !a.facets.count)
        code = fail_usage("facet", "--facet NAME=IMAGES is missing");
    else if (!scoring && a.media.count)
        code = fail_usage("facet", "--media goes with 'facet score'");
    else if (a.media.count == 1)
        code = fail_usage("facet", "--media needs two facets to choose from");
    else if (scoring && !a.media.count && a.output)
        code = fail_usage("facet", "-o goes with 'facet train', or with --media");
    else if (a.media.count && a.json)
        code = fail_usage("facet", "--media writes a labels file, not JSON");
    else if (training && !a.output)
        code = fail_usage("facet", "-o FILE is missing");
    else if (training && wrong_ending(a.output, ".npz"))
        code = fail_usage("facet", "the output must end in .npz, not '%s'", a.output);
    else if (listing && a.operands.count != 2)
        code = fail_usage("facet", "'facet list' takes one file");
    if (a.media.count && !a.output)
        a.output = "-";
    if (code == EXIT_DONE)
        code = model_open(&a.model, &model);
    if (code == EXIT_DONE)
        code = training ? train(&a, model) : scoring ? score(&a, model) : print_facets(&a, a.operands.items[1], model);
    cn_model_close(model);
    options_free(&command_facet, &a);
    return code;
}

const struct command command_facet = {
    .name = "facet",
    .summary = "train facets for faceted feature visualisation",
    .synopsis = "facet train [--model M] --facet NAME=IMAGES... [--generic IMAGES] -o FACETS.npz\n"
                "facet list [--model M] FACETS.npz\n"
                "facet score [--model M] FACETS.npz IMAGES... [--media NAME... -o MEDIA.csv]",
    .description = "A facet is a kind of picture: faces, logos, written text, nature, line drawings. For each, and for each of some lower sites, "
                   "a logistic regression on whole maps tells its pictures from generic ones. 'clipneuron see --facet' then draws what of "
                   "a unit belongs to that facet (Goh et al. 2021).\n\n"
                   "A fifth of the pictures is held out, by a hash of the path, and measures the accuracy, for which both sides count the "
                   "same. Some hundred pictures a facet do. Pictures that cannot be read are left out; 'facet score' names them on standard error.\n\n" IMAGES_HELP,
    .examples = "Written words, told from pictures of all kinds:\n\n"
                "$ ls $PWD/photos/*word* > written.txt\n"
                "$ clipneuron facet train --facet written=@written.txt --generic photos -o facets.npz\n\n"
                "A unit in that facet:\n\n"
                "$ clipneuron see layer4:911 --facets facets.npz --facet written --steps 20 -o written.png\n\n"
                "What is in a file:\n\n"
                "$ clipneuron facet list facets.npz\n\n"
                "How much pictures are of each facet:\n\n"
                "$ clipneuron facet score facets.npz photos\n\n"
                "Media by the model, for a collection that has none:\n\n"
                "$ ls $PWD/photos/*colour* > colour.txt\n"
                "$ clipneuron facet train --facet written=@written.txt --facet colour=@colour.txt -o media.npz > /dev/null\n"
                "$ clipneuron facet score media.npz photos --media written colour -o media.csv\n"
                "$ clipneuron scan --quiet photos --labels media.csv -o study",
    .options = options,
    .n_options = CN_COUNT(options),
    .operand = "train|list|score [FILE [IMAGES...]]",
    .operands_offset = offsetof(struct arguments, operands),
    .run = run,
};
