/* base/path.h -- names of files put together and taken apart. */
#ifndef BASE_PATH_H
#define BASE_PATH_H

#include <stdbool.h>

/* folder/name, with one slash between them; name alone when the folder is "". Owned by the caller (cn_free), NULL when out of memory. */
char *path_join(const char *folder, const char *name);
/* A copy without slashes at the end, but for "/" itself; as path_join. */
char *path_trimmed(const char *path);
/* Whether a name ends so, in any case, and has something before it: path_has_ending("A.NPY", ".npy"). */
bool path_has_ending(const char *path, const char *ending);

#endif
