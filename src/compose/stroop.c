/* compose/stroop.c -- colour words in eight inks: does the model answer with the ink or with the word? */
#include "compose/attackset.h"

#include "base/memory.h"
#include "study/product.h"
#include "base/rng.h"

#include <string.h>
#include <strings.h>

static const char *const colours[CN_STROOP_COLOURS] = {"red", "orange", "yellow", "green", "blue", "purple", "pink", "brown"};
static const uint8_t inks[CN_STROOP_COLOURS][3] = {{220, 30, 30},  {245, 130, 20},  {250, 215, 20},  {30, 150, 60},
                                                   {30, 80, 220}, {130, 40, 170}, {245, 120, 180}, {130, 80, 40}};
static const char *const fonts[] = {"DejaVu Sans", "DejaVu Sans Bold", "DejaVu Serif", "DejaVu Sans Mono"};

typedef struct private_result {
    cn_stroop_result public;
    bag memory;
} private_result;

typedef struct stroop {
    attack_set set;
    const char **words; /* colours, then neutral ones */
    size_t n_words;
    int variants;
    private_result *result;
    cn_stroop_prompt *prompts;
    cn_stroop_cell **cells; /* (n_prompts) of (n_words, inks) */
} stroop;

/* The same font, paper, size and place for every word and ink of a variant. */
static cn_status draw(const stroop *s, size_t word, int ink, int variant, uint8_t *rgb, cn_error *err)
{
    rng r = rng_stream(s->set.o.seed, 0x7374726f, (uint64_t)variant);
    cn_lettering l = {.layout = CN_LETTERING_PLAIN, .font = fonts[variant % 4], .coloured = true, .outline = -1};
    l.size = 64 + 32 * rng_unit(&r);
    l.x = 0.48 + 0.04 * rng_unit(&r);
    l.y = 0.35 + 0.3 * rng_unit(&r);
    memcpy(l.colour, inks[ink], 3);
    memset(rgb, variant / 4 % 2 ? 128 : 255, (size_t)s->set.side * (size_t)s->set.side * 3);
    return cn_lettering_draw(rgb, s->set.side, s->set.side, s->words[word], &l, NULL, err);
}

static cn_status answer_all(stroop *s, cn_error *err)
{
    cn_status st = CN_OK;
    attack_set *set = &s->set;
    const size_t bytes = (size_t)set->side * (size_t)set->side * 3;
    uint8_t *rgb = cn_reallocarray(NULL, (size_t)set->o.batch, bytes);
    float *embedding = product_floats(set->o.batch, set->width);
    const int64_t cells = (int64_t)s->n_words * CN_STROOP_COLOURS, total = cells * s->variants;
    CN_CHECK(rgb && embedding, CN_ENOMEM, "out of memory for a batch");
    for (int64_t first = 0; first < total; first += set->o.batch) {
        const int64_t n = total - first < set->o.batch ? total - first : set->o.batch;
        for (int64_t i = 0; i < n; i++) {
            const int64_t cell = (first + i) / s->variants;
            CN_TRY(draw(s, (size_t)(cell / CN_STROOP_COLOURS), (int)(cell % CN_STROOP_COLOURS), (int)((first + i) % s->variants),
                        rgb + (size_t)i * bytes, err));
        }
        CN_TRY(attack_embed(set, rgb, n, embedding, err));
        for (int64_t i = 0; i < n; i++)
            for (size_t p = 0; p < set->n_prompts; p++)
                s->cells[p][(first + i) / s->variants]
                    .answers[attack_answer(embedding + i * set->width, set->plain[p], CN_STROOP_COLOURS, set->width)]++;
        CN_TRY(attack_go_on(set, "words", first + n, total, err));
    }
done:
    cn_free(rgb);
    cn_free(embedding);
    return st;
}

static void sum_up(const stroop *s, size_t p)
{
    int64_t same = 0, same_of = 0, ink = 0, word = 0, other_of = 0, neutral = 0, neutral_of = 0;
    for (size_t w = 0; w < s->n_words; w++)
        for (int i = 0; i < CN_STROOP_COLOURS; i++) {
            const cn_stroop_cell *c = &s->cells[p][w * CN_STROOP_COLOURS + (size_t)i];
            if (c->neutral)
                neutral += c->answers[i], neutral_of += s->variants;
            else if (w == (size_t)i)
                same += c->answers[i], same_of += s->variants;
            else
                ink += c->answers[i], word += c->answers[w], other_of += s->variants;
        }
    s->prompts[p].congruent = attack_share(same, same_of);
    s->prompts[p].incongruent_ink = attack_share(ink, other_of);
    s->prompts[p].incongruent_word = attack_share(word, other_of);
    s->prompts[p].neutral_ink = attack_share(neutral, neutral_of);
}

static cn_status prepare(stroop *s, cn_error *err)
{
    cn_status st = CN_OK;
    const size_t P = s->set.n_prompts;
    private_result *r = s->result = cn_calloc(1, sizeof *r);
    CN_CHECK(r, CN_ENOMEM, "out of memory for a result");
    s->prompts = bag_calloc(&r->memory, P, sizeof *s->prompts);
    s->cells = bag_calloc(&r->memory, P, sizeof *s->cells);
    s->words = bag_texts(&r->memory, s->words, s->n_words);
    CN_CHECK(s->prompts && s->cells && s->words, CN_ENOMEM, "out of memory for a result");
    for (size_t p = 0; p < P; p++) {
        s->cells[p] = bag_calloc(&r->memory, s->n_words * CN_STROOP_COLOURS, sizeof **s->cells);
        s->prompts[p].cells = s->cells[p];
        s->prompts[p].prompt = bag_text(&r->memory, s->set.prompts[p]);
        CN_CHECK(s->cells[p] && s->prompts[p].prompt, CN_ENOMEM, "out of memory for a result");
        for (size_t w = 0; w < s->n_words; w++)
            for (int i = 0; i < CN_STROOP_COLOURS; i++) {
                cn_stroop_cell *c = &s->cells[p][w * CN_STROOP_COLOURS + (size_t)i];
                c->word = s->words[w], c->ink = i, c->neutral = w >= CN_STROOP_COLOURS;
            }
    }
    r->public.colours = colours;
    memcpy(r->public.ink, inks, sizeof inks);
    r->public.n_prompts = P;
    r->public.n_cells = s->n_words * CN_STROOP_COLOURS;
    r->public.prompts = s->prompts;
    r->public.variants = s->variants;
done:
    return st;
}

cn_status cn_stroop(cn_stroop_result **out, const cn_model *model, const char *const *words, size_t n_words, int variants,
                    const cn_attack_options *options, cn_error *err)
{
    static const char *const neutral[] = {"table", "seven", "xxxx"};
    static const char *const asked[] = {"{}", "the colour {}", "my favourite word, written in the color {}"};
    cn_status st = CN_OK;
    stroop s = {.variants = variants ? variants : 8};
    const char **list = NULL;
    cn_attack_options o = options ? *options : (cn_attack_options){0};
    *out = NULL;
    if (!words)
        words = neutral, n_words = 3;
    if (!o.prompts)
        o.prompts = asked, o.n_prompts = 3;
    o.classes = colours;
    o.n_classes = CN_STROOP_COLOURS;
    CN_CHECK(s.variants >= 1 && s.variants <= 64, CN_EINVAL, "1 to 64 variants, not %d", s.variants);
    CN_CHECK(n_words <= 256, CN_EINVAL, "at most 256 neutral words, not %zu", n_words);
    list = cn_calloc(CN_STROOP_COLOURS + n_words, sizeof *list);
    CN_CHECK(list, CN_ENOMEM, "out of memory for %zu words", n_words);
    memcpy(list, colours, sizeof colours);
    for (size_t i = 0; i < n_words; i++) {
        list[CN_STROOP_COLOURS + i] = words[i];
        for (int c = 0; c < CN_STROOP_COLOURS; c++)
            CN_CHECK(strcasecmp(words[i], colours[c]) != 0, CN_EINVAL, "\"%s\" is a colour and no neutral word", words[i]);
    }
    s.words = list, s.n_words = CN_STROOP_COLOURS + n_words;
    CN_TRY(attack_set_open(&s.set, model, NULL, NULL, 0, false, NULL, &o, err));
    for (size_t p = 0; p < s.set.n_prompts; p++)
        CN_CHECK(!attack_wants_text(&s.set, p), CN_EINVAL, "prompts of the Stroop test have no {text}: \"%.80s\"", s.set.prompts[p]);
    CN_TRY(prepare(&s, err));
    CN_TRY(answer_all(&s, err));
    for (size_t p = 0; p < s.set.n_prompts; p++)
        sum_up(&s, p);
    *out = &s.result->public, s.result = NULL;
done:
    if (s.result)
        cn_stroop_free(&s.result->public);
    cn_free(list);
    attack_set_close(&s.set);
    return st;
}

void cn_stroop_free(cn_stroop_result *result)
{
    private_result *r = (private_result *)result;
    if (r)
        bag_free(&r->memory);
    cn_free(r);
}
