/* cli/scanning.h -- what scan and merge have in common: progress, and the table at the end. */
#ifndef CLI_SCANNING_H
#define CLI_SCANNING_H

#include "models.h"

#include <clipneuron/study.h>

struct word_arguments {
    const char *list, *template;
    bool none, no_labels;
};

/* clang-format off */
#define WORD_OPTIONS(T, member) \
    {0, "words", OPTION_TEXT, offsetof(T, member.list), "FILE", \
     "Words to find the nearest ones among, one a line. Default: a built-in list."}, \
    {0, "word-template", OPTION_TEXT, offsetof(T, member.template), "TEXT", \
     "A prompt with {} where the word goes. Default: the bare word."}, \
    {0, "no-words", OPTION_FLAG, offsetof(T, member.none), NULL, "Leave the nearest words out."}, \
    {0, "no-label-words", OPTION_FLAG, offsetof(T, member.no_labels), NULL, \
     "Do not add the collection's labels to the words."}
/* clang-format on */

/* clang-format off */
#define REPLACE_OPTIONS(T, force_member, discard_member) \
    {'f', "force", OPTION_FLAG, offsetof(T, force_member), NULL, \
     "Replace an older study of the same model. Answers, notes, names of your own and visualisations come along; where the new study has no place " \
     "for some, it is not replaced."}, \
    {0, "discard", OPTION_FLAG, offsetof(T, discard_member), NULL, "With --force: replace it all the same, and leave those out."}
/* clang-format on */

struct scan_progress {
    bool quiet, may_be_nothing;
    bool nothing;        /* found out while scanning: there are no pictures */
    int64_t done, total; /* images */
    double logged;       /* s: when the last line was written */
    int phase;           /* that is shown, from 1 */
    int64_t base;        /* what was done when it began: by an earlier run */
    char label[48];      /* of the bar */
};

/* A cn_scan_callback for a struct scan_progress: a bar on a terminal; elsewhere a JSON line a minute on stderr. */
bool scan_progress(const cn_scan_progress *p, void *user);

/* What both take alike, into the library's options, with scan_progress as what hears of it. */
void scan_fill(cn_scan_options *o, const struct word_arguments *words, const struct run_arguments *run, struct scan_progress *progress);

struct scan_show {
    int64_t units; /* in the table */
    bool json, quiet;
};

/* Prints the most interesting units of the study and a line about the scan; an exit code. */
int scan_show(const char *study, const struct scan_show *how, const cn_scan_result *result);

#endif
