/* pull/transfer.h -- one HTTP request whose body goes to the end of an open file. Not retried, not checked. */
#ifndef PULL_TRANSFER_H
#define PULL_TRANSFER_H

#include "base/check.h"
#include "clipneuron/pull.h"
#include "file/sha256.h"

typedef enum transfer_end {
    TRANSFER_WHOLE,  /* the server sent all that it announced */
    TRANSFER_BROKEN, /* the connection failed in a way that may pass: try again from where the file ends */
    TRANSFER_FAILED  /* anything else */
} transfer_end;

typedef struct transfer {
    const char *url, *path; /* path: for messages */
    int fd;                 /* written at its end */
    int64_t have;           /* bytes in the file: where to go on; grows */
    int64_t received;       /* bytes that came over the network; grows */
    int64_t resumed;        /* for the progress */
    int64_t total;          /* of the whole file, -1 while unknown */
    sha256 **sum;           /* of the bytes in the file; started anew when the server sends from the start */
    const cn_pull_options *options;
    transfer_end end;
} transfer;

/* The reason of a TRANSFER_BROKEN is in err as well. */
cn_status transfer_run(transfer *t, cn_error *err);

#endif
