/* cli/cmd_embed.c -- `clipneuron embed`: images and texts to vectors in one space. */
#include "commands.h"
#include "edits.h"
#include "images.h"
#include "report.h"
#include "texts.h"
#include "vectors.h"

#include <clipneuron/array.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct arguments {
    struct image_arguments image;
    cn_image_options reading; /* what image comes to */
    struct model_arguments model;
    struct run_arguments run;
    struct edit_arguments edit;
    cn_edits *edits; /* what edit comes to */
    struct words images, texts, text_files;
    const char *output;
    bool truncate, normalise, skip_bad, quiet;
};

/* clang-format off */
static const struct option options[] = {
    MODEL_OPTIONS(struct arguments, model),
    {'i', "image", OPTION_GREEDY, offsetof(struct arguments, images), "FILE...",
     "Images, up to the next option; may be repeated. Folders and @lists too."},
    {0, "text", OPTION_GREEDY, offsetof(struct arguments, texts), "TEXT...",
     "Texts, up to the next option; may be repeated. A text that begins like an option: --text=TEXT."},
    {0, "texts", OPTION_WORDS, offsetof(struct arguments, text_files), "FILE",
     "Texts from a file, one a line; - reads standard input. They come after those of --text."},
    {'o', "output", OPTION_TEXT, offsetof(struct arguments, output), "FILE",
     "OUT.npy: one array of images or of texts. OUT.npz: arrays named image and text. Required."},
    {0, "normalise", OPTION_FLAG, offsetof(struct arguments, normalise), NULL,
     "Scale every embedding to length 1, so that dot products are cosines."},
    {0, "truncate", OPTION_FLAG, offsetof(struct arguments, truncate), NULL,
     "Cut texts that are too long for the model; otherwise they are an error."},
    EDIT_OPTIONS(struct arguments, edit),
    IMAGE_OPTIONS(struct arguments, image),
    {0, "skip-bad", OPTION_FLAG, offsetof(struct arguments, skip_bad), NULL,
     "Name images that cannot be read on stderr and give them rows of NaN, where otherwise nothing is written."},
    RUN_OPTIONS(struct arguments, run),
    {'q', "quiet", OPTION_FLAG, offsetof(struct arguments, quiet), NULL, "No progress and no notes."},
};
/* clang-format on */

/* Where rows go: a .npy as they come, or memory for a .npz. */
struct sink {
    size_t width;
    bool normalise;
    float *rows;           /* all of them (.npz), or one batch */
    cn_npy_writer *writer; /* NULL for a .npz */
};

static int take(struct sink *sink, const float *embedding, const bool *good, size_t first, size_t n)
{
    float *rows = sink->rows + (sink->writer ? 0 : first * sink->width);
    memcpy(rows, embedding, n * sink->width * sizeof *rows);
    if (sink->normalise)
        rows_normalise(rows, n, sink->width);
    for (size_t i = 0; good && i < n; i++)
        for (size_t k = 0; k < sink->width && !good[i]; k++)
            rows[i * sink->width + k] = NAN;
    if (!sink->writer)
        return EXIT_DONE;
    cn_error err = {0};
    cn_status st = cn_npy_writer_rows(sink->writer, rows, (int64_t)n, &err);
    return st == CN_OK ? EXIT_DONE : fail_error(&err, st);
}

static int take_images(cn_runner *runner, const struct picture_batch *batch, void *user)
{
    return take(user, cn_runner_embedding(runner), batch->good, batch->first, batch->n);
}

static int take_texts(cn_runner *runner, const struct text_batch *batch, void *user)
{
    return take(user, cn_runner_embedding(runner), NULL, batch->first, batch->n);
}

/* One kind of input through its tower into the sink. */
static int embed(const struct arguments *a, const cn_model *model, cn_tower tower,
                 const struct pictures *pictures, const struct words *texts, struct sink *sink)
{
    size_t n = tower == CN_TOWER_IMAGE ? pictures->count : texts->count;
    cn_runner_options o = runner_options(&a->run, tower, tower == CN_TOWER_IMAGE ? 8 : 32, (int64_t)n);
    o.embedding = true;
    if (tower == CN_TOWER_IMAGE)
        edits_apply(a->edits, &o);
    size_t held = sink->writer ? (size_t)o.batch : n;
    sink->rows = calloc(held ? held : 1, sink->width * sizeof *sink->rows);
    if (!sink->rows)
        return fail("out of memory for %zu embeddings; a .npy is written as they come", held);
    if (tower == CN_TOWER_IMAGE)
        return images_run(model, o, pictures, (struct reading){a->skip_bad, a->reading, a->quiet},
                          take_images, sink, NULL);
    return texts_run(model, o, texts->items, texts->count, a->truncate, a->quiet, take_texts, sink);
}

static int write_npy(const struct arguments *a, const cn_model *model, const struct pictures *pictures,
                     const struct words *texts)
{
    cn_tower tower = pictures->count ? CN_TOWER_IMAGE : CN_TOWER_TEXT;
    struct sink sink = {.width = (size_t)cn_model_get_info(model)->embedding, .normalise = a->normalise};
    const int64_t shape[2] = {(int64_t)(pictures->count ? pictures->count : texts->count),
                              (int64_t)sink.width};
    cn_error err = {0};
    cn_status st = cn_npy_writer_open(&sink.writer, a->output, CN_DTYPE_F32, 2, shape, &err);
    if (st != CN_OK)
        return fail_error(&err, st);
    int code = embed(a, model, tower, pictures, texts, &sink);
    if (code == EXIT_DONE) {
        st = cn_npy_writer_finish(sink.writer, &err);
        code = st == CN_OK ? EXIT_DONE : fail_error(&err, st);
    } else {
        cn_npy_writer_discard(sink.writer);
    }
    free(sink.rows);
    return code;
}

static int write_npz(const struct arguments *a, const cn_model *model, const struct pictures *pictures,
                     const struct words *texts)
{
    static const char *const names[] = {"image", "text"};
    cn_npz_writer *writer = NULL;
    cn_error err = {0};
    cn_status st = cn_npz_writer_open(&writer, a->output, &err);
    int code = st == CN_OK ? EXIT_DONE : fail_error(&err, st);
    for (int tower = CN_TOWER_IMAGE; tower <= CN_TOWER_TEXT && code == EXIT_DONE; tower++) {
        size_t n = tower == CN_TOWER_IMAGE ? pictures->count : texts->count;
        if (n == 0)
            continue;
        struct sink sink = {.width = (size_t)cn_model_get_info(model)->embedding, .normalise = a->normalise};
        code = embed(a, model, (cn_tower)tower, pictures, texts, &sink);
        const int64_t shape[2] = {(int64_t)n, (int64_t)sink.width};
        if (code == EXIT_DONE) {
            st = cn_npz_writer_add(writer, names[tower], CN_DTYPE_F32, 2, shape, sink.rows, &err);
            code = st == CN_OK ? EXIT_DONE : fail_error(&err, st);
        }
        free(sink.rows);
    }
    if (code != EXIT_DONE) {
        cn_npz_writer_discard(writer);
        return code;
    }
    st = cn_npz_writer_finish(writer, &err);
    return st == CN_OK ? EXIT_DONE : fail_error(&err, st);
}

static int run(int argc, char **argv)
{
    struct arguments a = {0};
    int code = options_begin(&command_embed, argc, argv, &a);
    if (code >= 0)
        return code;
    struct pictures pictures = {0};
    struct lines *files = need(calloc(a.text_files.count + 1, sizeof *files));
    cn_model *model = NULL;
    bool npz = a.output && has_ending(a.output, ".npz");
    code = EXIT_DONE;
    if (!a.output)
        code = fail_usage("embed", "-o FILE is missing");
    else if (!npz && wrong_ending(a.output, ".npy"))
        code = fail_usage("embed", "the output must end in .npy or .npz, not '%s'", a.output);
    else if (!a.images.count && !a.texts.count && !a.text_files.count)
        code = fail_usage("embed", "name images with --image or texts with --text");
    else if (!npz && a.images.count && (a.texts.count || a.text_files.count))
        code = fail_usage("embed", "images and texts together need -o OUT.npz");
    for (size_t i = 0; i < a.text_files.count && code == EXIT_DONE; i++) {
        code = lines_read(&files[i], a.text_files.items[i], false);
        for (size_t k = 0; k < files[i].count; k++)
            words_add(&a.texts, files[i].items[k]);
    }
    if (code == EXIT_DONE && !a.images.count && !a.texts.count)
        code = fail("%s: no texts in this file", a.text_files.items[0]);
    if (code == EXIT_DONE)
        code = image_options("embed", &a.image, &a.reading);
    if (code == EXIT_DONE)
        code = pictures_find(&pictures, &a.images);
    if (code == EXIT_DONE)
        code = model_open(&a.model, &model);
    if (code == EXIT_DONE)
        code = edits_open(&a.edit, model, &a.edits);
    if (code == EXIT_DONE)
        code = (npz ? write_npz : write_npy)(&a, model, &pictures, &a.texts);
    cn_edits_free(a.edits);
    cn_model_close(model);
    pictures_free(&pictures);
    for (size_t i = 0; i < a.text_files.count; i++)
        lines_free(&files[i]);
    free(files);
    options_free(&command_embed, &a);
    return code;
}

const struct command command_embed = {
    .name = "embed",
    .summary = "embeddings of images or texts as numpy arrays",
    .synopsis = "embed [--model M] --image FILE... -o OUT.npy\n"
                "embed [--model M] --text TEXT... -o OUT.npy\n"
                "embed [--model M] --image FILE... --text TEXT... -o OUT.npz",
    .description = "Writes the output of the image or text tower, float32 of shape (n, embedding), one row "
                   "for every image or "
                   "text in the order of the arguments, before normalisation. The cosine of an image's row "
                   "and a text's row is "
                   "what CLIP was trained on.\n\n" IMAGES_HELP
                   "\n\nOutput appears when it is complete; a failure leaves nothing behind.",
    .examples = "Two pictures:\n\n"
                "$ clipneuron embed --image cat.png rocket.jpg -o images.npy\n\n"
                "Three prompts, as unit vectors:\n\n"
                "$ clipneuron embed --text \"a cat\" \"a rocket\" \"a diagram\" --normalise -o texts.npy\n\n"
                "A folder and a list of words in one file:\n\n"
                "$ printf 'happy\\nsad\\n' > words.txt\n"
                "$ clipneuron embed --image photos --texts words.txt -o both.npz",
    .options = options,
    .n_options = CN_COUNT(options),
    .run = run,
};
