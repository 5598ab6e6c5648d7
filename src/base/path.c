/* base/path.c */
#include "base/path.h"

#include "base/memory.h"

#include <string.h>
#include <strings.h>

char *path_join(const char *folder, const char *name)
{
    size_t a = strlen(folder), b = strlen(name);
    char *path = cn_malloc(a + b + 2);
    if (!path)
        return NULL;
    memcpy(path, folder, a);
    if (a && folder[a - 1] != '/')
        path[a++] = '/';
    memcpy(path + a, name, b + 1);
    return path;
}

char *path_trimmed(const char *path)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    return cn_strndup(path, length);
}

bool path_has_ending(const char *path, const char *ending)
{
    const size_t n = strlen(path), k = strlen(ending);
    return n > k && strcasecmp(path + n - k, ending) == 0;
}
