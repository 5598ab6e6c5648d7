/* tests/file/folder.h -- a temporary folder for one test, and a look at what is left in it. */
#ifndef TESTS_FILE_FOLDER_H
#define TESTS_FILE_FOLDER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct folder {
    char path[64];
    char file[8][128]; /* for in() */
    int next;
} folder;

static inline folder make_folder(void)
{
    folder f = {.path = "/tmp/cn-file-XXXXXX"};
    assert_non_null(mkdtemp(f.path));
    return f;
}

/* The path of name in the folder; valid for the next seven calls. */
static inline const char *in(folder *f, const char *name)
{
    char *path = f->file[f->next++ % 8];
    size_t length = strlen(f->path), left = sizeof f->file[0] - length - 1;
    assert_true(strlen(name) < left);
    memcpy(path, f->path, length);
    path[length] = '/';
    strcpy(path + length + 1, name);
    return path;
}

static inline size_t count_files(const folder *f)
{
    DIR *d = opendir(f->path);
    assert_non_null(d);
    size_t count = 0;
    for (struct dirent *e; (e = readdir(d));)
        count += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return count;
}

static inline void remove_folder(folder *f)
{
    DIR *d = opendir(f->path);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", f->path, e->d_name);
        if (e->d_name[0] != '.' || strstr(e->d_name, ".part"))
            unlink(path);
    }
    closedir(d);
    assert_int_equal(rmdir(f->path), 0);
}

/* Compares a whole file with bytes. */
static inline void check_file(const char *path, const void *bytes, size_t size)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *content = malloc(size + 2);
    assert_non_null(content);
    assert_int_equal(fread(content, 1, size + 2, f), size);
    assert_memory_equal(content, bytes, size);
    free(content);
    fclose(f);
}

#endif
