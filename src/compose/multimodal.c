/* compose/multimodal.c -- from a study's pictures and a list of concepts to groups of pictures in media, and from the tests' numbers to
 * rows with names. The numbers are pairtest.c's. */
#include "base/memory.h"
#include "clipneuron/intervene.h"
#include "compose/auc.h"
#include "study/conceptlist.h"
#include "compose/drawnwords.h"
#include "compose/modalities.h"
#include "compose/pairtest.h"
#include "study/corpus.h"
#include "study/float16.h"
#include "study/modality.h"
#include "study/rowfile.h"
#include "study/wordlist.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define LEAST_WORDS 64    /* are drawn, concepts and fillers together: a word needs others to stand out from */
#define LEAST_OF_FAMILY 3 /* concepts */
#define BELONGING_LOW 0.7 /* AUC: what is surely above chance may still be too weak to be called belonging */
#define FAMILY_SHUFFLES 10 /* times as many as of pictures: there are few concepts to shuffle, and p has to be small */

/* What the caller gets, with what its pointers point to. */
typedef struct holder {
    cn_multimodal r; /* first */
    conceptlist names;    /* concepts, each with its family ("" where none is known) */
    conceptlist families; /* the family names, as concepts */
    char *media_names[CN_MAX_MULTIMODAL_MEDIA];
} holder;

typedef struct lookup { /* one medium of the test */
    int64_t *row;       /* (items): rows of the matrices; NULL: drawn */
    int64_t items;
    int64_t *start;     /* (concepts + 1) */
    int32_t *member;
} lookup;

typedef struct work {
    cn_study *s;
    source *from;
    cn_multimodal_options o;
    holder *h;
    rowfile values;
    corpus_units units;
    corpus_labels labels;
    int64_t *unit; /* (n_units) */
    size_t n_units;
    int64_t images;
    int32_t *label, *medium; /* (images), -1: none; medium: a number of r.media, -1: not looked at */
    int64_t *start;          /* (concepts + 1): pictures of each concept */
    int32_t *picture;
    lookup media[CN_MAX_MULTIMODAL_MEDIA];
    wordlist words; /* drawn: concepts first, in their order, then fillers */
    fontset fonts;
    drawnwords drawings;
    int64_t *drawn_word; /* (items of the drawn medium) */
    pairtest_result found;
} work;

static void holder_free(holder *h)
{
    if (!h)
        return;
    cn_free(h->r.units);
    cn_free(h->r.families);
    conceptlist_free(&h->names);
    conceptlist_free(&h->families);
    for (size_t i = 0; i < CN_MAX_MULTIMODAL_MEDIA; i++)
        cn_free(h->media_names[i]);
    cn_free(h);
}

void cn_multimodal_free(cn_multimodal *result)
{
    holder_free((holder *)result);
}

static void work_free(work *w)
{
    rowfile_close(&w->values);
    corpus_units_free(&w->units);
    corpus_labels_free(&w->labels);
    cn_free(w->unit), cn_free(w->label), cn_free(w->medium), cn_free(w->start), cn_free(w->picture);
    for (size_t i = 0; i < CN_MAX_MULTIMODAL_MEDIA; i++)
        cn_free(w->media[i].row), cn_free(w->media[i].start), cn_free(w->media[i].member);
    wordlist_free(&w->words);
    fontset_close(&w->fonts);
    drawnwords_free(&w->drawings);
    cn_free(w->drawn_word);
    pairtest_free(&w->found);
    holder_free(w->h);
}

/* ---- what is asked ---- */

static cn_status settle_options(work *w, const cn_multimodal_options *options, cn_error *err)
{
    cn_status st = CN_OK;
    cn_multimodal_options *o = &w->o;
    *o = options ? *options : (cn_multimodal_options){0};
    o->level = o->level == 0 ? 0.9 : o->level;
    o->fdr = o->fdr == 0 ? 0.05 : o->fdr;
    o->confidence = o->confidence == 0 ? 0.95 : o->confidence;
    o->least = o->least ? o->least : 3;
    o->best = o->best ? o->best : 1;
    o->drawings = o->drawings ? o->drawings : 12;
    o->shuffles = o->shuffles ? o->shuffles : 999;
    o->resamples = o->resamples ? o->resamples : 1000;
    CN_CHECK(o->site < w->s->n_sites, CN_EINVAL, "%s: site %zu: the study has %zu", w->s->path, o->site, w->s->n_sites);
    CN_CHECK(o->level >= 0.5 && o->level < 1, CN_EINVAL, "a level of %g: it lies from 0.5 to below 1", o->level);
    CN_CHECK(o->fdr > 0 && o->fdr < 1, CN_EINVAL, "a false discovery rate of %g: it lies between 0 and 1", o->fdr);
    CN_CHECK(o->confidence >= 0.5 && o->confidence < 1, CN_EINVAL, "a confidence of %g: it lies from 0.5 to below 1", o->confidence);
    CN_CHECK(o->least >= 1 && o->least <= CN_MAX_STUDY_IMAGES, CN_EINVAL, "at least %" PRId64 " pictures of a concept: 1 or more", o->least);
    CN_CHECK(o->best >= 1 && o->best <= CN_MAX_MULTIMODAL_BEST, CN_EINVAL, "%d concepts a unit: 1 to %d", o->best, CN_MAX_MULTIMODAL_BEST);
    CN_CHECK(o->drawings >= -1 && o->drawings <= CN_MAX_MULTIMODAL_DRAWINGS, CN_EINVAL, "%d drawings a word: 1 to %d", o->drawings,
             CN_MAX_MULTIMODAL_DRAWINGS);
    CN_CHECK(o->shuffles >= 1 && o->shuffles <= CN_MAX_MULTIMODAL_ROUNDS && o->resamples >= 1 && o->resamples <= CN_MAX_MULTIMODAL_ROUNDS,
             CN_EINVAL, "%d shuffles and %d resamples: 1 to %d", o->shuffles, o->resamples, CN_MAX_MULTIMODAL_ROUNDS);
    CN_CHECK(o->n_media <= CN_MAX_MULTIMODAL_MEDIA - 1, CN_ELIMIT, "%zu media, the limit is %d", o->n_media, CN_MAX_MULTIMODAL_MEDIA - 1);
done:
    return st;
}

static cn_status choose_units(work *w, cn_error *err)
{
    cn_status st = CN_OK;
    const cn_multimodal_options *o = &w->o;
    CN_TRY(corpus_units_read(&w->units, w->s, o->site, err));
    const size_t asked = o->units ? o->n_units : (size_t)w->units.n;
    w->unit = cn_reallocarray(NULL, asked + 1, sizeof *w->unit);
    CN_CHECK(w->unit, CN_ENOMEM, "out of memory for %zu units", asked);
    for (size_t i = 0; i < asked; i++) {
        const int64_t u = o->units ? o->units[i] : (int64_t)i;
        CN_TRY(reader_check_unit(w->s, (cn_unit_ref){o->site, u}, err));
        bool twice = false;
        for (size_t k = 0; o->units && k < w->n_units; k++)
            twice = twice || w->unit[k] == u;
        if (!w->units.dead[u] && !twice)
            w->unit[w->n_units++] = u;
    }
    CN_CHECK(w->n_units, CN_ENOTFOUND, "%s: every unit asked for is dead: it is the same on all pictures", w->s->path);
done:
    return st;
}

/* ---- media ---- */

/* Whether a list "A,B" has a name. */
static bool listed(const char *list, const char *name)
{
    const size_t n = strlen(name);
    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, name, n) == 0 && (at[n] == ',' || at[n] == '\0'))
            return true;
    return false;
}

static cn_status add_medium(work *w, const char *name, size_t length, cn_error *err)
{
    cn_status st = CN_OK;
    cn_multimodal *r = &w->h->r;
    const size_t i = r->n_media;
    CN_CHECK(i < CN_MAX_MULTIMODAL_MEDIA, CN_ELIMIT, "%s: the study has more than %d media: name those that count (--media)", w->s->path,
             CN_MAX_MULTIMODAL_MEDIA - 1);
    w->h->media_names[i] = cn_strndup(name, length);
    CN_CHECK(w->h->media_names[i], CN_ENOMEM, "out of memory for media");
    r->media[i].name = w->h->media_names[i];
    r->n_media++;
done:
    return st;
}

/* What a medium's name says that it is, where nothing else was asked for: the kinds of the paper. Other names stay as they are. */
static const char *kind_of(const char *name)
{
    static const struct {
        const char *kind, *names;
    } kinds[] = {{"photo or 3-D", ",photo,photos,photograph,photography,3-d,3d,render,"},
                 {"drawing", ",drawing,drawings,icon,icons,line,solid,colour,color,sketch,cartoon,clipart,emoji,painting,illustration,outline,"}};
    for (size_t i = 0; i < COUNT(kinds); i++)
        for (const char *at = kinds[i].names; at[1]; at = strchr(at + 1, ',')) {
            const size_t length = strcspn(at + 1, ",");
            if (strlen(name) == length && strncasecmp(at + 1, name, length) == 0)
                return kinds[i].kind;
        }
    return name;
}

/* The media that the options name, and that each names something of the study. */
static cn_status check_media(work *w, char *const *names, size_t n, cn_error *err)
{
    cn_status st = CN_OK;
    char known[512] = "";
    for (size_t k = 0; k < n; k++)
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%.60s", k ? ", " : "", names[k]);
    for (size_t i = 0; i < w->o.n_media; i++) {
        const char *equals = strchr(w->o.media[i], '=');
        const char *list = equals ? equals + 1 : w->o.media[i];
        CN_CHECK(w->o.media[i][0] && w->o.media[i][0] != '=', CN_EINVAL, "'%s': a medium is written NAME or NAME=MEDIUM,MEDIUM", w->o.media[i]);
        CN_TRY(add_medium(w, w->o.media[i], equals ? (size_t)(equals - w->o.media[i]) : strlen(w->o.media[i]), err));
        for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
            const size_t length = strcspn(at, ",");
            bool found = false;
            for (size_t k = 0; k < n; k++)
                found = found || (strlen(names[k]) == length && strncmp(names[k], at, length) == 0);
            CN_CHECK(found, CN_EINVAL, "%s: the study has no medium '%.*s'; it has: %s", w->s->path, (int)length, at, n ? known : "none");
        }
    }
done:
    return st;
}

/* r.media, and what each of the study's media is among them: *number (n), owned by the caller. */
static cn_status read_media(work *w, int32_t **number, int64_t *count, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    conceptlist names = {0};
    bool more, *written = NULL;
    *number = NULL;
    *count = 0;
    CN_CHECK(w->s->info.media >= 0 && w->s->info.media <= CN_MAX_STUDY_LABELS, CN_EFORMAT, "%s: the study is damaged: %" PRId64 " media", w->s->path,
             w->s->info.media);
    written = cn_calloc((size_t)w->s->info.media + 1, sizeof *written);
    *number = cn_reallocarray(NULL, (size_t)w->s->info.media + 1, sizeof **number);
    CN_CHECK(written && *number, CN_ENOMEM, "out of memory for media");
    CN_TRY(reader_query(w->s, &q, err, "SELECT id, name, written FROM media ORDER BY id", ""));
    for (;; ++*count) {
        CN_TRY(reader_step(w->s, q, &more, err));
        if (!more)
            break;
        const char *name = (const char *)sqlite3_column_text(q, 1);
        CN_CHECK(name && *count < w->s->info.media && sqlite3_column_int64(q, 0) == *count, CN_EFORMAT,
                 "%s: the study is damaged: its media are not numbered 0, 1, 2...", w->s->path);
        CN_TRY(conceptlist_push(&names, "", name, err));
        written[*count] = sqlite3_column_int(q, 2) != 0;
    }
    cn_multimodal *r = &w->h->r;
    if (w->o.n_media)
        CN_TRY(check_media(w, names.concept, names.n, err));
    for (size_t k = 0; k < names.n; k++) {
        (*number)[k] = -1;
        for (size_t i = 0; i < w->o.n_media; i++) {
            const char *equals = strchr(w->o.media[i], '=');
            if (!listed(equals ? equals + 1 : w->o.media[i], names.concept[k]))
                continue;
            CN_CHECK((*number)[k] < 0, CN_EINVAL, "the medium '%s' is named twice", names.concept[k]);
            (*number)[k] = (int32_t)i;
        }
        if (!w->o.n_media) {
            const char *kind = kind_of(names.concept[k]);
            for (size_t i = 0; i < r->n_media; i++)
                if (strcmp(r->media[i].name, kind) == 0)
                    (*number)[k] = (int32_t)i;
            if ((*number)[k] < 0) {
                (*number)[k] = (int32_t)r->n_media;
                CN_TRY(add_medium(w, kind, strlen(kind), err));
            }
        }
        if ((*number)[k] >= 0)
            r->media[(*number)[k]].written = r->media[(*number)[k]].written || written[k];
    }
done:
    sqlite3_finalize(q);
    conceptlist_free(&names);
    cn_free(written);
    return st;
}

/* ---- pictures ---- */

static cn_status read_images(work *w, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    int32_t *number = NULL;
    int64_t count, n = 0;
    int32_t plain = -1; /* the medium of pictures that have none */
    bool more;
    cn_multimodal *r = &w->h->r;
    CN_CHECK(w->s->info.images > 0 && w->s->info.images <= CN_MAX_STUDY_IMAGES, CN_ENOTFOUND, "%s: the study has no pictures", w->s->path);
    w->images = r->images = w->s->info.images;
    w->label = cn_reallocarray(NULL, (size_t)w->images, sizeof *w->label);
    w->medium = cn_reallocarray(NULL, (size_t)w->images, sizeof *w->medium);
    CN_CHECK(w->label && w->medium, CN_ENOMEM, "out of memory for %" PRId64 " pictures", w->images);
    CN_TRY(read_media(w, &number, &count, err));
    CN_TRY(reader_query(w->s, &q, err, "SELECT id, label, medium FROM images ORDER BY id", ""));
    for (;; n++) {
        CN_TRY(reader_step(w->s, q, &more, err));
        if (!more)
            break;
        CN_CHECK(n < w->images && sqlite3_column_int64(q, 0) == n, CN_EFORMAT, "%s: the study is damaged: its images are not numbered 0, 1, 2...",
                 w->s->path);
        const int64_t label = sqlite3_column_type(q, 1) == SQLITE_NULL ? -1 : sqlite3_column_int64(q, 1);
        const int64_t medium = sqlite3_column_type(q, 2) == SQLITE_NULL ? -1 : sqlite3_column_int64(q, 2);
        CN_CHECK(label >= -1 && label < w->labels.n && medium >= -1 && medium < count, CN_EFORMAT,
                 "%s: the study is damaged: label or medium of image %" PRId64, w->s->path, n);
        w->label[n] = (int32_t)label;
        if (medium < 0 && plain < 0 && !w->o.n_media) {
            plain = (int32_t)r->n_media;
            CN_TRY(add_medium(w, "picture", 7, err));
        }
        w->medium[n] = medium >= 0 ? number[medium] : plain;
        if (w->medium[n] >= 0)
            r->media[w->medium[n]].images++;
    }
    CN_CHECK(n == w->images, CN_EFORMAT, "%s: the study is damaged: %" PRId64 " images, not %" PRId64, w->s->path, n, w->images);
done:
    sqlite3_finalize(q);
    cn_free(number);
    return st;
}

/* ---- concepts ---- */

static bool contains(const conceptlist *l, const char *concept)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcasecmp(l->concept[i], concept) == 0)
            return true;
    return false;
}

/* The names of all concepts, without doubles. own: what the file of concepts says, for families. */
static cn_status choose_concepts(work *w, conceptlist *own, cn_error *err)
{
    cn_status st = CN_OK;
    conceptlist *names = &w->h->names, list = {0};
    if (w->o.concepts) {
        CN_TRY(conceptlist_add_file(own, w->o.concepts, err));
        for (size_t i = 0; i < own->n; i++)
            if (!contains(names, own->concept[i]))
                CN_TRY(conceptlist_push(names, "", own->concept[i], err));
    } else if (w->labels.n) {
        for (int64_t i = 0; i < w->labels.n; i++)
            if (!contains(names, w->labels.word[i]))
                CN_TRY(conceptlist_push(names, "", w->labels.word[i], err));
    } else {
        CN_TRY(conceptlist_add_builtin(&list, err));
        for (size_t i = 0; i < list.n; i++)
            if (!contains(names, list.concept[i]))
                CN_TRY(conceptlist_push(names, "", list.concept[i], err));
    }
    CN_CHECK(names->n >= 2, CN_EINVAL, "%s: %zu concept%s: a concept needs others to be told from", w->o.concepts ? w->o.concepts : w->s->path,
             names->n, names->n == 1 ? "" : "s");
    CN_CHECK(names->n <= CN_MAX_MULTIMODAL_CONCEPTS, CN_ELIMIT, "%zu concepts, the limit is %d", names->n, CN_MAX_MULTIMODAL_CONCEPTS);
done:
    conceptlist_free(&list);
    return st;
}

/* Whether a text has a phrase as whole words, in any case of ASCII. */
static bool mentions(const char *text, const char *phrase)
{
    const size_t n = strlen(phrase);
    for (const char *at = text; (at = strcasestr(at, phrase)); at++)
        if ((at == text || !isalnum((unsigned char)at[-1])) && !isalnum((unsigned char)at[n]))
            return true;
    return false;
}

typedef struct pairs { /* (concept, picture), growing */
    int32_t (*data)[2];
    size_t n, room;
} pairs;

static bool add_pair(pairs *p, int32_t concept, int32_t picture)
{
    if (p->n == p->room) {
        const size_t room = p->room ? 2 * p->room : 1024;
        int32_t(*grown)[2] = cn_reallocarray(p->data, room, sizeof *grown);
        if (!grown)
            return false;
        p->data = grown;
        p->room = room;
    }
    p->data[p->n][0] = concept;
    p->data[p->n++][1] = picture;
    return true;
}

/* Pictures of every concept: by its label, or where it has none, by captions. */
static cn_status find_pictures(work *w, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    const conceptlist *names = &w->h->names;
    const int32_t n = (int32_t)names->n;
    int32_t *concept_of = cn_reallocarray(NULL, (size_t)w->labels.n + 1, sizeof *concept_of);
    bool *labelled = cn_calloc((size_t)n + 1, sizeof *labelled), more, without = false;
    pairs p = {0};
    CN_CHECK(concept_of && labelled, CN_ENOMEM, "out of memory for %d concepts", n);
    for (int64_t l = 0; l < w->labels.n; l++) {
        concept_of[l] = -1;
        for (int32_t c = 0; c < n && concept_of[l] < 0; c++)
            if (strcasecmp(names->concept[c], w->labels.word[l]) == 0 || strcasecmp(names->concept[c], w->labels.name[l]) == 0)
                concept_of[l] = c;
        if (concept_of[l] >= 0)
            labelled[concept_of[l]] = true;
    }
    for (int64_t i = 0; i < w->images; i++)
        if (w->label[i] >= 0 && concept_of[w->label[i]] >= 0)
            CN_CHECK(add_pair(&p, concept_of[w->label[i]], (int32_t)i), CN_ENOMEM, "out of memory for pictures of concepts");
    for (int32_t c = 0; c < n; c++)
        without = without || !labelled[c];
    if (without)
        CN_TRY(reader_query(w->s, &q, err, "SELECT id, caption FROM images WHERE caption IS NOT NULL AND caption <> '' ORDER BY id", ""));
    while (without) {
        CN_TRY(reader_step(w->s, q, &more, err));
        if (!more)
            break;
        const char *caption = (const char *)sqlite3_column_text(q, 1);
        const int64_t image = sqlite3_column_int64(q, 0);
        CN_CHECK(caption && image >= 0 && image < w->images, CN_EFORMAT, "%s: the study is damaged: a caption", w->s->path);
        for (int32_t c = 0; c < n; c++)
            if (!labelled[c] && mentions(caption, names->concept[c]))
                CN_CHECK(add_pair(&p, c, (int32_t)image), CN_ENOMEM, "out of memory for pictures of concepts");
    }
    CN_CHECK(p.n, CN_ENOTFOUND, "%s: no picture shows a concept: none of the %d is a label of the study, or in a caption", w->s->path, n);
    w->start = cn_calloc((size_t)n + 2, sizeof *w->start);
    w->picture = cn_reallocarray(NULL, p.n + 1, sizeof *w->picture);
    CN_CHECK(w->start && w->picture, CN_ENOMEM, "out of memory for pictures of concepts");
    for (size_t i = 0; i < p.n; i++)
        w->start[p.data[i][0] + 2]++;
    for (int32_t c = 0; c < n; c++)
        w->start[c + 2] += w->start[c + 1];
    for (size_t i = 0; i < p.n; i++) /* start[c + 1] is where concept c goes on, and in the end where it ends */
        w->picture[w->start[p.data[i][0] + 1]++] = p.data[i][1];
done:
    sqlite3_finalize(q);
    cn_free(concept_of);
    cn_free(labelled);
    cn_free(p.data);
    return st;
}

/* Items and groups of the study's own media. */
static cn_status group_pictures(work *w, cn_error *err)
{
    cn_status st = CN_OK;
    const int64_t n = (int64_t)w->h->names.n;
    int32_t *item = cn_reallocarray(NULL, (size_t)w->images, sizeof *item);
    CN_CHECK(item, CN_ENOMEM, "out of memory for %" PRId64 " pictures", w->images);
    for (size_t m = 0; m < w->h->r.n_media; m++) {
        lookup *l = &w->media[m];
        l->row = cn_reallocarray(NULL, (size_t)w->h->r.media[m].images + 1, sizeof *l->row);
        l->start = cn_calloc((size_t)n + 1, sizeof *l->start);
        l->member = cn_reallocarray(NULL, (size_t)w->start[n] + 1, sizeof *l->member);
        CN_CHECK(l->row && l->start && l->member, CN_ENOMEM, "out of memory for %" PRId64 " pictures", w->images);
        for (int64_t i = 0; i < w->images; i++)
            if (w->medium[i] == (int32_t)m) {
                item[i] = (int32_t)l->items;
                l->row[l->items++] = i;
            }
        int64_t at = 0;
        for (int64_t c = 0; c < n; c++) {
            for (int64_t k = w->start[c]; k < w->start[c + 1]; k++)
                if (w->medium[w->picture[k]] == (int32_t)m)
                    l->member[at++] = item[w->picture[k]];
            l->start[c + 1] = at;
        }
    }
done:
    cn_free(item);
    return st;
}

/* ---- drawn words ---- */

static cn_status choose_words(work *w, cn_error *err)
{
    cn_status st = CN_OK;
    const conceptlist *names = &w->h->names;
    for (size_t i = 0; i < names->n; i++)
        CN_TRY(wordlist_add(&w->words, names->concept[i], strlen(names->concept[i]), err));
    CN_CHECK(w->words.count == names->n, CN_EFORMAT, "%s: the study is damaged: a label without letters", w->s->path);
    const size_t step = wordlist_common_count / LEAST_WORDS ? wordlist_common_count / LEAST_WORDS : 1;
    for (size_t i = 0; i < wordlist_common_count && w->words.count < LEAST_WORDS; i++) { /* from all over the list */
        const size_t k = (i * step + i * step / wordlist_common_count) % wordlist_common_count;
        if (!contains(names, wordlist_common[k]))
            CN_TRY(wordlist_add(&w->words, wordlist_common[k], strlen(wordlist_common[k]), err));
    }
done:
    return st;
}

static cn_status draw_words(work *w, cn_error *err)
{
    cn_status st = CN_OK;
    cn_multimodal *r = &w->h->r;
    const int64_t n = (int64_t)w->h->names.n;
    CN_TRY(choose_words(w, err));
    CN_TRY(fontset_open(&w->fonts, w->o.font_files, w->o.n_font_files, w->o.drawings, err));
    CN_TRY(drawnwords_run(&w->drawings, w->from, w->s->info.reduce, (const char *const *)w->words.words, w->words.count, w->o.drawings,
                          &w->fonts, w->o.progress, w->o.user, err));
    CN_CHECK(w->drawings.units == w->units.n, CN_EFORMAT, "%s: the study is damaged: %s has not %" PRId64 " units", w->s->path,
             w->s->sites[w->o.site].name, w->units.n);
    const size_t m = r->n_media;
    CN_TRY(add_medium(w, "drawn", 5, err));
    lookup *l = &w->media[m];
    l->start = cn_calloc((size_t)n + 1, sizeof *l->start);
    l->member = cn_reallocarray(NULL, (size_t)n + 1, sizeof *l->member);
    w->drawn_word = cn_reallocarray(NULL, w->words.count + 1, sizeof *w->drawn_word);
    CN_CHECK(l->start && l->member && w->drawn_word, CN_ENOMEM, "out of memory for %zu words", w->words.count);
    int64_t at = 0;
    for (int64_t i = 0; i < w->drawings.words; i++) {
        if (w->drawings.drawn[i]) {
            if (i < n)
                l->member[at++] = (int32_t)l->items;
            w->drawn_word[l->items++] = i;
        }
        if (i < n)
            l->start[i + 1] = at;
    }
    r->media[m].written = r->media[m].drawn = true;
    r->media[m].images = l->items * w->o.drawings;
    r->words = l->items;
    r->drawings = r->media[m].images;
    r->undrawn = w->drawings.undrawn;
    r->draw_seconds = w->drawings.seconds;
done:
    return st;
}

/* ---- the tests ---- */

static cn_status load_values(void *user, int medium, const int64_t *unit, size_t n, float *out, cn_error *err)
{
    const work *w = user;
    const lookup *l = &w->media[medium];
    const cn_tensor *t = w->values.tensor;
    const int64_t each = l->row ? 1 : w->o.drawings, pictures = l->items * each;
    bool finite = true;
    for (int64_t i = 0; i < pictures; i++)
        for (size_t u = 0; u < n; u++) {
            float value;
            if (!l->row) {
                value = w->drawings.values[(w->drawn_word[i / each] * each + i % each) * w->drawings.units + unit[u]];
            } else if (t->dtype == CN_DTYPE_F32) {
                memcpy(&value, (const char *)t->data + ((size_t)l->row[i] * (size_t)w->values.columns + (size_t)unit[u]) * sizeof value, sizeof value);
            } else {
                uint16_t half;
                memcpy(&half, (const char *)t->data + ((size_t)l->row[i] * (size_t)w->values.columns + (size_t)unit[u]) * sizeof half, sizeof half);
                value = float16_to(half);
            }
            finite = finite && isfinite(value);
            out[(int64_t)u * pictures + i] = value;
        }
    return finite ? CN_OK : cn_fail(err, CN_EFORMAT, "%s: the study is damaged: it has values that are not finite", w->values.path);
}

static pairtest test_of(const work *w, const pairtest_medium *media, int n_media, int64_t groups)
{
    const cn_multimodal_options *o = &w->o;
    return (pairtest){.media = media,
                      .n_media = n_media,
                      .groups = groups,
                      .n_units = w->n_units,
                      .best = o->best,
                      .shuffles = o->shuffles,
                      .resamples = o->resamples,
                      .confidence = o->confidence,
                      .level = o->level,
                      .seed = o->seed,
                      .least = o->least,
                      .progress = o->progress,
                      .progress_user = o->user};
}

static cn_status test_concepts(work *w, cn_error *err)
{
    cn_status st = CN_OK;
    cn_multimodal *r = &w->h->r;
    pairtest_medium media[CN_MAX_MULTIMODAL_MEDIA];
    for (size_t m = 0; m < r->n_media; m++)
        media[m] = (pairtest_medium){.written = r->media[m].written,
                                     .items = w->media[m].items,
                                     .each = r->media[m].drawn ? w->o.drawings : 1,
                                     .start = w->media[m].start,
                                     .member = w->media[m].member};
    pairtest t = test_of(w, media, (int)r->n_media, (int64_t)w->h->names.n);
    t.unit = w->unit;
    t.load = load_values;
    t.user = w;
    t.what = "units";
    CN_TRY(pairtest_run(&t, &w->found, err));
    bool written = false;
    for (size_t m = 0; m < r->n_media; m++)
        written = written || r->media[m].written;
    CN_CHECK(w->found.tested, CN_ENOTFOUND,
             "%s: no concept has %" PRId64 " pictures in a written medium and in another one%s", w->s->path, w->o.least,
             written ? "" : " (no medium of the study is written, and no words are drawn)");
    r->concepts = (int64_t)w->h->names.n;
    r->tested = w->found.tested;
    r->live = (int64_t)w->n_units;
    r->above = w->found.above;
    r->by_chance = w->found.by_chance;
done:
    return st;
}

/* The level of the false discovery rate at which p would be discovered beside the best p-values of all units. */
static double rate_at(double p, const double *best, const double *q, size_t n)
{
    int64_t below = 0;
    double larger = 1;
    for (size_t i = 0; i < n; i++) {
        below += best[i] <= p;
        if (best[i] > p)
            larger = fmin(larger, q[i]);
    }
    return fmin(below ? fmin(1, p * (double)n / (double)below) : 1, larger);
}

typedef struct ranking {
    double key[2];
    size_t unit;
} ranking;

static int by_keys(const void *a, const void *b)
{
    const ranking *x = a, *y = b;
    for (int k = 0; k < 2; k++)
        if (x->key[k] != y->key[k])
            return x->key[k] > y->key[k] ? -1 : 1;
    return x->unit < y->unit ? -1 : x->unit > y->unit;
}

/* Which media's lower ends exceed the level, and whether they are of both kinds. */
static bool passes(const work *w, const cn_medium_auc *media, int *passing)
{
    bool kinds[2] = {false, false};
    *passing = 0;
    for (size_t m = 0; m < w->h->r.n_media; m++)
        if (media[m].low > w->o.level) {
            ++*passing;
            kinds[w->h->r.media[m].written] = true;
        }
    return kinds[0] && kinds[1];
}

static cn_status write_units(work *w, cn_error *err)
{
    cn_status st = CN_OK;
    cn_multimodal *r = &w->h->r;
    const size_t best = (size_t)w->o.best, n = w->n_units;
    const conceptlist *names = &w->h->names;
    cn_multimodal_unit *rows = cn_calloc(n * best + 1, sizeof *rows);
    double *p = cn_calloc(n + 1, sizeof *p), *q = cn_calloc(n + 1, sizeof *q);
    ranking *order = cn_calloc(n + 1, sizeof *order);
    r->units = cn_calloc(n * best + 1, sizeof *r->units);
    CN_CHECK(rows && p && q && order && r->units, CN_ENOMEM, "out of memory for %zu units", n);
    for (size_t u = 0; u < n; u++)
        p[u] = w->found.pairs[u * best].p;
    CN_TRY(auc_fdr(p, n, q, err));
    for (size_t u = 0; u < n; u++) {
        order[u] = (ranking){{0, w->found.pairs[u * best].score}, u};
        for (size_t k = 0; k < best; k++) {
            const pairtest_pair *pair = &w->found.pairs[u * best + k];
            cn_multimodal_unit *row = &rows[u * best + k];
            if (pair->group < 0)
                continue;
            row->ref = (cn_unit_ref){w->o.site, w->unit[u]};
            row->concept_name = names->concept[pair->group];
            row->family = names->family[pair->group];
            row->sensitive = cn_family_warning(row->family) != NULL;
            row->score = pair->score;
            row->p = pair->p;
            row->p_pictures = pair->p_pictures;
            row->p_names = pair->p_names;
            row->q = k ? fmax(q[u], rate_at(pair->p, p, q, n)) : q[u];
            row->matched = pair->matched;
            row->images = w->start[pair->group + 1] - w->start[pair->group];
            memcpy(row->media, pair->media, sizeof row->media);
            row->multimodal = passes(w, row->media, &row->passing) && row->q <= w->o.fdr;
            if (row->multimodal)
                order[u].key[0] = 1;
        }
        r->multimodal += order[u].key[0] > 0;
    }
    qsort(order, n, sizeof *order, by_keys);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < best; k++)
            if (rows[order[i].unit * best + k].concept_name)
                r->units[r->n++] = rows[order[i].unit * best + k];
done:
    cn_free(rows), cn_free(p), cn_free(q), cn_free(order);
    return st;
}

/* ---- families ---- */

/* Concepts that could be ranked, and families of them. */
typedef struct families {
    const work *w;
    conceptlist all;     /* family, concept */
    int64_t *concept;    /* (items): numbers of concepts */
    int64_t items;
    int64_t *start;      /* (families + 1) */
    int32_t *member;
    int64_t *images;     /* (families) */
} families;

static cn_status load_means(void *user, int medium, const int64_t *unit, size_t n, float *out, cn_error *err)
{
    const families *f = user;
    (void)medium, (void)err;
    for (size_t u = 0; u < n; u++)
        for (int64_t i = 0; i < f->items; i++)
            out[(int64_t)u * f->items + i] = (float)f->w->found.mean[unit[u] * (int64_t)f->w->h->names.n + f->concept[i]];
    return CN_OK;
}

/* The pictures of a family's concepts, each once. */
static cn_status count_images(const work *w, const families *f, int64_t family, int64_t *out, cn_error *err)
{
    bool *seen = cn_calloc((size_t)w->images, sizeof *seen);
    *out = 0;
    if (!seen)
        return cn_fail(err, CN_ENOMEM, "out of memory for %" PRId64 " pictures", w->images);
    for (int64_t k = f->start[family]; k < f->start[family + 1]; k++) {
        const int64_t c = f->concept[f->member[k]];
        for (int64_t i = w->start[c]; i < w->start[c + 1]; i++) {
            *out += !seen[w->picture[i]];
            seen[w->picture[i]] = true;
        }
    }
    cn_free(seen);
    return CN_OK;
}

/* families.concept and the groups, of those with enough concepts. */
static cn_status group_concepts(work *w, families *f, cn_error *err)
{
    cn_status st = CN_OK;
    const conceptlist *names = &w->h->names;
    conceptlist *kept = &w->h->families;
    int64_t at = 0;
    f->concept = cn_reallocarray(NULL, names->n + 1, sizeof *f->concept);
    f->start = cn_calloc(f->all.n + 1, sizeof *f->start);
    f->member = cn_reallocarray(NULL, f->all.n + 1, sizeof *f->member);
    f->images = cn_calloc(f->all.n + 1, sizeof *f->images);
    CN_CHECK(f->concept && f->start && f->member && f->images, CN_ENOMEM, "out of memory for families");
    for (size_t c = 0; c < names->n; c++)
        if (!isnan(w->found.mean[c])) /* the same concepts for every unit */
            f->concept[f->items++] = (int64_t)c;
    for (size_t i = 0; i < f->all.n; i++) {
        bool before = !f->all.family[i][0];
        for (size_t k = 0; k < i && !before; k++)
            before = strcasecmp(f->all.family[k], f->all.family[i]) == 0;
        if (before)
            continue;
        const int64_t begin = at;
        for (int64_t item = 0; item < f->items; item++) {
            bool in = false;
            for (size_t k = i; k < f->all.n && !in; k++)
                in = strcasecmp(f->all.family[k], f->all.family[i]) == 0 &&
                     strcasecmp(f->all.concept[k], names->concept[f->concept[item]]) == 0;
            if (in)
                f->member[at++] = (int32_t)item;
        }
        if (at - begin < LEAST_OF_FAMILY || at - begin == f->items) {
            at = begin;
            continue;
        }
        CN_TRY(conceptlist_push(kept, "", f->all.family[i], err));
        f->start[kept->n] = at;
        CN_TRY(count_images(w, f, (int64_t)kept->n - 1, &f->images[kept->n - 1], err));
    }
done:
    return st;
}

static cn_status write_families(work *w, const families *f, const pairtest_result *found, cn_error *err)
{
    cn_status st = CN_OK;
    cn_multimodal *r = &w->h->r;
    const size_t n = w->n_units;
    double *p = cn_calloc(n + 1, sizeof *p), *q = cn_calloc(n + 1, sizeof *q);
    ranking *order = cn_calloc(n + 1, sizeof *order);
    r->families = cn_calloc(n + 1, sizeof *r->families);
    CN_CHECK(p && q && order && r->families, CN_ENOMEM, "out of memory for %zu units", n);
    for (size_t u = 0; u < n; u++)
        p[u] = found->pairs[u].p;
    CN_TRY(auc_fdr(p, n, q, err));
    for (size_t u = 0; u < n; u++)
        order[u] = (ranking){{-q[u], found->pairs[u].score}, u};
    qsort(order, n, sizeof *order, by_keys);
    for (size_t i = 0; i < n; i++) {
        const size_t u = order[i].unit;
        const pairtest_pair *pair = &found->pairs[u];
        const char *family = w->h->families.concept[pair->group];
        r->families[r->n_families++] = (cn_family_unit){.ref = {w->o.site, w->unit[u]},
                                                        .family = family,
                                                        .sensitive = cn_family_warning(family) != NULL,
                                                        .belongs = q[u] <= w->o.fdr && pair->media[0].low > BELONGING_LOW,
                                                        .auc = pair->media[0].auc,
                                                        .low = pair->media[0].low,
                                                        .high = pair->media[0].high,
                                                        .p = pair->p,
                                                        .q = q[u],
                                                        .concepts = pair->media[0].images,
                                                        .images = f->images[pair->group]};
        r->belonging += r->families[i].belongs;
    }
done:
    cn_free(p), cn_free(q), cn_free(order);
    return st;
}

/* own: families that the file of concepts names. */
static cn_status read_families(work *w, families *f, const conceptlist *own, cn_error *err)
{
    cn_status st = CN_OK;
    conceptlist *names = &w->h->names;
    for (size_t i = 0; i < own->n; i++) /* first: what the caller says of a concept comes before the built-in file */
        if (own->family[i][0])
            CN_TRY(conceptlist_push(&f->all, own->family[i], own->concept[i], err));
    CN_TRY(w->o.families ? conceptlist_add_file(&f->all, w->o.families, err) : conceptlist_add_builtin(&f->all, err));
    for (size_t c = 0; c < names->n; c++)
        for (size_t i = 0; i < f->all.n; i++)
            if (strcasecmp(f->all.concept[i], names->concept[c]) == 0) {
                cn_free(names->family[c]);
                names->family[c] = cn_strdup(f->all.family[i]);
                CN_CHECK(names->family[c], CN_ENOMEM, "out of memory for families");
                break;
            }
done:
    return st;
}

static cn_status test_families(work *w, families *f, cn_error *err)
{
    cn_status st = CN_OK;
    pairtest_result found = {0};
    int64_t *number = cn_reallocarray(NULL, w->n_units + 1, sizeof *number);
    CN_CHECK(number, CN_ENOMEM, "out of memory for %zu units", w->n_units);
    for (size_t u = 0; u < w->n_units; u++)
        number[u] = (int64_t)u;
    CN_TRY(group_concepts(w, f, err));
    if (w->h->families.n) {
        const pairtest_medium medium = {.items = f->items, .each = 1, .start = f->start, .member = f->member};
        pairtest t = test_of(w, &medium, 1, (int64_t)w->h->families.n);
        t.single = true;
        t.best = 1;
        t.shuffles *= FAMILY_SHUFFLES;
        t.least = LEAST_OF_FAMILY;
        t.unit = number;
        t.load = load_means;
        t.user = f;
        t.what = "families";
        CN_TRY(pairtest_run(&t, &found, err));
        CN_TRY(write_families(w, f, &found, err));
    }
done:
    pairtest_free(&found);
    cn_free(number);
    return st;
}

/* ---- keeping ---- */

static void say_media(const cn_multimodal *r, const cn_multimodal_unit *u, char *text, size_t room)
{
    text[0] = '\0';
    for (size_t m = 0; m < r->n_media; m++)
        if (!isnan(u->media[m].auc)) {
            const size_t used = strlen(text);
            snprintf(text + used, room - used, "%s%.40s %.2f [%.2f, %.2f]", used ? ", " : "", r->media[m].name, u->media[m].auc, u->media[m].low,
                     u->media[m].high);
        }
}

static cn_status keep(work *w, cn_error *err)
{
    enum { TEXT = 1024 };
    cn_status st = CN_OK;
    const cn_multimodal *r = &w->h->r;
    modality_row *rows = cn_calloc(r->n + 1, sizeof *rows);
    family_row *kin = cn_calloc(r->n_families + 1, sizeof *kin);
    char *texts = cn_calloc(r->n + 1, TEXT);
    CN_CHECK(rows && kin && texts, CN_ENOMEM, "out of memory for %zu units", r->n);
    for (size_t i = 0; i < r->n; i++) {
        const cn_multimodal_unit *u = &r->units[i];
        say_media(r, u, texts + i * TEXT, TEXT);
        rows[i] = (modality_row){.unit = u->ref.unit,
                                 .rank = i && r->units[i - 1].ref.unit == u->ref.unit ? rows[i - 1].rank + 1 : 0,
                                 .fact = {.concept_name = u->concept_name,
                                          .family = u->family,
                                          .sensitive = u->sensitive,
                                          .multimodal = u->multimodal,
                                          .score = u->score,
                                          .p = u->p,
                                          .q = u->q,
                                          .level = w->o.level,
                                          .base_rate = (double)u->images / (double)r->images,
                                          .media = texts + i * TEXT}};
    }
    for (size_t i = 0; i < r->n_families; i++) {
        const cn_family_unit *u = &r->families[i];
        kin[i] = (family_row){.unit = u->ref.unit,
                                   .fact = {.family = u->family,
                                            .sensitive = u->sensitive,
                                            .belongs = u->belongs,
                                            .auc = u->auc,
                                            .low = u->low,
                                            .high = u->high,
                                            .q = u->q,
                                            .concepts = u->concepts,
                                            .base_rate = (double)u->images / (double)r->images}};
    }
    CN_TRY(modality_keep(w->s, w->o.site, !w->o.units, rows, r->n, kin, r->n_families, err));
done:
    cn_free(rows);
    cn_free(kin);
    cn_free(texts);
    return st;
}

/* ---- */

cn_status modalities_run(cn_study *s, source *from, const cn_multimodal_options *options, cn_multimodal **out, cn_error *err)
{
    cn_status st = CN_OK;
    work w = {.s = s, .from = from};
    conceptlist own = {0};
    families f = {.w = &w};
    *out = NULL;
    w.h = cn_calloc(1, sizeof *w.h);
    CN_CHECK(w.h, CN_ENOMEM, "out of memory for a result");
    CN_TRY(settle_options(&w, options, err));
    CN_CHECK(from || w.o.drawings < 0, CN_EINVAL, "words are drawn for a model, and there is none");
    CN_TRY(choose_units(&w, err));
    CN_TRY(rowfile_open_site(&w.values, s, w.o.site, cn_reduce_name(s->info.reduce), s->info.images, w.units.n, err));
    CN_TRY(corpus_labels_read(&w.labels, s, err));
    CN_TRY(choose_concepts(&w, &own, err));
    CN_TRY(read_families(&w, &f, &own, err));
    CN_TRY(read_images(&w, err));
    CN_TRY(find_pictures(&w, err));
    CN_TRY(group_pictures(&w, err));
    if (w.o.drawings > 0)
        CN_TRY(draw_words(&w, err));
    CN_TRY(test_concepts(&w, err));
    CN_TRY(write_units(&w, err));
    CN_TRY(test_families(&w, &f, err));
    cn_multimodal *r = &w.h->r;
    r->level = w.o.level, r->fdr = w.o.fdr, r->confidence = w.o.confidence;
    r->least = w.o.least, r->shuffles = w.o.shuffles, r->resamples = w.o.resamples;
    if (!w.o.dry)
        CN_TRY(keep(&w, err));
    *out = r, w.h = NULL;
done:
    conceptlist_free(&own);
    conceptlist_free(&f.all);
    cn_free(f.concept), cn_free(f.start), cn_free(f.member), cn_free(f.images);
    work_free(&w);
    return st;
}

cn_status cn_study_multimodal(cn_study *s, const cn_model *model, const cn_multimodal_options *options, cn_multimodal **out, cn_error *err)
{
    cn_status st = CN_OK;
    source from = {0};
    cn_edits *edits = NULL;
    cn_error why = {0};
    const cn_multimodal_options o = options ? *options : (cn_multimodal_options){0};
    *out = NULL;
    if (o.drawings >= 0) {
        CN_CHECK(o.site < s->n_sites, CN_EINVAL, "%s: site %zu: the study has %zu", s->path, o.site, s->n_sites);
        CN_CHECK(model, CN_EINVAL, "%s: words are drawn for a model, and there is none", s->path);
        CN_TRY(cn_study_check_model(s, model, err));
        st = cn_edits_of_study(&edits, model, s, &why); /* words go through the network that the pictures went through */
        CN_CHECK(st == CN_OK, st, "%s%s", why.text, st == CN_EUNSUPPORTED ? ": words cannot be drawn for it, --no-draw does without them" : "");
        const char *name = s->sites[o.site].name;
        cn_scan_options runners = {
            .sites = &name, .n_sites = 1, .batch = 32, .threads = o.threads, .precision = o.precision, .backend = o.backend};
        if (edits) {
            runners.edits = cn_edits_sites(edits, &runners.n_edits);
            runners.edit_text = cn_edits_text(edits);
        }
        CN_TRY(source_open_model(&from, model, &runners, true, err));
    }
    CN_TRY(modalities_run(s, o.drawings >= 0 ? &from : NULL, &o, out, err));
done:
    if (from.close)
        from.close(&from);
    cn_edits_free(edits);
    return st;
}
