/* clipneuron/tokenizer.h -- CLIP's byte-pair tokenizer, as the original code has it.
 * Text is cleaned (the part of ftfy that docs/tokenizer.md lists, HTML unescaping, white space),
 * lower-cased, split and merged. The merges are compiled in.
 * Threads: a cn_tokenizer is read-only after create and may be shared. */
#ifndef CLIPNEURON_TOKENIZER_H
#define CLIPNEURON_TOKENIZER_H

#include "clipneuron/error.h"
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CN_TOKEN_START 49406 /* <|startoftext|> */
#define CN_TOKEN_END 49407   /* <|endoftext|> */
#define CN_VOCABULARY 49408
#define CN_CONTEXT_LENGTH 77 /* of OpenAI's models */
#define CN_MAX_TEXT ((size_t)1 << 20) /* bytes of one text */

typedef struct cn_tokenizer cn_tokenizer;

/** @param[out] out owned by the caller, cn_tokenizer_free */
CN_API CN_MUST_CHECK cn_status cn_tokenizer_create(cn_tokenizer **out, cn_error *err);
CN_API void cn_tokenizer_free(cn_tokenizer *tok);

/** Token ids of a text, without start and end marks.
 * @param text UTF-8, zero-terminated; invalid bytes become U+FFFD
 * @param[out] ids owned by the caller, release with cn_tokens_free; NULL when there are none
 * @return CN_OK; CN_ELIMIT beyond CN_MAX_TEXT; CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_tokenizer_encode(const cn_tokenizer *tok, const char *text, int32_t **ids,
                                                   size_t *count, cn_error *err);
CN_API void cn_tokens_free(int32_t *ids);

/** A row for the text tower: start mark, tokens, end mark, zeros.
 * @param truncate cut a text that is too long, keeping the end mark (as the original does when asked)
 * @param[out] row caller's buffer of context_length ids
 * @param[out] used NULL, or ids used including both marks
 * @return CN_OK; CN_ELIMIT when the text is too long and truncate is false */
CN_API CN_MUST_CHECK cn_status cn_tokenizer_row(const cn_tokenizer *tok, const char *text, size_t context_length,
                                                bool truncate, int32_t *row, size_t *used, cn_error *err);

/** The text of one token, "</w>" shown as a space; NULL for an id outside the vocabulary. Borrowed. */
CN_API const char *cn_tokenizer_token_text(const cn_tokenizer *tok, int32_t id);

#ifdef __cplusplus
}
#endif
#endif
