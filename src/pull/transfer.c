/* pull/transfer.c -- the only file that knows libcurl.
 * The answer's status is looked at before its first byte is written: 206 goes to the end of the file,
 * 200 (a server without ranges) starts it anew, everything else is no content of ours. */
#include "pull/transfer.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct answer {
    transfer *t;
    cn_error *err;
    CURL *curl;
    cn_status st;                     /* of what we refused or could not do ourselves */
    bool begun;                       /* the status was looked at */
    int64_t range_first, range_total; /* of Content-Range; -1 when absent */
    int64_t length;                   /* Content-Length; -1 when absent */
};

static cn_status start_anew(transfer *t, cn_error *err)
{
    cn_status st = CN_OK;
    if (ftruncate(t->fd, 0) != 0 || lseek(t->fd, 0, SEEK_SET) != 0)
        return cn_fail(err, CN_EIO, "%s: %s", t->path, strerror(errno));
    t->have = t->resumed = 0;
    sha256_close(*t->sum);
    *t->sum = NULL;
    CN_TRY(sha256_open(t->sum, err));
done:
    return st;
}

static cn_status check_room(const transfer *t, cn_error *err)
{
    struct statvfs disk;
    if (t->total < 0 || fstatvfs(t->fd, &disk) != 0)
        return CN_OK;
    uint64_t room = (uint64_t)disk.f_bavail * disk.f_frsize;
    uint64_t missing = (uint64_t)(t->total - t->have);
    if (missing <= room)
        return CN_OK;
    return cn_fail(err, CN_EIO, "%s: the disk is too full: %.1f MB are missing and %.1f MB are free", t->path,
                   (double)missing / 1e6, (double)room / 1e6);
}

/* Looks at status and headers before the first byte of the body. */
static cn_status begin(struct answer *a)
{
    transfer *t = a->t;
    cn_status st = CN_OK;
    cn_error *err = a->err;
    long code = 0;
    curl_easy_getinfo(a->curl, CURLINFO_RESPONSE_CODE, &code);
    a->begun = true;
    if (code == 206 && t->have > 0) {
        CN_CHECK(a->range_first == t->have, CN_ENETWORK,
                 "%s: asked for bytes from %" PRId64 ", got them from %" PRId64, t->url, t->have,
                 a->range_first);
        t->total = a->range_total >= 0 ? a->range_total : a->length >= 0 ? t->have + a->length : -1;
    } else if (code == 200) {
        if (t->have > 0)
            CN_TRY(start_anew(t, err));
        t->total = a->length;
    } else {
        t->end = code == 408 || code == 429 || code >= 500 ? TRANSFER_BROKEN : TRANSFER_FAILED;
        st = cn_fail(err, code == 404 ? CN_ENOTFOUND : CN_ENETWORK, "%s: the server answered %ld%s", t->url,
                     code, code == 404 ? " (not found)" : "");
        goto done;
    }
    CN_CHECK(t->total <= t->options->max_bytes, CN_ELIMIT,
             "%s: %" PRId64 " bytes are more than the limit of %" PRId64, t->url, t->total,
             t->options->max_bytes);
    CN_TRY(check_room(t, err));
done:
    return st;
}

static cn_status append(transfer *t, const char *data, size_t size, cn_error *err)
{
    cn_status st = CN_OK;
    CN_CHECK(t->have + (int64_t)size <= t->options->max_bytes, CN_ELIMIT,
             "%s: more than the limit of %" PRId64 " bytes", t->url, t->options->max_bytes);
    while (size > 0) {
        ssize_t n = write(t->fd, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        CN_CHECK(n > 0, CN_EIO,
                 "%s: %s after %" PRId64 " bytes; they are kept, and the next call goes on from there",
                 t->path, strerror(errno), t->have);
        CN_TRY(sha256_add(*t->sum, data, (size_t)n, err));
        t->have += n;
        t->received += n;
        data += n;
        size -= (size_t)n;
    }
done:
    return st;
}

static size_t on_body(char *data, size_t unit, size_t count, void *user)
{
    struct answer *a = user;
    long code = 0;
    if (!a->begun && curl_easy_getinfo(a->curl, CURLINFO_RESPONSE_CODE, &code) == CURLE_OK && code == 416)
        return unit * count; /* "no such range" comes with a page of text; finish() looks at it */
    if (!a->begun)
        a->st = begin(a);
    if (a->st == CN_OK)
        a->st = append(a->t, data, unit * count, a->err);
    return a->st == CN_OK ? unit * count : 0; /* fewer than given ends the transfer */
}

/* Value of the header `name`, or NULL; not zero-terminated within size, but curl's lines end in CR LF. */
static const char *header_value(const char *line, size_t size, const char *name)
{
    size_t length = strlen(name);
    if (size <= length || strncasecmp(line, name, length) != 0)
        return NULL;
    line += length;
    while (*line == ' ')
        line++;
    return line;
}

static size_t on_header(char *line, size_t unit, size_t count, void *user)
{
    struct answer *a = user;
    size_t size = unit * count;
    char text[256];
    size_t kept = size < sizeof text - 1 ? size : sizeof text - 1;
    memcpy(text, line, kept);
    text[kept] = '\0';
    if (strncmp(text, "HTTP/", 5) == 0) { /* of a redirect, or of the answer: forget the one before */
        a->range_first = a->range_total = a->length = -1;
        return size;
    }
    const char *value = header_value(text, kept, "Content-Range:");
    if (value && strncasecmp(value, "bytes ", 6) == 0) {
        const char *slash = strchr(value, '/');
        if (sscanf(value + 6, "%" SCNd64, &a->range_first) != 1)
            a->range_first = -1;
        if (!slash || sscanf(slash + 1, "%" SCNd64, &a->range_total) != 1)
            a->range_total = -1;
    }
    value = header_value(text, kept, "Content-Length:");
    if (value && sscanf(value, "%" SCNd64, &a->length) != 1)
        a->length = -1;
    return size;
}

static int on_progress(void *user, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up)
{
    struct answer *a = user;
    (void)total, (void)now, (void)up_total, (void)up;
    const cn_pull_options *o = a->t->options;
    cn_pull_progress p = {.done = a->t->have, .total = a->t->total, .resumed = a->t->resumed};
    if (!o->progress || o->progress(&p, o->user))
        return 0;
    if (a->st == CN_OK)
        a->st = cn_fail(a->err, CN_ECANCELED, "%s: stopped; what has arrived is kept", a->t->path);
    return 1;
}

static bool may_pass(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_PARTIAL_FILE:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM: return true;
    default: return false;
    }
}

static cn_status finish(struct answer *a, CURLcode code, const char *reason)
{
    transfer *t = a->t;
    long status = 0;
    curl_easy_getinfo(a->curl, CURLINFO_RESPONSE_CODE, &status);
    if (a->st != CN_OK)
        return a->st;
    if (code == CURLE_OK && !a->begun) { /* no body came */
        if (status == 416 && t->have > 0 && a->range_total == t->have)
            t->total = t->have; /* all was there already */
        else if (status == 416 && t->have > 0) {
            t->end = TRANSFER_BROKEN;
            return start_anew(t, a->err) == CN_OK
                       ? cn_fail(a->err, CN_ENETWORK, "%s: the server has no bytes from there on", t->url)
                   : a->err ? a->err->status
                            : CN_EIO;
        } else {
            cn_status st = begin(a);
            if (st != CN_OK)
                return st;
        }
    }
    if (code == CURLE_OK) {
        t->end = TRANSFER_WHOLE;
        return CN_OK;
    }
    t->end = may_pass(code) ? TRANSFER_BROKEN : TRANSFER_FAILED;
    if (reason[0] == '\0')
        reason = curl_easy_strerror(code);
    if (t->total > 0 && t->have > 0)
        return cn_fail(a->err, CN_ENETWORK,
                       "%s: %s (%" PRId64 " of %" PRId64 " bytes are kept for the next call)", t->url, reason,
                       t->have, t->total);
    return cn_fail(a->err, CN_ENETWORK, "%s: %s", t->url, reason);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode global_code;
static void global_init(void)
{
    global_code = curl_global_init(CURL_GLOBAL_DEFAULT);
}

cn_status transfer_run(transfer *t, cn_error *err)
{
    cn_status st = CN_OK;
    char reason[CURL_ERROR_SIZE] = "";
    struct answer a = {.t = t, .err = err, .range_first = -1, .range_total = -1, .length = -1};
    t->end = TRANSFER_FAILED;
    pthread_once(&once, global_init);
    a.curl = global_code == CURLE_OK ? curl_easy_init() : NULL;
    CN_CHECK(a.curl, CN_ENETWORK, "libcurl does not start");
    CURL *c = a.curl;
    bool good = curl_easy_setopt(c, CURLOPT_URL, t->url) == CURLE_OK &&
                curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
                curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https") == CURLE_OK;
    CN_CHECK(good, CN_EUNSUPPORTED, "%s: libcurl does not take this address", t->url);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "clipneuron");
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(c, CURLOPT_MAXREDIRS, 8L);
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, 30L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)t->options->stall_s);
    curl_easy_setopt(c, CURLOPT_BUFFERSIZE, 256L * 1024);
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, reason);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, &a);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, &a);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, &a);
    char range[32];
    if (t->have > 0) {
        snprintf(range, sizeof range, "%" PRId64 "-", t->have);
        curl_easy_setopt(c, CURLOPT_RANGE, range);
    }
    CURLcode code = curl_easy_perform(c);
    st = finish(&a, code, reason);
done:
    curl_easy_cleanup(a.curl);
    return st;
}
