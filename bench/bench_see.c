/* bench/bench_see.c -- steps of feature visualisation as a peer of the benchmark, through the public API.
 * usage: bench_see MODEL BATCH SIZE THREADS VARIANT...
 * VARIANT is fp32 or bf16. Prints one JSON line and `ready VARIANT...`; then every line `VARIANT` makes one step of a batch of
 * pictures of units 0, 1, ... of layer4 at SIZE px (Fourier canvas, standard transforms), and is answered with its
 * milliseconds. */
#include "clipneuron/see.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST = 8 };

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static void die(const char *what, const cn_error *err)
{
    fprintf(stderr, "bench_see: %s%s%s\n", what, err ? ": " : "", err ? err->text : "");
    exit(1);
}

static cn_see *open_see(const cn_model *model, int batch, int size, int threads, const char *variant)
{
    char text[64][32];
    const char *objective[64];
    cn_error err = {0};
    cn_see *see = NULL;
    for (int i = 0; i < batch; i++) {
        snprintf(text[i], sizeof text[i], "layer4:%d", i);
        objective[i] = text[i];
    }
    /* The redirect of the first steps is no part of a steady step. */
    const cn_see_options o = {.size = size, .resolution = size, .redirect_steps = -1, .threads = threads,
                              .precision = strcmp(variant, "bf16") == 0 ? CN_PRECISION_BF16 : CN_PRECISION_F32};
    if (cn_see_open(&see, model, objective, (size_t)batch, &o, &err) != CN_OK) {
        if (err.status == CN_EUNSUPPORTED)
            return NULL;
        die("cannot make the pictures", &err);
    }
    return see;
}

int main(int argc, char **argv)
{
    cn_see *see[MOST] = {0};
    cn_model *model = NULL;
    cn_error err = {0};
    char line[64];
    if (argc < 6 || argc - 5 > MOST)
        die("usage: bench_see MODEL BATCH SIZE THREADS VARIANT...", NULL);
    const int batch = atoi(argv[2]), size = atoi(argv[3]), threads = atoi(argv[4]), n = argc - 5;
    if (batch < 1 || batch > 64)
        die("the batch is a number from 1 to 64", NULL);
    if (cn_model_open(&model, argv[1], NULL, &err) != CN_OK)
        die("cannot open the model", &err);
    printf("{\"peer\": \"clipneuron\", \"version\": \"%s\", \"threads\": %d, \"image_gflop\": %.4f}\n", cn_backend_description(), threads,
           cn_model_get_info(model)->image_flops * 1e-9);
    for (int i = 0; i < n; i++) {
        see[i] = open_see(model, batch, size, threads, argv[5 + i]);
        if (see[i] && cn_see_run(see[i], 1, &err) != CN_OK)
            die("a step failed", &err);
    }
    printf("ready");
    for (int i = 0; i < n; i++)
        if (see[i])
            printf(" %s", argv[5 + i]);
    printf("\n");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        for (int i = 0; i < n; i++) {
            if (!see[i] || strcmp(line, argv[5 + i]) != 0)
                continue;
            const double begin = now_ms();
            if (cn_see_run(see[i], 1, &err) != CN_OK)
                die("a step failed", &err);
            printf("%.4f\n", now_ms() - begin);
            fflush(stdout);
        }
    }
    for (int i = 0; i < n; i++)
        cn_see_close(see[i]);
    cn_model_close(model);
    return 0;
}
