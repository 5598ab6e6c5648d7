/* study/cardchart.c -- the histogram of a card as SVG: logarithmic counts over sd units. */
#include "study/cardhtml.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#define LEFT 50.0
#define RIGHT 985.0
#define TOP 30.0
#define BOTTOM 170.0

static double x_of(const card *c, double sd)
{
    return LEFT + (sd - c->low) / (c->high - c->low) * (RIGHT - LEFT);
}

static void line(html *h, const char *class, double x1, double y1, double x2, double y2)
{
    html_raw(h, "<line");
    html_attribute(h, "class", class);
    html_raw(h, " x1=\"");
    html_format(h, "%.2f", x1);
    html_raw(h, "\" y1=\"");
    html_format(h, "%.2f", y1);
    html_raw(h, "\" x2=\"");
    html_format(h, "%.2f", x2);
    html_raw(h, "\" y2=\"");
    html_format(h, "%.2f", y2);
    html_raw(h, "\"/>");
}

static void text(html *h, double x, double y, const char *anchor, const char *class, const char *words)
{
    html_raw(h, "<text");
    html_attribute(h, "text-anchor", anchor);
    if (*class)
        html_attribute(h, "class", class);
    html_raw(h, " x=\"");
    html_format(h, "%.1f", x);
    html_raw(h, "\" y=\"");
    html_format(h, "%.1f", y);
    html_raw(h, "\">");
    html_text(h, words);
    html_raw(h, "</text>");
}

static void count_axis(html *h, const card *c)
{
    for (int64_t n = 1; n <= c->most; n *= 10) {
        char words[32];
        double y = BOTTOM - card_height(n, c->most) * (BOTTOM - TOP);
        line(h, "grid", LEFT, y, RIGHT, y);
        snprintf(words, sizeof words,
                 n >= 1000000 ? "%" PRId64 "M"
                 : n >= 1000  ? "%" PRId64 "k"
                              : "%" PRId64,
                 n >= 1000000 ? n / 1000000
                 : n >= 1000  ? n / 1000
                              : n);
        text(h, LEFT - 6, y + 4, "end", "", words);
    }
}

static void sd_axis(html *h, const card *c)
{
    double step = card_step(c->high - c->low, 12);
    line(h, "axis", LEFT, BOTTOM, RIGHT, BOTTOM);
    double first = ceil(c->low / step) * step;
    for (int i = 0; i < 32 && first + i * step <= c->high + 1e-3 * step; i++) {
        double sd = first + i * step;
        char words[32];
        double x = x_of(c, sd);
        line(h, "axis", x, BOTTOM, x, BOTTOM + 5);
        snprintf(words, sizeof words, "%s%.*f", sd < -step / 2 ? "\xe2\x88\x92" : "",
                 step < 0.1 ? 2
                 : step < 1 ? 1
                            : 0,
                 fabs(sd));
        text(h, x, BOTTOM + 18, "middle", "", words);
    }
    text(h, (LEFT + RIGHT) / 2, BOTTOM + 33, "middle", "", "activation, sd units");
}

static void draw_bars(html *h, const card *c)
{
    double width = (c->high - c->low) / (double)c->bins;
    for (size_t i = 0; i < c->bins; i++) {
        if (!c->counts[i])
            continue;
        double low = c->low + (double)i * width, x = x_of(c, low);
        double tall = card_height(c->counts[i], c->most) * (BOTTOM - TOP);
        html_raw(h, low + width / 2 > 0 ? "<rect class=\"warm\"" : "<rect class=\"cool\"");
        html_raw(h, " x=\"");
        html_format(h, "%.2f", x + 0.5);
        html_raw(h, "\" y=\"");
        html_format(h, "%.2f", BOTTOM - tall);
        html_raw(h, "\" width=\"");
        html_format(h, "%.2f", x_of(c, low + width) - x - 1);
        html_raw(h, "\" height=\"");
        html_format(h, "%.2f", tall);
        html_raw(h, "\"><title>");
        char from[32], to[32];
        html_format(h, "%s to %s sd: %" PRId64, card_number_at(low, width, from),
                    card_number_at(low + width, width, to), c->counts[i]);
        html_raw(h, "</title></rect>");
    }
}

static void marks(html *h, const card *c)
{
    double mean = c->row->mean / c->row->rms, x = x_of(c, mean), zero = x_of(c, 0);
    bool crosses = c->low < 0 && c->high > 0;
    char number[32], words[96];
    line(h, "mean", x, TOP - 8, x, BOTTOM);
    bool left = crosses ? x < zero : x > (LEFT + RIGHT) / 2; /* the mean's words keep away from the zero's */
    if (crosses) {
        line(h, "zero", zero, TOP - 8, zero, BOTTOM);
        snprintf(words, sizeof words, "%s above zero", card_share(c->row->share_positive, number));
        bool room = RIGHT - zero > 210;
        text(h, room ? zero + 6 : zero - 6, TOP - 14, room ? "start" : "end", "strong", words);
        left = room ? x < zero + 130 : false;
        if (!room && x > zero - 130)
            return; /* no place for both */
    }
    if (!(left && x - LEFT < 70) || !crosses)
        text(h, left ? x - 6 : x + 6, TOP - 14, left ? "end" : "start", "", "mean");
}

static void peak(html *h, const card *c)
{
    char number[32], words[64];
    double bar = BOTTOM - card_height(c->counts[c->bins - 1], c->most) * (BOTTOM - TOP);
    double above = BOTTOM - card_right_height(c) * (BOTTOM - TOP);
    html_raw(h, "<path class=\"peak\" d=\"");
    html_format(h, "M%.1f %.1fl-5 -8h10z", RIGHT, bar - 1);
    html_raw(h, "\"/>");
    snprintf(words, sizeof words, "strongest %s", card_number(c->high, number));
    text(h, RIGHT - 8, fmax(above - 8, TOP - 14), "end", "strong", words);
}

void cardhtml_histogram(html *h, const card *c)
{
    char number[32], number2[32], share[32];
    html_raw(h, "<svg class=\"histogram\" role=\"img\" viewBox=\"0 0 1000 206\" aria-label=\"Histogram of ");
    html_count(h, c->row->count);
    html_raw(h, " activations from ");
    html_text(h, card_number(c->low, number));
    html_raw(h, " to ");
    html_text(h, card_number(c->high, number2));
    html_raw(h, " sd; ");
    html_text(h, card_share(c->row->share_positive, share));
    html_raw(h, " are above zero\">");
    count_axis(h, c);
    draw_bars(h, c);
    sd_axis(h, c);
    marks(h, c);
    peak(h, c);
    text(h, 0, TOP - 14, "start", "", "pictures"); /* longer than what is left of the axis */
    html_raw(h, "</svg>\n");
}
