/* fuzz target: rooms=text */
/* Any text: no crash, ids inside the vocabulary, and a row that begins and ends with its marks. */
#include "clipneuron/tokenizer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    static cn_tokenizer *tok;
    cn_error err = {0};
    int32_t *ids = NULL, row[16];
    size_t count = 0, used = 0;
    if (!tok && cn_tokenizer_create(&tok, &err) != CN_OK)
        return 0;
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    if (cn_tokenizer_encode(tok, text, &ids, &count, &err) == CN_OK)
        for (size_t i = 0; i < count; i++)
            if (!cn_tokenizer_token_text(tok, ids[i]))
                abort();
    if (cn_tokenizer_row(tok, text, 16, true, row, &used, &err) == CN_OK)
        if (row[0] != CN_TOKEN_START || used < 2 || used > 16 || row[used - 1] != CN_TOKEN_END)
            abort();
    cn_tokens_free(ids);
    free(text);
    return 0;
}
