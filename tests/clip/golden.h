/* tests/clip/golden.h -- golden tensors and the two ways to compare with them. After cmocka.h and the public headers. */
#ifndef TESTS_CLIP_GOLDEN_H
#define TESTS_CLIP_GOLDEN_H

static inline float *read_tensor(const cn_weights *w, const char *name)
{
    const cn_tensor *t = cn_weights_find(w, name);
    assert_non_null(t);
    float *v = malloc((size_t)t->count * sizeof *v);
    assert_non_null(v);
    cn_tensor_read_f32(t, v);
    return v;
}

/* The same, which must have so many values. */
static inline float *read_counted(const cn_weights *w, const char *name, int64_t count)
{
    const cn_tensor *t = cn_weights_find(w, name);
    assert_non_null(t);
    assert_int_equal(t->count, count);
    return read_tensor(w, name);
}

/* The largest difference as a share of the largest reference magnitude. */
static inline double worst(const float *x, const float *reference, int64_t n)
{
    double difference = 0, magnitude = 0;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)x[i] - (double)reference[i]);
        difference = d <= difference ? difference : d; /* NaN stays */
        magnitude = fmax(magnitude, fabs((double)reference[i]));
    }
    return difference / magnitude;
}

static inline double cosine(const float *x, const float *y, int64_t n)
{
    double xy = 0, xx = 0, yy = 0;
    for (int64_t i = 0; i < n; i++) {
        xy += (double)x[i] * (double)y[i];
        xx += (double)x[i] * (double)x[i];
        yy += (double)y[i] * (double)y[i];
    }
    return xy / sqrt(xx * yy);
}

#endif
