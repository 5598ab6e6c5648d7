/* text/bpe.h -- byte-pair merges: the bytes of one piece of text become token ids.
 * Ids: 0..255 the bytes, 256..511 the bytes at the end of a piece, then one for each merge in its
 * order, then the two marks. */
#ifndef TEXT_BPE_H
#define TEXT_BPE_H

#include "clipneuron/error.h"
#include <stddef.h>
#include <stdint.h>

#define BPE_BYTES 512
#define BPE_MERGES 48894

/* The two ids that each merge joins; written by tools/make_merges.c at build time. */
extern const uint16_t bpe_merges[BPE_MERGES][2];

typedef struct bpe {
    struct bpe_slot *slots; /* pair of ids -> rank */
} bpe;

/* Scratch for bpe_merge; zero it first, bpe_work_free it after the last piece. */
typedef struct bpe_work {
    struct bpe_part *parts;
    uint64_t *heap;
    size_t room, heap_count;
} bpe_work;

/* The byte of ids 0..511. */
unsigned char bpe_byte_of(uint32_t id);

cn_status bpe_init(bpe *b, cn_error *err);
void bpe_release(bpe *b);
void bpe_work_free(bpe_work *w);

/* Merges the bytes of one piece. ids has room for `count` ids; *made says how many there are. */
cn_status bpe_merge(const bpe *b, bpe_work *w, const unsigned char *bytes, size_t count, int32_t *ids,
                    size_t *made, cn_error *err);

#endif
