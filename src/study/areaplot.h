/* study/areaplot.h -- P(category | activation) as a plot. */
#ifndef STUDY_AREAPLOT_H
#define STUDY_AREAPLOT_H

#include "clipneuron/rating.h"
#include "study/plot.h"

#define AREAPLOT_WIDTH 920.0
#define AREAPLOT_HEIGHT 548.0

/* A plot_draw for a cn_category_table. */
void areaplot_draw(plot *p, const void *table);
/* What raters agree on, in one line; caller's buffer, "" without raters. */
const char *areaplot_agreement(const cn_category_table *t, char *text, size_t room);

#endif
