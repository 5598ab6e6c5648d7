/* clip/linear.c -- directions of units in the space of embeddings: the linear maps at the end of the image tower, and exact
 * derivatives. */
#include "clipneuron/linear.h"

#include "base/memory.h"
#include "clip/grid.h"
#include "clip/model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BACKWARD_BATCH = 32 }; /* components of an embedding that one backward pass differentiates */

/* A matrix (rows, columns), row-major, owned. */
typedef struct matrix {
    float *at;
    int64_t rows, columns;
} matrix;

static cn_status read_matrix(matrix *m, const cn_model *model, const char *name, cn_error *err)
{
    cn_status st = CN_OK;
    int64_t shape[4] = {0};
    int ndim = 0;
    CN_CHECK(clip_param_shape(model->checkpoint, name, &ndim, shape), CN_ENOTFOUND, "the model has no %s", name);
    m->rows = shape[0];
    m->columns = ndim > 1 ? shape[1] : 1;
    m->at = cn_malloc((size_t)(m->rows * m->columns) * sizeof *m->at);
    CN_CHECK(m->at, CN_ENOMEM, "out of memory for %s", name);
    CN_TRY(clip_param_read(model->checkpoint, name, m->rows * m->columns, m->at, err));
done:
    return st;
}

/* out (a rows, b columns) = a b, in the order that reads both along their rows. */
static void multiply(const matrix *a, const matrix *b, float *out)
{
    memset(out, 0, (size_t)(a->rows * b->columns) * sizeof *out);
    for (int64_t i = 0; i < a->rows; i++)
        for (int64_t k = 0; k < a->columns; k++) {
            const float x = a->at[i * a->columns + k];
            for (int64_t j = 0; j < b->columns && x != 0; j++)
                out[i * b->columns + j] += x * b->at[k * b->columns + j];
        }
}

static void transpose(const float *in, int64_t rows, int64_t columns, float *out)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            out[j * rows + i] = in[i * columns + j];
}

static bool ends_with(const char *text, const char *ending)
{
    const size_t n = strlen(text), m = strlen(ending);
    return n >= m && strcmp(text + n - m, ending) == 0;
}

/* (W_o W_v)^T */
static cn_status through_attention_pool(const cn_model *model, float *directions, cn_error *err)
{
    cn_status st = CN_OK;
    matrix value = {0}, output = {0};
    float *product = NULL;
    CN_TRY(read_matrix(&value, model, "visual.attnpool.v_proj.weight", err));
    CN_TRY(read_matrix(&output, model, "visual.attnpool.c_proj.weight", err));
    product = cn_malloc((size_t)(output.rows * value.columns) * sizeof *product);
    CN_CHECK(product, CN_ENOMEM, "out of memory for the directions of units");
    multiply(&output, &value, product);
    transpose(product, output.rows, value.columns, directions);
done:
    cn_free(value.at);
    cn_free(output.at);
    cn_free(product);
    return st;
}

/* Rows of (n, width) through the last layer norm, less its division, and the projection. */
static cn_status through_projection(const cn_model *model, matrix *rows, float *directions, cn_error *err)
{
    cn_status st = CN_OK;
    matrix gain = {0}, projection = {0};
    CN_TRY(read_matrix(&gain, model, "visual.ln_post.weight", err));
    CN_TRY(read_matrix(&projection, model, "visual.proj", err));
    for (int64_t i = 0; i < rows->rows; i++) {
        float *row = rows->at + i * rows->columns;
        double mean = 0;
        for (int64_t k = 0; k < rows->columns; k++)
            mean += row[k];
        mean /= (double)rows->columns;
        for (int64_t k = 0; k < rows->columns; k++)
            row[k] = (row[k] - (float)mean) * gain.at[k];
    }
    multiply(rows, &projection, directions);
done:
    cn_free(gain.at);
    cn_free(projection.at);
    return st;
}

/* "visual.transformer.resblocks.11.mlp.gelu": what the block's c_proj makes of each hidden unit; other sites are in the stream. */
static cn_status stream_rows(const cn_model *model, const cn_site *site, matrix *rows, cn_error *err)
{
    cn_status st = CN_OK;
    const char *hidden = strstr(site->name, ".mlp.gelu");
    matrix weight = {0};
    rows->rows = site->units;
    rows->columns = model->info.image_width;
    rows->at = cn_calloc((size_t)(rows->rows * rows->columns), sizeof *rows->at);
    CN_CHECK(rows->at, CN_ENOMEM, "out of memory for the directions of units");
    if (hidden) {
        char name[CLIP_MAX_LAYERS];
        snprintf(name, sizeof name, "%.*s.mlp.c_proj.weight", (int)(hidden - site->name), site->name);
        CN_TRY(read_matrix(&weight, model, name, err));
        transpose(weight.at, weight.rows, weight.columns, rows->at);
    } else {
        for (int64_t i = 0; i < rows->rows; i++)
            rows->at[i * rows->columns + i] = 1;
    }
done:
    cn_free(weight.at);
    return st;
}

cn_status cn_unit_directions(const cn_model *model, const cn_site *site, float *directions, cn_error *err)
{
    cn_status st = CN_OK;
    matrix rows = {0};
    if (model->info.architecture == CN_ARCH_RESNET) {
        /* Before a batch norm, a unit's sign and size are still to be decided. */
        const bool last = strncmp(site->name, "visual.layer4", 13) == 0 && site->units == (int64_t)model->info.image_width * 32 &&
                          !ends_with(site->name, ".conv3") && !ends_with(site->name, ".downsample.0");
        CN_CHECK(site->tower == CN_TOWER_IMAGE && last, CN_EUNSUPPORTED,
                 "%s is not added to the last stage: only the units of visual.layer4, its blocks, their add, relu3 and bn3 have directions in the "
                 "embedding", site->name);
        CN_TRY(through_attention_pool(model, directions, err));
    } else {
        const bool stream = site->layout == CN_SITE_TOKENS && strncmp(site->name, "visual.transformer", 18) == 0 &&
                            !ends_with(site->name, ".ln_1") && !ends_with(site->name, ".ln_2") && !ends_with(site->name, ".mlp.c_fc");
        CN_CHECK(site->tower == CN_TOWER_IMAGE && stream, CN_EUNSUPPORTED,
                 "%s is not added to the stream of tokens: the ends of blocks, their attn, mlp and mlp.gelu have directions in the "
                 "embedding", site->name);
        CN_TRY(stream_rows(model, site, &rows, err));
        CN_TRY(through_projection(model, &rows, directions, err));
    }
done:
    cn_free(rows.at);
    return st;
}

/* ---- exact ---- */

/* d e_k/|e| / d e = (unit vector k - e e_k/|e|^2) / |e| for component k, written to seed. */
static void seed_component(const float *embedding, int64_t width, int64_t k, double norm, float *seed)
{
    for (int64_t j = 0; j < width; j++)
        seed[j] = (float)(((j == k) - (double)embedding[j] * embedding[k] / (norm * norm)) / norm);
}

/* Adds the derivatives of components first .. first + n - 1, one for each of the runner's n equal images. */
static void add_components(const cn_runner *r, const cn_site *site, int64_t first, int64_t n, int64_t width, double share, float *directions)
{
    const float *gradient = cn_runner_site_gradient(r, 0);
    const int64_t positions = site->positions, count = site->units * positions;
    for (int64_t i = 0; i < n; i++)
        for (int64_t u = 0; u < site->units; u++) {
            double sum = 0;
            for (int64_t p = 0; p < positions; p++)
                sum += gradient[i * count + clip_value_index(site, u, p, positions)];
            directions[u * width + first + i] += (float)(share * sum);
        }
}

cn_status cn_unit_directions_at(const cn_model *model, const cn_site *site, const float *pixels, int64_t n, int threads, float *directions,
                                cn_error *err)
{
    cn_status st = CN_OK;
    const int64_t width = model->info.embedding, batch = width < BACKWARD_BATCH ? width : BACKWARD_BATCH;
    const int64_t size = 3 * (int64_t)model->info.resolution * model->info.resolution;
    cn_runner *runner = NULL;
    float *same = NULL, *seeds = NULL;
    CN_CHECK(site->tower == CN_TOWER_IMAGE, CN_EINVAL, "%s is a site of the text tower", site->name);
    CN_CHECK(n > 0, CN_EINVAL, "no images to take derivatives at");
    const cn_runner_options o = {.tower = CN_TOWER_IMAGE, .embedding = true, .batch = batch, .threads = threads, .gradient_sites = &site,
                                 .n_gradient_sites = 1};
    CN_TRY(cn_runner_create(&runner, model, &o, err));
    same = cn_malloc((size_t)(batch * size) * sizeof *same);
    seeds = cn_malloc((size_t)(batch * width) * sizeof *seeds);
    CN_CHECK(same && seeds, CN_ENOMEM, "out of memory for the directions of units");
    memset(directions, 0, (size_t)(site->units * width) * sizeof *directions);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t b = 0; b < batch; b++)
            memcpy(same + b * size, pixels + i * size, (size_t)size * sizeof *same);
        CN_TRY(cn_runner_images(runner, same, batch, err));
        const float *embedding = cn_runner_embedding(runner);
        double square = 0;
        for (int64_t k = 0; k < width; k++)
            square += (double)embedding[k] * embedding[k];
        if (!(square > 0))
            continue; /* an image without a direction */
        for (int64_t first = 0; first < width; first += batch) {
            const int64_t some = width - first < batch ? width - first : batch;
            memset(seeds, 0, (size_t)(batch * width) * sizeof *seeds);
            for (int64_t b = 0; b < some; b++)
                seed_component(embedding, width, first + b, sqrt(square), seeds + b * width);
            const cn_objective_gradient from = {.embedding = seeds, .without_input = true};
            CN_TRY(cn_runner_backward(runner, &from, err));
            add_components(runner, site, first, some, width, 1 / (double)n, directions);
        }
    }
done:
    cn_free(same);
    cn_free(seeds);
    cn_runner_free(runner);
    return st;
}
