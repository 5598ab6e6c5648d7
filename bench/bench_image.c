/* bench/bench_image.c -- decoding and resizing against Pillow, in the same run and one after the other.
 * usage: bench_image SOURCE_DIR [PYTHON]; prints a table and writes one JSON line a case to bench_image.jsonl
 * in the working directory. Every result is compared with Pillow's (CRC-32) before it counts. One thread each. */
#include "clipneuron/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 5, MIN_RUNS = 5 };
#define MIN_SECONDS 0.15

typedef struct peer {
    FILE *to, *from;
    pid_t pid;
} peer;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static uint32_t crc32_of(const uint8_t *bytes, size_t size)
{
    uint32_t crc = 0xffffffffu;
    while (size-- > 0) {
        crc ^= *bytes++;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
    }
    return ~crc;
}

static int start_peer(peer *p, const char *python, const char *script)
{
    int to[2], from[2];
    if (pipe(to) || pipe(from) || (p->pid = fork()) < 0)
        return -1;
    if (p->pid == 0) {
        dup2(to[0], 0);
        dup2(from[1], 1);
        close(to[1]);
        close(from[0]);
        execlp(python, python, script, (char *)NULL);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    p->to = fdopen(to[1], "w");
    p->from = fdopen(from[0], "r");
    return p->to && p->from ? 0 : -1;
}

/* What one case does, for us; mirrors the peer's lines. */
typedef struct bench_case {
    const char *kind, *path; /* path relative to the source folder */
    int w, h, out_w, out_h;
} bench_case;

typedef struct work {
    const bench_case *c;
    char path[1024];
    cn_image *image;
    uint8_t *out;
    size_t out_size;
} work;

static cn_status run_once(work *w)
{
    const bench_case *c = w->c;
    if (strcmp(c->kind, "resize") == 0)
        return cn_image_resize(w->image, c->out_w, c->out_h, w->out, NULL);
    if (strcmp(c->kind, "fit") == 0)
        return cn_image_preprocess(w->image, c->out_w, w->out, NULL);
    cn_image_free(w->image);
    cn_status st = cn_image_load(&w->image, w->path, NULL, NULL);
    return st == CN_OK && strcmp(c->kind, "file") == 0 ? cn_image_preprocess(w->image, c->out_w, w->out, NULL)
                                                       : st;
}

static int prepare(work *w, const bench_case *c, const char *source)
{
    *w = (work){.c = c};
    if (c->path) {
        snprintf(w->path, sizeof w->path, "%s/%s", source, c->path);
        w->out_size = (size_t)c->out_w * (size_t)c->out_h * 3;
    } else {
        const size_t size = (size_t)c->w * (size_t)c->h * 3;
        w->image = calloc(1, sizeof *w->image);
        *w->image = (cn_image){.width = c->w, .height = c->h, .rgb = malloc(size)};
        for (size_t i = 0; i < size; i++) {
            uint32_t v = (uint32_t)i * 2654435761u + 4 * 97531u;
            v ^= v >> 15;
            v *= 2246822519u;
            v ^= v >> 13;
            w->image->rgb[i] = v & 255;
        }
        w->out_size = (size_t)c->out_w * (size_t)c->out_h * 3;
    }
    w->out = malloc(w->out_size ? w->out_size : 1);
    return run_once(w) == CN_OK ? 0 : -1;
}

static double best_time(work *w)
{
    double best = 1e9, started = now();
    for (int runs = 0; runs < MIN_RUNS || now() - started < MIN_SECONDS; runs++) {
        const double t = now();
        if (run_once(w) != CN_OK)
            return -1;
        best = now() - t < best ? now() - t : best;
    }
    return best * 1e6;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int run_case(const bench_case *c, peer *p, const char *source, FILE *json)
{
    work w;
    char line[1200], label[64];
    double ours[ROUNDS], theirs[ROUNDS], ratio[ROUNDS];
    if (prepare(&w, c, source) != 0) {
        fprintf(stderr, "bench_image: cannot run %s %s\n", c->kind, c->path ? c->path : "");
        return 1;
    }
    const int decode = strcmp(c->kind, "decode") == 0;
    const uint32_t crc = decode ? crc32_of(w.image->rgb, (size_t)w.image->width * (size_t)w.image->height * 3)
                                : crc32_of(w.out, w.out_size);
    if (c->path)
        snprintf(label, sizeof label, decode ? "%s %s" : "%s %s -> %d", c->kind, strrchr(c->path, '/') + 1,
                 c->out_w);
    else if (strcmp(c->kind, "fit") == 0)
        snprintf(label, sizeof label, "resize and crop %dx%d -> %d", c->w, c->h, c->out_w);
    else
        snprintf(label, sizeof label, "resize %dx%d -> %dx%d", c->w, c->h, c->out_w, c->out_h);
    for (int r = 0; r < ROUNDS; r++) {
        unsigned their_crc = 0;
        ours[r] = best_time(&w);
        if (c->path && decode)
            fprintf(p->to, "decode %s\n", w.path);
        else if (c->path)
            fprintf(p->to, "file %s %d\n", w.path, c->out_w);
        else
            fprintf(p->to, "%s 4 %d %d %d %d\n", c->kind, c->w, c->h, c->out_w, c->out_h);
        fflush(p->to);
        if (!fgets(line, sizeof line, p->from) || sscanf(line, "%lf %x", &theirs[r], &their_crc) != 2) {
            fprintf(stderr, "bench_image: Pillow does not answer\n");
            return 1;
        }
        if (their_crc != crc) {
            fprintf(stderr, "bench_image: %s: the result differs from Pillow's\n", label);
            return 1;
        }
        ratio[r] = theirs[r] / ours[r];
    }
    qsort(ours, ROUNDS, sizeof *ours, by_value);
    qsort(theirs, ROUNDS, sizeof *theirs, by_value);
    qsort(ratio, ROUNDS, sizeof *ratio, by_value);
    printf("%-40s %10.1f %10.1f %8.2f\n", label, ours[ROUNDS / 2], theirs[ROUNDS / 2], ratio[ROUNDS / 2]);
    fflush(stdout);
    if (json)
        fprintf(json,
                "{\"bench\":\"image\",\"case\":\"%s\",\"us\":%.1f,\"pillow_us\":%.1f,\"ratio\":%.3f,"
                "\"threads\":1}\n",
                label, ours[ROUNDS / 2], theirs[ROUNDS / 2], ratio[ROUNDS / 2]);
    if (!c->path)
        free(w.image->rgb), free(w.image);
    else
        cn_image_free(w.image);
    free(w.out);
    return 0;
}

int main(int argc, char **argv)
{
    static const bench_case cases[] = {
        {"fit", NULL, 500, 375, 224, 224},
        {"fit", NULL, 500, 375, 288, 288},
        {"fit", NULL, 640, 480, 288, 288},
        {"fit", NULL, 1920, 1080, 288, 288},
        {"fit", NULL, 4000, 3000, 288, 288},
        {"fit", NULL, 96, 96, 96, 96},
        {"fit", NULL, 96, 96, 288, 288},
        {"resize", NULL, 500, 375, 298, 224},
        {"resize", NULL, 1920, 1080, 512, 288},
        {"resize", NULL, 2560, 1600, 2048, 1280},
        {"decode", "tests/data/golden/rocket.jpg", 0, 0, 0, 0},
        {"decode", "tests/data/golden/astronaut.png", 0, 0, 0, 0},
        {"file", "tests/data/golden/rocket.jpg", 0, 0, 288, 288},
        {"file", "tests/data/golden/astronaut.png", 0, 0, 288, 288},
        {"file", "tests/data/golden/chelsea.png", 0, 0, 224, 224},
    };
    char script[1024], line[256];
    peer p = {0};
    int failed = 0;
    if (argc < 2) {
        fprintf(stderr, "usage: bench_image SOURCE_DIR [PYTHON]\n");
        return 2;
    }
    snprintf(script, sizeof script, "%s/bench/pillow_resize.py", argv[1]);
    if (start_peer(&p,
                   argc > 2                                ? argv[2]
                   : access("/usr/bin/python3", X_OK) == 0 ? "/usr/bin/python3"
                                                           : "python3",
                   script) ||
        !fgets(line, sizeof line, p.from)) {
        fprintf(stderr, "bench_image: python3 with Pillow and numpy does not start\n");
        return 1;
    }
    line[strcspn(line, "\n")] = '\0';
    FILE *json = fopen("bench_image.jsonl", "w");
    printf("Peer: %s. Microseconds, median of %d rounds of best runs; results equal byte for byte.\n", line,
           ROUNDS);
    printf("%-40s %10s %10s %8s\n", "", "clipneuron", "Pillow", "ratio");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0] && !failed; i++)
        failed = run_case(&cases[i], &p, argv[1], json);
    if (json)
        fclose(json);
    fclose(p.to);
    fclose(p.from);
    waitpid(p.pid, NULL, 0);
    return failed;
}
