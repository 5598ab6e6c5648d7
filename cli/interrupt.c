/* cli/interrupt.c -- a flag that SIGINT and SIGTERM set.
 * A thread of their own waits for them, and all others block them. A handler would run on the stack of whichever thread is at hand, and that may be
 * in machine code that oneDNN generated, which uses the stack pointer as one more register: the kernel would then write the handler's frame into the heap. */
#include "interrupt.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static atomic_int caught;

static void on_signal(int number)
{
    if (atomic_exchange(&caught, number))
        _exit(128 + number);
}

static void *wait_for_signals(void *set)
{
    for (int number;;)
        if (sigwait(set, &number) == 0)
            on_signal(number);
    return NULL;
}

void interrupt_install(void)
{
    static sigset_t set;
    struct sigaction action;
    pthread_t waiter;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal; /* what is ignored, as behind a shell's &, would not be waited for either */
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    /* A file-size limit shall be an error of write(), with a line, and not the end of the process. */
    action.sa_handler = SIG_IGN;
    sigaction(SIGXFSZ, &action, NULL);
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL); /* threads that begin later inherit it */
    if (pthread_create(&waiter, NULL, wait_for_signals, &set) == 0)
        pthread_detach(waiter);
    else
        pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

int interrupted(void)
{
    return atomic_load(&caught);
}
