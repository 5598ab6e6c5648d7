/* compose/attackplot.c -- plots of attacks: bars of success, defence curves, the Stroop table. */
#include "clipneuron/attack.h"
#include "study/plot.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define LEFT 70.0
#define TOP 62.0
#define HEIGHT 250.0

static plot_style small(const plot *p, double align)
{
    return (plot_style){PLOT_TEXT, false, p->colours->soft, align, 0};
}

static void heading(plot *p, const char *title, const char *below)
{
    plot_text(p, 24, 24, (plot_style){PLOT_TEXT + 3, true, p->colours->ink, 0, p->width - 48}, title);
    plot_text(p, 24, 44, (plot_style){PLOT_TEXT, false, p->colours->soft, 0, p->width - 48}, below);
}

static void legend(plot *p, double x, double y, size_t series, const char *text)
{
    plot_swatch(p, series, x, y - 5, 14, 10);
    plot_text(p, x + 20, y, (plot_style){PLOT_TEXT, false, p->colours->ink, 0, p->width - x - 30}, text);
}

/* ---- success ---- */

static void draw_attack(plot *p, const void *what)
{
    const cn_attack_table *t = what;
    const plot_scale y = {0, 1, TOP + HEIGHT, TOP};
    char text[128];
    const double right = p->width - 24, group = (right - LEFT) / (double)t->n_rows, bar = 0.8 * group / (double)t->n_prompts;
    snprintf(text, sizeof text, "%" PRId64 " pictures; the target's own are left out; Wilson's 95%% intervals", t->images);
    heading(p, "Taken for the target once the text is there", text);
    plot_share_axis(p, &y, LEFT, right);
    for (size_t i = 0; i < t->n_rows; i++) {
        const cn_attack_row *r = &t->rows[i];
        const double x = LEFT + ((double)i + 0.1) * group;
        for (size_t k = 0; k < t->n_prompts; k++) {
            const cn_share *s = &r->success[k];
            const double left = x + (double)k * bar;
            if (s->of == 0)
                continue;
            if (plot_at(&y, 0) - plot_at(&y, s->share) > 0.5)
                plot_swatch(p, k, left, plot_at(&y, s->share), bar * 0.92, plot_at(&y, 0) - plot_at(&y, s->share));
            plot_interval(p, left + bar * 0.46, plot_at(&y, s->low), plot_at(&y, s->high));
        }
        plot_text(p, x + 0.4 * group, TOP + HEIGHT + 16, (plot_style){PLOT_TEXT, true, p->colours->ink, 0.5, group - 6}, r->target);
        const bool other = strcmp(r->target, r->text) != 0; /* else its own name is written: once is enough */
        if (other)
            plot_text(p, x + 0.4 * group, TOP + HEIGHT + 33, (plot_style){PLOT_TEXT, false, p->colours->soft, 0.5, group - 6}, r->text);
        snprintf(text, sizeof text, "%.1f%% px", 100 * r->pixels);
        plot_text(p, x + 0.4 * group, TOP + HEIGHT + (other ? 50 : 33), (plot_style){PLOT_TEXT, false, p->colours->soft, 0.5, group - 6}, text);
    }
    for (size_t k = 0; k < t->n_prompts; k++)
        legend(p, LEFT, TOP + HEIGHT + 76 + 18 * (double)k, k, t->prompts[k]);
}

cn_status cn_attack_plot(const cn_attack_table *t, cn_plot_theme theme, const char *path, cn_error *err)
{
    char about[256];
    double width = LEFT + 24 + 90 * (double)t->n_rows;
    width = width < 560 ? 560 : width > 8000 ? 8000 : width;
    if (t->n_rows == 0)
        return cn_fail(err, CN_EINVAL, "a table without rows has no plot");
    snprintf(about, sizeof about, "%zu targets, %zu prompts, %" PRId64 " pictures; the first target's success under the first prompt is %.3f", t->n_rows,
             t->n_prompts, t->images, t->rows[0].success[0].share);
    return plot_write(path, theme, width, TOP + HEIGHT + 86 + 18 * (double)t->n_prompts, "Typographic attacks", about, draw_attack, t, err);
}

/* ---- defences ---- */

static const char *const kinds[CN_DEFENCE_KINDS] = {"units that read common words", "units that read the attack's texts", "random units",
                                                    "heads of the attention pool", "directions of spelling"};

/* Orange, sky blue, green, blue, pink: thin yellow lines are hardly seen on white. */
static const size_t looks[CN_DEFENCE_KINDS] = {0, 1, 2, 5, 4};

/* Steps are at equal distances: 0, 1, 2, 4... */
static double step_at(double x, double width, int64_t removed, int64_t most)
{
    return most > 0 ? x + width * log2(1 + (double)removed) / log2(1 + (double)most) : x;
}

typedef enum measure { SUCCESS, CLEAN, OWN, MEASURES } measure;

static const cn_share *measured(const cn_defence_step *s, measure m)
{
    return m == SUCCESS ? &s->success : m == CLEAN ? &s->clean : &s->own;
}

static void draw_band(plot *p, const cn_defence_result *r, int k, int m, double x, double width, int64_t most, const plot_scale *y)
{
    const size_t n = r->n_steps[k];
    if (!n || measured(&r->steps[k][0], m)->of == 0)
        return;
    cairo_new_path(p->cr);
    for (size_t i = 0; i < 2 * n; i++) { /* there along the upper ends, back along the lower ones */
        const cn_defence_step *s = &r->steps[k][i < n ? i : 2 * n - 1 - i];
        cairo_line_to(p->cr, step_at(x, width, s->removed, most), plot_at(y, i < n ? measured(s, m)->high : measured(s, m)->low));
    }
    cairo_close_path(p->cr);
    plot_ink(p, plot_series(p, looks[k]), 0.07); /* five of them lie over each other */
    cairo_fill(p->cr);
}

static void panel(plot *p, const cn_defence_result *r, double x, double width, measure m)
{
    static const char *const titles[MEASURES] = {"taken for the target with the text", "right without a text", "right on the targets' own"};
    const plot_scale y = {0, 1, TOP + 22 + HEIGHT, TOP + 22};
    int64_t most = 1;
    for (int k = 0; k < CN_DEFENCE_KINDS; k++)
        if (r->n_steps[k] && r->steps[k][r->n_steps[k] - 1].removed > most)
            most = r->steps[k][r->n_steps[k] - 1].removed;
    plot_text(p, x, TOP + 4, (plot_style){PLOT_TEXT, true, p->colours->ink, 0, width}, titles[m]);
    plot_share_axis(p, &y, x, x + width);
    for (int k = 0; k < CN_DEFENCE_KINDS; k++) /* intervals as bands: bars of five curves would hide each other */
        draw_band(p, r, k, m, x, width, most, &y);
    for (int k = 0; k < CN_DEFENCE_KINDS; k++)
        for (size_t i = 1; i < r->n_steps[k]; i++) {
            const cn_defence_step *s = &r->steps[k][i], *b = &r->steps[k][i - 1];
            const cn_share *share = measured(s, m);
            if (share->of)
                plot_line(p, step_at(x, width, b->removed, most), plot_at(&y, measured(b, m)->share), step_at(x, width, s->removed, most),
                          plot_at(&y, share->share), 2.2, plot_series(p, looks[k]));
        }
    for (int64_t n = 0; n <= most; n = n ? 4 * n : 1) {
        char number[32];
        snprintf(number, sizeof number, "%" PRId64, n);
        plot_text(p, step_at(x, width, n, most), TOP + 22 + HEIGHT + 14, small(p, 0.5), number);
    }
    plot_text(p, x + width / 2, TOP + 22 + HEIGHT + 32, small(p, 0.5), "removed");
    if (r->n_steps[0] && measured(&r->steps[0][0], m)->of == 0)
        plot_text(p, x + width / 2, TOP + 22 + HEIGHT / 2, small(p, 0.5), "no pictures with such a label");
}

static void draw_defence(plot *p, const void *what)
{
    const cn_defence_result *r = what;
    char text[160];
    const double width = (p->width - MEASURES * LEFT - 24) / MEASURES;
    snprintf(text, sizeof text, "%" PRId64 " pictures that nothing was fitted on; Wilson's 95%% intervals", r->images);
    heading(p, "What removing units, heads or directions does", text);
    for (int m = 0; m < MEASURES; m++)
        panel(p, r, LEFT + m * (width + LEFT), width, m);
    double y = TOP + HEIGHT + 80;
    for (int k = 0; k < CN_DEFENCE_KINDS; k++)
        if (r->n_steps[k]) {
            legend(p, LEFT, y, looks[k], kinds[k]);
            y += 18;
        }
    for (size_t i = 0; i < r->n_prompts; i++) {
        const int used = snprintf(text, sizeof text, "\"%.80s\": taken for the target %.1f%%", r->prompts[i], 100 * r->prompt[i].success.share);
        if (r->prompt[i].clean.of)
            snprintf(text + used, sizeof text - (size_t)used, ", right without %.1f%%", 100 * r->prompt[i].clean.share);
        plot_text(p, LEFT, y, (plot_style){PLOT_TEXT, false, p->colours->ink, 0, p->width - LEFT - 30}, text);
        y += 18;
    }
}

cn_status cn_defence_plot(const cn_defence_result *r, cn_plot_theme theme, const char *path, cn_error *err)
{
    char about[256];
    const cn_defence_step *first = r->n_steps[0] ? &r->steps[0][0] : NULL;
    snprintf(about, sizeof about, "Attack success and clean accuracy; with nothing removed %.3f and %.3f", first ? first->success.share : (double)NAN,
             first ? first->clean.share : (double)NAN);
    return plot_write(path, theme, 1180, TOP + HEIGHT + 90 + 18 * (double)(CN_DEFENCE_KINDS + r->n_prompts), "Defences against typographic attacks", about,
                      draw_defence, r, err);
}

/* ---- Stroop ---- */

#define CELL 46.0

static void draw_stroop(plot *p, const void *what)
{
    const cn_stroop_result *r = what;
    const cn_stroop_prompt *q = &r->prompts[0];
    char text[200];
    snprintf(text, sizeof text, "\"%.80s\", %" PRId64 " pictures a cell. Incongruent: ink %.0f%%, word %.0f%%", q->prompt, r->variants,
             100 * q->incongruent_ink.share, 100 * q->incongruent_word.share);
    heading(p, "Stroop: words (rows) in inks (columns)", text);
    for (int i = 0; i < CN_STROOP_COLOURS; i++)
        plot_text(p, 110 + CELL * (i + 0.5), 74, small(p, 0.5), r->colours[i]);
    for (size_t c = 0; c < r->n_cells; c++) {
        const cn_stroop_cell *cell = &q->cells[c];
        const double y = 86 + CELL * 0.6 * (double)(c / CN_STROOP_COLOURS);
        double x = 110 + CELL * cell->ink;
        if (cell->ink == 0)
            plot_text(p, 102, y + CELL * 0.3, (plot_style){PLOT_TEXT, false, p->colours->ink, 1, 90}, cell->word);
        for (int i = 0; i < CN_STROOP_COLOURS; i++) { /* strips as wide as the answer was frequent, in its colour */
            const double width = (CELL - 3) * (double)cell->answers[i] / (double)(r->variants > 0 ? r->variants : 1);
            const plot_colour colour = {r->ink[i][0] / 255.0, r->ink[i][1] / 255.0, r->ink[i][2] / 255.0};
            if (width > 0)
                plot_box(p, x, y, width, CELL * 0.6 - 3, colour);
            x += width;
        }
    }
}

cn_status cn_stroop_plot(const cn_stroop_result *r, cn_plot_theme theme, const char *path, cn_error *err)
{
    char about[256];
    if (r->n_prompts == 0)
        return cn_fail(err, CN_EINVAL, "a result without prompts has no plot");
    snprintf(about, sizeof about, "Incongruent pictures are answered with the ink %.3f of the time, with the word %.3f", r->prompts[0].incongruent_ink.share,
             r->prompts[0].incongruent_word.share);
    return plot_write(path, theme, 130 + CELL * CN_STROOP_COLOURS, 106 + CELL * 0.6 * (double)(r->n_cells / CN_STROOP_COLOURS), "The Stroop test", about,
                      draw_stroop, r, err);
}
