/* cli/columns.h -- the sites and units that `activations` was asked for. */
#ifndef CLI_COLUMNS_H
#define CLI_COLUMNS_H

#include "options.h"
#include "reduce.h"

/* One site, with room for its rows: all of them for .npz, else those of one batch. */
struct column {
    char *name; /* as the user wrote it */
    struct selection selection;
    int64_t *units;
    size_t item_values, item_where; /* numbers for one image or text */
    float *values;
    int32_t *where;
};

struct columns {
    struct column *items;
    size_t count;
};

/* Reads --site and --unit: a column for each site, under the name that was written, with the units that
 * were named for it, or all. With neither, the model's default site. Reports; EXIT_DONE or an exit code. */
int columns_find(struct columns *columns, const cn_model *model, const struct words *sites,
                 const struct words *units);
void columns_free(struct columns *columns);

#endif
