/* Finding units for texts and pictures, and naming them, against slow and obvious versions on small invented studies. */
#include "base/memory.h"
#include "clipneuron/array.h"
#include "clipneuron/card.h"
#include "clipneuron/find.h"
#include "fake.h"
#include "study/corpus.h"
#include "study/dissect.h"
#include "study/finder.h"
#include "study/product.h"
#include "study/sample.h"
#include "study/unitstats.h"
#include "tempdir.h"

#include <math.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

enum { EACH = 24, IMAGES = 2 * EACH, WIDTH = FAKE_EMBEDDING, LIVE = FAKE_UNITS - 1 };

static const char *const list[] = {"ant", "bee",  "cow",  "dog",  "emu",  "fox", "gnu", "hen",  "ibex",
                                   "jay", "kiwi", "lynx", "mole", "newt", "owl", "pig", "zebra"};
enum { LISTED = sizeof list / sizeof *list, KNOWN = LISTED - 1 + 2 }; /* words with a z are unknown; red and green are added */

static char *dir; /* a study that the tests do not change, but for names */

static int make_study(void **state)
{
    (void)state;
    char text[1024] = "";
    dir = tempdir_make();
    fake_collection(dir, EACH);
    for (int i = 0; i < LISTED; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s\n", list[i]);
    tempdir_text(dir, "words.txt", text);
    char *words = strdup(tempdir_path(dir, "words.txt"));
    fake_scan(dir, "study", &(cn_scan_options){.words = words}, NULL);
    fake_scan(dir, "bare", &(cn_scan_options){.words = words, .no_matrices = true}, NULL);
    fake_scan(dir, "wordless", &(cn_scan_options){.no_words = true}, NULL);
    free(words);
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

/* The formula of fake.c for a text's embedding, of length 1. */
static void text_of(const char *word, double out[WIDTH])
{
    double length = 0;
    for (size_t k = 0; k < WIDTH; k++) {
        out[k] = (double)((unsigned char)word[k % strlen(word)] % 7) - 3;
        length += out[k] * out[k];
    }
    for (size_t k = 0; k < WIDTH; k++)
        out[k] /= length > 0 ? sqrt(length) : 1;
}

static const float directions[FAKE_UNITS * WIDTH] = {1, 0, 0, 0, 0, 2, 0, 0, 0, 0, -1, 1, 1, 1, 1, 1, -1, 0, 2, 0, 0, 0, 0, 1};

/* What a test knows of the study: matrices as doubles. */
typedef struct facts {
    double embedding[IMAGES][WIDTH], value[IMAGES][FAKE_UNITS]; /* the former of length 1 */
    const char *word[KNOWN];
    double text[KNOWN][WIDTH];
    uint64_t key[IMAGES];
} facts;

static void read_matrix(const char *study, const char *name, int columns, double *out)
{
    char path[128];
    cn_arrays *a;
    snprintf(path, sizeof path, "%s/%s", study, name);
    assert_int_equal(cn_arrays_open(&a, tempdir_path(dir, path), NULL), CN_OK);
    const cn_tensor *t = cn_arrays_at(a, 0);
    assert_int_equal(t->count, IMAGES * columns);
    for (int64_t i = 0; i < t->count; i++) {
        float v;
        memcpy(&v, (const char *)t->data + 4 * i, 4);
        out[i] = (double)v;
    }
    cn_arrays_close(a);
}

static facts *read_facts(void)
{
    facts *f = calloc(1, sizeof *f);
    read_matrix("study", "embeddings.npy", WIDTH, &f->embedding[0][0]);
    read_matrix("study", "layer4.0.add.mean.npy", FAKE_UNITS, &f->value[0][0]);
    for (int i = 0; i < IMAGES; i++) {
        double length = 0;
        for (int k = 0; k < WIDTH; k++)
            length += f->embedding[i][k] * f->embedding[i][k];
        for (int k = 0; k < WIDTH; k++)
            f->embedding[i][k] /= sqrt(length);
    }
    for (int i = 0; i < LISTED - 1; i++)
        f->word[i] = list[i];
    f->word[KNOWN - 2] = "red";
    f->word[KNOWN - 1] = "green";
    for (int w = 0; w < KNOWN; w++)
        text_of(f->word[w], f->text[w]);
    sqlite3 *db;
    sqlite3_stmt *q;
    sqlite3_open(tempdir_path(dir, "study/study.sqlite"), &db);
    sqlite3_prepare_v2(db, "SELECT path FROM images ORDER BY id", -1, &q, NULL);
    for (int i = 0; i < IMAGES; i++) {
        assert_int_equal(sqlite3_step(q), SQLITE_ROW);
        f->key[i] = sample_key(0, (const char *)sqlite3_column_text(q, 0));
    }
    sqlite3_finalize(q);
    sqlite3_close(db);
    return f;
}

static double dot(const double *a, const double *b)
{
    double sum = 0;
    for (int k = 0; k < WIDTH; k++)
        sum += a[k] * b[k];
    return sum;
}

/* P(text|picture) as docs/study.md has it: word >= 0 is of the list, else the text is one more word. */
static double share(const facts *f, int image, int word, const double *text)
{
    double mean = 0, power = 0, total = 0;
    for (int w = 0; w < KNOWN; w++)
        mean += dot(f->embedding[image], f->text[w]) / KNOWN;
    for (int w = 0; w < KNOWN; w++)
        power += pow(dot(f->embedding[image], f->text[w]) - mean, 2);
    const double sd = sqrt(power / KNOWN);
    for (int w = 0; w < KNOWN; w++)
        total += exp(3 * (dot(f->embedding[image], f->text[w]) - mean) / sd);
    const double own = exp(3 * (dot(f->embedding[image], word >= 0 ? f->text[word] : text) - mean) / sd);
    return own / (word >= 0 ? total : total + own);
}

/* Soft WPMI over some pictures, for all units. */
static void wpmi(const facts *f, const int *images, int n, int word, const double *text, double out[FAKE_UNITS])
{
    const int k = (int)dissect_pictures(n);
    double sum = 0;
    for (int u = 0; u < LIVE; u++) {
        bool taken[IMAGES] = {false};
        out[u] = 0;
        for (int rank = 0; rank < k; rank++) {
            int best = -1;
            for (int i = 0; i < n; i++)
                if (!taken[i] && (best < 0 || f->value[images[i]][u] > f->value[images[best]][u]))
                    best = i;
            taken[best] = true;
            const double p = 0.998 - (double)rank / k * (0.998 - 0.97);
            out[u] += log(1 + p * (share(f, images[best], word, text) - 1));
        }
        sum += exp(out[u]);
    }
    for (int u = 0; u < LIVE; u++)
        out[u] -= log(sum / LIVE);
}

static int halves(const facts *f, int odd, int images[IMAGES])
{
    int n = 0;
    for (int i = 0; i < IMAGES; i++)
        if ((int)(f->key[i] & 1) == odd)
            images[n++] = i;
    for (int i = 1; i < n; i++) /* by key, as ties are broken by it */
        for (int k = i; k > 0 && f->key[images[k]] < f->key[images[k - 1]]; k--) {
            const int swapped = images[k];
            images[k] = images[k - 1];
            images[k - 1] = swapped;
        }
    return n;
}

static void fake_model(source *from, finder_model *m)
{
    fake_open(from, "f00d", 8);
    *m = (finder_model){.from = from, .directions = directions};
}

static cn_find_result *ask(const char *study, const char *text, const cn_find_options *o)
{
    source from;
    finder_model m;
    finder *f;
    cn_find_result *r = NULL;
    cn_error err = {0};
    cn_study *s = open_study(study);
    fake_model(&from, &m);
    if (finder_open(&f, s, &m, o, &err) != CN_OK || finder_ask(f, text, &r, &err) != CN_OK)
        fail_msg("%s", err.text);
    finder_close(f);
    from.close(&from);
    cn_study_close(s);
    return r;
}

static const cn_found *unit_of(const cn_find_result *r, int64_t unit)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->units[i].ref.unit == unit)
            return &r->units[i];
    fail_msg("unit %lld is missing", (long long)unit);
    return NULL;
}

/* ---- arithmetic ---- */

static void products_are_those_of_single_rows(void **state)
{
    (void)state;
    enum { N = 5, M = 37, W = 19 };
    float a[N * W], b[M * W], out[N * (M + 2)];
    for (int i = 0; i < N * W; i++)
        a[i] = (float)(i * 37 % 23) - 11;
    for (int i = 0; i < M * W; i++)
        b[i] = (float)(i * 29 % 17) - 8;
    product_rows(a, N, b, M, W, out, M + 2);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < M; j++) {
            float sum = 0; /* small integers: exact */
            for (int k = 0; k < W; k++)
                sum += a[i * W + k] * b[j * W + k];
            assert_true(out[i * (M + 2) + j] == sum);
        }
}

static void the_strongest_pictures_are_sorted_and_ties_keep_their_order(void **state)
{
    (void)state;
    const float values[] = {1, 5, 5, 2, 9, 0, -1, -1, -1, -1, -1, -2};
    int32_t top[6];
    dissect_strongest(values, 2, 6, 3, top);
    const int32_t right[] = {4, 1, 2, 0, 1, 2};
    assert_memory_equal(top, right, sizeof right);
    assert_int_equal(dissect_pictures(5), 5);
    assert_int_equal(dissect_pictures(500), 10);
    assert_int_equal(dissect_pictures(1939), 19);
    assert_int_equal(dissect_pictures(50000), 100);
}

/* ---- texts ---- */

static void scores_are_the_documented_formulas(void **state)
{
    (void)state;
    facts *f = read_facts();
    int images[IMAGES], even = halves(f, 0, images);
    assert_int_equal(even + halves(f, 1, images + even), IMAGES); /* the order that breaks ties */
    static const char *const texts[] = {"owl", "quail", "Red"};
    for (int t = 0; t < 3; t++) {
        cn_find_result *r = ask("study", texts[t], NULL);
        double text[WIDTH], centred[WIDTH], right[FAKE_UNITS];
        int word = -1;
        for (int w = 0; w < KNOWN; w++)
            if (strcasecmp(f->word[w], texts[t]) == 0)
                word = w;
        text_of(texts[t], text);
        assert_int_equal(r->n, LIVE);
        assert_int_equal(r->pictures, IMAGES);
        assert_int_equal(r->strongest, 10);
        assert_int_equal(r->words, KNOWN);
        for (int k = 0; k < WIDTH; k++) {
            double mean = 0;
            for (int w = 0; w < KNOWN; w++)
                mean += f->text[w][k] / KNOWN;
            centred[k] = text[k] - mean;
        }
        for (int u = 0; u < LIVE; u++) {
            double d[WIDTH];
            for (int k = 0; k < WIDTH; k++)
                d[k] = (double)directions[u * WIDTH + k];
            const double cosine = dot(d, centred) / sqrt(dot(d, d) * dot(centred, centred));
            assert_true(fabs(unit_of(r, u)->score[CN_FIND_LINEAR] - cosine) < 1e-5);
        }
        /* "Red" is not the text that "red" is for this source, which is case-sensitive: then the word gives way to the text */
        if (strcmp(texts[t], "Red") != 0) {
            wpmi(f, images, IMAGES, word, text, right);
            for (int u = 0; u < LIVE; u++)
                assert_true(fabs(unit_of(r, u)->score[CN_FIND_DISSECT] - right[u]) < 1e-3);
        }
        cn_find_result_free(r);
    }
    free(f);
}

static void labels_are_found_by_name_or_by_nearness(void **state)
{
    (void)state;
    cn_study *s = open_study("study");
    cn_find_result *r = ask("study", "RED", NULL);
    assert_string_equal(r->label, "red");
    assert_true(r->label_same);
    assert_int_equal(r->label_images, EACH);
    assert_true(r->counts[CN_FIND_LABELS]);
    for (int u = 0; u < LIVE; u++) { /* the same z as the study keeps */
        cn_group *groups;
        size_t n;
        assert_int_equal(cn_study_groups(s, (cn_unit_ref){0, u}, CN_GROUP_LABEL, &groups, &n, NULL), CN_OK);
        for (size_t i = 0; i < n; i++)
            if (strcmp(groups[i].name, "red") == 0)
                assert_true(fabs(groups[i].z - unit_of(r, u)->score[CN_FIND_LABELS]) < 1e-4 * (1 + fabs(groups[i].z)));
        cn_groups_free(groups);
    }
    cn_find_result_free(r);

    double owl[WIDTH], red[WIDTH], green[WIDTH];
    text_of("owl", owl), text_of("red", red), text_of("green", green);
    const bool nearer = dot(owl, red) > dot(owl, green);
    r = ask("study", "owl", NULL);
    assert_string_equal(r->label, nearer ? "red" : "green");
    assert_false(r->label_same);
    assert_false(r->counts[CN_FIND_LABELS]);
    assert_true(fabs(r->label_cosine - fmax(dot(owl, red), dot(owl, green))) < 1e-5);
    cn_find_result_free(r);

    r = ask("study", "owl", &(cn_find_options){.by = 1u << CN_FIND_LABELS});
    assert_true(r->counts[CN_FIND_LABELS]); /* it is all there is */
    assert_int_equal(r->units[0].rank[CN_FIND_LABELS], 1);
    assert_true(isnan(r->units[0].score[CN_FIND_LINEAR]));
    cn_find_result_free(r);
    cn_study_close(s);
}

static void the_order_is_the_mean_of_reciprocal_ranks(void **state)
{
    (void)state;
    cn_find_result *r = ask("study", "red", NULL);
    for (size_t i = 0; i < r->n; i++) {
        const cn_found *u = &r->units[i];
        double mean = 0;
        for (int k = 0; k < CN_FIND_KINDS; k++) {
            int64_t rank = 1;
            for (size_t j = 0; j < r->n; j++)
                rank += r->units[j].score[k] > u->score[k] || (r->units[j].score[k] == u->score[k] && r->units[j].ref.unit < u->ref.unit);
            assert_int_equal(u->rank[k], rank);
            mean += 1.0 / (double)rank / 3;
        }
        assert_true(fabs(u->combined - mean) < 1e-12);
        assert_true(i == 0 || r->units[i - 1].combined >= u->combined);
    }
    double sum = 0, power = 0;
    for (size_t i = 0; i < r->n; i++)
        sum += r->units[i].z[CN_FIND_LINEAR], power += pow(r->units[i].z[CN_FIND_LINEAR], 2);
    assert_true(fabs(sum) < 1e-9 && fabs(power / (double)r->n - 1) < 1e-9);
    cn_find_result_free(r);
}

static void what_is_missing_is_said(void **state)
{
    (void)state;
    cn_find_result *r = ask("bare", "red", NULL);
    assert_null(r->why[CN_FIND_LINEAR]);
    assert_non_null(strstr(r->why[CN_FIND_DISSECT], "words.npy"));
    assert_null(r->why[CN_FIND_LABELS]); /* the database keeps enough of it */
    assert_false(isnan(r->units[0].score[CN_FIND_LABELS]));
    cn_find_result_free(r);

    r = ask("wordless", "red", NULL);
    assert_non_null(strstr(r->why[CN_FIND_DISSECT], "no words"));
    assert_non_null(r->label);
    cn_find_result_free(r);

    source from;
    finder_model m;
    finder *f;
    cn_error err = {0};
    cn_study *s = open_study("study");
    fake_model(&from, &m);
    assert_int_equal(finder_open(&f, s, &m, NULL, &err), CN_OK);
    assert_int_equal(finder_ask(f, "zoo", &r, &err), CN_ENOTFOUND); /* neither a word that this model knows nor a label */
    assert_null(r);
    assert_non_null(strstr(err.text, "linear: the model has never seen a word of this text"));
    assert_non_null(strstr(err.text, "labels: no label has that name"));
    cn_error_clear(&err);
    assert_int_equal(finder_ask(f, " \t", &r, &err), CN_EINVAL);
    finder_close(f);

    cn_error_clear(&err);
    m.directions = NULL;
    m.no_directions = "no such thing";
    assert_int_equal(finder_open(&f, s, &m, NULL, &err), CN_OK);
    assert_int_equal(finder_ask(f, "owl", &r, &err), CN_OK);
    assert_string_equal(r->why[CN_FIND_LINEAR], "no such thing");
    assert_true(isnan(r->units[0].score[CN_FIND_LINEAR]) && r->units[0].rank[CN_FIND_LINEAR] == 0);
    cn_find_result_free(r);
    finder_close(f);
    assert_int_equal(finder_open(&f, s, &m, &(cn_find_options){.site = 7}, &err), CN_EINVAL);
    assert_null(f);
    from.embedding = 5;
    cn_error_clear(&err);
    assert_int_equal(finder_open(&f, s, &m, NULL, &err), CN_EMISMATCH);
    from.close(&from);
    cn_study_close(s);
}

static void measuring_asks_for_every_label(void **state)
{
    (void)state;
    source from;
    finder_model m;
    finder *f;
    cn_find_measure result;
    cn_study *s = open_study("study");
    fake_model(&from, &m);
    assert_int_equal(finder_open(&f, s, &m, NULL, NULL), CN_OK);
    assert_int_equal(finder_measure(f, &result, NULL), CN_OK);
    int64_t own[2] = {0, 0}, first[CN_FIND_KINDS] = {0}, asked = 0;
    double chance = 0;
    cn_unit_row *rows;
    size_t n;
    assert_int_equal(cn_study_units(s, 0, CN_ORDER_UNIT, 0, &rows, &n, NULL), CN_OK);
    for (int l = 0; l < 2; l++) {
        const char *label = l ? "red" : "green";
        for (size_t u = 0; u < n; u++)
            own[l] += !rows[u].dead && strcmp(rows[u].label, label) == 0;
        if (!own[l])
            continue;
        asked++;
        chance += (double)own[l] / LIVE;
        cn_find_result *r = ask("study", label, NULL);
        for (size_t i = 0; i < r->n; i++)
            for (int k = 0; k < CN_FIND_KINDS; k++)
                first[k] += r->units[i].rank[k] == 1 && strcmp(rows[r->units[i].ref.unit].label, label) == 0;
        cn_find_result_free(r);
    }
    assert_true(asked > 0);
    assert_int_equal(result.asked, asked);
    assert_int_equal(result.units, LIVE);
    assert_true(fabs(result.chance - chance / (double)asked) < 1e-12);
    for (int k = 0; k < CN_FIND_KINDS; k++) {
        assert_int_equal(result.first[k], first[k]);
        assert_int_equal(result.ten[k], asked); /* there are but five units */
    }
    cn_unit_rows_free(rows);
    finder_close(f);
    from.close(&from);
    cn_study_close(s);
}

/* ---- pictures ---- */

static void a_picture_of_the_study_answers_as_it_did_there(void **state)
{
    (void)state;
    facts *f = read_facts();
    source from;
    cn_answer *answers;
    size_t n;
    cn_error err = {0};
    cn_study *s = open_study("study");
    fake_open(&from, "f00d", 1);
    from.n_sites = 1;
    sqlite3 *db;
    sqlite3_stmt *q;
    sqlite3_open(tempdir_path(dir, "study/study.sqlite"), &db);
    sqlite3_prepare_v2(db, "SELECT id FROM images WHERE path = 'green/007.png'", -1, &q, NULL);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    const int image = sqlite3_column_int(q, 0);
    sqlite3_finalize(q);
    sqlite3_close(db);
    if (finder_picture(s, &from, tempdir_path(dir, "pics/green/007.png"), 0, &answers, &n, &err) != CN_OK)
        fail_msg("%s", err.text);
    assert_int_equal(n, FAKE_UNITS);
    for (int u = 0; u < FAKE_UNITS; u++) {
        double power = 0, below = 0, same = 0;
        for (int i = 0; i < IMAGES; i++) {
            const double v = f->value[i][u], x = f->value[image][u];
            power += v * v / IMAGES;
            below += v < x * (x > 0 ? 0.99 : 1.01);
            same += v < x * (x > 0 ? 1.01 : 0.99);
        }
        assert_int_equal(answers[u].ref.unit, u);
        assert_true(fabs(answers[u].value - f->value[image][u]) < 1e-6);
        if (u == FAKE_UNITS - 1) { /* dead */
            assert_true(answers[u].sd == 0 && answers[u].percentile == 50);
            continue;
        }
        assert_true(fabs(answers[u].sd - answers[u].value / sqrt(power)) < 1e-6);
        assert_true(answers[u].percentile >= 100 * below / IMAGES - 1e-9 && answers[u].percentile <= 100 * same / IMAGES + 1e-9);
        assert_true(answers[u].percentile > 0 && answers[u].percentile < 100); /* half of its own bin counts */
    }
    cn_answers_free(answers);
    assert_int_equal(finder_picture(s, &from, tempdir_path(dir, "nothing.png"), 0, &answers, &n, &err), CN_ENOTFOUND);
    assert_null(answers);
    cn_error_clear(&err);
    assert_int_equal(finder_picture(s, &from, tempdir_path(dir, "pics/red/broken.png"), 0, &answers, &n, &err), CN_EFORMAT);
    from.close(&from);
    cn_study_close(s);
    free(f);
}

/* ---- names ---- */

static cn_status run_naming(const cn_name_options *o, cn_name_result **r, cn_error *err)
{
    source from;
    finder_model m;
    cn_study *s = open_study("study");
    fake_model(&from, &m);
    const cn_status st = naming_run(s, &m, o, r, err);
    from.close(&from);
    cn_study_close(s);
    return st;
}

static cn_name_result *name(cn_name_method method)
{
    cn_name_result *r;
    cn_error err = {0};
    if (run_naming(&(cn_name_options){.method = method}, &r, &err) != CN_OK)
        fail_msg("%s", err.text);
    return r;
}

static double correlation(const double *x, const double *y, int n)
{
    double mx = 0, my = 0, xx = 0, yy = 0, xy = 0;
    for (int i = 0; i < n; i++)
        mx += x[i] / n, my += y[i] / n;
    for (int i = 0; i < n; i++)
        xx += (x[i] - mx) * (x[i] - mx), yy += (y[i] - my) * (y[i] - my), xy += (x[i] - mx) * (y[i] - my);
    return xy / sqrt(xx * yy);
}

/* score[word][unit] of a method on the even half. */
static void all_scores(const facts *f, cn_name_method method, const int *even, int n, double score[KNOWN][FAKE_UNITS])
{
    double mean[WIDTH] = {0};
    for (int w = 0; w < KNOWN; w++)
        for (int k = 0; k < WIDTH; k++)
            mean[k] += f->text[w][k] / KNOWN;
    for (int w = 0; w < KNOWN; w++) {
        if (method == CN_NAME_DISSECT)
            wpmi(f, even, n, w, NULL, score[w]);
        for (int u = 0; u < LIVE && method != CN_NAME_DISSECT; u++) {
            double x[IMAGES], y[IMAGES], d[WIDTH], t[WIDTH];
            for (int i = 0; i < n; i++)
                x[i] = f->value[even[i]][u], y[i] = share(f, even[i], w, NULL);
            for (int k = 0; k < WIDTH; k++)
                d[k] = (double)directions[u * WIDTH + k], t[k] = f->text[w][k] - mean[k];
            score[w][u] = method == CN_NAME_NEAREST ? correlation(x, y, n) : dot(d, t) / sqrt(dot(d, d) * dot(t, t));
        }
    }
}

static int number_of(const facts *f, const char *word)
{
    for (int w = 0; w < KNOWN; w++)
        if (strcmp(f->word[w], word) == 0)
            return w;
    fail_msg("%s is no word of the list", word);
    return -1;
}

static void names_are_the_best_words_of_one_half(void **state)
{
    (void)state;
    static double score[KNOWN][FAKE_UNITS], agreed[KNOWN][FAKE_UNITS];
    facts *f = read_facts();
    int even[IMAGES], n = halves(f, 0, even);
    static const cn_name_method methods[] = {CN_NAME_DISSECT, CN_NAME_LINEAR, CN_NAME_NEAREST, CN_NAME_CONSENSUS};
    for (int k = 0; k < 4; k++) {
        cn_name_result *r = name(methods[k]);
        assert_int_equal(r->n, LIVE);
        assert_int_equal(r->words, KNOWN);
        assert_int_equal(r->unknown_words, 1);
        assert_int_equal(r->pictures, n);
        assert_int_equal(r->heldout_pictures, IMAGES - n);
        if (methods[k] != CN_NAME_CONSENSUS)
            all_scores(f, methods[k], even, n, score);
        for (size_t i = 0; i < r->n; i++) {
            const int64_t u = r->names[i].ref.unit;
            const int named = number_of(f, r->names[i].name);
            const double(*from)[FAKE_UNITS] = methods[k] == CN_NAME_CONSENSUS ? agreed : score;
            assert_true(fabs(r->names[i].score - from[named][u]) < 2e-3 * (1 + fabs(from[named][u])));
            for (int w = 0; w < KNOWN; w++) /* texts that sum up the same are equal up to rounding */
                assert_true(from[w][u] <= from[named][u] + 1e-3);
            assert_string_equal(r->names[i].method, cn_name_method_text(methods[k]));
        }
        for (int u = 0; u < LIVE && methods[k] != CN_NAME_CONSENSUS; u++)
            for (int w = 0; w < KNOWN; w++) {
                int rank = 1;
                for (int v = 0; v < KNOWN; v++)
                    rank += score[v][u] > score[w][u] + 1e-7;
                agreed[w][u] += 1.0 / rank / 3;
            }
        cn_name_result_free(r);
    }
    free(f);
}

static void names_are_measured_on_the_other_half(void **state)
{
    (void)state;
    facts *f = read_facts();
    int odd[IMAGES], n = halves(f, 1, odd), strong = (n + 19) / 20;
    cn_name_result *r = name(CN_NAME_NEAREST);
    for (size_t i = 0; i < r->n; i++) {
        const cn_unit_name *u = &r->names[i];
        double x[IMAGES], y[IMAGES], wins = 0;
        bool top[IMAGES] = {false};
        for (int k = 0; k < n; k++)
            x[k] = f->value[odd[k]][u->ref.unit], y[k] = share(f, odd[k], number_of(f, u->name), NULL);
        assert_true(fabs(u->heldout - correlation(x, y, n)) < 1e-4);
        assert_true(fabs(u->heldout_z - atanh(u->heldout) * sqrt(n - 3)) < 1e-9);
        for (int s = 0; s < strong; s++) {
            int best = -1;
            for (int k = 0; k < n; k++)
                if (!top[k] && (best < 0 || x[k] > x[best]))
                    best = k;
            top[best] = true;
        }
        for (int a = 0; a < n; a++)
            for (int b = 0; b < n; b++)
                if (top[a] && !top[b])
                    wins += y[a] > y[b] ? 1 : y[a] == y[b] ? 0.5 : 0;
        assert_true(fabs(u->auc - wins / (double)(strong * (n - strong))) < 1e-6 + 1.0 / (double)(strong * (n - strong)));
        assert_true(i == 0 || r->names[i - 1].heldout >= u->heldout);
    }
    assert_true(r->median == r->names[LIVE / 2].heldout);
    assert_int_equal(r->shuffles, 200);
    assert_true(r->p >= 1.0 / 201 && r->p <= 1);
    assert_true(r->shuffled <= r->names[0].heldout && r->shuffled >= -1);
    cn_name_result *again = name(CN_NAME_NEAREST); /* the shuffles are seeded */
    assert_true(again->shuffled == r->shuffled && again->threshold == r->threshold && again->p == r->p);
    cn_name_result_free(again);
    cn_name_result_free(r);
    free(f);
}

static void names_are_kept_and_replaced(void **state)
{
    (void)state;
    cn_name_result *r = name(CN_NAME_LINEAR);
    cn_name_result_free(name(CN_NAME_DISSECT));
    cn_name_result_free(name(CN_NAME_LINEAR)); /* in place of the first */
    cn_study *s = open_study("study");
    cn_unit_name *kept;
    size_t n, linear = 0;
    for (size_t i = 0; i < r->n; i++) {
        assert_int_equal(cn_study_unit_names(s, r->names[i].ref, &kept, &n, NULL), CN_OK);
        for (size_t k = 0; k < n; k++) {
            assert_true(k == 0 || kept[k - 1].heldout >= kept[k].heldout);
            if (strcmp(kept[k].method, "linear") != 0)
                continue;
            linear++;
            assert_string_equal(kept[k].name, r->names[i].name);
            assert_true(kept[k].heldout == r->names[i].heldout && kept[k].score == r->names[i].score && kept[k].auc == r->names[i].auc);
            assert_int_equal(kept[k].ref.unit, r->names[i].ref.unit);
            assert_string_equal(kept[k].others, "");
        }
        cn_unit_names_free(kept);
    }
    assert_int_equal(linear, LIVE);
    assert_int_equal(cn_study_unit_names(s, (cn_unit_ref){0, FAKE_UNITS - 1}, &kept, &n, NULL), CN_OK); /* dead: none */
    assert_true(!kept && n == 0);

    /* a card says the best of them */
    assert_int_equal(cn_study_unit_names(s, (cn_unit_ref){0, 1}, &kept, &n, NULL), CN_OK);
    char chip[128];
    snprintf(chip, sizeof chip, "name: %s ", kept[0].name);
    cn_unit_names_free(kept);
    assert_int_equal(cn_card_write_html(s, &(cn_unit_ref){0, 1}, 1, NULL, tempdir_path(dir, "card.html"), NULL), CN_OK);
    char *page = tempdir_read(tempdir_path(dir, "card.html"), NULL);
    assert_non_null(strstr(page, chip));
    assert_non_null(strstr(page, "<h3>Names "));
    free(page);
    cn_study_close(s);
    cn_name_result_free(r);

    s = open_study("bare"); /* nothing was ever kept there */
    assert_int_equal(cn_study_unit_names(s, (cn_unit_ref){0, 1}, &kept, &n, NULL), CN_OK);
    assert_true(!kept && n == 0);
    cn_study_close(s);
}

static bool stop(const char *what, int64_t done, int64_t total, void *user)
{
    (void)done, (void)total;
    return strcmp(what, user) != 0;
}

static int count_names(void)
{
    sqlite3 *db;
    sqlite3_stmt *q;
    sqlite3_open(tempdir_path(dir, "study/study.sqlite"), &db);
    const bool there = sqlite3_prepare_v2(db, "SELECT count(*) FROM unit_names WHERE method = 'consensus'", -1, &q, NULL) == SQLITE_OK;
    const int n = there && sqlite3_step(q) == SQLITE_ROW ? sqlite3_column_int(q, 0) : 0;
    sqlite3_finalize(q);
    sqlite3_close(db);
    return n;
}

static void names_that_fail_leave_the_study_alone(void **state)
{
    (void)state;
    cn_name_result *r;
    cn_error err = {0};
    cn_name_result_free(name(CN_NAME_CONSENSUS));
    assert_int_equal(count_names(), LIVE);
    sqlite3 *db;
    sqlite3_open(tempdir_path(dir, "study/study.sqlite"), &db);
    sqlite3_exec(db, "DELETE FROM unit_names", NULL, NULL, NULL);
    sqlite3_close(db);
    static char words[][8] = {"words", "names"};
    for (int i = 0; i < 2; i++) {
        cn_error_clear(&err);
        assert_int_equal(run_naming(&(cn_name_options){.progress = stop, .user = words[i]}, &r, &err), CN_ECANCELED);
        assert_null(r);
    }
    assert_int_equal(run_naming(&(cn_name_options){.dry = true}, &r, NULL), CN_OK);
    cn_name_result_free(r);
    assert_int_equal(count_names(), 0);
    cn_error_clear(&err);
    assert_int_equal(run_naming(&(cn_name_options){.pictures = 12}, &r, &err), CN_EINVAL);
    assert_non_null(strstr(err.text, "too few"));
    cn_error_clear(&err);
    assert_int_equal(run_naming(&(cn_name_options){.word_template = "no hole"}, &r, &err), CN_EINVAL);
    tempdir_text(dir, "one.txt", "owl\nzoo\n");
    cn_error_clear(&err);
    assert_int_equal(run_naming(&(cn_name_options){.words = tempdir_path(dir, "one.txt")}, &r, &err), CN_EINVAL);
    assert_non_null(strstr(err.text, "two words"));
    tempdir_text(dir, "two.txt", "# animals\nowl\npig\nzoo\n");
    cn_error_clear(&err);
    assert_int_equal(run_naming(&(cn_name_options){.words = tempdir_path(dir, "two.txt"), .dry = true}, &r, &err), CN_OK);
    assert_true(r->words == 2 && r->unknown_words == 1 && r->labelled == 0);
    cn_name_result_free(r);
    cn_study *s = open_study("study");
    cn_error_clear(&err);
    assert_int_equal(cn_study_name(s, NULL, NULL, &r, &err), CN_EINVAL); /* consensus needs the model */
    assert_int_equal(cn_study_name(s, NULL, &(cn_name_options){.method = CN_NAME_NEAREST, .dry = true}, &r, NULL), CN_OK);
    cn_name_result_free(r);
    cn_study_close(s);
}

/* ---- damage and want ---- */

/* A copy of the study that something happens to. */
static void copy_study(const char *to)
{
    static const char *const files[] = {"study.sqlite", "embeddings.npy", "words.npy", "layer4.0.add.mean.npy", "layer4.0.add.labels.npy"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char name[128];
        size_t size;
        snprintf(name, sizeof name, "study/%s", files[i]);
        char *data = tempdir_read(tempdir_path(dir, name), &size);
        snprintf(name, sizeof name, "%s/%s", to, files[i]);
        tempdir_write(dir, name, data, size);
        free(data);
    }
}

static cn_status ask_status(const char *study, cn_error *err)
{
    source from;
    finder_model m;
    finder *f = NULL;
    cn_find_result *r = NULL;
    cn_study *s = open_study(study);
    fake_model(&from, &m);
    cn_status st = finder_open(&f, s, &m, NULL, err);
    if (st == CN_OK)
        st = finder_ask(f, "red", &r, err);
    cn_find_result_free(r);
    finder_close(f);
    from.close(&from);
    cn_study_close(s);
    return st;
}

static void damaged_studies_are_refused_in_one_line(void **state)
{
    (void)state;
    static const struct {
        const char *file, *sql, *says;
        long cut; /* bytes kept; -1: NaN in the first rows */
    } cases[] = {
        {.file = "layer4.0.add.mean.npy", .cut = 200, .says = "layer4.0.add.mean.npy"},
        {.file = "embeddings.npy", .cut = -1, .says = "not finite"},
        {.file = "words.npy", .cut = -1, .says = "not finite"},
        {.file = "layer4.0.add.labels.npy", .cut = -1, .says = "not finite"},
        {.sql = "DELETE FROM images WHERE id = 3", .says = "not numbered"},
        {.sql = "DELETE FROM words WHERE id = 3", .says = "not numbered"},
        {.sql = "DELETE FROM units WHERE unit = 3 AND site = 0", .says = "units of layer4.0.add"},
        {.sql = "UPDATE units SET rms = 9e999 WHERE unit = 3", .says = "unit 3"},
        {.sql = "UPDATE units SET label = 77 WHERE unit = 2", .says = "unit 2"},
        {.sql = "UPDATE labels SET id = 9 WHERE id = 1", .says = "labels are not numbered"},
        {.sql = "UPDATE meta SET value = 5 WHERE key = 'embedding'", .says = "embeddings of 5"},
        {.sql = "UPDATE meta SET value = 900000000 WHERE key = 'words'", .says = "words"},
        {.sql = "UPDATE meta SET value = 'no hole' WHERE key = 'word_template'", .says = "template"},
        {.sql = "UPDATE sites SET units = 2000000000 WHERE id = 0", .says = "units of layer4.0.add"},
        {.sql = "UPDATE sites SET name = '../study/layer4.0.add' WHERE id = 0", .says = "like a path"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[64], path[128];
        cn_error err = {0};
        snprintf(name, sizeof name, "damaged%zu", i);
        copy_study(name);
        if (cases[i].file) {
            size_t size;
            snprintf(path, sizeof path, "%s/%s", name, cases[i].file);
            char *data = tempdir_read(tempdir_path(dir, path), &size);
            for (size_t row = 0; row < 2 && cases[i].cut < 0; row++)
                memcpy(data + 128 + row * 4 * FAKE_UNITS, &(float){NAN}, 4); /* numpy's header is 128 bytes long here */
            tempdir_write(dir, path, data, cases[i].cut > 0 ? (size_t)cases[i].cut : size);
            free(data);
        } else {
            sqlite3 *db;
            snprintf(path, sizeof path, "%s/study.sqlite", name);
            sqlite3_open(tempdir_path(dir, path), &db);
            assert_int_equal(sqlite3_exec(db, cases[i].sql, NULL, NULL, NULL), SQLITE_OK);
            sqlite3_close(db);
        }
        const cn_status st = ask_status(name, &err);
        if (st == CN_OK || !strstr(err.text, cases[i].says))
            fail_msg("%s%s: %d %s", cases[i].file ? cases[i].file : "", cases[i].sql ? cases[i].sql : "", (int)st, err.text);
    }
    copy_study("names"); /* a table of names that makes no sense */
    sqlite3 *db;
    cn_unit_name *kept;
    size_t n;
    cn_error err = {0};
    sqlite3_open(tempdir_path(dir, "names/study.sqlite"), &db);
    sqlite3_exec(
        db,
        "DROP TABLE IF EXISTS unit_names; CREATE TABLE unit_names (site, unit, method, name, score, heldout, heldout_z, auc, created);"
        "INSERT INTO unit_names VALUES (0, 1, 'x', 'y', 1, 3, 0, 0.5, ''); INSERT INTO unit_names VALUES (0, 2, 'x', 'y', 9e999, 0, 0, 0.5, '')",
        NULL, NULL, NULL);
    sqlite3_close(db);
    cn_study *s = open_study("names");
    for (int u = 1; u < 3; u++) {
        cn_error_clear(&err);
        assert_int_equal(cn_study_unit_names(s, (cn_unit_ref){0, u}, &kept, &n, &err), CN_EFORMAT);
        assert_true(!kept && n == 0);
    }
    cn_error_clear(&err);
    assert_int_equal(names_keep(s, &(names_about){.method = "x", .template = "{}", .created = ""}, NULL, 0, &err), CN_EIO);
    assert_non_null(strstr(err.text, "study.sqlite"));
    cn_study_close(s);
}

static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    source from;
    finder_model m;
    cn_study *s = open_study("study");
    fake_model(&from, &m);
    bool done = false;
    for (size_t at = 1; !done; at++) {
        finder *f = NULL;
        cn_find_result *r = NULL;
        cn_memory_fail_at(at, false);
        cn_status st = finder_open(&f, s, &m, NULL, NULL);
        if (st == CN_OK)
            st = finder_ask(f, "owl", &r, NULL);
        done = cn_memory_count() < at;
        cn_memory_fail_at(0, false);
        assert_true(done ? st == CN_OK : st == CN_ENOMEM);
        cn_find_result_free(r);
        finder_close(f);
    }
    done = false;
    for (size_t at = 1; !done; at++) {
        cn_name_result *r = NULL;
        cn_memory_fail_at(at, false);
        const cn_status st = naming_run(s, &m, &(cn_name_options){.dry = true}, &r, NULL);
        done = cn_memory_count() < at;
        cn_memory_fail_at(0, false);
        assert_true(done ? st == CN_OK : st == CN_ENOMEM && !r);
        cn_name_result_free(r);
    }
    from.close(&from);
    cn_study_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_are_those_of_single_rows),
        cmocka_unit_test(the_strongest_pictures_are_sorted_and_ties_keep_their_order),
        cmocka_unit_test(scores_are_the_documented_formulas),
        cmocka_unit_test(labels_are_found_by_name_or_by_nearness),
        cmocka_unit_test(the_order_is_the_mean_of_reciprocal_ranks),
        cmocka_unit_test(what_is_missing_is_said),
        cmocka_unit_test(measuring_asks_for_every_label),
        cmocka_unit_test(a_picture_of_the_study_answers_as_it_did_there),
        cmocka_unit_test(names_are_the_best_words_of_one_half),
        cmocka_unit_test(names_are_measured_on_the_other_half),
        cmocka_unit_test(names_are_kept_and_replaced),
        cmocka_unit_test(names_that_fail_leave_the_study_alone),
        cmocka_unit_test(damaged_studies_are_refused_in_one_line),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };
    return cmocka_run_group_tests(tests, make_study, remove_study);
}
