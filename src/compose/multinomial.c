/* compose/multinomial.c -- block proximal Newton over a working set; multinomial.h says what is minimised and how. */
#include "compose/multinomial.h"

#include "base/memory.h"
#include "compose/crew.h"
#include "compose/lanes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROWS = VECTOR_BLOCK, /* of a task */
    AT_ONCE = 192,       /* weights of a class that one step moves */
    TILE = 32,           /* features of a task of the great product */
    PANEL = 128,         /* classes whose residuals stay in the cache for it */
    CLASSES = 16,        /* of a task that computes residuals */
    SWEEPS = 500,
    HALVINGS = 30,
    ROUNDS = 50,
    FEW = 6,     /* blocks of rows */
    LEAP = 5     /* passes before a leap */
};

#define FARTHEST 80.0f    /* above the largest score of a picture: behind it exponentials end */
#define CANCELLED 1e-4    /* of a sum of exponentials that a step leaves: what is left is rounding, and is summed again */

/* The working set of a class, in the order of features. */
typedef struct working {
    int32_t *feature;
    double *w;
    int64_t n, room;
} working;

struct multinomial {
    multinomial_data d;
    double mix;
    const vector_kernels *v;
    crew *crew;
    double strength, strongest; /* of the last fit */
    working *set;               /* (classes) */
    double *b, *violation;      /* (classes) */
    float *z;                   /* (classes, n) */
    float *top;                 /* (n): about the largest of z; what exponentials are shifted by */
    double *sum, *next;         /* (n): of exp(z - top) over classes; the same after the step that is tried */
    float *residual, *curvature, *step; /* (n) of one class: p - [y = k]; p (1 - p); how z changes */
    float *slopes;              /* (classes, features): n dF/dw without the penalty, at the last solution */
    float *chunk;               /* (classes, ROWS) residuals */
    double *partial;            /* of tasks */
    int64_t tasks;
};

/* ---- making ---- */

static bool floats(float **out, int64_t a, int64_t b)
{
    size_t count, bytes;
    *out = NULL;
    if (cn_mul_size((size_t)a, (size_t)b, &count) && cn_mul_size(count, sizeof(float), &bytes) && cn_add_size(bytes, 64, &bytes))
        *out = cn_aligned_calloc(bytes);
    return *out != NULL;
}

static void start(multinomial *m)
{
    const int64_t n = m->d.n, classes = m->d.classes;
    for (int64_t i = 0; i < n; i++)
        m->b[m->d.y[i]]++;
    for (int64_t k = 0; k < classes; k++) {
        m->b[k] = log(m->b[k] / (double)n);
        for (int64_t i = 0; i < n; i++)
            m->z[k * n + i] = (float)m->b[k];
    }
}

static void slopes(multinomial *m);

cn_status multinomial_create(multinomial **out, const multinomial_data *data, double mix, int threads, cn_error *err)
{
    cn_status st = CN_OK;
    multinomial *m = cn_calloc(1, sizeof *m);
    const int64_t n = data->n, classes = data->classes;
    *out = NULL;
    CN_CHECK(m, CN_ENOMEM, "out of memory for a probe");
    m->d = *data;
    m->mix = mix;
    m->v = vector_kernels_get();
    m->tasks = (n + ROWS - 1) / ROWS;
    m->set = cn_calloc((size_t)classes, sizeof *m->set);
    m->b = cn_calloc((size_t)classes, sizeof *m->b);
    m->violation = cn_calloc((size_t)classes, sizeof *m->violation);
    m->sum = cn_calloc((size_t)n, sizeof *m->sum);
    m->next = cn_calloc((size_t)n, sizeof *m->next);
    m->partial = cn_calloc((size_t)m->tasks, AT_ONCE * (AT_ONCE + 1) / 2 * sizeof *m->partial + 64);
    CN_CHECK(floats(&m->z, classes, n) && floats(&m->top, 1, n) && floats(&m->residual, 1, n) && floats(&m->curvature, 1, n) &&
                 floats(&m->step, 1, n) && floats(&m->slopes, classes, data->features) && floats(&m->chunk, classes, ROWS) && m->set && m->b &&
                 m->violation && m->sum && m->next && m->partial,
             CN_ENOMEM, "out of memory for a probe of %lld classes on %lld pictures and %lld units", (long long)classes, (long long)n,
             (long long)data->features);
    CN_TRY(crew_create(&m->crew, threads, err));
    start(m);
    slopes(m);
    for (int64_t i = 0; i < classes * data->features; i++)
        m->strongest = fmax(m->strongest, fabs((double)m->slopes[i]) / (double)n / mix);
    m->strength = m->strongest;
    *out = m, m = NULL;
done:
    multinomial_free(m);
    return st;
}

void multinomial_free(multinomial *m)
{
    if (!m)
        return;
    crew_free(m->crew);
    for (int64_t k = 0; m->set && k < m->d.classes; k++) {
        cn_free(m->set[k].feature);
        cn_free(m->set[k].w);
    }
    cn_free(m->set);
    cn_free(m->b);
    cn_free(m->violation);
    cn_free(m->sum);
    cn_free(m->next);
    cn_free(m->partial);
    cn_free(m->z);
    cn_free(m->top);
    cn_free(m->residual);
    cn_free(m->curvature);
    cn_free(m->step);
    cn_free(m->slopes);
    cn_free(m->chunk);
    cn_free(m);
}

double multinomial_strongest(const multinomial *m)
{
    return m->strongest;
}

/* ---- tasks over blocks of rows ---- */

static int64_t block_of(const multinomial *m, int64_t task, int64_t *first)
{
    *first = task * ROWS;
    return m->d.n - *first < ROWS ? m->d.n - *first : ROWS;
}

/* A job over all blocks of rows. Few blocks are done at once: to wake others takes longer. */
static void over_rows(multinomial *m, crew_task *task, void *job)
{
    if (m->tasks >= FEW)
        crew_run(m->crew, task, job, m->tasks);
    else
        for (int64_t t = 0; t < m->tasks; t++)
            task(job, t);
}

static double dot(const multinomial *m, const float *a, const float *b, int64_t n)
{
    float sum = 0;
    m->v->products(a, 1, 0, b, 1, 0, n, &sum, 1);
    return (double)sum;
}

/* z from the weights, the largest of each row, and its sum of exponentials. */
static void refresh_task(void *job, int64_t task)
{
    multinomial *m = job;
    int64_t first;
    const int64_t rows = block_of(m, task, &first), n = m->d.n;
    float e[ROWS];
    for (int64_t i = first; i < first + rows; i++) {
        m->top[i] = -INFINITY;
        m->sum[i] = 0;
    }
    for (int64_t k = 0; k < m->d.classes; k++) {
        float *z = m->z + k * n;
        for (int64_t i = first; i < first + rows; i++)
            z[i] = (float)m->b[k];
        for (int64_t j = 0; j < m->set[k].n; j++) {
            const float w = (float)m->set[k].w[j], *x = m->d.x + m->set[k].feature[j] * n;
            for (int64_t i = first; w != 0 && i < first + rows; i++)
                z[i] += w * x[i];
        }
        for (int64_t i = first; i < first + rows; i++)
            m->top[i] = z[i] > m->top[i] ? z[i] : m->top[i];
    }
    for (int64_t k = 0; k < m->d.classes; k++) {
        m->v->exponentials(m->z + k * n + first, m->top + first, rows, e);
        for (int64_t i = 0; i < rows; i++)
            m->sum[first + i] += (double)e[i];
    }
    double loss = 0;
    for (int64_t i = first; i < first + rows; i++)
        loss += log(m->sum[i]) + (double)m->top[i] - (double)m->z[m->d.y[i] * n + i];
    m->partial[task] = loss;
}

/* Brings z and the sums up to date; returns the loss. */
static double refresh(multinomial *m)
{
    double loss = 0;
    over_rows(m, refresh_task, m);
    for (int64_t t = 0; t < m->tasks; t++)
        loss += m->partial[t];
    return loss / (double)m->d.n;
}

/* The probabilities of a class less what they should be. */
static void residuals(const multinomial *m, int64_t k, int64_t first, int64_t rows, float *out)
{
    m->v->exponentials(m->z + k * m->d.n + first, m->top + first, rows, out);
    for (int64_t i = 0; i < rows; i++)
        out[i] = out[i] / (float)m->sum[first + i] - (m->d.y[first + i] == k ? 1.0f : 0.0f);
}

/* A visit to a class: what moves, and what is known of it. */
typedef struct visit {
    multinomial *m;
    int64_t k, n;          /* class; how many weights */
    const int32_t *feature; /* (n) */
    const double *change;  /* (n) of weights, then of the intercept */
    double t;              /* the share of the change that is tried */
    bool again;            /* the change is in m->step */
} visit;

/* Residual, curvature, and slopes for the intercept and the weights: partial (tasks, 1 + n). */
static void slope_task(void *job, int64_t task)
{
    const visit *v = job;
    multinomial *m = v->m;
    int64_t first;
    const int64_t rows = block_of(m, task, &first);
    float *r = m->residual + first, *h = m->curvature + first;
    double *out = m->partial + task * (v->n + 1), sum = 0;
    residuals(m, v->k, first, rows, r);
    for (int64_t i = 0; i < rows; i++) {
        const float p = m->d.y[first + i] == v->k ? r[i] + 1 : r[i], c = p * (1 - p);
        h[i] = c > 1e-6f ? c : 1e-6f;
        sum += (double)r[i];
    }
    out[0] = sum;
    for (int64_t j = 0; j < v->n; j++)
        out[1 + j] = dot(m, m->d.x + v->feature[j] * m->d.n + first, r, rows);
}

/* The Hessian's lower triangle, the intercept first: partial (tasks, (1 + n)(2 + n)/2). */
static void hessian_task(void *job, int64_t task)
{
    const visit *v = job;
    multinomial *m = v->m;
    int64_t first;
    const int64_t rows = block_of(m, task, &first);
    const float *h = m->curvature + first;
    double *out = m->partial + task * ((v->n + 1) * (v->n + 2) / 2), sum = 0;
    float hx[ROWS];
    for (int64_t i = 0; i < rows; i++)
        sum += (double)h[i];
    *out++ = sum;
    for (int64_t j = 0; j < v->n; j++) {
        const float *x = m->d.x + v->feature[j] * m->d.n + first;
        for (int64_t i = 0; i < rows; i++)
            hx[i] = h[i] * x[i];
        *out++ = dot(m, x, h, rows);
        for (int64_t l = 0; l <= j; l++)
            *out++ = dot(m, hx, m->d.x + v->feature[l] * m->d.n + first, rows);
    }
}

/* The sum of exponentials of a row over all classes but k. */
static double others(const multinomial *m, int64_t k, int64_t row)
{
    double sum = 0;
    for (int64_t c = 0; c < m->d.classes; c++)
        if (c != k)
            sum += exp((double)m->z[c * m->d.n + row] - (double)m->top[row]);
    return sum;
}

/* The loss after t times the change, less that before: partial (tasks). Infinite where exponentials would end, for there the loss that is computed
 * stops rising: no step goes so far. */
static void change_task(void *job, int64_t task)
{
    const visit *v = job;
    multinomial *m = v->m;
    int64_t first;
    const int64_t rows = block_of(m, task, &first);
    const float *z = m->z + v->k * m->d.n + first, t = (float)v->t;
    float *step = m->step + first, e[ROWS], after[ROWS];
    if (!v->again) {
        for (int64_t i = 0; i < rows; i++)
            step[i] = (float)v->change[v->n];
        for (int64_t j = 0; j < v->n; j++) {
            const float c = (float)v->change[j], *x = m->d.x + v->feature[j] * m->d.n + first;
            for (int64_t i = 0; c != 0 && i < rows; i++)
                step[i] += c * x[i];
        }
    }
    m->v->exponentials(z, m->top + first, rows, e);
    for (int64_t i = 0; i < rows; i++)
        after[i] = z[i] + t * step[i];
    double loss = 0, ratios = 1;
    bool too_far = false;
    for (int64_t i = 0; i < rows; i++) {
        too_far |= !(after[i] - m->top[first + i] <= FARTHEST);
        if (m->d.y[first + i] == v->k)
            loss -= (double)(after[i] - z[i]);
    }
    if (too_far) {
        m->partial[task] = INFINITY;
        return;
    }
    m->v->exponentials(after, m->top + first, rows, after);
    for (int64_t i = 0; i < rows; i++) {
        const double sum = m->sum[first + i], new = sum + ((double)after[i] - (double)e[i]);
        m->next[first + i] = new > CANCELLED * sum ? new : others(m, v->k, first + i) + (double)after[i];
        ratios *= m->next[first + i] / sum;
        if ((i & 3) == 3) { /* one logarithm for four: what overflows is no step that will be taken */
            loss += log(ratios);
            ratios = 1;
        }
    }
    m->partial[task] = loss + log(ratios);
}

static void add_partials(const multinomial *m, int64_t width, double *out)
{
    memset(out, 0, (size_t)width * sizeof *out);
    for (int64_t t = 0; t < m->tasks; t++)
        for (int64_t j = 0; j < width; j++)
            out[j] += m->partial[t * width + j];
    for (int64_t j = 0; j < width; j++)
        out[j] /= (double)m->d.n;
}

/* ---- slopes of all weights ---- */

typedef struct great {
    multinomial *m;
    int64_t first, rows;
} great;

static void residual_task(void *job, int64_t task)
{
    const great *g = job;
    for (int64_t k = task * CLASSES; k < (task + 1) * CLASSES && k < g->m->d.classes; k++)
        residuals(g->m, k, g->first, g->rows, g->m->chunk + k * ROWS);
}

static void product_task(void *job, int64_t task)
{
    const great *g = job;
    const multinomial *m = g->m;
    const int64_t from = task * TILE, features = m->d.features, width = features - from < TILE ? features - from : TILE;
    for (int64_t k = 0; k < m->d.classes; k += PANEL)
        m->v->products(m->chunk + k * ROWS, m->d.classes - k < PANEL ? m->d.classes - k : PANEL, ROWS, m->d.x + from * m->d.n + g->first, width,
                       m->d.n, g->rows, m->slopes + k * features + from, features);
}

static void slopes(multinomial *m)
{
    great g = {.m = m};
    refresh(m);
    memset(m->slopes, 0, (size_t)(m->d.classes * m->d.features) * sizeof *m->slopes);
    for (int64_t t = 0; t < m->tasks; t++) {
        g.rows = block_of(m, t, &g.first);
        crew_run(m->crew, residual_task, &g, (m->d.classes + CLASSES - 1) / CLASSES);
        crew_run(m->crew, product_task, &g, (m->d.features + TILE - 1) / TILE);
    }
}

/* ---- the working set ---- */

static bool add(working *s, int32_t feature, double w)
{
    if (s->n == s->room) {
        const int64_t room = s->room ? 2 * s->room : 8;
        int32_t *f = cn_reallocarray(s->feature, (size_t)room, sizeof *f);
        if (f)
            s->feature = f;
        double *grown = f ? cn_reallocarray(s->w, (size_t)room, sizeof *grown) : NULL;
        if (!grown)
            return false;
        s->w = grown;
        s->room = room;
    }
    s->feature[s->n] = feature;
    s->w[s->n++] = w;
    return true;
}

/* Adds the features whose slope is at least `least`; with `drop`, zero weights below it leave. Counts those that are new. */
static cn_status widen(multinomial *m, double least, bool drop, int64_t *added, cn_error *err)
{
    *added = 0;
    for (int64_t k = 0; k < m->d.classes; k++) {
        working *old = &m->set[k], new = {0};
        const float *slope = m->slopes + k * m->d.features;
        bool ok = true;
        for (int64_t f = 0, at = 0; f < m->d.features && ok; f++) {
            const bool in = at < old->n && old->feature[at] == f;
            const bool strong = fabs((double)slope[f]) >= least * (double)m->d.n;
            if (strong || (in && (!drop || old->w[at] != 0))) {
                ok = add(&new, (int32_t)f, in ? old->w[at] : 0);
                *added += !in;
            }
            at += in;
        }
        if (!ok) {
            cn_free(new.feature);
            cn_free(new.w);
            return cn_fail(err, CN_ENOMEM, "out of memory for a probe's weights");
        }
        cn_free(old->feature);
        cn_free(old->w);
        *old = new;
    }
    return CN_OK;
}

/* ---- one class ---- */

typedef struct chosen {
    int64_t at; /* in the working set */
    double violation;
} chosen;

static int by_violation(const void *a, const void *b)
{
    const chosen *x = a, *y = b;
    return x->violation != y->violation ? (x->violation > y->violation ? -1 : 1) : x->at < y->at ? -1 : x->at > y->at;
}

static int by_place(const void *a, const void *b)
{
    const chosen *x = a, *y = b;
    return x->at < y->at ? -1 : x->at > y->at;
}

static double soft(double x, double by)
{
    return x > by ? x - by : x < -by ? x + by : 0;
}

static double penalty(const multinomial *m, double strength, double w)
{
    return strength * (m->mix * fabs(w) + (1 - m->mix) / 2 * w * w);
}

/* How far the slope of F at a weight is from balance. */
static double unbalanced(const multinomial *m, double strength, double slope, double w)
{
    const double l1 = strength * m->mix, g = slope + strength * (1 - m->mix) * w;
    return w > 0 ? fabs(g + l1) : w < 0 ? fabs(g - l1) : fmax(0, fabs(g) - l1);
}

/* Room for one visit. */
typedef struct scratch {
    chosen *list;      /* (most) */
    int32_t *feature;  /* (most) */
    double *slope;     /* (1 + most) */
    double *change, *model, *w; /* (1 + AT_ONCE) */
    double *hessian;   /* lower triangle */
} scratch;

static double hessian_at(const double *h, int64_t i, int64_t j)
{
    return i >= j ? h[i * (i + 1) / 2 + j] : h[j * (j + 1) / 2 + i];
}

/* The change of n weights that makes the quadratic model least. Index 0 of slope, hessian and model is the intercept; change has it last. */
static void minimise_model(const multinomial *m, double strength, const scratch *s, int64_t n, double enough)
{
    const double l1 = strength * m->mix, l2 = strength * (1 - m->mix);
    memcpy(s->model, s->slope, (size_t)(n + 1) * sizeof *s->model);
    memset(s->change, 0, (size_t)(n + 1) * sizeof *s->change);
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
        double most = 0;
        for (int64_t j = 0; j <= n; j++) {
            const double h = hessian_at(s->hessian, j, j);
            double *change = j ? &s->change[j - 1] : &s->change[n], by;
            if (!(h > 0))
                continue;
            if (j == 0) {
                by = -s->model[0] / h;
            } else {
                const double now = s->w[j - 1] + *change;
                by = soft(h * now - s->model[j], l1) / (h + l2) - now;
            }
            if (by == 0)
                continue;
            *change += by;
            for (int64_t i = 0; i <= n; i++)
                s->model[i] += by * hessian_at(s->hessian, i, j);
            most = fmax(most, fabs(by) * h);
        }
        if (most <= enough)
            return;
    }
}

/* Tries the whole change, then halves of it. The change in loss is known to about `noise`: below it, steps are taken as they are. */
static void take_step(multinomial *m, double strength, visit *v, const scratch *s)
{
    working *set = &m->set[v->k];
    double first = s->slope[0] * s->change[v->n];
    for (int64_t j = 0; j < v->n; j++)
        first += s->slope[1 + j] * s->change[j] + penalty(m, strength, s->w[j] + s->change[j]) - penalty(m, strength, s->w[j]);
    const double noise = 1e-9;
    v->change = s->change;
    v->t = 1;
    v->again = false;
    for (int halving = 0; halving < HALVINGS; halving++, v->t /= 2) {
        double gain;
        over_rows(m, change_task, v);
        add_partials(m, 1, &gain);
        for (int64_t j = 0; j < v->n; j++)
            gain += penalty(m, strength, s->w[j] + v->t * s->change[j]) - penalty(m, strength, s->w[j]);
        if (gain <= 0.01 * v->t * first + noise * fmin(1, fabs(first) * 1e6)) {
            double *sums = m->sum;
            float *z = m->z + v->k * m->d.n;
            m->sum = m->next;
            m->next = sums;
            for (int64_t i = 0; i < m->d.n; i++)
                z[i] += (float)v->t * m->step[i];
            for (int64_t j = 0; j < v->n; j++)
                set->w[s->list[j].at] = v->t == 1 ? s->w[j] + s->change[j] : s->w[j] + v->t * s->change[j];
            m->b[v->k] += v->t * s->change[v->n];
            return;
        }
        v->again = true;
    }
}

/* One step for class k; all: look at zero weights of the working set, too. Returns the violation before it, in parts of s m. */
static double visit_class(multinomial *m, double strength, int64_t k, bool all, double tolerance, const scratch *s)
{
    working *set = &m->set[k];
    const double l1 = strength * m->mix;
    visit v = {.m = m, .k = k, .feature = s->feature};
    for (int64_t j = 0; j < set->n; j++)
        if (all || set->w[j] != 0) {
            s->list[v.n].at = j;
            s->feature[v.n++] = set->feature[j];
        }
    /* partial has room for so many; the working set may have more */
    const int64_t most = AT_ONCE * (AT_ONCE + 1) / 2 - 1, n = v.n;
    for (int64_t from = 0; from == 0 || from < n; from += most) {
        v.feature = s->feature + from;
        v.n = n - from < most ? n - from : most;
        const double last = s->slope[from]; /* of the weights before; the intercept's would replace it */
        over_rows(m, slope_task, &v);
        add_partials(m, v.n + 1, s->slope + from);
        if (from)
            s->slope[from] = last;
    }
    double worst = fabs(s->slope[0]);
    for (int64_t j = 0; j < n; j++) {
        s->list[j].violation = unbalanced(m, strength, s->slope[1 + j], set->w[s->list[j].at]);
        worst = fmax(worst, s->list[j].violation);
    }
    if (worst <= tolerance * l1)
        return worst / l1;
    int64_t kept = 0; /* zero weights in balance stay zero in the model, nearly always: leave them out */
    for (int64_t j = 0; j < n; j++)
        if (set->w[s->list[j].at] != 0 || s->list[j].violation > 0)
            s->list[kept++] = (chosen){s->list[j].at, s->list[j].violation};
    if (kept > AT_ONCE - 1) {
        qsort(s->list, (size_t)kept, sizeof *s->list, by_violation);
        kept = AT_ONCE - 1;
        qsort(s->list, (size_t)kept, sizeof *s->list, by_place);
    }
    for (int64_t j = 0, at = 0; j < kept; j++, at++) { /* slopes of those that are left, in place */
        while (s->feature[at] != set->feature[s->list[j].at])
            at++;
        s->feature[j] = s->feature[at];
        s->slope[1 + j] = s->slope[1 + at];
        s->w[j] = set->w[s->list[j].at];
    }
    v.n = kept;
    v.feature = s->feature;
    over_rows(m, hessian_task, &v);
    add_partials(m, (kept + 1) * (kept + 2) / 2, s->hessian);
    minimise_model(m, strength, s, kept, fmax(0.003 * worst, 0.02 * tolerance * l1));
    take_step(m, strength, &v, s);
    return worst / l1;
}

/* ---- a fit ---- */

static void scratch_free(scratch *s)
{
    cn_free(s->list);
    cn_free(s->feature);
    cn_free(s->slope);
    cn_free(s->change);
    cn_free(s->model);
    cn_free(s->w);
    cn_free(s->hessian);
}

static cn_status scratch_make(scratch *s, const multinomial *m, cn_error *err)
{
    const size_t most = (size_t)m->d.features + 2;
    s->list = cn_calloc(most, sizeof *s->list);
    s->feature = cn_calloc(most, sizeof *s->feature);
    s->slope = cn_calloc(most, sizeof *s->slope);
    s->change = cn_calloc(AT_ONCE + 1, sizeof *s->change);
    s->model = cn_calloc(AT_ONCE + 1, sizeof *s->model);
    s->w = cn_calloc(AT_ONCE + 1, sizeof *s->w);
    s->hessian = cn_calloc(AT_ONCE * (AT_ONCE + 1) / 2, sizeof *s->hessian);
    if (!s->list || !s->feature || !s->slope || !s->change || !s->model || !s->w || !s->hessian)
        return cn_fail(err, CN_ENOMEM, "out of memory for a probe");
    return CN_OK;
}

/* ---- leaps ---- */

/* Where classes share units and few pictures, passes creep: each undoes a part of what the others did. From the last LEAP + 1 points x_0 ... x_LEAP,
 * sum c_i x_i with the c (of sum 1) that make |sum c_i (x_i - x_i-1)| least is tried (Anderson; for coordinate descent Bertrand and Massias 2021),
 * and kept where F is less there. The working set does not change in between. */
typedef struct leaps {
    double *x; /* (LEAP + 1, size) */
    int64_t size;
    int n;     /* points in x */
} leaps;

static void copy_out(const multinomial *m, double *x)
{
    for (int64_t k = 0; k < m->d.classes; k++) {
        for (int64_t j = 0; j < m->set[k].n; j++)
            *x++ = m->set[k].w[j];
        *x++ = m->b[k];
    }
}

static void copy_in(multinomial *m, const double *x)
{
    for (int64_t k = 0; k < m->d.classes; k++) {
        for (int64_t j = 0; j < m->set[k].n; j++)
            m->set[k].w[j] = *x++;
        m->b[k] = *x++;
    }
}

/* F, with z and the sums brought up to date. */
static double value(multinomial *m, double strength)
{
    double f = refresh(m);
    for (int64_t k = 0; k < m->d.classes; k++)
        for (int64_t j = 0; j < m->set[k].n; j++)
            f += penalty(m, strength, m->set[k].w[j]);
    return f;
}

/* Solves a (LEAP x LEAP, symmetric, made singular by nothing but rounding) c = 1 by Gauss's elimination; false where it cannot. */
static bool solve_ones(double a[LEAP][LEAP], double c[LEAP])
{
    double trace = 0;
    for (int i = 0; i < LEAP; i++)
        trace += a[i][i];
    for (int i = 0; i < LEAP; i++) {
        a[i][i] += 1e-12 * trace;
        c[i] = 1;
    }
    for (int i = 0; i < LEAP; i++) {
        if (!(a[i][i] > 0))
            return false;
        for (int r = i + 1; r < LEAP; r++) {
            const double f = a[r][i] / a[i][i];
            for (int j = i; j < LEAP; j++)
                a[r][j] -= f * a[i][j];
            c[r] -= f * c[i];
        }
    }
    double sum = 0;
    for (int i = LEAP - 1; i >= 0; i--) {
        for (int j = i + 1; j < LEAP; j++)
            c[i] -= a[i][j] * c[j];
        c[i] /= a[i][i];
        sum += c[i];
    }
    for (int i = 0; i < LEAP; i++)
        c[i] /= sum;
    return isfinite(sum) && sum != 0;
}

/* Notes the present point, and leaps when there are enough of them. Whether it did. */
static bool leap(multinomial *m, double strength, leaps *l)
{
    double a[LEAP][LEAP], c[LEAP];
    copy_out(m, l->x + l->n++ * l->size);
    if (l->n <= LEAP)
        return false;
    const double *last = l->x + LEAP * l->size;
    for (int i = 0; i < LEAP; i++)
        for (int j = 0; j <= i; j++) {
            const double *p = l->x + i * l->size, *q = l->x + j * l->size;
            double sum = 0;
            for (int64_t k = 0; k < l->size; k++)
                sum += (p[l->size + k] - p[k]) * (q[l->size + k] - q[k]);
            a[i][j] = a[j][i] = sum;
        }
    bool better = false;
    if (solve_ones(a, c)) {
        const double before = value(m, strength);
        double *to = l->x; /* the first point is not in the sum */
        for (int64_t k = 0; k < l->size; k++) {
            double sum = 0;
            for (int i = 0; i < LEAP; i++)
                sum += c[i] * l->x[(i + 1) * l->size + k];
            to[k] = sum;
        }
        copy_in(m, to);
        better = value(m, strength) < before;
        if (!better) {
            copy_in(m, last);
            refresh(m);
        }
    }
    if (!better)
        memmove(l->x, last, (size_t)l->size * sizeof *l->x);
    l->n = 1;
    return better;
}

/* Passes over the classes until the working set is in balance. Most passes look at non-zero weights alone, and at classes that were not
 * in balance the last time; one that looks at everything decides. */
static cn_status solve(multinomial *m, double strength, double tolerance, int most_passes, const scratch *s, multinomial_go_on *go_on,
                       void *user, multinomial_fit_result *r, cn_error *err)
{
    cn_status st = CN_OK;
    bool all = true;
    leaps l = {.size = m->d.classes};
    for (int64_t k = 0; k < m->d.classes; k++)
        l.size += m->set[k].n;
    l.x = cn_calloc((size_t)l.size, (LEAP + 1) * sizeof *l.x);
    CN_CHECK(l.x, CN_ENOMEM, "out of memory for a probe's weights");
    r->converged = false;
    for (; r->passes < most_passes && !r->converged; r->passes++) {
        double worst = 0;
        CN_CHECK(!go_on || go_on(user), CN_ECANCELED, "the probe was cancelled");
        if (all || r->passes % 4 == 0)
            refresh(m);
        for (int64_t k = 0; k < m->d.classes; k++) {
            if (!all && m->violation[k] <= tolerance / 4)
                continue;
            m->violation[k] = visit_class(m, strength, k, all, tolerance / 4, s);
            worst = fmax(worst, m->violation[k]);
        }
        r->violation = worst;
        r->converged = all && worst <= tolerance;
        all = worst <= tolerance;
        if (!r->converged && leap(m, strength, &l)) /* everybody has moved */
            for (int64_t k = 0; k < m->d.classes; k++)
                m->violation[k] = INFINITY;
    }
done:
    cn_free(l.x);
    return st;
}

/* Whether a weight outside of the working set belongs in. */
static double outside(const multinomial *m, double strength)
{
    double worst = 0;
    for (int64_t k = 0; k < m->d.classes; k++) {
        const float *slope = m->slopes + k * m->d.features;
        for (int64_t f = 0, at = 0; f < m->d.features; f++) {
            if (at < m->set[k].n && m->set[k].feature[at] == f)
                at++;
            else
                worst = fmax(worst, fabs((double)slope[f]) / (double)m->d.n - strength * m->mix);
        }
    }
    return worst / (strength * m->mix);
}

cn_status multinomial_fit(multinomial *m, double strength, double tolerance, int most_passes, multinomial_go_on *go_on, void *user,
                          multinomial_fit_result *r, cn_error *err)
{
    cn_status st = CN_OK;
    scratch s = {0};
    int64_t added;
    memset(r, 0, sizeof *r);
    CN_TRY(scratch_make(&s, m, err));
    CN_TRY(widen(m, m->mix * fmax(2 * strength - m->strength, 0.1 * strength), true, &added, err));
    for (; r->rounds < ROUNDS; r->rounds++) {
        CN_TRY(solve(m, strength, tolerance, most_passes, &s, go_on, user, r, err));
        slopes(m);
        const double left = outside(m, strength);
        r->violation = fmax(r->violation, left);
        if (left <= tolerance)
            break;
        CN_TRY(widen(m, m->mix * strength, false, &added, err));
        r->missed += added;
        r->converged = false;
        if (r->passes >= most_passes || !added)
            break;
    }
    r->rounds++;
    m->strength = strength;
    r->loss = refresh(m);
    r->objective = r->loss;
    for (int64_t k = 0; k < m->d.classes; k++)
        for (int64_t j = 0; j < m->set[k].n; j++) {
            r->working++;
            r->weights += m->set[k].w[j] != 0;
            r->objective += penalty(m, strength, m->set[k].w[j]);
        }
done:
    scratch_free(&s);
    return st;
}

int64_t multinomial_weights(const multinomial *m, int64_t k, int64_t most, int32_t *feature, double *weight)
{
    int64_t n = 0;
    for (int64_t j = 0; j < m->set[k].n; j++)
        if (m->set[k].w[j] != 0) {
            if (n < most) {
                feature[n] = m->set[k].feature[j];
                weight[n] = m->set[k].w[j];
            }
            n++;
        }
    return n;
}

double multinomial_intercept(const multinomial *m, int64_t k)
{
    return m->b[k];
}
