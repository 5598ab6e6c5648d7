/* cli/cmd_tokens.c -- `clipneuron tokens`: texts to token ids. */
#include "commands.h"
#include "interrupt.h"
#include "json.h"
#include "report.h"

#include <clipneuron/tokenizer.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct arguments {
    bool truncate, show, quiet;
    int64_t context;
    struct words texts;
};

/* clang-format off */
static const struct option options[] = {
    {0, "truncate", OPTION_FLAG, offsetof(struct arguments, truncate), NULL,
     "Cut a text that is too long, keeping the end mark, as the original does when asked. Without it such a text is "
     "an error."},
    {'c', "context", OPTION_COUNT, offsetof(struct arguments, context), "N",
     "Longest row with both marks. Default: 77, that of OpenAI's models.", 2, 4096},
    {0, "text", OPTION_FLAG, offsetof(struct arguments, show), NULL,
     "Print the tokens' texts in place of their numbers; a token that ends a word ends with a blank."},
    QUIET_OPTION(struct arguments, quiet),
};
/* clang-format on */

/* One row as a line of JSON, appended to out. */
static cn_status print_row(const cn_tokenizer *tokenizer, const struct arguments *a, const char *text,
                           int32_t *row, FILE *out, cn_error *err)
{
    size_t used = 0;
    cn_status st = cn_tokenizer_row(tokenizer, text, (size_t)a->context, a->truncate, row, &used, err);
    if (st != CN_OK)
        return st;
    fputc('[', out);
    for (size_t i = 0; i < used; i++) {
        if (i)
            fputc(',', out);
        if (a->show)
            json_string(out, cn_tokenizer_token_text(tokenizer, row[i]));
        else
            fprintf(out, "%d", row[i]);
    }
    fputs("]\n", out);
    return CN_OK;
}

/* Arguments: all or nothing is printed. */
static int print_arguments(const cn_tokenizer *tokenizer, const struct arguments *a, int32_t *row)
{
    char *buffer = NULL;
    size_t size = 0;
    cn_error err = {0};
    FILE *out = need(open_memstream(&buffer, &size));
    cn_status st = CN_OK;
    for (size_t i = 0; i < a->texts.count && st == CN_OK; i++)
        st = print_row(tokenizer, a, a->texts.items[i], row, out, &err);
    fclose(out);
    if (st == CN_OK)
        fwrite(buffer, 1, size, stdout);
    free(buffer);
    return st == CN_OK ? EXIT_DONE : fail_error(&err, st);
}

/* Standard input: a line each, printed as they come, for lists of any length. */
static int print_stream(const cn_tokenizer *tokenizer, const struct arguments *a, int32_t *row)
{
    char *line = NULL;
    size_t room = 0, number = 0;
    ssize_t length;
    int code = EXIT_DONE;
    while (code == EXIT_DONE && (errno = 0, length = getline(&line, &room, stdin)) >= 0) {
        cn_error err = {0};
        number++;
        if (length > 0 && line[length - 1] == '\n')
            line[--length] = '\0';
        if (strlen(line) != (size_t)length) {
            code = fail("standard input, line %zu: a zero byte", number);
            break;
        }
        cn_status st = print_row(tokenizer, a, line, row, stdout, &err);
        if (st != CN_OK)
            code = fail("standard input, line %zu: %s", number, err.text);
    }
    if (interrupted())
        code = 128 + interrupted();
    else if (code == EXIT_DONE && ferror(stdin))
        code = fail("standard input: %s", strerror(errno));
    free(line);
    return code;
}

static int run(int argc, char **argv)
{
    struct arguments a = {.context = CN_CONTEXT_LENGTH};
    int code = options_begin(&command_tokens, argc, argv, &a);
    if (code >= 0)
        return code;
    cn_tokenizer *tokenizer = NULL;
    cn_error err = {0};
    cn_status st = cn_tokenizer_create(&tokenizer, &err);
    if (st != CN_OK) {
        options_free(&command_tokens, &a);
        return fail_error(&err, st);
    }
    int32_t *row = need(calloc((size_t)a.context, sizeof *row));
    bool stream =
        a.texts.count == 0 || (a.texts.count == 1 && !a.texts.literal && strcmp(a.texts.items[0], "-") == 0);
    code = stream ? print_stream(tokenizer, &a, row) : print_arguments(tokenizer, &a, row);
    free(row);
    cn_tokenizer_free(tokenizer);
    options_free(&command_tokens, &a);
    return code;
}

const struct command command_tokens = {
    .name = "tokens",
    .summary = "token ids of texts, as the model reads them",
    .synopsis = "tokens [--truncate] [--context N] TEXT...\ntokens [--truncate] [--context N] < LINES",
    .description = "Prints one JSON array of token ids a line, start mark (49406) and end mark (49407) "
                   "included, for every TEXT, "
                   "or for every line of standard input when there is no TEXT or the only one is \"-\". The "
                   "ids are those of "
                   "CLIP's own tokenizer: texts are cleaned, lower-cased, split and merged; zeros that fill "
                   "the rest of a row "
                   "are left out.\n\n"
                   "A TEXT that begins like an option is written after --.",
    .examples = "The ids of a prompt:\n\n"
                "$ clipneuron tokens \"a photo of a dog\"\n\n"
                "How a rare word is cut into tokens:\n\n"
                "$ clipneuron tokens --text \"axolotl\"\n\n"
                "A long text, cut as the original does when asked:\n\n"
                "$ clipneuron tokens --truncate --context 8 \"a photo of a very long and winding road\"\n\n"
                "A list of words:\n\n"
                "$ printf 'spider\\nweb\\n' | clipneuron tokens",
    .options = options,
    .n_options = CN_COUNT(options),
    .operand = "TEXT...",
    .operands_offset = offsetof(struct arguments, texts),
    .run = run,
};
