/* cli/cmd_regions.c -- `clipneuron regions`: units that answer to the written names of places, to flags, and a map. */
#include "asking.h"
#include "commands.h"
#include "drawnspace.h"
#include "grid.h"
#include "report.h"

#include <clipneuron/multimodal.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct arguments {
    struct words operands;
    struct space_arguments space;
    const char *output;
    int64_t top, unit;
    int theme;
};

static const char *const theme_choices[] = {"light", "dark", "print", NULL};

/* clang-format off */
static const struct option options[] = {
    {'o', "output", OPTION_TEXT, offsetof(struct arguments, output), "FILE", "A map of what one unit answers to: .svg or .png."},
    {'u', "unit", OPTION_COUNT, offsetof(struct arguments, unit), "N", "The unit on the map. Default: with STUDY, each country's own; else the first of the table.", 0, INT64_MAX},
    {'n', "top", OPTION_COUNT, offsetof(struct arguments, top), "N", "Units in the table. Default: 12.", 1, INT64_MAX},
    {0, "theme", OPTION_CHOICE, offsetof(struct arguments, theme), "THEME", "light, dark or print (greys). Default: light.", 0, 0, theme_choices},
    SPACE_OPTIONS(struct arguments, space),
};

static const struct grid_column columns[] = {
    {"unit", "unit", GRID_INT, 0}, {"auc", "AUC", GRID_REAL, 3}, {"auc_low", "from", GRID_REAL, 3}, {"auc_high", "to", GRID_REAL, 3},
    {"p", NULL, GRID_REAL, 0}, {"q", "q", GRID_REAL, -2}, {"top", "of 5", GRID_INT, 0}, {"first", "answers most to", GRID_TEXT, 0},
};

static const struct grid_column country_columns[] = {
    {"country", "country", GRID_TEXT, 0}, {"pictures", "pictures", GRID_INT, 0}, {"unit", "unit", GRID_INT, 0}, {"name", "name", GRID_REAL, 1},
    {"flag", "flag", GRID_REAL, 1}, {"capital", "capital", GRID_REAL, 1}, {"p", "p", GRID_REAL, -2}, {"name_unit", "most to the name", GRID_INT, 0},
    {"name_most", "sd", GRID_REAL, 1}, {"flag_unit", "most to the flag", GRID_INT, 0}, {"flag_most", "sd", GRID_REAL, 1},
};
/* clang-format on */

/* Names of places among the words. */
static size_t names_among(const cn_word_space *s)
{
    size_t n, found = 0;
    const cn_place *places = cn_places(&n);
    for (size_t i = 0; i < n; i++) {
        const bool city_state = strcmp(places[i].country, places[i].capital) == 0; /* one word */
        found += cn_word_space_find(s, places[i].country) >= 0;
        found += !city_state && cn_word_space_find(s, places[i].capital) >= 0;
    }
    return found;
}

/* The countries of the study, in the text or as the next members of the JSON. */
static void show_flags(const cn_region_flags *flags, struct json *j)
{
    const cn_place *places = cn_places(&(size_t){0});
    struct grid g;
    grid_begin(&g, country_columns, CN_COUNT(country_columns));
    for (size_t i = 0; i < flags->n; i++) {
        const cn_region_country *c = &flags->countries[i];
        grid_text(&g, places[c->place].country);
        grid_int(&g, c->pictures);
        grid_int(&g, c->unit);
        grid_real(&g, c->name);
        grid_real(&g, c->flag);
        if (isnan(c->capital))
            grid_none(&g);
        else
            grid_real(&g, c->capital);
        grid_real(&g, c->p);
        grid_int(&g, c->name_unit);
        grid_real(&g, c->name_most);
        grid_int(&g, c->flag_unit);
        grid_real(&g, c->flag_most);
    }
    if (j) {
        json_real(j, "level", CN_REGION_LEVEL);
        json_int(j, "both", (int64_t)flags->both);
        json_real(j, "by_chance", flags->by_chance);
        grid_json(&g, j, "countries");
    } else {
        printf("\n%zu countries have pictures that are no writing; for %zu of them one unit answers to name and flag with %.0f sd or more; with another "
               "country's flag it\nwould be %.1f. Answers in standard deviations over all words and all pictures that are no writing\n\n",
               flags->n, flags->both, CN_REGION_LEVEL, flags->by_chance);
        grid_print(&g, stdout);
    }
    grid_free(&g);
}

/* Of units that answer in any order: how likely the first 5 of `words` words are all among `names`. */
static double five_by_chance(size_t names, size_t words)
{
    double p = names < 5 ? 0 : 1;
    for (size_t i = 0; i < 5 && p > 0; i++)
        p *= (double)(names - i) / (double)(words - i);
    return p;
}

static void show_names(const struct arguments *a, const cn_word_space *s, const cn_region_unit *units, size_t n, const cn_region_flags *flags)
{
    struct grid g;
    size_t geographic = 0, significant = 0;
    for (size_t i = 0; i < n; i++) {
        geographic += units[i].top == 5;
        significant += units[i].auc > 0.5 && units[i].q < 0.05;
    }
    const size_t shown = n < (size_t)a->top ? n : (size_t)a->top;
    const double chance = (double)n * five_by_chance(names_among(s), cn_word_space_count(s));
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
        json_real(&j, "geographic_by_chance", chance);
        json_int(&j, "significant", (int64_t)significant);
        grid_json(&g, &j, "units");
        if (flags)
            show_flags(flags, &j);
        json_int(&j, "names", (int64_t)names_among(s));
        json_text(&j, "warning", cn_family_warning("region"));
        json_close(&j, '}');
        json_end(&j);
    } else {
        printf("%zu drawn words; %zu of %zu units answer most to names of places (all of their first 5; %.2g would by chance); %zu tell names from words at q < "
               "0.05\n\n",
               cn_word_space_count(s), geographic, n, chance, significant);
        grid_print(&g, stdout);
        if (flags)
            show_flags(flags, NULL);
        const size_t names = names_among(s), words = cn_word_space_count(s);
        printf("\nwarning: names of places (%zu of the %zu words, %.2g%%) are %s\n", names, words, 100 * (double)names / (double)words,
               cn_family_warning("region"));
    }
    grid_free(&g);
    for (size_t i = 0; i < shown; i++)
        free(texts[i]);
    free(texts);
}

static int report(const struct arguments *a, const cn_word_space *s, cn_study *study, size_t site)
{
    cn_region_unit *units = NULL;
    cn_region_flags *flags = NULL;
    cn_error err = {0};
    size_t n = 0;
    cn_status st = cn_word_space_regions(s, &units, &n, &err);
    if (st == CN_OK && study)
        st = cn_word_space_flags(s, study, site, &flags, &err);
    if (st == CN_OK && a->output) {
        const int64_t unit = a->unit >= 0 ? a->unit : flags ? -1 : units[0].unit;
        char *title = unit < 0 ? need_format("Countries and their units") : need_format("unit %lld", (long long)unit);
        st = cn_word_space_map(s, flags, unit, title, a->output, (cn_plot_theme)a->theme, &err);
        free(title);
    }
    if (st == CN_OK)
        show_names(a, s, units, n, flags);
    cn_region_units_free(units);
    cn_region_flags_free(flags);
    return st == CN_OK ? EXIT_DONE : fail_error(&err, st);
}

static int run(int argc, char **argv)
{
    struct arguments a = {.top = 12, .unit = -1};
    cn_word_space *space = NULL;
    cn_study *study = NULL;
    struct words names = {0};
    size_t n, site = 0;
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
    else if (a.operands.count > 1)
        code = fail_usage("regions", "one study, not %zu", a.operands.count);
    else
        code = a.operands.count ? ask_open("regions", &a.operands, &study) : EXIT_DONE;
    if (code == EXIT_DONE && study)
        code = ask_site("regions", study, a.space.site, &site);
    if (code == EXIT_DONE && study)
        a.space.site = cn_study_site_at(study, site)->name;
    if (code == EXIT_DONE)
        code = space_open(&a.space, names.items, names.count, study, &space);
    if (code == EXIT_DONE)
        code = report(&a, space, study, site);
    cn_word_space_close(space);
    cn_study_close(study);
    words_free(&names);
    options_free(&command_regions, &a);
    return code;
}

const struct command command_regions = {
    .name = "regions",
    .summary = "units that answer to written names of countries and cities, and to flags, with a map",
    .synopsis = "regions [STUDY] [-n N] [-o MAP.svg [--unit N]] [--list FILE] [--json]",
    .description =
        "Draws the names of 103 countries and their capitals, and other words, as pictures, and ranks the units of a site by how well they tell the names from the "
        "words: AUC with its 95% interval, q of the Mann-Whitney test after Benjamini and Hochberg over the units, and how many of the five words that the unit "
        "answers to most are names. The paper calls a unit geographic when all five are.\n\n"
        "With STUDY, the pictures that it labels with a country's name, in any case, are taken as the country's flag, but for those of written media: for each country the unit that "
        "answers to its flag and to its drawn name alike (the largest of the smaller of the two, in standard deviations), what that unit answers to the "
        "capital's name, and the units that answer most to one of them. p says how often a name and another country's flag have a unit as good.\n\n"
        "With -o, a map: a dot at each capital, coloured by what the unit answers to the drawn names of country and capital; with STUDY and without --unit, by what "
        "each country's own unit answers to its name (left half) and flag (right half). Names and flags are what the model has seen, nothing is said of the places.",
    .examples = "$ printf '%s\\n' dog car puppy house bird pizza bread horse cake cheese > list.txt\n"
                "$ clipneuron regions --list list.txt --versions 1 -o map.svg\n\n"
                "With a study of pictures that are labelled with countries:\n\n"
                "    clipneuron regions flags.study -o countries.svg",
    .options = options,
    .n_options = CN_COUNT(options),
    .operand = "[STUDY]",
    .operands_offset = offsetof(struct arguments, operands),
    .run = run,
};
