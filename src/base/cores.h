/* base/cores.h -- how many CPU cores this process may use. */
#ifndef BASE_CORES_H
#define BASE_CORES_H

/* At least 1. */
int cn_usable_cores(void);

#endif
