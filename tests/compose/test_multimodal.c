/* AUCs, intervals, nulls and false discovery rates against slow and obvious versions; drawn words; concepts of an invented study. */
#include "base/memory.h"
#include "clipneuron/card.h"
#include "clipneuron/multimodal.h"
#include "compose/auc.h"
#include "study/conceptlist.h"
#include "compose/drawnwords.h"
#include "compose/modalities.h"
#include "compose/pairtest.h"
#include "compose/wordpicture.h"
#include "study/fake.h"
#include "study/tempdir.h"
#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The font libraries keep their caches until the process ends. */
CN_API const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfontconfig\nleak:libpango\nleak:libglib\n";
}

/* ---- the area under the curve ---- */

static double slow_auc(const float *values, const bool *positive, int n)
{
    double won = 0, pairs = 0;
    for (int i = 0; i < n; i++)
        for (int k = 0; k < n; k++)
            if (positive[i] && !positive[k]) {
                won += values[i] > values[k] ? 1 : values[i] == values[k] ? 0.5 : 0;
                pairs++;
            }
    return won / pairs;
}

static void auc_counts_pairs_with_ties(void **state)
{
    (void)state;
    rng r = {7};
    for (int round = 0; round < 200; round++) {
        enum { N = 40 };
        float values[N];
        bool positive[N];
        int32_t order[N], twice[N];
        int64_t n1 = 0;
        double sum = 0;
        for (int i = 0; i < N; i++) {
            values[i] = (float)rng_below(&r, round % 2 ? 6 : 1000) - 3; /* many ties; few */
            positive[i] = i < 2 || (i < N - 2 && rng_unit(&r) < 0.3);
        }
        auc_ranks(values, N, order, twice);
        for (int i = 0; i < N; i++) {
            n1 += positive[i];
            sum += positive[i] ? (double)twice[i] : 0;
            assert_true(i == 0 || values[order[i - 1]] <= values[order[i]]);
        }
        const double fast = auc_from_sum(sum, n1, N), slow = slow_auc(values, positive, N);
        if (fabs(fast - slow) > 1e-15)
            fail_msg("%.17g is not %.17g", fast, slow);
    }
}

static void resamples_are_those_of_the_weights(void **state)
{
    (void)state;
    enum { ITEMS = 9, EACH = 2, N = ITEMS * EACH };
    const auc_sample s = {.items = ITEMS, .each = EACH, .seed = 3};
    float values[N];
    bool positive[ITEMS] = {false};
    int32_t order[N], twice[N];
    uint8_t weights[ITEMS * AUC_LANES];
    uint32_t places[N * AUC_LANES];
    double out[AUC_LANES];
    rng r = {1};
    for (int i = 0; i < N; i++)
        values[i] = (float)rng_below(&r, 7);
    positive[2] = positive[5] = true;
    auc_ranks(values, N, order, twice);
    auc_weights(&s, 4, weights);
    auc_resample(&s, order, twice, positive, 4, 99, 4, weights, places, out);
    for (int lane = 0; lane < AUC_LANES; lane++) {
        int total = 0;
        double won = 0, pairs = 0;
        int draws[N] = {0}; /* the positives' own draws, in the order of values as auc_resample numbers them */
        int positives[N], n1 = 0;
        for (int i = 0; i < N; i++)
            if (positive[order[i] / EACH])
                positives[n1++] = order[i];
        rng stream = rng_stream(s.seed, 99, 4 * AUC_LANES + (uint64_t)lane);
        for (int i = 0; i < n1; i++)
            draws[positives[rng_below(&stream, n1)]]++;
        for (int i = 0; i < ITEMS; i++)
            total += weights[i * AUC_LANES + lane];
        assert_int_equal(total, ITEMS);
        for (int i = 0; i < N; i++)
            for (int k = 0; k < N; k++)
                if (!positive[k / EACH]) {
                    const double weight = draws[i] * weights[k / EACH * AUC_LANES + lane];
                    won += weight * (values[i] > values[k] ? 1 : values[i] == values[k] ? 0.5 : 0);
                    pairs += weight;
                }
        assert_true(fabs(out[lane] - won / pairs) < 1e-12);
    }
    double sorted[5] = {0.4, (double)NAN, 0.1, 0.3, 0.2}, low, high;
    auc_interval(sorted, 5, 0.5, &low, &high); /* a quarter of four is cut at either end */
    assert_true(low == 0.2 && high == 0.3);
}

static void intervals_cover_the_truth(void **state)
{
    (void)state;
    enum { POSITIVES = 20, N = 120, ROUNDS = 200, BLOCKS = 16 };
    const double truth = 0.5 * erfc(-1 / sqrt(2) / sqrt(2)); /* positives lie one deviation higher: Phi(1/sqrt 2) */
    int covered = 0;
    rng r = {5};
    for (int round = 0; round < ROUNDS; round++) {
        const auc_sample s = {.items = N, .each = 1, .seed = (uint64_t)round};
        float values[N];
        bool positive[N];
        int32_t order[N], twice[N];
        uint8_t weights[N * AUC_LANES];
        uint32_t places[N * AUC_LANES];
        double resamples[BLOCKS * AUC_LANES], low, high;
        for (int i = 0; i < N; i++) {
            positive[i] = i < POSITIVES;
            values[i] = (float)(rng_normal(&r) + (positive[i] ? 1 : 0));
        }
        auc_ranks(values, N, order, twice);
        for (int b = 0; b < BLOCKS; b++) {
            auc_weights(&s, b, weights);
            auc_resample(&s, order, twice, positive, POSITIVES, 1, b, weights, places, resamples + b * AUC_LANES);
        }
        auc_interval(resamples, BLOCKS * AUC_LANES, 0.95, &low, &high);
        covered += low <= truth && truth <= high;
    }
    assert_in_range(covered, (int)(0.88 * ROUNDS), (int)(0.99 * ROUNDS)); /* 95%, a little less for twenty positives */
}

static void discovery_rates_are_benjamini_and_hochbergs(void **state)
{
    (void)state;
    const double p[] = {0.01, 0.04, 0.03, 0.5, 0.005}, want[] = {0.025, 0.05, 0.05, 0.5, 0.025};
    double q[5];
    assert_int_equal(auc_fdr(p, 5, q, NULL), CN_OK);
    for (int i = 0; i < 5; i++)
        assert_true(fabs(q[i] - want[i]) < 1e-12);
    assert_int_equal(auc_fdr(NULL, 0, NULL, NULL), CN_OK);
}

/* ---- units against groups ---- */

enum { GROUPS = 20, EACH_GROUP = 4, PICTURES = GROUPS * EACH_GROUP, TEST_UNITS = 40 };

/* Unit 0 answers to group 3 in both media, unit 1 to group 3 and to the writing of group 4, the others to nothing. */
static float invented(int medium, int64_t unit, int picture)
{
    rng r = rng_stream(17, (uint64_t)unit, (uint64_t)(medium * 1000 + picture));
    const int group = picture / EACH_GROUP;
    const bool answers = (unit < 2 && medium == 0 && group == 3) || (unit == 0 && medium == 1 && group == 3) ||
                         (unit == 1 && medium == 1 && group == 4);
    return (float)(rng_normal(&r) + (answers ? 8 : 0));
}

static cn_status load(void *user, int medium, const int64_t *unit, size_t n, float *out, cn_error *err)
{
    (void)user, (void)err;
    for (size_t u = 0; u < n; u++)
        for (int i = 0; i < PICTURES; i++)
            out[(int)u * PICTURES + i] = invented(medium, unit[u], i);
    return CN_OK;
}

/* By counting. */
static double auc_of(int medium, int64_t unit, int group)
{
    float values[PICTURES];
    bool positive[PICTURES];
    for (int i = 0; i < PICTURES; i++) {
        values[i] = invented(medium, unit, i);
        positive[i] = i / EACH_GROUP == group;
    }
    return slow_auc(values, positive, PICTURES);
}

static pairtest invented_test(pairtest_medium media[2], int64_t start[GROUPS + 1], int32_t member[PICTURES], int64_t unit[TEST_UNITS])
{
    for (int g = 0; g <= GROUPS; g++)
        start[g] = g * EACH_GROUP;
    for (int i = 0; i < PICTURES; i++)
        member[i] = i;
    for (int u = 0; u < TEST_UNITS; u++)
        unit[u] = u;
    media[0] = (pairtest_medium){.written = false, .items = PICTURES, .each = 1, .start = start, .member = member};
    media[1] = (pairtest_medium){.written = true, .items = PICTURES, .each = 1, .start = start, .member = member};
    return (pairtest){.media = media, .n_media = 2, .groups = GROUPS, .least = 3, .unit = unit, .n_units = TEST_UNITS, .best = 2,
                      .shuffles = 399, .resamples = 200, .confidence = 0.95, .level = 0.9, .load = load};
}

static void the_unit_that_reads_is_found_and_no_other(void **state)
{
    (void)state;
    pairtest_medium media[2];
    int64_t start[GROUPS + 1], unit[TEST_UNITS];
    int32_t member[PICTURES];
    pairtest_result r, again;
    const pairtest t = invented_test(media, start, member, unit);
    assert_int_equal(pairtest_run(&t, &r, NULL), CN_OK);
    assert_int_equal(r.tested, GROUPS);
    const pairtest_pair *a = &r.pairs[0], *b = &r.pairs[2];
    assert_int_equal(a->group, 3);
    assert_true(a->score == 1 && a->media[0].auc == 1 && a->media[1].low == 1);
    assert_int_equal(a->media[0].images, EACH_GROUP);
    assert_true(fabs(a->p_pictures - 1.0 / 400) < 1e-12); /* never reached by shuffled pictures */
    assert_true(fabs(a->p_names - 1.0 / 20) < 1e-12);     /* the group meets its own writing in one of 20 */
    assert_true(a->p == a->p_names);
    assert_true(fabs(a->matched - 1.0 / 400) < 1e-12); /* first of 20 in both media */
    assert_true(b->score < 0.9 && b->p > 0.2); /* both media answer, but not to the same thing */
    assert_true(a[0].score >= a[1].score);
    int small = 0;
    for (int u = 2; u < TEST_UNITS; u++)
        small += r.pairs[2 * u].p <= 0.1;
    assert_true(small <= 10); /* of 38, 3.8 expected */
    for (int u = 0; u < TEST_UNITS; u += 13) /* scores and means against counting */
        for (int g = 0; g < GROUPS; g++) {
            const double auc[2] = {auc_of(0, u, g), auc_of(1, u, g)};
            assert_true(fabs(r.mean[u * GROUPS + g] - (auc[0] + auc[1]) / 2) < 1e-12);
            assert_true(r.pairs[2 * u].score >= fmin(auc[0], auc[1]) - 1e-12);
        }
    double chance = 0, table[2][GROUPS]; /* against shuffling */
    for (int i = 0; i < 2 * GROUPS; i++)
        table[i / GROUPS][i % GROUPS] = auc_of(i / GROUPS, 7, i % GROUPS);
    for (int round = 0; round < 4000; round++) {
        int names[GROUPS];
        double largest = 0;
        rng random = rng_stream(1, 2, (uint64_t)round);
        for (int i = 0; i < GROUPS; i++) {
            const int k = (int)rng_below(&random, i + 1);
            names[i] = names[k];
            names[k] = i;
        }
        for (int g = 0; g < GROUPS; g++)
            largest = fmax(largest, fmin(table[0][g], table[1][names[g]]));
        chance += largest >= r.pairs[2 * 7].score;
    }
    assert_true(fabs(chance / 4000 - r.pairs[2 * 7].p_names) < 0.03);
    int64_t one = 1; /* the same numbers whatever else is looked at */
    pairtest alone = t;
    alone.unit = &one;
    alone.n_units = 1;
    assert_int_equal(pairtest_run(&alone, &again, NULL), CN_OK);
    assert_memory_equal(again.pairs, &r.pairs[2], sizeof *again.pairs);
    pairtest_free(&r);
    pairtest_free(&again);
}

static void a_lone_medium_is_scored_in_deviations(void **state)
{
    (void)state;
    pairtest_medium media[2];
    int64_t start[GROUPS + 1], unit[TEST_UNITS];
    int32_t member[PICTURES];
    pairtest_result r;
    pairtest t = invented_test(media, start, member, unit);
    t.n_media = 1, t.single = true, t.n_units = 3, t.best = 1;
    assert_int_equal(pairtest_run(&t, &r, NULL), CN_OK);
    const double deviation = sqrt((PICTURES + 1) / (12.0 * EACH_GROUP * (PICTURES - EACH_GROUP)));
    for (int u = 0; u < 3; u++) {
        int best = 0;
        for (int g = 1; g < GROUPS; g++)
            best = auc_of(0, u, g) > auc_of(0, u, best) ? g : best;
        assert_int_equal(r.pairs[u].group, best);
        assert_true(fabs(r.pairs[u].score - (auc_of(0, u, best) - 0.5) / deviation) < 1e-9);
        assert_true(isnan(r.pairs[u].p_names) && r.pairs[u].p == r.pairs[u].p_pictures);
    }
    assert_true(r.pairs[0].p <= 0.01 && r.pairs[2].p > 0.05);
    assert_true(isnan(r.by_chance));
    pairtest_free(&r);
}

static void failing_memory_is_an_error(void **state)
{
    (void)state;
    pairtest_medium media[2];
    int64_t start[GROUPS + 1], unit[TEST_UNITS];
    int32_t member[PICTURES];
    pairtest t = invented_test(media, start, member, unit);
    t.n_units = 2, t.shuffles = t.resamples = 2;
    cn_status st = CN_ENOMEM;
    for (size_t i = 1; st != CN_OK; i++) {
        pairtest_result r;
        cn_memory_fail_at(i, false);
        st = pairtest_run(&t, &r, NULL);
        cn_memory_fail_at(0, false);
        assert_true(st == CN_OK || st == CN_ENOMEM);
        pairtest_free(&r);
        assert_true(i < 200);
    }
}

/* ---- drawn words ---- */

static void words_are_drawn_where_they_are_asked_for(void **state)
{
    (void)state;
    enum { SIDE = 64 };
    uint8_t rgb[SIDE * SIDE * 3], again[SIDE * SIDE * 3];
    const uint8_t ground[3] = {250, 240, 10};
    const wordpicture_font sans = {"Sans", NULL};
    const wordpicture_style style = {.font = sans, .size = 20, .x = 32, .y = 16, .ink = {10, 20, 200}};
    wordpicture_fill(rgb, SIDE, SIDE, ground);
    assert_int_equal(wordpicture_draw(rgb, SIDE, SIDE, "cat", &style, NULL), CN_OK);
    double w, h;
    assert_int_equal(wordpicture_measure("cat", sans, 20, &w, &h, NULL), CN_OK);
    assert_true(w > 20 && w < 50 && h > 18 && h < 32);
    int changed = 0, pure = 0;
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++) {
            const uint8_t *p = rgb + 3 * (y * SIDE + x);
            if (memcmp(p, ground, 3) == 0)
                continue;
            changed++;
            pure += memcmp(p, style.ink, 3) == 0;
            assert_true(x >= 32 - w / 2 - 2 && x <= 32 + w / 2 + 2 && y >= 16 - h / 2 - 2 && y <= 16 + h / 2 + 2);
        }
    assert_true(changed > 60 && changed < w * h && pure > 10);
    wordpicture_fill(again, SIDE, SIDE, ground);
    assert_int_equal(wordpicture_draw(again, SIDE, SIDE, "cat", &style, NULL), CN_OK);
    assert_memory_equal(rgb, again, sizeof rgb);
    double size;
    assert_int_equal(wordpicture_fit("cat", sans, 60, 1000, &size, NULL), CN_OK);
    assert_true(fabs(size - 60 / w * 20) < 0.1);
    cn_error err = {0};
    assert_int_equal(wordpicture_draw(rgb, SIDE, SIDE, "", &style, &err), CN_EINVAL);
    assert_int_equal(wordpicture_draw(rgb, SIDE, SIDE, "\xff", &style, NULL), CN_EINVAL);
    assert_int_equal(wordpicture_draw(rgb, 0, SIDE, "cat", &style, NULL), CN_ELIMIT);
    const wordpicture_style huge = {.size = 1e9};
    assert_int_equal(wordpicture_draw(rgb, SIDE, SIDE, "cat", &huge, NULL), CN_EINVAL);
}

static void drawings_of_a_word_differ_and_stay_inside(void **state)
{
    (void)state;
    enum { SIDE = 48, VERSIONS = 12 };
    const fontset system = {0};
    static uint8_t rgb[VERSIONS][SIDE * SIDE * 3];
    for (int v = 0; v < VERSIONS; v++) {
        assert_int_equal(drawnwords_draw(rgb[v], SIDE, "christmas tree", v, &system, NULL), CN_OK);
        int ground = 0;
        for (int i = 0; i < SIDE * SIDE; i++)
            ground += memcmp(rgb[v] + 3 * i, rgb[v], 3) == 0;
        assert_true(ground > SIDE * SIDE / 3 && ground < SIDE * SIDE - 40);
        for (int k = 0; k < v; k++)
            assert_memory_not_equal(rgb[v], rgb[k], sizeof rgb[v]);
    }
}

/* ---- lists of concepts ---- */

static void concept_lists_are_read_and_refused(void **state)
{
    (void)state;
    conceptlist l = {0};
    static const char good[] = "# mine\nfamily,concept\nanimal , cat\n\"a, b\",dog\nbird\n";
    assert_int_equal(conceptlist_add(&l, good, sizeof good - 1, "good", NULL), CN_OK);
    assert_int_equal(l.n, 3);
    assert_string_equal(l.family[0], "animal");
    assert_string_equal(l.concept[0], "cat");
    assert_string_equal(l.family[1], "a, b");
    assert_string_equal(l.family[2], "");
    assert_string_equal(l.concept[2], "bird");
    conceptlist_free(&l);
    cn_error err = {0};
    assert_int_equal(conceptlist_add(&l, "a,b,c\n", 6, "bad.csv", &err), CN_EFORMAT);
    assert_non_null(strstr(err.text, "bad.csv: line 1"));
    conceptlist_free(&l);
    assert_int_equal(conceptlist_add_builtin(&l, NULL), CN_OK);
    assert_true(l.n > 400);
    bool emotion = false;
    for (size_t i = 0; i < l.n; i++) {
        assert_true(l.family[i][0] && l.concept[i][0]);
        emotion = emotion || (strcmp(l.family[i], "emotion") == 0 && strcmp(l.concept[i], "happy") == 0);
    }
    assert_true(emotion);
    conceptlist_free(&l);
    assert_non_null(cn_family_warning("religion"));
    assert_null(cn_family_warning("animal"));
    assert_null(cn_family_warning(""));
}

/* ---- a study ---- */

static char *dir;

static int make_study(void **state)
{
    (void)state;
    dir = tempdir_make();
    fake_collection(dir, 24);
    fake_scan(dir, "study", &(cn_scan_options){.sites = NULL}, NULL);
    fake_scan(dir, "bare", &(cn_scan_options){.no_matrices = true}, NULL);
    return 0;
}

static int remove_study(void **state)
{
    (void)state;
    tempdir_remove(dir);
    return 0;
}

static cn_study *open_study(const char *name)
{
    cn_study *s;
    cn_error err = {0};
    if (cn_study_open(&s, tempdir_path(dir, name), &err) != CN_OK)
        fail_msg("%s", err.text);
    return s;
}

static const cn_multimodal_options quick = {.drawings = -1, .shuffles = 19, .resamples = 50};

static void a_study_is_measured_and_remembers(void **state)
{
    (void)state;
    cn_study *s = open_study("study");
    cn_multimodal *r;
    cn_error err = {0};
    if (modalities_run(s, NULL, &quick, &r, &err) != CN_OK)
        fail_msg("%s", err.text);
    assert_int_equal(r->n_media, 2); /* line is a drawing */
    assert_string_equal(r->media[0].name, "drawing");
    assert_true(r->media[1].written && !r->media[0].written && !r->media[1].drawn);
    assert_int_equal(r->media[0].images + r->media[1].images, 48);
    assert_int_equal(r->live, FAKE_UNITS - 1);
    assert_int_equal(r->n, FAKE_UNITS - 1);
    bool red = false;
    for (size_t i = 0; i < r->n; i++) { /* unit 0 sees the red plane, unit 1 the green one */
        const cn_multimodal_unit *u = &r->units[i];
        if (u->ref.unit == 0) {
            red = true;
            assert_string_equal(u->concept_name, "red");
            assert_true(u->score == 1 && u->media[0].auc == 1 && u->media[1].auc == 1 && u->media[0].images == 12);
            assert_int_equal(u->images, 24);
            assert_int_equal(u->passing, 2);
            assert_true(u->p_names > 0.2); /* with two concepts chance is high, and it says so */
            assert_false(u->multimodal);
        }
        if (u->ref.unit == 1)
            assert_string_equal(u->concept_name, "green");
    }
    assert_true(red);
    cn_multimodal_free(r);

    cn_multimodal_fact *facts;
    size_t n;
    assert_int_equal(cn_study_multimodal_facts(s, (cn_unit_ref){0, 0}, &facts, &n, NULL), CN_OK);
    assert_int_equal(n, 1);
    assert_string_equal(facts[0].concept_name, "red");
    assert_string_equal(facts[0].family, "colour");
    assert_non_null(strstr(facts[0].media, "drawing 1.00 [1.00, 1.00], word 1.00"));
    assert_true(facts[0].base_rate == 0.5 && facts[0].level == 0.9);
    cn_multimodal_facts_free(facts);
    assert_int_equal(cn_study_multimodal_facts(s, (cn_unit_ref){0, FAKE_UNITS - 1}, &facts, &n, NULL), CN_OK);
    assert_int_equal(n, 0); /* dead */
    cn_study_close(s);
    sqlite3 *db; /* what a stranger may have put there */
    assert_int_equal(sqlite3_open(tempdir_path(dir, "study/study.sqlite"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "UPDATE multimodal SET q = 7 WHERE unit = 1", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    s = open_study("study");
    assert_int_equal(cn_study_multimodal_facts(s, (cn_unit_ref){0, 1}, &facts, &n, &err), CN_EFORMAT);
    assert_int_equal(n, 0);
    assert_non_null(strstr(err.text, "the study is damaged"));
    cn_study_close(s);
}

static void words_are_drawn_for_the_model(void **state)
{
    (void)state;
    cn_study *s = open_study("study");
    cn_multimodal *r;
    source from;
    fake_open(&from, "f00d", 8);
    from.n_sites = 1;
    cn_multimodal_options o = quick;
    const int64_t units[] = {2, 0, 2};
    o.drawings = 3, o.dry = true, o.units = units, o.n_units = 3, o.best = 2;
    cn_error err = {0};
    if (modalities_run(s, &from, &o, &r, &err) != CN_OK)
        fail_msg("%s", err.text);
    from.close(&from);
    assert_int_equal(r->words, 64); /* two concepts and fillers */
    assert_int_equal(r->drawings, 3 * 64);
    assert_int_equal(r->n_media, 3);
    assert_true(r->media[2].drawn && r->media[2].written);
    assert_int_equal(r->n, 4); /* two units, two concepts each, together */
    assert_int_equal(r->units[0].ref.unit, r->units[1].ref.unit);
    assert_int_equal(r->units[0].media[2].images, 3);
    assert_true(r->units[0].media[2].auc >= 0 && r->units[0].media[2].auc <= 1);
    cn_multimodal_free(r);
    cn_study_close(s);
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    cn_study *s = open_study("study"), *bare = open_study("bare");
    cn_multimodal *r;
    const int64_t dead[] = {FAKE_UNITS - 1}, far[] = {99};
    const char *const photo[] = {"photo"}, *const twice[] = {"a=line", "b=line"}, *const line[] = {"line"};
    char *one = strdup(tempdir_path(dir, "one.txt")), *zebras = strdup(tempdir_path(dir, "zebras.txt"));
    tempdir_text(dir, "one.txt", "red\n");
    tempdir_text(dir, "zebras.txt", "zebra\ngnu\n");
    const struct {
        cn_study *study;
        cn_multimodal_options o;
        cn_status status;
        const char *says;
    } cases[] = {
        {s, {.drawings = 0}, CN_EINVAL, "there is none"},
        {s, {.drawings = -1, .level = 1}, CN_EINVAL, "a level of 1"},
        {s, {.drawings = -1, .site = 9}, CN_EINVAL, "site 9"},
        {s, {.drawings = -1, .best = 99}, CN_EINVAL, "1 to 16"},
        {s, {.drawings = -1, .units = dead, .n_units = 1}, CN_ENOTFOUND, "dead"},
        {s, {.drawings = -1, .units = far, .n_units = 1}, CN_EINVAL, "99"},
        {s, {.drawings = -1, .media = photo, .n_media = 1}, CN_EINVAL, "it has: line, word"},
        {s, {.drawings = -1, .media = twice, .n_media = 2}, CN_EINVAL, "named twice"},
        {s, {.drawings = -1, .media = line, .n_media = 1}, CN_ENOTFOUND, "no medium of the study is written"},
        {s, {.drawings = -1, .least = 13}, CN_ENOTFOUND, "no concept has 13 pictures"},
        {s, {.drawings = -1, .concepts = one}, CN_EINVAL, "needs others"},
        {s, {.drawings = -1, .concepts = zebras}, CN_ENOTFOUND, "none of the 2 is a label"},
        {s, {.drawings = -1, .concepts = "/nowhere.csv"}, CN_ENOTFOUND, "/nowhere.csv"},
        {bare, {.drawings = -1}, CN_ENOTFOUND, "--matrices none"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cn_error err = {0};
        const cn_status st = modalities_run(cases[i].study, NULL, &cases[i].o, &r, &err);
        if (st != cases[i].status || r || !strstr(err.text, cases[i].says))
            fail_msg("case %zu: %s: %s", i, cn_status_name(st), err.text);
    }
    free(one), free(zebras);
    cn_study_close(s);
    cn_study_close(bare);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(auc_counts_pairs_with_ties),
        cmocka_unit_test(resamples_are_those_of_the_weights),
        cmocka_unit_test(intervals_cover_the_truth),
        cmocka_unit_test(discovery_rates_are_benjamini_and_hochbergs),
        cmocka_unit_test(the_unit_that_reads_is_found_and_no_other),
        cmocka_unit_test(a_lone_medium_is_scored_in_deviations),
        cmocka_unit_test(failing_memory_is_an_error),
        cmocka_unit_test(words_are_drawn_where_they_are_asked_for),
        cmocka_unit_test(drawings_of_a_word_differ_and_stay_inside),
        cmocka_unit_test(concept_lists_are_read_and_refused),
        cmocka_unit_test(a_study_is_measured_and_remembers),
        cmocka_unit_test(words_are_drawn_for_the_model),
        cmocka_unit_test(what_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, make_study, remove_study);
}
