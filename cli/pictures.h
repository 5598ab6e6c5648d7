/* cli/pictures.h -- image arguments: files, folders and @lists become paths, and paths become batches
 * of pixels that helper threads decode ahead of the network. */
#ifndef CLI_PICTURES_H
#define CLI_PICTURES_H

#include "options.h"

#include <clipneuron/image.h>
#include <stdint.h>

#define IMAGES_HELP                                                                                     \
    "An image argument is a file (JPEG, PNG, WebP or GIF), a folder, which stands for all image files " \
    "below it in the order of their names, or @FILE, a list with one path a line (relative paths: to "  \
    "the list's folder; @- reads standard input). After -- a name means itself."

/* Paths owned by the list. */
struct pictures {
    char **paths;
    size_t count;
};
/* Reports; EXIT_DONE or an exit code. A folder without images is a failure. */
int pictures_find(struct pictures *pictures, const struct words *arguments);
void pictures_free(struct pictures *pictures);

/* One batch: rgb is (n, size, size, 3), borrowed until the next one; good[i] is false where the image
 * could not be read (its pixels are zero then). */
struct picture_batch {
    const uint8_t *rgb;
    const float *pixels; /* (n, 3, size, size) normalised; set by images_run only */
    const bool *good;
    size_t first, n, bad;
};

/* What every command that reads images lets people choose. */
struct image_arguments {
    bool rgb_first, orient;
    const char *background; /* a colour, or NULL */
};

/* How images are read. */
struct reading {
    bool skip_bad; /* a bad image is a note and not the end */
    cn_image_options image;
    bool quiet;
};

/* clang-format off */
#define IMAGE_OPTIONS(T, member) \
    {0, "rgb-first", OPTION_FLAG, offsetof(T, member.rgb_first), NULL, \
     "Convert images to RGB before the resize, as Hugging Face's CLIPImageProcessor does; the original resizes " \
     "palettes, transparency and CMYK as they are stored."}, \
    {0, "orient", OPTION_FLAG, offsetof(T, member.orient), NULL, \
     "Obey EXIF orientation, which the original code ignores."}, \
    {0, "background", OPTION_TEXT, offsetof(T, member.background), "COLOUR", \
     "Lay transparent images over a colour: white, black, grey or #RRGGBB. Default: transparency is dropped, as in " \
     "the original."}
/* clang-format on */

/* What the arguments stand for. Reports a colour that is none; EXIT_DONE or EXIT_USAGE. */
int image_options(const char *command, const struct image_arguments *a, cn_image_options *out);

struct picture_reader;
/* workers threads decode at most two batches ahead. */
int pictures_read(struct picture_reader **out, const struct pictures *pictures, int size, size_t batch,
                  int workers, struct reading how);
/* EXIT_DONE with batch->n == 0 after the last; reports and returns an exit code for the first bad
 * image in the order of the list, and when interrupted. */
int pictures_next(struct picture_reader *reader, struct picture_batch *batch);
size_t pictures_bad(const struct picture_reader *reader);
void pictures_close(struct picture_reader *reader);

/* Cores that this process may use. */
int core_count(void);

#endif
