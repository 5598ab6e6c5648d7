/* study/feed.h -- pictures decoded ahead on their own threads, handed out in the order of the listing.
 * Memory is bounded: at most `ahead` pictures wait. The order does not depend on the threads. */
#ifndef STUDY_FEED_H
#define STUDY_FEED_H

#include "base/check.h"
#include "clipneuron/image.h"
#include "study/listing.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct feed_item {
    size_t index;     /* in the listing */
    cn_status status; /* CN_OK, or why there are no pixels */
    char reason[512]; /* in words, without the picture's path */
    uint8_t *rgb;     /* (resolution, resolution, 3) */
    void *thumbnail;  /* PNG or JPEG bytes, cn_bytes_free; NULL when thumbnails are off */
    size_t thumbnail_size;
    const char *thumbnail_type;
    int width, height;  /* of the decoded picture, px */
    const char *format; /* "jpeg", ... */
    char digest[33];    /* of its bytes, hexadecimal: SHA-256's first half; "" when they cannot be read */
} feed_item;

typedef struct feed_options {
    int resolution, thumbnail; /* px; thumbnail 0: none */
    cn_image_options image;    /* how pictures are read */
    int threads;
    size_t ahead; /* pictures */
    size_t first; /* of the listing to hand out */
} feed_options;

typedef struct feed feed;

/* The listing must outlive the feed. */
cn_status feed_open(feed **out, const listing *l, const feed_options *options, cn_error *err);
/* The next picture, waiting for it; NULL behind the last. Borrowed until the next call. */
feed_item *feed_next(feed *f);
/* Stops the threads. Accepts NULL. */
void feed_close(feed *f);

#endif
