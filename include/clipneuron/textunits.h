/* clipneuron/textunits.h -- texts as sums of units: what a sentence calls on, sparse codes of words, an atlas of them, and how well
 * the linear picture behind all that holds on real pictures.
 *
 * Towards its end CLIP's image tower is nearly linear (clipneuron/linear.h): unit u adds its direction d_u to an image's embedding, so the
 * cosine of picture and text is nearly a sum over units. What is said here about texts rests on that; cn_linear_fit says how far it holds
 * on a study's pictures, and it is part of every result. docs/compose.md has every formula.
 *
 * Needs a study of spatial means. Lists are owned by the caller with all that they point to. */
#ifndef CLIPNEURON_TEXTUNITS_H
#define CLIPNEURON_TEXTUNITS_H

#include "clipneuron/rating.h"
#include "clipneuron/study.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CN_CODE_LEVELS 4
#define CN_MAX_CODE_WORDS 4096
#define CN_MAX_CODE_UNITS 64     /* of one code */
#define CN_MAX_CODE_TEMPLATES 64
#define CN_MAX_ATLAS_FACTORS 8
#define CN_MAX_ATLAS_WORDS 160   /* more names do not fit around a disc */
#define CN_MAX_EXPLAIN_AT 64     /* pictures that the exact derivative is taken at */

/* ---- how well the linear picture holds ---- */

/* Pictures come in two halves by the hash of their paths. The mean picture comes from one half, and the figures from the other: the
 * embedding is predicted as e0 + sum over units of (a_u - a0_u) d_u, nothing is fitted, and cosines with it are compared with true ones. */
typedef struct cn_linear_fit {
    int64_t pictures;            /* that were predicted; 0: the figures could not be made, see why */
    double r, r_low, r_high;     /* correlation over pictures of predicted and true cosine with the text; 95% bootstrap interval */
    double r2, r2_low, r2_high;  /* 1 - squares of the errors / squares about the mean: below r * r where the scale is off, and can be negative */
    int64_t words;               /* of the study, spread over its list */
    double words_r, words_r2;    /* medians over those words; NaN without words */
    char why[512];               /* "" where there are figures */
} cn_linear_fit;

/* ---- one text, or the difference of two ---- */

/** Called from the calling thread, now and then. what: "texts", "derivatives", "codes"; static. @return false to stop (CN_ECANCELED) */
typedef bool cn_text_callback(const char *what, int64_t done, int64_t total, void *user);

/* Zeroes (or NULL) give the defaults. */
typedef struct cn_explain_options {
    size_t site;             /* number in the study */
    const char *minus;       /* a second text: its units are taken from the first one's; NULL: the mean of the study's words is */
    bool absolute;           /* take nothing away */
    bool tokens;             /* token by token, too */
    const char *const *at;   /* pictures at which the exact derivative is taken, mean over them; NULL: none */
    size_t n_at;
    size_t named;            /* units that get a name and an example, the first ones; 0: 20 */
    int64_t pictures;        /* of the study, for the fit; 0: 2048 */
    uint64_t seed;           /* of the bootstrap */
    int threads;
    cn_precision precision;  /* of the text tower */
    cn_backend backend;
    cn_text_callback *progress;
    void *user;
} cn_explain_options;

typedef struct cn_text_unit {
    cn_unit_ref ref;
    double weight;       /* change of the cosine when the unit's activation rises by one standard deviation, at the mean picture */
    double exact;        /* the same by the exact derivative at options->at; NaN: not asked for */
    double z;            /* of the weight among the weights that the study's words (or pairs of them) have on this unit; NaN without words */
    double p;            /* share of them at least as far from their mean, (1 + how many)/(1 + all); NaN without words */
    const char *name;    /* kept by `name`, else the unit's own label, else its nearest word; "" where unknown and beyond `named` */
    const char *example; /* path of the strongest picture; "" beyond `named` */
} cn_text_unit;

typedef struct cn_text_token {
    const char *text;       /* as the tokenizer has it, "</w>" shown as a space */
    bool known;             /* the model has seen it */
    double turn;            /* 1 - cosine of the text with the text that lacks this token */
    const float *weights;   /* (units of the site): weight of the whole text less that without this token */
} cn_text_token;

typedef struct cn_explanation {
    cn_text_unit *units;   /* not dead, by |weight| falling, then by number */
    size_t n;
    double effective;      /* (sum |w|)^2 / sum w^2: on how many units the weight lies */
    double exact_r;        /* correlation over units of weight and exact; NaN: not asked for */
    double cosine;         /* of the two texts; NaN for one */
    int64_t words;         /* behind z and p */
    const char *unknown;   /* tokens of the text that the model has never seen, "a, b"; "" */
    cn_text_token *tokens; /* of the first text */
    size_t n_tokens;
    cn_linear_fit fit;
} cn_explanation;

/** The units that a text calls on.
 * @param model the study's
 * @param[out] out owned by the caller, cn_explanation_free; NULL on failure
 * @return CN_OK; CN_EMISMATCH (another model), CN_EINVAL (site, an empty text), CN_ELIMIT (a text too long for the model), CN_EUNSUPPORTED (a site without
 *         directions; a study of maxima; no text tower), CN_ENOTFOUND (the model knows no token of the text; a picture), CN_EFORMAT, CN_ECANCELED,
 *         CN_EIO, CN_ENOMEM. A study without matrices is CN_OK and has no fit */
CN_API CN_MUST_CHECK cn_status cn_text_explain(cn_study *study, const cn_model *model, const char *text, const cn_explain_options *options,
                                               cn_explanation **out, cn_error *err);
CN_API void cn_explanation_free(cn_explanation *explanation);

/* ---- sparse codes of words ---- */

typedef struct cn_codes_options {
    size_t site;
    const char *words;             /* a list, one a line; NULL: emotion words that come with the program */
    const char *const *more_words; /* in place of the list */
    size_t n_more_words;
    const char *const *templates;  /* prompts with one "{}"; NULL: the ones that come with the program */
    size_t n_templates;
    int levels[CN_CODE_LEVELS];    /* most units of a code, rising; all 0: 2, 4, 8 and 16 */
    int64_t pictures;              /* for the fit; 0: 2048 */
    uint64_t seed;
    int threads;
    cn_precision precision;
    cn_backend backend;
    cn_text_callback *progress;
    void *user;
} cn_codes_options;

typedef struct cn_code_term {
    int64_t unit;
    double weight;    /* of the unit's direction of length 1, in a text of length 1 */
    double stability; /* share of the templates whose own code of this level has the unit with the same sign */
} cn_code_term;

typedef struct cn_code {
    const char *word;
    struct {
        cn_code_term *terms; /* by |weight| falling */
        size_t n;
        double lambda;       /* of the lasso */
        double explained;    /* 1 - |text - sum|^2 / |text|^2 */
    } level[CN_CODE_LEVELS];
} cn_code;

typedef struct cn_codes {
    cn_code *codes;            /* in the order of the list */
    size_t n;
    int levels[CN_CODE_LEVELS];
    const char **names;        /* (units of the site): as cn_text_unit.name, "" for units that no code has */
    size_t units;
    size_t site;
    int64_t unknown;           /* words that the model does not know */
    size_t templates, unknown_templates; /* used; left out as the model does not know their words */
    cn_linear_fit fit;         /* of the mean text */
} cn_codes;

/** Words as sparse sums of units: the lasso of the text's embedding (mean over the templates, less the mean of all words in the list) on
 * the directions of units.
 * @return as cn_text_explain; CN_EINVAL also for templates, levels, fewer than 2 known words */
CN_API CN_MUST_CHECK cn_status cn_text_codes(cn_study *study, const cn_model *model, const cn_codes_options *options, cn_codes **out,
                                             cn_error *err);
CN_API void cn_codes_free(cn_codes *codes);

/** The emotion words and templates that come with the program. @param[out] n how many. Static */
CN_API const char *const *cn_emotion_words(size_t *n);
CN_API const char *const *cn_emotion_templates(size_t *n);

/* ---- the atlas ---- */

typedef struct cn_atlas_options {
    int factors;      /* 2..CN_MAX_ATLAS_FACTORS; 0: 6 */
    int restarts;     /* the best of them counts; 0: 8 */
    int iterations;   /* most of each; 0: 500 */
    int shuffles;     /* for the null; 0: 19 */
    uint64_t seed;
} cn_atlas_options;

typedef struct cn_atlas_word {
    const char *word;    /* borrowed from the codes */
    double load[CN_MAX_ATLAS_FACTORS]; /* shares, which sum to 1; all 0 for a word without a code */
    double x, y;         /* in the disc of radius 1: the shares' centre of gravity, factors at equal distances around the rim */
} cn_atlas_word;

typedef struct cn_atlas {
    int factors;
    cn_atlas_word *words;
    size_t n;
    struct {
        int64_t unit[4]; /* the strongest ones, -1: fewer; negative weights are features of their own */
        double weight[4]; /* below 0: the codes have it with that sign */
    } factor[CN_MAX_ATLAS_FACTORS]; /* in the order around the rim, similar ones side by side */
    double error;        /* |V - WH| / |V| */
    double shuffled;     /* mean of that where every unit's weights are shuffled among the words */
    double p;            /* share of shuffles with an error at most as large, (1 + how many)/(1 + shuffles) */
    int shuffles, iterations;
} cn_atlas;

/** Factorises the densest codes, non-negatively. @param[out] out cn_atlas_free; borrows words from codes */
CN_API CN_MUST_CHECK cn_status cn_atlas_create(cn_atlas **out, const cn_codes *codes, const cn_atlas_options *options, cn_error *err);
CN_API void cn_atlas_free(cn_atlas *atlas);
/** Draws the disc. @param path .svg or .png
 * @return CN_OK; CN_EINVAL (another ending, more than CN_MAX_ATLAS_WORDS words), CN_EIO, CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_atlas_write(const cn_atlas *atlas, const cn_codes *codes, const char *path, cn_plot_theme theme, cn_error *err);

#ifdef __cplusplus
}
#endif
#endif
