/* compose/crew.h -- a few threads that wait for short jobs: work that is divided into numbered tasks, each of which writes its own
 * results, so that the results do not depend on how many threads there are. */
#ifndef COMPOSE_CREW_H
#define COMPOSE_CREW_H

#include "base/check.h"

#include <stdint.h>

typedef struct crew crew;
typedef void crew_task(void *job, int64_t task);

/* threads: 0: all cores; the caller is one of them. out: crew_free; where a thread cannot be started, there are fewer. */
cn_status crew_create(crew **out, int threads, cn_error *err);
/* Runs task(job, 0..tasks-1) in any order on all threads and returns when all are done. */
void crew_run(crew *c, crew_task *task, void *job, int64_t tasks);
/* Accepts NULL. */
void crew_free(crew *c);

#endif
