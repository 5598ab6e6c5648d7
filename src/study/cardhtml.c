/* study/cardhtml.c -- the page of neuron cards: one HTML file that needs nothing else, no script
 * included. Its looks are in card.css; cardchart.c draws the histogram. */
#include "study/cardhtml.h"

#include "base/memory.h"
#include "study/region.h"
#include "study/areaplot.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- pictures ---- */

static void description(html *h, const char *attribute, const cn_example *e)
{
    char number[32];
    html_raw(h, attribute);
    html_raw(h, "=\"");
    html_text(h, *e->label ? e->label : "no label");
    if (*e->medium) {
        html_raw(h, " (");
        html_text(h, e->medium);
        html_raw(h, ")");
    }
    html_raw(h, ", ");
    html_raw(h, card_number(e->sd, number));
    html_raw(h, " sd: ");
    html_text(h, e->path);
    html_raw(h, "\"");
}

static bool no_picture(html *h, const cn_example *e)
{
    if (!e->thumbnail)
        html_raw(h, "<span class=\"pic none\">no picture</span>");
    return !e->thumbnail;
}

static void picture(html *h, const cn_example *e)
{
    if (no_picture(h, e))
        return;
    html_raw(h, "<img loading=\"lazy\" decoding=\"async\"");
    description(h, " alt", e);
    html_raw(h, " src=\"");
    html_data(h, e->thumbnail_type, e->thumbnail, e->thumbnail_size);
    html_raw(h, "\">");
}

/* The same for pictures that come again and again: the bytes are written once, further places use them. */
static void shared_picture(html *h, const cn_example *e)
{
    if (no_picture(h, e))
        return;
    bool counted = h->defined && e->image >= 0 && e->image < h->images;
    html_raw(h, "<svg class=\"thumb\" role=\"img\" viewBox=\"0 0 1 1\"");
    description(h, " aria-label", e);
    if (counted && h->defined[e->image]) {
        html_raw(h, "><use href=\"#t");
        html_format(h, "%" PRId64, e->image);
    } else {
        html_raw(h, "><image width=\"1\" height=\"1\" preserveAspectRatio=\"none\"");
        if (counted) {
            h->defined[e->image] = 1;
            html_raw(h, " id=\"t");
            html_format(h, "%" PRId64, e->image);
            html_raw(h, "\"");
        }
        html_raw(h, " href=\"");
        html_data(h, e->thumbnail_type, e->thumbnail, e->thumbnail_size);
    }
    html_raw(h, "\"/></svg>");
}

/* The outline of the marked cells: every border between a cell inside and one outside. */
static void outline(html *h, const bool *inside, int64_t height, int64_t width)
{
    for (int64_t y = 0; y < height; y++)
        for (int64_t x = 0; x < width; x++) {
            if (!inside[y * width + x])
                continue;
            if (y == 0 || !inside[(y - 1) * width + x])
                html_format(h, "M%" PRId64 " %" PRId64 "h1", x, y);
            if (y + 1 == height || !inside[(y + 1) * width + x])
                html_format(h, "M%" PRId64 " %" PRId64 "h1", x, y + 1);
            if (x == 0 || !inside[y * width + x - 1])
                html_format(h, "M%" PRId64 " %" PRId64 "v1", x, y);
            if (x + 1 == width || !inside[y * width + x + 1])
                html_format(h, "M%" PRId64 " %" PRId64 "v1", x + 1, y);
        }
}

/* A little inside the border of the picture, or half of the line would be cut off. */
static void open_mark(html *h, const cn_study_site *s)
{
    double edge = 0.012 * (double)(s->width > s->height ? s->width : s->height);
    html_raw(h, "<svg class=\"mark\" aria-hidden=\"true\" preserveAspectRatio=\"none\" viewBox=\"");
    html_format(h, "%.4g %.4g %.4g %.4g", -edge, -edge, (double)s->width + 2 * edge,
                (double)s->height + 2 * edge);
    html_raw(h, "\">");
}

static void mark_region(html *h, const cn_example *e, const cn_study_site *s, int sign)
{
    size_t cells = (size_t)s->height * (size_t)s->width, size = 0;
    float *weight = cn_calloc(cells, sizeof *weight);
    bool *inside = cn_calloc(cells, sizeof *inside);
    void *png = NULL;
    if (!weight || !inside) {
        h->status = h->status == CN_OK ? cn_fail(h->err, CN_ENOMEM, "out of memory for a map") : h->status;
    } else if (region_mark(e, s, sign, weight, inside)) {
        cn_status st = card_mask_png(weight, s->height, s->width, &png, &size, h->err);
        if (st != CN_OK && h->status == CN_OK)
            h->status = st;
        open_mark(h, s);
        if (png) {
            html_raw(h, "<image preserveAspectRatio=\"none\"");
            html_raw(h, " width=\"");
            html_format(h, "%" PRId64, s->width);
            html_raw(h, "\" height=\"");
            html_format(h, "%" PRId64, s->height);
            html_raw(h, "\" href=\"");
            html_data(h, "image/png", png, size);
            html_raw(h, "\"/>");
        }
        for (int k = 0; k < 2; k++) {
            html_raw(h, k == 0     ? "<path class=\"edge under\" d=\""
                        : sign > 0 ? "<path class=\"edge hot\" d=\""
                                   : "<path class=\"edge cold\" d=\"");
            outline(h, inside, s->height, s->width);
            html_raw(h, "\"/>");
        }
        html_raw(h, "</svg>");
    }
    cn_free(png);
    cn_free(weight);
    cn_free(inside);
}

static void example(html *h, const cn_example *e, const cn_study_site *s, int sign)
{
    char number[32];
    html_raw(h, "<li><figure tabindex=\"0\"");
    html_attribute(h, "title", *e->caption ? e->caption : e->path);
    html_raw(h, "><span class=\"pic\">");
    if (sign > 0)
        picture(h, e);
    else
        shared_picture(h, e);
    if (e->thumbnail)
        mark_region(h, e, s, sign);
    html_raw(h, "</span><figcaption><b>");
    html_raw(h, card_number(e->sd, number));
    html_raw(h, " sd</b>");
    if (*e->label) {
        html_raw(h, "<span>");
        html_text(h, e->label);
        html_raw(h, "</span>");
    }
    if (*e->medium) {
        html_raw(h, "<span class=\"soft\">");
        html_text(h, e->medium);
        html_raw(h, "</span>");
    }
    html_raw(h, "</figcaption></figure></li>\n");
}

static void visualisation(html *h, const card *c, const cn_visualisation *v)
{
    char number[64];
    html_raw(h, "<li><figure tabindex=\"0\"");
    html_attribute(h, "title", v->objective);
    html_raw(h, "><span class=\"pic\"><img loading=\"lazy\" decoding=\"async\" alt=\"optimised for ");
    html_text(h, v->objective);
    html_raw(h, "\" src=\"");
    html_data(h, "image/png", v->png, v->png_size);
    html_raw(h, "\"></span><figcaption><b>");
    card_seen_sd(c, v, c->n_seen == 1, number, sizeof number);
    html_raw(h, number);
    html_raw(h, "</b><span>");
    html_text(h, *v->facet ? v->facet : "plain");
    html_raw(h, "</span><span class=\"soft\">");
    if (!isnan(v->path)) {
        html_raw(h, "path ");
        html_raw(h, card_number(v->path, number));
        html_raw(h, card_other_path(v) && c->n_seen > 1 ? "*" : "");
    }
    html_raw(h, "</span></figcaption></figure></li>\n");
}

static void visualisations(html *h, const card *c)
{
    char number[32], note[512];
    if (!c->n_seen)
        return;
    html_raw(h, "<section class=\"inhibit\"><h3>Optimised <small>pictures made to drive the unit; the strongest natural one reaches ");
    html_raw(h, card_number(c->row->peak_sd, number));
    html_raw(h, " sd</small></h3>\n<ul class=\"pictures\">\n");
    for (size_t i = 0; i < c->n_seen; i++)
        visualisation(h, c, &c->seen[i]);
    html_raw(h, "</ul>\n");
    card_seen_note(c, note, sizeof note);
    if (*note) {
        html_raw(h, "<p class=\"note\">");
        html_text(h, note);
        html_raw(h, "</p>\n");
    }
    html_raw(h, "</section>\n");
}

static void examples(html *h, const card *c)
{
    html_raw(h, "<section><h3>Strongest <small>what responds is bright and outlined; point at a picture to "
                "see all of it</small></h3>\n");
    if (c->n_top && c->row->max <= 0)
        html_raw(h, "<p class=\"note\">No picture of the collection takes this unit above zero: after the "
                    "ReLU it is silent here. "
                    "These come closest.</p>\n");
    html_raw(h, "<ul class=\"pictures\">\n");
    for (size_t i = 0; i < c->n_top; i++)
        example(h, &c->top[i], c->site, 1);
    html_raw(h, "</ul>\n<section class=\"inhibit\"><h3>Most inhibiting <small>what pushes the unit down is "
                "outlined</small></h3>\n"
                "<ul class=\"pictures\">\n");
    for (size_t i = 0; i < c->n_bottom; i++)
        example(h, &c->bottom[i], c->site, -1);
    html_raw(h, "</ul></section>\n");
    visualisations(h, c);
    html_raw(h, "</section>\n");
}

/* ---- the side: labels, media, words ---- */

static void bar_row(html *h, const cn_group *g, bool own, double low, double high)
{
    char number[32];
    double zero = (0 - low) / (high - low), end = (g->mean_sd - low) / (high - low);
    html_raw(h, own ? "<tr class=\"own\"><th scope=\"row\"" : "<tr><th scope=\"row\"");
    html_attribute(h, "title", g->name);
    html_raw(h, ">");
    html_text(h, g->name);
    html_raw(h, "</th><td><svg class=\"bar\" aria-hidden=\"true\" viewBox=\"0 0 100 13\" "
                "preserveAspectRatio=\"none\"><rect class=\"");
    html_raw(h, g->mean_sd >= 0 ? "warm" : "cool");
    html_raw(h, "\" y=\"1\" height=\"11\" x=\"");
    html_format(h, "%.2f", 100 * fmin(zero, end));
    html_raw(h, "\" width=\"");
    html_format(h, "%.2f", 100 * fabs(end - zero));
    html_raw(h, "\"/><line y1=\"0\" y2=\"13\" x1=\"");
    html_format(h, "%.2f", 100 * zero);
    html_raw(h, "\" x2=\"");
    html_format(h, "%.2f", 100 * zero);
    html_raw(h, "\"/></svg></td><td class=\"num\">");
    html_raw(h, card_number(g->mean_sd, number));
    html_raw(h, "</td><td class=\"count\">");
    html_count(h, g->images);
    html_raw(h, "</td></tr>\n");
}

/* Widens low..high so that it holds zero and all means. */
static void span(const cn_group *g, size_t n, double *low, double *high)
{
    for (size_t i = 0; i < n; i++) {
        *low = fmin(*low, g[i].mean_sd);
        *high = fmax(*high, g[i].mean_sd);
    }
}

static void bars(html *h, const char *caption, const cn_group *g, size_t n, const char *own, double low,
                 double high)
{
    if (!(high > low))
        high = low + 1;
    html_raw(h, "<table class=\"bars\"><caption class=\"unseen\">");
    html_raw(h, caption);
    html_raw(h, ": name, bar, mean in sd units, number of pictures</caption><colgroup><col "
                "class=\"c1\"><col><col class=\"c3\">"
                "<col class=\"c4\"></colgroup><tbody>\n");
    for (size_t i = 0; i < n; i++)
        bar_row(h, &g[i], strcmp(g[i].name, own) == 0, low, high);
    html_raw(h, "</tbody></table>\n");
}

static void side_labels(html *h, const card *c)
{
    char number[32];
    const cn_unit_row *r = c->row;
    if (!c->n_labels)
        return;
    html_raw(h, "<section><h3>Labels <small>mean in sd units, pictures</small></h3>\n");
    double low = 0, high = 0;
    span(c->labels, c->n_labels, &low, &high);
    bars(h, "Mean activation by label", c->labels, c->n_labels, r->label, low, high);
    html_raw(h, "<p class=\"note\">");
    if (*r->label && r->count > 0) {
        html_count(h, r->label_hits);
        html_raw(h, " of the ");
        int64_t looked = r->count < CN_STUDY_PURITY_TOP ? r->count : CN_STUDY_PURITY_TOP;
        html_count(h, looked);
        html_raw(h, " strongest pictures are \xe2\x80\x9c");
        html_text(h, r->label);
        html_raw(h, "\xe2\x80\x9d, which ");
        html_count(h, r->label_images);
        html_raw(h, " of ");
        html_count(h, r->count);
        html_raw(h, " pictures are (base rate ");
        html_text(h, card_share((double)r->label_images / (double)r->count, number));
        html_raw(h, "). So many at random: ");
        if (r->surprise < 3) {
            html_text(h, card_share(pow(10, -r->surprise), number));
        } else {
            html_raw(h, "1 in 10<sup>");
            html_format(h, "%.0f", floor(r->surprise));
            html_raw(h, "</sup>");
        }
        html_raw(h, ".");
    }
    html_raw(h, "</p></section>\n");
}

static void side_media(html *h, const card *c)
{
    if (c->n_media == 0)
        return;
    double low = 0, high = 0; /* one scale for both */
    span(c->media, c->n_media, &low, &high);
    span(c->label_media, c->n_label_media, &low, &high);
    html_raw(h, "<section><h3>Media <small>mean in sd units, pictures</small></h3>\n");
    if (c->n_label_media) {
        html_raw(h, "<p class=\"note\">of \xe2\x80\x9c");
        html_text(h, c->row->label);
        html_raw(h, "\xe2\x80\x9d</p>\n");
        bars(h, "Mean activation of the label's pictures by medium", c->label_media, c->n_label_media, "",
             low, high);
        html_raw(h, "<p class=\"note\">of everything</p>\n");
    }
    bars(h, "Mean activation of all pictures by medium", c->media, c->n_media, "", low, high);
    html_raw(h, "</section>\n");
}

static void side_words(html *h, const card *c)
{
    bool weak = false;
    if (!c->info->word_template)
        return;
    html_raw(h, "<section><h3>Nearest words <small>correlation; weak evidence</small></h3>\n");
    if (c->n_words == 0) {
        html_raw(h, "<p class=\"note\">No word goes with this unit.</p></section>\n");
        return;
    }
    html_raw(h, "<ul class=\"words\">");
    for (size_t i = 0; i < c->n_words; i++) {
        html_raw(h, c->words[i].significant ? "<li>" : "<li class=\"weak\">");
        weak = weak || !c->words[i].significant;
        html_text(h, c->words[i].word);
        html_raw(h, " <span class=\"soft\">");
        html_format(h, "%.2f", c->words[i].score);
        html_raw(h, "</span></li>\n");
    }
    html_raw(h, "</ul>\n");
    if (weak)
        html_raw(h, "<p class=\"note\">Words in italics could be chance.</p>\n");
    html_raw(h, "</section>\n");
}

static void found_names(html *h, const card *c)
{
    if (!c->n_names)
        return;
    html_raw(h, "<section><h3>Names <small>by method; correlation on pictures that did not choose them</small></h3>\n<ul class=\"words\">");
    for (size_t i = 0; i < c->n_names; i++) {
        char number[32];
        html_raw(h, "<li>");
        html_text(h, c->names[i].name);
        html_raw(h, " <span class=\"soft\">");
        html_text(h, c->names[i].method);
        html_raw(h, " ");
        html_raw(h, card_number_at(c->names[i].heldout, 0.03, number));
        html_raw(h, "</span></li>\n");
    }
    html_raw(h, "</ul>\n</section>\n");
}

static void note(html *h, const char *text)
{
    html_raw(h, "<p class=\"note\">");
    html_text(h, text);
    html_raw(h, "</p>\n");
}

static void found_concepts(html *h, const card *c)
{
    char family[512], number[32];
    card_family_text(c, family, sizeof family);
    if (!c->n_facts && !*family)
        return;
    html_raw(h, "<section><h3>Concepts <small>by medium: AUC and its interval</small></h3>\n<ul class=\"words\">");
    for (size_t i = 0; i < c->n_facts; i++) {
        const cn_multimodal_fact *f = &c->facts[i];
        html_raw(h, "<li>");
        html_text(h, f->concept_name);
        html_raw(h, " <span class=\"soft\">");
        html_text(h, f->media);
        html_format(h, "; %s (q %.2g), shown by ", f->multimodal ? "multimodal" : "not shown to be multimodal", f->q);
        html_text(h, card_share(f->base_rate, number)); /* as the warning gives it */
        html_raw(h, " of the pictures");
        html_raw(h, "</span></li>\n");
    }
    html_raw(h, "</ul>\n");
    if (*family)
        note(h, family);
    html_raw(h, "</section>\n");
}

static void found_served(html *h, const card *c)
{
    if (!c->n_served)
        return;
    html_raw(h, "<section><h3>Serves <small>classes of ");
    html_text(h, c->served[0].column);
    html_raw(h, ": weight in nats a sd, share of the equation</small></h3>\n<ul class=\"words\">");
    for (size_t i = 0; i < c->n_served && i < CARD_SERVED; i++) {
        html_raw(h, "<li>");
        html_text(h, c->served[i].class_name);
        html_raw(h, " <span class=\"soft\">");
        html_raw(h, c->served[i].weight < 0 ? "\xe2\x88\x92" : "+");
        html_format(h, "%.2f, %.0f%%", fabs(c->served[i].weight), 100 * c->served[i].share);
        html_raw(h, "</span></li>\n");
    }
    html_raw(h, "</ul>\n");
    if (c->n_served > CARD_SERVED) {
        char text[64];
        snprintf(text, sizeof text, "and %zu more.", c->n_served - CARD_SERVED);
        note(h, text);
    }
    html_raw(h, "</section>\n");
}

static void found_reader(html *h, const card *c)
{
    char text[512];
    card_reader_text(c, text, sizeof text);
    if (!*text)
        return;
    html_raw(h, "<section><h3>Reading</h3>\n");
    note(h, text);
    html_raw(h, "</section>\n");
}

/* What further commands found: side by side below both columns, which would else differ much in length. */
static void found(html *h, const card *c)
{
    html_raw(h, "<div class=\"wide found\">"); /* no line break: the style hides it where nothing follows */
    found_names(h, c);
    found_concepts(h, c);
    found_served(h, c);
    found_reader(h, c);
    html_raw(h, "</div>\n");
}

/* Under the title, before anything that it is about. */
static void warning(html *h, const card *c)
{
    if (!c->warning)
        return;
    html_raw(h, "<p class=\"warning\"><b>Warning:</b> ");
    html_text(h, c->warning);
    html_raw(h, "</p>\n");
}

/* ---- the range ---- */

static void bucket_picture(html *h, const cn_example *e, const cn_study_site *s)
{
    html_raw(h, "<li><figure");
    char number[32], title[64];
    snprintf(title, sizeof title, "%s sd", card_number(e->sd, number));
    html_attribute(h, "title", title);
    html_raw(h, "><span class=\"pic\">");
    shared_picture(h, e);
    if (e->thumbnail && e->row >= 0 && s->height * s->width > 1 && e->peak > 0) {
        open_mark(h, s);
        for (int k = 0; k < 2; k++) {
            html_raw(h, k ? "<path class=\"edge hot\" d=\"" : "<path class=\"edge under\" d=\"");
            html_format(h, "M%d %dh1v1h-1z", e->column, e->row);
            html_raw(h, "\"/>");
        }
        html_raw(h, "</svg>");
    }
    html_raw(h, "</span></figure></li>\n");
}

static void buckets(html *h, const card *c)
{
    int n = c->info->buckets;
    size_t at = 0;
    html_raw(h, "<ol class=\"buckets\" style=\"grid-template-columns:repeat(");
    html_format(h, "%d", n);
    html_raw(h, ",minmax(0,1fr))\">\n");
    for (int b = 0; b < n; b++) {
        char low[32], high[32];
        double width = (c->high - c->low) / n;
        html_raw(h, "<li><p><b>");
        html_raw(h, card_number_at(c->low + b * width, width, low));
        html_raw(h, " to ");
        html_raw(h, card_number_at(c->low + (b + 1) * width, width, high));
        html_raw(h, "</b>");
        html_count(h, c->bucket_counts[b]);
        html_raw(h, c->bucket_counts[b] == 1 ? " picture" : " pictures");
        html_raw(h, "</p><ul>\n");
        for (; at < c->n_bucket && c->bucket[at].bucket <= b; at++)
            bucket_picture(h, &c->bucket[at], c->site);
        html_raw(h, "</ul></li>\n");
    }
    html_raw(h, "</ol>\n");
}

static void range(html *h, const card *c)
{
    html_raw(h,
             "<section class=\"wide\"><h3>The whole range <small>pictures by activation, and a sample from "
             "each tenth of the range: "
             "the strongest alone mislead</small></h3>\n<div class=\"scroll\" tabindex=\"0\" role=\"group\" "
             "aria-label=\"Histogram and samples\"><div class=\"range\">\n");
    cardhtml_histogram(h, c);
    if (c->n_bucket)
        buckets(h, c);
    html_raw(h, "</div></div></section>\n");
}

/* ---- what raters saw ---- */

static void areas_source(html *h, const card *c, cn_plot_theme theme)
{
    char *svg = NULL;
    size_t size = 0;
    const cn_status st = plot_svg(theme, AREAPLOT_WIDTH, AREAPLOT_HEIGHT, areaplot_draw, c->categories, &svg, &size, h->err);
    if (st != CN_OK && h->status == CN_OK)
        h->status = st;
    if (svg)
        html_data(h, "image/svg+xml", svg, size);
    cn_free(svg);
}

static void areas(html *h, const card *c)
{
    char text[512];
    if (!c->categories)
        return;
    html_raw(h, "<section class=\"wide\"><h3>What people see <small>at each level of activation, without knowing it</small></h3>\n<picture>");
    if (c->theme == CN_THEME_AUTO) {
        html_raw(h, "<source media=\"screen and (prefers-color-scheme: dark)\" srcset=\"");
        areas_source(h, c, CN_PLOT_DARK);
        html_raw(h, "\">");
    }
    html_raw(h, "<img class=\"areas\" loading=\"lazy\" decoding=\"async\" alt=\"P(category | activation) as stacked areas. ");
    html_text(h, areaplot_agreement(c->categories, text, sizeof text));
    html_raw(h, "\" src=\"");
    areas_source(h, c, c->theme == CN_THEME_DARK ? CN_PLOT_DARK : CN_PLOT_LIGHT);
    html_raw(h, "\"></picture></section>\n");
}

/* ---- a card ---- */

static void anchor(html *h, const card *c)
{
    html_raw(h, "u-");
    html_text(h, c->site->short_name);
    html_format(h, "-%" PRId64, c->row->ref.unit);
}

static void media_chips(html *h, const cn_unit_row *r)
{
    for (const char *m = r->media; *m;) {
        char name[64];
        size_t length = strcspn(m, " ");
        snprintf(name, sizeof name, "%.*s", (int)(length < 63 ? length : 63), m);
        html_raw(h, "<span class=\"chip\">");
        html_text(h, name);
        html_raw(h, "</span>");
        m += length + strspn(m + length, " ");
    }
}

static void figure_row(html *h, const card *c)
{
    const cn_unit_row *r = c->row;
    char number[32];
    html_raw(h, "<p class=\"figures\">strongest <b>");
    html_raw(h, card_number(r->peak_sd, number));
    html_raw(h, " sd</b> \xc2\xb7 above zero on <b>");
    html_text(h, card_share(r->share_positive, number));
    html_raw(h, "</b> of ");
    html_count(h, r->count);
    html_raw(h, " pictures \xc2\xb7 mean ");
    html_raw(h, card_number(r->rms > 0 ? r->mean / r->rms : 0, number));
    html_raw(h, " sd \xc2\xb7 kurtosis ");
    html_format(h, "%.1f", r->kurtosis);
    html_raw(h, " \xc2\xb7 1 sd = ");
    html_format(h, "%.3g", r->rms);
    html_raw(h, "</p>");
}

static void write_card(html *h, const card *c)
{
    const cn_unit_row *r = c->row;
    char text[256];
    html_raw(h, "<section class=\"card\" id=\"");
    anchor(h, c);
    html_raw(h, "\"><div class=\"head\"><h2><a href=\"#");
    anchor(h, c);
    html_raw(h, "\">");
    html_text(h, c->site->short_name);
    html_format(h, " : %" PRId64, r->ref.unit);
    html_raw(h, "</a></h2>");
    if (*r->label) {
        html_raw(h, "<span class=\"label\">");
        html_text(h, r->label);
        html_raw(h, "</span><span>");
        media_chips(h, r);
        html_raw(h, "</span>");
    } else if (c->n_words && c->words[0].significant) {
        html_raw(h, "<span class=\"label\">");
        html_text(h, r->word);
        html_raw(h, "?</span>");
    }
    card_multimodal_text(c, text, sizeof text);
    if (*text) {
        html_raw(h, c->n_facts ? "<span class=\"chip reads\">" : "<span class=\"chip\">");
        html_text(h, text);
        html_raw(h, "</span>");
    }
    if (c->n_names) {
        char number[32];
        html_raw(h, "<span class=\"chip\">name: ");
        html_text(h, c->names[0].name);
        html_raw(h, " ");
        html_raw(h, card_number_at(c->names[0].heldout, 0.03, number));
        html_raw(h, "</span>");
    }
    if (!r->dead)
        figure_row(h, c);
    warning(h, c);
    html_raw(h, "</div>\n");
    if (r->dead) {
        html_raw(h, "<p class=\"note\">");
        html_raw(h,
                 r->count
                     ? "This unit has the same value on every picture of the collection: it is dead here.\n"
                     : "The collection has no picture that could be read.\n");
        html_raw(h, "</p></section>\n");
        return;
    }
    html_raw(h, "<div class=\"body\">\n");
    examples(h, c);
    html_raw(h, "<div class=\"side\">\n");
    side_labels(h, c);
    side_media(h, c);
    side_words(h, c);
    html_raw(h, "</div>\n");
    found(h, c);
    range(h, c);
    areas(h, c);
    html_raw(h, "</div></section>\n");
}

/* ---- the page ---- */

static void page_head(html *h, const cn_study_info *info, const cn_card_options *o)
{
    char title[512];
    card_title(info, title, sizeof title);
    html_raw(h, "<!DOCTYPE html>\n<html lang=\"en\"");
    if (o->theme != CN_THEME_AUTO)
        html_attribute(h, "data-theme", o->theme == CN_THEME_DARK ? "dark" : "light");
    html_raw(h, ">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, "
                "initial-scale=1\">\n"
                "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; "
                "style-src 'unsafe-inline'\">\n"
                "<title>");
    html_text(h, o->title ? o->title : title);
    html_raw(h, "</title>\n<style>\n");
    html_raw(h, card_style);
    html_raw(h,
             "</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#cards\">To the cards</a>\n<header><h1>");
    html_text(h, o->title ? o->title : title);
    html_raw(h, "</h1>\n<p class=\"facts\">Model <b>");
    html_text(h, info->model_file);
    html_raw(h, "</b> (");
    html_text(h, info->model_name);
    html_format(h, ", %d px, ", info->resolution);
    html_text(h, info->precision);
    html_format(h, ", %.12s", info->fingerprint);
    html_raw(h, ") \xc2\xb7 collection <b>");
    html_text(h, info->collection_name);
    html_raw(h, "</b>, ");
    html_count(h, info->images);
    html_raw(h, info->images == 1 ? " picture" : " pictures");
    if (info->labels) {
        html_raw(h, ", ");
        html_count(h, info->labels);
        html_raw(h, " labels");
    }
    if (info->failed) {
        html_raw(h, ", ");
        html_count(h, info->failed);
        html_raw(h, " unreadable");
    }
    html_raw(h, " \xc2\xb7 ");
    html_format(h, "%.10s", info->created);
    html_raw(h, " \xc2\xb7 ");
    html_text(h, info->program);
    html_raw(h, "</p>\n");
    if (o->introduction) {
        html_raw(h, "<p class=\"intro\">");
        html_text(h, o->introduction);
        html_raw(h, "</p>\n");
    }
}

static void how_to_read(html *h, const cn_study_info *info)
{
    static const char *const activations[] = {[CN_REDUCE_MEAN] = "the mean over all places of the picture",
                                              [CN_REDUCE_MAX] = "the largest value over all places of the picture",
                                              [CN_REDUCE_CLASS] = "its value at the class token (outlines are of its values at the patches, which do not count)"};
    html_raw(h, "<details open><summary>How to read a card</summary><ul>\n<li>A <b>unit</b> is one channel "
                "of a layer. Its "
                "<b>activation</b> on a picture is ");
    html_raw(h, activations[info->reduce]);
    html_raw(
        h,
        ", given in <b>sd units</b>: divided by the unit\xe2\x80\x99s root mean square over the collection. "
        "Below zero the unit is inhibited.</li>\n"
        "<li><b>Strongest</b> and <b>most inhibiting</b>: the extremes of the collection. The outline "
        "encloses the places at half "
        "of the picture\xe2\x80\x99s peak or more; the shade falls with what places contribute.</li>\n"
        "<li><b>The whole range</b>: how many pictures have which activation (logarithmic, so that the rare "
        "strong ones are seen), "
        "with a random sample of pictures from every level below.</li>\n"
        "<li>The <b>label</b> in colour is the one whose frequency among the 16 strongest pictures chance "
        "explains least; "
        "<b>purity</b> is the share of those that it could fill. Labels come from the collection, not from "
        "the model.</li>\n");
    if (info->word_template)
        html_raw(h, "<li><b>Nearest words</b> correlate, over all pictures, the activation with how well the "
                    "model finds that the word fits the "
                    "picture. They say what goes together, not what the unit computes.</li>\n");
    html_raw(h,
             "<li><b>Concepts</b> (<code>multimodal</code>): how well the unit tells a concept\xe2\x80\x99s pictures from others of the same medium. "
             "AUC 0.5 is chance, 1 is never wrong. <b>Multimodal</b> is a unit that does so in several media, more than shuffled pictures would; "
             "<b>q</b> is the share of false ones to be expected among all findings with a q as low. Where nobody asked, \xe2\x80\x9cpictures and the word among its "
             "strongest\xe2\x80\x9d is only what is seen: the label\xe2\x80\x99s pictures and its written name are there.</li>\n"
             "<li><b>Serves</b> (<code>probe</code>): classes in whose equation the unit stands. The weight is what one sd more adds to the class\xe2\x80\x99s logit (a "
             "nat multiplies the odds by 2.7); the share is its part of all weights of that equation.</li>\n"
             "<li><b>Warning</b>: a name is about people or places. The unit repeats what the pictures associate; the base rate is the share of the "
             "collection\xe2\x80\x99s pictures with that name.</li>\n");
    html_raw(h, "</ul></details></header>\n");
}

static void overview_row(html *h, const card *c)
{
    const cn_unit_row *r = c->row;
    char number[32];
    html_raw(h, "<tr><th scope=\"row\"><a href=\"#");
    anchor(h, c);
    html_raw(h, "\">");
    html_text(h, c->site->short_name);
    html_format(h, " : %" PRId64, r->ref.unit);
    html_raw(h, "</a></th><td><span class=\"mini\">");
    for (size_t i = 0; i < c->n_top && i < 4; i++)
        if (c->top[i].thumbnail)
            shared_picture(h, &c->top[i]);
    html_raw(h, "</span></td><td><span class=\"name\"");
    html_attribute(h, "title", r->label);
    html_raw(h, ">");
    html_text(h, *r->label ? r->label : r->dead ? "dead" : "\xe2\x80\x93");
    html_raw(h, "</span></td><td class=\"num\">");
    if (*r->label) {
        html_text(h, card_share(r->purity, number));
        html_raw(h, " <span class=\"soft\">(");
        html_count(h, r->label_hits);
        html_raw(h, ")</span>");
    }
    html_raw(h, "</td><td>");
    media_chips(h, r);
    html_raw(h, "</td><td class=\"num\">");
    if (!r->dead) {
        html_raw(h, card_number(r->peak_sd, number));
        html_raw(h, "</td><td class=\"num\">");
        html_text(h, card_share(r->share_positive, number));
    } else {
        html_raw(h, "</td><td class=\"num\">");
    }
    html_raw(h, "</td><td>");
    if (*r->word) {
        html_raw(h, "<span class=\"name\"");
        html_attribute(h, "title", r->word);
        html_raw(h, ">");
        html_text(h, r->word);
        html_raw(h, " <span class=\"soft\">");
        html_format(h, "%.2f", r->word_score);
        html_raw(h, "</span></span>");
    }
    html_raw(h, "</td></tr>\n");
}

static cn_status overview(html *h, cn_study *study, const cn_unit_ref *units, size_t n,
                          const cn_card_options *o)
{
    cn_status st = CN_OK;
    cn_error *err = h->err;
    card c = {0};
    cn_card_options few = *o;
    few.top = 4;
    few.bottom = 1;
    few.no_buckets = true;
    html_raw(h, "<nav aria-label=\"Units\"><h2>");
    html_count(h, (int64_t)n);
    html_raw(h, n == 1 ? " unit" : " units");
    html_raw(h, "</h2>\n<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Table of "
                "units\"><table><thead><tr>"
                "<th scope=\"col\">unit</th><th scope=\"col\">strongest</th><th scope=\"col\">label</th>"
                "<th scope=\"col\" class=\"num\">purity (hits)</th><th scope=\"col\">media</th>"
                "<th scope=\"col\" class=\"num\">peak, sd</th><th scope=\"col\" class=\"num\">above zero</th>"
                "<th scope=\"col\">nearest word</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < n; i++) {
        CN_TRY(card_read(&c, study, units[i], &few, err));
        overview_row(h, &c);
        card_free(&c);
    }
    html_raw(h, "</tbody></table></div></nav>\n");
done:
    card_free(&c);
    return st;
}

cn_status cn_card_write_html(cn_study *study, const cn_unit_ref *units, size_t n,
                             const cn_card_options *options, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    output *out = NULL;
    unsigned char *defined = NULL;
    card c = {0};
    cn_card_options o;
    const cn_study_info *info = cn_study_get_info(study);
    CN_TRY(card_options(&o, options, err));
    CN_CHECK(n <= CN_MAX_CARDS, CN_ELIMIT, "%zu cards on one page, the limit is %d", n, CN_MAX_CARDS);
    CN_TRY(output_open(&out, path, err));
    html h = {.out = out, .err = err};
    if (info->images > 0 && info->images <= CN_MAX_STUDY_IMAGES) {
        defined = cn_calloc((size_t)info->images, 1);
        CN_CHECK(defined, CN_ENOMEM, "out of memory for a page over %" PRId64 " pictures", info->images);
        h.defined = defined;
        h.images = info->images;
    }
    page_head(&h, info, &o);
    how_to_read(&h, info);
    if (n > 1)
        CN_TRY(overview(&h, study, units, n, &o));
    html_raw(&h, "<main id=\"cards\">\n");
    if (n == 0)
        html_raw(&h, "<p class=\"empty\">No units were chosen, or the study has none that fire: there is "
                     "nothing to show.</p>\n");
    for (size_t i = 0; i < n; i++) {
        CN_TRY(card_read(&c, study, units[i], &o, err));
        write_card(&h, &c);
        card_free(&c);
        CN_TRY(h.status);
    }
    html_raw(&h, "</main>\n<footer>Made by ");
    html_text(&h, info->program);
    html_raw(&h, " from the study \xe2\x80\x9c");
    const char *name = strrchr(info->path, '/');
    html_text(&h, name && name[1] ? name + 1 : info->path);
    html_raw(&h, "\xe2\x80\x9d. Labels and words describe what goes together in this collection; they prove "
                 "nothing about cause.</footer>\n"
                 "</body>\n</html>\n");
    CN_TRY(h.status);
    output *complete = out;
    out = NULL;
    CN_TRY(output_commit(complete, err));
done:
    output_discard(out);
    cn_free(defined);
    card_free(&c);
    return st;
}
