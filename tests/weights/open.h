/* tests/weights/open.h -- what the tests of this room share: opening fixtures and comparing tensors. */
#ifndef TESTS_WEIGHTS_OPEN_H
#define TESTS_WEIGHTS_OPEN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "clipneuron/weights.h"

#define FIXTURE(name) CN_TEST_DATA "/weights/" name
#define GOLDEN(name) CN_TEST_DATA "/golden/" name

static inline cn_weights *open_weights(const char *path)
{
    cn_error err = {0};
    cn_weights *w = NULL;
    cn_status st = cn_weights_open(&w, path, &err);
    if (st != CN_OK)
        fail_msg("%s", err.text);
    assert_non_null(w);
    return w;
}

static inline const cn_tensor *need(const cn_weights *w, const char *name)
{
    const cn_tensor *t = cn_weights_find(w, name);
    if (!t)
        fail_msg("no tensor %s", name);
    assert_string_equal(t->name, name);
    return t;
}

/* The tensor's numbers; free() them. */
static inline float *read_numbers(const cn_tensor *t)
{
    float *numbers = malloc((size_t)t->count * sizeof *numbers + 1);
    assert_non_null(numbers);
    cn_tensor_read_f32(t, numbers);
    return numbers;
}

static inline void check_shape(const cn_tensor *t, cn_dtype dtype, int ndim, int64_t a, int64_t b, int64_t c)
{
    int64_t wanted[3] = {a, b, c}, count = 1;
    assert_int_equal(t->dtype, dtype);
    assert_int_equal(t->ndim, ndim);
    for (int i = 0; i < ndim; i++) {
        if (i < 3)
            assert_int_equal(t->shape[i], wanted[i]);
        count *= t->shape[i];
    }
    assert_int_equal(t->count, count);
}

/* Number i of a fixture's base tensor; see tools/make_weight_fixtures.py. */
static inline float fixture(int64_t i)
{
    return (float)(i - 8) / 4;
}

#endif
