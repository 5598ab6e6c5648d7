/* cli/seestudy.h -- pictures of `clipneuron see` in the units of a study: how strong they are beside natural pictures, and whether they
 * drive the unit as those do. What is measured goes into the study with the picture. */
#ifndef CLI_SEESTUDY_H
#define CLI_SEESTUDY_H

#include <clipneuron/model.h>
#include <stdbool.h>

struct seestudy;

/* One picture, measured. */
struct seen {
    double value, sd;  /* the unit's activation at the study's site; in sd units */
    double natural_sd; /* of the strongest natural picture */
    double path;       /* NaN: the study has too few pictures */
};

/* Reports: no study, of another model. model and path are borrowed. */
int seestudy_open(struct seestudy **out, const cn_model *model, const char *path, int threads);
void seestudy_close(struct seestudy *s);
/* Whether the objective is a unit of the study, which alone can be measured there. */
bool seestudy_has(struct seestudy *s, const char *objective);
/* Whether the study keeps a picture of it with these settings. facet NULL: plain. */
bool seestudy_keeps(struct seestudy *s, const char *objective, const char *facet, const char *settings);
/* Measures the picture in a file and keeps it. drop_alpha: its transparency is not part of what was optimised; else it is laid over grey.
 * Reports. */
int seestudy_take(struct seestudy *s, const char *objective, const char *facet, const char *settings, const char *file, bool drop_alpha,
                  struct seen *out);

#endif
