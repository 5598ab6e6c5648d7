/* text/bpe.c -- byte-pair merges in O(n log n), whatever the piece.
 * The original scans the whole word for the pair of lowest rank and merges all its occurrences from
 * left to right. A heap ordered by rank, then position, does the same: a merge makes only pairs of a
 * higher rank than its own, because its result is no part of any earlier merge (make_merges checks). */
#include "text/bpe.h"

#include "base/check.h"
#include "base/memory.h"

#define SLOT_BITS 17 /* 131,072 slots for 48,894 merges */
#define SLOT_COUNT ((size_t)1 << SLOT_BITS)
#define NO_RANK UINT32_MAX
#define NO_PART UINT32_MAX

typedef struct bpe_slot {
    uint32_t pair, rank; /* rank NO_RANK: empty */
} bpe_slot;

typedef struct bpe_part {
    uint32_t previous, next; /* neighbours, NO_PART at the ends */
    uint32_t rank;           /* of the pair that starts here; NO_RANK when none does */
    uint16_t id;
} bpe_part;

/* Ids 0..255 list the printable bytes of Latin-1 first: '!'..'~', 0xA1..0xAC, 0xAE..0xFF, then the rest. */

static uint16_t id_of_byte(unsigned byte)
{
    if (byte >= '!' && byte <= '~')
        return (uint16_t)(byte - '!');
    if (byte >= 0xA1 && byte <= 0xAC)
        return (uint16_t)(byte - 0xA1 + 94);
    if (byte >= 0xAE)
        return (uint16_t)(byte - 0xAE + 106);
    if (byte <= ' ')
        return (uint16_t)(188 + byte);
    return (uint16_t)(byte == 0xAD ? 255 : byte - 0x7F + 221);
}

unsigned char bpe_byte_of(uint32_t id)
{
    id &= 0xFF;
    if (id < 94)
        return (unsigned char)('!' + id);
    if (id < 106)
        return (unsigned char)(0xA1 + id - 94);
    if (id < 188)
        return (unsigned char)(0xAE + id - 106);
    if (id < 221)
        return (unsigned char)(id - 188);
    return (unsigned char)(id == 255 ? 0xAD : id - 221 + 0x7F);
}

static size_t slot_of(uint32_t pair)
{
    return (size_t)((pair * UINT32_C(0x9E3779B1)) >> (32 - SLOT_BITS));
}

static uint32_t rank_of(const bpe *b, uint16_t left, uint16_t right)
{
    uint32_t pair = (uint32_t)left << 16 | right;
    for (size_t i = slot_of(pair);; i = (i + 1) & (SLOT_COUNT - 1)) {
        if (b->slots[i].rank == NO_RANK)
            return NO_RANK;
        if (b->slots[i].pair == pair)
            return b->slots[i].rank;
    }
}

cn_status bpe_init(bpe *b, cn_error *err)
{
    b->slots = cn_malloc(SLOT_COUNT * sizeof *b->slots);
    if (!b->slots)
        return cn_fail(err, CN_ENOMEM, "out of memory for the table of merges");
    for (size_t i = 0; i < SLOT_COUNT; i++)
        b->slots[i].rank = NO_RANK;
    for (uint32_t rank = 0; rank < BPE_MERGES; rank++) {
        uint32_t pair = (uint32_t)bpe_merges[rank][0] << 16 | bpe_merges[rank][1];
        size_t i = slot_of(pair);
        while (b->slots[i].rank != NO_RANK)
            i = (i + 1) & (SLOT_COUNT - 1);
        b->slots[i] = (bpe_slot){pair, rank};
    }
    return CN_OK;
}

void bpe_release(bpe *b)
{
    cn_free(b->slots);
    b->slots = NULL;
}

void bpe_work_free(bpe_work *w)
{
    cn_free(w->parts);
    cn_free(w->heap);
    *w = (bpe_work){0};
}

/* The heap holds rank << 32 | position; an entry is stale when the part's rank has changed since. */
static void heap_push(bpe_work *w, uint32_t rank, uint32_t position)
{
    uint64_t key = (uint64_t)rank << 32 | position;
    size_t i = w->heap_count++;
    while (i > 0 && w->heap[(i - 1) / 2] > key) {
        w->heap[i] = w->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    w->heap[i] = key;
}

static uint64_t heap_pop(bpe_work *w)
{
    uint64_t top = w->heap[0], key = w->heap[--w->heap_count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= w->heap_count)
            break;
        if (child + 1 < w->heap_count && w->heap[child + 1] < w->heap[child])
            child++;
        if (w->heap[child] >= key)
            break;
        w->heap[i] = w->heap[child];
        i = child;
    }
    w->heap[i] = key;
    return top;
}

static void rate_pair(const bpe *b, bpe_work *w, uint32_t position)
{
    bpe_part *part = &w->parts[position];
    part->rank = part->next == NO_PART ? NO_RANK : rank_of(b, part->id, w->parts[part->next].id);
    if (part->rank != NO_RANK)
        heap_push(w, part->rank, position);
}

/* One pair a part at first, and at most two new ones for each of the count - 1 merges. */
static cn_status work_reserve(bpe_work *w, size_t count, cn_error *err)
{
    cn_status st = CN_OK;
    if (count <= w->room)
        return CN_OK;
    CN_CHECK(count < NO_PART, CN_ELIMIT, "a word of %zu bytes is too long to merge", count);
    if (count < 64)
        count = 64;
    bpe_part *parts = cn_reallocarray(w->parts, count, sizeof *parts);
    CN_CHECK(parts, CN_ENOMEM, "out of memory for a word of %zu bytes", count);
    w->parts = parts;
    uint64_t *heap = cn_reallocarray(w->heap, count, 3 * sizeof *heap);
    CN_CHECK(heap, CN_ENOMEM, "out of memory for a word of %zu bytes", count);
    w->heap = heap;
    w->room = count;
done:
    return st;
}

cn_status bpe_merge(const bpe *b, bpe_work *w, const unsigned char *bytes, size_t count, int32_t *ids,
                    size_t *made, cn_error *err)
{
    cn_status st = CN_OK;
    *made = 0;
    if (!count)
        return CN_OK;
    CN_TRY(work_reserve(w, count, err));
    w->heap_count = 0;
    for (size_t i = 0; i < count; i++) {
        w->parts[i] = (bpe_part){
            .previous = i ? (uint32_t)i - 1 : NO_PART,
            .next = i + 1 < count ? (uint32_t)i + 1 : NO_PART,
            .id = (uint16_t)(id_of_byte(bytes[i]) + (i + 1 == count ? 256 : 0)),
        };
    }
    for (size_t i = 0; i < count; i++)
        rate_pair(b, w, (uint32_t)i);
    while (w->heap_count) {
        uint64_t top = heap_pop(w);
        uint32_t rank = (uint32_t)(top >> 32), position = (uint32_t)top;
        bpe_part *part = &w->parts[position];
        if (part->rank != rank)
            continue;
        bpe_part *gone = &w->parts[part->next];
        part->id = (uint16_t)(BPE_BYTES + rank);
        part->next = gone->next;
        gone->rank = NO_RANK;
        if (part->next != NO_PART)
            w->parts[part->next].previous = position;
        if (part->previous != NO_PART)
            rate_pair(b, w, part->previous);
        rate_pair(b, w, position);
    }
    for (uint32_t i = 0; i != NO_PART; i = w->parts[i].next)
        ids[(*made)++] = w->parts[i].id;
done:
    return st;
}
