/* Probes of an invented study, against sums made again from its matrix; their files; what is refused. */
#include "../study/fake.h"
#include "../study/tempdir.h"
#include "base/memory.h"
#include "clipneuron/array.h"
#include "clipneuron/objective.h"
#include "compose/probeparts.h"
#include "study/sample.h"

#include <math.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../clip/models.h"

enum { EACH = 60, IMAGES = 2 * EACH, UNITS = FAKE_UNITS };

static char *dir;
static float matrix[IMAGES][UNITS];
static char paths[IMAGES][64]; /* the first copy's */
static int stars[IMAGES];

/* Activations that stars (0 to 4) and chance make; unit 5 is constant. In the tables picture 7 is a copy of picture 2, another one with
 * as many stars of picture 3, one with other stars of picture 4. The column "size" has small classes: a (1 picture) to d (4), f (6), three
 * copies of a picture (g), two copies of two (h). */
static int make_study(void **state)
{
    (void)state;
    dir = tempdir_make();
    fake_collection(dir, EACH);
    fake_scan(dir, "study", &(cn_scan_options){.no_words = true}, NULL);
    sqlite3 *db;
    sqlite3_stmt *q;
    assert_int_equal(sqlite3_open(tempdir_path(dir, "study/study.sqlite"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "UPDATE images SET same_as = NULL; UPDATE images SET same_as = 2 WHERE id = 7;"
                                      "UPDATE images SET same_as = 3 WHERE id = (SELECT min(b.image) FROM fields a JOIN fields b ON a.image = 3"
                                      " AND b.image BETWEEN 10 AND 60 AND a.field = 'stars' AND b.field = 'stars' AND a.value = b.value);"
                                      "UPDATE images SET same_as = 4 WHERE id = (SELECT min(b.image) FROM fields a JOIN fields b ON a.image = 4"
                                      " AND b.image BETWEEN 10 AND 60 AND a.field = 'stars' AND b.field = 'stars' AND a.value <> b.value);"
                                      "INSERT INTO fields(image, field, value) SELECT id, 'size', substr('abbcccddddffffffggghhhh', id - 79, 1)"
                                      " FROM images WHERE id BETWEEN 80 AND 102;"
                                      "UPDATE images SET same_as = 96 WHERE id IN (97, 98); UPDATE images SET same_as = id - 2 WHERE id IN (101, 102)",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_prepare_v2(db,
                       "SELECT coalesce(f.path, i.path), x.value FROM images i LEFT JOIN images f ON f.id = i.same_as"
                       " JOIN fields x ON x.image = i.id AND x.field = 'stars' ORDER BY i.id",
                       -1, &q, NULL);
    for (int i = 0; i < IMAGES; i++) {
        assert_int_equal(sqlite3_step(q), SQLITE_ROW);
        snprintf(paths[i], sizeof paths[i], "%s", (const char *)sqlite3_column_text(q, 0));
        stars[i] = sqlite3_column_int(q, 1);
        for (int u = 0; u < UNITS; u++)
            matrix[i][u] = u == UNITS - 1 ? 0.25f
                                          : (float)(u + 1) * ((float)((i * 7919 + u * 104729) % 1009) / 500 - 1 + (stars[i] == u ? 2.0f : 0.0f)) - 3;
    }
    sqlite3_finalize(q);
    sqlite3_close(db);
    const int64_t shape[2] = {IMAGES, UNITS};
    assert_int_equal(cn_npy_write(tempdir_path(dir, "study/layer4.0.add.mean.npy"), CN_DTYPE_F32, 2, shape, matrix, NULL), CN_OK);
    return 0;
}

static int remove_study(void **state)
{
    (void)state;
    tempdir_remove(dir);
    return 0;
}

static cn_probe *fit(const cn_probe_options *o)
{
    cn_study *s;
    cn_probe *p = NULL;
    cn_error err = {0};
    if (cn_study_open(&s, tempdir_path(dir, "study"), &err) != CN_OK || cn_study_probe(s, NULL, o, &p, &err) != CN_OK)
        fail_msg("%s", err.text);
    cn_study_close(s);
    return p;
}

/* Takes the pictures of the image's class by their hashes, one after the other, until the share is full. */
static bool held_out(int image, uint64_t seed, double share)
{
    int64_t n = 0, held = 0;
    for (int i = 0; i < IMAGES; i++)
        n += stars[i] == stars[image];
    for (uint64_t last = 0, next;; last = next) {
        int64_t copies = 0;
        bool several = false;
        next = UINT64_MAX;
        for (int i = 0; i < IMAGES; i++)
            if (stars[i] == stars[image] && sample_key(seed, paths[i]) > last && sample_key(seed, paths[i]) < next)
                next = sample_key(seed, paths[i]);
        if (next == UINT64_MAX)
            return false;
        for (int i = 0; i < IMAGES; i++)
            if (sample_key(seed, paths[i]) == next) {
                copies++;
                several = several || stars[i] != stars[image];
            }
        if (several || held + copies > llround(share * (double)n))
            continue;
        held += copies;
        if (sample_key(seed, paths[image]) == next)
            return true;
    }
}

static const cn_probe_options by_stars = {.column = "stars", .units = 1.5, .seed = 5, .held_out = 0.3, .tolerance = 1e-5};

static void the_smallest_hashes_of_each_class_are_held_out(void **state)
{
    (void)state;
    cn_probe *p = fit(&by_stars);
    int64_t train = 0, of_class[5] = {0};
    for (int i = 0; i < IMAGES; i++) {
        train += !held_out(i, 5, 0.3);
        of_class[stars[i]] += held_out(i, 5, 0.3);
    }
    assert_string_equal(paths[7], paths[2]);
    assert_int_equal(p->train, train);
    assert_int_equal(p->test, IMAGES - train);
    assert_int_equal(p->n_classes, 5);
    int same = 0, other_stars = 0;
    for (int i = 0; i < IMAGES; i++) {
        same += i != 3 && strcmp(paths[i], paths[3]) == 0 && stars[i] == stars[3];
        if (i != 4 && strcmp(paths[i], paths[4]) == 0 && stars[i] != stars[4]) {
            other_stars++;
            for (uint64_t seed = 0; seed < 20; seed++) /* a picture of two classes only trains */
                assert_false(held_out(i, seed, 0.5) || held_out(4, seed, 0.5));
        }
    }
    assert_true(same == 1 && other_stars == 1);
    for (int k = 0; k < 5; k++) {
        const double all = (double)(p->classes[k].held_out + p->classes[k].train);
        assert_true(fabs((double)p->classes[k].held_out - 0.3 * all) <= 1.5); /* each class by itself */
        assert_int_equal(p->classes[k].held_out, of_class[k]);
        assert_int_equal(p->classes[k].name[0], '0' + k);
    }
    for (int u = 0; u < UNITS; u++) {
        double mean = 0, power = 0;
        for (int i = 0; i < IMAGES; i++)
            if (!held_out(i, 5, 0.3))
                mean += (double)matrix[i][u] / (double)train;
        for (int i = 0; i < IMAGES; i++)
            if (!held_out(i, 5, 0.3))
                power += pow((double)matrix[i][u] - mean, 2) / (double)train;
        assert_true(fabs(p->mean[u] - mean) < 1e-9 && fabs(p->sd[u] - sqrt(power)) < 1e-9);
    }
    cn_probe_free(p);
    cn_probe_options other = by_stars;
    other.seed = 6; /* others of the same number */
    p = fit(&other);
    int64_t again = 0;
    for (int i = 0; i < IMAGES; i++)
        again += !held_out(i, 6, 0.3);
    assert_int_equal(p->train, again);
    cn_probe_free(p);
}

static void small_classes_keep_enough_and_are_measured(void **state)
{
    (void)state;
    static const struct {
        double share;
        int64_t least, left, n;
        const char *names;
        int64_t train[7], held[7];
    } cases[] = {
        /* g is one picture three times and h two pictures twice: copies stay together */
        {0.25, 2, 1, 6, "bcdfgh", {2, 2, 3, 4, 3, 2}, {0, 1, 1, 2, 0, 2}},
        {0.9, 2, 1, 6, "bcdfgh", {2, 2, 2, 2, 3, 2}, {0, 1, 2, 4, 0, 2}},
        {0.25, 1, 0, 7, "abcdfgh", {1, 1, 2, 3, 4, 3, 2}, {0, 1, 1, 1, 2, 0, 2}},
        {0.01, 3, 2, 5, "cdfgh", {3, 3, 5, 3, 4}, {0, 1, 1, 0, 0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (uint64_t seed = 0; seed < 3; seed++) {
            cn_probe *p = fit(&(cn_probe_options){.column = "size", .seed = seed, .held_out = cases[i].share, .least = cases[i].least, .points = 3});
            assert_int_equal(p->n_classes, cases[i].n);
            assert_int_equal(p->left_classes, cases[i].left);
            for (size_t k = 0; k < p->n_classes; k++) {
                assert_int_equal(p->classes[k].name[0], cases[i].names[k]);
                if (p->classes[k].train != cases[i].train[k] || p->classes[k].held_out != cases[i].held[k])
                    fail_msg("case %zu, class %c: %d and %d", i, cases[i].names[k], (int)p->classes[k].train, (int)p->classes[k].held_out);
            }
            cn_probe_free(p);
        }
}

/* The objective and the conditions of optimality at the chosen point, from the matrix in double. */
static void weights_are_a_minimum_and_accuracies_are_counted(void **state)
{
    (void)state;
    for (int relu = 0; relu < 2; relu++) {
        cn_probe_options o = by_stars;
        o.relu = relu;
        o.mix = relu ? 0.6 : 1;
        cn_probe *p = fit(&o);
        const cn_probe_point *x = &p->points[p->chosen];
        double w[5][UNITS] = {{0}}, g[5][UNITS + 1] = {{0}}, loss = 0, penalty = 0, z[5];
        int64_t one = 0, units = 0;
        for (size_t t = 0; t < p->n_terms; t++)
            w[p->terms[t].class_index][p->terms[t].unit] = p->terms[t].weight;
        for (int i = 0; i < IMAGES; i++) {
            double sum = 0;
            bool first = true;
            cn_probe_logits(p, matrix[i], z);
            for (int k = 0; k < 5; k++) {
                sum += exp(z[k]);
                first = first && (k == stars[i] || z[k] < z[stars[i]]);
            }
            if (held_out(i, 5, 0.3)) {
                one += first;
                continue;
            }
            loss += (log(sum) - z[stars[i]]) / (double)p->train;
            for (int k = 0; k < 5; k++) {
                const double r = (exp(z[k]) / sum - (k == stars[i])) / (double)p->train;
                g[k][UNITS] += r;
                for (int u = 0; u < UNITS; u++)
                    g[k][u] += p->sd[u] == 0 ? 0 :  r * ((relu ? fmax(0, (double)matrix[i][u]) : (double)matrix[i][u]) - p->mean[u]) / p->sd[u];
            }
        }
        const double l1 = x->strength * p->mix, l2 = x->strength * (1 - p->mix);
        for (int k = 0; k < 5; k++) {
            assert_true(fabs(g[k][UNITS]) < 1e-4 * l1);
            for (int u = 0; u < UNITS; u++) {
                const double slope = g[k][u] + l2 * w[k][u];
                penalty += l1 * fabs(w[k][u]) + l2 / 2 * w[k][u] * w[k][u];
                const double off = w[k][u] > 0 ? fabs(slope + l1) : w[k][u] < 0 ? fabs(slope - l1) : fabs(slope) - l1;
                if (!(off <= 1e-3 * l1))
                    fail_msg("relu %d, class %d, unit %d: weight %g, slope %g, l1 %g", relu, k, u, w[k][u], slope, l1);
            }
        }
        for (int u = 0; u < UNITS; u++)
            units += w[0][u] != 0 || w[1][u] != 0 || w[2][u] != 0 || w[3][u] != 0 || w[4][u] != 0;
        assert_int_equal(x->units, units);
        assert_int_equal(x->weights, p->n_terms);
        assert_int_equal(x->top1.hits, one);
        assert_int_equal(x->top1.of, p->test);
        assert_int_equal(x->top5.hits, p->test); /* there are five classes */
        assert_true(fabs(loss - x->loss) < 1e-6 && fabs(loss + penalty - x->objective) < 1e-6 * x->objective);
        assert_true(p->sd[UNITS - 1] == 0 && w[0][UNITS - 1] == 0);
        for (size_t i = 1; i < p->n_points; i++)
            assert_true(p->points[i].strength < p->points[i - 1].strength);
        cn_probe_free(p);
    }
}

static void checks_set_the_units_to_their_mean(void **state)
{
    (void)state;
    cn_probe *p = fit(&by_stars);
    for (size_t k = 0; k < p->n_classes; k++) {
        const cn_probe_class *c = &p->classes[k];
        double predicted = 0, sum = 0, z[5], without[5];
        int64_t n = 0, before = 0, after = 0;
        for (size_t t = c->first; t < c->first + c->n; t++) {
            const int64_t u = p->terms[t].unit;
            double level = 0;
            for (int i = 0; i < IMAGES; i++)
                if (stars[i] == (int)k && !held_out(i, 5, 0.3))
                    level += ((double)matrix[i][u] - p->mean[u]) / p->sd[u] / (double)c->train;
            assert_true(fabs(level - p->terms[t].level) < 1e-5);
            predicted -= p->terms[t].weight * level;
            assert_true(t == c->first || fabs(p->terms[t].weight) <= fabs(p->terms[t - 1].weight));
        }
        for (int i = 0; i < IMAGES; i++) {
            if (stars[i] != (int)k || !held_out(i, 5, 0.3))
                continue;
            float off[UNITS];
            memcpy(off, matrix[i], sizeof off);
            for (size_t t = c->first; t < c->first + c->n; t++)
                off[p->terms[t].unit] = (float)p->mean[p->terms[t].unit];
            cn_probe_logits(p, matrix[i], z);
            cn_probe_logits(p, off, without);
            sum += without[k] - z[k];
            bool a = true, b = true;
            for (size_t l = 0; l < 5; l++)
                a = a && (l == k || z[l] < z[k]), b = b && (l == k || without[l] < without[k]);
            before += a, after += b;
            n++;
        }
        assert_true(fabs(c->check.predicted - predicted) < 1e-4);
        assert_true(fabs(c->check.measured - sum / (double)n) < 1e-4);
        assert_true(c->n == 0 || (c->check.low <= c->check.measured && c->check.measured <= c->check.high));
        assert_int_equal(c->check.before.hits, before);
        assert_int_equal(c->check.after.hits, after);
        assert_int_equal(c->check.pictures, n);
    }
    cn_probe_free(p);
}

static void files_give_the_probe_back(void **state)
{
    (void)state;
    cn_probe *p = fit(&by_stars), *q = NULL;
    cn_error err = {0};
    const char *path = tempdir_path(dir, "probe.npz");
    if (cn_probe_save(p, path, &err) != CN_OK || cn_probe_load(&q, path, &err) != CN_OK)
        fail_msg("%s", err.text);
    assert_int_equal(q->n_classes, p->n_classes);
    assert_int_equal(q->n_terms, p->n_terms);
    assert_int_equal(q->n_points, p->n_points);
    assert_int_equal(q->chosen, p->chosen);
    assert_int_equal(q->seed, 5);
    assert_string_equal(q->column, "stars");
    assert_string_equal(q->fingerprint, "f00d");
    double a[5], b[5];
    for (int i = 0; i < IMAGES; i++) {
        cn_probe_logits(p, matrix[i], a);
        cn_probe_logits(q, matrix[i], b);
        assert_memory_equal(a, b, sizeof a);
    }
    for (size_t t = 0; t < p->n_terms; t++) {
        assert_string_equal(p->terms[t].name, q->terms[t].name);
        assert_true(p->terms[t].level == q->terms[t].level && fabs(p->terms[t].share - q->terms[t].share) < 1e-12);
    }
    assert_true(q->points[2].top1.low == p->points[2].top1.low);
    /* the direction of a class is its logit but for a constant */
    cn_arrays *file;
    assert_int_equal(cn_probe_write_direction(p, 1, tempdir_path(dir, "d.npy"), NULL), CN_OK);
    assert_int_equal(cn_arrays_open(&file, tempdir_path(dir, "d.npy"), NULL), CN_OK);
    double difference[2];
    for (int i = 0; i < 2; i++) {
        cn_probe_logits(p, matrix[i], a);
        difference[i] = a[1];
        for (int u = 0; u < UNITS; u++) {
            float d;
            memcpy(&d, (const char *)cn_arrays_at(file, 0)->data + 4 * u, 4);
            difference[i] -= (double)d * (double)matrix[i][u];
        }
    }
    assert_true(fabs(difference[0] - difference[1]) < 1e-4);
    cn_arrays_close(file);
    cn_probe_free(q);

    /* damage anywhere is refused or harmless */
    size_t size;
    char *bytes = tempdir_read(path, &size);
    int refused = 0;
    for (size_t at = 0; at < size; at += 61) {
        const char kept = bytes[at];
        bytes[at] = (char)(kept ^ 0xa5);
        tempdir_write(dir, "damaged.npz", bytes, size);
        bytes[at] = kept;
        const cn_status st = cn_probe_load(&q, tempdir_path(dir, "damaged.npz"), NULL);
        assert_true(st == CN_OK || !q);
        refused += st != CN_OK;
        if (st == CN_OK)
            cn_probe_logits(q, matrix[0], (double[CN_MAX_PROBE_CLASSES]){0});
        cn_probe_free(q);
    }
    assert_true(refused > 0);
    free(bytes);
    cn_probe_free(p);
}

/* ---- classes as objectives ---- */

enum { SEEN_UNITS = 512, SEEN = 2, SIDE = 64, PIXELS = 3 * SIDE * SIDE };

/* Three classes on the last sum of a small ResNet, the third without an equation; units 3, 7, 500 and 501. */
static void write_probe(const cn_model *m, bool relu, const char *path, const char *direction, cn_probe *out)
{
    static double mean[SEEN_UNITS], sd[SEEN_UNITS];
    static char fingerprint[65];
    static cn_probe_class classes[] = {{.name = "ant", .intercept = 0.5, .first = 0, .n = 1}, {.name = "Spider", .intercept = -1.25, .first = 1, .n = 4}, {.name = "fly"}};
    static cn_probe_term terms[] = {{.class_index = 0, .unit = 3, .weight = 1, .name = "a"},     {.class_index = 1, .unit = 3, .weight = 0.75, .name = "a"},
                                    {.class_index = 1, .unit = 7, .weight = -0.5, .name = "b"}, {.class_index = 1, .unit = 500, .weight = 0.375, .name = "c"},
                                    {.class_index = 1, .unit = 501, .weight = 0.3, .name = "d"}};
    static cn_probe_point point = {.strength = 0.1};
    cn_error err = {0};
    for (int u = 0; u < SEEN_UNITS; u++)
        mean[u] = 0.01 * u - 1, sd[u] = 0.5 + 0.001 * u;
    assert_int_equal(cn_model_fingerprint(m, fingerprint, &err), CN_OK);
    *out = (cn_probe){.model_name = "", .fingerprint = fingerprint, .site = site_of(m, "layer4.add")->name, .column = "label", .collection = "",
                      .created = "", .relu = relu, .units = SEEN_UNITS, .mean = mean, .sd = sd, .classes = classes, .n_classes = 3, .terms = terms,
                      .n_terms = sizeof terms / sizeof *terms, .points = &point, .n_points = 1};
    assert_int_equal(site_of(m, "layer4.add")->units, SEEN_UNITS);
    if (cn_probe_save(out, path, &err) != CN_OK || (direction && cn_probe_write_direction(out, 1, direction, &err) != CN_OK))
        fail_msg("%s", err.text);
}

/* Values and gradients of an expression; means of its site (SEEN, SEEN_UNITS) too unless NULL. */
static void evaluate(const cn_model *m, const char *expression, const float *pixels, float *values, float *gradient, float *means)
{
    cn_error err = {0};
    cn_objective *o = NULL;
    cn_runner *r = NULL;
    cn_runner_options options = {.batch = SEEN, .threads = 2};
    int64_t height, width;
    if (cn_objective_parse(&o, m, expression, 1, &err) != CN_OK)
        fail_msg("%s: %s", expression, err.text);
    cn_objective_needs(o, &options);
    if (cn_runner_create(&r, m, &options, &err) != CN_OK || cn_runner_images(r, pixels, SEEN, &err) != CN_OK ||
        cn_objective_evaluate(o, r, pixels, SEEN, values, gradient, false, &err) != CN_OK)
        fail_msg("%s: %s", expression, err.text);
    cn_runner_site_size(r, site_of(m, "layer4.add"), &height, &width);
    for (int64_t i = 0; means && i < SEEN * SEEN_UNITS; i++) {
        double sum = 0;
        for (int64_t k = 0; k < height * width; k++)
            sum += (double)cn_runner_site(r, 0)[i * height * width + k];
        means[i] = (float)(sum / (double)(height * width));
    }
    cn_runner_free(r);
    cn_objective_free(o);
}

static void a_class_is_an_objective(void **state)
{
    (void)state;
    cn_model *m = open_named("rn-small");
    cn_probe p;
    char path[512], direction[512], expression[1200];
    static float pixels[SEEN * PIXELS], gradient[SEEN * PIXELS], other[SEEN * PIXELS], means[SEEN * SEEN_UNITS];
    float values[SEEN], same[SEEN];
    double logits[3];
    snprintf(path, sizeof path, "%s", tempdir_path(dir, "class.npz"));
    snprintf(direction, sizeof direction, "%s", tempdir_path(dir, "class.npy"));
    write_probe(m, false, path, direction, &p);
    for (int i = 0; i < SEEN * PIXELS; i++)
        pixels[i] = (float)(i * 7919 % 10007) / 5000 - 1;

    /* the same derivatives as its direction's, bit for bit; its value is the logit */
    snprintf(expression, sizeof expression, "2*logit:\"spider\"@%s", path);
    evaluate(m, expression, pixels, values, gradient, means);
    snprintf(expression, sizeof expression, "2*layer4.add:%s", direction);
    evaluate(m, expression, pixels, same, other, NULL);
    assert_memory_equal(gradient, other, sizeof gradient);
    for (int i = 0; i < SEEN; i++) {
        cn_probe_logits(&p, means + i * SEEN_UNITS, logits);
        if (!(fabs((double)values[i] - 2 * logits[1]) < 1e-4) || fabs((double)(values[i] - same[i])) < 0.1)
            fail_msg("image %d: %g, the logit is %g", i, (double)values[i], logits[1]);
    }
    snprintf(expression, sizeof expression, "l2 - logit:\"ant\"@\"%s\" + tv", path);
    evaluate(m, expression, pixels, values, NULL, NULL);
    evaluate(m, "l2 + tv", pixels, same, NULL, NULL);
    cn_probe_logits(&p, means, logits);
    assert_true(fabs((double)(same[0] - values[0]) - logits[0]) < 1e-4);

    /* behind ReLUs: only units that are on have a derivative */
    write_probe(m, true, path, NULL, &p);
    snprintf(expression, sizeof expression, "logit:\"Spider\"@%s", path);
    evaluate(m, expression, pixels, values, gradient, means);
    size_t at = 0, on = 0, off = 0;
    for (size_t t = 1; t < 5; t++) {
        const bool positive = means[p.terms[t].unit] > 0;
        assert_true(positive == (means[SEEN_UNITS + p.terms[t].unit] > 0)); /* so that one expression holds for both images */
        on += positive, off += !positive;
        if (positive)
            at += (size_t)snprintf(expression + at, sizeof expression - at, "%s %.17g*layer4.add:%d", p.terms[t].weight < 0 ? " -" : at ? " +" : "",
                                   fabs(p.terms[t].weight) / p.sd[p.terms[t].unit], (int)p.terms[t].unit);
    }
    assert_true(on && off);
    evaluate(m, expression, pixels, same, other, NULL);
    for (int i = 0; i < SEEN * PIXELS; i++)
        assert_true(fabsf(gradient[i] - other[i]) <= 1e-5f + 1e-4f * fabsf(other[i]));
    for (int i = 0; i < SEEN; i++) {
        cn_probe_logits(&p, means + i * SEEN_UNITS, logits);
        assert_true(fabs((double)values[i] - logits[1]) < 1e-4);
    }
    cn_model_close(m);
}

static void classes_that_cannot_be_objectives_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *expression, *says; /* %s: the probe's file */
        cn_status status;
    } cases[] = {
        {"logit:\"spyder\"@%s", "the probe has no class \"spyder\"; nearest of 3: \"Spider\", ", CN_ENOTFOUND},
        {"logit:\"fly\"@%s", "no unit in its equation", CN_EINVAL},
        {"logit:\"ant\"@%s.none", "class.npz.none", CN_ENOTFOUND},
        {"logit:\"ant\"@ + l2 - %s", "the file of a probe is wanted at 13", CN_EINVAL},
        {"logit:\"ant\"@\"%s", "no closing quote", CN_EINVAL},
        {"text:\"ant\"@%s", "logit:\"...\"@FILE.npz", CN_EINVAL},
    };
    cn_model *m = open_named("rn-small"), *vit = open_named("vit-small");
    cn_objective *o;
    cn_probe p;
    char path[512], expression[1200];
    cn_error err = {0};
    snprintf(path, sizeof path, "%s", tempdir_path(dir, "class.npz"));
    write_probe(m, false, path, NULL, &p);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(expression, sizeof expression, cases[i].expression, path);
        err = (cn_error){0};
        const cn_status st = cn_objective_parse(&o, m, expression, 1, &err);
        if (st != cases[i].status || o || !strstr(err.text, cases[i].says) || strchr(err.text, '\n'))
            fail_msg("%s: %d: %s", expression, (int)st, err.text);
    }
    snprintf(expression, sizeof expression, "logit:\"ant\"@%s", path);
    err = (cn_error){0};
    assert_int_equal(cn_objective_parse(&o, vit, expression, 1, &err), CN_EMISMATCH);
    assert_non_null(strstr(err.text, "another model"));

    /* damage anywhere is refused or harmless; memory may run out anywhere */
    size_t size, refused = 0;
    char *bytes = tempdir_read(path, &size);
    snprintf(expression, sizeof expression, "logit:\"ant\"@%s", tempdir_path(dir, "damaged.npz"));
    for (size_t at = 0; at < size; at += 37) {
        const char kept = bytes[at];
        bytes[at] = (char)(kept ^ 0xa5);
        tempdir_write(dir, "damaged.npz", bytes, size);
        bytes[at] = kept;
        const cn_status st = cn_objective_parse(&o, m, expression, 1, NULL);
        assert_true(st == CN_OK || !o);
        refused += st != CN_OK;
        cn_objective_free(o);
    }
    assert_true(refused > 0);
    bool done = false;
    tempdir_write(dir, "damaged.npz", bytes, size);
    for (size_t at = 1; !done; at++) {
        cn_memory_fail_at(at, false);
        const cn_status st = cn_objective_parse(&o, m, expression, 1, NULL);
        done = cn_memory_count() < at;
        cn_memory_fail_at(0, false);
        assert_true(done ? st == CN_OK : st == CN_ENOMEM && !o);
        cn_objective_free(o);
    }
    free(bytes);
    cn_model_close(m);
    cn_model_close(vit);
}

/* Where the numbers of an array begin in a .npz that stores them plainly. */
static size_t numbers_of(const char *bytes, size_t size, const char *array)
{
    char name[40];
    snprintf(name, sizeof name, "%s.npy\x93NUMPY", array);
    const char *at = memmem(bytes, size, name, strlen(name));
    assert_non_null(at);
    at += strlen(name) - 6;
    return (size_t)(at - bytes) + 10 + (uint8_t)at[8] + 256 * (size_t)(uint8_t)at[9];
}

static void hostile_probes_are_refused_in_one_line(void **state)
{
    static const double nan_ = NAN, minus = -1, million = 1e6, two = 2;
    static const int32_t far = 1 << 20, below = -1;
    static const struct {
        const char *array;
        size_t offset;
        const void *data;
        size_t size;
        const char *says;
    } cases[] = {
        {"settings", 0, &two, 8, "a probe of format 2; this program reads 1"},
        {"settings", 8 * 8, &minus, 8, "the probe is damaged: its settings"},
        {"settings", 13 * 8, &million, 8, "the probe is damaged: its points"},
        {"points", 8, &nan_, 8, "the probe is damaged: its points"},
        {"intercept", 8, &nan_, 8, "the probe is damaged: class 1"},
        {"class", 4, &below, 4, "the probe is damaged: weight 1"},
        {"unit", 0, &far, 4, "the probe is damaged: weight 0"},
        {"weight", 8, &nan_, 8, "the probe is damaged: weight 1"},
        {"sd", 8, &minus, 8, "the probe is damaged: unit 1"},
        {"class_names", 0, "\0\0\0\0\0\0\0", 8, "the probe is damaged: the array class_names has more than 5 texts"},
    };
    (void)state;
    size_t size;
    char *bytes = tempdir_read(CN_TEST_DATA "/../fuzz/corpus/probe/small.npz", &size), *copy = malloc(size), says[600];
    const char *path = tempdir_path(dir, "hostile.npz");
    assert_non_null(copy);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cn_probe *q;
        cn_error err = {0};
        memcpy(copy, bytes, size);
        memcpy(copy + numbers_of(bytes, size, cases[i].array) + cases[i].offset, cases[i].data, cases[i].size);
        tempdir_write(dir, "hostile.npz", copy, size);
        assert_true(cn_probe_load(&q, path, &err) != CN_OK && !q);
        snprintf(says, sizeof says, "%s: %s", path, cases[i].says);
        assert_string_equal(err.text, says);
    }
    free(copy);
    free(bytes);
}

static void what_cannot_be_probed_is_refused_in_one_line(void **state)
{
    (void)state;
    static const struct {
        cn_probe_options o;
        cn_status status;
        const char *says;
    } cases[] = {
        {{.column = "moons"}, CN_ENOTFOUND, "no column \"moons\"; it has label, medium, size, stars"},
        {{.site = 9}, CN_EINVAL, "site 9: the study has 3"},
        {{.mix = 1.5}, CN_EINVAL, "from 0.01 to 1"},
        {{.held_out = 1}, CN_EINVAL, "between 0 and 1"},
        {{.units = -1}, CN_EINVAL, "units a class"},
        {{.units = 4, .most_units = 2}, CN_EINVAL, "before the 4"},
        {{.points = 1000}, CN_EINVAL, "1000 points"},
        {{.tolerance = 1}, CN_EINVAL, "tolerance"},
        {{.least = 1000}, CN_EINVAL, "a probe needs two"},
    };
    cn_study *s;
    assert_int_equal(cn_study_open(&s, tempdir_path(dir, "study"), NULL), CN_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cn_probe *p;
        cn_error err = {0};
        const cn_status st = cn_study_probe(s, NULL, &cases[i].o, &p, &err);
        if (st != cases[i].status || !strstr(err.text, cases[i].says) || p)
            fail_msg("case %zu: %d: %s", i, (int)st, err.text);
    }
    cn_study_close(s);
    matrix[3][1] = NAN; /* a damaged matrix */
    const int64_t shape[2] = {IMAGES, UNITS};
    cn_probe *p;
    cn_error err = {0};
    fake_scan(dir, "damaged", NULL, NULL);
    assert_int_equal(cn_npy_write(tempdir_path(dir, "damaged/layer4.0.add.mean.npy"), CN_DTYPE_F32, 2, shape, matrix, NULL), CN_OK);
    matrix[3][1] = 0;
    assert_int_equal(cn_study_open(&s, tempdir_path(dir, "damaged"), NULL), CN_OK);
    assert_int_equal(cn_study_probe(s, NULL, &by_stars, &p, &err), CN_EFORMAT);
    assert_non_null(strstr(err.text, "layer4.0.add.mean.npy: the study is damaged: row 3"));
    cn_study_close(s);
}

static void memory_may_run_out_anywhere(void **state)
{
    (void)state;
    cn_study *s;
    bool done = false;
    cn_probe_options o = by_stars;
    o.threads = 1;
    o.points = 2;
    assert_int_equal(cn_study_open(&s, tempdir_path(dir, "study"), NULL), CN_OK);
    for (size_t at = 1; !done; at += at < 200 ? 1 : 17) {
        cn_probe *p = NULL;
        cn_memory_fail_at(at, false);
        const cn_status st = cn_study_probe(s, NULL, &o, &p, NULL);
        done = cn_memory_count() < at;
        cn_memory_fail_at(0, false);
        assert_true(done ? st == CN_OK : st == CN_ENOMEM && !p);
        cn_probe_free(p);
    }
    cn_study_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_smallest_hashes_of_each_class_are_held_out),
        cmocka_unit_test(small_classes_keep_enough_and_are_measured),
        cmocka_unit_test(weights_are_a_minimum_and_accuracies_are_counted),
        cmocka_unit_test(checks_set_the_units_to_their_mean),
        cmocka_unit_test(files_give_the_probe_back),
        cmocka_unit_test(a_class_is_an_objective),
        cmocka_unit_test(classes_that_cannot_be_objectives_are_refused),
        cmocka_unit_test(hostile_probes_are_refused_in_one_line),
        cmocka_unit_test(memory_may_run_out_anywhere),
        cmocka_unit_test(what_cannot_be_probed_is_refused_in_one_line),
    };
    return cmocka_run_group_tests(tests, make_study, remove_study);
}
