/* clip/sitenames.c -- which site a name means.
 * A name goes through rewriting rules (the paper's TensorFlow names, Hugging Face's, open_clip's, "pre:")
 * and is then tried with the prefixes that people leave out. Names are compared as Lucent users write
 * them: '.', '_' and '/' are one separator and case does not matter; no two canonical names collide so. */
#include "clip/sitenames.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_ROOM (CLIP_MAX_SITE_NAME + 64) /* rewriting lengthens a name */
#define NOT_FOUND ((size_t)-1)

typedef struct site_set {
    const char *const *names;
    size_t n;
} site_set;

static char fold(char c)
{
    if (c == '_' || c == '/')
        return '.';
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool same_folded(const char *a, const char *b)
{
    while (*a && fold(*a) == fold(*b))
        a++, b++;
    return !*a && !*b;
}

static size_t find(const site_set *s, const char *name)
{
    for (size_t i = 0; i < s->n; i++)
        if (!strcmp(s->names[i], name))
            return i;
    for (size_t i = 0; i < s->n; i++)
        if (same_folded(s->names[i], name))
            return i;
    return NOT_FOUND;
}

/* Cuts a prefix off a folded name; the prefix ends at a separator or at the end of the name. */
static const char *behind(const char *name, const char *prefix)
{
    size_t n = strlen(prefix);
    if (strncmp(name, prefix, n) != 0 || (name[n] != '.' && name[n] != '\0'))
        return NULL;
    return name[n] ? name + n + 1 : name + n;
}

/* Reads a number that is a whole component; NULL when there is none, else what is behind it and its dot. */
static const char *component_number(const char *text, int *value)
{
    char *end;
    bool minus = *text == '-';
    if (!(text[minus] >= '0' && text[minus] <= '9'))
        return NULL;
    long v = strtol(text, &end, 10);
    if ((*end != '.' && *end != '\0') || v > 99999 || v < -99999)
        return NULL;
    *value = (int)v;
    return *end ? end + 1 : end;
}

/* The last N for which PREFIX.N is a site; -1 when there is none. */
static int last_block(const site_set *s, const char *prefix)
{
    int last = -1;
    size_t length = strlen(prefix);
    for (size_t i = 0; i < s->n; i++) {
        int number;
        const char *name = s->names[i];
        if (!strncmp(name, prefix, length) && name[length] == '.' && component_number(name + length + 1, &number) &&
            number > last)
            last = number;
    }
    return last;
}

/* ---- rules: each reads a folded name and may write another ---- */

static bool append(char *out, const char *a, const char *b)
{
    return snprintf(out, NAME_ROOM, "%s%s", a, b) < NAME_ROOM;
}

/* The paper's TensorFlow graph: image_block_{stage}/{block}/Add_6. The k-th ReLU of a bottleneck is
 * Relu, Relu_1, Relu_2; the sum is its seventh addition, or the ninth where a downsampling branch has
 * a batch norm too. Other additions there are parts of batch norms, which are no sites. */
static bool paper_name(const char *name, char *out)
{
    static const char *const parts[][2] = {{"add.6", "add"},  {"add.8", "add"},    {"add", "add"},   {"relu", "relu1"},
                                           {"relu.1", "relu2"}, {"relu.2", "relu3"}, {"", ""}};
    int stage, block;
    const char *rest = behind(name, "image.block");
    if (!rest || !(rest = component_number(rest, &stage)) || !(rest = component_number(rest, &block)))
        return false;
    size_t length = strlen(rest);
    if (length >= 2 && !strcmp(rest + length - 2, ":0")) /* TensorFlow's first output */
        length -= 2;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (strlen(parts[i][0]) == length && !strncmp(parts[i][0], rest, length) && !(i == 1 && block != 0)) {
            snprintf(out, NAME_ROOM, "visual.layer%d.%d%s%s", stage, block, *parts[i][1] ? "." : "", parts[i][1]);
            return true;
        }
    return false;
}

/* Hugging Face's modules. */
static bool hugging_face_name(const char *name, char *out)
{
    static const char *const in_block[][2] = {
        {"", ""},
        {"layer.norm1", ".ln_1"},
        {"self.attn", ".attn"},
        {"self.attn.out.proj", ".attn"},
        {"layer.norm2", ".ln_2"},
        {"mlp", ".mlp"},
        {"mlp.fc1", ".mlp.c_fc"},
        {"mlp.activation.fn", ".mlp.gelu"},
        {"mlp.fc2", ".mlp.c_proj"},
    };
    static const char *const whole[][2] = {
        {"vision.model.embeddings.patch.embedding", "visual.conv1"},
        {"vision.model.pre.layrnorm", "visual.ln_pre"},
        {"vision.model.pre.layernorm", "visual.ln_pre"},
        {"vision.model.post.layernorm", "visual.ln_post"},
        {"vision.model.encoder", "visual.transformer"},
        {"vision.model.encoder.layers", "visual.transformer"},
        {"visual.projection", "visual"},
        {"text.model.embeddings.token.embedding", "token_embedding"},
        {"text.model.final.layer.norm", "ln_final"},
        {"text.model.encoder", "transformer"},
        {"text.model.encoder.layers", "transformer"},
    };
    for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++)
        if (!strcmp(name, whole[i][0]))
            return append(out, whole[i][1], "");

    int block;
    const char *tower = "visual.", *rest = behind(name, "vision.model.encoder.layers");
    if (!rest)
        tower = "", rest = behind(name, "text.model.encoder.layers");
    if (!rest || !(rest = component_number(rest, &block)))
        return false;
    for (size_t i = 0; i < sizeof in_block / sizeof in_block[0]; i++)
        if (!strcmp(rest, in_block[i][0])) {
            snprintf(out, NAME_ROOM, "%stransformer.resblocks.%d%s", tower, block, in_block[i][1]);
            return true;
        }
    return false;
}

/* open_clip calls the ReLUs act1, act2, act3; OpenAI's first release had one `relu`, used three times:
 * what a hook saw last is relu3. */
static void rename_activations(char *name)
{
    char *last = strrchr(name, '.');
    last = last ? last + 1 : name;
    size_t room = NAME_ROOM - (size_t)(last - name);
    if (!strcmp(last, "relu"))
        snprintf(last, room, "relu3");
    else if (!strncmp(last, "act", 3) && last[3] >= '1' && last[3] <= '3' && !last[4])
        snprintf(last, room, "relu%c", last[3]);
}

/* Module paths whose output is that of the module around them. */
static void rename_inner_modules(char *name)
{
    static const char *const inner[][2] = {
        {"transformer.resblocks", "transformer"}, {"attn.out.proj", "attn"}, {"attnpool.c.proj", "attnpool"}};
    size_t n = strlen(name);
    for (size_t i = 0; i < sizeof inner / sizeof inner[0]; i++) {
        size_t k = strlen(inner[i][0]);
        if (n >= k && !strcmp(name + n - k, inner[i][0]) && (n == k || name[n - k - 1] == '.'))
            name[n - k + strlen(inner[i][1])] = '\0';
    }
}

/* layer4.-1 counts from the last block; layer4.add means the last block's. */
static bool last_block_rule(const site_set *s, const char *name, char *out)
{
    char prefix[NAME_ROOM];
    const char *rest = NULL;
    for (int stage = 1; stage <= 4 && !rest; stage++) {
        snprintf(prefix, sizeof prefix, "visual.layer%d", stage);
        rest = behind(name, prefix);
    }
    if (!rest)
        snprintf(prefix, sizeof prefix, "visual.transformer.resblocks"), rest = behind(name, prefix);
    if (!rest)
        snprintf(prefix, sizeof prefix, "transformer.resblocks"), rest = behind(name, prefix);
    if (!rest || !*rest)
        return false;
    int number, last = last_block(s, prefix);
    const char *tail = component_number(rest, &number);
    if (!tail)
        number = -1, tail = rest;
    if (number >= 0 || last + 1 + number < 0)
        return false;
    int length = snprintf(out, NAME_ROOM, "%s.%d%s%s", prefix, last + 1 + number, *tail ? "." : "", tail);
    return length < NAME_ROOM;
}

/* ---- the search ---- */

static size_t try_prefixes(const site_set *s, const char *name)
{
    static const char *const prefixes[] = {"", "visual.", "visual.transformer.", "transformer."};
    char full[NAME_ROOM] = "", other[NAME_ROOM] = "";
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        if (!append(full, prefixes[i], name))
            continue;
        size_t at = find(s, full);
        if (at == NOT_FOUND && last_block_rule(s, full, other))
            at = find(s, other);
        if (at != NOT_FOUND)
            return at;
    }
    return NOT_FOUND;
}

static size_t search(const site_set *s, const char *wanted);

/* "pre:X": what goes into the ReLU (or GELU) whose output X is. */
static size_t search_before(const site_set *s, const char *wanted)
{
    char name[NAME_ROOM] = "";
    size_t at = search(s, wanted);
    if (at == NOT_FOUND || !append(name, s->names[at], ""))
        return NOT_FOUND;
    size_t n = strlen(name);
    char *last = strrchr(name, '.');
    last = last ? last + 1 : name;
    int stage, length = 0;
    if (!strcmp(last, "gelu")) {
        strcpy(last, "c_fc");
        return find(s, name);
    }
    if (!strncmp(last, "relu", 4) && n < NAME_ROOM - 8) {
        char number[2] = {last[4], '\0'};
        if (last[4] == '3') { /* a block's, or the stem's, where nothing is added */
            strcpy(last, "add");
            if ((at = find(s, name)) != NOT_FOUND)
                return at;
        }
        strcpy(last, "bn");
        strcat(last, number);
        return find(s, name);
    }
    /* A block, or a stage: its last block. */
    if (sscanf(name, "visual.layer%d%n", &stage, &length) == 1 && strspn(name + length, ".0123456789") == strlen(name + length)) {
        strcat(name, ".add");
        return try_prefixes(s, name);
    }
    return NOT_FOUND;
}

static size_t search(const site_set *s, const char *wanted)
{
    size_t at = find(s, wanted);
    if (at != NOT_FOUND)
        return at;
    if (!strncmp(wanted, "pre:", 4))
        return strncmp(wanted + 4, "pre:", 4) != 0 ? search_before(s, wanted + 4) : NOT_FOUND;

    char name[NAME_ROOM] = "", other[NAME_ROOM] = "";
    size_t n = strlen(wanted);
    for (size_t i = 0; i <= n; i++)
        name[i] = fold(wanted[i]);
    if (paper_name(name, other) || hugging_face_name(name, other))
        return try_prefixes(s, other);
    rename_activations(name);
    rename_inner_modules(name);

    const char *rest = behind(name, "image");
    if (!rest)
        rest = behind(name, "vision");
    if (rest) {
        int length = snprintf(other, sizeof other, "visual%s%s", *rest ? "." : "", rest);
        return length < NAME_ROOM ? try_prefixes(s, other) : NOT_FOUND;
    }
    rest = behind(name, "text");
    return try_prefixes(s, rest && *rest ? rest : name);
}

/* ---- suggestions ---- */

#define STEP CLIP_NAME_STEP
#define PREFIX_BONUS 10 /* a character of common beginning counts more than the distance of two digits */

static int substitution(char a, char b)
{
    if (a == b)
        return 0;
    if (a >= '0' && a <= '9' && b >= '0' && b <= '9')
        return STEP / 2 + abs(a - b);
    return STEP;
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

int clip_name_distance(const char *a, const char *b)
{
    enum { ROOM = CLIP_MAX_SITE_NAME + 1 };
    int rows[3][ROOM]; /* of the table: two back, one back, this one */
    int *before = rows[0], *last = rows[1], *row = rows[2];
    size_t n = strnlen(a, ROOM - 1), m = strnlen(b, ROOM - 1);
    for (size_t j = 0; j <= m; j++)
        before[j] = last[j] = (int)j * STEP;
    for (size_t i = 1; i <= n; i++) {
        char x = fold(a[i - 1]);
        row[0] = (int)i * STEP;
        for (size_t j = 1; j <= m; j++) {
            char y = fold(b[j - 1]);
            int best = last[j - 1] + substitution(x, y);
            best = least(best, least(last[j], row[j - 1]) + STEP);
            if (i > 1 && j > 1 && x == fold(b[j - 2]) && fold(a[i - 2]) == y)
                best = least(best, before[j - 2] + STEP);
            row[j] = best;
        }
        int *spare = before;
        before = last, last = row, row = spare;
    }
    return last[m];
}

static int unlikeness(const char *wanted, const char *name)
{
    int common = 0;
    while (wanted[common] && fold(wanted[common]) == fold(name[common]))
        common++;
    return clip_name_distance(wanted, name) - PREFIX_BONUS * common;
}

#define SUGGESTIONS 5
#define SUGGESTIONS_SURE 3 /* shown however far they are */

static cn_status not_found(const site_set *s, const clip_alias_context *ctx, const char *wanted, cn_error *err)
{
    struct {
        size_t index;
        int distance;
    } best[SUGGESTIONS];
    size_t found = 0;
    char text[SUGGESTIONS * 80] = "";
    size_t at = 0;
    for (size_t i = 0; i < s->n && err; i++) {
        const char *name = s->names[i];
        int distance = unlikeness(wanted, name);
        if (!strncmp(name, "visual.", 7)) /* the prefix may be left out */
            distance = least(distance, unlikeness(wanted, name + 7));
        size_t k = found;
        while (k > 0 && best[k - 1].distance > distance)
            k--;
        if (k == SUGGESTIONS)
            continue;
        found += found < SUGGESTIONS;
        memmove(&best[k + 1], &best[k], (found - 1 - k) * sizeof best[0]);
        best[k].index = i, best[k].distance = distance;
    }
    for (size_t k = 0; k < found; k++) {
        if (k >= SUGGESTIONS_SURE && best[k].distance > 2 * best[0].distance + STEP)
            break;
        if (at < sizeof text)
            at += (size_t)snprintf(text + at, sizeof text - at, "%s%.70s", k ? ", " : "", s->names[best[k].index]);
    }
    return cn_fail(err, CN_ENOTFOUND, "no site \"%.*s\" in %s; nearest: %s (clipneuron info --sites lists all %zu)",
                   CLIP_MAX_SITE_NAME, wanted, ctx && ctx->file ? ctx->file : "the model", text, s->n);
}

cn_status clip_site_lookup(const char *const *names, size_t n, const clip_alias_context *ctx, const char *wanted,
                           size_t *index, cn_error *err)
{
    const site_set s = {names, n};
    size_t at = strnlen(wanted, CLIP_MAX_SITE_NAME + 1) <= CLIP_MAX_SITE_NAME ? search(&s, wanted) : NOT_FOUND;
    if (at == NOT_FOUND)
        return not_found(&s, ctx, wanted, err);
    *index = at;
    return CN_OK;
}

cn_status clip_unit_parse(const char *text, size_t *site_length, int64_t *unit, cn_error *err)
{
    cn_status st = CN_OK;
    const char *site = strncmp(text, "pre:", 4) ? text : text + 4;
    const char *colon = strrchr(site, ':');
    CN_CHECK(colon && colon > site, CN_EINVAL, "\"%.*s\" names no unit; write SITE:UNIT, such as layer4:89",
             CLIP_MAX_SITE_NAME, text);
    int64_t value = 0;
    const char *digit = colon + 1;
    for (; *digit >= '0' && *digit <= '9' && value <= INT_MAX; digit++)
        value = 10 * value + (*digit - '0');
    CN_CHECK(digit > colon + 1 && !*digit && value <= INT_MAX, CN_EINVAL,
             "\"%.60s\" in \"%.*s\" is not the number of a unit", colon + 1, CLIP_MAX_SITE_NAME, text);
    *site_length = (size_t)(colon - text);
    *unit = value;
done:
    return st;
}
