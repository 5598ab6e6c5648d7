/* study/wordlist.c -- collects, sorts, drops doubles. */
#include "study/wordlist.h"

#include "base/memory.h"
#include "clipneuron/study.h"
#include "file/filemap.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

cn_status wordlist_add(wordlist *l, const char *word, size_t length, cn_error *err)
{
    cn_status st = CN_OK;
    while (length && blank(*word))
        word++, length--;
    while (length && blank(word[length - 1]))
        length--;
    if (!length)
        return CN_OK;
    CN_CHECK(l->count < CN_MAX_STUDY_WORDS, CN_ELIMIT, "more than %d words", CN_MAX_STUDY_WORDS);
    if (l->count == l->room) {
        size_t room = l->room ? 2 * l->room : 256;
        char **grown = cn_reallocarray(l->words, room, sizeof *grown);
        CN_CHECK(grown, CN_ENOMEM, "out of memory for %zu words", room);
        l->words = grown;
        l->room = room;
    }
    l->words[l->count] = cn_strndup(word, length);
    CN_CHECK(l->words[l->count], CN_ENOMEM, "out of memory for %zu words", l->count);
    l->count++;
done:
    return st;
}

cn_status wordlist_add_file(wordlist *l, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    filemap map = {0};
    CN_TRY(filemap_open(&map, path, err));
    const char *p = (const char *)map.data, *end = p + map.size;
    for (size_t line = 1; p < end; line++) {
        const char *next = memchr(p, '\n', (size_t)(end - p));
        size_t length = (size_t)((next ? next : end) - p);
        CN_CHECK(length < 1024 && !memchr(p, '\0', length), CN_EFORMAT,
                 "%s: line %zu is not a word or phrase", path, line);
        if (*p != '#')
            CN_TRY(wordlist_add(l, p, length, err));
        p = next ? next + 1 : end;
    }
done:
    filemap_close(&map);
    return st;
}

cn_status wordlist_add_label(wordlist *l, const char *label, cn_error *err)
{
    const char *slash = strrchr(label, '/');
    const char *name = slash && slash[1] ? slash + 1 : label;
    char *word = cn_strdup(name);
    if (!word)
        return cn_fail(err, CN_ENOMEM, "out of memory for the words");
    for (char *c = word; *c; c++)
        if (*c == '_')
            *c = ' ';
    cn_status st = wordlist_add(l, word, strlen(word), err);
    cn_free(word);
    return st;
}

cn_status wordlist_add_common(wordlist *l, cn_error *err)
{
    cn_status st = CN_OK;
    for (size_t i = 0; i < wordlist_common_count; i++)
        CN_TRY(wordlist_add(l, wordlist_common[i], strlen(wordlist_common[i]), err));
done:
    return st;
}

static int by_case_then_bytes(const void *a, const void *b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    int order = strcasecmp(x, y);
    return order ? order : strcmp(x, y);
}

void wordlist_finish(wordlist *l)
{
    size_t kept = 0;
    if (l->count)
        qsort(l->words, l->count, sizeof *l->words, by_case_then_bytes);
    for (size_t i = 0; i < l->count; i++) {
        if (kept && strcasecmp(l->words[kept - 1], l->words[i]) == 0)
            cn_free(l->words[i]);
        else
            l->words[kept++] = l->words[i];
    }
    l->count = kept;
}

void wordlist_free(wordlist *l)
{
    for (size_t i = 0; i < l->count; i++)
        cn_free(l->words[i]);
    cn_free(l->words);
    memset(l, 0, sizeof *l);
}

char *wordlist_prompt(const char *template, const char *word)
{
    const char *hole = strstr(template, "{}");
    size_t before = (size_t)(hole - template), length = strlen(word), after = strlen(hole + 2);
    char *text = cn_malloc(before + length + after + 1);
    if (!text)
        return NULL;
    memcpy(text, template, before);
    memcpy(text + before, word, length);
    memcpy(text + before + length, hole + 2, after + 1);
    return text;
}
