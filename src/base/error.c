/* base/error.c -- status names and the one-line error text. */
#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *cn_status_name(cn_status status)
{
    static const char *const names[] = {
        [CN_OK] = "ok",
        [CN_ENOMEM] = "out of memory",
        [CN_EIO] = "input/output error",
        [CN_EFORMAT] = "damaged file",
        [CN_EUNSUPPORTED] = "not supported",
        [CN_ENOTFOUND] = "not found",
        [CN_EINVAL] = "invalid argument",
        [CN_ELIMIT] = "limit exceeded",
        [CN_EMISMATCH] = "mismatch",
        [CN_ENETWORK] = "network error",
        [CN_ECANCELED] = "cancelled",
        [CN_EBACKEND] = "compute backend error",
    };
    if ((size_t)status >= sizeof names / sizeof names[0])
        return "unknown status";
    return names[status];
}

void cn_error_clear(cn_error *err)
{
    if (err) {
        err->status = CN_OK;
        err->text[0] = '\0';
    }
}

cn_status(cn_fail)(cn_error *err, cn_status status, const char *fmt, ...)
{
    if (!err || err->status != CN_OK)
        return status;
    err->status = status;
    va_list args;
    va_start(args, fmt);
    int length = vsnprintf(err->text, sizeof err->text, fmt, args);
    va_end(args);
    if (length < 0)
        snprintf(err->text, sizeof err->text, "%s", cn_status_name(status));
    else if ((size_t)length >= sizeof err->text)
        memcpy(err->text + sizeof err->text - 4, "...", 4);
    for (char *c = err->text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    return status;
}
