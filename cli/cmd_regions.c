/* cli/cmd_regions.c -- `clipneuron regions`: units that answer to the written names of places, and a map. */
#include "commands.h"
#include "drawnspace.h"
#include "grid.h"
#include "people.h"
#include "report.h"

#include <stdlib.h>
#include <string.h>

struct arguments {
    struct space_arguments space;
    const char *output;
    int64_t top, unit;
    int theme;
};

static const char *const theme_choices[] = {"light", "dark", "print", NULL};

/* clang-format off */
static const struct option options[] = {
    {'o', "output", OPTION_TEXT, offsetof(struct arguments, output), "FILE", "A map of what one unit answers to: .svg or .png."},
    {'u', "unit", OPTION_COUNT, offsetof(struct arguments, unit), "N", "The unit on the map. Default: the first of the table.", 0, INT64_MAX},
    {'n', "top", OPTION_COUNT, offsetof(struct arguments, top), "N", "Units in the table. Default: 12.", 1, INT64_MAX},
    {0, "theme", OPTION_CHOICE, offsetof(struct arguments, theme), "THEME", "light, dark or print (greys). Default: light.", 0, 0, theme_choices},
    SPACE_OPTIONS(struct arguments, space),
};

static const struct grid_column columns[] = {
    {"unit", "unit", GRID_INT, 0}, {"auc", "AUC", GRID_REAL, 3}, {"auc_low", "from", GRID_REAL, 3}, {"auc_high", "to", GRID_REAL, 3},
    {"p", NULL, GRID_REAL, 0}, {"q", "q", GRID_REAL, -2}, {"top", "of 5", GRID_INT, 0}, {"first", "answers most to", GRID_TEXT, 0},
};
/* clang-format on */

/* names: of the words. */
static int report(const struct arguments *a, const cn_word_space *s, size_t names)
{
    cn_region_unit *units = NULL;
    cn_error err = {0};
    struct grid g;
    size_t n = 0, geographic = 0, significant = 0;
    cn_status st = cn_word_space_regions(s, &units, &n, &err);
    if (st == CN_OK && a->output) {
        char *title = need_format("unit %lld", (long long)(a->unit >= 0 ? a->unit : units[0].unit));
        st = cn_word_space_map(s, a->unit >= 0 ? a->unit : units[0].unit, title, a->output, (cn_plot_theme)a->theme, &err);
        free(title);
    }
    if (st != CN_OK) {
        cn_region_units_free(units);
        return fail_error(&err, st);
    }
    for (size_t i = 0; i < n; i++) {
        geographic += units[i].top == 5;
        significant += units[i].auc > 0.5 && units[i].q < 0.05;
    }
    const size_t shown = n < (size_t)a->top ? n : (size_t)a->top;
    char **texts = need(calloc(shown + 1, sizeof *texts));
    grid_begin(&g, columns, CN_COUNT(columns));
    for (size_t i = 0; i < shown; i++) {
        const cn_region_unit *u = &units[i];
        texts[i] = need_format("%s, %s, %s, %s, %s", cn_word_space_word(s, u->first[0]), cn_word_space_word(s, u->first[1]),
                               cn_word_space_word(s, u->first[2]), cn_word_space_word(s, u->first[3]), cn_word_space_word(s, u->first[4]));
        grid_int(&g, u->unit);
        grid_real(&g, u->auc);
        grid_real(&g, u->auc_low);
        grid_real(&g, u->auc_high);
        grid_real(&g, u->p);
        grid_real(&g, u->q);
        grid_int(&g, u->top);
        grid_text(&g, texts[i]);
    }
    if (a->space.json) {
        struct json j;
        json_begin(&j, stdout);
        json_open(&j, NULL, '{');
        json_int(&j, "words", (int64_t)cn_word_space_count(s));
        json_int(&j, "geographic", (int64_t)geographic);
        json_int(&j, "significant", (int64_t)significant);
        grid_json(&g, &j, "units");
        json_int(&j, "names", (int64_t)names);
        json_text(&j, "warning", cn_family_warning("region"));
        json_close(&j, '}');
        json_end(&j);
    } else {
        printf("%zu drawn words; %zu of %zu units answer most to names of places (all of their first 5); %zu tell names from words at q < 0.05\n\n",
               cn_word_space_count(s), geographic, n, significant);
        grid_print(&g, stdout);
        printf("\nwarning: names of places (%zu of the %zu words, %.2g%%) are %s\n", names, cn_word_space_count(s),
               100 * (double)names / (double)cn_word_space_count(s), cn_family_warning("region"));
    }
    grid_free(&g);
    for (size_t i = 0; i < shown; i++)
        free(texts[i]);
    free(texts);
    cn_region_units_free(units);
    return EXIT_DONE;
}

static int run(int argc, char **argv)
{
    struct arguments a = {.top = 12, .unit = -1};
    cn_word_space *space = NULL;
    struct words names = {0};
    size_t n, drawn = 0;
    const cn_place *places = cn_places(&n);
    int code = options_begin(&command_regions, argc, argv, &a);
    if (code >= 0)
        return code;
    for (size_t i = 0; i < n; i++) {
        words_add(&names, places[i].country);
        words_add(&names, places[i].capital);
    }
    if (a.unit >= 0 && !a.output)
        code = fail_usage("regions", "--unit is for a map: -o FILE.svg");
    else
        code = space_open(&a.space, names.items, names.count, &space);
    if (code == EXIT_DONE)
        for (size_t i = 0; i < names.count; i++)
            drawn += cn_word_space_find(space, names.items[i]) >= 0;
    if (code == EXIT_DONE)
        code = report(&a, space, drawn);
    cn_word_space_close(space);
    words_free(&names);
    options_free(&command_regions, &a);
    return code;
}

const struct command command_regions = {
    .name = "regions",
    .summary = "units that answer to written names of countries and cities, with a map",
    .synopsis = "regions [-n N] [-o MAP.svg [--unit N]] [--list FILE] [--json]",
    .description =
        "Draws the names of 103 countries and their capitals, and other words, as pictures, and ranks the units of a site by how well they tell the names from the "
        "words: AUC with its 95% interval, q of the Mann-Whitney test after Benjamini and Hochberg over the units, and how many of the five words that the unit "
        "answers to most are names. The paper calls a unit geographic when all five are.\n\n"
        "With -o, a map: a dot at each capital, coloured by what the unit answers to the drawn names of country and capital. Names are what the model has read, "
        "nothing is said of the places.",
    .examples = "$ printf '%s\\n' dog car puppy house bird pizza bread horse cake cheese > list.txt\n"
                "$ clipneuron regions --list list.txt --versions 1 -o map.svg",
    .options = options,
    .n_options = CN_COUNT(options),
    .run = run,
};
