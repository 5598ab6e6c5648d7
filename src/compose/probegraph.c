/* compose/probegraph.c -- classes and the units of their equations: two columns with ribbons between them, or Graphviz's text. */
#include "base/memory.h"
#include "compose/probeparts.h"
#include "file/output.h"
#include "study/plot.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ROW 17.0    /* points from one name to the next */
#define MARGIN 14.0
#define NAMES 200.0 /* points for a column of names */
#define GAP 340.0   /* between them */
#define TITLE 32.0
#define TOP (TITLE + 40.0)

typedef struct node {
    size_t number; /* of the class; of the unit's first term */
    double place;  /* what the column is ordered by */
    double total;  /* of |weight| */
} node;

typedef struct graph {
    const cn_probe *p;
    node *classes, *units;
    size_t n_classes, n_units;
    size_t *row_of_unit; /* (units of the site): its row + 1; 0: not drawn */
    size_t *row_of_class;
    double least, most;  /* weights */
    const char *title;
} graph;

static int by_place(const void *a, const void *b)
{
    const node *x = a, *y = b;
    return x->place != y->place ? (x->place < y->place ? -1 : 1) : x->number < y->number ? -1 : x->number > y->number;
}

static bool shown(const graph *g, const cn_probe_term *t)
{
    return t->weight != 0 && fabs(t->weight) >= g->least;
}

static void number_rows(graph *g)
{
    for (size_t i = 0; i < g->n_units; i++)
        g->row_of_unit[g->p->terms[g->units[i].number].unit] = i + 1;
    for (size_t i = 0; i < g->n_classes; i++)
        g->row_of_class[g->classes[i].number] = i;
}

/* Orders each column by the mean height of what its nodes are tied to, a few times over: fewer lines cross. */
static void untangle(graph *g)
{
    double *sum = cn_calloc((size_t)g->p->units + g->p->n_classes, sizeof *sum), *of_class = sum ? sum + g->p->units : NULL;
    for (int round = 0; sum && round < 12; round++) {
        const bool units = round % 2 == 0;
        memset(sum, 0, ((size_t)g->p->units + g->p->n_classes) * sizeof *sum);
        number_rows(g);
        for (size_t i = 0; i < g->n_classes; i++) {
            const cn_probe_class *c = &g->p->classes[g->classes[i].number];
            for (size_t t = c->first; t < c->first + c->n; t++) {
                const cn_probe_term *x = &g->p->terms[t];
                if (!shown(g, x))
                    continue;
                if (units)
                    sum[x->unit] += fabs(x->weight) * (double)i / (double)g->n_classes;
                else
                    of_class[g->classes[i].number] += fabs(x->weight) * (double)(g->row_of_unit[x->unit] - 1) / (double)g->n_units;
            }
        }
        if (units) {
            for (size_t i = 0; i < g->n_units; i++)
                g->units[i].place = sum[g->p->terms[g->units[i].number].unit] / g->units[i].total;
            qsort(g->units, g->n_units, sizeof *g->units, by_place);
        } else {
            for (size_t i = 0; i < g->n_classes; i++)
                g->classes[i].place = of_class[g->classes[i].number] / g->classes[i].total;
            qsort(g->classes, g->n_classes, sizeof *g->classes, by_place);
        }
    }
    number_rows(g);
    cn_free(sum);
}

static cn_status collect(graph *g, const cn_probe *p, const cn_probe_graph_options *o, cn_error *err)
{
    cn_status st = CN_OK;
    g->p = p;
    g->least = o ? o->least : 0;
    g->classes = cn_calloc(p->n_classes, sizeof *g->classes);
    g->units = cn_calloc((size_t)p->units + 1, sizeof *g->units);
    g->row_of_unit = cn_calloc((size_t)p->units + 1, sizeof *g->row_of_unit);
    g->row_of_class = cn_calloc(p->n_classes, sizeof *g->row_of_class);
    CN_CHECK(g->classes && g->units && g->row_of_unit && g->row_of_class, CN_ENOMEM, "out of memory for a graph");
    const size_t n = o && o->classes ? o->n_classes : p->n_classes;
    for (size_t i = 0; i < n; i++) {
        const size_t k = o && o->classes ? o->classes[i] : i;
        CN_CHECK(k < p->n_classes, CN_EINVAL, "class %zu: the probe has %zu", k, p->n_classes);
        const cn_probe_class *c = &p->classes[k];
        double total = 0;
        bool twice = false;
        for (size_t j = 0; j < g->n_classes; j++)
            twice = twice || g->classes[j].number == k;
        for (size_t t = c->first; !twice && t < c->first + c->n; t++) {
            const cn_probe_term *x = &p->terms[t];
            if (!shown(g, x))
                continue;
            total += fabs(x->weight);
            g->most = fmax(g->most, fabs(x->weight));
            if (!g->row_of_unit[x->unit]) {
                g->units[g->n_units++].number = t;
                g->row_of_unit[x->unit] = g->n_units;
            }
            g->units[g->row_of_unit[x->unit] - 1].total += fabs(x->weight);
        }
        if (total > 0)
            g->classes[g->n_classes++] = (node){.number = k, .total = total};
    }
    CN_CHECK(g->n_classes, CN_EINVAL, "no class has a weight to draw");
    CN_CHECK(g->n_classes + g->n_units <= CN_MAX_PROBE_GRAPH, CN_ELIMIT, "a graph of %zu classes and units; at most %d", g->n_classes + g->n_units,
             CN_MAX_PROBE_GRAPH);
    untangle(g);
done:
    return st;
}

static void graph_free(graph *g)
{
    cn_free(g->classes);
    cn_free(g->units);
    cn_free(g->row_of_unit);
    cn_free(g->row_of_class);
}

/* ---- drawing ---- */

static double height_of(const graph *g)
{
    const size_t rows = g->n_classes > g->n_units ? g->n_classes : g->n_units;
    return TOP + (double)rows * ROW + MARGIN + 24;
}

/* Room for the classes' names: as long as they are, about 7 points a letter. */
static double class_room(const graph *g)
{
    size_t longest = strlen(g->p->column);
    for (size_t i = 0; i < g->n_classes; i++) {
        const size_t length = strlen(g->p->classes[g->classes[i].number].name);
        longest = length > longest ? length : longest;
    }
    return fmin(NAMES, 16 + 7.2 * (double)longest);
}

/* The middle of row i of n, which are spread over the whole height. */
static double middle(const graph *g, size_t i, size_t n)
{
    const double room = height_of(g) - TOP - MARGIN - 24;
    return TOP + room * ((double)i + 0.5) / (double)n;
}

static void draw(plot *p, const void *what)
{
    const graph *g = what;
    const double left = MARGIN + NAMES, right = left + GAP;
    const plot_style heading = {.size = PLOT_TEXT, .bold = true, .colour = p->colours->ink};
    plot_style s = heading;
    s.align = 1;
    plot_text(p, MARGIN, TITLE / 2 + 6, (plot_style){.size = PLOT_TEXT + 3, .bold = true, .colour = p->colours->ink, .room = p->width - 2 * MARGIN}, g->title);
    plot_text(p, left - 6, TITLE + 20, s, "units");
    plot_text(p, right + 6, TITLE + 20, heading, g->p->column);
    for (size_t i = 0; i < g->n_classes; i++) {
        const cn_probe_class *c = &g->p->classes[g->classes[i].number];
        for (size_t t = c->first; t < c->first + c->n; t++) {
            const cn_probe_term *x = &g->p->terms[t];
            if (!shown(g, x))
                continue;
            const double y1 = middle(g, g->row_of_unit[x->unit] - 1, g->n_units), y2 = middle(g, i, g->n_classes);
            plot_ink(p, plot_series(p, x->weight > 0 ? 5 : 0), 0.75);
            cairo_set_line_width(p->cr, 0.6 + 4.4 * fabs(x->weight) / g->most);
            const double dash[] = {6, 3};
            cairo_set_dash(p->cr, dash, x->weight > 0 ? 0 : 2, 0);
            cairo_move_to(p->cr, left, y1);
            cairo_curve_to(p->cr, left + GAP / 2, y1, right - GAP / 2, y2, right, y2);
            cairo_stroke(p->cr);
        }
    }
    cairo_set_dash(p->cr, NULL, 0, 0);
    const plot_style unit = {.size = PLOT_TEXT, .colour = p->colours->ink, .align = 1, .room = NAMES - 10},
                     class = {.size = PLOT_TEXT, .colour = p->colours->ink, .room = class_room(g) - 6};
    for (size_t i = 0; i < g->n_units; i++) {
        const cn_probe_term *x = &g->p->terms[g->units[i].number];
        char text[256];
        snprintf(text, sizeof text, "%" PRId64 "  %.200s", x->unit, x->name);
        plot_text(p, left - 6, middle(g, i, g->n_units), unit, text);
    }
    for (size_t i = 0; i < g->n_classes; i++)
        plot_text(p, right + 6, middle(g, i, g->n_classes), class, g->p->classes[g->classes[i].number].name);
    char note[160];
    snprintf(note, sizeof note, "Width: weight in nats a standard deviation, up to %.2f; dashed: negative.", g->most);
    plot_text(p, MARGIN, p->height - MARGIN, (plot_style){.size = PLOT_TEXT, .colour = p->colours->soft}, note);
}

/* ---- Graphviz ---- */

static cn_status quote(output *out, const char *text, cn_error *err)
{
    cn_status st = CN_OK;
    CN_TRY(output_text(out, "\"", err));
    for (const char *c = text; *c; c++) {
        const char one[3] = {'\\', *c, 0};
        CN_TRY(output_text(out, *c == '"' || *c == '\\' ? one : (unsigned char)*c < ' ' ? "?" : one + 1, err));
    }
    CN_TRY(output_text(out, "\"", err));
done:
    return st;
}

static cn_status write_dot(const graph *g, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    output *out = NULL;
    CN_TRY(output_open(&out, path, err));
    CN_TRY(output_text(out, "digraph probe {\n  rankdir=LR;\n  node [shape=box];\n", err));
    for (size_t i = 0; i < g->n_units; i++) {
        const cn_probe_term *x = &g->p->terms[g->units[i].number];
        CN_TRY(output_printf(out, err, "  u%" PRId64 " [style=rounded, label=", x->unit));
        CN_TRY(quote(out, x->name, err));
        CN_TRY(output_printf(out, err, ", unit=%" PRId64 "];\n", x->unit));
    }
    for (size_t i = 0; i < g->n_classes; i++) {
        CN_TRY(output_printf(out, err, "  c%zu [label=", g->classes[i].number));
        CN_TRY(quote(out, g->p->classes[g->classes[i].number].name, err));
        CN_TRY(output_text(out, "];\n", err));
    }
    for (size_t i = 0; i < g->n_classes; i++) {
        const cn_probe_class *c = &g->p->classes[g->classes[i].number];
        for (size_t t = c->first; t < c->first + c->n; t++)
            if (shown(g, &g->p->terms[t]))
                CN_TRY(output_printf(out, err, "  u%" PRId64 " -> c%zu [weight_nats=%.6g, penwidth=%.2f, label=\"%.2f\"%s];\n",
                                     g->p->terms[t].unit, g->classes[i].number, g->p->terms[t].weight,
                                     0.6 + 4.4 * fabs(g->p->terms[t].weight) / g->most, g->p->terms[t].weight,
                                     g->p->terms[t].weight < 0 ? ", style=dashed" : ""));
    }
    CN_TRY(output_text(out, "}\n", err));
    output *complete = out;
    out = NULL;
    CN_TRY(output_commit(complete, err));
done:
    output_discard(out);
    return st;
}

cn_status cn_probe_write_graph(const cn_probe *p, const char *path, const cn_probe_graph_options *o, cn_error *err)
{
    cn_status st = CN_OK;
    graph g = {0};
    const size_t length = strlen(path);
    CN_TRY(collect(&g, p, o, err));
    if (length > 4 && strcasecmp(path + length - 4, ".dot") == 0) {
        CN_TRY(write_dot(&g, path, err));
    } else {
        char title[512], text[256];
        snprintf(title, sizeof title, "Classes of %.200s as sums of units of %.200s", p->column, p->site);
        snprintf(text, sizeof text, "%zu classes and %zu units, weights in nats a standard deviation; the largest is %.2f", g.n_classes, g.n_units,
                 g.most);
        g.title = title;
        CN_TRY(plot_write(path, o ? o->theme : CN_PLOT_LIGHT, 2 * MARGIN + NAMES + GAP + class_room(&g), height_of(&g), title, text, draw, &g, err));
    }
done:
    graph_free(&g);
    return st;
}
