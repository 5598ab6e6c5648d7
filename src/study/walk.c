/* study/walk.c -- a folder of pictures. */
#include "study/listingparts.h"

#include "base/memory.h"
#include "base/path.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

typedef struct ancestor {
    const struct ancestor *up;
    dev_t device;
    ino_t inode;
    int depth;
} ancestor;

static cn_status walk(listing *l, name_list *archives, const char *folder, const char *relative, const ancestor *up, cn_error *err)
{
    cn_status st = CN_OK;
    char *full = NULL, *below = NULL;
    struct stat info;
    DIR *dir = opendir(folder);
    CN_CHECK(dir, CN_EIO, "%s: cannot read the folder: %s", folder, strerror(errno));
    CN_CHECK(fstat(dirfd(dir), &info) == 0, CN_EIO, "%s: %s", folder, strerror(errno));
    ancestor self = {.up = up, .device = info.st_dev, .inode = info.st_ino, .depth = up ? up->depth + 1 : 0};
    CN_CHECK(self.depth < 128, CN_ELIMIT, "%s: folders are nested more than 128 deep", folder);
    for (const ancestor *a = up; a; a = a->up)
        if (a->device == self.device && a->inode == self.inode)
            goto done; /* a symbolic link back to a folder that we are in */
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        cn_free(full);
        cn_free(below);
        full = path_join(folder, entry->d_name);
        below = path_join(relative, entry->d_name);
        CN_CHECK(full && below, CN_ENOMEM, "out of memory for the name of %s", entry->d_name);
        struct stat s;
        if (stat(full, &s) != 0) {
            if (picture_name(entry->d_name)) /* a dangling link: let decoding say why */
                CN_TRY(listing_add(l, below, NULL, err));
            continue;
        }
        if (S_ISDIR(s.st_mode)) {
            CN_TRY(walk(l, archives, full, below, &self, err));
        } else if (S_ISREG(s.st_mode) && picture_name(entry->d_name)) {
            CN_TRY(listing_add(l, below, NULL, err));
        } else {
            l->ignored++;
            if (S_ISREG(s.st_mode) && archive_name(entry->d_name))
                CN_TRY(name_list_add(archives, cn_strdup(below), err));
        }
    }
done:
    cn_free(full);
    cn_free(below);
    if (dir)
        closedir(dir);
    return st;
}

cn_status walk_folder(listing *l, name_list *archives, cn_error *err)
{
    return walk(l, archives, l->root, "", NULL, err);
}

cn_status label_by_folder(listing *l, cn_error *err)
{
    for (size_t i = 0; i < l->count; i++) {
        const char *slash = strrchr(l->items[i].path, '/');
        if (!slash)
            continue;
        l->items[i].label = cn_strndup(l->items[i].path, (size_t)(slash - l->items[i].path));
        if (!l->items[i].label)
            return cn_fail(err, CN_ENOMEM, "out of memory for the labels of %zu pictures", l->count);
    }
    return CN_OK;
}
