/* compose/attackpictures.h -- a sample of the pictures of a collection or a study, decoded and cropped. */
#ifndef COMPOSE_ATTACKPICTURES_H
#define COMPOSE_ATTACKPICTURES_H

#include "compose/attackset.h"

/* Fills pictures, rgb, n, failed and collection_name; labels become classes by `add` unless there are classes already. */
/* also: labels of which all pictures are taken, behind the sample. */
cn_status attack_pictures_read(attack_set *s, const char *collection, const char *const *also, size_t n_also,
                               cn_status (*add)(attack_set *s, const char *name, cn_error *err), cn_error *err);
/* Whether a collection is named by its study. CN_OK; CN_ENOMEM */
cn_status attack_is_study(const char *collection, bool *is, cn_error *err);

#endif
