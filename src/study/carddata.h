/* study/carddata.h -- everything that a card shows, read from the study once, for the page and for the
 * picture alike; and the arithmetic of showing it (axes, responding regions). */
#ifndef STUDY_CARDDATA_H
#define STUDY_CARDDATA_H

#include "clipneuron/attack.h"
#include "clipneuron/card.h"
#include "clipneuron/evidence.h"
#include "clipneuron/find.h"
#include "clipneuron/multimodal.h"
#include "clipneuron/probe.h"
#include "clipneuron/rating.h"

#include <cairo.h>

#include <stdbool.h>

#define CARD_SERVED 6 /* classes that a unit serves */
#define CARD_BINS 60 /* of the histogram, at most */

typedef struct card {
    const cn_study_info *info;
    const cn_study_site *site;
    cn_unit_row *row;
    cn_example *top, *bottom, *bucket;
    size_t n_top, n_bottom, n_bucket; /* as many as are shown */
    cn_group *labels, *media, *label_media;
    size_t n_labels, n_media, n_label_media;
    cn_word *words;
    size_t n_words;
    cn_visualisation *seen;
    size_t n_seen;
    cn_unit_name *names;
    size_t n_names;
    cn_multimodal_fact *facts;
    size_t n_facts;
    cn_family_fact *family; /* NULL: not known */
    cn_served_class *served;
    size_t n_served;
    cn_reader_fact *reader; /* NULL: it does not read, or nobody asked */
    char *warning;          /* of names about people, with base rates; NULL: none */
    cn_category_table *categories; /* of raters; NULL where nobody rated */
    cn_card_theme theme;
    /* Histogram over low..high (sd units) in `bins` equal bins; buckets divide the same range. */
    double low, high;
    size_t bins;
    int64_t counts[CARD_BINS], most;
    int64_t *bucket_counts; /* (info->buckets) */
} card;

/* options have their defaults filled in. */
cn_status card_read(card *c, cn_study *study, cn_unit_ref ref, const cn_card_options *options, cn_error *err);
void card_free(card *c);

/* How high the bars under the word "strongest" are, 0..1. */
double card_right_height(const card *c);

/* Whether a visualisation takes another path through the blocks below than natural pictures that drive the unit. */
bool card_other_path(const cn_visualisation *v);
/* Whether it drives the unit less than the strongest natural picture does. */
bool card_falls_short(const card *c, const cn_visualisation *v);
/* "4.2 sd", and the marks that card_seen_note explains: a dagger when it falls short; caller's buffer. `alone`: the note says it without. */
void card_seen_sd(const card *c, const cn_visualisation *v, bool alone, char *text, size_t room);
/* What stands under all of them; caller's buffer. */
void card_seen_note(const card *c, char *text, size_t room);
/* What the marks mean that stand on a sheet of rows, which have no notes; caller's buffer, "" where there are none. */
void card_legend(bool short_ones, bool other_paths, char *text, size_t room);

/* What `attack defend` and `multimodal` found, in a sentence each; caller's buffer, "" where there is nothing. */
void card_reader_text(const card *c, char *text, size_t room);
/* Whether the unit is multimodal: what `multimodal` found where it was asked, and else what is only seen among the strongest pictures;
 * caller's buffer, "" where it is not. */
void card_multimodal_text(const card *c, char *text, size_t room);
void card_family_text(const card *c, char *text, size_t room);

/* Fills in the defaults; CN_EINVAL for what is out of range. */
cn_status card_options(cn_card_options *out, const cn_card_options *options, cn_error *err);

/* "neurons of FILE on COLLECTION"; caller's buffer. */
void card_title(const cn_study_info *info, char *text, size_t room);

/* Height of a count on the histogram's logarithmic axis, 0..1. */
double card_height(int64_t count, int64_t most);
/* A round step so that about `steps` of them cover `span`. */
double card_step(double span, int steps);
/* "4.2", "-0.35": at least two significant digits and never "-0.0"; with U+2212 for the minus. */
const char *card_number(double value, char text[32]);
/* The same with as many digits as tell apart values that lie `step` from each other. */
const char *card_number_at(double value, double step, char text[32]);
/* "4.9%", "<0.1%"; caller's buffer. */
const char *card_share(double share, char text[32]);

/* A transparent picture, about 24 px wide, that darkens what does not respond; owned by the caller,
 * in an error state when out of memory. */
cairo_surface_t *card_mask(const float *weight, int64_t height, int64_t width);
/* The same as a PNG; *png is freed with cn_free. */
cn_status card_mask_png(const float *weight, int64_t height, int64_t width, void **png, size_t *size,
                        cn_error *err);

#endif
