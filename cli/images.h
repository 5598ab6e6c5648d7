/* cli/images.h -- runs images through the image tower batch by batch. */
#ifndef CLI_IMAGES_H
#define CLI_IMAGES_H

#include "models.h"
#include "pictures.h"

/* For each batch the callback gets the runner after the run and the batch; it returns an exit code. */
typedef int image_batch_callback(cn_runner *runner, const struct picture_batch *batch, void *user);
/* Reports everything. *bad gets the number of images that were skipped (NULL: not wanted). */
int images_run(const cn_model *model, cn_runner_options options, const struct pictures *pictures,
               struct reading how, image_batch_callback *each, void *user, size_t *bad);

#endif
