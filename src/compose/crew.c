/* compose/crew.c -- a job is a function and a counter; who is free takes the next number. */
#include "compose/crew.h"

#include "base/cores.h"
#include "base/memory.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { CREW_MOST = 64, SPINS = 4000 }; /* jobs come every 50 us or so: a short wait awake is cheaper than sleep */

struct crew {
    pthread_mutex_t lock;
    pthread_cond_t begin, end;
    pthread_t thread[CREW_MOST];
    int threads; /* beside the caller */
    crew_task *task;
    void *job;
    int64_t tasks;
    atomic_llong next;
    atomic_uint round; /* the number of the present job */
    atomic_int busy;   /* threads that are not done with it */
    bool stop;
};

static void work(crew *c)
{
    for (int64_t i; (i = atomic_fetch_add(&c->next, 1)) < c->tasks;)
        c->task(c->job, i);
}

static void *serve(void *argument)
{
    crew *c = argument;
    for (unsigned seen = 0;;) {
        for (int spin = 0; spin < SPINS && atomic_load(&c->round) == seen; spin++)
            ;
        if (atomic_load(&c->round) == seen) {
            pthread_mutex_lock(&c->lock);
            while (atomic_load(&c->round) == seen)
                pthread_cond_wait(&c->begin, &c->lock);
            pthread_mutex_unlock(&c->lock);
        }
        seen++;
        if (c->stop)
            return NULL;
        work(c);
        if (atomic_fetch_sub(&c->busy, 1) == 1) {
            pthread_mutex_lock(&c->lock);
            pthread_cond_signal(&c->end);
            pthread_mutex_unlock(&c->lock);
        }
    }
}

static void announce(crew *c)
{
    pthread_mutex_lock(&c->lock);
    atomic_fetch_add(&c->round, 1);
    pthread_cond_broadcast(&c->begin);
    pthread_mutex_unlock(&c->lock);
}

cn_status crew_create(crew **out, int threads, cn_error *err)
{
    crew *c = cn_calloc(1, sizeof *c);
    *out = NULL;
    if (!c)
        return cn_fail(err, CN_ENOMEM, "out of memory for threads");
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->begin, NULL);
    pthread_cond_init(&c->end, NULL);
    const int wanted = threads > 0 ? threads : cn_usable_cores();
    while (c->threads + 1 < wanted && c->threads < CREW_MOST && pthread_create(&c->thread[c->threads], NULL, serve, c) == 0)
        c->threads++;
    *out = c;
    return CN_OK;
}

void crew_run(crew *c, crew_task *task, void *job, int64_t tasks)
{
    c->task = task;
    c->job = job;
    c->tasks = tasks;
    atomic_store(&c->next, 0);
    if (c->threads == 0 || tasks < 2) {
        work(c);
        return;
    }
    atomic_store(&c->busy, c->threads);
    announce(c);
    work(c);
    for (int spin = 0; spin < SPINS && atomic_load(&c->busy); spin++)
        ;
    if (atomic_load(&c->busy)) {
        pthread_mutex_lock(&c->lock);
        while (atomic_load(&c->busy))
            pthread_cond_wait(&c->end, &c->lock);
        pthread_mutex_unlock(&c->lock);
    }
}

void crew_free(crew *c)
{
    if (!c)
        return;
    c->stop = true;
    announce(c);
    for (int i = 0; i < c->threads; i++)
        pthread_join(c->thread[i], NULL);
    pthread_cond_destroy(&c->begin);
    pthread_cond_destroy(&c->end);
    pthread_mutex_destroy(&c->lock);
    cn_free(c);
}
