/* clipneuron/textunits.h -- texts as sums of units: what a sentence calls on, sparse codes of words, an atlas of them, and how well
 * the linear picture behind all that holds on real pictures.
 *
 * Towards its end CLIP's image tower is nearly linear (clipneuron/linear.h): unit u adds its direction d_u to an image's embedding, so the
 * cosine of picture and text is nearly a sum over units. What is said here about texts rests on that; cn_linear_fit says how far it holds
 * on a study's pictures, and it is part of every result. docs/compose.md has every formula.
 *
 * Needs a study of spatial means, or of a ViT's class tokens. Lists are owned by the caller with all that they point to. */
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
 * embedding is predicted as e0 + sum over units of (a_u - a0_u) d_u, nothing is fitted, and cosines with it are compared with true ones. At the
 * sum before a ReLU ("...add" of a ResNet) a_u is max(0, activation): what comes out of the ReLU adds up, and the mean below zero is nothing of it. */
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
    double weight;       /* what one standard deviation of the unit adds to the cosine of a picture whose embedding has the mean length. At a sum
                            before a ReLU the deviation is that of max(0, activation); without matrices the mean length counts as 1 */
    double exact;        /* the same by the exact derivative at options->at; NaN: not asked for */
    double z;            /* of the weight among the weights that the study's words (or pairs of them) have on this unit; NaN without words */
    double p;            /* share of them at least as far from their mean, (1 + how many)/(1 + all); NaN without words */
    const char *name;    /* kept by `name`, else the unit's own label, else its nearest word; "" where unknown, and beyond `named` unless the
                            unit is among the CN_TOKEN_NAMED strongest of a token */
    const char *example; /* path of the strongest picture; "" beyond `named` */
} cn_text_unit;

#define CN_TOKEN_NAMED 8

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

/* ---- words as pictures ---- */

/* Words drawn as pictures, black on white in several fonts, and what a site's units answer: the spatial mean (of values above zero where the
 * site is the sum before a ReLU), less its mean over all words of the space. That makes embeddings of words (Goh et al. 2021), with the cosines that the model's eyes give them. */
typedef struct cn_word_space cn_word_space;

#define CN_MAX_WORD_SPACE 16384
#define CN_MAX_WORD_VERSIONS 16
#define CN_MAX_WORD_DRAWS 1000000

typedef struct cn_word_space_options {
    const char *site;  /* of the image tower; NULL: cn_model_default_site */
    int versions;      /* pictures of each word, in other fonts and sizes; 0: 2 */
    int threads;
    cn_precision precision;
    cn_backend backend;
    cn_text_callback *progress; /* what: "words" */
    void *user;
    const char *const *font_files; /* .ttf or .otf, which the versions go round, read alone: pixels are the same on every system; NULL: the system's fonts */
    size_t n_font_files;           /* at most `versions` */
} cn_word_space_options;

/** @param words n of them; NULL: the list that `scan` compares units with (models/words/common.txt)
 * @param more n_more others, added to them; the same word counts once, without regard to case
 * @param[out] out owned by the caller, cn_word_space_close
 * @return CN_OK; CN_ENOTFOUND (site), CN_EINVAL (fewer than 3 words, a text that cannot be drawn, more fonts than versions), CN_ELIMIT, CN_EFORMAT (a
 *         file that is no font), CN_EUNSUPPORTED (no font has its letters), CN_ECANCELED, CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_word_space_open(cn_word_space **out, const cn_model *model, const char *const *words, size_t n,
                                                  const char *const *more, size_t n_more, const cn_word_space_options *options, cn_error *err);
CN_API void cn_word_space_close(cn_word_space *space);
CN_API size_t cn_word_space_count(const cn_word_space *space);
CN_API int64_t cn_word_space_units(const cn_word_space *space);
/** Borrowed. */
CN_API const char *cn_word_space_word(const cn_word_space *space, size_t i);
/** Its number without regard to case; -1. */
CN_API int64_t cn_word_space_find(const cn_word_space *space, const char *word);
/** (count, units): activation less the mean over the words; borrowed. */
CN_API const float *cn_word_space_values(const cn_word_space *space);
/** Of two words; 0 where one has no values. */
CN_API double cn_word_space_cosine(const cn_word_space *space, size_t a, size_t b);

typedef struct cn_near_word {
    size_t word;
    double cosine;
} cn_near_word;

/** Words nearest to a sum of words, each of length 1: `plus` alone for neighbours, plus (b, c) and minus (a) for "a is to b as c is to ...".
 * @param[in,out] n room in `out`, then how many there are; the words given are left out */
CN_API CN_MUST_CHECK cn_status cn_word_space_nearest(const cn_word_space *space, const size_t *plus, size_t n_plus, const size_t *minus, size_t n_minus,
                                                     cn_near_word *out, size_t *n, cn_error *err);

typedef struct cn_word_group {
    const size_t *words;
    size_t n;
} cn_word_group;

typedef struct cn_group_cosine {
    double cosine;    /* mean over all pairs of one word of each */
    double null_mean, null_sd; /* of the same with as many words chosen from the first group and all other words together */
    double p;         /* share of such choices with a mean at least as high; of drawn ones (1 + how many)/(1 + draws) */
    int draws;        /* choices looked at; all of them where there are at most 20,000, else drawn with the seed */
    bool exact;
} cn_group_cosine;

/** @param draws where not all choices are looked at; 0: 9999
 * @return CN_OK; CN_EINVAL (an empty group, a word in both, too few others to draw from) */
CN_API CN_MUST_CHECK cn_status cn_word_space_compare(const cn_word_space *space, cn_word_group x, cn_word_group a, int draws, uint64_t seed,
                                                     cn_group_cosine *out, cn_error *err);

/* The word embedding association test (Caliskan, Bryson and Narayanan 2017). s(w) = mean cosine of w with A less that with B. */
typedef struct cn_word_association {
    double effect; /* (mean of s over X - mean over Y) / deviation of s over both; -2 to 2 */
    double p;      /* share of divisions of X and Y into two such groups whose difference is at least as large */
    int64_t divisions; /* looked at; all of them where there are at most 20,000, else drawn with the seed */
    bool exact;
} cn_word_association;

/** @param draws where not all divisions are looked at; 0: 9999
 * @return CN_OK; CN_EINVAL (an empty group, X and Y of fewer than 2 words each, a word twice) */
CN_API CN_MUST_CHECK cn_status cn_word_space_associate(const cn_word_space *space, cn_word_group x, cn_word_group y, cn_word_group a, cn_word_group b,
                                                       int draws, uint64_t seed, cn_word_association *out, cn_error *err);

/* ---- regions ---- */

typedef struct cn_place {
    const char *country, *capital;
    double latitude, longitude; /* of the capital, degrees, north and east */
} cn_place;
/** Countries with their capitals; static. @param[out] n how many */
CN_API const cn_place *cn_places(size_t *n);

typedef struct cn_region_unit {
    int64_t unit;
    double auc, auc_low, auc_high; /* written names of countries and capitals against the other words; 95%, Hanley and McNeil 1982 */
    double p, q;    /* two-sided Mann-Whitney by its normal approximation; after Benjamini and Hochberg over the units */
    int top;        /* names among the 5 words that the unit answers to most: the paper calls a unit geographic when all are */
    size_t first[5]; /* those words, in the space */
} cn_region_unit;

/** Units of the space by auc, falling. The space must have at least 8 names of places and 8 other words. @param[out] list cn_region_units_free */
CN_API CN_MUST_CHECK cn_status cn_word_space_regions(const cn_word_space *space, cn_region_unit **list, size_t *n, cn_error *err);
CN_API void cn_region_units_free(cn_region_unit *list);

#define CN_REGION_LEVEL 3.0 /* standard deviations: what counts as an answer to a flag or a name */

/* A country whose flag is in a study: which unit answers to it and to the country's drawn name. Answers to pictures are in standard deviations over the
 * study's pictures that are no writing, from their mean; answers to names in those over the space's words. */
typedef struct cn_region_country {
    size_t place;     /* in cn_places */
    int64_t pictures; /* labelled with the country's name (any case), of media that are no writing */
    int64_t unit;     /* with the largest min(name, flag) */
    double name, flag, capital;   /* what `unit` answers; capital: to the capital's name, NaN: not in the space */
    double p;         /* how often a name and another country's flag have a unit with as large a minimum: (1 + such pairs)/(1 + all such pairs) */
    int64_t name_unit, flag_unit; /* the units that answer most to one of them */
    double name_most, flag_most;
} cn_region_country;

typedef struct cn_region_flags {
    cn_region_country *countries; /* in the order of cn_places */
    size_t n;
    size_t both;      /* whose unit's name and flag reach CN_REGION_LEVEL */
    double by_chance; /* the mean of that number when names go with other countries' flags */
} cn_region_flags;

/** Flags of a study beside drawn names. The space must be of the study's model (cn_study_check_model before it is opened) and site.
 * @param site of the study  @param[out] out owned by the caller, cn_region_flags_free; NULL on failure
 * @return CN_OK; CN_EINVAL (another site), CN_ENOTFOUND (fewer than three countries with pictures, a study without matrices), CN_EUNSUPPORTED (a study
 *         of maxima), CN_EFORMAT (the study), CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_word_space_flags(const cn_word_space *space, cn_study *study, size_t site, cn_region_flags **out, cn_error *err);
CN_API void cn_region_flags_free(cn_region_flags *flags);

/** A map with a dot for every country in the space: what the unit answers to its name (and its capital's, the mean), in standard deviations over all words;
 * where there are flags, the dot's right half is what it answers to the country's.
 * @param flags of this space, or NULL  @param unit -1: each country's own unit, of those with flags  @param path .svg or .png
 * @param title what the unit is called, or ""  @return CN_OK; CN_EINVAL (no such unit, -1 without flags, another ending, no name of a place), CN_EIO, CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_word_space_map(const cn_word_space *space, const cn_region_flags *flags, int64_t unit, const char *title, const char *path,
                                                 cn_plot_theme theme, cn_error *err);

#ifdef __cplusplus
}
#endif
#endif
