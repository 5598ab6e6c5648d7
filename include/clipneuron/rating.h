/* clipneuron/rating.h -- what people see on the pictures of a unit, and P(category | activation).
 *
 * The strongest pictures say little about the rest. A study keeps a random sample from every level of a unit's
 * activation; people (raters) put those pictures into categories without seeing the activation, and the share of
 * each category at each level, with its uncertainty, is what the unit answers to (Goh et al. 2021, "Multimodal
 * neurons in artificial neural networks", the figures of P(category | activation)). The same shares can be taken from
 * the collection's labels or media, without any rater.
 *
 * Answers are rows of the tables `ratings` and `rating_categories` of study.sqlite, which the first of them makes. An
 * answer is on the disk when the call that keeps it returns. docs/study.md has the formulas.
 * Threads: as cn_study. */
#ifndef CLIPNEURON_RATING_H
#define CLIPNEURON_RATING_H

#include "clipneuron/error.h"
#include "clipneuron/study.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CN_MAX_CATEGORIES 16      /* of one unit */
#define CN_MAX_RATERS 64          /* of one unit */
#define CN_MAX_RATING_NAME 64     /* bytes of a category's or rater's name */
#define CN_MAX_RATINGS 262144     /* of one unit */
#define CN_MAX_CATEGORY_BINS 64   /* of a table of shares */
#define CN_CATEGORY_HISTOGRAM 120 /* bins of the whole collection's histogram in it */

/* ---- pictures to rate ---- */

/* A picture that raters see. Strings are owned by the list; "" where unknown. */
typedef struct cn_rating_picture {
    int64_t image;    /* images.id */
    const char *path; /* relative to the collection */
    const char *label, *medium;
    int bucket;            /* 0..cn_study_info.buckets-1: its level; not for raters' eyes, nor are the next two */
    double value, sd;      /* activation; in sd units */
    const void *thumbnail; /* JPEG or PNG bytes of the preprocessed crop; NULL if there is none */
    size_t thumbnail_size;
    const char *thumbnail_type; /* "image/jpeg", "image/png", or "" */
} cn_rating_picture;

/** The pictures of a unit that are rated: the random sample from each bucket; and all pictures of a bucket where the study
 * has all of them among the strongest or most inhibiting. Each comes once.
 * @param rater NULL: by bucket, then by activation. Else in this rater's own random order, the same each time: by a hash of
 *        the rater's name and the picture's path
 * @param[out] pictures owned by the caller, cn_rating_pictures_free; NULL when n is 0 (a dead unit)
 * @return CN_OK; CN_EINVAL (no such unit, or a name that is no name), CN_EFORMAT, CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_study_rating_pictures(cn_study *study, cn_unit_ref ref, const char *rater, cn_rating_picture **pictures,
                                                        size_t *n, cn_error *err);
CN_API void cn_rating_pictures_free(cn_rating_picture *pictures);

/* ---- categories and answers ---- */

typedef struct cn_category {
    const char *name; /* owned by the list */
    int64_t answers;
} cn_category;

/** The categories of a unit, in their order; n is 0 where none were set. @param[out] categories owned by the caller, cn_categories_free */
CN_API CN_MUST_CHECK cn_status cn_study_categories(cn_study *study, cn_unit_ref ref, cn_category **categories, size_t *n, cn_error *err);
CN_API void cn_categories_free(cn_category *categories);
/** Sets them, in place of older ones. Names have 1 to CN_MAX_RATING_NAME bytes, no control characters, no blanks around them,
 * and each comes once.
 * @return CN_OK; CN_EINVAL (a name, their number, or an older category with answers that is not among them), CN_EIO */
CN_API CN_MUST_CHECK cn_status cn_study_set_categories(cn_study *study, cn_unit_ref ref, const char *const *names, size_t n, cn_error *err);

typedef struct cn_rating {
    int64_t image;
    const char *path, *rater, *category, *created; /* owned by the list; created: "2026-11-24T02:30:00Z" */
} cn_rating;

/** All answers of a unit, by rater, then by picture. @param rater NULL: all of them
 * @param[out] ratings owned by the caller, cn_ratings_free; NULL when n is 0 */
CN_API CN_MUST_CHECK cn_status cn_study_ratings(cn_study *study, cn_unit_ref ref, const char *rater, cn_rating **ratings, size_t *n,
                                                cn_error *err);
CN_API void cn_ratings_free(cn_rating *ratings);

/** Keeps a rater's answer for a picture, in place of an older one. It is on the disk when the call returns.
 * @param category one of the unit's; NULL takes the answer back
 * @return CN_OK; CN_EINVAL (a picture that is none of the unit's, a category or a name), CN_EIO, CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_study_keep_rating(cn_study *study, cn_unit_ref ref, int64_t image, const char *rater,
                                                    const char *category, cn_error *err);
/** Removes a rater's answers for a unit (rater NULL: everybody's). @param[out] removed NULL, or how many there were */
CN_API CN_MUST_CHECK cn_status cn_study_remove_ratings(cn_study *study, cn_unit_ref ref, const char *rater, int64_t *removed,
                                                       cn_error *err);

typedef struct cn_rating_import {
    int64_t added, changed, same; /* answers */
    int64_t empty;                /* rows without a category, left out */
} cn_rating_import;

/** Reads answers from a CSV: a header line with `category`, `image` or `path` (where both are there they must agree) and, with
 * rater NULL, `rater`. All of them are kept or, after an error, none. A unit without categories gets those of the file, in
 * the order in which they come.
 * @return CN_OK; CN_EFORMAT, CN_EINVAL naming the line: a column that is missing, a picture that is none of the unit's, a picture
 *         twice for a rater, a category that the unit has not; CN_ENOTFOUND, CN_EIO, CN_ELIMIT, CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_study_read_ratings(cn_study *study, cn_unit_ref ref, const char *rater, const char *csv,
                                                     cn_rating_import *result, cn_error *err);
/** Writes a CSV to fill in: image, path and an empty category, in the rater's order. */
CN_API CN_MUST_CHECK cn_status cn_study_write_rating_template(cn_study *study, cn_unit_ref ref, const char *rater, const char *csv,
                                                              cn_error *err);
/** Writes a page to rate on: one HTML file that needs nothing else, with the pictures in the rater's order, their categories
 * to choose from, and a button that gives the answers as a CSV for cn_study_read_ratings. Its one script is allowed by its
 * hash alone. @return as above; CN_EINVAL when the unit has no categories */
CN_API CN_MUST_CHECK cn_status cn_study_write_rating_sheet(cn_study *study, cn_unit_ref ref, const char *rater, const char *html,
                                                           cn_error *err);

/* ---- P(category | activation) ---- */

typedef enum cn_category_source {
    CN_CATEGORIES_RATED, /* raters' answers, averaged for each picture */
    CN_CATEGORIES_LABEL, /* the collection's labels: the 7 that take most of the plot, and "other" */
    CN_CATEGORIES_MEDIUM /* its media */
} cn_category_source;

/* Zeroes (or NULL) give the defaults. */
typedef struct cn_category_options {
    cn_category_source source;
    int bins;          /* equal bins from the unit's minimum to its maximum; 0: the study's buckets */
    double confidence; /* of all intervals; 0: 0.95 */
    uint64_t seed;     /* of the bootstrap */
    int resamples;     /* of the bootstrap; 0: 1000, at most 100000 */
} cn_category_options;

/* One category at one level. Where no picture was rated all are NaN, but images. */
typedef struct cn_category_share {
    double images;                       /* pictures; a fraction where raters differ */
    double share, low, high;             /* of the level's pictures, 0..1; Wilson's interval */
    double below, below_low, below_high; /* this and all categories before it: the upper edge of its area */
} cn_category_share;

typedef struct cn_category_bin {
    double low, high;                /* sd units */
    int64_t population;              /* pictures of the collection, from the study's histogram */
    int64_t images;                  /* of them with a category */
    double effective;                /* as many equally weighted ones would be as certain (Kish); images where weights are equal */
    const cn_category_share *shares; /* (n_categories) */
} cn_category_bin;

/* What raters agree on, over the pictures that at least two of them answered. NaN: not defined. */
typedef struct cn_agreement {
    int64_t answers, images, shared; /* answers; pictures with one; with at least two */
    double percent;                  /* 0..1: mean over shared pictures of the share of pairs of raters that agree */
    double kappa;                    /* Cohen's, for exactly two raters */
    double alpha;                    /* Krippendorff's, nominal */
    double alpha_low, alpha_high;    /* percentiles of the bootstrap over shared pictures */
} cn_agreement;

/* Owned by the caller with all it points to, cn_category_table_free. */
typedef struct cn_category_table {
    cn_unit_ref ref;
    cn_category_source source;
    const char *unit, *label; /* "layer4.3.add:319"; the unit's label, "" for none */
    const char *model_file, *collection_name;
    size_t n_categories, n_bins, n_raters;
    const char *const *categories; /* (n_categories) */
    const cn_category_bin *bins;   /* (n_bins), from the lowest */
    const char *const *raters;     /* (n_raters) */
    double confidence;
    cn_agreement agreement;                   /* of raters only */
    int64_t pictures;                         /* that there are to rate */
    int64_t histogram[CN_CATEGORY_HISTOGRAM]; /* the whole collection over the same range */
} cn_category_table;

/** @return CN_OK; CN_ENOTFOUND when there is no category (no answers, no labels, no media), CN_EINVAL (no such unit, a dead one, an
 *          option), CN_EFORMAT, CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_study_category_table(cn_study *study, cn_unit_ref ref, const cn_category_options *options,
                                                       cn_category_table **table, cn_error *err);
CN_API void cn_category_table_free(cn_category_table *table);

typedef enum cn_plot_theme {
    CN_PLOT_LIGHT, /* on white */
    CN_PLOT_DARK,
    CN_PLOT_PRINT /* greys and hatches, for paper */
} cn_plot_theme;

/** Draws the table as stacked areas over activation in sd units, with intervals, counts, raters' agreement and the whole
 * collection's histogram (the base rates) below.
 * @param path ends in .svg, or .png (two pixels a point, 1840 wide)
 * @return CN_OK; CN_EINVAL (another ending), CN_EIO, CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_category_plot(const cn_category_table *table, cn_plot_theme theme, const char *path, cn_error *err);

#ifdef __cplusplus
}
#endif
#endif
