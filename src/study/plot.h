/* study/plot.h -- plots as SVG and PNG, by Cairo and Pango: a canvas in points with a theme, text, axes, areas with
 * hatches, intervals, a legend. What is plotted is its caller's: a function that draws on an open plot. */
#ifndef STUDY_PLOT_H
#define STUDY_PLOT_H

#include "base/check.h"
#include "clipneuron/rating.h"

#include <cairo.h>
#include <pango/pangocairo.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLOT_SERIES 8 /* colours; the next ones repeat with another hatch */

#define PLOT_TEXT 12.0 /* points; an SVG holds the letters of each size, so there are few */

typedef struct plot_colour {
    double r, g, b;
} plot_colour;

typedef struct plot_colours {
    plot_colour page, ink, soft, line, edge; /* soft: small text; line: grid; edge: between areas */
    plot_colour series[PLOT_SERIES];         /* Okabe and Ito's, which colour-blind people tell apart; greys for print */
    double hatch;                            /* opacity of hatches on areas */
    bool all_hatched;                        /* from the second series on; else from the PLOT_SERIES-th */
} plot_colours;

typedef struct plot {
    cairo_t *cr;
    PangoLayout *layout;
    const plot_colours *colours;
    double width, height; /* points */
} plot;

typedef void plot_draw(plot *p, const void *what);

/* Draws and writes: .svg, or .png with two pixels a point. `title` and `description` are texts of anybody's, for those who do
 * not see the picture: they are in the SVG as text. CN_EINVAL for another ending. */
cn_status plot_write(const char *path, cn_plot_theme theme, double width, double height, const char *title, const char *description,
                     plot_draw *draw, const void *what, cn_error *err);
/* The SVG in memory, without texts. *bytes: cn_free. */
cn_status plot_svg(cn_plot_theme theme, double width, double height, plot_draw *draw, const void *what, char **bytes, size_t *size,
                   cn_error *err);

/* ---- for what draws ---- */

typedef struct plot_style {
    double size; /* points */
    bool bold;
    plot_colour colour;
    double align; /* of the text to x: 0 begins there, 0.5 is centred, 1 ends there */
    double room;  /* cut with an ellipsis beyond; 0: never */
} plot_style;

/* One line of anybody's text, its middle at the height y. Returns its width. */
double plot_text(plot *p, double x, double y, plot_style style, const char *text);
double plot_text_width(plot *p, plot_style style, const char *text);

void plot_ink(plot *p, plot_colour c, double opacity);
/* Moves two points halfway to a distance of `apart` where they are nearer; `way`: the angle between them where they are one. */
void plot_move_apart(double *x1, double *y1, double *x2, double *y2, double apart, double way);
void plot_line(plot *p, double x1, double y1, double x2, double y2, double width, plot_colour c);
void plot_box(plot *p, double x, double y, double width, double height, plot_colour c);

/* From numbers to points. */
typedef struct plot_scale {
    double low, high; /* of the data */
    double from, to;  /* where they lie */
} plot_scale;
double plot_at(const plot_scale *s, double value);

/* A line along the bottom at y, with ticks and their numbers below. */
void plot_x_axis(plot *p, const plot_scale *x, double y);
/* Shares from 0 to 100% to the left of x, with a grid to `right`. */
void plot_share_axis(plot *p, const plot_scale *y, double x, double right);

plot_colour plot_series(const plot *p, size_t series);
/* Fills the area between two lines over x, (n) points, as series i looks. */
void plot_area(plot *p, size_t series, const double *x, const double *low, const double *high, size_t n);
/* The same look in a box, for a legend. */
void plot_swatch(plot *p, size_t series, double x, double y, double width, double height);
/* A vertical interval with caps, which is seen on any area. */
void plot_interval(plot *p, double x, double low, double high);

#endif
