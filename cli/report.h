/* cli/report.h -- what the program says to people: one-line errors, escaped names, exit codes.
 * Errors go to stderr as `clipneuron: REASON`, and nothing of a failed command goes to stdout. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <clipneuron/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,       /* input, output, format, network, memory */
    EXIT_USAGE = 2,        /* the command line itself */
    EXIT_INTERRUPTED = 130 /* Ctrl-C; 128 + the signal's number in general */
};

/* Prints `clipneuron: ...` and returns EXIT_FAILED. */
int fail(const char *fmt, ...) CN_PRINTF(1, 2);
/* The library's reason; returns EXIT_INTERRUPTED for CN_ECANCELED (saying nothing when a signal came). */
int fail_error(const cn_error *err, cn_status status);
/* Prints `clipneuron: COMMAND: ...` and returns EXIT_USAGE. command may be NULL. */
int fail_usage(const char *command, const char *fmt, ...) CN_PRINTF(2, 3);
/* A line on stderr that is not a failure; nothing when quiet. */
void note(bool quiet, const char *fmt, ...) CN_PRINTF(2, 3);

/* Writes text so that a terminal shows it and does not obey it: control characters, C1 controls,
 * direction overrides and bytes that are not UTF-8 become \xNN. */
void print_safely(FILE *stream, const char *text);
/* Columns that print_safely takes, counting one for each character. */
size_t printed_width(const char *text);

/* Flushes stdout; EXIT_FAILED with a line when what was printed did not arrive (a full disk). */
int finish_stdout(int code);

/* Memory that is there or the program ends with a line; for the small things of a command line. */
void *need(void *memory);
char *need_format(const char *fmt, ...) CN_PRINTF(1, 2);

/* Whether a file name ends so, in any case: has_ending("A.NPY", ".npy"). */
bool has_ending(const char *name, const char *ending);

/* Whether a file's name has an ending, and another one: "x.txt" is wrong for ".npy", "x" and "/dev/null" are not. */
bool wrong_ending(const char *name, const char *ending);

/* Words to suggest for a misspelt one: the nearest of names[], or NULL when nothing is near. */
const char *nearest(const char *word, const char *const *names, size_t count);

#endif
