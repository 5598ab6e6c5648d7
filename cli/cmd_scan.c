/* cli/cmd_scan.c -- `clipneuron scan`: a collection of pictures to a study. */
#include "commands.h"
#include "edits.h"
#include "models.h"
#include "pictures.h"
#include "progress.h"
#include "report.h"
#include "scanning.h"

#include <clipneuron/study.h>
#include <stdio.h>
#include <string.h>

struct arguments {
    struct edit_arguments edit;
    cn_edits *edits; /* what edit comes to */
    struct image_arguments image;
    cn_image_options reading; /* what image comes to */
    struct model_arguments model;
    struct run_arguments run;
    struct words sites, folders;
    struct word_arguments words;
    const char *output, *labels;
    int reduce, matrices;
    const char *shard;
    int shard_number, shards; /* what it comes to */
    int64_t top, bottom, buckets, per_bucket, seed, thumbnail, save_every;
    bool force, discard, restart;
    struct scan_show show;
};

static const char *const reduce_choices[] = {"mean", "max", "class", NULL};
static const char *const matrix_choices[] = {"fp32", "fp16", "none", NULL};

/* clang-format off */
static const struct option options[] = {
    MODEL_OPTIONS(struct arguments, model),
    {'o', "output", OPTION_TEXT, offsetof(struct arguments, output), "STUDY",
     "The folder to make. It appears when the scan is complete. Required."},
    {'s', "site", OPTION_WORDS, offsetof(struct arguments, sites), "SITE",
     "Whose units to study; may be repeated. Default: the sum before the last ReLU of a ResNet, the last MLP "
     "activation of a ViT."},
    {'r', "reduce", OPTION_CHOICE, offsetof(struct arguments, reduce), "HOW",
     "What a unit's activation on a picture is: its mean or its max over space, or (class) its value at the class token of a ViT. "
     "Default: mean, as in the paper.", 0, 0,
     reduce_choices},
    {0, "labels", OPTION_TEXT, offsetof(struct arguments, labels), "FILE",
     "A CSV with a column path and any of label, medium, source, licence, caption. Default: labels.csv in the folder "
     "or beside it; a picture without a label takes its folder's name."},
    WORD_OPTIONS(struct arguments, words),
    {0, "top", OPTION_COUNT, offsetof(struct arguments, top), "N", "Strongest examples kept a unit. Default: 24.", 1,
     CN_MAX_STUDY_EXAMPLES},
    {0, "bottom", OPTION_COUNT, offsetof(struct arguments, bottom), "N",
     "Most inhibiting examples kept a unit. Default: 12.", 1, CN_MAX_STUDY_EXAMPLES},
    {0, "buckets", OPTION_COUNT, offsetof(struct arguments, buckets), "N",
     "Levels of activation from which pictures are sampled. Default: 10.", 1, 64},
    {0, "per-bucket", OPTION_COUNT, offsetof(struct arguments, per_bucket), "N", "Pictures from each. Default: 6.", 1,
     CN_MAX_STUDY_EXAMPLES},
    {0, "seed", OPTION_COUNT, offsetof(struct arguments, seed), "N", "Of that sample. Default: 0.", 0, INT64_MAX},
    {0, "thumbnail", OPTION_COUNT, offsetof(struct arguments, thumbnail), "PX",
     "Side of the pictures kept for cards. Default: the model's input, at most 128.", 16, 1024},
    {0, "matrices", OPTION_CHOICE, offsetof(struct arguments, matrices), "TYPE",
     "Of the images x units .npy files in the study: fp32, fp16 or none. Default: fp32.", 0, 0, matrix_choices},
    EDIT_OPTIONS(struct arguments, edit),
    IMAGE_OPTIONS(struct arguments, image),
    {0, "show", OPTION_COUNT, offsetof(struct arguments, show.units), "N", "Units in the table at the end. Default: 24.", 0, 100000},
    {0, "shard", OPTION_TEXT, offsetof(struct arguments, shard), "I/N",
     "Do part I of N only (every N-th picture): 'clipneuron merge' puts the parts together. A part that is done is left alone."},
    {0, "restart", OPTION_FLAG, offsetof(struct arguments, restart), NULL,
     "Begin anew where an unfinished scan could go on."},
    {0, "save-every", OPTION_COUNT, offsetof(struct arguments, save_every), "S",
     "Seconds between two saves, at least. Default: 5.", 1, 86400},
    REPLACE_OPTIONS(struct arguments, force, discard),
    {0, "json", OPTION_FLAG, offsetof(struct arguments, show.json), NULL, "Print JSON in place of the table."},
    RUN_OPTIONS(struct arguments, run),
    {'q', "quiet", OPTION_FLAG, offsetof(struct arguments, show.quiet), NULL, "No progress and no notes."},
};
/* clang-format on */

static int scan(struct arguments *a, const cn_model *model, cn_scan_result *result)
{
    struct scan_progress progress = {.quiet = a->show.quiet, .may_be_nothing = a->shards > 1};
    static const cn_reduce reduces[] = {CN_REDUCE_MEAN, CN_REDUCE_MAX, CN_REDUCE_CLASS};
    cn_scan_options o = {
        .sites = a->sites.count ? a->sites.items : NULL,
        .n_sites = a->sites.count,
        .reduce = reduces[a->reduce],
        .labels = a->labels,
        .top = (int)a->top,
        .bottom = (int)a->bottom,
        .buckets = (int)a->buckets,
        .per_bucket = (int)a->per_bucket,
        .seed = (uint64_t)a->seed,
        .thumbnail = (int)a->thumbnail,
        .matrices = a->matrices == 1 ? CN_DTYPE_F16 : CN_DTYPE_F32,
        .no_matrices = a->matrices == 2,
        .force = a->force,
        .discard = a->discard,
        .restart = a->restart,
        .shard = a->shard_number,
        .shards = a->shards,
        .save_every = (double)a->save_every,
        .apply_orientation = a->reading.apply_orientation,
        .rgb_first = a->reading.rgb_first,
        .composite_alpha = a->reading.composite_alpha,
        .background = {a->reading.background[0], a->reading.background[1], a->reading.background[2]},
    };
    scan_fill(&o, &a->words, &a->run, &progress);
    o.more_images = a->folders.items + 1;
    o.n_more_images = a->folders.count - 1;
    if (a->edits) {
        o.edits = cn_edits_sites(a->edits, &o.n_edits);
        o.edit_text = cn_edits_text(a->edits);
    }
    cn_error err = {0};
    const cn_status st = cn_study_scan(model, a->folders.items[0], a->output, &o, result, &err);
    progress_end();
    if (progress.nothing)
        return fail("%s: no images in this collection", a->folders.items[0]);
    if (st == CN_ECANCELED && progress.done > 0)
        note(a->show.quiet, "clipneuron: stopped at %lld of %lld images; the same command goes on", (long long)progress.done,
             (long long)progress.total);
    return st == CN_OK ? EXIT_DONE : fail_error(&err, st);
}

/* "3/8" */
static int read_shard(struct arguments *a)
{
    char more;
    if (!a->shard)
        return EXIT_DONE;
    if (sscanf(a->shard, "%d/%d%c", &a->shard_number, &a->shards, &more) != 2 || a->shards < 1 || a->shards > CN_MAX_STUDY_SHARDS ||
        a->shard_number < 1 || a->shard_number > a->shards)
        return fail_usage("scan", "--shard %s: is not like 3/8, with 1 to 8 of 8 (at most %d)", a->shard, CN_MAX_STUDY_SHARDS);
    return EXIT_DONE;
}

static int run(int argc, char **argv)
{
    struct arguments a = {.show.units = 24};
    int code = options_begin(&command_scan, argc, argv, &a);
    if (code >= 0)
        return code;
    cn_model *model = NULL;
    cn_scan_result result;
    memset(&result, 0, sizeof result);
    if (a.folders.count == 0)
        code = fail_usage("scan", "no folder named");
    else if (!a.output)
        code = fail_usage("scan", "-o STUDY is missing");
    else
        code = image_options("scan", &a.image, &a.reading);
    if (code == EXIT_DONE)
        code = read_shard(&a);
    if (code == EXIT_DONE)
        code = model_open(&a.model, &model);
    if (code == EXIT_DONE)
        code = edits_open(&a.edit, model, &a.edits);
    if (code == EXIT_DONE)
        code = scan(&a, model, &result);
    if (code == EXIT_DONE && a.shards > 1)
        note(a.show.quiet, "clipneuron: part %d of %d%s: %lld images, %lld could not be read; 'clipneuron merge' puts parts together",
             a.shard_number, a.shards, result.resumed == result.images + result.failed ? " was done already" : "", (long long)result.images,
             (long long)result.failed);
    else if (code == EXIT_DONE)
        code = scan_show(a.output, &a.show, &result);
    cn_edits_free(a.edits);
    cn_model_close(model);
    options_free(&command_scan, &a);
    return code;
}

const struct command command_scan = {
    .name = "scan",
    .summary = "run a collection of pictures through a model: a study",
    .synopsis = "scan [--model M] [--site S...] DIR -o STUDY\nscan [--model M] LIST.txt|LIST.csv -o STUDY\nscan [--model M] PICTURES.tar...|PICTURES.zip -o STUDY",
    .description = "Runs all pictures below DIR (or of a list: a path a line, or a CSV with a column path; or in tar shards "
                   "or a zip) through the model and "
                   "writes a study: a folder with statistics of every unit, its strongest and most "
                   "inhibiting examples, a sample "
                   "from every level of activation, what labels and words go with it, and the images x units "
                   "matrices. At the "
                   "end it prints the most interesting units. 'clipneuron card' makes pages from a study; "
                   "neither the model nor "
                   "the pictures are needed again.\n\n"
                   "In archives, WebDataset's convention holds: KEY.txt is the caption of KEY.jpg, KEY.cls its label, KEY.json "
                   "both and more. Names with braces stand for many: 'data/shard-{0000..0999}.tar'. Compressed tars are unpacked into "
                   "$TMPDIR while they are read. Columns of a CSV and keys of a JSON that have no meaning here are kept in the "
                   "study's table fields.\n\n"
                   "Pictures that cannot be read are counted and named in the study; they do not end a scan, unless there is no other.\n\n"
                   "On a terminal a bar shows images a second, the time that is left and failures; elsewhere a JSON line a minute on "
                   "standard error says the same.\n\n"
                   "Work is saved every few seconds, in STUDY.part until it is done: after Ctrl-C, a crash or a power cut "
                   "the same command goes on, and the study is that of a scan that was left alone. With --shard a collection "
                   "is divided between processes or machines.",
    .examples = "A folder with the small model:\n\n"
                "$ clipneuron scan photos -o study\n\n"
                "Again, with other options:\n\n"
                "$ clipneuron scan --force --reduce max --show 5 photos -o study\n\n"
                "Tar shards, by name:\n\n"
                "$ clipneuron scan --no-words --show 5 'shards/{00..01}.tar' -o shards.study\n\n"
                "In two parts:\n\n"
                "$ clipneuron scan --shard 1/2 photos -o part1\n"
                "$ clipneuron scan --shard 2/2 photos -o part2\n"
                "$ clipneuron merge part1 part2 -o merged",
    .options = options,
    .n_options = CN_COUNT(options),
    .operand = "DIR",
    .operands_offset = offsetof(struct arguments, folders),
    .run = run,
};
