/* tests/pull/server.h -- a web server of one file on 127.0.0.1, in a thread of the test, that misbehaves
 * in the ways that downloads must survive. One connection at a time, HTTP/1.1, Connection: close. */
#ifndef TESTS_PULL_SERVER_H
#define TESTS_PULL_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct server {
    /* the file; changed between requests only */
    const unsigned char *bytes;
    size_t size;
    /* how to misbehave */
    size_t cut_after;        /* close the connection after so many bytes of a body; 0: never */
    atomic_int cuts;         /* ... that many times; -1: always */
    bool no_ranges;          /* ignore Range: answer 200 from the start */
    bool no_length;          /* no Content-Length: the end of the connection ends the body */
    bool wrong_range;        /* claim another start than asked for */
    int status;              /* answer this instead; 0: none */
    atomic_int status_times; /* ... that many times; -1: always */
    bool redirect;           /* send to the same path below /moved */
    bool stall;              /* after cut_after bytes keep the connection open and send nothing */
    size_t announce;         /* Content-Length to claim; 0: the truth */
    /* what happened */
    atomic_int requests;
    atomic_llong sent; /* bytes of bodies */
    char last_range[64];
    char last_path[512];
    /* its own */
    int listener, port;
    atomic_bool stop;
    pthread_t thread;
};

static inline bool server_send(int fd, const void *data, size_t size)
{
    for (const char *p = data; size > 0;) {
        ssize_t n = send(fd, p, size, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        p += n;
        size -= (size_t)n;
    }
    return true;
}

static inline bool server_use(atomic_int *times)
{
    int left = atomic_load(times);
    if (left > 0)
        atomic_fetch_sub(times, 1);
    return left != 0;
}

static inline void server_answer(struct server *s, int fd)
{
    char request[4096], head[1024];
    size_t used = 0;
    request[0] = '\0';
    while (used < sizeof request - 1 && !strstr(request, "\r\n\r\n")) {
        ssize_t n = recv(fd, request + used, sizeof request - 1 - used, 0);
        if (n <= 0)
            return;
        used += (size_t)n;
        request[used] = '\0';
    }
    atomic_fetch_add(&s->requests, 1);
    s->last_range[0] = '\0';
    if (sscanf(request, "GET %511s", s->last_path) != 1)
        return;
    unsigned long long first = 0;
    const char *range = strstr(request, "Range: bytes=");
    if (range) {
        sscanf(range + 7, "%63[^\r\n]", s->last_range);
        sscanf(range, "Range: bytes=%llu-", &first);
    }
    if (s->redirect && strncmp(s->last_path, "/moved", 6) != 0) {
        snprintf(head, sizeof head,
                 "HTTP/1.1 302 Found\r\nLocation: /moved%.400s\r\nContent-Length: 5\r\nConnection: "
                 "close\r\n\r\nmoved",
                 s->last_path);
        server_send(fd, head, strlen(head));
        return;
    }
    if (s->status && server_use(&s->status_times)) {
        snprintf(head, sizeof head,
                 "HTTP/1.1 %d Nope\r\nContent-Length: 12\r\nConnection: close\r\n\r\nan error page",
                 s->status);
        server_send(fd, head, strlen(head) - 1);
        return;
    }
    bool partial = range && !s->no_ranges;
    if (partial && first >= s->size) {
        snprintf(head, sizeof head,
                 "HTTP/1.1 416 No\r\nContent-Range: bytes */%zu\r\nContent-Length: 4\r\nConnection: "
                 "close\r\n\r\nnone",
                 s->size);
        server_send(fd, head, strlen(head));
        return;
    }
    if (!partial)
        first = 0;
    size_t size = s->size - first;
    int n = snprintf(head, sizeof head, "HTTP/1.1 %s\r\nConnection: close\r\n",
                     partial ? "206 Partial Content" : "200 OK");
    if (!s->no_length)
        n += snprintf(head + n, sizeof head - (size_t)n, "Content-Length: %zu\r\n",
                      s->announce ? s->announce : size);
    if (partial)
        n += snprintf(head + n, sizeof head - (size_t)n, "Content-Range: bytes %llu-%zu/%zu\r\n",
                      first + (s->wrong_range ? 1 : 0), s->size - 1, s->size);
    snprintf(head + n, sizeof head - (size_t)n, "\r\n");
    if (!server_send(fd, head, strlen(head)))
        return;
    bool cut = s->cut_after && s->cut_after < size && server_use(&s->cuts);
    size_t sending = cut ? s->cut_after : size;
    for (size_t at = 0; at < sending; at += 4096) {
        size_t piece = sending - at < 4096 ? sending - at : 4096;
        if (!server_send(fd, s->bytes + first + at, piece))
            return;
        atomic_fetch_add(&s->sent, (long long)piece);
    }
    while (cut && s->stall && !atomic_load(&s->stop)) {
        char byte;
        usleep(2000);
        if (recv(fd, &byte, 1, MSG_DONTWAIT) == 0)
            break; /* the other side has gone */
    }
}

static inline void *server_run(void *argument)
{
    struct server *s = argument;
    while (!atomic_load(&s->stop)) {
        int fd = accept(s->listener, NULL, NULL);
        if (fd < 0)
            continue;
        if (!atomic_load(&s->stop))
            server_answer(s, fd);
        shutdown(fd, SHUT_WR);
        close(fd);
    }
    return NULL;
}

/* Zeroed but for what the test set. @return false when the machine has no loopback */
static inline bool server_start(struct server *s)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->listener < 0 || bind(s->listener, (struct sockaddr *)&address, length) != 0 ||
        listen(s->listener, 16) != 0 || getsockname(s->listener, (struct sockaddr *)&address, &length) != 0)
        return false;
    s->port = ntohs(address.sin_port);
    return pthread_create(&s->thread, NULL, server_run, s) == 0;
}

static inline void server_stop(struct server *s)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((unsigned short)s->port)};
    atomic_store(&s->stop, true);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* wakes accept */
    if (fd >= 0) {
        if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
            shutdown(s->listener, SHUT_RDWR);
        close(fd);
    }
    pthread_join(s->thread, NULL);
    close(s->listener);
}

#endif
