/* cli/cmd_merge.c -- `clipneuron merge`: the parts of a divided scan to a study. */
#include "commands.h"
#include "models.h"
#include "pictures.h"
#include "progress.h"
#include "report.h"
#include "scanning.h"

#include <clipneuron/study.h>
#include <string.h>

struct arguments {
    struct model_arguments model;
    struct run_arguments run;
    struct words parts;
    struct word_arguments words;
    const char *output;
    bool force, discard;
    struct scan_show show;
};

/* clang-format off */
static const struct option options[] = {
    MODEL_OPTIONS(struct arguments, model),
    {'o', "output", OPTION_TEXT, offsetof(struct arguments, output), "STUDY", "The folder to make. Required."},
    WORD_OPTIONS(struct arguments, words),
    {0, "show", OPTION_COUNT, offsetof(struct arguments, show.units), "N", "Units in the table at the end. Default: 24.", 0, 100000},
    REPLACE_OPTIONS(struct arguments, force, discard),
    {0, "json", OPTION_FLAG, offsetof(struct arguments, show.json), NULL, "Print JSON in place of the table."},
    RUN_OPTIONS(struct arguments, run),
    {'q', "quiet", OPTION_FLAG, offsetof(struct arguments, show.quiet), NULL, "No progress and no notes."},
};
/* clang-format on */

static int merge(const struct arguments *a, const cn_model *model, cn_scan_result *result)
{
    struct scan_progress progress = {.quiet = a->show.quiet, .may_be_nothing = true};
    cn_scan_options o = {.force = a->force, .discard = a->discard};
    scan_fill(&o, &a->words, &a->run, &progress);
    cn_error err = {0};
    const cn_status st = cn_study_merge(model, a->parts.items, a->parts.count, a->output, &o, result, &err);
    progress_end();
    return st == CN_OK ? EXIT_DONE : fail_error(&err, st);
}

static int run(int argc, char **argv)
{
    struct arguments a = {.show.units = 24};
    int code = options_begin(&command_merge, argc, argv, &a);
    if (code >= 0)
        return code;
    cn_model *model = NULL;
    cn_scan_result result;
    memset(&result, 0, sizeof result);
    if (a.parts.count == 0)
        code = fail_usage("merge", "no part named");
    else if (!a.output)
        code = fail_usage("merge", "-o STUDY is missing");
    else
        code = model_open(&a.model, &model);
    if (code == EXIT_DONE)
        code = merge(&a, model, &result);
    if (code == EXIT_DONE)
        code = scan_show(a.output, &a.show, &result);
    cn_model_close(model);
    options_free(&command_merge, &a);
    return code;
}

const struct command command_merge = {
    .name = "merge",
    .summary = "put the parts of a divided scan together: a study",
    .synopsis = "merge [--model M] PART... -o STUDY",
    .description = "Makes the study that one scan of the whole collection would have made from the parts that 'clipneuron scan "
                   "--shard' left, in any order. Counts, histograms and examples are the same row for row, sums up to rounding. The "
                   "model is needed for the nearest words. The parts stay.",
    .examples = "The parts of a job array:\n\n"
                "    clipneuron merge parts/* -o study",
    .options = options,
    .n_options = CN_COUNT(options),
    .operand = "PART",
    .operands_offset = offsetof(struct arguments, parts),
    .run = run,
};
