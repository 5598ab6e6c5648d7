/* cli/reader.c -- decodes and preprocesses images on helper threads, two batches ahead of the network,
 * and hands them over in order. Memory is two batches of pixels whatever the length of the list. */
#include "interrupt.h"
#include "pictures.h"
#include "report.h"

#include <clipneuron/image.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 2, MOST_WORKERS = 64 };

struct slot {
    uint8_t *rgb;
    bool *good;
    cn_error *errors;
    size_t done; /* images of this batch that are decoded (or bad) */
};

struct picture_reader {
    const struct pictures *pictures;
    int size;
    size_t batch, batches, next_image, taken; /* taken: batches that the consumer has had */
    struct slot slots[SLOTS];
    struct reading how;
    bool stop, holding; /* holding: the consumer still reads slot taken-1 */
    size_t bad;
    pthread_mutex_t lock;
    pthread_cond_t room, ready;
    pthread_t workers[MOST_WORKERS];
    int n_workers;
};

int core_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return CPU_COUNT(&set);
    return 1;
}

static size_t batch_length(const struct picture_reader *r, size_t b)
{
    size_t left = r->pictures->count - b * r->batch;
    return left < r->batch ? left : r->batch;
}

int image_options(const char *command, const struct image_arguments *a, cn_image_options *out)
{
    static const struct {
        const char *name;
        uint8_t level;
    } greys[] = {{"white", 255}, {"grey", 128}, {"gray", 128}, {"black", 0}};
    *out = (cn_image_options){
        .rgb_first = a->rgb_first, .apply_orientation = a->orient, .composite_alpha = a->background != NULL};
    if (!a->background)
        return EXIT_DONE;
    for (size_t i = 0; i < sizeof greys / sizeof greys[0]; i++)
        if (strcmp(a->background, greys[i].name) == 0) {
            memset(out->background, greys[i].level, sizeof out->background);
            return EXIT_DONE;
        }
    if (strlen(a->background) != 7 || a->background[0] != '#' ||
        strspn(a->background + 1, "0123456789abcdefABCDEF") != 6)
        return fail_usage(command, "--background is white, black, grey or #RRGGBB, not '%s'", a->background);
    const unsigned long colour = strtoul(a->background + 1, NULL, 16);
    for (int i = 0; i < 3; i++)
        out->background[i] = (uint8_t)(colour >> (16 - 8 * i));
    return EXIT_DONE;
}

static bool read_one(const char *path, const struct reading *how, int size, uint8_t *rgb, cn_error *err)
{
    cn_image *image = NULL;
    memset(err, 0, sizeof *err);
    bool good = cn_image_load(&image, path, &how->image, err) == CN_OK &&
                cn_image_preprocess(image, size, rgb, err) == CN_OK;
    cn_image_free(image);
    if (!good)
        memset(rgb, 0, (size_t)size * (size_t)size * 3);
    return good;
}

static void *work(void *argument)
{
    struct picture_reader *r = argument;
    size_t image_bytes = (size_t)r->size * (size_t)r->size * 3;
    pthread_mutex_lock(&r->lock);
    for (;;) {
        /* a slot is free again when the consumer asks for the batch after the one in it */
        while (!r->stop && r->next_image < r->pictures->count &&
               r->next_image / r->batch >= r->taken + SLOTS - (r->holding ? 1 : 0))
            pthread_cond_wait(&r->room, &r->lock);
        if (r->stop || r->next_image >= r->pictures->count)
            break;
        size_t i = r->next_image++;
        struct slot *slot = &r->slots[i / r->batch % SLOTS];
        size_t row = i % r->batch;
        pthread_mutex_unlock(&r->lock);
        bool good = read_one(r->pictures->paths[i], &r->how, r->size, slot->rgb + row * image_bytes,
                             &slot->errors[row]);
        pthread_mutex_lock(&r->lock);
        slot->good[row] = good;
        if (++slot->done == batch_length(r, i / r->batch))
            pthread_cond_signal(&r->ready);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

int pictures_read(struct picture_reader **out, const struct pictures *pictures, int size, size_t batch,
                  int workers, struct reading how)
{
    struct picture_reader *r = need(calloc(1, sizeof *r));
    *out = r;
    r->pictures = pictures;
    r->size = size;
    r->batch = batch < pictures->count ? batch : pictures->count ? pictures->count : 1;
    r->batches = (pictures->count + r->batch - 1) / r->batch;
    r->how = how;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->room, NULL);
    pthread_cond_init(&r->ready, NULL);
    for (int i = 0; i < SLOTS; i++) {
        r->slots[i].rgb = need(calloc(r->batch, (size_t)size * (size_t)size * 3));
        r->slots[i].good = need(calloc(r->batch, sizeof(bool)));
        r->slots[i].errors = need(calloc(r->batch, sizeof(cn_error)));
    }
    int wanted = workers < 1 ? core_count() : workers;
    if (wanted > MOST_WORKERS)
        wanted = MOST_WORKERS;
    if ((size_t)wanted > pictures->count)
        wanted = (int)pictures->count;
    for (; r->n_workers < wanted; r->n_workers++)
        if (pthread_create(&r->workers[r->n_workers], NULL, work, r) != 0)
            break;
    if (wanted > 0 && r->n_workers == 0)
        return fail("cannot start a thread");
    return EXIT_DONE;
}

int pictures_next(struct picture_reader *r, struct picture_batch *batch)
{
    memset(batch, 0, sizeof *batch);
    if (interrupted())
        return 128 + interrupted();
    pthread_mutex_lock(&r->lock);
    if (r->holding) {
        r->slots[(r->taken - 1) % SLOTS].done = 0;
        r->holding = false;
        pthread_cond_broadcast(&r->room);
    }
    if (r->taken == r->batches) {
        pthread_mutex_unlock(&r->lock);
        return EXIT_DONE;
    }
    struct slot *slot = &r->slots[r->taken % SLOTS];
    size_t n = batch_length(r, r->taken);
    while (slot->done < n)
        pthread_cond_wait(&r->ready, &r->lock);
    *batch =
        (struct picture_batch){.rgb = slot->rgb, .good = slot->good, .first = r->taken * r->batch, .n = n};
    r->taken++;
    r->holding = true;
    pthread_mutex_unlock(&r->lock);
    for (size_t i = 0; i < n; i++) {
        if (slot->good[i])
            continue;
        if (!r->how.skip_bad)
            return fail_error(&slot->errors[i], slot->errors[i].status);
        note(r->how.quiet, "clipneuron: skipped %s", slot->errors[i].text);
        batch->bad++;
        r->bad++;
    }
    return EXIT_DONE;
}

size_t pictures_bad(const struct picture_reader *r)
{
    return r->bad;
}

void pictures_close(struct picture_reader *r)
{
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    r->stop = true;
    pthread_cond_broadcast(&r->room);
    pthread_mutex_unlock(&r->lock);
    for (int i = 0; i < r->n_workers; i++)
        pthread_join(r->workers[i], NULL);
    for (int i = 0; i < SLOTS; i++) {
        free(r->slots[i].rgb);
        free(r->slots[i].good);
        free(r->slots[i].errors);
    }
    pthread_cond_destroy(&r->room);
    pthread_cond_destroy(&r->ready);
    pthread_mutex_destroy(&r->lock);
    free(r);
}
