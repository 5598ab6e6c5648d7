/* compose/heads.c -- a logit as the sum of what the attention pool's heads add: its forward (nn/op_attnpool.c) with the output taken
 * apart. Keys and values of tokens are never made: what a head asks and what it gives are pulled back to the space of units. */
#include "clipneuron/attribute.h"

#include "base/check.h"
#include "base/memory.h"
#include "clip/model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Parameters of the pool, owned. */
enum { POSITION, Q, QB, K, KB, V, VB, OUT, OUT_BIAS, PARAMS };
static const char *const names[PARAMS] = {"positional_embedding", "q_proj.weight", "q_proj.bias", "k_proj.weight", "k_proj.bias",
                                          "v_proj.weight",        "v_proj.bias",   "c_proj.weight", "c_proj.bias"};

static cn_status read_params(float *param[PARAMS], const cn_model *model, int64_t units, int64_t length, int64_t embedding, cn_error *err)
{
    cn_status st = CN_OK;
    const int64_t square = units * units;
    const int64_t count[PARAMS] = {length * units, square, units, square, units, square, units, embedding * units, embedding};
    for (int i = 0; i < PARAMS; i++) {
        char name[80];
        snprintf(name, sizeof name, "visual.attnpool.%s", names[i]);
        param[i] = cn_malloc((size_t)count[i] * sizeof *param[i]);
        CN_CHECK(param[i], CN_ENOMEM, "%lld floats for %s", (long long)count[i], name);
        CN_TRY(clip_param_read(model->checkpoint, name, count[i], param[i], err));
    }
done:
    return st;
}

static double product(const float *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* out (units) = sum over the head's rows j of weight (., units) times v_j. */
static void pull_back(const float *weight, const double *v, int64_t first, int64_t rows, int64_t units, double *out)
{
    memset(out, 0, (size_t)units * sizeof *out);
    for (int64_t j = first; j < first + rows; j++)
        for (int64_t c = 0; c < units; c++)
            out[c] += v[j] * weight[j * units + c];
}

/* The pool for one image. */
typedef struct pool {
    float *param[PARAMS];
    double *token;  /* (1 + cells, units), positions in them */
    double *q;      /* (units) */
    double *given;  /* (units): W_out^T goal / |e| */
    double *back;   /* (units) */
    double *weight; /* (1 + cells): attention of a head */
} pool;

static void attend(pool *p, int64_t h, int64_t head, int64_t units, int64_t length)
{
    double largest = -INFINITY, total = 0, asked = 0;
    for (int64_t j = h * head; j < (h + 1) * head; j++)
        asked += p->q[j] * p->param[KB][j];
    pull_back(p->param[K], p->q, h * head, head, units, p->back);
    for (int64_t i = 0; i < length; i++) {
        double score = asked;
        for (int64_t c = 0; c < units; c++)
            score += p->back[c] * p->token[i * units + c];
        p->weight[i] = score / sqrt((double)head);
        largest = p->weight[i] > largest ? p->weight[i] : largest;
    }
    for (int64_t i = 0; i < length; i++)
        total += p->weight[i] = exp(p->weight[i] - largest);
    for (int64_t i = 0; i < length; i++)
        p->weight[i] /= total;
}

static void add_head(pool *p, cn_head_attribution *a, int64_t h, int64_t head, const float *x)
{
    const int64_t units = a->units, cells = a->height * a->width;
    attend(p, h, head, units, cells + 1);
    pull_back(p->param[V], p->given, h * head, head, units, p->back);
    a->rest[h] = 0;
    for (int64_t j = h * head; j < (h + 1) * head; j++)
        a->rest[h] += p->given[j] * p->param[VB][j];
    for (int64_t i = 0; i < cells + 1; i++)
        a->rest[h] += p->weight[i] * product(p->param[POSITION] + i * units, p->back, units);
    a->head[h] = a->rest[h];
    for (int64_t c = 0; c < units; c++) {
        double sum = 0;
        for (int64_t i = 0; i < cells; i++) { /* the mean token holds a share of every cell */
            const double part = (p->weight[i + 1] + p->weight[0] / (double)cells) * p->back[c] * x[c * cells + i];
            a->map[h * cells + i] += (float)part;
            sum += part;
        }
        a->unit[h * units + c] = (float)sum;
        a->head[h] += sum;
    }
}

cn_status cn_attribution_heads(cn_head_attribution **out, const cn_model *model, const float *pixels, const float *goal, int threads, cn_error *err)
{
    cn_status st = CN_OK;
    const cn_model_info *info = cn_model_get_info(model);
    const cn_site *site = NULL;
    cn_runner *r = NULL;
    pool p = {0};
    cn_head_attribution *a = cn_calloc(1, sizeof *a);
    *out = NULL;
    CN_CHECK(a, CN_ENOMEM, "out of memory for heads");
    CN_CHECK(info->architecture == CN_ARCH_RESNET && info->resolution > 0, CN_EUNSUPPORTED,
             "%s: has no attention pool: heads are told apart for ResNets only", cn_weights_path(cn_model_weights(model)));
    CN_TRY(cn_model_find_site(model, "visual.layer4", &site, err));
    const int64_t units = site->units, cells = site->positions, heads = info->image_heads, head = units / heads, width = info->embedding;
    const cn_runner_options o = {.tower = CN_TOWER_IMAGE, .sites = &site, .n_sites = 1, .embedding = true, .batch = 1, .threads = threads};
    a->heads = heads;
    a->units = units;
    a->height = site->height;
    a->width = site->width;
    a->head = cn_calloc((size_t)heads, sizeof *a->head);
    a->rest = cn_calloc((size_t)heads, sizeof *a->rest);
    a->unit = cn_calloc((size_t)(heads * units), sizeof *a->unit);
    a->map = cn_calloc((size_t)(heads * cells), sizeof *a->map);
    p.token = cn_calloc((size_t)((cells + 1) * units), sizeof *p.token);
    p.q = cn_calloc((size_t)units, sizeof *p.q);
    p.given = cn_calloc((size_t)units, sizeof *p.given);
    p.back = cn_calloc((size_t)units, sizeof *p.back);
    p.weight = cn_calloc((size_t)(cells + 1), sizeof *p.weight);
    CN_CHECK(a->head && a->rest && a->unit && a->map && p.token && p.q && p.given && p.back && p.weight, CN_ENOMEM, "out of memory for heads");
    CN_TRY(read_params(p.param, model, units, cells + 1, width, err));
    CN_TRY(cn_runner_create(&r, model, &o, err));
    CN_TRY(cn_runner_images(r, pixels, 1, err));
    const float *x = cn_runner_site(r, 0), *e = cn_runner_embedding(r);
    double square = 0, dot = 0;
    for (int64_t k = 0; k < width; k++) {
        square += (double)e[k] * e[k];
        dot += (double)e[k] * goal[k];
        a->bias += (double)p.param[OUT_BIAS][k] * goal[k];
    }
    CN_CHECK(square > 0 && isfinite(square), CN_EINVAL, "the image has no embedding of this model with a direction");
    const double norm = sqrt(square);
    a->value = dot / norm;
    a->bias /= norm;
    for (int64_t k = 0; k < width; k++)
        for (int64_t c = 0; c < units; c++)
            p.given[c] += goal[k] * (double)p.param[OUT][k * units + c] / norm;
    for (int64_t c = 0; c < units; c++)
        for (int64_t i = 0; i < cells; i++) {
            p.token[(i + 1) * units + c] = x[c * cells + i] + p.param[POSITION][(i + 1) * units + c];
            p.token[c] += x[c * cells + i] / (double)cells;
        }
    for (int64_t c = 0; c < units; c++)
        p.token[c] += p.param[POSITION][c];
    for (int64_t j = 0; j < units; j++)
        p.q[j] = p.param[QB][j] + product(p.param[Q] + j * units, p.token, units);
    for (int64_t h = 0; h < heads; h++)
        add_head(&p, a, h, head, x);
    *out = a, a = NULL;
done:
    cn_runner_free(r);
    for (int i = 0; i < PARAMS; i++)
        cn_free(p.param[i]);
    cn_free(p.token);
    cn_free(p.q);
    cn_free(p.given);
    cn_free(p.back);
    cn_free(p.weight);
    cn_head_attribution_free(a);
    return st;
}

void cn_head_attribution_free(cn_head_attribution *a)
{
    if (!a)
        return;
    cn_free(a->head);
    cn_free(a->rest);
    cn_free(a->unit);
    cn_free(a->map);
    cn_free(a);
}
