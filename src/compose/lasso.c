/* compose/lasso.c -- coordinate descent on an active set, with every column's correlation with the residual kept up to date. */
#include "compose/lasso.h"

#include "base/memory.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { SWEEPS = 100000, STEPS = 400 };

typedef struct solver {
    const lasso_problem *p;
    double *slope; /* (columns): x_j . (y - X c) */
    double most;   /* max |x_j . y| */
    int64_t *active, n_active;
    bool *is_active; /* (columns) */
} solver;

double lasso_target(const float *x, int64_t columns, int64_t rows, const float *y, double *xy)
{
    double yy = 0;
    for (int64_t i = 0; i < rows; i++)
        yy += (double)y[i] * (double)y[i];
    for (int64_t j = 0; j < columns; j++) {
        xy[j] = 0;
        for (int64_t i = 0; i < rows; i++)
            xy[j] += (double)x[j * rows + i] * (double)y[i];
    }
    return yy;
}

static double square(const lasso_problem *p, int64_t j)
{
    return (double)p->gram[j * p->columns + j];
}

static void change(solver *s, int64_t j, double by)
{
    const float *row = s->p->gram + j * s->p->columns;
    for (int64_t i = 0; i < s->p->columns; i++)
        s->slope[i] -= by * (double)row[i];
}

static void activate(solver *s, int64_t j)
{
    s->is_active[j] = true;
    s->active[s->n_active++] = j;
}

static void solver_close(solver *s)
{
    cn_free(s->slope);
    cn_free(s->active);
    cn_free(s->is_active);
}

static cn_status solver_open(solver *s, const lasso_problem *p, const double *c, cn_error *err)
{
    *s = (solver){.p = p};
    s->slope = cn_calloc((size_t)p->columns + 1, sizeof *s->slope);
    s->active = cn_calloc((size_t)p->columns + 1, sizeof *s->active);
    s->is_active = cn_calloc((size_t)p->columns + 1, sizeof *s->is_active);
    if (!s->slope || !s->active || !s->is_active)
        return cn_fail(err, CN_ENOMEM, "out of memory for a sparse code");
    memcpy(s->slope, p->xy, (size_t)p->columns * sizeof *s->slope);
    for (int64_t j = 0; j < p->columns; j++)
        s->most = fmax(s->most, fabs(p->xy[j]));
    for (int64_t j = 0; j < p->columns; j++)
        if (c[j] != 0) {
            change(s, j, c[j]);
            activate(s, j);
        }
    return CN_OK;
}

/* A coordinate's best value with all others held. Returns by how much the objective's slope was off. */
static double descend(solver *s, int64_t j, double lambda, double *c)
{
    const double at = square(s->p, j), slope = s->slope[j] + at * c[j];
    const double size = fabs(slope) - lambda, next = size > 0 ? copysign(size, slope) / at : 0, step = next - c[j];
    if (step == 0)
        return 0;
    change(s, j, step);
    c[j] = next;
    return fabs(step) * at;
}

static cn_status solve(solver *s, double lambda, double tolerance, double *c, cn_error *err)
{
    const double near = tolerance * s->most;
    for (int sweep = 0; sweep < SWEEPS;) {
        for (double off = INFINITY; off > near && sweep < SWEEPS; sweep++) {
            off = 0;
            for (int64_t i = 0; i < s->n_active; i++)
                off = fmax(off, descend(s, s->active[i], lambda, c));
        }
        bool more = false; /* all others: do any want in? */
        for (int64_t j = 0; j < s->p->columns; j++)
            if (!s->is_active[j] && square(s->p, j) > 0 && fabs(s->slope[j]) > lambda + near) {
                activate(s, j);
                more = true;
            }
        if (!more)
            return CN_OK;
    }
    return cn_fail(err, CN_EINVAL, "a sparse code does not settle: the directions are nearly the same");
}

cn_status lasso_solve(const lasso_problem *p, double lambda, double tolerance, double *c, cn_error *err)
{
    solver s;
    cn_status st = solver_open(&s, p, c, err);
    if (st == CN_OK)
        st = solve(&s, lambda, tolerance, c, err);
    solver_close(&s);
    return st;
}

cn_status lasso_path(const lasso_problem *p, const int *levels, int n_levels, double *c, double *lambda, cn_error *err)
{
    cn_status st = CN_OK;
    solver s = {0};
    double *now = cn_calloc((size_t)p->columns + 1, sizeof *now);
    CN_CHECK(now, CN_ENOMEM, "out of memory for a sparse code");
    memset(c, 0, (size_t)n_levels * (size_t)p->columns * sizeof *c);
    for (int l = 0; l < n_levels; l++)
        lambda[l] = (double)NAN;
    CN_TRY(solver_open(&s, p, now, err));
    double at = s.most;
    for (int step = 0; step < STEPS && s.most > 0; step++) {
        at *= 0.97;
        CN_TRY(solve(&s, at, 1e-7, now, err));
        int count = 0;
        for (int64_t j = 0; j < p->columns; j++)
            count += now[j] != 0;
        for (int l = 0; l < n_levels; l++)
            if (count <= levels[l]) {
                memcpy(c + (int64_t)l * p->columns, now, (size_t)p->columns * sizeof *now);
                lambda[l] = at;
            }
        if (count > levels[n_levels - 1])
            break;
    }
done:
    solver_close(&s);
    cn_free(now);
    return st;
}

double lasso_explained(const lasso_problem *p, const double *c)
{
    double sum = 0; /* |y|^2 - |y - X c|^2 = 2 c.xy - c G c */
    for (int64_t i = 0; i < p->columns; i++) {
        if (c[i] == 0)
            continue;
        double row = 2 * p->xy[i];
        for (int64_t j = 0; j < p->columns; j++)
            if (c[j] != 0)
                row -= c[j] * (double)p->gram[i * p->columns + j];
        sum += c[i] * row;
    }
    return p->yy > 0 ? sum / p->yy : 0;
}
