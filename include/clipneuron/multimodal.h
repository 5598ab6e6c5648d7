/* clipneuron/multimodal.h -- is a unit multimodal? How well its activation tells a concept's pictures from all others, in each medium and in
 * pictures of the written word, which the library draws itself.
 *
 * AUC within a medium: P(the unit is more active on a picture of the concept than on another picture of the medium), ties half. A unit counts as
 * multimodal for a concept where the lower ends of the AUC's intervals exceed a level in at least two media, one of them written and one not, and where
 * the false discovery rate over all units, each for all concepts looked at, is within a limit. docs/compose.md has the formulas.
 *
 * Needs the study's matrices (scan without --matrices none). It describes what goes together in the collection: it proves nothing about cause. */
#ifndef CLIPNEURON_MULTIMODAL_H
#define CLIPNEURON_MULTIMODAL_H

#include "clipneuron/find.h"
#include "clipneuron/study.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CN_MAX_MULTIMODAL_MEDIA 12
#define CN_MAX_MULTIMODAL_BEST 16
#define CN_MAX_MULTIMODAL_CONCEPTS 16384
#define CN_MAX_MULTIMODAL_DRAWINGS 64
#define CN_MAX_MULTIMODAL_ROUNDS 100000 /* shuffles, resamples */

/* Zeroes (or NULL) give the defaults. Pointers are borrowed for the call. */
typedef struct cn_multimodal_options {
    size_t site;
    const int64_t *units; /* of the site; NULL: all. Dead ones are left out */
    size_t n_units;
    const char *concepts; /* a CSV with columns family,concept, or a concept a line; NULL: the study's labels, and without any the built-in families' */
    const char *families; /* a CSV with columns family,concept; NULL: the built-in file, and what `concepts` says */
    const char *const *media; /* "NAME" or "NAME=MEDIUM,MEDIUM": media of the study to look at, put together under a name; NULL: photo and 3-d are
                                 "photo or 3-D", line, solid, colour, icon and the like "drawing", others by themselves */
    size_t n_media;
    double level;      /* 0.5 to 1; 0: 0.9 */
    double fdr;        /* 0 to 1; 0: 0.05 */
    double confidence; /* of intervals, 0.5 to 1; 0: 0.95 */
    int64_t least;     /* pictures that a concept needs in a medium; 0: 3 */
    int best;          /* concepts reported for each unit; 0: 1 */
    int drawings;      /* of each concept's written word; 0: 12; -1: none, and no model is needed */
    int shuffles, resamples; /* 0: 999 and 1000 */
    uint64_t seed;     /* of shuffles and resamples; drawings do not depend on it */
    bool dry;          /* do not write what was found into the study */
    int threads;
    cn_precision precision;
    cn_backend backend;
    cn_find_callback *progress; /* "words", "units", "families" */
    void *user;
    const char *const *font_files; /* .ttf or .otf, which the drawings go round, read alone: pixels are the same on every system; NULL: the system's fonts */
    size_t n_font_files;           /* at most `drawings` */
} cn_multimodal_options;

typedef struct cn_medium_auc {
    double auc, low, high; /* NaN: too few pictures */
    int64_t images;        /* of the concept in the medium */
} cn_medium_auc;

/* Strings are owned by the result or list that holds the row. */
typedef struct cn_multimodal_unit {
    cn_unit_ref ref;
    const char *concept_name;
    const char *family; /* of the concept; "": none */
    bool sensitive;     /* a family about people: read its warning */
    bool multimodal;
    int passing;        /* media whose lower end exceeds the level */
    double score;       /* min(mean AUC of written media, mean of the others) */
    double p;           /* of the score, for having looked at all concepts: the larger of the next two */
    double p_pictures;  /* pictures shuffled within each medium (drawings of a word together) */
    double p_names;     /* other concepts' writing with each concept's pictures: what connects them is lost, and nothing else */
    double q;           /* false discovery rate over units at which this is a discovery */
    double matched;     /* probability that one concept has a score as high with another's writing, exact */
    int64_t images;     /* of the concept in the collection, whatever the medium: base rate = images / the study's */
    cn_medium_auc media[CN_MAX_MULTIMODAL_MEDIA]; /* in the order of cn_multimodal.media */
} cn_multimodal_unit;

typedef struct cn_family_unit {
    cn_unit_ref ref;
    const char *family;
    bool sensitive, belongs; /* q within the limit, and the interval's lower end above 0.7 */
    double auc, low, high;   /* of the family's concepts against the others, ranked by the unit's mean AUC; concepts are resampled */
    double p, q;             /* for having looked at all families; over units */
    int64_t concepts;        /* of the family that could be ranked */
    int64_t images;          /* of the family in the collection */
} cn_family_unit;

typedef struct cn_multimodal_medium {
    const char *name;
    bool written, drawn;
    int64_t images;
} cn_multimodal_medium;

typedef struct cn_multimodal {
    cn_multimodal_medium media[CN_MAX_MULTIMODAL_MEDIA];
    size_t n_media;
    cn_multimodal_unit *units; /* multimodal first, then by score, falling; a unit's concepts stay together in that order */
    size_t n;
    cn_family_unit *families;  /* a row a unit, its likeliest family, by q; NULL without a family of three concepts */
    size_t n_families;
    int64_t concepts, tested;  /* looked for; with pictures enough in a written medium and another */
    int64_t live;              /* units looked at */
    int64_t multimodal;        /* units that are */
    int64_t above;             /* units whose score exceeds the level */
    double by_chance;          /* the mean of that number when each concept gets another's writing */
    int64_t belonging;         /* units that belong to a family */
    int64_t words, drawings;   /* drawn, fillers included; pictures of them */
    int64_t undrawn;           /* words that no font, or not every font's file, can write */
    double draw_seconds;
    int64_t images;            /* of the study */
    double level, fdr, confidence;
    int64_t least;
    int shuffles, resamples;
} cn_multimodal;

/** Tests units of a site for concepts and, unless options->dry, keeps the result in the study (table multimodal), where cards show it.
 * @param model the study's; may be NULL when options->drawings is -1
 * @param[out] out owned by the caller with all it points to, cn_multimodal_free; NULL on failure
 * @return CN_OK; CN_EINVAL (an option, a unit, a medium that the study has not, with those it has), CN_EMISMATCH (another model), CN_ENOTFOUND (a study without matrices,
 *         no concept with pictures enough, no such file), CN_EFORMAT (the study, a file of concepts, a file that is no font), CN_ELIMIT, CN_ECANCELED, CN_EIO, CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_study_multimodal(cn_study *study, const cn_model *model, const cn_multimodal_options *options,
                                                   cn_multimodal **out, cn_error *err);
CN_API void cn_multimodal_free(cn_multimodal *result);

/* What is kept of a unit. */
typedef struct cn_multimodal_fact {
    const char *concept_name, *family;
    bool multimodal, sensitive;
    double score, p, q, level;
    double base_rate;    /* share of the collection's pictures that show the concept */
    const char *media;   /* "colour 0.98 [0.95, 1.00], drawn 1.00 [1.00, 1.00]" */
    const char *created; /* "2026-11-24T02:30:00Z" */
} cn_multimodal_fact;

/** What a study keeps of a unit, the best concept first; none for studies without any.
 * @param[out] list owned by the caller, cn_multimodal_facts_free; NULL when n is 0 */
CN_API CN_MUST_CHECK cn_status cn_study_multimodal_facts(cn_study *study, cn_unit_ref ref, cn_multimodal_fact **list, size_t *n, cn_error *err);
CN_API void cn_multimodal_facts_free(cn_multimodal_fact *list);

/* What is kept of the family that a unit is likeliest to belong to; cn_family_unit says what the numbers are. */
typedef struct cn_family_fact {
    const char *family;
    bool sensitive, belongs;
    double auc, low, high, q;
    int64_t concepts;
    double base_rate; /* share of the collection's pictures that show one of the family's */
    const char *created;
} cn_family_fact;

/** @param[out] out owned by the caller, cn_family_fact_free; NULL where nothing is kept */
CN_API CN_MUST_CHECK cn_status cn_study_family_fact(cn_study *study, cn_unit_ref ref, cn_family_fact **out, cn_error *err);
CN_API void cn_family_fact_free(cn_family_fact *fact);

/** The family about people ("person trait", "religion", "region") that a name belongs to in the built-in file, whatever its case, folders in front of it and
 * underscores for blanks; NULL: none. Static. */
CN_API const char *cn_concept_people(const char *name);
/** The base rate of a name: the share of the study's pictures that carry it as a label, in the same sense; 0 where no label is it.
 * @return CN_OK; CN_EFORMAT (the study), CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_study_base_rate(cn_study *study, const char *name, double *share, cn_error *err);
/** The sentence that belongs to a family about people ("person trait", "religion", "region"); NULL for others. Static. */
CN_API const char *cn_family_warning(const char *family);

#ifdef __cplusplus
}
#endif
#endif
