/* base/check.h -- the one way to fail: report once, leave through `done`.
 * A function that uses these macros has a local `cn_status st = CN_OK;`, a parameter `cn_error *err`
 * (may be NULL) and a label `done:`. */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include "clipneuron/error.h"

/* Records a failure and returns `status`, so that `return cn_fail(err, CN_EINVAL, "...")` reads well.
 * Keeps an earlier failure in err. Control characters in the text are replaced by '?', so a hostile
 * file name cannot break the one-line rule. */
CN_PRINTF(3, 4) cn_status cn_fail(cn_error *err, cn_status status, const char *fmt, ...);

/* The analyser does not see into error.c: tell it that the result is the status. */
#ifdef __clang_analyzer__
#define cn_fail(err, status, ...) ((void)(cn_fail)((err), (status), __VA_ARGS__), (status))
#endif

/* The callee has reported; pass its status on. */
#define CN_TRY(call)                                                                               \
    do {                                                                                           \
        st = (call);                                                                               \
        if (st != CN_OK)                                                                           \
            goto done;                                                                             \
    } while (0)

/* Unless cond holds, report and leave. `st` is set first, so that the compiler sees that it is no CN_OK. */
#define CN_CHECK(cond, status, ...)                                                                \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            st = (status);                                                                         \
            (void)cn_fail(err, st, __VA_ARGS__);                                                   \
            goto done;                                                                             \
        }                                                                                          \
    } while (0)

#endif
