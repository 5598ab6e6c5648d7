/* cli/cmd_images.c -- `clipneuron images`: pictures that fire several units, units that a picture fires, pictures by text. */
#include "asking.h"
#include "commands.h"
#include "report.h"

#include <inttypes.h>
#include <stdlib.h>

struct arguments {
    struct words operands;
    const char *image, *search, *site;
    int64_t count;
    struct show show;
    bool quiet;
};

/* clang-format off */
static const struct option options[] = {
    {'n', "count", OPTION_COUNT, offsetof(struct arguments, count), "K", "The first K. Default: 24.", 1, 16 << 20},
    {'i', "image", OPTION_TEXT, offsetof(struct arguments, image), "PATH", "The units that this picture of the study fires most."},
    {'s', "site", OPTION_TEXT, offsetof(struct arguments, site), "SITE", "With --image: of this site. Default: the study's first."},
    {0, "search", OPTION_TEXT, offsetof(struct arguments, search), "TEXT", "Pictures with this text in their path, label, caption or another column."},
    SHOW_OPTIONS(struct arguments, show),
    {'q', "quiet", OPTION_FLAG, offsetof(struct arguments, quiet), NULL, "No notes."},
};
/* clang-format on */

/* ---- pictures of units ---- */

static void add_columns(struct grid_column *to, size_t *n, struct grid_column column)
{
    to[(*n)++] = column;
}

static void show_pictures(const struct arguments *a, const cn_study *study, const cn_unit_ref *units, size_t n_units,
                          const cn_picture *list, size_t n)
{
    struct grid_column *columns = need(calloc(n_units + 8, sizeof *columns));
    char **names = need(calloc(n_units + 1, sizeof *names));
    size_t width = 0;
    struct grid g;
    if (n_units) {
        add_columns(columns, &width, (struct grid_column){"rank", "rank", GRID_INT, 0});
        add_columns(columns, &width, (struct grid_column){"total", "total sd", GRID_REAL, 2});
    }
    for (size_t u = 0; u < n_units; u++) {
        names[u] = ask_name(study, units[u]);
        add_columns(columns, &width, (struct grid_column){names[u], names[u], GRID_REAL, 2});
    }
    add_columns(columns, &width, (struct grid_column){"label", "label", GRID_TEXT, 0});
    add_columns(columns, &width, (struct grid_column){"medium", "medium", GRID_TEXT, 0});
    add_columns(columns, &width, (struct grid_column){"path", "path", GRID_TEXT, 0});
    add_columns(columns, &width, (struct grid_column){"caption", n_units ? NULL : "caption", GRID_TEXT, 0});
    add_columns(columns, &width, (struct grid_column){"image", NULL, GRID_INT, 0});
    grid_begin(&g, columns, width);
    for (size_t i = 0; i < n; i++) {
        if (n_units) {
            grid_int(&g, (int64_t)i + 1);
            grid_real(&g, list[i].total);
        }
        for (size_t u = 0; u < n_units; u++)
            grid_real(&g, list[i].sd[u]);
        grid_text(&g, list[i].label);
        grid_text(&g, list[i].medium);
        grid_text(&g, list[i].path);
        grid_text(&g, list[i].caption);
        grid_int(&g, list[i].image);
    }
    show_grid(&a->show, &g, "images", NULL, NULL);
    grid_free(&g);
    for (size_t u = 0; u < n_units; u++)
        free(names[u]);
    free(names);
    free(columns);
}

static int pictures_of_units(const struct arguments *a, cn_study *study)
{
    const size_t n_units = a->operands.count - 1;
    cn_unit_ref *units = need(calloc(n_units, sizeof *units));
    cn_picture *list = NULL;
    size_t n = 0;
    cn_error err = {0};
    int code = EXIT_DONE;
    for (size_t i = 0; i < n_units && code == EXIT_DONE; i++)
        code = ask_unit("images", study, a->operands.items[i + 1], &units[i]);
    if (code == EXIT_DONE) {
        const cn_status st = cn_study_pictures_of_units(study, units, n_units, (size_t)a->count, &list, &n, &err);
        if (st == CN_OK)
            show_pictures(a, study, units, n_units, list, n);
        else
            code = fail_error(&err, st);
    }
    cn_pictures_free(list);
    free(units);
    return code;
}

static int search(const struct arguments *a, cn_study *study)
{
    cn_picture *list = NULL;
    size_t n = 0;
    cn_error err = {0};
    const size_t most = (size_t)a->count;
    const cn_status st = cn_study_search_pictures(study, a->search, most + 1, &list, &n, &err);
    if (st != CN_OK)
        return fail_error(&err, st);
    show_pictures(a, study, NULL, 0, list, n < most ? n : most);
    if (n > most)
        note(a->quiet, "clipneuron: the first %zu pictures; -n shows more", most);
    cn_pictures_free(list);
    return EXIT_DONE;
}

/* ---- units of a picture ---- */

struct head {
    const char *path, *site;
    int64_t image;
    bool complete;
};

static void write_head(struct json *j, const void *user)
{
    const struct head *h = user;
    json_text(j, "path", h->path);
    json_int(j, "image", h->image);
    json_text(j, "site", h->site);
    json_bool(j, "complete", h->complete);
}

static void show_units(const struct arguments *a, const cn_study *study, size_t site, int64_t image, bool complete,
                       const cn_fired_unit *list, size_t n)
{
    static const struct grid_column columns[] = {
        {"unit", "unit", GRID_INT, 0},           {"sd", "sd", GRID_REAL, 2},    {"value", "activation", GRID_REAL, -4},
        {"share_above", "above", GRID_SHARE, 0}, {"rank", "rank", GRID_INT, 0}, {"label", "label", GRID_TEXT, 0},
        {"word", "word", GRID_TEXT, 0},
    };
    const struct head head = {a->image, cn_study_site_at(study, site)->name, image, complete};
    struct grid g;
    grid_begin(&g, columns, CN_COUNT(columns));
    for (size_t i = 0; i < n; i++) {
        grid_int(&g, list[i].ref.unit);
        grid_real(&g, list[i].sd);
        grid_real(&g, list[i].value);
        grid_real(&g, list[i].share_above);
        if (list[i].rank >= 0)
            grid_int(&g, list[i].rank + 1);
        else
            grid_none(&g);
        grid_text(&g, list[i].label);
        grid_text(&g, list[i].word);
    }
    show_grid(&a->show, &g, "units", write_head, &head);
    grid_free(&g);
}

static int units_of_picture(const struct arguments *a, cn_study *study)
{
    cn_fired_unit *list = NULL;
    size_t n = 0, site = 0;
    int64_t image = 0;
    bool complete = false;
    cn_error err = {0};
    const int code = ask_site("images", study, a->site, &site);
    if (code != EXIT_DONE)
        return code;
    cn_status st = cn_study_find_picture(study, a->image, &image, &err);
    if (st == CN_OK)
        st = cn_study_units_of_picture(study, image, site, (size_t)a->count, &list, &n, &complete, &err);
    if (st != CN_OK)
        return fail_error(&err, st);
    show_units(a, study, site, image, complete, list, n);
    if (!complete)
        note(a->quiet,
             "clipneuron: the study was made without matrices: only units that have the picture among their strongest examples are known");
    cn_fired_units_free(list);
    return EXIT_DONE;
}

static int run(int argc, char **argv)
{
    struct arguments a = {.count = 24};
    int code = options_begin(&command_images, argc, argv, &a);
    if (code >= 0)
        return code;
    cn_study *study = NULL;
    const size_t units = a.operands.count ? a.operands.count - 1 : 0;
    code = EXIT_DONE;
    if (a.operands.count && (units > 0) + (a.image != NULL) + (a.search != NULL) != 1)
        code = fail_usage("images", "ask for UNITs, for --image PATH or for --search TEXT");
    else if (a.site && !a.image)
        code = fail_usage("images", "--site goes with --image; units are written SITE:NUMBER");
    if (code == EXIT_DONE)
        code = ask_open("images", &a.operands, &study);
    if (code == EXIT_DONE)
        code = a.image ? units_of_picture(&a, study) : a.search ? search(&a, study) : pictures_of_units(&a, study);
    cn_study_close(study);
    options_free(&command_images, &a);
    return code;
}

const struct command command_images = {
    .name = "images",
    .summary = "pictures that fire several units, units that a picture fires, pictures by text",
    .synopsis = "images STUDY UNIT...\nimages STUDY --image PATH [--site SITE]\nimages STUDY --search TEXT",
    .description =
        "With UNITs: the pictures of the collection by the sum of their activations in sd units over all of them, with each unit's own. "
        "The "
        "study's matrices are read, so the study must have them (scan makes them unless --matrices none was given).\n\n"
        "With --image: the units of a site that a picture fires most, with the share of the collection's pictures that fire each more, and "
        "the "
        "picture's rank among the unit's strongest examples. PATH is as in the study, or the end of it after a slash. Without matrices "
        "only units are known of whose strongest examples the picture is one.\n\n"
        "With --search: pictures that have the text in their path, label, caption or another column; capitals do not matter in ASCII.",
    .examples = "Pictures that two units agree on:\n\n"
                "$ clipneuron scan --quiet photos -o study > /dev/null\n"
                "$ clipneuron images study 7 12 -n 10\n\n"
                "What the first of some pictures does:\n\n"
                "$ clipneuron images study --search air --csv -q > found.csv\n"
                "$ clipneuron images study --image \"$(sed -n 2p found.csv | cut -d, -f3)\"",
    .options = options,
    .n_options = CN_COUNT(options),
    .operand = "STUDY [UNIT...]",
    .operands_offset = offsetof(struct arguments, operands),
    .run = run,
};
