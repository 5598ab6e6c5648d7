/* compose/lasso.h -- sparse codes: minimise 1/2 |y - X c|^2 + lambda |c|_1 by coordinate descent (Friedman, Hastie and Tibshirani 2010),
 * down a path of lambdas. It works on the products of columns, so that many targets share them. Pure arithmetic. */
#ifndef COMPOSE_LASSO_H
#define COMPOSE_LASSO_H

#include "base/check.h"

#include <stdint.h>

typedef struct lasso_problem {
    const float *gram; /* (columns, columns): x_i . x_j; a column of zeros is never used */
    const double *xy;  /* (columns): x_j . y */
    double yy;         /* |y|^2 */
    int64_t columns;
} lasso_problem;

/* xy and yy of a target (rows), for x (columns, rows): a column of X in a row. Returns yy. */
double lasso_target(const float *x, int64_t columns, int64_t rows, const float *y, double *xy);

/* One lambda. c (columns) is where to begin, and the solution: no coordinate's gradient misses its condition by more than
 * tolerance times the largest correlation of y with a column. */
cn_status lasso_solve(const lasso_problem *p, double lambda, double tolerance, double *c, cn_error *err);

/* Down from the smallest lambda whose solution is 0 in steps of 3%: for each level the last solution with at most that many non-zeros.
 * c: (levels, columns); lambda: (levels), NaN for a solution that is all 0. levels rising. */
cn_status lasso_path(const lasso_problem *p, const int *levels, int n_levels, double *c, double *lambda, cn_error *err);

/* 1 - |y - X c|^2 / |y|^2; 0 for y = 0. */
double lasso_explained(const lasso_problem *p, const double *c);

#endif
