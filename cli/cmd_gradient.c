/* cli/cmd_gradient.c -- `clipneuron gradient`: d objective / d pixels of images. */
#include "commands.h"
#include "images.h"
#include "outfile.h"
#include "report.h"

#include <clipneuron/array.h>
#include <clipneuron/objective.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct arguments {
    struct image_arguments image;
    cn_image_options reading; /* what image comes to */
    struct model_arguments model;
    struct run_arguments run;
    struct words files;
    const char *objective, *output;
    int64_t resolution, memory;
    bool values, redirect, skip_bad, quiet;
};

/* clang-format off */
static const struct option options[] = {
    MODEL_OPTIONS(struct arguments, model),
    {0, "objective", OPTION_TEXT, offsetof(struct arguments, objective), "EXPRESSION",
     "What is differentiated; see OBJECTIVES. Required."},
    {'o', "output", OPTION_TEXT, offsetof(struct arguments, output), "FILE",
     "OUT.npy: float32 (n, 3, R, R), in the scale of the normalised input. Required."},
    {0, "values", OPTION_FLAG, offsetof(struct arguments, values), NULL, "Print the objective of each image: path, tab, value."},
    {'r', "resolution", OPTION_COUNT, offsetof(struct arguments, resolution), "PX",
     "Side of the pictures. Other than the model's: its positional embedding is interpolated. Default: the model's.", 1, 8192},
    {0, "redirect-relu", OPTION_FLAG, offsetof(struct arguments, redirect), NULL,
     "Where nothing of an image's gradient would pass a ReLU since all that matters is off, let it pass except where it "
     "pushes further down, as Lucid does in the first steps of an ascent."},
    IMAGE_OPTIONS(struct arguments, image),
    {0, "skip-bad", OPTION_FLAG, offsetof(struct arguments, skip_bad), NULL,
     "Name images that cannot be read on stderr and give them gradients of NaN, where otherwise nothing is written."},
    {0, "memory", OPTION_COUNT, offsetof(struct arguments, memory), "MIB",
     "Limit of the memory for activations; what it cannot hold is computed twice. Default: none.", 1, 1 << 24},
    RUN_OPTIONS(struct arguments, run),
    {'q', "quiet", OPTION_FLAG, offsetof(struct arguments, quiet), NULL, "No progress and no notes."},
};
/* clang-format on */

struct job {
    const struct arguments *a;
    const struct pictures *pictures;
    cn_objective *objective;
    cn_npy_writer *writer;
    float *gradient, *values; /* of a batch */
    size_t image;             /* floats of one */
};

static int take(cn_runner *runner, const struct picture_batch *batch, void *user)
{
    struct job *job = user;
    cn_error err = {0};
    cn_status st = cn_objective_evaluate(job->objective, runner, batch->pixels, (int64_t)batch->n, job->values, job->gradient,
                                         job->a->redirect, &err);
    for (size_t i = 0; i < batch->n && st == CN_OK; i++) {
        for (size_t k = 0; k < job->image && !batch->good[i]; k++)
            job->gradient[i * job->image + k] = NAN;
        if (job->a->values && batch->good[i])
            printf("%s\t%.9g\n", job->pictures->paths[batch->first + i], (double)job->values[i]);
    }
    if (st == CN_OK)
        st = cn_npy_writer_rows(job->writer, job->gradient, (int64_t)batch->n, &err);
    return st == CN_OK ? EXIT_DONE : fail_error(&err, st);
}

static int differentiate(struct job *job, const cn_model *model)
{
    const struct arguments *a = job->a;
    const int64_t side = a->resolution ? a->resolution : cn_model_get_info(model)->resolution;
    const int64_t shape[4] = {(int64_t)job->pictures->count, 3, side, side};
    cn_runner_options o = runner_options(&a->run, CN_TOWER_IMAGE, 8, shape[0]);
    cn_error err = {0};
    cn_status st = cn_npy_writer_open(&job->writer, a->output, CN_DTYPE_F32, 4, shape, &err);
    if (st != CN_OK)
        return fail_error(&err, st);
    o.resolution = (int)a->resolution;
    o.activation_limit = (size_t)a->memory << 20;
    cn_objective_needs(job->objective, &o);
    job->image = (size_t)(3 * side * side);
    job->gradient = calloc((size_t)o.batch, job->image * sizeof *job->gradient);
    job->values = calloc((size_t)o.batch, sizeof *job->values);
    int code = job->gradient && job->values ? EXIT_DONE : fail("out of memory for the gradients of %lld images", (long long)o.batch);
    if (code == EXIT_DONE)
        code = images_run(model, o, job->pictures, (struct reading){a->skip_bad, a->reading, a->quiet}, take, job, NULL);
    if (code == EXIT_DONE) {
        st = cn_npy_writer_finish(job->writer, &err);
        code = st == CN_OK ? EXIT_DONE : fail_error(&err, st);
    } else {
        cn_npy_writer_discard(job->writer);
    }
    free(job->gradient);
    free(job->values);
    return code;
}

static int run(int argc, char **argv)
{
    struct arguments a = {0};
    int code = options_begin(&command_gradient, argc, argv, &a);
    if (code >= 0)
        return code;
    struct pictures pictures = {0};
    struct job job = {.a = &a, .pictures = &pictures};
    cn_model *model = NULL;
    cn_error err = {0};
    code = EXIT_DONE;
    if (!a.objective)
        code = fail_usage("gradient", "--objective EXPRESSION is missing, such as --objective layer4:89");
    else if (!a.output)
        code = fail_usage("gradient", "-o FILE is missing");
    else if (wrong_ending(a.output, ".npy"))
        code = fail_usage("gradient", "the output must end in .npy, not '%s'", a.output);
    else if (!a.files.count)
        code = fail_usage("gradient", "name images");
    if (code == EXIT_DONE)
        code = image_options("gradient", &a.image, &a.reading);
    if (code == EXIT_DONE)
        code = pictures_find(&pictures, &a.files);
    if (code == EXIT_DONE)
        code = model_open(&a.model, &model);
    if (code == EXIT_DONE) {
        const cn_status st = cn_objective_parse(&job.objective, model, a.objective, (int)a.run.threads, &err);
        code = st == CN_OK ? EXIT_DONE : fail_error(&err, st);
    }
    if (code == EXIT_DONE)
        code = differentiate(&job, model);
    cn_objective_free(job.objective);
    cn_model_close(model);
    pictures_free(&pictures);
    options_free(&command_gradient, &a);
    return code;
}

const struct command command_gradient = {
    .name = "gradient",
    .summary = "how pixels would have to change to drive units, directions or texts",
    .synopsis = "gradient [--model M] --objective EXPRESSION FILE... -o OUT.npy",
    .description = "Writes the derivatives of an objective with respect to the pixels of each image, float32 (n, 3, R, R), in the "
                   "scale of the normalised input (divide by the model's std for derivatives by pixel values in 0..1).\n\n"
                   "OBJECTIVES are terms joined by + and - with white space around them; a term, or a sum in parentheses, may have a weight, as in "
                   "\"layer4:89 - 0.5*layer4:17\":\n\n"
                   "  SITE:UNIT           a unit's mean over space; a list 3,5 or range 10-12 is a sum\n"
                   "  SITE:UNIT@ROW,COL   its value at one position; @center: in the middle\n"
                   "  SITE:FILE.npy       a direction: dot product with a vector of the site's units\n"
                   "  text:\"...\"          cosine of the image's and the text's embeddings\n"
                   "  logit:\"...\"         the same times the logit scale\n"
                   "  logit:\"...\"@P.npz   a class of a probe ('clipneuron probe -o P.npz'): its logit\n"
                   "  energy:SITE         mean square of all values, as DeepDream has it\n"
                   "  diversity:SITE      minus the mean cosine with the Gram matrices of the other images of a --batch\n"
                   "  l1, l2, tv          of the picture: distance from grey, differences of neighbours\n\n" IMAGES_HELP,
    .examples = "What drives a unit in a picture:\n\n"
                "$ clipneuron gradient --objective layer4:89 cat.png -o gradient.npy\n\n"
                "What would make it look more like one text than another, with the objective's value:\n\n"
                "$ clipneuron gradient --objective 'text:\"a cat\" - text:\"a rocket\"' --values photos -o toward.npy",
    .options = options,
    .n_options = CN_COUNT(options),
    .operand = "FILE...",
    .operands_offset = offsetof(struct arguments, files),
    .run = run,
};
