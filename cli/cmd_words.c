/* cli/cmd_words.c -- `clipneuron words`: words as pictures: neighbours, analogies, cosines between groups. */
#include "commands.h"
#include "drawnspace.h"
#include "json.h"
#include "report.h"

#include <stdlib.h>
#include <string.h>

struct arguments {
    struct space_arguments space;
    struct words operands, groups;
    int64_t top, draws;
    bool analogy;
};

/* clang-format off */
static const struct option options[] = {
    SPACE_OPTIONS(struct arguments, space),
    {'n', "top", OPTION_COUNT, offsetof(struct arguments, top), "N", "Neighbours of each word. Default: 8.", 1, CN_MAX_WORD_SPACE},
    {0, "analogy", OPTION_FLAG, offsetof(struct arguments, analogy), NULL, "Three words A B C: what is to C as B is to A."},
    {0, "group", OPTION_WORDS, offsetof(struct arguments, groups), "NAME=W,W,...",
     "A group of words. Two groups are compared with each other; with four, the first two by what they have to do with the last two."},
    {0, "draws", OPTION_COUNT, offsetof(struct arguments, draws), "N", "Permutations. Default: 9999.", 1, CN_MAX_WORD_DRAWS},
};
/* clang-format on */

static const char warning[] = "These cosines say what a model makes of written words. They are facts about the model and its training pictures, not about people.";

/* A group as it was given, taken apart. */
struct group {
    char *text, *name;
    struct words words;
    size_t *at;
};

static int group_read(struct group *g, const char *text)
{
    g->text = need(strdup(text));
    g->name = g->text;
    char *list = strchr(g->text, '=');
    if (!list)
        return fail_usage("words", "a group is NAME=WORD,WORD,..., not '%s'", text);
    *list++ = 0;
    for (char *word = strtok(list, ","); word; word = strtok(NULL, ",")) {
        word += strspn(word, " ");
        if (*word)
            words_add(&g->words, word);
    }
    return g->words.count ? EXIT_DONE : fail_usage("words", "the group '%s' has no words", g->name);
}

static void json_words(struct json *j, const char *key, const struct group *g)
{
    json_open(j, key, '{');
    json_text(j, "name", g->name);
    json_open(j, "words", '[');
    for (size_t i = 0; i < g->words.count; i++)
        json_text(j, NULL, g->words.items[i]);
    json_close(j, ']');
    json_close(j, '}');
}

static int compare(const struct arguments *a, const cn_word_space *s, struct group *g, size_t n)
{
    cn_word_group groups[4];
    cn_error err = {0};
    cn_status st = CN_OK;
    cn_group_cosine c = {0};
    cn_word_association w = {0};
    for (size_t i = 0; i < n; i++) {
        g[i].at = need(calloc(g[i].words.count, sizeof *g[i].at));
        for (size_t k = 0; k < g[i].words.count; k++)
            g[i].at[k] = (size_t)cn_word_space_find(s, g[i].words.items[k]);
        groups[i] = (cn_word_group){g[i].at, g[i].words.count};
    }
    if (n == 2)
        st = cn_word_space_compare(s, groups[0], groups[1], (int)a->draws, (uint64_t)a->space.seed, &c, &err);
    else
        st = cn_word_space_associate(s, groups[0], groups[1], groups[2], groups[3], (int)a->draws, (uint64_t)a->space.seed, &w, &err);
    if (st != CN_OK)
        return fail_error(&err, st);
    if (a->space.json) {
        static const char *const keys[] = {"x", "y", "a", "b"};
        struct json j;
        json_begin(&j, stdout);
        json_open(&j, NULL, '{');
        json_text(&j, "note", warning);
        json_int(&j, "words", (int64_t)cn_word_space_count(s));
        json_int(&j, "seed", a->space.seed);
        for (size_t i = 0; i < n; i++) {
            j.flat = j.depth + 1;
            json_words(&j, n == 2 && i ? "a" : keys[i], &g[i]);
        }
        if (n == 2) {
            json_real(&j, "cosine", c.cosine);
            json_real(&j, "null_mean", c.null_mean);
            json_real(&j, "null_sd", c.null_sd);
            json_real(&j, "p", c.p);
            json_int(&j, "draws", c.draws);
            json_bool(&j, "exact", c.exact);
        } else {
            json_real(&j, "effect", w.effect);
            json_real(&j, "p", w.p);
            json_int(&j, "divisions", w.divisions);
            json_bool(&j, "exact", w.exact);
        }
        json_close(&j, '}');
        json_end(&j);
        return EXIT_DONE;
    }
    if (!a->space.quiet)
        printf("%s\n\n", warning);
    print_safely(stdout, g[0].name);
    printf(n == 2 ? " and " : " against ");
    print_safely(stdout, g[1].name);
    if (n == 2) {
        printf(": mean cosine %.3f; words drawn in place of the first group: %.3f, sd %.3f; p = %.2g (%s%d draws)\n", c.cosine, c.null_mean, c.null_sd,
               c.p, c.exact ? "all " : "", c.draws);
    } else {
        printf(", by ");
        print_safely(stdout, g[2].name);
        printf(" less ");
        print_safely(stdout, g[3].name);
        printf(": effect %.2f, p = %.2g (%s%lld divisions)\n", w.effect, w.p, w.exact ? "all " : "", (long long)w.divisions);
    }
    return EXIT_DONE;
}

static int neighbours(const struct arguments *a, const cn_word_space *s)
{
    const size_t each = a->analogy ? a->operands.count : 1;
    cn_near_word *near = need(calloc((size_t)a->top, sizeof *near));
    cn_error err = {0};
    cn_status st = CN_OK;
    struct json j;
    if (a->space.json) {
        json_begin(&j, stdout);
        json_open(&j, NULL, '{');
        json_int(&j, "words", (int64_t)cn_word_space_count(s));
        json_open(&j, "nearest", '[');
    } else {
        printf("nearest of %zu drawn words:\n", cn_word_space_count(s));
    }
    for (size_t i = 0; i < a->operands.count && st == CN_OK; i += each) {
        size_t n = (size_t)a->top, at[3];
        for (size_t k = 0; k < each; k++)
            at[k] = (size_t)cn_word_space_find(s, a->operands.items[i + k]);
        if (a->analogy)
            st = cn_word_space_nearest(s, at + 1, 2, at, 1, near, &n, &err);
        else
            st = cn_word_space_nearest(s, at, 1, NULL, 0, near, &n, &err);
        if (st != CN_OK)
            break;
        if (a->space.json) {
            json_open(&j, NULL, '{');
            json_open(&j, "of", '[');
            for (size_t k = 0; k < each; k++)
                json_text(&j, NULL, a->operands.items[i + k]);
            json_close(&j, ']');
            json_open(&j, "near", '[');
            for (size_t k = 0; k < n; k++) {
                j.flat = j.depth + 1;
                json_open(&j, NULL, '{');
                json_text(&j, "word", cn_word_space_word(s, near[k].word));
                json_real(&j, "cosine", near[k].cosine);
                json_close(&j, '}');
            }
            json_close(&j, ']');
            json_close(&j, '}');
            continue;
        }
        if (a->analogy) {
            print_safely(stdout, a->operands.items[0]);
            printf(" is to ");
            print_safely(stdout, a->operands.items[1]);
            printf(" as ");
            print_safely(stdout, a->operands.items[2]);
            printf(" is to: ");
        } else {
            print_safely(stdout, a->operands.items[i]);
            printf(": ");
        }
        for (size_t k = 0; k < n; k++) {
            printf("%s", k ? ", " : "");
            print_safely(stdout, cn_word_space_word(s, near[k].word));
            printf(" %.2f", near[k].cosine);
        }
        putchar('\n');
    }
    if (a->space.json) {
        json_close(&j, ']');
        json_close(&j, '}');
        json_end(&j);
    }
    free(near);
    return st == CN_OK ? EXIT_DONE : fail_error(&err, st);
}

static int ask(const struct arguments *a)
{
    struct group groups[4] = {{0}};
    struct words more = {0};
    cn_word_space *space = NULL;
    int code = EXIT_DONE;
    for (size_t i = 0; i < a->operands.count; i++)
        words_add(&more, a->operands.items[i]);
    for (size_t i = 0; i < a->groups.count && code == EXIT_DONE; i++) {
        code = group_read(&groups[i], a->groups.items[i]);
        for (size_t k = 0; k < groups[i].words.count; k++)
            words_add(&more, groups[i].words.items[k]);
    }
    if (code == EXIT_DONE)
        code = space_open(&a->space, more.items, more.count, NULL, &space);
    if (code == EXIT_DONE)
        code = a->groups.count ? compare(a, space, groups, a->groups.count) : neighbours(a, space);
    cn_word_space_close(space);
    words_free(&more);
    for (size_t i = 0; i < 4; i++) {
        words_free(&groups[i].words);
        free(groups[i].at);
        free(groups[i].text);
    }
    return code;
}

static bool blank(const struct words *w)
{
    for (size_t i = 0; i < w->count; i++)
        if (!w->items[i][strspn(w->items[i], " \t")])
            return true;
    return false;
}

static int run(int argc, char **argv)
{
    struct arguments a = {.top = 8};
    int code = options_begin(&command_words, argc, argv, &a);
    if (code >= 0)
        return code;
    if (a.groups.count && a.operands.count)
        code = fail_usage("words", "either words or --group");
    else if (a.groups.count && a.groups.count != 2 && a.groups.count != 4)
        code = fail_usage("words", "two groups or four, not %zu", a.groups.count);
    else if (!a.groups.count && !a.operands.count)
        code = fail_usage("words", "no words named");
    else if (blank(&a.operands))
        code = fail_usage("words", "an empty word");
    else if (a.analogy && a.operands.count != 3)
        code = fail_usage("words", "an analogy takes three words");
    else
        code = ask(&a);
    options_free(&command_words, &a);
    return code;
}

const struct command command_words = {
    .name = "words",
    .summary = "words as pictures: neighbours, analogies, cosines between groups",
    .synopsis = "words WORD... [-n N] [--list FILE] [--json]\nwords A B C --analogy\nwords --group NAME=W,... --group NAME=W,... [two more]",
    .description =
        "Draws words as pictures, in several fonts, and takes what the units of a site answer, less the mean over all words of a list, as embeddings of the words: "
        "what they have in common for a model that reads.\n\n"
        "Two groups are compared by the mean cosine of their words; p is the share of groups of the same size, drawn from all words but the second's in "
        "place of the first, with a mean as high. Four groups X, Y, A, B are the word embedding association test (Caliskan et al. 2017): how much more X than Y has to do "
        "with A rather than B, and the share of divisions of X and Y among themselves with a difference as large.",
    .examples = "Neighbours and an analogy:\n\n"
                "$ printf '%s\\n' dog car puppy house bird pizza bread horse cake cheese rome > list.txt\n"
                "$ clipneuron words cat happy --list list.txt\n"
                "$ clipneuron words france paris italy --analogy --list list.txt --versions 1\n\n"
                "Two groups, and a test of four:\n\n"
                "$ clipneuron words --group pets=cat,dog --group food=pizza,bread --list list.txt --draws 999\n"
                "$ clipneuron words --group pets=cat,dog --group food=pizza,bread --group alive=bird,horse --group eaten=cake,cheese --list list.txt --json",
    .options = options,
    .n_options = CN_COUNT(options),
    .operand = "[WORD...]",
    .operands_offset = offsetof(struct arguments, operands),
    .run = run,
};
