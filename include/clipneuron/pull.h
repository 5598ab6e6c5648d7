/* clipneuron/pull.h -- fetches checkpoints: OpenAI's released ones by name, others by address and sum.
 * A download goes to FILE.part, is checked against its SHA-256, and only then gets its name. What has
 * arrived is kept when the connection, the disk or the process ends, and the next call goes on from
 * there. Two calls for one file do not collide: the second is refused while the first runs.
 * Threads: all calls are independent. */
#ifndef CLIPNEURON_PULL_H
#define CLIPNEURON_PULL_H

#include "clipneuron/error.h"
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CN_PULL_PATH_SIZE 4096                /* bytes of a path, with its zero */
#define CN_MAX_PULL_BYTES ((int64_t)16 << 30) /* largest file that is fetched unless told */

/* A model that OpenAI released; static storage. */
typedef struct cn_pull_model {
    const char *name;   /* as the original code names it: "RN50x4", "ViT-B/32" */
    const char *file;   /* "RN50x4.pt" */
    const char *sha256; /* published sum, 64 hex digits; also a part of the address */
    int resolution;     /* px of its input */
    int megabytes;      /* about, of 10^6 bytes, to show before the download */
} cn_pull_model;

CN_API size_t cn_pull_count(void);
CN_API const cn_pull_model *cn_pull_at(size_t i);
/** By name; case and the difference of '/', '-', '@' and '_' are overlooked ("vit-b-32").
 * @return CN_OK; CN_ENOTFOUND with the names in err (out untouched) */
CN_API CN_MUST_CHECK cn_status cn_pull_find(const char *name, const cn_pull_model **out, cn_error *err);

/** Where pulled models lie: $XDG_CACHE_HOME/clipneuron/models, else ~/.cache/clipneuron/models. Need not exist.
 * @param[out] folder caller's buffer @return CN_OK; CN_ENOTFOUND when neither variable is set; CN_ELIMIT */
CN_API CN_MUST_CHECK cn_status cn_pull_folder(char folder[CN_PULL_PATH_SIZE], cn_error *err);
/** The path that a released model has once pulled. */
CN_API CN_MUST_CHECK cn_status cn_pull_path(const cn_pull_model *model, char path[CN_PULL_PATH_SIZE],
                                            cn_error *err);

typedef struct cn_pull_progress {
    int64_t done;    /* bytes of the file that are there */
    int64_t total;   /* -1: not known yet */
    int64_t resumed; /* bytes that were there before */
    bool checking;   /* reading an existing file to compute its sum */
} cn_pull_progress;

/** @return false to stop: the call ends with CN_ECANCELED and keeps what has arrived */
typedef bool cn_pull_callback(const cn_pull_progress *progress, void *user);

/* Zeroes (or NULL) give the defaults. Pointers are borrowed for the call. */
typedef struct cn_pull_options {
    const char *folder;   /* NULL: cn_pull_folder; made when missing */
    const char *url_base; /* cn_pull only: a mirror that has SHA256/FILE below it; NULL: OpenAI's */
    bool force;           /* fetch from the start even when the file is there */
    int64_t max_bytes;    /* 0: CN_MAX_PULL_BYTES */
    int attempts;         /* how often a broken connection is taken up again; 0: 5 */
    int64_t wait_ms;      /* before the second attempt, doubled for each further one; 0: 1000 */
    int64_t stall_s;      /* a transfer with nothing arriving for so long is broken; 0: 60 */
    cn_pull_callback *progress;
    void *user;
} cn_pull_options;

typedef struct cn_pull_result {
    char path[CN_PULL_PATH_SIZE];
    int64_t bytes;    /* of the file */
    int64_t received; /* that came over the network; 0 when the file was there with the right sum */
    int64_t resumed;  /* that an earlier call had left */
} cn_pull_result;

/** Fetches a released model. @param[out] result NULL, or filled on success
 * @return CN_OK (also when the file is already there and its sum is right); CN_ENETWORK; CN_EMISMATCH (wrong
 *         sum: what came is removed); CN_EIO (disk; what came is kept); CN_ELIMIT; CN_ECANCELED; CN_EINVAL (another
 *         call fetches the same file); CN_ENOMEM */
CN_API CN_MUST_CHECK cn_status cn_pull(const cn_pull_model *model, const cn_pull_options *options,
                                       cn_pull_result *result, cn_error *err);

/** Fetches any http or https address whose sum is known; the file gets the last part of the address as name. */
CN_API CN_MUST_CHECK cn_status cn_pull_url(const char *url, const char *sha256,
                                           const cn_pull_options *options, cn_pull_result *result,
                                           cn_error *err);

#ifdef __cplusplus
}
#endif
#endif
