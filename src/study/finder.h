/* study/finder.h -- everything that asking a study for texts needs, read once. The model's part comes from a source and from
 * directions, so that tests can invent both. */
#ifndef STUDY_FINDER_H
#define STUDY_FINDER_H

#include "clipneuron/find.h"
#include "study/corpus.h"

/* What a model says, borrowed. */
typedef struct finder_model {
    source *from;              /* for texts */
    const float *directions;   /* (units, embedding) of the site; NULL: none */
    const char *no_directions; /* why; static, or as long as the finder */
} finder_model;

typedef struct finder finder;

cn_status finder_open(finder **out, cn_study *s, const finder_model *model, const cn_find_options *options, cn_error *err);
cn_status finder_ask(finder *f, const char *text, cn_find_result **out, cn_error *err);
cn_status finder_measure(finder *f, cn_find_measure *out, cn_error *err);
void finder_close(finder *f);

/* Directions of a study's site in the model, owned by the caller (cn_free); NULL with the reason in `why` when the site has none. */
cn_status finder_directions(const cn_model *model, const cn_study *s, size_t site, float **out, char why[512], cn_error *err);

/* cn_find_image with a source whose only site it is. */
cn_status finder_picture(cn_study *s, source *from, const char *path, size_t site, cn_answer **out, size_t *n, cn_error *err);

/* cn_study_name with any source. model->from may be NULL where no text is embedded. */
cn_status naming_run(cn_study *s, const finder_model *model, const cn_name_options *options, cn_name_result **out, cn_error *err);
/* What names of one run have in common. */
typedef struct names_about {
    size_t site;
    const char *method, *template, *created;
    int64_t words, pictures; /* of the list; that chose */
} names_about;
/* Writes names in place of those of the same site and method, all or none. */
cn_status names_keep(cn_study *s, const names_about *about, const cn_unit_name *names, size_t n, cn_error *err);

#endif
