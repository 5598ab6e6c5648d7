/* cli/cmd_pixels.c -- `clipneuron pixels`: images to what the network is shown. */
#include "commands.h"
#include "pictures.h"
#include "progress.h"
#include "report.h"

#include <clipneuron/array.h>

struct arguments {
    struct image_arguments image;
    cn_image_options reading; /* what image comes to */
    int64_t size, threads;
    const char *output;
    bool skip_bad, quiet;
    struct words files;
};

/* clang-format off */
static const struct option options[] = {
    {'s', "size", OPTION_COUNT, offsetof(struct arguments, size), "R",
     "Side of the square in pixels, e.g. 224 or 288 (RN50x4). Required.", 1, 8192},
    {'o', "output", OPTION_TEXT, offsetof(struct arguments, output), "FILE", "Where the .npy goes. Required."},
    {'t', "threads", OPTION_COUNT, offsetof(struct arguments, threads), "N", "Decoding threads. Default: all cores.",
     1, 1024},
    IMAGE_OPTIONS(struct arguments, image),
    {0, "skip-bad", OPTION_FLAG, offsetof(struct arguments, skip_bad), NULL,
     "Name images that cannot be read on stderr and leave their rows zero, where otherwise nothing is written."},
    {'q', "quiet", OPTION_FLAG, offsetof(struct arguments, quiet), NULL, "No progress and no notes."},
};
/* clang-format on */

static int write_pixels(const struct arguments *a, const struct pictures *pictures)
{
    struct picture_reader *reader = NULL;
    cn_npy_writer *writer = NULL;
    cn_error err = {0};
    const int64_t shape[4] = {(int64_t)pictures->count, a->size, a->size, 3};
    cn_status st = cn_npy_writer_open(&writer, a->output, CN_DTYPE_U8, 4, shape, &err);
    if (st != CN_OK)
        return fail_error(&err, st);
    const struct reading how = {a->skip_bad, a->reading, a->quiet};
    int code = pictures_read(&reader, pictures, (int)a->size, 8, (int)a->threads, how);
    progress_start("images", (int64_t)pictures->count, PROGRESS_ITEMS, a->quiet);
    while (code == EXIT_DONE) {
        struct picture_batch batch;
        code = pictures_next(reader, &batch);
        if (code != EXIT_DONE || batch.n == 0)
            break;
        st = cn_npy_writer_rows(writer, batch.rgb, (int64_t)batch.n, &err);
        if (st != CN_OK)
            code = fail_error(&err, st);
        progress_set((int64_t)(batch.first + batch.n), (int64_t)pictures->count, 0);
    }
    progress_end();
    if (code == EXIT_DONE) {
        st = cn_npy_writer_finish(writer, &err);
        code = st == CN_OK ? EXIT_DONE : fail_error(&err, st);
    } else {
        cn_npy_writer_discard(writer);
    }
    pictures_close(reader);
    return code;
}

static int run(int argc, char **argv)
{
    struct arguments a = {0};
    int code = options_begin(&command_pixels, argc, argv, &a);
    if (code >= 0)
        return code;
    struct pictures pictures = {0};
    if (!a.size)
        code = fail_usage("pixels", "--size is missing");
    else if (!a.output)
        code = fail_usage("pixels", "-o FILE is missing");
    else if (wrong_ending(a.output, ".npy"))
        code = fail_usage("pixels", "the output must end in .npy, not '%s'", a.output);
    else if (!a.files.count)
        code = fail_usage("pixels", "no image named");
    else
        code = image_options("pixels", &a.image, &a.reading);
    if (code == EXIT_DONE)
        code = pictures_find(&pictures, &a.files);
    if (code == EXIT_DONE)
        code = write_pixels(&a, &pictures);
    pictures_free(&pictures);
    options_free(&command_pixels, &a);
    return code;
}

const struct command command_pixels = {
    .name = "pixels",
    .summary = "images after resize and crop, as the model sees them",
    .synopsis = "pixels --size R FILE... -o OUT.npy",
    .description = "Writes uint8 RGB pixels of shape (n, R, R, 3): the shorter side resized to R pixels with "
                   "Pillow's bicubic "
                   "filter, byte for byte, and the centre cropped, as in CLIP's own preprocessing. The "
                   "network takes these after "
                   "normalisation.\n\n" IMAGES_HELP,
    .examples = "What RN50x4 sees of a photograph:\n\n"
                "$ clipneuron pixels --size 288 cat.png -o pixels.npy\n\n"
                "A folder of pictures:\n\n"
                "$ clipneuron pixels --size 64 photos -o pixels.npy",
    .options = options,
    .n_options = CN_COUNT(options),
    .operand = "FILE...",
    .operands_offset = offsetof(struct arguments, files),
    .run = run,
};
