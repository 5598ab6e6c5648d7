/* Edits read from texts, what they do to a scan, and effects against a computation of their own. */
#include "clipneuron/array.h"
#include "clipneuron/intervene.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../clip/models.h"

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/cn-intervene-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static cn_edits *parse(const cn_model *m, cn_study *means, const char *const *texts, size_t n)
{
    cn_edits *e = NULL;
    cn_error err = {0};
    if (cn_edits_parse(&e, m, means, texts, n, &err) != CN_OK)
        fail_msg("%s", err.text);
    return e;
}

/* What an edit makes of 10 at a unit. */
static double at(const cn_site_edit *e, int64_t u)
{
    const double y = e->scale[u] * 10 + e->shift[u];
    return y < e->low[u] ? e->low[u] : y > e->high[u] ? e->high[u] : y;
}

static void texts_become_edits(void **state)
{
    (void)state;
    char direction[160];
    float vector[512];
    size_t n = 0;
    cn_model *m = open_named("rn-small");
    const int64_t units = site_of(m, "layer4")->units;
    cn_error err = {0};
    assert_int_equal(units, 512);
    for (int i = 0; i < 512; i++)
        vector[i] = (float)i;
    snprintf(direction, sizeof direction, "%s/a-b.npy", folder);
    assert_int_equal(cn_npy_write(direction, CN_DTYPE_F32, 1, &units, vector, &err), CN_OK);
    char plus[200], minus[200];
    snprintf(plus, sizeof plus, "pre:layer4+%s*0.5", direction);
    snprintf(minus, sizeof minus, "layer4-%s", direction);
    const char *const texts[] = {"layer4:5=0", "pre:layer4:3,7-9*2", "layer4:*<=1.5", "layer4:511>=11", plus, minus, "layer4:**2", "layer4:4*-1"};
    cn_edits *e = parse(m, NULL, texts, 8);
    const cn_site_edit *s = cn_edits_sites(e, &n);
    assert_int_equal(n, 8);
    assert_string_equal(s[0].site->name, "visual.layer4");
    assert_string_equal(s[1].site->name, "visual.layer4.1.add");
    assert_float_equal(at(&s[0], 5), 0, 0);
    assert_float_equal(at(&s[0], 6), 10, 0);
    for (int64_t u = 0; u < 12; u++)
        assert_float_equal(at(&s[1], u), u == 3 || (u >= 7 && u <= 9) ? 20 : 10, 0);
    assert_float_equal(at(&s[2], 0), 1.5, 0);
    assert_float_equal(at(&s[3], 511), 11, 0);
    assert_float_equal(at(&s[3], 510), 10, 0);
    assert_float_equal(at(&s[4], 100), 60, 0);
    assert_float_equal(at(&s[5], 100), -90, 0);
    assert_float_equal(at(&s[6], 77), 20, 0);
    assert_float_equal(at(&s[7], 4), -10, 0);
    assert_non_null(strstr(cn_edits_text(e), "visual.layer4:5=0; visual.layer4.1.add:3,7-9*2; "));
    assert_non_null(strstr(cn_edits_text(e), "a-b.npy*0.5 ("));
    assert_non_null(strstr(cn_edits_text(e), "a-b.npy*-1 ("));
    cn_edits_free(e);
    static const struct {
        const char *text;
        cn_status status;
        const char *says;
    } bad[] = {
        {"layer4", CN_EINVAL, "no edit"},          {"layer4:", CN_EINVAL, "a unit is wanted"}, {"layer4:5", CN_EINVAL, "after the units"},
        {"layer4:512=0", CN_EINVAL, "0 to 511"},   {"layer4:9-5=0", CN_EINVAL, "0 to 511"},    {"layer4:5=nan", CN_EINVAL, "no number"},
        {"layer4:5=1e99", CN_EINVAL, "no number"}, {"layer4:5<1", CN_EINVAL, "after the units"}, {"layer4:5=1x", CN_EINVAL, "no number"},
        {"layer4:5~", CN_EINVAL, "study"},         {"layer9:5=0", CN_ENOTFOUND, "layer"},      {"layer4+x.npy", CN_ENOTFOUND, "x.npy"},
        {"layer4+x", CN_EINVAL, ".npy"},           {"layer4+x.npyy", CN_EINVAL, ".npy"},       {"", CN_EINVAL, "no edit"},
        {"layer4:99999999999999999999=0", CN_EINVAL, "0 to 511"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        err = (cn_error){0};
        if (cn_edits_parse(&e, m, NULL, &bad[i].text, 1, &err) != bad[i].status || !strstr(err.text, bad[i].says))
            fail_msg("\"%s\": %s", bad[i].text, err.text);
        assert_null(e);
    }
    snprintf(plus, sizeof plus, "layer3+%s", direction);
    const char *const wrong = plus;
    assert_int_equal(cn_edits_parse(&e, m, NULL, &wrong, 1, &err), CN_EMISMATCH);
    cn_model_close(m);
}

static cn_study *scan(const cn_model *m, const char *name, const cn_edits *edits, cn_reduce reduce)
{
    char path[128];
    cn_error err = {0};
    cn_study *s = NULL;
    const char *const site = "layer4.1.add";
    cn_scan_options o = {.sites = &site, .n_sites = 1, .no_words = true, .threads = 1, .decode_threads = 1, .batch = 4, .reduce = reduce};
    if (edits) {
        o.edits = cn_edits_sites(edits, &o.n_edits);
        o.edit_text = cn_edits_text(edits);
    }
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (cn_study_scan(m, CN_TEST_DATA "/golden", path, &o, NULL, &err) != CN_OK || cn_study_open(&s, path, &err) != CN_OK)
        fail_msg("%s", err.text);
    return s;
}

static double mean_of(cn_study *s, int64_t unit)
{
    cn_unit_row *row = NULL;
    cn_error err = {0};
    if (cn_study_unit(s, (cn_unit_ref){0, unit}, &row, &err) != CN_OK)
        fail_msg("%s", err.text);
    const double mean = row->mean;
    cn_unit_rows_free(row);
    return mean;
}

static void scans_record_their_edits_and_give_means(void **state)
{
    (void)state;
    cn_model *m = open_named("rn-small");
    cn_study *plain = scan(m, "plain", NULL, CN_REDUCE_MEAN);
    assert_string_equal(cn_study_get_info(plain)->edits, "");
    const char *const texts[] = {"layer4.1.add:7~", "layer4.1.add:9=3.5"};
    cn_edits *e = parse(m, plain, texts, 2);
    size_t n;
    assert_true(fabs((double)cn_edits_sites(e, &n)[0].shift[7] - mean_of(plain, 7)) < 1e-6);
    cn_study *edited = scan(m, "edited", e, CN_REDUCE_MEAN);
    assert_string_equal(cn_study_get_info(edited)->edits, cn_edits_text(e));
    assert_true(fabs(mean_of(edited, 7) - mean_of(plain, 7)) < 1e-6);
    assert_true(fabs(mean_of(edited, 9) - 3.5) < 1e-6);
    assert_true(fabs(mean_of(edited, 11) - mean_of(plain, 11)) < 1e-6);
    cn_edits_free(e);
    cn_error err = {0};
    const char *const elsewhere = "layer3:5~";
    assert_int_equal(cn_edits_parse(&e, m, plain, &elsewhere, 1, &err), CN_ENOTFOUND);
    assert_non_null(strstr(err.text, "visual.layer4.1.add"));
    cn_study *most = scan(m, "most", NULL, CN_REDUCE_MAX);
    assert_int_equal(cn_edits_parse(&e, m, most, texts, 1, NULL), CN_EINVAL);
    cn_model *other = open_named("vit-small");
    const char *const vit = "visual.transformer.resblocks.1:3~";
    assert_int_equal(cn_edits_parse(&e, other, plain, &vit, 1, NULL), CN_EMISMATCH);
    cn_study_close(plain), cn_study_close(edited), cn_study_close(most);
    cn_model_close(m), cn_model_close(other);
}

static void effects_are_differences_with_intervals(void **state)
{
    (void)state;
    enum { N = 40, WIDTH = 3, K = 2 };
    const float texts[K * WIDTH] = {1, 0, 0, 0, 0.6f, 0.8f};
    float before[N * WIDTH], after[N * WIDTH];
    double first[N], change = 0, share = 0, second[N];
    for (int i = 0; i < N; i++) {
        const float a[3] = {1 + (float)(i % 5), 1, (float)(i % 3)}, b[3] = {(float)(i % 2), 2, 1};
        memcpy(before + i * WIDTH, a, sizeof a);
        memcpy(after + i * WIDTH, b, sizeof b);
        for (int k = 0; k < 2; k++) {
            const float *v = k ? b : a;
            const double norm = sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
            const double x = 10 * v[0] / norm, y = 10 * (0.6 * v[1] + 0.8 * v[2]) / norm;
            (k ? second : first)[i] = x;
            change += (k ? 1 : -1) * x / N;
            share += (k ? 1 : -1) / (1 + exp(y - x)) / N;
        }
    }
    double mean = 0, square = 0;
    for (int i = 0; i < N; i++)
        mean += (second[i] - first[i]) / N;
    for (int i = 0; i < N; i++)
        square += (second[i] - first[i] - mean) * (second[i] - first[i] - mean) / N;
    const double error = sqrt(square / N);
    cn_effect e[K], again[K];
    double changed;
    cn_error err = {0};
    assert_int_equal(cn_effects_measure(before, after, N, WIDTH, texts, K, 10, NULL, e, &changed, &err), CN_OK);
    assert_true(fabs(e[0].change - change) < 1e-6 && fabs(e[0].after - e[0].before - change) < 1e-6);
    assert_true(fabs(e[0].share_change - share) < 1e-6 && fabs(e[0].share_change + e[1].share_change) < 1e-9);
    assert_true(fabs(e[0].low - (change - 1.96 * error)) < 0.25 * error && fabs(e[0].high - (change + 1.96 * error)) < 0.25 * error);
    assert_true(e[0].best_before + e[1].best_before == 1 && e[0].best_after == 0 && e[1].best_after == 1 && fabs(changed - e[0].best_before) < 1e-9);
    assert_int_equal(cn_effects_measure(before, after, N, WIDTH, texts, K, 10, NULL, again, NULL, &err), CN_OK);
    assert_memory_equal(e, again, sizeof e);
    before[4] = NAN;
    assert_int_equal(cn_effects_measure(before, after, N, WIDTH, texts, K, 10, NULL, e, NULL, &err), CN_EINVAL);
    assert_int_equal(cn_effects_measure(before, after, 0, WIDTH, texts, K, 10, NULL, e, NULL, NULL), CN_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(texts_become_edits, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(scans_record_their_edits_and_give_means, make_folder, remove_folder),
        cmocka_unit_test(effects_are_differences_with_intervals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
