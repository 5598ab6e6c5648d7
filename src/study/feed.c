/* study/feed.c -- a ring of slots: a worker takes the next picture when its slot is free, the reader
 * takes slots in order. */
#include "study/feed.h"

#include "base/memory.h"
#include "clipneuron/image.h"
#include "file/sha256.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* PNG keeps icons sharp; pictures with more detail than this are smaller as JPEG. */
#define PNG_THUMBNAIL_BYTES 6144

typedef struct slot {
    feed_item item;
    bool ready;
} slot;

struct feed {
    const listing *list;
    feed_options options;
    slot *slots;
    size_t next_work,
        next_read; /* picture numbers; next_read's slot is held by the reader until the next call */
    bool holding, stop;
    pthread_mutex_t lock;
    pthread_cond_t work, ready;
    pthread_t *threads;
    int running;
    bool initialised;
};

static const char *format_name(cn_image_format format)
{
    static const char *const names[] = {
        [CN_IMAGE_JPEG] = "jpeg", [CN_IMAGE_PNG] = "png", [CN_IMAGE_WEBP] = "webp", [CN_IMAGE_GIF] = "gif"};
    return (size_t)format < sizeof names / sizeof *names ? names[format] : "";
}

/* A PNG is twenty times the work of a JPEG. It pays where runs of one colour and rows that repeat make it small, and a pixel that is
 * like neither its left nor its upper neighbour costs it a byte or more: with too many of them there is no need to try. */
static bool may_be_small_png(const uint8_t *rgb, int size)
{
    const size_t row = 3 * (size_t)size;
    int novel = 0;
    for (int y = 1; y < size; y++)
        for (int x = 1; x < size; x++) {
            const uint8_t *p = rgb + (size_t)y * row + 3 * (size_t)x;
            novel += memcmp(p, p - 3, 3) != 0 && memcmp(p, p - row, 3) != 0;
        }
    return novel <= PNG_THUMBNAIL_BYTES;
}

static cn_status make_thumbnail(const feed_options *o, feed_item *item, cn_error *err)
{
    cn_status st = CN_OK;
    uint8_t *small = NULL;
    const uint8_t *rgb = item->rgb;
    void *png = NULL;
    size_t png_size = 0;
    if (o->thumbnail != o->resolution) {
        cn_image crop = {.width = o->resolution, .height = o->resolution, .rgb = item->rgb};
        small = cn_malloc((size_t)o->thumbnail * (size_t)o->thumbnail * 3);
        CN_CHECK(small, CN_ENOMEM, "out of memory for a thumbnail");
        CN_TRY(cn_image_resize(&crop, o->thumbnail, o->thumbnail, small, err));
        rgb = small;
    }
    if (may_be_small_png(rgb, o->thumbnail))
        CN_TRY(cn_image_encode(rgb, o->thumbnail, o->thumbnail, CN_IMAGE_PNG, 0, &png, &png_size, err));
    if (!png || png_size > PNG_THUMBNAIL_BYTES)
        CN_TRY(cn_image_encode(rgb, o->thumbnail, o->thumbnail, CN_IMAGE_JPEG, 88, &item->thumbnail,
                               &item->thumbnail_size, err));
    item->thumbnail_type = "image/jpeg";
    if (png && (!item->thumbnail || item->thumbnail_size >= png_size)) {
        cn_bytes_free(item->thumbnail);
        item->thumbnail = png;
        item->thumbnail_size = png_size;
        item->thumbnail_type = "image/png";
        png = NULL;
    }
done:
    cn_bytes_free(png);
    cn_free(small);
    return st;
}

static cn_status digest(const uint8_t *bytes, size_t size, char half[33], cn_error *err)
{
    cn_status st = CN_OK;
    char hex[65];
    sha256 *sum = NULL;
    CN_TRY(sha256_open(&sum, err));
    CN_TRY(sha256_add(sum, bytes, size, err));
    CN_TRY(sha256_hex(sum, hex, err));
    snprintf(half, 33, "%.32s", hex);
done:
    sha256_close(sum);
    return st;
}

static cn_status decode(const feed *f, size_t index, feed_item *item, cn_error *err)
{
    cn_status st = CN_OK;
    cn_image *image = NULL;
    uint8_t *bytes = NULL;
    size_t size;
    char *path = listing_path(f->list, index);
    CN_CHECK(path, CN_ENOMEM, "out of memory for a path");
    CN_TRY(listing_bytes(f->list, index, &bytes, &size, err));
    CN_TRY(digest(bytes, size, item->digest, err));
    CN_TRY(cn_image_decode(&image, bytes, size, path, &f->options.image, err));
    item->width = image->width;
    item->height = image->height;
    item->format = format_name(image->format);
    CN_TRY(cn_image_preprocess(image, f->options.resolution, item->rgb, err));
    if (f->options.thumbnail)
        CN_TRY(make_thumbnail(&f->options, item, err));
done:
    if (st != CN_OK && err->status != CN_OK) {
        size_t prefix = path ? strlen(path) : 0;
        const char *text = err->text;
        if (prefix && strncmp(text, path, prefix) == 0 && text[prefix] == ':')
            text += prefix + 1 + (text[prefix + 1] == ' ');
        snprintf(item->reason, sizeof item->reason, "%.511s", text);
    }
    cn_image_free(image);
    cn_free(bytes);
    cn_free(path);
    return st;
}

static void *worker(void *self)
{
    feed *f = self;
    pthread_mutex_lock(&f->lock);
    for (;;) {
        while (!f->stop && f->next_work < f->list->count && f->next_work >= f->next_read + f->options.ahead)
            pthread_cond_wait(&f->work, &f->lock);
        if (f->stop || f->next_work >= f->list->count)
            break;
        size_t index = f->next_work++;
        slot *s = &f->slots[index % f->options.ahead];
        pthread_mutex_unlock(&f->lock);

        cn_error err = {0};
        s->item.index = index;
        s->item.reason[0] = s->item.digest[0] = '\0';
        s->item.status = decode(f, index, &s->item, &err);
        if (s->item.status != CN_OK && !s->item.reason[0])
            snprintf(s->item.reason, sizeof s->item.reason, "%s", cn_status_name(s->item.status));

        pthread_mutex_lock(&f->lock);
        s->ready = true;
        pthread_cond_broadcast(&f->ready);
    }
    pthread_mutex_unlock(&f->lock);
    return NULL;
}

cn_status feed_open(feed **out, const listing *l, const feed_options *options, cn_error *err)
{
    cn_status st = CN_OK;
    feed *f = cn_calloc(1, sizeof *f);
    *out = NULL;
    CN_CHECK(f, CN_ENOMEM, "out of memory for the picture feed");
    f->list = l;
    f->options = *options;
    f->next_work = f->next_read = options->first;
    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->work, NULL);
    pthread_cond_init(&f->ready, NULL);
    f->initialised = true;
    f->slots = cn_calloc(options->ahead, sizeof *f->slots);
    f->threads = cn_calloc((size_t)options->threads, sizeof *f->threads);
    CN_CHECK(f->slots && f->threads, CN_ENOMEM, "out of memory for the picture feed");
    for (size_t i = 0; i < options->ahead; i++) {
        f->slots[i].item.rgb = cn_malloc((size_t)options->resolution * (size_t)options->resolution * 3);
        CN_CHECK(f->slots[i].item.rgb, CN_ENOMEM, "out of memory for %zu pictures in waiting",
                 options->ahead);
    }
    for (; f->running < options->threads; f->running++)
        CN_CHECK(pthread_create(&f->threads[f->running], NULL, worker, f) == 0, CN_EIO,
                 "cannot start %d decoding threads", options->threads);
    *out = f, f = NULL;
done:
    feed_close(f);
    return st;
}

static void release(feed *f)
{
    slot *s = &f->slots[f->next_read % f->options.ahead];
    cn_bytes_free(s->item.thumbnail);
    s->item.thumbnail = NULL;
    s->item.thumbnail_size = 0;
    s->ready = false;
    f->holding = false;
    f->next_read++;
    pthread_cond_broadcast(&f->work);
}

feed_item *feed_next(feed *f)
{
    feed_item *item = NULL;
    pthread_mutex_lock(&f->lock);
    if (f->holding)
        release(f);
    if (f->next_read < f->list->count) {
        slot *s = &f->slots[f->next_read % f->options.ahead];
        while (!s->ready)
            pthread_cond_wait(&f->ready, &f->lock);
        f->holding = true;
        item = &s->item;
    }
    pthread_mutex_unlock(&f->lock);
    return item;
}

void feed_close(feed *f)
{
    if (!f)
        return;
    if (f->initialised) {
        pthread_mutex_lock(&f->lock);
        f->stop = true;
        pthread_cond_broadcast(&f->work);
        pthread_mutex_unlock(&f->lock);
    }
    for (int i = 0; i < f->running; i++)
        pthread_join(f->threads[i], NULL);
    for (size_t i = 0; f->slots && i < f->options.ahead; i++) {
        cn_free(f->slots[i].item.rgb);
        cn_bytes_free(f->slots[i].item.thumbnail);
    }
    if (f->initialised) {
        pthread_mutex_destroy(&f->lock);
        pthread_cond_destroy(&f->work);
        pthread_cond_destroy(&f->ready);
    }
    cn_free(f->threads);
    cn_free(f->slots);
    cn_free(f);
}
