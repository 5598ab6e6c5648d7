/* clipneuron/facet.h -- facets: what a kind of picture (a face, a logo, written text, nature, ...) looks like to the lower layers.
 *
 * For each facet and site a logistic regression on whole maps (C, H, W), without a bias and balanced, tells pictures of the facet from
 * generic ones. Faceted feature visualisation (Goh et al. 2021, "Multimodal neurons in artificial neural networks") adds to an
 * objective f, for a site's values a and the facet's weights w,
 *
 *   sum over sites of  strength * 5 / sites * sum(w * a * relu(d f / d a))
 *
 * where the derivative is taken of f alone and held fixed: of what would drive f, what belongs to the facet.
 *
 * Facets live in one .npz file: an array FACET/SITE of float32 (C, H, W) each, and the text clipneuron-facets with the
 * model's fingerprint, the number of pictures and the accuracy on held-out pictures. */
#ifndef CLIPNEURON_FACET_H
#define CLIPNEURON_FACET_H

#include "clipneuron/model.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CN_MAX_FACETS 256
#define CN_MAX_FACET_SITES 32
#define CN_MAX_FACET_NAME 64 /* bytes: letters, digits, - and _ */

/* What is known of a facet. */
typedef struct cn_facet_info {
    const char *name;      /* borrowed */
    int64_t pictures, generic; /* that it was trained on, held-out ones included */
    float accuracy[CN_MAX_FACET_SITES]; /* balanced, on held-out pictures, per site */
} cn_facet_info;

typedef struct cn_facets cn_facets;

/** @param model whose facets they must be
 * @param[out] out owned by the caller, cn_facets_close
 * @return CN_OK; CN_ENOTFOUND, CN_EIO, CN_EFORMAT; CN_EMISMATCH when they were trained on another model; CN_ELIMIT; CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_facets_open(cn_facets **out, const char *path, const cn_model *model, cn_error *err);
CN_API void cn_facets_close(cn_facets *f);
CN_API size_t cn_facets_count(const cn_facets *f);
CN_API const cn_facet_info *cn_facets_info(const cn_facets *f, size_t i);
/** @return CN_OK; CN_ENOTFOUND with the names that there are */
CN_API CN_MUST_CHECK cn_status cn_facets_find(const cn_facets *f, const char *name, size_t *index, cn_error *err);
CN_API size_t cn_facets_site_count(const cn_facets *f);
/** Borrowed from the model. */
CN_API const cn_site *cn_facets_site(const cn_facets *f, size_t i);
/** The weights of a facet at a site, (units, height, width); borrowed from f. */
CN_API const float *cn_facets_weights(const cn_facets *f, size_t facet, size_t site, int64_t *height, int64_t *width);

/** How much pictures are of each facet: the logistic of the mean of the regressions at all sites. A regression tells the facet from
 * generic pictures, both sides counting the same.
 * @param runner whose first sites are those of the facets, in their order, after a run of n images at the model's resolution
 * @param[out] share (n, facets), 0..1, caller's
 * @return CN_OK; CN_EMISMATCH (facets of another resolution than the runner's) */
CN_API CN_MUST_CHECK cn_status cn_facets_score(const cn_facets *f, const cn_runner *runner, int64_t n, float *share, cn_error *err);

/* The pictures of one facet. */
typedef struct cn_facet_pictures {
    const char *name;
    const char *const *paths;
    size_t n;
} cn_facet_pictures;

typedef struct cn_facet_options {
    const char *const *sites; /* NULL: cn_facet_default_sites */
    size_t n_sites;
    double l2;                /* 0: 0.01, for values scaled to a root mean square of 1 */
    double held_out;          /* share of the pictures that measure the accuracy, chosen by a hash of the path; 0: 0.2 */
    int threads, batch;       /* 0: all cores; 16 */
    cn_precision precision;
    bool (*go_on)(void *user, size_t done, size_t total); /* pictures through the network; NULL: none. false: CN_ECANCELED */
    void *user;
} cn_facet_options;

/** Trains facets and writes them. Pictures that cannot be read are left out and counted.
 * @param generic pictures of all kinds, from which every facet is told apart, but for those that are its own by their path; n_generic 0: the pictures of the other facets
 * @param[out] unreadable NULL, or how many pictures could not be read
 * @return CN_OK; CN_EINVAL (a name, too few pictures), CN_ENOTFOUND (a site), CN_ECANCELED, CN_EIO, CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_facets_train(const char *path, const cn_model *model, const cn_facet_pictures *facets, size_t n_facets,
                                               const char *const *generic, size_t n_generic, const cn_facet_options *options,
                                               size_t *unreadable, cn_error *err);

/** The sites of the paper: every second block of the third stage of a ResNet, the last one included; of a ViT every second block of the middle
 * third. @param[out] sites room for CN_MAX_FACET_SITES, borrowed from the model. @return how many */
CN_API size_t cn_facet_default_sites(const cn_model *model, const cn_site **sites);

#ifdef __cplusplus
}
#endif
#endif
