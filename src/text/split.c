/* text/split.c -- cuts clean text into pieces. */
#include "text/split.h"

#include "text/letters.h"

/* Length of `word` at r->at[i], else 0. The text is in lower case, so the only letter left that
 * differs by case from an ASCII one is the long s. */
static size_t match(const runes *r, size_t i, const char *word)
{
    size_t k = 0;
    for (; word[k]; k++) {
        if (i + k >= r->count)
            return 0;
        uint32_t c = r->at[i + k];
        if (c == 0x17F)
            c = 's';
        if (c != (unsigned char)word[k])
            return 0;
    }
    return k;
}

static size_t match_fixed(const runes *r, size_t i)
{
    static const char *const marks[] = {"<|startoftext|>", "<|endoftext|>", NULL};
    static const char *const endings[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d", NULL};
    const char *const *words = r->at[i] == '<' ? marks : r->at[i] == '\'' ? endings : NULL;
    for (; words && *words; words++) {
        size_t length = match(r, i, *words);
        if (length)
            return length;
    }
    return 0;
}

bool split_next(const runes *r, size_t *at, size_t *start)
{
    size_t i = *at;
    for (; i < r->count; i++) {
        letter_class kind = letter_class_of(r->at[i]);
        if (kind == LETTER_SPACE || kind == LETTER_NOTHING)
            continue;
        *start = i;
        size_t fixed = match_fixed(r, i);
        if (fixed) {
            *at = i + fixed;
            return true;
        }
        i++;
        if (kind != LETTER_NUMBER)
            while (i < r->count && letter_class_of(r->at[i]) == kind)
                i++;
        *at = i;
        return true;
    }
    *at = i;
    return false;
}
