/* clipneuron/error.h -- how every call of the library reports failure.
 * A call returns a cn_status; where it takes a cn_error, one line of text says what was wrong and
 * with which file, tensor, site or byte. The library never prints, exits or aborts on bad input.
 * Threads: a cn_error belongs to its caller; the library keeps no global error state. */
#ifndef CLIPNEURON_ERROR_H
#define CLIPNEURON_ERROR_H

#include <stddef.h>

#if defined(__GNUC__)
#define CN_API __attribute__((visibility("default")))
#define CN_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define CN_MUST_CHECK __attribute__((warn_unused_result))
#else
#define CN_API
#define CN_PRINTF(fmt, args)
#define CN_MUST_CHECK
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum cn_status {
    CN_OK = 0,
    CN_ENOMEM,       /* an allocation failed */
    CN_EIO,          /* the operating system refused a file operation (full disk, permissions, ...) */
    CN_EFORMAT,      /* a file is damaged, truncated or hostile */
    CN_EUNSUPPORTED, /* a valid file or request that this version cannot serve */
    CN_ENOTFOUND,    /* no tensor, site, unit, model or file of that name */
    CN_EINVAL,       /* an argument is out of its range */
    CN_ELIMIT,       /* a named limit (CN_MAX_...) would be exceeded */
    CN_EMISMATCH,    /* two things that must belong together do not (study and model, sum and file) */
    CN_ENETWORK,     /* a download failed */
    CN_ECANCELED,    /* the caller's progress callback, or a signal, asked to stop */
    CN_EBACKEND      /* oneDNN refused a primitive */
} cn_status;

/* The longest message, with its terminating zero; longer ones end in "...". */
#define CN_ERROR_TEXT_SIZE 1024

/* The first failure wins: a cn_error that already holds one is not overwritten.
 * Zero-initialise before the first use: cn_error err = {0}; */
typedef struct cn_error {
    cn_status status;
    char text[CN_ERROR_TEXT_SIZE]; /* one line of UTF-8, control characters of file names escaped */
} cn_error;

/** The name of a status in lower-case words, e.g. "not found"; static storage. */
CN_API const char *cn_status_name(cn_status status);

/** Empties err so that it can be used again; NULL is accepted. */
CN_API void cn_error_clear(cn_error *err);

#ifdef __cplusplus
}
#endif
#endif
