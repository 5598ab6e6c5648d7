/* cli/cmd_codes.c -- `clipneuron codes`: words as sparse sums of units. */
#include "coding.h"
#include "commands.h"
#include "report.h"

#include <math.h>

struct arguments {
    struct coding_arguments coding;
    struct words operands;
};

/* clang-format off */
static const struct option options[] = {
    CODING_OPTIONS(struct arguments, coding),
};
/* clang-format on */

static void print_codes(const cn_codes *codes, const struct arguments *a)
{
    coding_print(codes);
    for (size_t i = 0; codes && i < codes->n; i++) {
        putchar('\n');
        print_safely(stdout, codes->codes[i].word);
        putchar('\n');
        for (int l = 0; l < CN_CODE_LEVELS; l++) {
            printf("  %3.0f%% = ", 100 * codes->codes[i].level[l].explained);
            for (size_t k = 0; k < codes->codes[i].level[l].n; k++) {
                const cn_code_term *t = &codes->codes[i].level[l].terms[k];
                if (k && fabs(t->weight) < 0.005) { /* they would read 0.00 */
                    printf(" + %zu smaller", codes->codes[i].level[l].n - k);
                    break;
                }
                print_term(t->weight, codes->names[t->unit], t->unit, k == 0);
            }
            puts(codes->codes[i].level[l].n ? "" : "nothing");
        }
    }
    coding_warn(codes, NULL, a->operands.items[0], NULL);
}

static void json_codes(const cn_codes *codes, const struct arguments *a)
{
    struct json j;
    json_begin(&j, stdout);
    json_open(&j, NULL, '{');
    coding_json(&j, codes, &a->coding);
    json_open(&j, "codes", '[');
    for (size_t i = 0; codes && i < codes->n; i++) {
        json_open(&j, NULL, '{');
        json_text(&j, "word", codes->codes[i].word);
        json_open(&j, "levels", '[');
        for (int l = 0; l < CN_CODE_LEVELS; l++) {
            j.flat = j.depth + 1;
            json_open(&j, NULL, '{');
            json_int(&j, "most", codes->levels[l]);
            json_real(&j, "lambda", codes->codes[i].level[l].lambda);
            json_real(&j, "explained", codes->codes[i].level[l].explained);
            json_open(&j, "terms", '[');
            for (size_t k = 0; k < codes->codes[i].level[l].n; k++) {
                const cn_code_term *t = &codes->codes[i].level[l].terms[k];
                json_open(&j, NULL, '{');
                json_int(&j, "unit", t->unit);
                json_text(&j, "name", codes->names[t->unit]);
                json_real(&j, "weight", t->weight);
                json_real(&j, "stability", t->stability);
                json_close(&j, '}');
            }
            json_close(&j, ']');
            json_close(&j, '}');
        }
        json_close(&j, ']');
        json_close(&j, '}');
    }
    json_close(&j, ']');
    coding_warn(codes, NULL, a->operands.items[0], &j);
    json_close(&j, '}');
    json_end(&j);
}

static int run(int argc, char **argv)
{
    struct arguments a = {0};
    cn_codes *codes = NULL;
    int code = options_begin(&command_codes, argc, argv, &a);
    if (code >= 0)
        return code;
    if (!a.operands.count)
        code = fail_usage("codes", "no study named");
    else if (a.operands.count > 1 && a.coding.words)
        code = fail_usage("codes", "either words or --words");
    else
        code = coding_run("codes", &a.coding, a.operands.items[0], a.operands.items + 1, a.operands.count - 1, &codes);
    if (code == EXIT_DONE && a.coding.json)
        json_codes(codes, &a);
    else if (code == EXIT_DONE)
        print_codes(codes, &a);
    cn_codes_free(codes);
    options_free(&command_codes, &a);
    return code;
}

const struct command command_codes = {
    .name = "codes",
    .summary = "words as short sums of units, at four sparsities",
    .synopsis = "codes STUDY [WORD...] [--words FILE] [--template PROMPT]... [--json]",
    .description =
        "Writes each word as a sparse sum of units: the lasso of its embedding (the mean over several prompts, less the mean of all words in the list) on the "
        "directions that units have in the space of embeddings, with at most 2, 4, 8 and 16 units. The percentage says how much of the word's embedding the "
        "sum explains. Give the words that belong together: a code says what tells a word from the others in the list.\n\n"
        "JSON has every term's stability as well: the share of the prompts whose own code has the unit with the same sign. As in 'explain', how far the "
        "linear picture holds is measured on the study's pictures.",
    .examples = "Emotions, and words of your own:\n\n"
                "$ clipneuron scan --quiet photos -o study > /dev/null\n"
                "$ clipneuron codes study\n"
                "$ clipneuron codes study cat dog horse cow --template {} --json",
    .options = options,
    .n_options = CN_COUNT(options),
    .operand = "STUDY [WORD...]",
    .operands_offset = offsetof(struct arguments, operands),
    .run = run,
};
