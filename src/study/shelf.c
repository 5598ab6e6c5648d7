/* study/shelf.c -- who uses what, and which one was used least lately. */
#include "study/shelf.h"

#include "base/memory.h"
#include "base/path.h"

#include <pthread.h>

typedef struct place {
    bundle *bundle; /* NULL: free */
    size_t archive;
    int users;
    uint64_t used; /* when, counted */
} place;

struct shelf {
    char **paths;
    size_t n;
    place places[SHELF_OPEN];
    uint64_t clock;
    pthread_mutex_t lock;
    pthread_cond_t returned;
};

cn_status shelf_make(shelf **out, const char *root, const char *const *paths, size_t n, cn_error *err)
{
    cn_status st = CN_OK;
    shelf *s = cn_calloc(1, sizeof *s);
    *out = NULL;
    CN_CHECK(s, CN_ENOMEM, "out of memory for %zu archives", n);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->returned, NULL);
    s->paths = cn_calloc(n, sizeof *s->paths);
    CN_CHECK(s->paths, CN_ENOMEM, "out of memory for %zu archives", n);
    for (; s->n < n; s->n++) {
        s->paths[s->n] = path_join(root, paths[s->n]);
        CN_CHECK(s->paths[s->n], CN_ENOMEM, "out of memory for %zu archives", n);
    }
    *out = s, s = NULL;
done:
    shelf_free(s);
    return st;
}

static place *find(shelf *s, size_t archive)
{
    for (size_t i = 0; i < SHELF_OPEN; i++)
        if (s->places[i].bundle && s->places[i].archive == archive)
            return &s->places[i];
    return NULL;
}

/* An empty place, else that of the archive that nobody has used for the longest time; NULL: all are in use. */
static place *make_room(shelf *s)
{
    place *best = NULL;
    for (size_t i = 0; i < SHELF_OPEN; i++) {
        place *p = &s->places[i];
        if (!p->bundle)
            return p;
        if (p->users == 0 && (!best || p->used < best->used))
            best = p;
    }
    if (best) {
        bundle_close(best->bundle);
        best->bundle = NULL;
    }
    return best;
}

cn_status shelf_take(shelf *s, size_t archive, bundle **out, cn_error *err)
{
    cn_status st = CN_OK;
    place *p;
    pthread_mutex_lock(&s->lock);
    while (!(p = find(s, archive)) && !(p = make_room(s)))
        pthread_cond_wait(&s->returned, &s->lock);
    if (!p->bundle)
        st = bundle_open(&p->bundle, s->paths[archive], err); /* others wait: most likely for this one */
    if (st == CN_OK) {
        p->archive = archive;
        p->users++;
        p->used = ++s->clock;
        *out = p->bundle;
    }
    pthread_mutex_unlock(&s->lock);
    return st;
}

void shelf_return(shelf *s, size_t archive)
{
    pthread_mutex_lock(&s->lock);
    find(s, archive)->users--;
    pthread_cond_broadcast(&s->returned);
    pthread_mutex_unlock(&s->lock);
}

void shelf_free(shelf *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < SHELF_OPEN; i++)
        bundle_close(s->places[i].bundle);
    for (size_t i = 0; i < s->n; i++)
        cn_free(s->paths[i]);
    cn_free(s->paths);
    pthread_mutex_destroy(&s->lock);
    pthread_cond_destroy(&s->returned);
    cn_free(s);
}
