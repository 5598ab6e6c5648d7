/* clipneuron/find.h -- units of a study for a text or a picture, and names for units.
 *
 * Three scores say how much a unit speaks for a text, and each can be wrong on its own:
 *  linear   cosine of the unit's direction in the embedding (clipneuron/linear.h) with the text's embedding, less the mean of the words';
 *  dissect  CLIP-Dissect's soft WPMI (Oikarinen and Weng, ICLR 2023): what the unit's strongest pictures have in common, in nats;
 *  labels   z of the mean over the pictures that the collection labels so.
 * Names are chosen on one half of the pictures and measured on the other. docs/study.md has every formula.
 *
 * Needs the study's matrices (scan without --matrices none) for all but `linear` and part of `labels`. Scores describe what goes
 * together in the collection, or in the last linear step of the model: they prove nothing about cause. */
#ifndef CLIPNEURON_FIND_H
#define CLIPNEURON_FIND_H

#include "clipneuron/image.h"
#include "clipneuron/study.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CN_MAX_FIND_PICTURES 65536

typedef enum cn_find_by { CN_FIND_LINEAR, CN_FIND_DISSECT, CN_FIND_LABELS, CN_FIND_KINDS } cn_find_by;
#define CN_FIND_ALL CN_FIND_KINDS /* the order over all of them */

/** Called from the calling thread, now and then. what: "texts", "words", "labels", "names"; static. @return false to stop (CN_ECANCELED) */
typedef bool cn_find_callback(const char *what, int64_t done, int64_t total, void *user);

/* ---- units for a text ---- */

/* Zeroes (or NULL) give the defaults. */
typedef struct cn_find_options {
    size_t site;      /* number in the study */
    unsigned by;      /* bits 1 << CN_FIND_LINEAR ...; 0: all three */
    int64_t pictures; /* `dissect` looks at so many at most, those with the smallest hashes; 0: 8192 */
    int threads;      /* of the text tower; 0: all cores */
    cn_precision precision;
    cn_backend backend;
    cn_find_callback *progress; /* NULL: none */
    void *user;
} cn_find_options;

typedef struct cn_found {
    cn_unit_ref ref;
    double combined; /* mean of 1/rank over the scores that count (counts below), 0 to 1 */
    double score[CN_FIND_KINDS]; /* linear: cosine, -1 to 1; dissect: nats; labels: z of the label's mean. NaN: not computed */
    double z[CN_FIND_KINDS];     /* the score's distance from the mean over units in standard deviations; NaN: not computed */
    int64_t rank[CN_FIND_KINDS]; /* 1: the highest of the site; equal ones in the order of units. 0: not computed */
} cn_found;

typedef struct cn_find_result {
    cn_found *units; /* not dead; by combined, falling, then by the sum of z over the scores that count, then by number */
    size_t n;
    const char *why[CN_FIND_KINDS]; /* in words, why a score is missing; NULL where there is one, or none was asked for */
    bool counts[CN_FIND_KINDS];     /* whether a score is in `combined`: a label that is only near does not, unless it is all there is */
    const char *label;              /* the study's label that `labels` is about; NULL: none */
    double label_cosine;            /* of its text with the text; 1 when it is the same */
    bool label_same;
    int64_t label_images; /* how many pictures have it */
    int64_t pictures;     /* `dissect` looked at */
    int64_t strongest;    /* of which so many are a unit's strongest */
    int64_t words;        /* that the text was compared with */
} cn_find_result;

/** Ranks the units of a site for a word or sentence.
 * @param model the study's
 * @param[out] out owned by the caller with all it points to, cn_find_result_free; NULL on failure
 * @return CN_OK; CN_EMISMATCH (another model), CN_EINVAL (site, text empty), CN_ELIMIT (a text that is too long for the model), CN_ENOTFOUND (no score
 *         could be computed, with the reasons), CN_EFORMAT (the study), CN_ECANCELED, CN_EIO, CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_find_text(cn_study *study, const cn_model *model, const char *text, const cn_find_options *options,
                                            cn_find_result **out, cn_error *err);
CN_API void cn_find_result_free(cn_find_result *result);

/* How far to trust the scores on a study: its own labels are the queries, and a unit is right when its own label (cn_unit_row.label) is
 * the query. The score `labels` is made of the same labels, so it has no merit here. */
typedef struct cn_find_measure {
    int64_t asked;   /* labels that are some unit's own, and that the model knows */
    int64_t units;   /* not dead */
    int64_t first[CN_FIND_KINDS + 1]; /* queries whose first unit is right, for each score and (CN_FIND_ALL) the order over linear and dissect; -1: not
                                         computed */
    int64_t ten[CN_FIND_KINDS + 1];   /* that have a right one among the first ten */
    double chance;   /* share of queries whose first unit would be right, were units drawn at random */
    const char *why[CN_FIND_KINDS];   /* as above; static */
    int64_t pictures, strongest, words;
} cn_find_measure;

/** @return as cn_find_text; CN_ENOTFOUND also for a study without labels */
CN_API CN_MUST_CHECK cn_status cn_find_measure_text(cn_study *study, const cn_model *model, const cn_find_options *options, cn_find_measure *out,
                                                    cn_error *err);

/* ---- units for a picture ---- */

typedef struct cn_answer {
    cn_unit_ref ref;
    double value;      /* activation, reduced as the study does */
    double sd;         /* the same in sd units */
    double percentile; /* 0 to 100: share of the study's pictures below it, and half of those in the same bin of the fine histogram */
} cn_answer;

/** What a picture does to all units of a site, in their order; dead ones have sd 0 and percentile 50.
 * @param path a picture, read as the study's were (orientation, background, RGB first)
 * @param options site, threads, precision and backend count; NULL for defaults
 * @param[out] out owned by the caller, cn_answers_free; NULL on failure
 * @return CN_OK; CN_EMISMATCH, CN_EINVAL, what cn_image_load returns, CN_EFORMAT, CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_find_image(cn_study *study, const cn_model *model, const char *path, const cn_find_options *options,
                                             cn_answer **out, size_t *n, cn_error *err);
CN_API void cn_answers_free(cn_answer *answers);

/* ---- names ---- */

typedef enum cn_name_method {
    CN_NAME_CONSENSUS, /* mean of 1/rank over the three below */
    CN_NAME_DISSECT,   /* soft WPMI, nats */
    CN_NAME_LINEAR,    /* cosine with the unit's direction */
    CN_NAME_NEAREST    /* correlation of activation and share, as the study's nearest words */
} cn_name_method;
#define CN_NAME_METHODS 4
/** "consensus", ...; NULL for others. Static. */
CN_API const char *cn_name_method_text(cn_name_method method);

typedef struct cn_name_options {
    size_t site;
    cn_name_method method;
    const char *words;         /* a list, one word or phrase a line; NULL: the study's words */
    const char *word_template; /* a prompt with one "{}"; NULL: the study's, else "{}" */
    int64_t pictures;          /* at most so many, both halves together; 0: 8192 */
    uint64_t seed;             /* of the shuffled names */
    bool dry;                  /* do not write the names into the study */
    int threads;
    cn_precision precision;
    cn_backend backend;
    cn_find_callback *progress;
    void *user;
} cn_name_options;

/* Strings are owned by the list that holds the row. */
typedef struct cn_unit_name {
    cn_unit_ref ref;
    const char *name;
    const char *others;   /* the next best two, "a, b"; "" where there are none. Not kept in the study: "" when read */
    const char *method;
    double score;         /* the method's own, see cn_name_method */
    double heldout;       /* correlation of activation with the name's share, on pictures that did not choose it */
    double heldout_z;     /* atanh(heldout) * sqrt(pictures - 3) */
    double auc;           /* of the share, for the strongest twentieth of those pictures against the others: 0.5 is chance */
    const char *created;  /* "2026-11-24T02:30:00Z" */
} cn_unit_name;

typedef struct cn_name_result {
    cn_unit_name *names; /* of all units that are not dead, by heldout, falling */
    size_t n;
    int64_t words, unknown_words, pictures, heldout_pictures, strongest;
    double median, median_auc; /* of heldout, of auc */
    double shuffled;           /* mean, over shuffles of the names among the units, of the median of heldout */
    double p;                  /* share of shuffles with a median at least as high: (1 + how many)/(1 + shuffles) */
    int64_t shuffles;
    double threshold;          /* the 95th percentile of heldout over all shuffles */
    int64_t above;             /* names above it; chance: 5% */
    int64_t labelled, label_first, label_three; /* units whose own label is one of the words; whose name it is; or among its first three */
    int64_t pure, pure_first, pure_three;       /* the same for those of purity 0.7 and more */
} cn_name_result;

/** Names every unit of a site that is not dead, measures the names, and writes them into the study (table unit_names) in place of those
 * of the same method.
 * @param model the study's; may be NULL for CN_NAME_DISSECT and CN_NAME_NEAREST with the study's own words
 * @param[out] out owned by the caller with all it points to, cn_name_result_free; NULL on failure
 * @return CN_OK; CN_EINVAL (fewer than 8 pictures in a half, fewer than 2 known words, no model), CN_EUNSUPPORTED (a site without directions), CN_ENOTFOUND
 *         (a study without matrices or words), CN_EMISMATCH, CN_EFORMAT, CN_ECANCELED, CN_EIO, CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_study_name(cn_study *study, const cn_model *model, const cn_name_options *options, cn_name_result **out,
                                             cn_error *err);
CN_API void cn_name_result_free(cn_name_result *result);

/** Names of a unit that are kept in the study, the one with the highest heldout first; none for studies without any.
 * @param[out] list owned by the caller, cn_unit_names_free; NULL when n is 0 */
CN_API CN_MUST_CHECK cn_status cn_study_unit_names(cn_study *study, cn_unit_ref ref, cn_unit_name **list, size_t *n, cn_error *err);
CN_API void cn_unit_names_free(cn_unit_name *list);

#ifdef __cplusplus
}
#endif
#endif
