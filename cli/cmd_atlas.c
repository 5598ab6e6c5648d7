/* cli/cmd_atlas.c -- `clipneuron atlas`: codes of words as a few factors, drawn as a disc. */
#include "coding.h"
#include "commands.h"
#include "report.h"

#include <math.h>

struct arguments {
    struct coding_arguments coding;
    struct words operands;
    const char *output;
    int64_t factors;
    int theme;
};

static const char *const theme_choices[] = {"light", "dark", "print", NULL};

/* clang-format off */
static const struct option options[] = {
    {'o', "output", OPTION_TEXT, offsetof(struct arguments, output), "FILE", "Where the disc goes: .svg or .png."},
    {0, "factors", OPTION_COUNT, offsetof(struct arguments, factors), "N", "Default: 6.", 2, CN_MAX_ATLAS_FACTORS},
    {0, "theme", OPTION_CHOICE, offsetof(struct arguments, theme), "THEME", "light, dark or print (greys). Default: light.", 0, 0, theme_choices},
    CODING_OPTIONS(struct arguments, coding),
};
/* clang-format on */

static void print_atlas(const cn_codes *codes, const cn_atlas *atlas, const struct arguments *a)
{
    coding_print(codes);
    printf("%d factors after %d iterations: error %.3f; %.3f where weights are shuffled among the words (%d times, p = %.2g)\n", atlas->factors,
           atlas->iterations, atlas->error, atlas->shuffled, atlas->shuffles, atlas->p);
    for (int k = 0; k < atlas->factors; k++) {
        printf("\nfactor %d: ", k + 1);
        for (int t = 0; t < 4 && atlas->factor[k].unit[t] >= 0; t++)
            print_term(atlas->factor[k].weight[t], codes->names[atlas->factor[k].unit[t]], atlas->factor[k].unit[t], t == 0);
        printf("\n ");
        for (size_t i = 0; i < atlas->n; i++) {
            bool most = atlas->words[i].load[k] > 0;
            for (int m = 0; m < atlas->factors; m++)
                most = most && atlas->words[i].load[m] <= atlas->words[i].load[k];
            if (most) {
                putchar(' ');
                print_safely(stdout, atlas->words[i].word);
                printf(" %.2f", atlas->words[i].load[k]);
            }
        }
        putchar('\n');
    }
    coding_warn(codes, atlas, a->operands.items[0], NULL);
}

static void json_atlas(const cn_codes *codes, const cn_atlas *atlas, const struct arguments *a)
{
    struct json j;
    json_begin(&j, stdout);
    json_open(&j, NULL, '{');
    coding_json(&j, codes, &a->coding);
    json_real(&j, "error", atlas->error);
    json_real(&j, "shuffled_error", atlas->shuffled);
    json_int(&j, "shuffles", atlas->shuffles);
    json_real(&j, "p", atlas->p);
    json_int(&j, "iterations", atlas->iterations);
    json_open(&j, "factors", '[');
    for (int k = 0; k < atlas->factors; k++) {
        j.flat = j.depth + 1;
        json_open(&j, NULL, '[');
        for (int t = 0; t < 4 && atlas->factor[k].unit[t] >= 0; t++) {
            json_open(&j, NULL, '{');
            json_int(&j, "unit", atlas->factor[k].unit[t]);
            json_text(&j, "name", codes->names[atlas->factor[k].unit[t]]);
            json_real(&j, "weight", atlas->factor[k].weight[t]);
            json_close(&j, '}');
        }
        json_close(&j, ']');
    }
    json_close(&j, ']');
    json_open(&j, "atlas", '[');
    for (size_t i = 0; i < atlas->n; i++) {
        j.flat = j.depth + 1;
        json_open(&j, NULL, '{');
        json_text(&j, "word", atlas->words[i].word);
        json_real(&j, "x", atlas->words[i].x);
        json_real(&j, "y", atlas->words[i].y);
        json_open(&j, "loads", '[');
        for (int k = 0; k < atlas->factors; k++)
            json_real(&j, NULL, atlas->words[i].load[k]);
        json_close(&j, ']');
        json_close(&j, '}');
    }
    json_close(&j, ']');
    coding_warn(codes, atlas, a->operands.items[0], &j);
    json_close(&j, '}');
    json_end(&j);
}

static int make(const struct arguments *a)
{
    cn_codes *codes = NULL;
    cn_atlas *atlas = NULL;
    cn_error err = {0};
    int code = coding_run("atlas", &a->coding, a->operands.items[0], NULL, 0, &codes);
    if (code == EXIT_DONE) {
        const cn_atlas_options o = {.factors = (int)a->factors, .seed = (uint64_t)a->coding.seed};
        cn_status st = cn_atlas_create(&atlas, codes, &o, &err);
        if (st == CN_OK && a->output)
            st = cn_atlas_write(atlas, codes, a->output, (cn_plot_theme)a->theme, &err);
        if (st != CN_OK)
            code = fail_error(&err, st);
        else if (a->coding.json)
            json_atlas(codes, atlas, a);
        else
            print_atlas(codes, atlas, a);
    }
    cn_atlas_free(atlas);
    cn_codes_free(codes);
    return code;
}

static int run(int argc, char **argv)
{
    struct arguments a = {0};
    int code = options_begin(&command_atlas, argc, argv, &a);
    if (code >= 0)
        return code;
    if (a.operands.count != 1)
        code = fail_usage("atlas", a.operands.count ? "one study at a time" : "no study named");
    else if (!a.output && !a.coding.json)
        code = fail_usage("atlas", "where should the picture go? -o FILE.svg (or --json)");
    else
        code = make(&a);
    options_free(&command_atlas, &a);
    return code;
}

const struct command command_atlas = {
    .name = "atlas",
    .summary = "words on a disc, by the units that they call on",
    .synopsis = "atlas STUDY -o FILE.svg [--words FILE] [--factors N] [--theme THEME] [--json]",
    .description =
        "Takes the densest codes that 'clipneuron codes' makes of a list of words, factorises them non-negatively (a unit that speaks against a word is a feature "
        "of its own), and draws every word where its factors pull it: a word of one factor lies at the rim, a mixture between. Factors that words "
        "share are neighbours.\n\n"
        "The error is compared with that of codes whose weights are shuffled among the words: p says whether there is more than single words in the "
        "factors.",
    .examples = "Emotions:\n\n"
                "$ clipneuron scan --quiet photos -o study > /dev/null\n"
                "$ clipneuron atlas study -o atlas.svg",
    .options = options,
    .n_options = CN_COUNT(options),
    .operand = "STUDY",
    .operands_offset = offsetof(struct arguments, operands),
    .run = run,
};
