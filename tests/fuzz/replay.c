/* tests/fuzz/replay.c -- runs a fuzz target without a fuzzer: every file of its corpus, prefixes of it,
 * and mutations that a fixed seed makes. Takes corpus folders and files as arguments; prints how
 * many inputs it ran. It finds what was found before, and cheap things; libFuzzer finds the rest. */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PREFIXES = 24, MUTATIONS = 40 };
#define BUDGET_SECONDS 8.0 /* prefixes and mutations stop here; the corpus itself always runs whole */

static uint64_t rng_state = 0x9e3779b97f4a7c15u;
static size_t inputs_run;
static struct timespec started;

static uint64_t rng(void) /* xorshift64* */
{
    rng_state ^= rng_state >> 12;
    rng_state ^= rng_state << 25;
    rng_state ^= rng_state >> 27;
    return rng_state * 0x2545f4914f6cdd1du;
}

static bool in_budget(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - started.tv_sec) + 1e-9 * (double)(now.tv_nsec - started.tv_nsec) <
           BUDGET_SECONDS;
}

/* The target gets its own allocation of the exact size, so that sanitizers see a read past its end. */
static void run_one(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy)
        abort();
    if (size)
        memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    inputs_run++;
}

static void mutate(uint8_t *data, size_t size)
{
    static const uint8_t interesting[] = {0x00, 0x01, 0x7f, 0x80, 0xff, '"', '{', '0'};
    for (uint64_t n = 1 + rng() % 8; n-- > 0;) {
        size_t at = rng() % size, left = size - at;
        switch (rng() % 4) {
        case 0: data[at] ^= (uint8_t)(1u << rng() % 8); break;
        case 1: data[at] = interesting[rng() % sizeof interesting]; break;
        case 2: data[at] = (uint8_t)(data[at] + rng() % 35 - 17); break;
        default: memset(data + at, (int)(rng() & 0xff), 1 + rng() % (left < 8 ? left : 8)); break;
        }
    }
}

static uint8_t *read_whole(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    struct stat info;
    if (!f || fstat(fileno(f), &info) != 0 || !S_ISREG(info.st_mode)) {
        if (f)
            fclose(f);
        return NULL;
    }
    *size = (size_t)info.st_size;
    uint8_t *data = malloc(*size + 1);
    if (data && fread(data, 1, *size, f) != *size) {
        free(data);
        data = NULL;
    }
    fclose(f);
    return data;
}

static bool replay_file(const char *path, bool vary)
{
    size_t size = 0;
    uint8_t *data = read_whole(path, &size);
    if (!data) {
        fprintf(stderr, "replay: cannot read %s\n", path);
        return false;
    }
    if (!vary) {
        run_one(data, size);
    } else if (size > 0) {
        for (int i = 0; i < PREFIXES && in_budget(); i++)
            run_one(data, i < PREFIXES / 2 ? size * (size_t)i / (PREFIXES / 2) : rng() % size);
        uint8_t *copy = malloc(size);
        for (int i = 0; copy && i < MUTATIONS && in_budget(); i++) {
            memcpy(copy, data, size);
            mutate(copy, size);
            run_one(copy, size);
        }
        free(copy);
    }
    free(data);
    return true;
}

static bool replay_path(const char *path, bool vary)
{
    struct dirent **names = NULL;
    int n = scandir(path, &names, NULL, alphasort);
    if (n < 0)
        return replay_file(path, vary);
    bool ok = true;
    for (int i = 0; i < n; i++) {
        char full[4096];
        snprintf(full, sizeof full, "%s/%s", path, names[i]->d_name);
        if (names[i]->d_name[0] != '.')
            ok = replay_file(full, vary) && ok;
        free(names[i]);
    }
    free(names);
    return ok;
}

int main(int argc, char **argv)
{
    bool ok = argc > 1;
    clock_gettime(CLOCK_MONOTONIC, &started);
    run_one((const uint8_t *)"", 0);
    for (int vary = 0; vary < 2; vary++)
        for (int i = 1; i < argc; i++)
            ok = replay_path(argv[i], vary) && ok;
    if (ok && inputs_run < 2) {
        fprintf(stderr, "replay: the corpus is empty\n");
        ok = false;
    }
    printf("replayed %zu inputs\n", inputs_run);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
