/* bench/bench_forward.c -- clipneuron's image tower as a peer of the benchmark, through the public API.
 * usage: bench_forward serve   MODEL PIXELS BATCH THREADS OUT VARIANT...
 *        bench_forward memory  MODEL PIXELS BATCH THREADS VARIANT
 *        bench_forward growth  MODEL PIXELS BATCH THREADS VARIANT RUNS
 * VARIANT is fp32 or bf16; PIXELS is raw float32 (BATCH, 3, R, R). `serve` prints one JSON line, writes
 * OUT.VARIANT (raw float32 embeddings) for each variant, prints `ready VARIANT...` and then answers every
 * line `VARIANT` with the milliseconds of one forward pass. `memory` and `growth` print one JSON line. */
#include "clipneuron/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

struct bench {
    cn_model *model;
    const cn_model_info *info;
    float *pixels;
    int64_t batch;
    int threads;
};

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static void die(const char *what, const cn_error *err)
{
    fprintf(stderr, "bench_forward: %s%s%s\n", what, err ? ": " : "", err ? err->text : "");
    exit(1);
}

static void setup(struct bench *b, const char *model, const char *pixels, const char *batch,
                  const char *threads)
{
    cn_error err = {0};
    if (cn_model_open(&b->model, model, NULL, &err) != CN_OK)
        die("cannot open the model", &err);
    b->info = cn_model_get_info(b->model);
    b->batch = atoi(batch);
    b->threads = atoi(threads);
    if (b->batch < 1 || b->batch > 4096)
        die("the batch size is a number from 1 to 4096", NULL);
    const size_t count = (size_t)b->batch * 3 * (size_t)b->info->resolution * (size_t)b->info->resolution;
    b->pixels = malloc(count * sizeof *b->pixels);
    FILE *file = fopen(pixels, "rb");
    if (!b->pixels || !file || fread(b->pixels, sizeof *b->pixels, count, file) != count)
        die("cannot read the pixels", NULL);
    fclose(file);
}

static cn_runner *make_runner(const struct bench *b, const char *variant)
{
    cn_error err = {0};
    cn_runner *runner = NULL;
    cn_runner_options options = {0};
    options.tower = CN_TOWER_IMAGE;
    options.embedding = true;
    options.batch = b->batch;
    options.threads = b->threads;
    options.precision = strcmp(variant, "bf16") == 0 ? CN_PRECISION_BF16 : CN_PRECISION_F32;
    if (cn_runner_create(&runner, b->model, &options, &err) != CN_OK) {
        if (err.status == CN_EUNSUPPORTED)
            return NULL;
        die("cannot make the runner", &err);
    }
    return runner;
}

static void forward(const struct bench *b, cn_runner *runner)
{
    cn_error err = {0};
    if (cn_runner_images(runner, b->pixels, b->batch, &err) != CN_OK)
        die("the forward pass failed", &err);
}

static int serve(const struct bench *b, const char *out, char **variants, int n)
{
    cn_runner *runners[8] = {0};
    if (n > 8)
        die("at most 8 variants", NULL);
    printf("{\"peer\": \"clipneuron\", \"version\": \"%s\", \"threads\": %d, \"image_gflop\": %.4f, "
           "\"model\": \"%s\"}\n",
           cn_backend_description(), b->threads, b->info->image_flops * 1e-9, b->info->name);
    for (int i = 0; i < n; i++) {
        runners[i] = make_runner(b, variants[i]);
        if (!runners[i])
            continue;
        forward(b, runners[i]);
        char path[4096];
        snprintf(path, sizeof path, "%s.%s", out, variants[i]);
        FILE *file = fopen(path, "wb");
        const size_t count = (size_t)b->batch * (size_t)b->info->embedding;
        if (!file || fwrite(cn_runner_embedding(runners[i]), sizeof(float), count, file) != count ||
            fclose(file) != 0)
            die("cannot write the embeddings", NULL);
    }
    printf("ready");
    for (int i = 0; i < n; i++)
        if (runners[i])
            printf(" %s", variants[i]);
    printf("\n");
    fflush(stdout);
    char line[64];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        for (int i = 0; i < n; i++) {
            if (!runners[i] || strcmp(line, variants[i]) != 0)
                continue;
            const double begin = now_ms();
            forward(b, runners[i]);
            printf("%.4f\n", now_ms() - begin);
            fflush(stdout);
        }
    }
    for (int i = 0; i < n; i++)
        cn_runner_free(runners[i]);
    return 0;
}

/* Resident bytes of this process now. */
static long long resident(void)
{
    long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%*d %lld", &pages) != 1)
        die("cannot read /proc/self/statm", NULL);
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

static int memory(const struct bench *b, const char *variant)
{
    cn_runner *runner = make_runner(b, variant);
    if (!runner)
        die("this CPU has no such variant", NULL);
    forward(b, runner);
    forward(b, runner);
    const cn_runner_memory m = cn_runner_get_memory(runner);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf(
        "{\"peak_rss_bytes\": %lld, \"weight_bytes\": %zu, \"activation_bytes\": %zu, \"output_bytes\": %zu, "
        "\"pixel_bytes\": %lld}\n",
        (long long)usage.ru_maxrss * 1024, m.weight_bytes, m.activation_bytes, m.output_bytes,
        (long long)b->batch * 12 * b->info->resolution * b->info->resolution);
    cn_runner_free(runner);
    return 0;
}

static int growth(const struct bench *b, const char *variant, int runs)
{
    cn_runner *runner = make_runner(b, variant);
    if (!runner)
        die("this CPU has no such variant", NULL);
    long long first = 0;
    for (int i = 0; i < runs; i++) {
        forward(b, runner);
        if (i == runs / 10)
            first = resident();
    }
    const long long last = resident();
    printf("{\"runs\": %d, \"resident_bytes\": %lld, \"growth_bytes\": %lld}\n", runs, last, last - first);
    cn_runner_free(runner);
    return 0;
}

int main(int argc, char **argv)
{
    struct bench b = {0};
    if (argc < 7) {
        fprintf(stderr, "usage: bench_forward serve|memory|growth MODEL PIXELS BATCH THREADS ...\n");
        return 2;
    }
    setup(&b, argv[2], argv[3], argv[4], argv[5]);
    int rc = 2;
    if (strcmp(argv[1], "serve") == 0 && argc > 7)
        rc = serve(&b, argv[6], argv + 7, argc - 7);
    else if (strcmp(argv[1], "memory") == 0)
        rc = memory(&b, argv[6]);
    else if (strcmp(argv[1], "growth") == 0 && argc > 7)
        rc = growth(&b, argv[6], atoi(argv[7]));
    free(b.pixels);
    cn_model_close(b.model);
    return rc;
}
