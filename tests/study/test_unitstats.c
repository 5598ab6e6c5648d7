/* Statistics of units against brute force over the stored values. */
#include "study/unitfile.h"
#include "study/unitstats.h"

#include "base/memory.h"
#include "study/finebins.h"
#include "study/float16.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { IMAGES = 157, UNITS = 7, MAP = 6, TOP = 9, BOTTOM = 4, LABELS = 5, MEDIA = 3 };

static const int64_t groups[UNIT_PARTITIONS] = {LABELS, MEDIA, LABELS *MEDIA};
static const unit_shape shape = {UNITS, MAP, TOP, BOTTOM, 5, 3, {LABELS, MEDIA, LABELS *MEDIA}};

typedef struct fixture {
    unitstats stats;
    float value[IMAGES][UNITS], peak[IMAGES][UNITS], map[IMAGES][UNITS][MAP];
    int32_t position[IMAGES][UNITS];
    int64_t label[IMAGES], medium[IMAGES];
} fixture;

static uint32_t random_bits(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* One of the fixture's images, under a number. */
static void add_image(unitstats *s, fixture *f, int i, int32_t number)
{
    const unit_values v = {
        .image = number,
        .key = (uint64_t)i * UINT64_C(0x9e3779b97f4a7c15),
        .value = f->value[i],
        .peak = f->peak[i],
        .position = f->position[i],
        .map = &f->map[i][0][0],
        .unit_stride = MAP,
        .position_stride = 1,
        .group = {f->label[i], f->medium[i], f->label[i] < 0 ? -1 : f->label[i] * MEDIA + f->medium[i]}};
    assert_int_equal(unitstats_add(s, &v, NULL), CN_OK);
}

static int setup(void **state)
{
    uint32_t seed = 7;
    fixture *f = calloc(1, sizeof *f);
    assert_int_equal(unitstats_init(&f->stats, &shape, NULL), CN_OK);
    for (int i = 0; i < IMAGES; i++) {
        f->label[i] = (int64_t)(random_bits(&seed) % (LABELS + 1)) - 1;
        f->medium[i] = (int64_t)(random_bits(&seed) % MEDIA);
        for (int u = 0; u < UNITS; u++) {
            float sum = 0;
            f->peak[i][u] = -INFINITY;
            for (int p = 0; p < MAP; p++) {
                float v = (float)(random_bits(&seed) % 16) - 7; /* few values: many ties */
                if (u == 3)
                    v = 2.5f; /* constant */
                if (u == 4)
                    v = 1000 + v / 64; /* mean far above the deviation */
                if (u == 5)
                    v = -fabsf(v) - 1; /* never positive */
                f->map[i][u][p] = v;
                sum += v;
                if (v > f->peak[i][u])
                    f->peak[i][u] = v, f->position[i][u] = p;
            }
            f->value[i][u] = sum / MAP;
        }
        add_image(&f->stats, f, i, i);
    }
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    unitstats_free(&f->stats);
    free(f);
    return 0;
}

static void near(double a, double b, double tolerance)
{
    if (fabs(a - b) > tolerance * fmax(1, fabs(b)))
        fail_msg("%.17g is not %.17g", a, b);
}

static void moments_equal_two_passes_over_the_values(void **state)
{
    const fixture *f = *state;
    for (int u = 0; u < UNITS; u++) {
        double mean = 0, m2 = 0, m4 = 0, square = 0, min = INFINITY, max = -INFINITY;
        int64_t positive = 0;
        for (int i = 0; i < IMAGES; i++) {
            mean += (double)f->value[i][u] / IMAGES;
            square += (double)f->value[i][u] * f->value[i][u] / IMAGES;
            min = fmin(min, f->value[i][u]);
            max = fmax(max, f->value[i][u]);
            positive += f->value[i][u] > 0;
        }
        for (int i = 0; i < IMAGES; i++) {
            double d = f->value[i][u] - mean;
            m2 += d * d / IMAGES;
            m4 += d * d * d * d / IMAGES;
        }
        unit_summary s = unitstats_summary(&f->stats, u);
        assert_int_equal(s.count, IMAGES);
        assert_int_equal(s.positive, positive);
        near(s.mean, mean, 1e-12);
        near(s.sd, sqrt(m2), 1e-9);
        near(s.rms, sqrt(square), 1e-12);
        near(s.min, min, 0);
        near(s.max, max, 0);
        assert_int_equal(s.dead, u == 3);
        if (u != 3)
            near(s.kurtosis, m4 / (m2 * m2), 1e-7);
    }
}

static void a_constant_unit_is_dead_and_has_no_kurtosis(void **state)
{
    const fixture *f = *state;
    unit_summary s = unitstats_summary(&f->stats, 3);
    assert_true(s.dead);
    assert_true(s.kurtosis == 0);
    near(s.rms, 2.5, 1e-12);
}

static void statistics_of_nothing_are_dead_and_finite(void **state)
{
    (void)state;
    unitstats s;
    assert_int_equal(unitstats_init(&s, &(unit_shape){2, 0, 3, 3, 5, 3, {0}}, NULL), CN_OK);
    unit_summary r = unitstats_summary(&s, 1);
    assert_true(r.dead && r.count == 0 && r.mean == 0 && r.rms == 0);
    unitstats_free(&s);
}

static int order(const fixture *f, int u, int a, int b, int sign) /* does a rank before b? */
{
    float x = (float)sign * f->value[a][u], y = (float)sign * f->value[b][u];
    return x > y || (x == y && a < b);
}

static void check_extremes(const fixture *f, int u, int sign, int k, const unit_example *e, int n)
{
    assert_int_equal(n, k);
    for (int r = 0; r < n; r++) {
        int image = (int)e[r].image, before = 0;
        for (int i = 0; i < IMAGES; i++)
            before += order(f, u, i, image, sign);
        assert_int_equal(before, r); /* exactly r images rank before the r-th */
        assert_true(e[r].value == f->value[image][u]);
        assert_true(e[r].peak == f->peak[image][u]);
        assert_int_equal(e[r].position, f->position[image][u]);
    }
}

static void extremes_are_the_sorted_ends_with_ties_by_image(void **state)
{
    const fixture *f = *state;
    for (int u = 0; u < UNITS; u++) {
        int n;
        const unit_example *e = unitstats_top(&f->stats, u, &n);
        check_extremes(f, u, 1, TOP, e, n);
        e = unitstats_bottom(&f->stats, u, &n);
        check_extremes(f, u, -1, BOTTOM, e, n);
    }
}

static void every_example_keeps_the_map_of_its_own_image(void **state)
{
    const fixture *f = *state;
    for (int u = 0; u < UNITS; u++)
        for (int side = 0; side < 2; side++) {
            int n;
            const unit_example *e =
                side ? unitstats_bottom(&f->stats, u, &n) : unitstats_top(&f->stats, u, &n);
            for (int r = 0; r < n; r++) {
                const uint16_t *map =
                    side ? unitstats_bottom_map(&f->stats, u, &e[r]) : unitstats_top_map(&f->stats, u, &e[r]);
                for (int p = 0; p < MAP; p++)
                    assert_int_equal(map[p], float16_from(f->map[e[r].image][u][p]));
            }
        }
}

static void group_sums_equal_sums_over_members(void **state)
{
    const fixture *f = *state;
    for (int p = 0; p < UNIT_PARTITIONS; p++)
        for (int64_t g = 0; g < groups[p]; g++)
            for (int u = 0; u < UNITS; u++) {
                double sum = 0;
                int64_t n = 0, positive = 0;
                for (int i = 0; i < IMAGES; i++) {
                    int64_t of = p == UNIT_LABELS  ? f->label[i]
                                 : p == UNIT_MEDIA ? f->medium[i]
                                 : f->label[i] < 0 ? -1
                                                   : f->label[i] * MEDIA + f->medium[i];
                    if (of != g)
                        continue;
                    n++;
                    sum += f->value[i][u];
                    positive += f->value[i][u] > 0;
                }
                const unit_groups *held = &f->stats.partition[p];
                assert_int_equal(held->images[g], n);
                near(held->sums[g * UNITS + u], sum, 1e-12);
                if (held->positive)
                    assert_int_equal(held->positive[g * UNITS + u], positive);
            }
}

static void histogram_counts_every_value_in_its_bin(void **state)
{
    const fixture *f = *state;
    for (int u = 0; u < UNITS; u++) {
        int64_t total = 0;
        for (size_t b = 0; b < FINEBINS; b++) {
            double low, high;
            int64_t expected = 0, held = f->stats.bins[(size_t)u * FINEBINS + b];
            finebins_edges(b, &low, &high);
            for (int i = 0; held && i < IMAGES; i++) {
                double v = f->value[i][u];
                expected += b == FINEBINS_ZERO ? fabs(v) < high
                            : v > 0            ? v >= low && v < high
                                               : v > low && v <= high;
            }
            assert_int_equal(held, expected);
            total += held;
        }
        assert_int_equal(total, IMAGES);
    }
}

/* ---- parts ---- */

static void same_examples(const unitstats *a, const unitstats *b, int u)
{
    const level_picture *x[15], *y[15];
    for (int side = 0; side < 2; side++) {
        int n, m;
        const unit_example *e = side ? unitstats_bottom(a, u, &n) : unitstats_top(a, u, &n);
        const unit_example *o = side ? unitstats_bottom(b, u, &m) : unitstats_top(b, u, &m);
        assert_int_equal(n, m);
        for (int r = 0; r < n; r++) {
            assert_int_equal(e[r].image, o[r].image);
            assert_true(e[r].value == o[r].value && e[r].peak == o[r].peak && e[r].position == o[r].position);
            assert_memory_equal(side ? unitstats_bottom_map(a, u, &e[r]) : unitstats_top_map(a, u, &e[r]),
                                side ? unitstats_bottom_map(b, u, &o[r]) : unitstats_top_map(b, u, &o[r]), MAP * sizeof(uint16_t));
        }
    }
    levels_choose(&a->levels, u, x);
    levels_choose(&b->levels, u, y);
    for (int i = 0; i < 15; i++) {
        assert_int_equal(x[i] == NULL, y[i] == NULL);
        if (x[i])
            assert_memory_equal(x[i], y[i], sizeof *x[i]);
    }
}

static void same_statistics(const unitstats *a, const unitstats *b, double tolerance)
{
    assert_int_equal(a->count, b->count);
    assert_memory_equal(a->min, b->min, UNITS * sizeof *a->min);
    assert_memory_equal(a->max, b->max, UNITS * sizeof *a->max);
    assert_memory_equal(a->positive, b->positive, UNITS * sizeof *a->positive);
    assert_memory_equal(a->bins, b->bins, (size_t)UNITS * FINEBINS * sizeof *a->bins);
    for (int u = 0; u < UNITS; u++) {
        const unit_summary x = unitstats_summary(a, u), y = unitstats_summary(b, u);
        near(x.mean, y.mean, tolerance);
        near(x.sd, y.sd, tolerance);
        near(x.rms, y.rms, tolerance);
        near(x.kurtosis, y.kurtosis, 1e3 * tolerance); /* of units far from zero a difference of large numbers */
        near(a->m3[u], b->m3[u], 1e3 * tolerance);
        assert_int_equal(x.dead, y.dead);
        same_examples(a, b, u);
    }
    for (int p = 0; p < UNIT_PARTITIONS; p++) {
        const unit_groups *x = &a->partition[p], *y = &b->partition[p];
        assert_int_equal(x->groups, y->groups);
        assert_memory_equal(x->images, y->images, (size_t)x->groups * sizeof *x->images);
        for (int64_t i = 0; i < x->groups * UNITS; i++)
            near(x->sums[i], y->sums[i], tolerance);
        if (x->positive)
            assert_memory_equal(x->positive, y->positive, (size_t)(x->groups * UNITS) * sizeof *x->positive);
    }
}

/* Saves, forgets and loads. */
static void through_a_file(unitstats *s, int64_t images)
{
    char path[] = "/tmp/unitstats-XXXXXX";
    cn_npz_writer *out;
    cn_arrays *in;
    cn_error err = {0};
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(cn_npz_writer_open(&out, path, &err), CN_OK);
    assert_int_equal(unitfile_save(s, 3, out, &err), CN_OK);
    assert_int_equal(cn_npz_writer_finish(out, &err), CN_OK);
    unitstats_free(s);
    assert_int_equal(cn_arrays_open(&in, path, &err), CN_OK);
    if (unitfile_load(s, 3, &shape, images, in, path, &err) != CN_OK)
        fail_msg("%s", err.text);
    cn_arrays_close(in);
    unlink(path);
}

static void any_division_gives_the_same_statistics(void **state)
{
    fixture *f = *state;
    enum { MOST = 64 };
    static const int parts[] = {1, 2, 3, 17, MOST};
    static int32_t numbers[MOST][IMAGES];
    static const int64_t label[LABELS] = {0, 1, 2, 3, 4}, medium[MEDIA] = {0, 1, 2}, pair[LABELS * MEDIA] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
    uint32_t seed = 1;
    for (size_t round = 0; round < sizeof parts / sizeof *parts; round++) {
        unitstats part[MOST], whole;
        int32_t count[MOST] = {0};
        for (int p = 0; p < parts[round]; p++)
            assert_int_equal(unitstats_init(&part[p], &shape, NULL), CN_OK);
        for (int i = 0; i < IMAGES; i++) { /* the first parts get most, the last ones next to nothing */
            const uint32_t a = random_bits(&seed) % (uint32_t)parts[round], b = random_bits(&seed) % (uint32_t)parts[round];
            const uint32_t p = a * b / (uint32_t)parts[round];
            numbers[p][count[p]] = i;
            add_image(&part[p], f, i, count[p]++);
        }
        assert_int_equal(unitstats_init(&whole, &shape, NULL), CN_OK);
        for (int p = 0; p < parts[round]; p++) {
            const int which = (p * 5 + 3) % parts[round]; /* in some order: 5 divides none of the numbers */
            through_a_file(&part[which], count[which]);
            const unit_numbers map = {numbers[which], {label, medium, pair}};
            assert_int_equal(unitstats_merge(&whole, &part[which], &map, NULL), CN_OK);
            unitstats_free(&part[which]);
        }
        same_statistics(&whole, &f->stats, 1e-9);
        unitstats_free(&whole);
    }
}

static void a_scan_goes_on_from_a_file(void **state)
{
    fixture *f = *state;
    for (int at = 0; at <= IMAGES; at += 31) {
        unitstats s;
        assert_int_equal(unitstats_init(&s, &shape, NULL), CN_OK);
        for (int i = 0; i < IMAGES; i++) {
            if (i == at)
                through_a_file(&s, i);
            add_image(&s, f, i, i);
        }
        same_statistics(&s, &f->stats, 0);
        unitstats_free(&s);
    }
}

static void a_file_of_another_shape_is_refused(void **state)
{
    fixture *f = *state;
    char path[] = "/tmp/unitstats-XXXXXX";
    cn_npz_writer *out;
    cn_arrays *in;
    cn_error err = {0};
    const int fd = mkstemp(path);
    close(fd);
    assert_int_equal(cn_npz_writer_open(&out, path, &err), CN_OK);
    assert_int_equal(unitfile_save(&f->stats, 0, out, &err), CN_OK);
    assert_int_equal(cn_npz_writer_finish(out, &err), CN_OK);
    assert_int_equal(cn_arrays_open(&in, path, &err), CN_OK);
    for (int change = 0; change < 6; change++) {
        unit_shape other = shape;
        int64_t images = IMAGES;
        switch (change) {
        case 0: other.units--; break;
        case 1: other.map++; break;
        case 2: other.top--; break;
        case 3: other.bottom++; break;
        case 4: other.groups[UNIT_LABELS]--; break;
        default: images = IMAGES - 1; /* an example is a picture that is not there */
        }
        unitstats s;
        err = (cn_error){0};
        assert_int_equal(unitfile_load(&s, 0, &other, images, in, path, &err), CN_EFORMAT);
        assert_non_null(strstr(err.text, path));
        unitstats_free(&s);
    }
    cn_arrays_close(in);
    unlink(path);
}

static void z_of_a_group_follows_the_formula_for_draws_without_replacement(void **state)
{
    (void)state;
    /* 4 of 10 images: variance of the mean is sd^2/4 * 6/9. */
    near(group_z(3, 4, 1, 2, 10), (3 - 1) / (2 * sqrt(6.0 / 9 / 4)), 1e-14);
    assert_true(group_z(3, 10, 1, 2, 10) == 0); /* all images are no group */
    assert_true(group_z(3, 0, 1, 2, 10) == 0);
    assert_true(group_z(3, 4, 1, 0, 10) == 0);
}

static void each_failing_allocation_is_reported_and_freed(void **state)
{
    (void)state;
    for (size_t n = 1;; n++) {
        unitstats s;
        cn_error err = {0};
        cn_memory_fail_at(n, false);
        cn_status st = unitstats_init(&s, &shape, &err);
        cn_memory_fail_at(0, false);
        unitstats_free(&s);
        if (st == CN_OK)
            break;
        assert_int_equal(st, CN_ENOMEM);
        assert_true(err.text[0]);
        assert_true(n < 100);
    }
}

/* ---- numbers ---- */

static void fine_bins_cover_the_line_without_gaps(void **state)
{
    (void)state;
    double low, high, before = 0;
    for (size_t b = 0; b < FINEBINS; b++) {
        finebins_edges(b, &low, &high);
        assert_true(low < high);
        if (b)
            assert_true(low == before);
        if (b != FINEBINS_ZERO)
            assert_true((high - low) / fmax(fabs(low), fabs(high)) <= 0.0079);
        before = high;
        assert_int_equal(finebins_index((float)(0.5 * (low + high))), b);
    }
    assert_int_equal(finebins_index(1e30f), FINEBINS - 1);
    assert_int_equal(finebins_index(-1e30f), 0);
    assert_int_equal(finebins_index(0), FINEBINS_ZERO);
    assert_int_equal(finebins_index(-0.0f), FINEBINS_ZERO);
    assert_int_equal(finebins_index(1e-30f), FINEBINS_ZERO);
}

static void fine_bins_spread_into_equal_ones(void **state)
{
    (void)state;
    int64_t counts[4] = {0};
    finebins_spread(finebins_index(0.1f), 3, 0, 1, 4, counts);
    finebins_spread(finebins_index(0.6f), 5, 0, 1, 4, counts);
    finebins_spread(finebins_index(-7), 1, 0, 1, 4, counts); /* below: the first */
    finebins_spread(finebins_index(7), 2, 0, 1, 4, counts);  /* above: the last */
    assert_int_equal(counts[0], 4);
    assert_int_equal(counts[1], 0);
    assert_int_equal(counts[2], 5);
    assert_int_equal(counts[3], 2);
}

static void every_half_survives_the_way_to_float_and_back(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        float value = float16_to((uint16_t)h);
        if (isnan(value))
            assert_true((h & 0x7c00) == 0x7c00 && (h & 0x3ff));
        else
            assert_int_equal(float16_from(value), h);
    }
}

static void halves_round_to_nearest_even(void **state)
{
    (void)state;
    assert_int_equal(float16_from(1.0f), 0x3c00);
    assert_int_equal(float16_from(1.0f + 1 / 2048.0f), 0x3c00); /* a tie goes to even */
    assert_int_equal(float16_from(1.0f + 3 / 2048.0f), 0x3c02);
    assert_int_equal(float16_from(1.0f + 1.01f / 2048.0f), 0x3c01);
    assert_int_equal(float16_from(65519.0f), 0x7bff);
    assert_int_equal(float16_from(65520.0f), 0x7c00);
    assert_int_equal(float16_from(1e30f), 0x7c00);
    assert_int_equal(float16_from(-1e30f), 0xfc00);
    assert_int_equal(float16_from(0x1p-25f), 0); /* half of the smallest: to even */
    assert_int_equal(float16_from(0x1.8p-25f), 1);
    assert_int_equal(float16_from(0x1.ffcp-15f), 0x0400); /* a subnormal rounds up to a normal */
    assert_int_equal(float16_from(-0.0f), 0x8000);
    assert_true(isnan(float16_to(float16_from(NAN))));
}

static void rows_of_halves_equal_single_ones(void **state)
{
    enum { N = 4096 };
    static float values[N];
    static uint16_t row[N];
    (void)state;
    for (uint32_t high = 0; high < 65536; high += 64) { /* all signs and exponents, and what lies beside ties */
        size_t n = 0;
        for (uint32_t h = high; h < high + 64; h++)
            for (uint32_t k = 0; k < 64; k++) {
                const uint32_t bits = h << 16 | (k >> 2) << 12 | (k & 1) << 11 | ((k & 2) ? 0x7ff : 0);
                memcpy(&values[n++], &bits, 4);
            }
        float16_row(row, values, n - 3); /* no multiple of the vector's length */
        float16_row(row + n - 3, values + n - 3, 3);
        for (size_t i = 0; i < n; i++)
            if (isnan(values[i]))
                assert_true(isnan(float16_to(row[i])));
            else
                assert_int_equal(row[i], float16_from(values[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(moments_equal_two_passes_over_the_values, setup, teardown),
        cmocka_unit_test_setup_teardown(a_constant_unit_is_dead_and_has_no_kurtosis, setup, teardown),
        cmocka_unit_test(statistics_of_nothing_are_dead_and_finite),
        cmocka_unit_test_setup_teardown(extremes_are_the_sorted_ends_with_ties_by_image, setup, teardown),
        cmocka_unit_test_setup_teardown(every_example_keeps_the_map_of_its_own_image, setup, teardown),
        cmocka_unit_test_setup_teardown(group_sums_equal_sums_over_members, setup, teardown),
        cmocka_unit_test_setup_teardown(histogram_counts_every_value_in_its_bin, setup, teardown),
        cmocka_unit_test_setup_teardown(any_division_gives_the_same_statistics, setup, teardown),
        cmocka_unit_test_setup_teardown(a_scan_goes_on_from_a_file, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_of_another_shape_is_refused, setup, teardown),
        cmocka_unit_test(z_of_a_group_follows_the_formula_for_draws_without_replacement),
        cmocka_unit_test(each_failing_allocation_is_reported_and_freed),
        cmocka_unit_test(fine_bins_cover_the_line_without_gaps),
        cmocka_unit_test(fine_bins_spread_into_equal_ones),
        cmocka_unit_test(every_half_survives_the_way_to_float_and_back),
        cmocka_unit_test(halves_round_to_nearest_even),
        cmocka_unit_test(rows_of_halves_equal_single_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
