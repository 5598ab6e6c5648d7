/* cli/pictures.c -- finds image files. The reader of their pixels is in reader.c. */
#include "pictures.h"
#include "report.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { DEEPEST = 64 }; /* folders inside folders: ends a loop of links */

static void add(struct pictures *p, char *path)
{
    if ((p->count & (p->count - 1)) == 0) {
        size_t room = p->count ? p->count * 2 : 1;
        p->paths = need(realloc(p->paths, room * sizeof *p->paths));
    }
    p->paths[p->count++] = path;
}

void pictures_free(struct pictures *p)
{
    for (size_t i = 0; i < p->count; i++)
        free(p->paths[i]);
    free(p->paths);
    memset(p, 0, sizeof *p);
}

static bool has_image_name(const char *name)
{
    static const char *const endings[] = {".jpg", ".jpeg", ".jpe", ".png", ".webp", ".gif"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof endings[0]; i++)
        if (strcasecmp(dot, endings[i]) == 0)
            return true;
    return false;
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* Byte order, so that the order does not depend on the locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int add_folder(struct pictures *p, const char *folder, int depth)
{
    struct dirent **entries = NULL;
    if (depth > DEEPEST)
        return fail("%s: more than %d folders inside each other", folder, DEEPEST);
    int n = scandir(folder, &entries, visible, by_name);
    if (n < 0)
        return fail("%s: %s", folder, strerror(errno));
    int code = EXIT_DONE;
    for (int i = 0; i < n; i++) {
        bool slash = folder[0] && folder[strlen(folder) - 1] == '/';
        char *path = need_format("%s%s%s", folder, slash ? "" : "/", entries[i]->d_name);
        struct stat info;
        bool there = code == EXIT_DONE && stat(path, &info) == 0;
        if (there && S_ISDIR(info.st_mode))
            code = add_folder(p, path, depth + 1);
        else if (there && S_ISREG(info.st_mode) && has_image_name(path)) {
            add(p, path);
            path = NULL;
        }
        free(path);
        free(entries[i]);
    }
    free(entries);
    return code;
}

static int add_list(struct pictures *p, const char *list)
{
    bool standard = strcmp(list, "-") == 0;
    FILE *f = standard ? stdin : fopen(list, "re");
    if (!f)
        return fail("%s: %s", list, strerror(errno));
    const char *slash = standard ? NULL : strrchr(list, '/');
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    while ((length = getline(&line, &room, f)) >= 0) {
        while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r'))
            line[--length] = '\0';
        if (length == 0)
            continue;
        if (slash && line[0] != '/')
            add(p, need_format("%.*s/%s", (int)(slash - list), list, line));
        else
            add(p, need_format("%s", line));
    }
    int code = ferror(f) ? fail("%s: %s", list, strerror(errno)) : EXIT_DONE;
    free(line);
    if (!standard)
        fclose(f);
    return code;
}

int pictures_find(struct pictures *p, const struct words *arguments)
{
    memset(p, 0, sizeof *p);
    int code = EXIT_DONE;
    for (size_t i = 0; i < arguments->count && code == EXIT_DONE; i++) {
        const char *name = arguments->items[i];
        struct stat info;
        size_t before = p->count;
        if (name[0] == '@' && !arguments->literal) {
            code = add_list(p, name + 1);
            if (code == EXIT_DONE && p->count == before)
                code = fail("%s: an empty list", name + 1);
        } else if (stat(name, &info) == 0 && S_ISDIR(info.st_mode)) {
            code = add_folder(p, name, 0);
            if (code == EXIT_DONE && p->count == before)
                code = fail("%s: no images in this folder", name);
        } else {
            add(p, need_format("%s", name)); /* a missing file is the reader's to report */
        }
    }
    if (code != EXIT_DONE)
        pictures_free(p);
    return code;
}
