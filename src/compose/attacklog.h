/* compose/attacklog.h -- answers of an attack as JSON lines, added to as they come and read back. The first line has a digest of all that
 * answers depend on; the others a picture each. A line that was cut off does not count. Untrusted: every number is checked. */
#ifndef COMPOSE_ATTACKLOG_H
#define COMPOSE_ATTACKLOG_H

#include "compose/attackset.h"

typedef struct attack_log attack_log;

typedef struct attack_log_shape {
    const char *digest;
    size_t texts, prompts, classes;
    int64_t pixels; /* of a picture */
} attack_log_shape;

/* Reads what is there into changed (n, texts), answers (n, 2, texts, prompts) and known (n), and opens the file to add to.
 * CN_EMISMATCH for another digest, CN_EFORMAT for what is no such log. out: attack_log_close, NULL on failure. */
cn_status attack_log_open(attack_log **out, const char *path, const attack_log_shape *shape, const attack_picture *pictures, int64_t n,
                          int64_t *changed, int32_t *answers, bool *known, cn_error *err);
/* The next two accept NULL: no log. */
cn_status attack_log_add(attack_log *log, const char *path, uint64_t key, const int64_t *changed, const int32_t *answers, cn_error *err);
cn_status attack_log_flush(attack_log *log, cn_error *err);
void attack_log_close(attack_log *log);

#endif
