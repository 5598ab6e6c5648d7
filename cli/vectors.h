/* cli/vectors.h -- the little arithmetic that commands do on embeddings. */
#ifndef CLI_VECTORS_H
#define CLI_VECTORS_H

#include <stddef.h>

/* Scales each of n rows to length 1, in double; a zero row stays. */
void rows_normalise(float *rows, size_t n, size_t width);
double dot(const float *a, const float *b, size_t width);
/* probabilities = softmax(logits), in double. */
void softmax(const double *logits, size_t n, double *probabilities);

#endif
