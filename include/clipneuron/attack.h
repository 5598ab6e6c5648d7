/* clipneuron/attack.h -- typographic attacks: written words that change what a model sees, and what helps against them.
 *
 * "Multimodal neurons" fire for a thing and for its written name, so a word on a picture moves the picture's embedding towards the
 * word's class (Goh et al. 2021, the section on typographic attacks). Here words are drawn on pictures at the model's
 * resolution, after resize and crop; success is measured over a collection, for several prompts side by side; texts that fool are searched
 * for; the Stroop test asks for the ink of colour words; and three defences are measured with what they cost: removing the units that
 * read, prompts that mention the writing, and a projection that takes spelling out of embeddings.
 *
 * A prompt has "{}" where a class goes, and may have "{text}" where the text goes that is written on the picture. An answer is the class
 * whose text has the largest cosine with the picture. All intervals are Wilson's at 95%.
 * Random choices follow from a seed and from pictures' paths, not from threads or batches.
 * docs/compose.md has the formulas. Collections and studies are untrusted.
 * Threads: calls are independent; a model may be shared. */
#ifndef CLIPNEURON_ATTACK_H
#define CLIPNEURON_ATTACK_H

#include "clipneuron/error.h"
#include "clipneuron/model.h"
#include "clipneuron/rating.h"
#include "clipneuron/study.h"
#include "clipneuron/textunits.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CN_MAX_LETTERING 256         /* bytes of a text that is drawn */
#define CN_MAX_LETTERING_COPIES 64
#define CN_LETTERING_SIDE 288        /* px of the side that sizes and outlines are for; they grow with the picture */
#define CN_MAX_ATTACK_IMAGES 16384   /* pictures of a collection that are looked at */
#define CN_MAX_ATTACK_CLASSES 4096
#define CN_MAX_ATTACK_PROMPTS 16
#define CN_MAX_ATTACK_TARGETS 256
#define CN_STROOP_COLOURS 8
#define CN_MAX_DEFENCE_STEPS 32

/* ---- drawing ---- */

typedef enum cn_lettering_layout {
    CN_LETTERING_PAPER, /* white with a black outline, in eight fixed places over the picture */
    CN_LETTERING_PLAIN, /* `copies` of it, around `x`, `y` */
    CN_LETTERING_LABEL  /* the same, black on a white piece of paper with a thin edge */
} cn_lettering_layout;

/* Zeroes give the defaults. px are those of a picture of CN_LETTERING_SIDE px; on others everything is scaled by
 * its shorter side / CN_LETTERING_SIDE. */
typedef struct cn_lettering {
    cn_lettering_layout layout;
    const char *font;          /* a family of this system; NULL: "DejaVu Sans" */
    const char *font_file;     /* a font's file, .ttf or .otf, in its place: read alone, whatever the system has. NULL: none */
    double size;               /* px of an em, 1 to 288; 0: 24 (PAPER), 48 (others). PLAIN and LABEL: at most what fits 0.9 of the width */
    int copies;                /* PAPER: the first of the eight places; PLAIN: rows below each other; 0: all eight, or 1 */
    double x, y;               /* PLAIN, LABEL: the middle, 0..1 of width and height; both 0: 0.5, 0.5 */
    bool coloured;             /* the next two count, else white and black (LABEL: black and none) */
    uint8_t colour[3], outline_colour[3];
    double outline;            /* px around the letters; 0: 1 (LABEL: none); below 0: none */
    double rotation;           /* degrees, counter-clockwise, about the middle of each copy */
} cn_lettering;

/** Draws a text onto a picture. Letters are outlines of the font without hinting, filled with grey antialiasing, so that pixels depend
 * on the font alone: within 8 of 255 where letters are antialiased, 0.1 on average over the picture, between versions of FreeType, HarfBuzz and Cairo.
 * @param[in,out] rgb (height, width, 3)
 * @param text UTF-8, one line, at most CN_MAX_LETTERING bytes
 * @param[out] changed NULL, or the number of pixels that differ from before
 * @return CN_OK; CN_EINVAL (a text that is empty, blank or over-long, control characters, no UTF-8, a number out of range), CN_ENOTFOUND (no such
 *         family; the message names some that are there), CN_EFORMAT (a file that is no font), CN_EUNSUPPORTED (letters that no font has), CN_ENOMEM,
 *         CN_EBACKEND (Cairo's reason) */
CN_API CN_MUST_CHECK cn_status cn_lettering_draw(uint8_t *rgb, int width, int height, const char *text, const cn_lettering *lettering,
                                                 int64_t *changed, cn_error *err);

/* ---- what all experiments share ---- */

/** Called from the calling thread. @return false to stop: the call ends with CN_ECANCELED */
typedef bool cn_attack_progress(const char *what, int64_t done, int64_t total, void *user);

/* Zeroes (or NULL) give the defaults. Pointers are borrowed for the call. */
typedef struct cn_attack_options {
    const char *const *classes; /* what the model may answer; NULL: the labels of the collection. Targets are added where they are missing */
    size_t n_classes;
    const char *const *prompts; /* NULL: "{}", "a photo of a {}", "{} with a piece of paper saying {text}" */
    size_t n_prompts;
    cn_lettering lettering;
    int64_t images;  /* pictures, drawn at random from those that show no writing; 0: 1000 */
    uint64_t seed;
    int64_t batch;   /* 0: 32 */
    int threads;     /* 0: all cores */
    cn_precision precision;
    cn_backend backend;
    cn_attack_progress *progress; /* NULL: none */
    void *user;
} cn_attack_options;

/** Probabilities of classes for pictures: softmax over classes of the logit scale times the cosine.
 * @param rgb (n, R, R, 3), of the model's resolution
 * @param text what "{text}" stands for; NULL: prompts with it are CN_EINVAL
 * @param[out] probabilities (n, n_prompts, n_classes), caller's. NULL prompts: the defaults' three (two without a text)
 * @return CN_OK; CN_EINVAL (no classes, a prompt without "{}"), CN_EUNSUPPORTED (no text tower), what cn_runner_create returns */
CN_API CN_MUST_CHECK cn_status cn_attack_probabilities(const cn_model *model, const uint8_t *rgb, int64_t n, const char *text,
                                                       const cn_attack_options *options, double *probabilities, cn_error *err);
/** The prompts that options without any stand for. @param text whether there is a text for "{text}" */
CN_API const char *const *cn_attack_default_prompts(bool text, size_t *n);

/* A count with its interval. of == 0: all are NaN. */
typedef struct cn_share {
    int64_t hits, of;
    double share, low, high; /* 0..1; Wilson's interval at 95% */
} cn_share;

/* ---- success over a collection ---- */

typedef struct cn_attack_target {
    const char *target; /* the class that is to be answered */
    const char *text;   /* what is drawn; NULL: the target */
} cn_attack_target;

typedef struct cn_attack_row {
    const char *target, *text;
    double pixels;           /* mean share of pixels changed */
    const cn_share *success; /* (n_prompts) pictures of other classes that are taken for the target once they carry the text */
    const cn_share *before;  /* (n_prompts) of the same pictures without it, the same question */
    const cn_share *kept;    /* (n_prompts) pictures with the text that still get their own label; of those with a label among the classes */
} cn_attack_row;

/* Owned by the caller with all it points to, cn_attack_table_free. */
typedef struct cn_attack_table {
    size_t n_prompts, n_rows, n_classes;
    const char *const *prompts;
    const char *const *classes;
    const cn_attack_row *rows;
    const cn_share *clean;    /* (n_prompts) pictures as they are that get their own label; prompts with {text} are asked with every text */
    int64_t images, resumed;  /* pictures; of them read back from the log */
    int64_t failed;           /* that could not be decoded and were left out */
    const char *model_file, *collection_name;
} cn_attack_table;

/** Draws each target's text on pictures of a collection and counts what the model answers.
 * @param collection a study (its collection is read again, with the study's labels), or whatever cn_study_scan takes. Pictures of
 *        a medium that is writing are left out
 * @param log NULL, or a JSON-lines file that answers are added to and, when it is there, read back from: an interrupted run goes on, more
 *        images may be asked for later
 * @param[out] out NULL on failure
 * @return CN_OK; CN_ENOTFOUND (no such collection; a study whose pictures are gone, by name), CN_EINVAL (no targets, fewer than two classes, a prompt or
 *         text), CN_EMISMATCH (a log of other settings), CN_EFORMAT, CN_EUNSUPPORTED, CN_ECANCELED, CN_EIO, CN_ELIMIT, CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_attack_run(cn_attack_table **out, const cn_model *model, const char *collection,
                                             const cn_attack_target *targets, size_t n_targets, const char *log,
                                             const cn_attack_options *options, cn_error *err);
CN_API void cn_attack_table_free(cn_attack_table *table);
/** Bars of success with intervals, a group for each target, a bar for each prompt. @param path ends in .svg or .png */
CN_API CN_MUST_CHECK cn_status cn_attack_plot(const cn_attack_table *table, cn_plot_theme theme, const char *path, cn_error *err);

/* ---- texts that fool ---- */

typedef struct cn_attack_search_options {
    const char *const *words; /* candidates beside the classes' names; NULL: the built-in list of common words */
    size_t n_words;
    int64_t train;       /* pictures that texts are chosen on; 0: 12. options.images are the held-out ones, 0: 200 */
    int population;      /* of the genetic search; 0: 24; below 0: no genetic search */
    int generations;     /* 0: 10 */
    int longest;         /* letters of its strings; 0: 8, at most 32 */
    int shortlist;       /* words that are drawn, those whose own texts are nearest to the target's; 0: 48 */
    int units;           /* units that serve the class most: what they like is tried, and the names that they have in a study, if `collection` is one; 0: 8 */
    int top;             /* texts that are measured; 0: 5 */
    int liked;           /* words that each of those units likes, at most 1000; 0: 4 */
} cn_attack_search_options;

typedef enum cn_attack_origin {
    CN_ATTACK_TARGET, /* the target's own name */
    CN_ATTACK_CLASS,
    CN_ATTACK_WORD,
    CN_ATTACK_UNIT,    /* the name of a unit that serves the class */
    CN_ATTACK_GENETIC,
    CN_ATTACK_LIKED    /* a word that a unit likes which serves the class */
} cn_attack_origin;

/* A unit that serves the class, and the words that it likes: by its direction in the embedding (cn_unit_directions). */
typedef struct cn_attack_unit {
    int64_t unit;
    double serves;            /* product of its direction with the class's text, first prompt: what one more of the unit adds */
    size_t n;
    const char *const *texts; /* (n) words that the model knows, by the cosine of their texts with the direction, the largest first */
    const double *cosines;    /* (n) */
} cn_attack_unit;

typedef struct cn_attack_found {
    const char *text;
    cn_attack_origin origin;
    int64_t unit;            /* CN_ATTACK_UNIT, CN_ATTACK_LIKED: of the model's default site; else -1 */
    double margin;           /* mean over the training pictures of cosine with the target less the best other, first prompt */
    double pixels;           /* share changed */
    cn_share train;          /* success on the training pictures, first prompt */
    const cn_share *success; /* (n_prompts) on held-out pictures */
} cn_attack_found;

/* Owned by the caller, cn_attack_search_free. */
typedef struct cn_attack_search_result {
    const char *target;
    size_t n, n_prompts;
    const char *const *prompts;
    const cn_attack_found *found; /* (n) by success on held-out pictures, first prompt */
    int64_t tried;                /* texts that were drawn */
    int64_t train, heldout;       /* pictures */
    const char *site;             /* of the units: the model's default */
    const cn_attack_unit *units;  /* (n_units) those that serve the class most, the first most */
    size_t n_units;
    cn_linear_fit fit;            /* how well the directions predict the target's cosine on the study's pictures; without a study, its `why` */
} cn_attack_search_result;

/** Looks for texts that make pictures of a collection pass for the target.
 * @return as cn_attack_run */
CN_API CN_MUST_CHECK cn_status cn_attack_search(cn_attack_search_result **out, const cn_model *model, const char *collection,
                                                const char *target, const cn_attack_search_options *search,
                                                const cn_attack_options *options, cn_error *err);
CN_API void cn_attack_search_free(cn_attack_search_result *result);

/* ---- the Stroop test ---- */

typedef struct cn_stroop_cell {
    const char *word;        /* a colour's name, or a word that names none */
    int ink;                 /* 0..CN_STROOP_COLOURS-1 */
    bool neutral;
    int64_t answers[CN_STROOP_COLOURS]; /* pictures that were answered with each colour */
} cn_stroop_cell;

typedef struct cn_stroop_prompt {
    const char *prompt;
    const cn_stroop_cell *cells;  /* (n_cells) words by inks, neutral words last */
    cn_share congruent;           /* word and ink agree: answered so */
    cn_share incongruent_ink, incongruent_word; /* they differ: answered with the ink; with the word */
    cn_share neutral_ink;         /* the ink of words that name no colour */
} cn_stroop_prompt;

/* Owned by the caller, cn_stroop_free. */
typedef struct cn_stroop_result {
    const char *const *colours;      /* (CN_STROOP_COLOURS): words, inks and answers */
    uint8_t ink[CN_STROOP_COLOURS][3];
    size_t n_prompts, n_cells;
    const cn_stroop_prompt *prompts; /* (n_prompts) */
    int64_t variants;                /* pictures a cell: fonts, sizes and places */
} cn_stroop_result;

/** Draws colour words in eight inks on white and grey and asks for the colour. Of the options prompts count (NULL: "{}", "the colour {}",
 * "my favourite word, written in the color {}"), seed, batch, threads, precision, backend and progress.
 * @param words neutral words; NULL: "table", "seven", "xxxx"
 * @param variants 0: 8, at most 64 */
CN_API CN_MUST_CHECK cn_status cn_stroop(cn_stroop_result **out, const cn_model *model, const char *const *words, size_t n_words, int variants,
                                         const cn_attack_options *options, cn_error *err);
CN_API void cn_stroop_free(cn_stroop_result *result);
/** Words by inks, each cell coloured by how often the word and the ink were answered; first prompt. */
CN_API CN_MUST_CHECK cn_status cn_stroop_plot(const cn_stroop_result *result, cn_plot_theme theme, const char *path, cn_error *err);

/* ---- defences ---- */

typedef enum cn_defence_kind {
    CN_DEFENCE_READERS,    /* units that read are removed: those first that push most towards whatever common word is written */
    CN_DEFENCE_KNOWN,      /* the same for the attack's own texts: a defender who knows them */
    CN_DEFENCE_RANDOM,     /* as many units at random: what removing anything does */
    CN_DEFENCE_HEADS,      /* heads of a ResNet's attention pool whose output answers most to words */
    CN_DEFENCE_PROJECTION, /* that many directions of spelling are taken out of the embeddings of pictures and texts */
    CN_DEFENCE_KINDS
} cn_defence_kind;

typedef struct cn_defence_step {
    int64_t removed;  /* units, heads or directions */
    cn_share success; /* pictures of other classes taken for the target, over all targets */
    cn_share kept;    /* pictures with a text that get their own label */
    cn_share clean;   /* pictures without one that do */
    cn_share own;     /* pictures of the targets' own classes, all that the collection has but those for fitting: what is lost where
                         units read and see */
} cn_defence_step;

typedef struct cn_reader_unit {
    int64_t unit;    /* of the site */
    double push;     /* mean over pictures of (activation with a word - without) times what the unit adds to the word's score beyond the
                        mean class's, over the mean length of an embedding: about by how much the cosine grows */
    double low, high; /* 95% interval of that mean */
    double response; /* mean difference of activation with and without a word, in pooled sds (Cohen's d) */
} cn_reader_unit;

/* Owned by the caller, cn_defence_free. */
typedef struct cn_defence_result {
    const char *site;
    const cn_reader_unit *readers; /* (n_readers) for common words, the strongest push first */
    const cn_reader_unit *known;   /* (n_readers) for the attack's texts */
    size_t n_readers;
    size_t n_steps[CN_DEFENCE_KINDS];               /* 0 for heads of a model without an attention pool */
    const cn_defence_step *steps[CN_DEFENCE_KINDS]; /* the first removes nothing */
    size_t n_heads;
    const double *heads; /* (n_heads) mean length of what words change in a head's output, over that of the whole embedding */
    size_t n_prompts;
    const char *const *prompts;
    const cn_defence_step *prompt; /* (n_prompts): nothing removed, other prompts. `clean` is asked with the target's text in the prompt */
    double linear;                 /* share of the embedding's variance that units explain through their directions: 1 means that removing them is exact */
    int64_t images, fitted;        /* pictures that defences are measured on; others that readers and directions come from */
    const char *model_file, *collection_name;
} cn_defence_result;

/** Measures the defences. Readers and directions come from half of the pictures with common words that are neither targets nor classes (KNOWN: with the targets'
 * texts); success and accuracy from the other half. Units are those of the last block's output, and are set to zero everywhere: exactly for a pool that is an average, else through
 * the linearised pool (cn_unit_directions). The first prompt counts for units and directions.
 * @param steps numbers to remove, rising, the first 0; NULL: 0, 1, 2, 4 ... up to half the units
 * @return as cn_attack_run; CN_EUNSUPPORTED for a model whose units have no directions */
CN_API CN_MUST_CHECK cn_status cn_attack_defend(cn_defence_result **out, const cn_model *model, const char *collection,
                                                const cn_attack_target *targets, size_t n_targets, const int64_t *steps, size_t n_steps,
                                                const cn_attack_options *options, cn_error *err);
CN_API void cn_defence_free(cn_defence_result *result);

/** Keeps in a study which units read common words, those whose interval of the push lies above zero (table readers, which cards show).
 * @return CN_OK; CN_EMISMATCH (the study has not the result's site), CN_EIO, CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_study_keep_readers(cn_study *study, const cn_defence_result *result, cn_error *err);

/* What a study keeps of a unit that reads. */
typedef struct cn_reader_fact {
    cn_reader_unit unit;
    int64_t rank, of;    /* 0 pushes most; units that read */
    const char *created; /* "2026-11-24T02:30:00Z" */
} cn_reader_fact;

/** @param[out] out owned by the caller, cn_reader_fact_free; NULL: it does not read, or nobody asked */
CN_API CN_MUST_CHECK cn_status cn_study_reader_fact(cn_study *study, cn_unit_ref ref, cn_reader_fact **out, cn_error *err);
CN_API void cn_reader_fact_free(cn_reader_fact *fact);
/** Attack success and clean accuracy over how much is removed. */
CN_API CN_MUST_CHECK cn_status cn_defence_plot(const cn_defence_result *result, cn_plot_theme theme, const char *path, cn_error *err);

#ifdef __cplusplus
}
#endif
#endif
