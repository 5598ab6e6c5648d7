/* cli/vectors.c -- sums in double, so that results do not depend on their order. */
#include "vectors.h"

#include <math.h>

double dot(const float *a, const float *b, size_t width)
{
    double sum = 0;
    for (size_t i = 0; i < width; i++)
        sum += (double)a[i] * (double)b[i];
    return sum;
}

void rows_normalise(float *rows, size_t n, size_t width)
{
    for (size_t r = 0; r < n; r++) {
        float *row = rows + r * width;
        double length = sqrt(dot(row, row, width));
        for (size_t i = 0; i < width && length > 0; i++)
            row[i] = (float)((double)row[i] / length);
    }
}

void softmax(const double *logits, size_t n, double *probabilities)
{
    double largest = n ? logits[0] : 0, sum = 0;
    for (size_t i = 1; i < n; i++)
        largest = logits[i] > largest ? logits[i] : largest;
    for (size_t i = 0; i < n; i++)
        sum += probabilities[i] = exp(logits[i] - largest);
    for (size_t i = 0; i < n; i++)
        probabilities[i] /= sum;
}
