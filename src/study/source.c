/* study/source.c -- activations from a cn_model: an image runner kept open, a text runner opened for
 * the words and closed again. */
#include "study/source.h"

#include "base/memory.h"
#include "clip/vocabulary.h"
#include "clipneuron/tokenizer.h"
#include "study/part.h"

#include <stdio.h>
#include <string.h>

typedef struct model_source {
    const cn_model *model;
    cn_scan_options options;
    cn_runner *runner;
} model_source;

static cn_status run_images(source *s, const float *pixels, int64_t n, cn_error *err)
{
    return cn_runner_images(((model_source *)s->self)->runner, pixels, n, err);
}

static const float *read_site(const source *s, size_t i)
{
    return cn_runner_site(((model_source *)s->self)->runner, i);
}

static const float *read_embedding(const source *s)
{
    return cn_runner_embedding(((model_source *)s->self)->runner);
}

static void close_model(source *s)
{
    model_source *m = s->self;
    if (m)
        cn_runner_free(m->runner);
    cn_free(m);
    s->self = NULL;
}

/* ---- texts ---- */

/* Tokens of all texts, (n, context); *longest: the most that one of them uses. */
static cn_status tokenise(const cn_model *model, const char *const *texts, size_t n, size_t context,
                          int32_t *rows, bool *known, size_t *longest, cn_error *err)
{
    cn_status st = CN_OK;
    cn_tokenizer *tokenizer = NULL;
    bool *unseen = NULL;
    size_t unseen_count = 0, used;
    *longest = 2;
    CN_TRY(vocabulary_unseen(model, &unseen, &unseen_count, err));
    CN_TRY(cn_tokenizer_create(&tokenizer, err));
    for (size_t i = 0; i < n; i++) {
        int32_t *row = rows + i * context;
        CN_TRY(cn_tokenizer_row(tokenizer, texts[i], context, true, row, &used, err));
        known[i] = used > 2;
        for (size_t k = 1; k + 1 < used; k++)
            if (row[k] < 0 || (unseen && ((size_t)row[k] >= unseen_count || unseen[row[k]])))
                known[i] = false;
        if (known[i] && used > *longest)
            *longest = used;
    }
done:
    cn_free(unseen);
    cn_tokenizer_free(tokenizer);
    return st;
}

static cn_status run_texts(source *s, const char *const *texts, size_t n, float *embeddings, bool *known,
                           bool (*go_on)(void *user, size_t done, size_t total), void *user, cn_error *err)
{
    enum { BATCH = 32 };
    cn_status st = CN_OK;
    model_source *m = s->self;
    cn_runner *runner = NULL;
    int32_t *all = NULL, *rows = NULL;
    size_t where[BATCH], waiting = 0, longest;
    size_t context = (size_t)cn_model_get_info(m->model)->context_length, width = (size_t)s->embedding;
    all = cn_calloc(n, context * sizeof *all);
    rows = cn_calloc(BATCH, context * sizeof *rows);
    CN_CHECK(all && rows, CN_ENOMEM, "out of memory for %zu texts", n);
    CN_TRY(tokenise(m->model, texts, n, context, all, known, &longest, err));
    cn_runner_options options = {.tower = CN_TOWER_TEXT,
                                 .embedding = true,
                                 .batch = BATCH,
                                 .threads = m->options.threads,
                                 .precision = m->options.precision,
                                 .backend = m->options.backend,
                                 .text_length = (int64_t)longest};
    CN_TRY(cn_runner_create(&runner, m->model, &options, err));
    memset(embeddings, 0, n * width * sizeof *embeddings);
    for (size_t i = 0; i <= n; i++) {
        if (i < n && known[i]) {
            memcpy(rows + waiting * context, all + i * context, context * sizeof *rows);
            where[waiting++] = i;
        }
        if (waiting < BATCH && (i < n || waiting == 0))
            continue;
        CN_TRY(cn_runner_texts(runner, rows, (int64_t)waiting, err));
        const float *from = cn_runner_embedding(runner);
        for (size_t k = 0; k < waiting; k++)
            memcpy(embeddings + where[k] * width, from + k * width, width * sizeof *from);
        waiting = 0;
        CN_CHECK(!go_on || go_on(user, i < n ? i + 1 : n, n), CN_ECANCELED, "the scan was cancelled");
    }
done:
    cn_free(all);
    cn_free(rows);
    cn_runner_free(runner);
    return st;
}

/* ---- opening ---- */

cn_status source_open_model(source *s, const cn_model *model, const cn_scan_options *options, bool pictures, cn_error *err)
{
    cn_status st = CN_OK;
    memset(s, 0, sizeof *s);
    const cn_model_info *info = cn_model_get_info(model);
    const char *path = cn_weights_path(cn_model_weights(model));
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    size_t start = length;
    while (start > 0 && path[start - 1] != '/')
        start--;
    CN_CHECK(info->resolution > 0 && cn_model_default_site(model), CN_EUNSUPPORTED,
             "%s: the model has no image tower: a scan reads pictures", path);
    CN_CHECK(!options->words || info->context_length > 0, CN_EUNSUPPORTED,
             "%s: the model has no text tower: words cannot be scored", path);
    model_source *m = cn_calloc(1, sizeof *m);
    CN_CHECK(m, CN_ENOMEM, "out of memory for a runner");
    s->self = m;
    s->close = close_model;
    s->images = run_images;
    s->site = read_site;
    s->image_embedding = read_embedding;
    s->texts = info->context_length > 0 ? run_texts : NULL; /* half a CLIP has no text tower */
    m->model = model;
    m->options = *options;
    snprintf(s->model_name, sizeof s->model_name, "%s", info->name);
    snprintf(s->model_file, sizeof s->model_file, "%.*s", (int)(length - start), path + start);
    snprintf(s->backend, sizeof s->backend, "%s",
             options->backend == CN_BACKEND_REFERENCE ? "plain C" : cn_backend_description());
    s->precision = options->precision == CN_PRECISION_BF16 ? "bf16" : "fp32";
    CN_TRY(cn_model_fingerprint(model, s->fingerprint, err));
    s->resolution = info->resolution;
    s->mean = info->mean;
    s->std = info->std;
    s->embedding = info->embedding;
    s->batch = options->batch ? options->batch : 32;
    CN_CHECK(options->n_sites <= CN_MAX_STUDY_SITES, CN_ELIMIT, "%zu sites asked for, the limit is %d",
             options->n_sites, CN_MAX_STUDY_SITES);
    for (size_t i = 0; i < options->n_sites; i++) {
        const cn_site *site;
        CN_TRY(cn_model_find_site(model, options->sites[i], &site, err));
        CN_CHECK(site->tower == CN_TOWER_IMAGE, CN_EINVAL,
                 "%s is a site of the text tower: a scan reads pictures", site->name);
        bool twice = false;
        for (size_t k = 0; k < s->n_sites; k++)
            twice = twice || s->sites[k]->index == site->index;
        if (!twice)
            s->sites[s->n_sites++] = site;
    }
    if (s->n_sites == 0)
        s->sites[s->n_sites++] = cn_model_default_site(model);
    cn_runner_options run = {.tower = CN_TOWER_IMAGE,
                             .sites = s->sites,
                             .n_sites = s->n_sites,
                             .embedding = true,
                             .batch = s->batch,
                             .threads = options->threads,
                             .precision = options->precision,
                             .backend = options->backend,
                             .edits = options->edits,
                             .n_edits = options->n_edits};
    CN_CHECK(!options->n_edits || (options->edit_text && options->edit_text[0]), CN_EINVAL, "a scan with edits needs their text");
    if (pictures)
        CN_TRY(cn_runner_create(&m->runner, model, &run, err));
done:
    if (st != CN_OK)
        close_model(s);
    return st;
}

cn_status cn_study_scan(const cn_model *model, const char *images, const char *study,
                        const cn_scan_options *options, cn_scan_result *result, cn_error *err)
{
    static const cn_scan_options defaults;
    cn_status st = CN_OK;
    source s = {0};
    if (!options)
        options = &defaults;
    CN_TRY(source_open_model(&s, model, options, true, err));
    st = scan_source(&s, images, study, options, result, err);
    s.close(&s);
done:
    return st;
}

/* The parts' sites, from the first of them. */
static cn_status site_names(const char *path, char **names, const char ***out, size_t *n, cn_error *err)
{
    cn_status st = CN_OK;
    part *p = NULL;
    const char **items = NULL;
    *n = 0;
    CN_TRY(part_read(&p, path, err));
    CN_TRY(part_setting(p, "sites", names, err));
    items = cn_calloc(CN_MAX_STUDY_SITES, sizeof *items);
    CN_CHECK(items, CN_ENOMEM, "out of memory for the names of sites");
    for (char *rest = *names, *name; (name = strtok_r(rest, " ", &rest)) && *n < CN_MAX_STUDY_SITES;)
        items[(*n)++] = name;
    *out = items, items = NULL;
done:
    cn_free(items);
    part_close(p);
    return st;
}

cn_status cn_study_merge(const cn_model *model, const char *const *parts, size_t n, const char *study, const cn_scan_options *options,
                         cn_scan_result *result, cn_error *err)
{
    cn_status st = CN_OK;
    source s = {0};
    cn_scan_options o = {0};
    char *names = NULL;
    const char **sites = NULL;
    size_t n_sites;
    if (options)
        o = *options;
    CN_CHECK(n > 0, CN_EINVAL, "no parts to merge");
    CN_TRY(site_names(parts[0], &names, &sites, &n_sites, err));
    o.sites = sites;
    o.n_sites = n_sites;
    CN_TRY(source_open_model(&s, model, &o, false, err));
    st = merge_source(&s, parts, n, study, &o, result, err);
    s.close(&s);
done:
    cn_free(sites);
    cn_free(names);
    return st;
}
