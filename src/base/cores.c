/* base/cores.c -- see cores.h. */
#include "base/cores.h"

#include <sched.h>

int cn_usable_cores(void)
{
    cpu_set_t set;
    const int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n > 0 ? n : 1;
}
