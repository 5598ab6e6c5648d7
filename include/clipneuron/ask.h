/* clipneuron/ask.h -- questions to a study: what it holds, quantiles, where in a picture a unit answers, which pictures fire
 * several units, how two studies of one model differ, and any table of its database.
 *
 * clipneuron/study.h has what a card shows; this is what else can be asked. docs/study.md has every formula. Lists are owned by the
 * caller with all that they point to and released by the function named after them; they are NULL when n is 0.
 * A study from a stranger is data: what makes no sense gives CN_EFORMAT with one line.
 * Threads: as cn_study, one at a time. */
#ifndef CLIPNEURON_ASK_H
#define CLIPNEURON_ASK_H

#include "clipneuron/study.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CN_MAX_ASK_UNITS 64                        /* that pictures are asked for at once */
#define CN_MAX_TABLE_TEXT ((size_t)1 << 30)        /* bytes of one column of text in a .npz; it is left out beyond */

/* ---- the study ---- */

typedef struct cn_study_summary {
    int64_t duplicates;     /* pictures with the bytes of an earlier one */
    int64_t dead;           /* units that are constant, of all sites */
    int64_t visualisations; /* kept by `see --study` */
    int64_t notes;
    char matrices[8];       /* "f32", "f16" or "none" */
    int64_t database_bytes; /* of study.sqlite on the disk */
    int64_t matrix_bytes;   /* of the .npy files */
} cn_study_summary;

/** What cn_study_get_info does not say. Nothing but the database's facts and the sizes of files is read. */
CN_API CN_MUST_CHECK cn_status cn_study_summarise(cn_study *study, cn_study_summary *out, cn_error *err);

typedef enum cn_tally_kind {
    CN_TALLY_LABEL,  /* labels by name, with their pictures */
    CN_TALLY_MEDIUM, /* media by name, with their pictures */
    CN_TALLY_REASON  /* why pictures could not be read, the most frequent first */
} cn_tally_kind;

typedef struct cn_tally {
    const char *name;
    int64_t count; /* pictures */
} cn_tally;

CN_API CN_MUST_CHECK cn_status cn_study_tallies(cn_study *study, cn_tally_kind kind, cn_tally **list, size_t *n, cn_error *err);
CN_API void cn_tallies_free(cn_tally *list);

/* A process that worked on the study. */
typedef struct cn_run {
    const char *started; /* "2026-11-24T02:30:00Z" */
    double seconds;
    int64_t images, failed;
    const char *shard, *program, *backend;
} cn_run;

/** In the order in which they began to count. */
CN_API CN_MUST_CHECK cn_status cn_study_runs(cn_study *study, cn_run **list, size_t *n, cn_error *err);
CN_API void cn_runs_free(cn_run *list);

/* ---- units ---- */

/* Which units, and in which order. Zeroes: all that are not dead and ever above zero, the most interesting first. */
typedef struct cn_unit_query {
    cn_unit_order order;
    const char *label; /* only units with this label; NULL: any */
    double min_purity; /* only units of at least this purity, 0..1 */
    size_t limit;      /* 0: all */
} cn_unit_query;

/** Units of a site; dead ones only for CN_ORDER_UNIT. @param query NULL: all defaults
 * @param[out] rows as from cn_study_units, cn_unit_rows_free
 * @return CN_OK, also when none fits; CN_EINVAL (site, purity), CN_ENOTFOUND (the study has no such label: the message names some) */
CN_API CN_MUST_CHECK cn_status cn_study_find_units(cn_study *study, size_t site, const cn_unit_query *query, cn_unit_row **rows,
                                                   size_t *n, cn_error *err);

/* A bin of the study's fine histogram: 128 to the octave, docs/study.md. */
typedef struct cn_bin {
    double low, high; /* activation; the outermost reach to the unit's minimum and maximum */
    int64_t count;    /* of pictures, above zero */
} cn_bin;

/** The histogram of a unit as it is stored, rising, without empty bins; n is 0 for a dead unit. @param[out] bins cn_bins_free */
CN_API CN_MUST_CHECK cn_status cn_study_bins(cn_study *study, cn_unit_ref ref, cn_bin **bins, size_t *n, cn_error *err);
CN_API void cn_bins_free(cn_bin *bins);

/* The q-quantile of N values is the ceil(q N)-th smallest of them (the first for q = 0): a value that occurs. */
typedef struct cn_quantile {
    double share;     /* q, as asked */
    double value;     /* activation, interpolated within the bin that holds it */
    double sd;        /* the same in sd units */
    double low, high; /* between which the true one lies for certain: at most 1/128 of it apart, or 2^-13 around zero */
} cn_quantile;

/** Quantiles of a unit's activation over the collection, from the fine histogram. Those of a dead unit are its one value.
 * @param shares n numbers in 0..1  @param[out] out caller's buffer of n */
CN_API CN_MUST_CHECK cn_status cn_study_quantiles(cn_study *study, cn_unit_ref ref, const double *shares, size_t n, cn_quantile *out,
                                                  cn_error *err);

typedef struct cn_bucket {
    double low, high;       /* activation; the last one includes its end */
    double low_sd, high_sd; /* the same in sd units */
    int64_t images;         /* from the fine histogram: a value within 0.8% of a border may be counted on its other side */
} cn_bucket;

/** The equal intervals from a unit's minimum to its maximum that CN_EXAMPLE_BUCKET samples, the lowest first; n is
 * cn_study_info.buckets, or 0 for a dead unit. @param[out] list cn_buckets_free */
CN_API CN_MUST_CHECK cn_status cn_study_buckets(cn_study *study, cn_unit_ref ref, cn_bucket **list, size_t *n, cn_error *err);
CN_API void cn_buckets_free(cn_bucket *list);

/* ---- where in a picture ---- */

typedef struct cn_box {
    double left, top, right, bottom; /* px from the upper left corner; right and bottom are the far edges */
} cn_box;

/* The cells of an example's map that answer: at half of the map's peak or beyond, and hanging together with it (by edges). Cards
 * outline the same. A cell is the part of the picture above it; its unit sees more than that (its receptive field). */
typedef struct cn_region {
    int64_t cells;                /* in the region */
    int row, column;              /* of the map's peak (its lowest cell for CN_EXAMPLE_BOTTOM) */
    int top, left, bottom, right; /* cells of the map, bottom and right not included */
    cn_box input;                 /* of the model's input, resolution x resolution */
    cn_box picture;               /* of the decoded picture, resize and centre crop undone; zeroes where its size is not known */
} cn_region;

/** @param kind CN_EXAMPLE_BOTTOM: the region of the most inhibited cell; else of the strongest
 * @param[out] out the bounding box of the region. cells is 0, and so is all else, when there is none: no map kept (examples of
 *        buckets), sites without one, a map of one cell, or nothing on that side of zero
 * @return CN_OK; CN_EINVAL (site), CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_example_region(const cn_study *study, size_t site, cn_example_kind kind, const cn_example *example,
                                                 cn_region *out, cn_error *err);

/* ---- pictures ---- */

typedef struct cn_picture {
    int64_t image; /* row of the matrices, and images.id */
    const char *path;
    const char *label, *medium, *caption; /* "" where unknown */
    double total;                         /* of sd; 0 where no units were asked for */
    const double *sd;                     /* activation in sd units of each unit asked for; NULL where none were */
} cn_picture;

/** Pictures by the sum of their activations in sd units over the units named, the largest first; equal ones by path. Reads the
 * matrices memory-mapped: one column for each unit.
 * @param n_units 1..CN_MAX_ASK_UNITS, of any sites  @param limit 0: all  @param[out] list cn_pictures_free
 * @return CN_OK; CN_EINVAL (units, one that is dead), CN_ENOTFOUND (the study was made without matrices), CN_EFORMAT */
CN_API CN_MUST_CHECK cn_status cn_study_pictures_of_units(cn_study *study, const cn_unit_ref *units, size_t n_units, size_t limit,
                                                          cn_picture **list, size_t *n, cn_error *err);

/** Pictures with a text in their path, label, caption or another column (table fields), in the order of paths. ASCII letters match in either case.
 * @param text not empty  @param limit 0: all  @param[out] list cn_pictures_free */
CN_API CN_MUST_CHECK cn_status cn_study_search_pictures(cn_study *study, const char *text, size_t limit, cn_picture **list, size_t *n,
                                                        cn_error *err);
CN_API void cn_pictures_free(cn_picture *list);

/** A picture by its path in the study, or by the end of it after a slash when one picture alone has that end.
 * @return CN_ENOTFOUND; CN_EINVAL naming two of several */
CN_API CN_MUST_CHECK cn_status cn_study_find_picture(cn_study *study, const char *path, int64_t *image, cn_error *err);

typedef struct cn_fired_unit {
    cn_unit_ref ref;
    double value, sd;         /* activation, and in sd units */
    double share_above;       /* of the collection's pictures with a larger activation, from the fine histogram */
    int rank;                 /* of the picture among the unit's strongest examples, 0..; -1: it is none */
    const char *label, *word; /* of the unit; "" where unknown */
} cn_fired_unit;

/** Units of a site by what they do on one picture, in sd units, the largest first.
 * @param limit 0: all  @param[out] list cn_fired_units_free
 * @param[out] complete false when the study has no matrices: only units then of whose strongest examples the picture is one
 * @return CN_OK; CN_EINVAL (no such site or picture), CN_EFORMAT */
CN_API CN_MUST_CHECK cn_status cn_study_units_of_picture(cn_study *study, int64_t image, size_t site, size_t limit, cn_fired_unit **list,
                                                         size_t *n, bool *complete, cn_error *err);
CN_API void cn_fired_units_free(cn_fired_unit *list);

/* ---- two studies ---- */

#define CN_DIFFERENCE_GROUPS 32 /* of about as many pictures each, for the Jensen-Shannon divergence */

typedef enum cn_difference_order {
    CN_DIFFERENCE_D, /* abs(d), falling; so are the next four */
    CN_DIFFERENCE_Z,
    CN_DIFFERENCE_SHARE,
    CN_DIFFERENCE_KS,
    CN_DIFFERENCE_JS,
    CN_DIFFERENCE_LABEL, /* units whose label changed first, by the lower of the two purities */
    CN_DIFFERENCE_UNIT
} cn_difference_order;

/* One unit on two collections, A and B. Differences are B less A. */
typedef struct cn_unit_difference {
    cn_unit_ref a, b; /* the same unit; the site's number may differ between the studies */
    int64_t count_a, count_b;
    double mean_a, mean_b, sd_a, sd_b;
    double d;                        /* Cohen's: difference of the means in pooled sd */
    double d_error;                  /* its standard error, Hedges and Olkin 1985 */
    double z;                        /* d / d_error, as if the pictures of both had been drawn independently */
    double share_a, share_b;         /* of pictures above zero */
    double ks, ks_most;              /* Kolmogorov-Smirnov distance: at least, and at most what lies between the bins' edges */
    double js, js_chance;            /* Jensen-Shannon divergence in bits, 0..1, and what two samples of one distribution would give on average */
    const char *label_a, *label_b;   /* "" where unknown */
    double purity_a, purity_b;
    bool label_changed;
    bool dead_a, dead_b; /* constant there */
} cn_unit_difference;

/** Compares the units of sites that both studies have. Units that are dead in both are left out.
 * @param site of both, as cn_study_parse_unit reads it; NULL: all sites in common  @param limit 0: all
 * @param[out] list cn_unit_differences_free
 * @return CN_OK; CN_EMISMATCH: other models (both fingerprints), one of means and one of maxima, no site in common, or sites of
 *         other sizes; CN_ENOTFOUND (site), CN_EFORMAT */
CN_API CN_MUST_CHECK cn_status cn_studies_compare(cn_study *a, cn_study *b, const char *site, cn_difference_order order, size_t limit,
                                                  cn_unit_difference **list, size_t *n, cn_error *err);
CN_API void cn_unit_differences_free(cn_unit_difference *list);

/* ---- tables ---- */

/** The tables of the database, by name; cn_tally.count is the number of their columns. @param[out] list cn_tallies_free */
CN_API CN_MUST_CHECK cn_status cn_study_tables(cn_study *study, cn_tally **list, size_t *n, cn_error *err);

typedef enum cn_cell_kind { CN_CELL_NULL, CN_CELL_INTEGER, CN_CELL_REAL, CN_CELL_TEXT, CN_CELL_BLOB } cn_cell_kind;

typedef struct cn_cell {
    cn_cell_kind kind;
    int64_t integer;
    double real;
    const void *data; /* of a text (with a zero behind its last byte) or a blob; borrowed until the next row; NULL for an empty blob */
    size_t size;      /* bytes */
} cn_cell;

/* Rows of a table or query, read one by one. */
typedef struct cn_rows cn_rows;

/** A table of the study, in the order of its key. `histograms` comes decoded: site, unit, low, high, count, a row for each bin.
 * @param[out] out cn_rows_close, before the study is closed
 * @return CN_ENOTFOUND naming the tables */
CN_API CN_MUST_CHECK cn_status cn_study_table(cn_rows **out, cn_study *study, const char *name, cn_error *err);
/** One query in SQLite's SQL, which may read and nothing else. @return CN_EINVAL with SQLite's reason */
CN_API CN_MUST_CHECK cn_status cn_study_query(cn_rows **out, cn_study *study, const char *sql, cn_error *err);
CN_API void cn_rows_close(cn_rows *rows);

CN_API int cn_rows_columns(const cn_rows *rows);
/** Borrowed until close. */
CN_API const char *cn_rows_name(const cn_rows *rows, int column);
/** Goes to the next row, first to the first. @param[out] more false behind the last */
CN_API CN_MUST_CHECK cn_status cn_rows_next(cn_rows *rows, bool *more, cn_error *err);
/** Of the present row; column < cn_rows_columns. */
CN_API cn_cell cn_rows_cell(const cn_rows *rows, int column);

/** Writes the rows that are left to a .npz, an array for each column: int64 where all are whole numbers, float64 where numbers
 * are mixed or missing (NaN), numpy's fixed-width unicode where there is text (missing: ""; see cn_npz_writer_add_texts).
 * @param[out] left_out caller's buffer: names of columns that hold blobs or too much text, with ", " between; "" when none
 * @param[out] count NULL, or rows written */
CN_API CN_MUST_CHECK cn_status cn_rows_write_npz(cn_rows *rows, const char *path, char *left_out, size_t room, int64_t *count,
                                                 cn_error *err);

#ifdef __cplusplus
}
#endif
#endif
