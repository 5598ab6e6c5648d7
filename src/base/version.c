/* base/version.c -- the version of the library that is running. */
#include "clipneuron/clipneuron.h"

const char *cn_version(void)
{
    return CN_VERSION;
}
