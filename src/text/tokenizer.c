/* text/tokenizer.c -- the public tokenizer: clean, split, merge. */
#include "clipneuron/tokenizer.h"

#include "base/check.h"
#include "base/memory.h"
#include "text/bpe.h"
#include "text/clean.h"
#include "text/split.h"

#include <string.h>

#define MARK_COUNT 2
_Static_assert(CN_VOCABULARY == BPE_BYTES + BPE_MERGES + MARK_COUNT,
               "the vocabulary is bytes, merges, marks");

static const char *const mark_texts[MARK_COUNT] = {"<|startoftext|>", "<|endoftext|>"};

struct cn_tokenizer {
    bpe merges;
    char *pool;        /* the texts of all tokens, zero-terminated */
    uint32_t *text_at; /* where each begins */
};

/* The bytes of every token, one after the other; a token's end is the start of the next. */
typedef struct vocabulary {
    unsigned char *bytes;
    uint32_t *start; /* CN_VOCABULARY + 1 - marks */
    bool *last;      /* the token ends a word */
} vocabulary;

static void vocabulary_free(vocabulary *v)
{
    cn_free(v->bytes);
    cn_free(v->start);
    cn_free(v->last);
}

static cn_status vocabulary_build(vocabulary *v, cn_error *err)
{
    cn_status st = CN_OK;
    const size_t count = BPE_BYTES + BPE_MERGES;
    v->start = cn_calloc(count + 1, sizeof *v->start);
    v->last = cn_calloc(count, sizeof *v->last);
    CN_CHECK(v->start && v->last, CN_ENOMEM, "out of memory for the vocabulary");
    for (uint32_t id = 0; id < count; id++) {
        uint32_t length = 1;
        v->last[id] = id >= BPE_BYTES / 2;
        if (id >= BPE_BYTES) {
            const uint16_t *pair = bpe_merges[id - BPE_BYTES];
            length = v->start[pair[0] + 1] - v->start[pair[0]] + v->start[pair[1] + 1] - v->start[pair[1]];
            v->last[id] = v->last[pair[1]];
        }
        v->start[id + 1] = v->start[id] + length;
    }
    v->bytes = cn_malloc(v->start[count]);
    CN_CHECK(v->bytes, CN_ENOMEM, "out of memory for the vocabulary");
    for (uint32_t id = 0; id < count; id++) {
        unsigned char *to = v->bytes + v->start[id];
        if (id < BPE_BYTES) {
            *to = bpe_byte_of(id);
            continue;
        }
        for (int side = 0; side < 2; side++) {
            uint16_t part = bpe_merges[id - BPE_BYTES][side];
            size_t length = v->start[part + 1] - v->start[part];
            memcpy(to, v->bytes + v->start[part], length);
            to += length;
        }
    }
done:
    return st;
}

/* Token texts as UTF-8: a token may be half a character, or hold a zero byte; U+FFFD stands for those. */
static cn_status texts_build(cn_tokenizer *tok, cn_error *err)
{
    cn_status st = CN_OK;
    vocabulary v = {0};
    CN_TRY(vocabulary_build(&v, err));
    const size_t count = BPE_BYTES + BPE_MERGES;
    size_t room = 3 * (size_t)v.start[count] + 2 * count + 64, used = 0;
    tok->pool = cn_malloc(room);
    tok->text_at = cn_malloc(CN_VOCABULARY * sizeof *tok->text_at);
    CN_CHECK(tok->pool && tok->text_at, CN_ENOMEM, "out of memory for the texts of the tokens");
    for (size_t id = 0; id < count; id++) {
        const unsigned char *bytes = v.bytes + v.start[id];
        size_t length = v.start[id + 1] - v.start[id];
        tok->text_at[id] = (uint32_t)used;
        for (size_t i = 0; i < length;) {
            uint32_t c = rune_next(bytes, length, &i);
            used += rune_encode(c ? c : RUNE_REPLACEMENT, (unsigned char *)tok->pool + used);
        }
        if (v.last[id])
            tok->pool[used++] = ' ';
        tok->pool[used++] = '\0';
    }
    for (size_t i = 0; i < MARK_COUNT; i++) {
        size_t size = strlen(mark_texts[i]) + 1;
        tok->text_at[count + i] = (uint32_t)used;
        memcpy(tok->pool + used, mark_texts[i], size);
        used += size;
    }
done:
    vocabulary_free(&v);
    return st;
}

cn_status cn_tokenizer_create(cn_tokenizer **out, cn_error *err)
{
    cn_status st = CN_OK;
    cn_tokenizer *tok = NULL;
    CN_CHECK(out, CN_EINVAL, "no place for the tokenizer");
    *out = NULL;
    tok = cn_calloc(1, sizeof *tok);
    CN_CHECK(tok, CN_ENOMEM, "out of memory for the tokenizer");
    CN_TRY(bpe_init(&tok->merges, err));
    CN_TRY(texts_build(tok, err));
    *out = tok;
    tok = NULL;
done:
    cn_tokenizer_free(tok);
    return st;
}

void cn_tokenizer_free(cn_tokenizer *tok)
{
    if (!tok)
        return;
    bpe_release(&tok->merges);
    cn_free(tok->pool);
    cn_free(tok->text_at);
    cn_free(tok);
}

const char *cn_tokenizer_token_text(const cn_tokenizer *tok, int32_t id)
{
    return tok && id >= 0 && id < CN_VOCABULARY ? tok->pool + tok->text_at[id] : NULL;
}

/* The marks written out in the text are the marks themselves. */
static int32_t mark_id(const unsigned char *bytes, size_t count)
{
    for (int32_t i = 0; i < MARK_COUNT; i++)
        if (count == strlen(mark_texts[i]) && !memcmp(bytes, mark_texts[i], count))
            return CN_TOKEN_START + i;
    return -1;
}

/* The scratch of one encoding. */
typedef struct encoding {
    runes text;
    bpe_work work;
    unsigned char *word; /* one piece in UTF-8 */
    size_t word_room;
    int32_t *ids;
    size_t id_count, id_room;
} encoding;

static void encoding_free(encoding *e)
{
    runes_free(&e->text);
    bpe_work_free(&e->work);
    cn_free(e->word);
    cn_free(e->ids);
}

static cn_status encode_piece(const cn_tokenizer *tok, encoding *e, size_t start, size_t end, cn_error *err)
{
    cn_status st = CN_OK;
    size_t bytes = 4 * (end - start), length = 0, made = 0;
    if (bytes > e->word_room) {
        size_t room = bytes < 256 ? 256 : bytes;
        unsigned char *word = cn_realloc(e->word, room);
        CN_CHECK(word, CN_ENOMEM, "out of memory for a word of %zu characters", end - start);
        e->word = word;
        e->word_room = room;
    }
    for (size_t i = start; i < end; i++)
        length += rune_encode(e->text.at[i], e->word + length);
    if (length > e->id_room - e->id_count) {
        size_t room = e->id_room + e->id_room / 2;
        if (room < e->id_count + length)
            room = e->id_count + length + 64;
        int32_t *ids = cn_reallocarray(e->ids, room, sizeof *ids);
        CN_CHECK(ids, CN_ENOMEM, "out of memory for %zu tokens", room);
        e->ids = ids;
        e->id_room = room;
    }
    int32_t mark = e->word[0] == '<' ? mark_id(e->word, length) : -1;
    if (mark >= 0) {
        e->ids[e->id_count++] = mark;
    } else {
        CN_TRY(bpe_merge(&tok->merges, &e->work, e->word, length, e->ids + e->id_count, &made, err));
        e->id_count += made;
    }
done:
    return st;
}

cn_status cn_tokenizer_encode(const cn_tokenizer *tok, const char *text, int32_t **ids, size_t *count,
                              cn_error *err)
{
    cn_status st = CN_OK;
    encoding e = {0};
    CN_CHECK(tok && text && ids && count, CN_EINVAL,
             "a tokenizer, a text and a place for its tokens are needed");
    *ids = NULL;
    *count = 0;
    size_t length = strnlen(text, CN_MAX_TEXT + 1);
    CN_CHECK(length <= CN_MAX_TEXT, CN_ELIMIT, "the text is longer than %zu bytes", CN_MAX_TEXT);
    CN_TRY(clean_text(&e.text, text, length, err));
    for (size_t at = 0, start; split_next(&e.text, &at, &start);)
        CN_TRY(encode_piece(tok, &e, start, at, err));
    if (e.id_count) {
        *ids = e.ids;
        *count = e.id_count;
        e.ids = NULL;
    }
done:
    encoding_free(&e);
    return st;
}

void cn_tokens_free(int32_t *ids)
{
    cn_free(ids);
}

/* As many bytes of a text as an error line shows, without cutting a character. */
static size_t cut_length(const char *text, size_t most)
{
    size_t length = strnlen(text, most + 1);
    if (length <= most)
        return length;
    for (length = most; length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80; length--)
        ;
    return length;
}

cn_status cn_tokenizer_row(const cn_tokenizer *tok, const char *text, size_t context_length, bool truncate,
                           int32_t *row, size_t *used, cn_error *err)
{
    cn_status st = CN_OK;
    int32_t *ids = NULL;
    size_t count = 0;
    CN_CHECK(row && context_length >= MARK_COUNT, CN_EINVAL, "a row of tokens needs at least %d places",
             MARK_COUNT);
    CN_TRY(cn_tokenizer_encode(tok, text, &ids, &count, err));
    size_t room = context_length - MARK_COUNT;
    CN_CHECK(count <= room || truncate, CN_ELIMIT,
             "the text has %zu tokens with its two marks, the limit is %zu: \"%.*s...\"", count + MARK_COUNT,
             context_length, (int)cut_length(text, 40), text);
    if (count > room)
        count = room;
    row[0] = CN_TOKEN_START;
    if (count)
        memcpy(row + 1, ids, count * sizeof *ids);
    row[count + 1] = CN_TOKEN_END;
    for (size_t i = count + MARK_COUNT; i < context_length; i++)
        row[i] = 0;
    if (used)
        *used = count + MARK_COUNT;
done:
    cn_tokens_free(ids);
    return st;
}
