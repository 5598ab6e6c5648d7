/* What the headers promise of threads: a model is shared, a runner belongs to one thread at a time. Several
 * runners of one model, created and run at once, give bit for bit what they give one after another. */
#include "clipneuron/model.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define WORKERS 4
#define ROUNDS 3
#define IMAGES 3

typedef struct worker {
    const cn_model *model;
    const float *pixels;      /* (IMAGES, 3, R, R) */
    cn_runner_options options;
    float *values;            /* owned: the embeddings of all rounds, then the site's values if there is one */
    size_t embedding_floats, site_floats;
    char fingerprint[65];
    cn_status status;
    cn_error err;
} worker;

/* Creates a runner, runs it ROUNDS times with another number of images each time, and keeps what comes out. */
static cn_status work(worker *w)
{
    cn_runner *r = NULL;
    cn_status st = cn_runner_create(&r, w->model, &w->options, &w->err);
    for (int round = 0; st == CN_OK && round < ROUNDS; round++) {
        const int64_t n = 1 + round % IMAGES;
        if (w->options.tower == CN_TOWER_IMAGE) {
            st = cn_runner_images(r, w->pixels, n, &w->err);
        } else {
            int32_t rows[IMAGES][77] = {{49406, 320, 1929, 49407}, {49406, 1125, 49407}, {49406, 49407}};
            st = cn_runner_texts(r, rows[0], n, &w->err);
        }
        if (st != CN_OK)
            break;
        const size_t e = w->embedding_floats;
        memcpy(w->values + (size_t)round * IMAGES * e, cn_runner_embedding(r), (size_t)n * e * sizeof(float));
        if (w->site_floats)
            memcpy(w->values + ROUNDS * IMAGES * e, cn_runner_site(r, 0), (size_t)n * w->site_floats * sizeof(float));
    }
    if (st == CN_OK)
        st = cn_model_fingerprint(w->model, w->fingerprint, &w->err);
    cn_runner_free(r);
    return st;
}

static void *work_in_thread(void *arg)
{
    worker *w = arg;
    w->status = work(w);
    return NULL;
}

static void init_worker(worker *w, const cn_model *model, const float *pixels, const cn_site *const *site, int kind)
{
    *w = (worker){.model = model, .pixels = pixels};
    w->options = (cn_runner_options){.tower = kind == 2 ? CN_TOWER_TEXT : CN_TOWER_IMAGE, .embedding = true,
                                     .batch = IMAGES, .threads = 1 + kind % 2,
                                     .backend = kind == 3 ? CN_BACKEND_REFERENCE : CN_BACKEND_ONEDNN};
    w->embedding_floats = (size_t)cn_model_get_info(model)->embedding;
    if (kind != 2) {
        w->options.sites = site;
        w->options.n_sites = 1;
        w->site_floats = (size_t)(site[0]->units * site[0]->positions);
    }
    w->values = calloc(ROUNDS * IMAGES * w->embedding_floats + IMAGES * w->site_floats, sizeof *w->values);
    assert_non_null(w->values);
}

static void runners_in_threads_give_what_they_give_in_turn(void **state)
{
    static const char *const paths[] = {CN_TEST_DATA "/golden/rn-small.safetensors",
                                        CN_TEST_DATA "/golden/vit-small.safetensors"};
    (void)state;
    for (int k = 0; k < 2; k++) {
        cn_error err = {0};
        cn_model *m = NULL;
        worker alone[WORKERS], together[WORKERS];
        pthread_t thread[WORKERS];
        if (cn_model_open(&m, paths[k], NULL, &err) != CN_OK)
            fail_msg("%s", err.text);
        const int64_t side = cn_model_get_info(m)->resolution, count = IMAGES * 3 * side * side;
        const cn_site *site = cn_model_default_site(m);
        float *pixels = malloc((size_t)count * sizeof *pixels);
        assert_non_null(pixels);
        for (int64_t i = 0; i < count; i++)
            pixels[i] = (float)(i * 7919 % 1000) / 250.0f - 2.0f;
        for (int i = 0; i < WORKERS; i++) {
            init_worker(&alone[i], m, pixels, &site, i);
            init_worker(&together[i], m, pixels, &site, i);
        }
        for (int i = 0; i < WORKERS; i++)
            assert_int_equal(pthread_create(&thread[i], NULL, work_in_thread, &together[i]), 0);
        for (int i = 0; i < WORKERS; i++)
            pthread_join(thread[i], NULL);
        for (int i = 0; i < WORKERS; i++) {
            const worker *a = &alone[i], *b = &together[i];
            alone[i].status = work(&alone[i]);
            if (a->status != CN_OK || b->status != CN_OK)
                fail_msg("worker %d: %s%s", i, a->err.text, b->err.text);
            const size_t floats = ROUNDS * IMAGES * a->embedding_floats + IMAGES * a->site_floats;
            assert_memory_equal(a->values, b->values, floats * sizeof *a->values);
            assert_string_equal(a->fingerprint, b->fingerprint);
            free(alone[i].values);
            free(together[i].values);
        }
        free(pixels);
        cn_model_close(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runners_in_threads_give_what_they_give_in_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
