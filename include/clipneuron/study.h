/* clipneuron/study.h -- a study: what one model's units do on one collection of pictures.
 *
 * cn_study_scan runs a collection through a model and leaves a folder with a SQLite database and
 * numpy matrices; cn_study_open reads it back. A study holds everything that a neuron card shows,
 * thumbnails included: neither the model nor the pictures are needed again. docs/study.md has the
 * schema and every formula.
 *
 * "Activation" below is a unit's one value on a picture (cn_reduce; the mean over space, as in the
 * paper, unless another is asked for). "sd units" divide by the root mean square over the
 * collection: the standard deviation measured from zero.
 *
 * Text in a study is UTF-8 where the pictures' names are. Studies from strangers are untrusted: a
 * damaged one gives CN_EFORMAT.
 * Threads: a cn_study belongs to one thread at a time; open it twice to read from two. */
#ifndef CLIPNEURON_STUDY_H
#define CLIPNEURON_STUDY_H

#include "clipneuron/error.h"
#include "clipneuron/model.h"
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CN_STUDY_SCHEMA 3 /* of study.sqlite; PRAGMA user_version */
#define CN_MAX_STUDY_IMAGES ((int64_t)16 << 20)
#define CN_MAX_STUDY_SITES 64
#define CN_MAX_STUDY_LABELS 65536
#define CN_MAX_STUDY_EXAMPLES 256 /* of one kind for one unit */
#define CN_MAX_STUDY_WORDS 65536
#define CN_MAX_STUDY_SHARDS 65536
#define CN_MAX_STUDY_LIST ((size_t)1 << 30) /* bytes of a list or labels file */
#define CN_STUDY_PURITY_TOP 16              /* strongest pictures that purity looks at */

/* How a unit's values on a picture become one: their mean, their maximum, or that at the class token, which a ViT's embedding is made of. */
typedef enum cn_reduce { CN_REDUCE_MEAN, CN_REDUCE_MAX, CN_REDUCE_CLASS } cn_reduce;

/** "mean", "max" or "class", as in `scan --reduce` and in names of files. */
CN_API const char *cn_reduce_name(cn_reduce how);
/** @param values of one picture at the site: (units, H, W), (tokens, units) with the class token first, or (units) */
CN_API float cn_reduce_unit(cn_reduce how, const cn_site *site, const float *values, int64_t unit);

/* ---- making a study ---- */

typedef enum cn_scan_phase { CN_SCAN_LISTING, CN_SCAN_IMAGES, CN_SCAN_WORDS, CN_SCAN_WRITING } cn_scan_phase;

typedef struct cn_scan_progress {
    cn_scan_phase phase;
    int64_t done, total;      /* images; total is 0 while listing. `done` counts failed ones too */
    int64_t failed;           /* images that could not be decoded */
    double seconds;           /* since the scan began */
    double images_per_second; /* over the last seconds */
} cn_scan_progress;

/** Called from the calling thread, at most some ten times a second and at the end of every phase.
 * @return false to stop: the scan ends with CN_ECANCELED and leaves nothing behind */
typedef bool cn_scan_callback(const cn_scan_progress *progress, void *user);

/* Zeroes (or NULL) give the defaults. Pointers are borrowed for the call. */
typedef struct cn_scan_options {
    const char *const *sites; /* names or aliases of image sites; NULL: cn_model_default_site */
    size_t n_sites;
    cn_reduce reduce;          /* what statistics and examples are about; means and maxima go into the matrices in any case */
    const char *labels;        /* a CSV; NULL: labels.csv in the folder or beside it, if there is one */
    const char *words;         /* a list, one word or phrase a line; NULL: the built-in list */
    bool no_label_words;       /* do not add the collection's labels to the words */
    bool no_words;             /* leave the nearest words out (the text tower is not run) */
    const char *word_template; /* a prompt with one "{}"; NULL: "{}", the bare word */
    int top, bottom;           /* strongest and most inhibiting examples a unit; 0: 24 and 12 */
    int buckets,
        per_bucket;         /* uniform buckets from minimum to maximum, and pictures from each; 0: 10 and 6 */
    uint64_t seed;          /* of the sample from the buckets */
    int thumbnail;          /* px; 0: the model's resolution, at most 128 */
    cn_dtype matrices;      /* CN_DTYPE_F32 (default) or CN_DTYPE_F16 */
    bool no_matrices;       /* leave the .npy files out */
    bool force;             /* replace an older study of the same model; what people made in it comes along, see cn_scan_kept */
    int shard, shards;      /* do part `shard` (1..shards) of the collection only: every shards-th picture; 0: all of it */
    bool restart;           /* begin anew where an unfinished scan could go on */
    double save_every;      /* s; 0: 5. Less often where saving takes long: it costs at most 1% of the time */
    bool apply_orientation; /* obey EXIF orientation; the original code does not */
    bool rgb_first;         /* as in cn_image_options, as are the next two */
    bool composite_alpha;
    uint8_t background[3];
    int64_t batch;      /* 0: 32 */
    int threads;        /* of the network; 0: all cores */
    int decode_threads; /* 0: as many as cores, at most 16 */
    cn_precision precision;
    cn_backend backend;
    cn_scan_callback *progress; /* NULL: none */
    void *user;
    const char *const *more_images; /* archives that are scanned with `images`, which is one as well then */
    size_t n_more_images;
    const cn_site_edit *edits; /* what is done to the network while it runs (clipneuron/intervene.h); NULL: nothing */
    size_t n_edits;
    const char *edit_text;     /* what the edits are, recorded in the study and its settings; wanted where there are edits */
    bool discard;              /* with force: replace it also where the new study has no place for something that people made */
} cn_scan_options;

/* What people made in a study, in rows of its tables. When a study is replaced, answers go to the pictures of the new one that have
 * the same bytes, all else to the sites of the same name. */
typedef struct cn_scan_kept {
    int64_t answers, categories; /* of raters */
    int64_t notes;
    int64_t names;          /* in unit_names, by another method than those of cn_name_method */
    int64_t visualisations; /* carried when reduce and edits are the same: their values are the study's */
    int64_t results;        /* of commands (names, concepts, probes, readers): of the older pictures, so always left out */
} cn_scan_kept;

typedef struct cn_scan_result {
    int64_t images;   /* that went through the model */
    int64_t failed;   /* listed, but not decodable; named in the study with the reason */
    int64_t ignored;  /* files in the folder that are no pictures by their names */
    int64_t labelled; /* images with a label */
    int64_t labels, media, words;
    int64_t resumed; /* images and failures that earlier runs had done */
    double seconds, network_seconds; /* of all runs */
    cn_scan_kept carried, left_out;  /* of the older study, when one was replaced */
} cn_scan_result;

/** Scans a collection into a new study. The work so far is in `study`.part until it is done, saved every few seconds: after any
 * interruption (cancelling, kill -9, a full disk, the power) the same call goes on from there, and the study is that of an
 * undisturbed run. With options->shards the result is a part of a study, for cn_study_merge; a part that is done already is
 * left as it is.
 * @param images a folder (searched through; an image's label is the name of its folder), a text file with a
 *        path a line, a CSV with a column `path` (relative paths: to the file's folder) and any of
 *        label, medium, source, licence, caption and further ones, or a tar (WebDataset's KEY.jpg, KEY.txt, KEY.json, KEY.cls; plain or
 *        compressed) or zip. "shard-{000..127}.tar" stands for 128 of them
 * @param study the folder to make. It appears complete or not at all. An empty folder is taken, a
 *        study of the same model is replaced when options->force (where that would lose what people made in it, only when
 *        options->discard, too), anything else is refused
 * @param options NULL for defaults
 * @param[out] result NULL, or filled on success
 * @return CN_OK; CN_ENOTFOUND (no such site, folder, file), CN_EINVAL (an option, CN_REDUCE_CLASS at a site without a class token,
 *         or `study` is in the way, has what the new one has no place for, or another process works on it), CN_EMISMATCH (a study of
 *         another model is there, or an unfinished scan with other settings), CN_ECANCELED, CN_EIO, CN_EFORMAT (a list or CSV; or none of the
 *         pictures can be read: the first reason is named, and the others are in the table failures of `study`.part/work.sqlite),
 *         CN_ELIMIT, CN_ENOMEM. A collection without pictures is CN_OK and gives an empty study */
CN_API CN_MUST_CHECK cn_status cn_study_scan(const cn_model *model, const char *images, const char *study,
                                             const cn_scan_options *options, cn_scan_result *result,
                                             cn_error *err);

/** Puts the parts that scans with options->shards left into the study that one scan would have given. Only options about words,
 * force, discard, threads, precision, backend and progress count; the parts stay.
 * @param parts the folders, in any order
 * @return CN_OK; CN_ENOTFOUND, CN_EINVAL (a part is missing, twice there or not complete; `study` is in the way), CN_EMISMATCH (parts
 *         of other settings or another model), CN_EFORMAT (damaged), CN_ECANCELED, CN_EIO, CN_ELIMIT, CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_study_merge(const cn_model *model, const char *const *parts, size_t n, const char *study,
                                              const cn_scan_options *options, cn_scan_result *result, cn_error *err);

/* ---- reading a study ---- */

typedef struct cn_study cn_study;

/** Opens a study read-only. @param[out] out owned by the caller, cn_study_close
 * @return CN_OK; CN_EUNSUPPORTED when its activations are of a kind that is not known here (a newer program's) */
CN_API CN_MUST_CHECK cn_status cn_study_open(cn_study **out, const char *path, cn_error *err);
CN_API void cn_study_close(cn_study *study);

/* Borrowed from the study until close; no string is NULL unless said. */
typedef struct cn_study_info {
    const char *path;            /* as given to open */
    const char *model_name;      /* architecture, e.g. "RN50x4" */
    const char *model_file;      /* last part of the checkpoint's path */
    const char *fingerprint;     /* cn_model_fingerprint */
    const char *collection;      /* folder or list that was scanned, absolute */
    const char *collection_name; /* its last part */
    const char *created;         /* "2026-11-24T02:30:00Z" */
    const char *program;         /* "clipneuron 0.1.0" */
    const char *backend;         /* cn_backend_description at the time */
    const char *precision;       /* "fp32" or "bf16" */
    const char *word_template;   /* NULL: no words were scored */
    cn_reduce reduce;
    int resolution; /* px of the model's input */
    int thumbnail;  /* px */
    int embedding;
    int64_t images, failed, labelled;
    int64_t labels, media, words, unknown_words;
    int buckets;
    double seconds; /* that the scan took */
    const char *edits; /* what was done to the network while it ran, as clipneuron/intervene.h writes it; "": nothing */
} cn_study_info;

CN_API const cn_study_info *cn_study_get_info(const cn_study *study);

typedef struct cn_study_site {
    const char *name;       /* "visual.layer4.3.add"; borrowed until close */
    const char *short_name; /* the same less "visual." */
    cn_site_layout layout;
    int64_t units;
    int64_t height, width; /* of the map; a ViT's tokens without the class token form the map */
    int64_t dead;          /* units that are constant on the collection */
} cn_study_site;

CN_API size_t cn_study_site_count(const cn_study *study);
CN_API const cn_study_site *cn_study_site_at(const cn_study *study, size_t i);
/** Reads "UNIT" (of the study's first site), "SITE:UNIT" or "SITE" of the study; SITE may leave out "visual." and
 * trailing parts as long as one site remains ("layer4:319"). @param[out] unit -1 for a bare SITE
 * @return CN_ENOTFOUND naming the sites, CN_EINVAL with the range of units */
CN_API CN_MUST_CHECK cn_status cn_study_parse_unit(const cn_study *study, const char *text, size_t *site,
                                                   int64_t *unit, cn_error *err);
/** @return CN_OK if the study is of this model; CN_EMISMATCH with both fingerprints */
CN_API CN_MUST_CHECK cn_status cn_study_check_model(const cn_study *study, const cn_model *model,
                                                    cn_error *err);

/* ---- one unit ---- */

typedef struct cn_unit_ref {
    size_t site; /* number in the study */
    int64_t unit;
} cn_unit_ref;

/* A unit as one line of a table. Strings are owned by the list that holds the row; "" where unknown. */
typedef struct cn_unit_row {
    cn_unit_ref ref;
    int64_t count;        /* images */
    double mean, sd, rms; /* sd about the mean; rms about zero: one "sd unit" */
    double min, max;
    double share_positive; /* of images with an activation above zero */
    double kurtosis;       /* fourth standardised moment; 3 for a normal distribution, 0 for a constant */
    bool dead;             /* the same value on all images; the rest is 0 or "" then */
    double peak_sd;        /* max / rms */
    const char
        *label; /* whose frequency among the strongest CN_STUDY_PURITY_TOP pictures chance explains least */
    int64_t label_hits;   /* how many of them have it */
    int64_t label_images; /* how many of the collection have it: the base rate */
    double purity;        /* label_hits / min(CN_STUDY_PURITY_TOP, label_images): 1 is the most possible */
    double surprise;      /* -log10 of the probability of so many hits by chance (hypergeometric) */
    double label_z;       /* of the label's mean under random labels */
    const char *media;    /* media in which the unit answers to the label, "colour line word" */
    int media_count;
    bool reads;        /* one of them is the written word */
    const char *word;  /* nearest word */
    double word_score; /* its correlation */
    double score;      /* the ranking's; docs/study.md */
} cn_unit_row;

typedef enum cn_unit_order {
    CN_ORDER_INTERESTING, /* multimodal first, without units that are never above zero; docs/study.md */
    CN_ORDER_UNIT,
    CN_ORDER_PEAK,     /* peak_sd, falling */
    CN_ORDER_PURITY,   /* falling, then label_z */
    CN_ORDER_KURTOSIS, /* falling */
    CN_ORDER_SHARE,    /* share_positive, rising */
    CN_ORDER_LABEL,    /* by name, then purity */
    CN_ORDER_SD,       /* standard deviation, falling */
    CN_ORDER_MEAN,     /* falling */
    CN_ORDER_WORD      /* nearest word by name, then its score */
} cn_unit_order;

/** Units of a site in an order; dead ones only for CN_ORDER_UNIT. @param limit 0: all
 * @param[out] rows owned by the caller, cn_unit_rows_free; NULL when n is 0 */
CN_API CN_MUST_CHECK cn_status cn_study_units(cn_study *study, size_t site, cn_unit_order order, size_t limit,
                                              cn_unit_row **rows, size_t *n, cn_error *err);
/** The row of one unit: a list of one, released in the same way. */
CN_API CN_MUST_CHECK cn_status cn_study_unit(cn_study *study, cn_unit_ref ref, cn_unit_row **row,
                                             cn_error *err);
CN_API void cn_unit_rows_free(cn_unit_row *rows);

typedef enum cn_example_kind { CN_EXAMPLE_TOP, CN_EXAMPLE_BOTTOM, CN_EXAMPLE_BUCKET } cn_example_kind;

typedef struct cn_example {
    int64_t image;                        /* row of the matrices, and images.id */
    const char *path;                     /* relative to the collection */
    const char *label, *medium, *caption; /* "" where unknown */
    int bucket;                           /* 0..buckets-1 for CN_EXAMPLE_BUCKET, else -1 */
    double value;                         /* activation */
    double sd;                            /* the same in sd units */
    double peak;                          /* largest value over space */
    int row, column;                      /* where; -1 at a class token and for vectors */
    const float *map;                     /* (height, width) of the site, NULL where it was not kept */
    const void *thumbnail; /* JPEG or PNG bytes of the preprocessed crop; NULL if there is none */
    size_t thumbnail_size;
    const char *thumbnail_type; /* "image/jpeg", "image/png", or "" */
    int width, height;          /* px of the picture as decoded; 0 where unknown */
} cn_example;

/** Strongest first, most inhibiting first, or bucket by bucket from the lowest.
 * @param[out] examples owned by the caller with all they point to, cn_examples_free; NULL when n is 0 */
CN_API CN_MUST_CHECK cn_status cn_study_examples(cn_study *study, cn_unit_ref ref, cn_example_kind kind,
                                                 cn_example **examples, size_t *n, cn_error *err);
CN_API void cn_examples_free(cn_example *examples);

/** Activation over the collection, counted in equal bins.
 * @param low,high in sd units, low < high; bin i covers low + (high-low)/bins * [i, i+1). What lies
 *        outside is counted in the first and last bin
 * @param[out] counts caller's buffer of `bins`. From the study's fine histogram: a value within 0.8% of
 *        a border may fall on its other side */
CN_API CN_MUST_CHECK cn_status cn_study_histogram(cn_study *study, cn_unit_ref ref, double low, double high,
                                                  size_t bins, int64_t *counts, cn_error *err);

typedef enum cn_group_kind {
    CN_GROUP_LABEL,       /* the labels with the largest z, falling (at most 24 a unit) */
    CN_GROUP_MEDIUM,      /* every medium, by name */
    CN_GROUP_LABEL_MEDIUM /* the media of the unit's own label (cn_unit_row.label), by name */
} cn_group_kind;

typedef struct cn_group {
    const char *name;      /* label or medium */
    int64_t images;        /* of the collection */
    double mean, mean_sd;  /* activation; in sd units */
    double share_positive; /* of the group's images; -1 where not kept (labels) */
    double z;              /* of the mean, had the group been drawn at random */
} cn_group;

CN_API CN_MUST_CHECK cn_status cn_study_groups(cn_study *study, cn_unit_ref ref, cn_group_kind kind,
                                               cn_group **groups, size_t *n, cn_error *err);
CN_API void cn_groups_free(cn_group *groups);

typedef struct cn_word {
    const char *word;
    double score; /* correlation, over images, of activation with the share that the image gives the word */
    double z;     /* Fisher's, of the score */
    bool significant; /* at 5% after Bonferroni over the words */
} cn_word;

/** Nearest words, best first, at most 8. Weak evidence: docs/study.md. */
CN_API CN_MUST_CHECK cn_status cn_study_words(cn_study *study, cn_unit_ref ref, cn_word **words, size_t *n,
                                              cn_error *err);
CN_API void cn_words_free(cn_word *words);

typedef struct cn_failure {
    const char *path, *reason;
} cn_failure;
/** Images that could not be decoded, by path. */
CN_API CN_MUST_CHECK cn_status cn_study_failures(cn_study *study, cn_failure **failures, size_t *n,
                                                 cn_error *err);
CN_API void cn_failures_free(cn_failure *failures);

/* ---- visualisations ---- */

/* A picture that was optimised for a unit (clipneuron/see.h), kept in the study so that cards can show it beside natural ones. */
typedef struct cn_visualisation {
    const char *facet;     /* "": plain */
    const char *objective; /* the expression that was optimised */
    const char *settings;  /* all that decides what it looks like, as `clipneuron see` writes them */
    double value;          /* the unit's activation on it at the study's site, reduced as the study does, in fp32, without transforms */
    double sd;             /* the same in sd units; not read by keep */
    double path;           /* similarity of its path through all blocks below, clipneuron/evidence.h; NaN: not measured */
    const char *blocks;    /* JSON object: that of each block by its name; "": not measured */
    const void *png;
    size_t png_size;
} cn_visualisation;

/** Plain first, then by facet. Empty for studies without any. @param[out] list owned by the caller, cn_visualisations_free */
CN_API CN_MUST_CHECK cn_status cn_study_visualisations(cn_study *study, cn_unit_ref ref, cn_visualisation **list, size_t *n, cn_error *err);
CN_API void cn_visualisations_free(cn_visualisation *list);
/** Writes one for a unit and facet, in place of an older one; unless that is stronger and of other settings, and the new one does not reach
 * the strongest natural picture (an ascent that got stuck): then the older one stays. A study that is open sees it at once.
 * @return CN_OK; CN_EINVAL (no such unit), CN_EIO (a folder that cannot be written, a full disk) */
CN_API CN_MUST_CHECK cn_status cn_study_keep_visualisation(cn_study *study, cn_unit_ref ref, const cn_visualisation *v, cn_error *err);

#ifdef __cplusplus
}
#endif
#endif
