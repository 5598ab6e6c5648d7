/* bench/bench_scan.c -- what a scan costs beside its network, through the public API.
 * usage: bench_scan FOLDER THREADS ROUNDS MODEL...
 * Makes JPEGs of 500 x 375 px in FOLDER once. For each model, in fp32 and bf16, takes turns: the forward pass alone on pictures
 * that lie ready (the scan's site and the embedding, its batch), and a scan of the JPEGs; and once the decoding alone. Prints a
 * table of medians, and a JSON line each on FOLDER/../results.jsonl. */
#include <clipneuron/clipneuron.h>
#include <clipneuron/image.h>
#include <clipneuron/model.h>
#include <clipneuron/study.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PICTURES = 192, WIDTH = 500, HEIGHT = 375, BATCH = 32, MOST_ROUNDS = 32 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void die(const char *what, const cn_error *err)
{
    fprintf(stderr, "bench_scan: %s%s%s\n", what, err ? ": " : "", err ? err->text : "");
    exit(1);
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, by_value);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* ---- pictures ---- */

static uint32_t state = 1;

static uint32_t random_bits(void)
{
    state = state * 1664525u + 1013904223u;
    return state >> 8;
}

static void picture_path(char *path, size_t room, const char *folder, int i)
{
    snprintf(path, room, "%s/%03d.jpg", folder, i);
}

/* Soft blobs with grain: some 60 kB each at quality 90, as photographs of that size. */
static void make_picture(const char *path, int number)
{
    static uint8_t rgb[WIDTH * HEIGHT * 3];
    cn_error err = {0};
    void *bytes;
    size_t size;
    state = (uint32_t)number + 1;
    int blobs[12][6];
    for (int b = 0; b < 12; b++) {
        blobs[b][0] = (int)(random_bits() % WIDTH);
        blobs[b][1] = (int)(random_bits() % HEIGHT);
        blobs[b][2] = 20 + (int)(random_bits() % 120);
        for (int c = 3; c < 6; c++)
            blobs[b][c] = (int)(random_bits() % 200);
    }
    for (int y = 0; y < HEIGHT; y++) {
        for (int x = 0; x < WIDTH; x++) {
            int colour[3] = {60 + x / 8, 60 + y / 6, 90};
            for (int b = 0; b < 12; b++) {
                const int dx = x - blobs[b][0], dy = y - blobs[b][1];
                if (dx * dx + dy * dy < blobs[b][2] * blobs[b][2])
                    for (int c = 0; c < 3; c++)
                        colour[c] = (colour[c] + 3 * blobs[b][3 + c]) / 4;
            }
            const int grain = (int)(random_bits() % 33) - 16;
            for (int c = 0; c < 3; c++) {
                const int v = colour[c] + grain;
                rgb[3 * (y * WIDTH + x) + c] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
            }
        }
    }
    if (cn_image_encode(rgb, WIDTH, HEIGHT, CN_IMAGE_JPEG, 90, &bytes, &size, &err) != CN_OK)
        die("cannot make a picture", &err);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, size, f) != size || fclose(f) != 0)
        die("cannot write a picture", NULL);
    cn_bytes_free(bytes);
}

static void make_pictures(const char *folder)
{
    char path[1024];
    mkdir(folder, 0777);
    for (int i = 0; i < PICTURES; i++) {
        picture_path(path, sizeof path, folder, i);
        if (access(path, R_OK) != 0)
            make_picture(path, i);
    }
}

/* ---- decoding alone ---- */

typedef struct decoding {
    const char *folder;
    int resolution;
    atomic_int next;
} decoding;

static void *decode(void *user)
{
    decoding *d = user;
    char path[1024];
    uint8_t *rgb = malloc((size_t)d->resolution * (size_t)d->resolution * 3);
    for (int i; (i = atomic_fetch_add(&d->next, 1)) < PICTURES;) {
        cn_image *image;
        cn_error err = {0};
        picture_path(path, sizeof path, d->folder, i);
        if (cn_image_load(&image, path, NULL, &err) != CN_OK || cn_image_preprocess(image, d->resolution, rgb, &err) != CN_OK)
            die("cannot decode", &err);
        cn_image_free(image);
    }
    free(rgb);
    return NULL;
}

static double decode_rate(const char *folder, int resolution, int threads)
{
    pthread_t all[256];
    decoding d = {.folder = folder, .resolution = resolution};
    const double begin = now();
    for (int i = 0; i < threads; i++)
        if (pthread_create(&all[i], NULL, decode, &d) != 0)
            die("cannot start a thread", NULL);
    for (int i = 0; i < threads; i++)
        pthread_join(all[i], NULL);
    return PICTURES / (now() - begin);
}

/* ---- the network alone, and a scan ---- */

static double forward_rate(const cn_model *model, cn_precision precision, int threads)
{
    cn_error err = {0};
    cn_runner *runner;
    const int size = cn_model_get_info(model)->resolution;
    const size_t values = (size_t)size * (size_t)size * 3;
    const cn_site *site = cn_model_default_site(model);
    const cn_runner_options o = {.tower = CN_TOWER_IMAGE, .sites = &site, .n_sites = 1, .embedding = true, .batch = BATCH, .threads = threads, .precision = precision};
    const cn_status st = cn_runner_create(&runner, model, &o, &err);
    if (st == CN_EUNSUPPORTED)
        return 0;
    if (st != CN_OK)
        die("cannot run the model", &err);
    float *pixels = malloc(BATCH * values * sizeof *pixels);
    for (size_t i = 0; i < BATCH * values; i++)
        pixels[i] = (float)(random_bits() % 4096) / 1024.0f - 2.0f;
    if (cn_runner_images(runner, pixels, BATCH, &err) != CN_OK) /* warms up */
        die("cannot run the model", &err);
    const double begin = now();
    for (int i = 0; i < PICTURES / BATCH; i++)
        if (cn_runner_images(runner, pixels, BATCH, &err) != CN_OK)
            die("cannot run the model", &err);
    const double rate = PICTURES / BATCH * BATCH / (now() - begin);
    cn_runner_free(runner);
    free(pixels);
    return rate;
}

typedef struct clock_marks {
    double first, last;
} clock_marks;

/* The pass over the pictures: without the listing before it and the writing behind it, which large collections do not notice. */
static bool mark(const cn_scan_progress *p, void *user)
{
    clock_marks *m = user;
    if (p->phase != CN_SCAN_IMAGES)
        return true;
    if (m->first == 0)
        m->first = now();
    m->last = now();
    return true;
}

static double scan_rate(const cn_model *model, const char *folder, cn_precision precision, int threads, double *whole)
{
    char study[1100], command[1200];
    cn_error err = {0};
    cn_scan_result r;
    clock_marks m = {0};
    snprintf(study, sizeof study, "%s.study", folder);
    const cn_scan_options o = {.no_words = true, .force = true, .batch = BATCH, .threads = threads, .decode_threads = threads, .precision = precision, .progress = mark, .user = &m};
    const double begin = now();
    if (cn_study_scan(model, folder, study, &o, &r, &err) != CN_OK)
        die("cannot scan", &err);
    *whole = PICTURES / (now() - begin);
    snprintf(command, sizeof command, "rm -rf '%s'", study);
    if (system(command) != 0)
        die("cannot remove the study", NULL);
    if (r.images != PICTURES)
        die("pictures are missing", NULL);
    return PICTURES / (m.last - m.first);
}

/* target 0: none. */
static void report(FILE *json, const char *title, double value, double target)
{
    if (target <= 0) {
        printf("  %-72s %6.2f\n", title, value);
        return;
    }
    printf("  %-72s %6.2f  target %.2f  %s\n", title, value, target, value >= target ? "met" : "MISSED");
    if (json)
        fprintf(json, "{\"what\": \"target\", \"title\": \"%s\", \"value\": %.4f, \"target\": %.2f, \"met\": %s}\n", title, value, target,
                value >= target ? "true" : "false");
}

static void race(const char *folder, const char *path, int threads, int rounds, FILE *json)
{
    static const char *const names[] = {"fp32", "bf16"};
    cn_model *model;
    cn_error err = {0};
    char title[256];
    double forward[2][MOST_ROUNDS], scan[2][MOST_ROUNDS], whole[2][MOST_ROUNDS], decoded[MOST_ROUNDS];
    int n[2] = {0, 0};
    if (cn_model_open(&model, path, NULL, &err) != CN_OK)
        die("cannot open the model", &err);
    const char *name = cn_model_get_info(model)->name;
    const int size = cn_model_get_info(model)->resolution;
    decode_rate(folder, size, threads); /* the files into memory */
    for (int r = 0; r < rounds; r++) {
        decoded[r] = decode_rate(folder, size, threads);
        for (int p = 0; p < 2; p++) {
            const cn_precision precision = p ? CN_PRECISION_BF16 : CN_PRECISION_F32;
            const double rate = forward_rate(model, precision, threads);
            if (rate <= 0)
                continue;
            forward[p][n[p]] = rate;
            scan[p][n[p]] = scan_rate(model, folder, precision, threads, &whole[p][n[p]]);
            n[p]++;
        }
    }
    const double decoding_rate = median(decoded, rounds);
    printf("%s, %d px, %d threads, %d JPEGs of %d x %d px, medians of %d rounds; images a second\n", name, size, threads, PICTURES, WIDTH, HEIGHT, rounds);
    printf("  decoding and resizing alone: %.0f\n", decoding_rate);
    for (int p = 0; p < 2; p++) {
        double share[MOST_ROUNDS];
        if (n[p] == 0)
            continue;
        for (int r = 0; r < n[p]; r++)
            share[r] = scan[p][r] / forward[p][r]; /* of one round: the machine was the same */
        const double f = median(forward[p], n[p]), s = median(scan[p], n[p]), w = median(whole[p], n[p]), ratio = median(share, n[p]);
        printf("  %s: forward alone %.1f, scan %.1f, with listing and writing the study %.1f\n", names[p], f, s, w);
        if (json)
            fprintf(json, "{\"what\": \"scan\", \"model\": \"%s\", \"variant\": \"%s\", \"forward\": %.3f, \"scan\": %.3f, \"whole\": %.3f, \"decode\": %.3f}\n",
                    name, names[p], f, s, w, decoding_rate);
        snprintf(title, sizeof title, "%s %s: scan over forward alone", name, names[p]);
        report(json, title, ratio, strcmp(name, "RN50x4") == 0 ? .92 : 0);
        snprintf(title, sizeof title, "%s %s: decoding alone over forward alone", name, names[p]);
        report(json, title, decoding_rate / f, strcmp(name, "ViT-B/32") == 0 ? 3 : 0);
    }
    cn_model_close(model);
}

int main(int argc, char **argv)
{
    char path[1100];
    if (argc < 5)
        die("usage: bench_scan FOLDER THREADS ROUNDS MODEL...", NULL);
    const int threads = atoi(argv[2]), rounds = atoi(argv[3]);
    if (threads < 1 || threads > 256 || rounds < 1 || rounds > MOST_ROUNDS)
        die("threads: 1 to 256, rounds: 1 to 32", NULL);
    make_pictures(argv[1]);
    snprintf(path, sizeof path, "%s/../results.jsonl", argv[1]);
    FILE *json = fopen(path, "a");
    for (int i = 4; i < argc; i++)
        race(argv[1], argv[i], threads, rounds, json);
    if (json)
        fclose(json);
    return 0;
}
