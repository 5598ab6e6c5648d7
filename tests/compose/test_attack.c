/* Attacks and defences on the default model and a few demo pictures: every count against one made step by step from the public calls. */
#include "clipneuron/attack.h"
#include "clipneuron/image.h"
#include "clipneuron/linear.h"
#include "clipneuron/model.h"
#include "clipneuron/study.h"
#include "clipneuron/textsee.h"
#include "compose/attackset.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../study/tempdir.h"
#include "../tarball.h"

#define PICTURES CN_SOURCE_DIR "/models/demo-pictures.tar"

static cn_model *model;
static const cn_attack_target targets[] = {{"hamburger", NULL}, {"balloon", "balloon"}};
static const char *const classes[] = {"hamburger", "balloon", "airplane", "cat", "red", "skull", "cloud", "key"};
static cn_attack_options settings = {.classes = classes,
                                     .n_classes = 8,
                                     .lettering = {.layout = CN_LETTERING_LABEL, .size = 90, .x = 0.5, .y = 0.75},
                                     .images = 20,
                                     .threads = 1, /* beside other tests; OpenMP would spin */
                                     .batch = 8};
static char folder[64];

static int begin(void **state)
{
    cn_error err = {0};
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/clipneuron-attack-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    return cn_model_open(&model, CN_SOURCE_DIR "/models/specimen.safetensors", NULL, &err) == CN_OK ? 0 : -1;
}

static int end(void **state)
{
    char path[128];
    (void)state;
    cn_model_close(model);
    snprintf(path, sizeof path, "%s/log.jsonl", folder);
    (void)unlink(path);
    return rmdir(folder);
}

static cn_attack_table *attack(const char *log, const cn_attack_options *o)
{
    cn_error err = {0};
    cn_attack_table *t = NULL;
    if (cn_attack_run(&t, model, PICTURES, targets, 2, log, o, &err) != CN_OK)
        fail_msg("%s", err.text);
    return t;
}

static void same_table(const cn_attack_table *a, const cn_attack_table *b)
{
    assert_int_equal(a->n_rows, b->n_rows);
    for (size_t i = 0; i < a->n_rows; i++) {
        assert_true(a->rows[i].pixels == b->rows[i].pixels);
        for (size_t p = 0; p < a->n_prompts; p++) {
            assert_memory_equal(&a->rows[i].success[p], &b->rows[i].success[p], sizeof(cn_share));
            assert_memory_equal(&a->rows[i].before[p], &b->rows[i].before[p], sizeof(cn_share));
            assert_int_equal(a->rows[i].kept[p].hits, b->rows[i].kept[p].hits);
        }
    }
}

/* From probabilities of pictures that are drawn one by one. */
static void success_is_what_single_pictures_say(void **state)
{
    (void)state;
    cn_error err = {0};
    attack_set s = {0};
    settings.images = 8;
    cn_attack_table *t = attack(NULL, &settings);
    assert_int_equal(t->images, 8);
    assert_int_equal(t->n_classes, 8);
    assert_int_equal(attack_set_open(&s, model, PICTURES, NULL, 0, false, NULL, &settings, &err), CN_OK);
    assert_int_equal(s.n, 8);
    for (size_t i = 0; i < 2; i++) {
        int64_t hits[3] = {0}, before[3] = {0}, of = 0, changed = 0;
        static uint8_t rgb[2 * 8][96 * 96 * 3];
        static double all[2 * 8][3][8];
        int64_t px[8];
        for (int64_t k = 0; k < s.n; k++) {
            memcpy(rgb[k], attack_rgb(&s, k), sizeof rgb[k]);
            memcpy(rgb[8 + k], rgb[k], sizeof rgb[k]);
            assert_int_equal(cn_lettering_draw(rgb[8 + k], 96, 96, classes[i], &settings.lettering, &px[k], NULL), CN_OK);
        }
        assert_int_equal(cn_attack_probabilities(model, rgb[0], 16, classes[i], &settings, &all[0][0][0], &err), CN_OK);
        for (int64_t k = 0; k < s.n; k++) {
            changed += px[k];
            if (s.pictures[k].label == (int)i)
                continue;
            of++;
            for (int q = 0; q < 3; q++) {
                double sum = 0;
                int best[2] = {0, 0};
                for (int c = 0; c < 8; c++) {
                    sum += all[8 + k][q][c];
                    for (int w = 0; w < 2; w++)
                        best[w] = all[8 * w + k][q][c] > all[8 * w + k][q][best[w]] ? c : best[w];
                }
                assert_true(fabs(sum - 1) < 1e-9);
                hits[q] += best[1] == (int)i;
                before[q] += best[0] == (int)i;
            }
        }
        assert_true(fabs(t->rows[i].pixels - (double)changed / (8 * 96 * 96)) < 1e-12);
        for (int q = 0; q < 3; q++) {
            assert_int_equal(t->rows[i].success[q].of, of);
            assert_int_equal(t->rows[i].success[q].hits, hits[q]);
            assert_int_equal(t->rows[i].before[q].hits, before[q]);
        }
    }
    /* With eight classes one of the two words succeeds more often than not, whatever trained model it is. */
    assert_true(t->rows[0].success[0].share > 0.5 || t->rows[1].success[0].share > 0.5);
    settings.images = 20;
    attack_set_close(&s);
    cn_attack_table_free(t);
}

/* An archive of two pictures of one colour each, in a folder that names their label. */
static void pack(const char *dir, const char *archive, const char *label, uint8_t shade)
{
    uint8_t rgb[16 * 16 * 3];
    char names[2][64], *bytes[2];
    struct member members[2] = {0};
    for (int i = 0; i < 2; i++) {
        memset(rgb, shade + i, sizeof rgb);
        assert_int_equal(cn_png_write(tempdir_path(dir, "one.png"), rgb, 16, 16, 3, NULL, 0, NULL), CN_OK);
        snprintf(names[i], sizeof names[i], "pictures/%s/%d.png", label, i);
        members[i].name = names[i];
        members[i].data = bytes[i] = tempdir_read(tempdir_path(dir, "one.png"), &members[i].size);
    }
    assert_true(write_archive(tempdir_path(dir, archive), ARCHIVE_FORMAT_TAR_USTAR, ARCHIVE_FILTER_NONE, members, 2));
    free(bytes[0]);
    free(bytes[1]);
}

/* The pictures of a study, as an attack finds them: "cat cat dog dog". */
static void finds(const char *study, int64_t n, size_t n_classes)
{
    cn_error err = {0};
    attack_set s = {0};
    const cn_attack_options o = {.images = 100, .threads = 1, .batch = 4};
    if (attack_set_open(&s, model, study, NULL, 0, false, NULL, &o, &err) != CN_OK)
        fail_msg("%s", err.text);
    assert_int_equal(s.n, n);
    assert_int_equal(s.n_classes, n_classes);
    int of[2] = {0};
    for (int64_t i = 0; i < s.n; i++) {
        assert_in_range(s.pictures[i].label, 0, 1);
        assert_non_null(strstr(s.pictures[i].path, s.classes[s.pictures[i].label]));
        of[s.pictures[i].label]++;
    }
    assert_int_equal(of[0], of[1]);
    attack_set_close(&s);
}

static void a_study_of_several_archives_is_read_again_whole(void **state)
{
    (void)state;
    cn_error err = {0};
    attack_set s = {0};
    char *dir = tempdir_make();
    pack(dir, "a.tar", "cat", 10);
    pack(dir, "b.tar", "dog", 200);
    char study[256], a[256], b[256];
    snprintf(study, sizeof study, "%s/study", dir);
    snprintf(a, sizeof a, "%s/a.tar", dir);
    snprintf(b, sizeof b, "%s/b.tar", dir);
    const char *const more[] = {b};
    cn_scan_options scan = {.more_images = more, .n_more_images = 1, .no_words = true, .no_matrices = true, .threads = 1, .decode_threads = 1};
    if (cn_study_scan(model, a, study, &scan, NULL, &err) != CN_OK)
        fail_msg("%s", err.text);
    finds(study, 4, 2);
    /* The same by a name with braces. */
    char braces[256], other[256];
    snprintf(braces, sizeof braces, "%s/{a,b}.tar", dir);
    snprintf(other, sizeof other, "%s/other", dir);
    scan.more_images = NULL, scan.n_more_images = 0;
    if (cn_study_scan(model, braces, other, &scan, NULL, &err) != CN_OK)
        fail_msg("%s", err.text);
    finds(other, 4, 2);
    /* One that is gone is named. */
    assert_int_equal(unlink(b), 0);
    assert_int_equal(attack_set_open(&s, model, study, NULL, 0, false, NULL, &(cn_attack_options){.threads = 1}, &err), CN_ENOTFOUND);
    assert_non_null(strstr(err.text, "/b.tar any longer"));
    attack_set_close(&s);
    tempdir_remove(dir);
}

static void wilson_is_wilsons(void **state)
{
    (void)state;
    const cn_share s = attack_share(25, 34); /* by hand: the paper's 25 of 34 */
    assert_true(fabs(s.share - 0.7352941) < 1e-6 && fabs(s.low - 0.568770) < 1e-4 && fabs(s.high - 0.854019) < 1e-4);
    assert_true(isnan(attack_share(0, 0).share));
    assert_true(attack_share(0, 10).low == 0 && attack_share(10, 10).high == 1);
}

static void prompts_are_filled(void **state)
{
    (void)state;
    static const struct {
        const char *prompt, *name, *text, *is;
    } cases[] = {{"{}", "cat", NULL, "cat"},
                 {"a {} saying {text}, {}", "cat", "iPod", "a cat saying iPod, cat"},
                 {"{text}{}", "a", "b", "ba"},
                 {"{} {text}", "a", NULL, "a {text}"},
                 {"{ } {x}{}", "{}", "t", "{ } {x}{}"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *is = attack_fill(cases[i].prompt, cases[i].name, cases[i].text);
        assert_string_equal(is, cases[i].is);
        bag b = {0};
        assert_string_equal(bag_text(&b, is), cases[i].is);
        bag_free(&b);
        free(is);
    }
}

static void batches_and_threads_do_not_matter(void **state)
{
    (void)state;
    cn_attack_options o = settings;
    cn_attack_table *a = attack(NULL, &settings);
    o.batch = 3;
    o.threads = 2;
    cn_attack_table *b = attack(NULL, &o);
    same_table(a, b);
    cn_attack_table_free(a);
    cn_attack_table_free(b);
}

static bool stop_soon(const char *what, int64_t done, int64_t total, void *user)
{
    (void)total, (void)user;
    return strcmp(what, "attacking") != 0 || done < 5;
}

static void append(const char *path, const char *text)
{
    FILE *f = fopen(path, "a");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void a_log_goes_on_where_it_stopped(void **state)
{
    (void)state;
    char path[128];
    cn_error err = {0};
    cn_attack_table *t = NULL;
    cn_attack_options o = settings;
    snprintf(path, sizeof path, "%s/log.jsonl", folder);
    o.progress = stop_soon;
    assert_int_equal(cn_attack_run(&t, model, PICTURES, targets, 2, path, &o, &err), CN_ECANCELED);
    assert_null(t);
    append(path, "{\"image\": \"cut o"); /* as a crash leaves it */
    cn_attack_table *fresh = attack(NULL, &settings), *resumed = attack(path, &settings), *again = attack(path, &settings);
    assert_true(resumed->resumed >= 4 && resumed->resumed < 20);
    assert_int_equal(again->resumed, 20);
    same_table(fresh, resumed);
    same_table(fresh, again);
    cn_attack_table_free(fresh);
    cn_attack_table_free(resumed);
    cn_attack_table_free(again);
    o = settings;
    o.lettering.size = 60;
    err = (cn_error){0};
    assert_int_equal(cn_attack_run(&t, model, PICTURES, targets, 2, path, &o, &err), CN_EMISMATCH);
    assert_non_null(strstr(err.text, "log.jsonl: a log of other settings"));
    static const char *const damage[] = {"{\"key\": \"00\", \"changed\": [1, 2], \"answers\": [0]}\n", "nonsense\n",
                                         "{\"key\": \"00\", \"changed\": [1, 99999999], \"answers\": [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]}\n",
                                         "{\"key\": \"00\", \"changed\": [1, 2], \"answers\": [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0]}\n", "{}\n"};
    settings.images = 2;
    (void)unlink(path);
    t = attack(path, &settings);
    cn_attack_table_free(t);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        assert_int_equal(truncate(path, info.st_size), 0);
        append(path, damage[i]);
        err = (cn_error){0};
        assert_int_equal(cn_attack_run(&t, model, PICTURES, targets, 2, path, &settings, &err), CN_EFORMAT);
        assert_null(t);
        assert_non_null(strstr(err.text, "log.jsonl"));
    }
    settings.images = 20;
    (void)unlink(path);
    append(path, "some other file\n");
    assert_int_equal(cn_attack_run(&t, model, PICTURES, targets, 2, path, &settings, NULL), CN_EFORMAT);
    (void)unlink(path);
}

/* The pool of the default model is an average, so a unit that is removed is a component of the embedding that is 0. */
static void removing_a_unit_is_a_zero_in_the_embedding(void **state)
{
    (void)state;
    cn_error err = {0};
    cn_defence_result *r = NULL;
    const int64_t steps[] = {0, 1, 3};
    attack_set s = {0};
    const float *const *vectors;
    cn_attack_options o = settings;
    o.images = 24;
    assert_int_equal(cn_attack_defend(&r, model, PICTURES, targets, 2, steps, 3, &o, &err), CN_OK);
    assert_int_equal(r->images, 12);
    assert_int_equal(r->fitted, 12);
    assert_true(fabs(r->linear - 1) < 1e-4);
    assert_int_equal(r->n_steps[CN_DEFENCE_KNOWN], 3);
    assert_true(r->known[0].push >= r->known[1].push && r->known[0].low <= r->known[0].push);
    assert_int_equal(attack_set_open(&s, model, PICTURES, NULL, 0, false, NULL, &o, &err), CN_OK);
    assert_int_equal(attack_vectors(&s, &s.memory, "x", &vectors, &err), CN_OK);
    for (int k = 0; k < 3; k++) {
        int64_t hits = 0, of = 0, clean = 0, labelled = 0;
        for (int64_t i = 12; i < 24; i++)
            for (int t = -1; t < 2; t++) {
                static uint8_t rgb[96 * 96 * 3];
                static float e[1024];
                memcpy(rgb, attack_rgb(&s, i), sizeof rgb);
                if (t >= 0)
                    assert_int_equal(cn_lettering_draw(rgb, 96, 96, classes[t], &o.lettering, NULL, NULL), CN_OK);
                assert_int_equal(attack_embed(&s, rgb, 1, e, &err), CN_OK);
                for (int64_t u = 0; u < steps[k]; u++)
                    e[r->known[u].unit] = 0;
                const int answer = attack_answer(e, vectors[0], 8, 1024), label = s.pictures[i].label;
                if (t < 0)
                    clean += label >= 0 && answer == label, labelled += label >= 0;
                else if (label != t)
                    hits += answer == t, of++;
            }
        const cn_defence_step *is = &r->steps[CN_DEFENCE_KNOWN][k];
        assert_int_equal(is->removed, steps[k]);
        assert_int_equal(is->success.hits, hits);
        assert_int_equal(is->success.of, of);
        assert_int_equal(is->clean.hits, clean);
        assert_int_equal(is->clean.of, labelled);
    }
    for (int k = 0; k < CN_DEFENCE_KINDS; k++) /* nothing removed is nothing removed */
        assert_int_equal(r->steps[k][0].success.hits, r->prompt[0].success.hits);
    assert_true(r->steps[CN_DEFENCE_KNOWN][2].success.hits < r->steps[CN_DEFENCE_KNOWN][0].success.hits);
    cn_defence_free(r);
    const int64_t falling[] = {0, 3, 2};
    assert_int_equal(cn_attack_defend(&r, model, PICTURES, targets, 2, falling, 3, &o, &err), CN_EINVAL);
    assert_null(r);
    attack_set_close(&s);
}

static void a_search_repeats_itself_and_measures_on_other_pictures(void **state)
{
    (void)state;
    static const char *const words[] = {"burger", "sandwich", "house"};
    const cn_attack_search_options how = {.words = words, .n_words = 3, .train = 4, .population = 4, .generations = 2, .top = 3};
    cn_attack_search_result *a = NULL, *b = NULL;
    cn_attack_options o = settings;
    o.images = 12;
    assert_int_equal(cn_attack_search(&a, model, PICTURES, "hamburger", &how, &o, NULL), CN_OK);
    assert_int_equal(cn_attack_search(&b, model, PICTURES, "hamburger", &how, &o, NULL), CN_OK);
    assert_int_equal(a->train, 4);
    assert_true(a->heldout >= 10 && a->heldout <= 12);
    assert_true(a->tried >= 8 && a->n >= 3 && a->n <= 4);
    assert_int_equal(a->n, b->n);
    bool own = false;
    for (size_t i = 0; i < a->n; i++) {
        assert_string_equal(a->found[i].text, b->found[i].text);
        assert_int_equal(a->found[i].success[0].hits, b->found[i].success[0].hits);
        assert_int_equal(a->found[i].success[0].of, a->heldout);
        assert_true(i == 0 || a->found[i].success[0].hits <= a->found[i - 1].success[0].hits);
        own = own || a->found[i].origin == CN_ATTACK_TARGET;
    }
    assert_true(own);
    cn_attack_search_free(a);
    cn_attack_search_free(b);
}

/* Units by the products of their directions with the target's text; their words as `see UNIT --text --list` ranks them; all of them tried. */
static void a_search_tries_what_the_serving_units_like(void **state)
{
    (void)state;
    enum { WORDS = 8, UNITS = 3, LIKED = 2 };
    static const char *const words[WORDS] = {"burger", "house", "kitten", "tiger", "pizza", "skull", "tree", "zzzqqq"}; /* the last is no word to the model */
    const cn_attack_search_options how = {.words = words, .n_words = WORDS, .train = 4, .population = -1, .shortlist = 1, .units = UNITS, .liked = LIKED, .top = 30};
    cn_attack_search_result *r = NULL;
    cn_attack_options o = settings;
    cn_error err = {0};
    attack_set s = {0};
    const cn_site *site = cn_model_default_site(model);
    const int64_t width = cn_model_get_info(model)->embedding;
    static float direction[4096];
    float *directions = malloc((size_t)(site->units * width) * sizeof *directions);
    assert_non_null(directions);
    o.images = 4;
    if (cn_attack_search(&r, model, PICTURES, "cat", &how, &o, &err) != CN_OK)
        fail_msg("%s", err.text);
    assert_string_equal(r->site, site->name);
    assert_int_equal(r->n_units, UNITS);
    assert_int_equal(attack_set_open(&s, model, NULL, NULL, 0, false, NULL, &settings, &err), CN_OK);
    assert_int_equal(cn_unit_directions(model, site, directions, &err), CN_OK);
    const float *cat = s.plain[0] + attack_class(&s, "cat") * width;
    for (int i = 0; i < UNITS; i++) {
        const cn_attack_unit *u = &r->units[i];
        const double serves = attack_dot(directions + u->unit * width, cat, width);
        int better = 0;
        for (int64_t k = 0; k < site->units; k++)
            better += attack_dot(directions + k * width, cat, width) > serves;
        assert_int_equal(better, i);
        assert_true(fabs(u->serves - serves) < 1e-6);
        assert_int_equal(u->n, LIKED);
        char objective[128];
        cn_objective *see = NULL;
        cn_scored_text *ranked = NULL;
        snprintf(objective, sizeof objective, "%s:%lld", site->name, (long long)u->unit);
        assert_int_equal(cn_objective_parse(&see, model, objective, 1, &err), CN_OK);
        assert_int_equal(cn_objective_direction(see, NULL, 0, 1, direction, &err), CN_OK);
        assert_int_equal(cn_texts_rank(model, direction, words, WORDS - 1, 1, CN_PRECISION_F32, &ranked, &err), CN_OK);
        for (int k = 0; k < LIKED; k++) {
            bool tried = false;
            assert_string_equal(u->texts[k], ranked[k].text);
            assert_true(fabs(u->cosines[k] - (double)ranked[k].cosine) < 1e-4);
            for (size_t f = 0; f < r->n; f++) /* by the first unit that likes it */
                tried = tried || (strcmp(r->found[f].text, u->texts[k]) == 0 && r->found[f].origin == CN_ATTACK_LIKED && r->found[f].unit >= 0);
            assert_true(tried);
        }
        cn_scored_texts_free(ranked, WORDS - 1);
        cn_objective_free(see);
    }
    assert_int_equal(r->fit.pictures, 0); /* there is no study to measure it on */
    assert_string_equal(r->fit.why, "the collection is no study");
    cn_attack_search_free(r);
    attack_set_close(&s);
    free(directions);
}

static void stroop_counts_add_up(void **state)
{
    (void)state;
    static const char *const words[] = {"house"};
    static const char *const clash[] = {"Red"};
    cn_stroop_result *r = NULL;
    cn_error err = {0};
    assert_int_equal(cn_stroop(&r, model, words, 1, 2, NULL, &err), CN_OK);
    assert_int_equal(r->n_cells, 72);
    for (size_t p = 0; p < r->n_prompts; p++) {
        int64_t same = 0, ink = 0, word = 0, neutral = 0;
        for (size_t c = 0; c < 72; c++) {
            const cn_stroop_cell *cell = &r->prompts[p].cells[c];
            int64_t sum = 0;
            for (int i = 0; i < 8; i++)
                sum += cell->answers[i];
            assert_int_equal(sum, 2);
            if (c >= 64)
                neutral += cell->answers[cell->ink];
            else if (c / 8 == c % 8)
                same += cell->answers[c % 8];
            else
                ink += cell->answers[c % 8], word += cell->answers[c / 8];
        }
        const cn_stroop_prompt *q = &r->prompts[p];
        assert_true(q->congruent.hits == same && q->congruent.of == 16);
        assert_true(q->incongruent_ink.hits == ink && q->incongruent_word.hits == word && q->incongruent_word.of == 112);
        assert_true(q->neutral_ink.hits == neutral && q->neutral_ink.of == 16);
    }
    assert_true(r->prompts[0].incongruent_word.share > 0.9); /* the default model reads */
    cn_stroop_free(r);
    assert_int_equal(cn_stroop(&r, model, clash, 1, 2, NULL, &err), CN_EINVAL);
    assert_null(r);
}

static void bad_requests_are_refused(void **state)
{
    (void)state;
    static const char *const no_hole[] = {"a cat"};
    static const char *const wants[] = {"{} {text}"};
    cn_attack_table *t = NULL;
    cn_error err = {0};
    cn_attack_options o = settings;
    assert_int_equal(cn_attack_run(&t, model, "/nowhere", targets, 2, NULL, &o, &err), CN_ENOTFOUND);
    assert_int_equal(cn_attack_run(&t, model, PICTURES, targets, 0, NULL, &o, NULL), CN_EINVAL);
    o.prompts = no_hole, o.n_prompts = 1;
    assert_int_equal(cn_attack_run(&t, model, PICTURES, targets, 1, NULL, &o, NULL), CN_EINVAL);
    o.prompts = wants;
    double p[8];
    assert_int_equal(cn_attack_probabilities(model, (const uint8_t *)"", 1, NULL, &o, p, NULL), CN_EINVAL);
    cn_attack_search_result *s = NULL;
    assert_int_equal(cn_attack_search(&s, model, PICTURES, "cat", NULL, &o, NULL), CN_EINVAL);
    o = settings;
    o.images = CN_MAX_ATTACK_IMAGES + 1;
    assert_int_equal(cn_attack_run(&t, model, PICTURES, targets, 1, NULL, &o, NULL), CN_EINVAL);
    assert_null(t);
    assert_null(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(success_is_what_single_pictures_say),
        cmocka_unit_test(a_study_of_several_archives_is_read_again_whole),
        cmocka_unit_test(wilson_is_wilsons),
        cmocka_unit_test(prompts_are_filled),
        cmocka_unit_test(batches_and_threads_do_not_matter),
        cmocka_unit_test(a_log_goes_on_where_it_stopped),
        cmocka_unit_test(removing_a_unit_is_a_zero_in_the_embedding),
        cmocka_unit_test(a_search_repeats_itself_and_measures_on_other_pictures),
        cmocka_unit_test(a_search_tries_what_the_serving_units_like),
        cmocka_unit_test(stroop_counts_add_up),
        cmocka_unit_test(bad_requests_are_refused),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
