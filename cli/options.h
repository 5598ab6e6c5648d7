/* cli/options.h -- one table per command that both parses its arguments and writes its manual.
 * Long and short options, `--name=value`, `--name value`, `-nVALUE`, repeated options, `--`.
 * An option writes into the command's argument struct at `offset`; the struct's initial values are
 * the defaults. A word that starts with `-` but cannot be an option (`-`, `-5`, `- text`) is an operand. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef enum option_kind {
    OPTION_FLAG,   /* bool, set to true */
    OPTION_TEXT,   /* const char *, the last one wins */
    OPTION_COUNT,  /* int64_t within min..max */
    OPTION_CHOICE, /* int, the index in choices */
    OPTION_WORDS,  /* struct words, one value each time */
    OPTION_GREEDY  /* struct words, all arguments up to the next option */
} option_kind;

/* Borrowed argument strings in the order given. */
struct words {
    const char **items;
    size_t count;
    bool literal; /* some came after `--`, where "-" and "@" mean themselves */
};
void words_add(struct words *words, const char *item);
void words_free(struct words *words);

struct option {
    char letter;      /* 0: none */
    const char *name; /* without dashes */
    option_kind kind;
    size_t offset;
    const char *value; /* shown in the manual: "FILE" */
    const char *help;
    int64_t min, max;           /* COUNT */
    const char *const *choices; /* CHOICE: ends with NULL */
};

/* Of commands that have no notes: scripts may give -q to every command. */
#define QUIET_OPTION(T, member) {'q', "quiet", OPTION_FLAG, offsetof(T, member), NULL, "No notes; there are none here."}

struct command {
    const char *name;
    const char *summary;     /* one line, no full stop */
    const char *synopsis;    /* lines without the program's name */
    const char *description; /* paragraphs apart by "\n\n"; lines that start with blanks stay as they are */
    const char *examples;    /* as shown; lines "$ COMMAND" are run by the tests */
    const char *exit_status; /* beyond the general ones, or NULL */
    const struct option *options;
    size_t n_options;
    const char *operand;    /* "FILE...", or NULL when operands are refused */
    size_t operands_offset; /* of a struct words in the arguments */
    int (*run)(int argc, char **argv);
};

typedef enum parse_result { PARSE_OK, PARSE_HELP, PARSE_ERROR } parse_result;

/* argv[0] is the command's name. Reports errors itself; PARSE_HELP means that the manual was printed. */
parse_result options_parse(const struct command *command, int argc, char **argv, void *arguments);
/* Frees the word lists of the arguments. */
void options_free(const struct command *command, void *arguments);

/* Reads what --name was given as a number from least to most; *out stays where nothing was given. Reports; EXIT_DONE or EXIT_USAGE. */
int options_number(const char *command, const char *name, const char *text, double least, double most, float *out);
/* Whether a prompt has one {} where the word goes. Reports; EXIT_DONE or EXIT_USAGE. */
int options_template(const char *command, const char *text);

/* Writes the manual page of a command (help.c). */
void help_command(const struct command *command, FILE *out);

/* `if (options_parse(...)) return` in one line: evaluates to the exit code to leave with, or -1 to go on. */
int options_begin(const struct command *command, int argc, char **argv, void *arguments);

#endif
