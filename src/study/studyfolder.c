/* study/studyfolder.c -- the temporary folder, and the swap at the end. */
#include "study/studyfolder.h"

#include "base/memory.h"
#include "base/path.h"
#include "study/schema.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool skip(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Calls each(folder, name, user) for every entry; stops at the first that fails. */
static cn_status for_entries(const char *path,
                             cn_status (*each)(const char *, const char *, void *, cn_error *), void *user,
                             cn_error *err)
{
    cn_status st = CN_OK;
    struct dirent *entry;
    DIR *dir = opendir(path);
    CN_CHECK(dir, CN_EIO, "%s: %s", path, strerror(errno));
    while ((entry = readdir(dir)))
        if (!skip(entry->d_name))
            CN_TRY(each(path, entry->d_name, user, err));
done:
    if (dir)
        closedir(dir);
    return st;
}

static cn_status count_entry(const char *path, const char *name, void *user, cn_error *err)
{
    (void)path, (void)name, (void)err;
    ++*(size_t *)user;
    return CN_OK;
}

/* Allocates nothing: it must work when memory is what ran out. */
void folder_empty(const char *path, const char *except)
{
    struct dirent *entry;
    DIR *dir = opendir(path);
    while (dir && (entry = readdir(dir)))
        if (!skip(entry->d_name) && (!except || strcmp(entry->d_name, except) != 0))
            unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
}

static void remove_flat(const char *path)
{
    folder_empty(path, NULL);
    rmdir(path);
}

/* Reads whose study this is. *is_study = false when the file is no study of ours. */
static void read_fingerprint(const char *path, char fingerprint[65], bool *is_study)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *q = NULL;
    *is_study = false;
    fingerprint[0] = '\0';
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
        sqlite3_prepare_v2(db, "PRAGMA application_id", -1, &q, NULL) == SQLITE_OK &&
        sqlite3_step(q) == SQLITE_ROW)
        *is_study = sqlite3_column_int(q, 0) == SCHEMA_APPLICATION;
    sqlite3_finalize(q);
    q = NULL;
    if (*is_study &&
        sqlite3_prepare_v2(db, "SELECT value FROM meta WHERE key = 'fingerprint'", -1, &q, NULL) ==
            SQLITE_OK &&
        sqlite3_step(q) == SQLITE_ROW && sqlite3_column_text(q, 0))
        snprintf(fingerprint, 65, "%s", (const char *)sqlite3_column_text(q, 0));
    sqlite3_finalize(q);
    sqlite3_close(db);
}

static cn_status check_place(folder *f, const char *fingerprint, bool force, cn_error *err)
{
    cn_status st = CN_OK;
    struct stat info;
    size_t entries = 0;
    char *database = NULL, theirs[65];
    bool is_study;
    if (lstat(f->target, &info) != 0) {
        CN_CHECK(errno == ENOENT, CN_EIO, "%s: %s", f->target, strerror(errno));
        goto done;
    }
    CN_CHECK(S_ISDIR(info.st_mode), CN_EINVAL, "%s: is not a folder: a study would have to replace it",
             f->target);
    CN_TRY(for_entries(f->target, count_entry, &entries, err));
    if (entries == 0)
        goto done;
    database = path_join(f->target, SCHEMA_FILE);
    CN_CHECK(database, CN_ENOMEM, "out of memory for a path");
    read_fingerprint(database, theirs, &is_study);
    CN_CHECK(is_study, CN_EINVAL, "%s: is not empty and no study: choose another name", f->target);
    CN_CHECK(strcmp(theirs, fingerprint) == 0, CN_EMISMATCH,
             "%s: is a study of another model (%.12s, this one is %.12s): choose another name", f->target,
             theirs, fingerprint);
    CN_CHECK(force, CN_EINVAL,
             "%s: is a study of this model already: choose another name, or replace it with --force",
             f->target);
    f->replaces = true;
done:
    cn_free(database);
    return st;
}

static cn_status set_target(folder *f, const char *target, const char *fingerprint, bool force, cn_error *err)
{
    cn_status st = CN_OK;
    memset(f, 0, sizeof *f);
    CN_CHECK(*target, CN_EINVAL, "a study needs a name");
    f->target = path_trimmed(target);
    CN_CHECK(f->target, CN_ENOMEM, "out of memory for a path");
    CN_TRY(check_place(f, fingerprint, force, err));
done:
    return st;
}

cn_status folder_check(const char *target, const char *fingerprint, bool force, cn_error *err)
{
    folder f;
    const cn_status st = set_target(&f, target, fingerprint, force, err);
    folder_discard(&f);
    return st;
}

cn_status folder_begin(folder *f, const char *target, const char *fingerprint, bool force, cn_error *err)
{
    cn_status st = CN_OK;
    char *made = NULL;
    CN_TRY(set_target(f, target, fingerprint, force, err));
    const size_t size = strlen(f->target) + 16;
    made = cn_malloc(size);
    CN_CHECK(made, CN_ENOMEM, "out of memory for a path");
    snprintf(made, size, "%s.tmp-XXXXXX", f->target);
    CN_CHECK(mkdtemp(made), CN_EIO, "%s: cannot make a folder here: %s", f->target, strerror(errno));
    mode_t mask = umask(0);
    umask(mask);
    (void)chmod(made, 0777 & ~mask); /* mkdtemp gives 0700; a study may be shared like any folder */
    f->temporary = made, made = NULL;
done:
    cn_free(made);
    return st;
}

char *folder_path(const folder *f, const char *name)
{
    return path_join(f->temporary, name);
}

static cn_status flush_entry(const char *path, const char *name, void *user, cn_error *err)
{
    cn_status st = CN_OK;
    int fd = -1;
    (void)user;
    char *full = path_join(path, name);
    CN_CHECK(full, CN_ENOMEM, "out of memory for a path");
    fd = open(full, O_RDONLY | O_CLOEXEC);
    CN_CHECK(fd >= 0 && fsync(fd) == 0, CN_EIO, "%s: cannot flush to disk: %s", full, strerror(errno));
done:
    if (fd >= 0)
        close(fd);
    cn_free(full);
    return st;
}

/* A file that scan makes, and not one that somebody laid beside. */
static bool is_own(const char *name)
{
    static const char *const endings[] = {".mean.npy", ".max.npy", ".class.npy", ".argmax.npy", ".coarse.npy", ".labels.npy"};
    const size_t length = strlen(name);
    bool own = strncmp(name, SCHEMA_FILE, sizeof SCHEMA_FILE - 1) == 0 || strcmp(name, "embeddings.npy") == 0 || strcmp(name, "words.npy") == 0;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        const size_t n = strlen(endings[i]);
        own = own || (length > n && strcmp(name + length - n, endings[i]) == 0);
    }
    return own;
}

/* Files of the user's in the old folder (pages of cards, say) move along; the study's own do not. */
static cn_status keep_entry(const char *path, const char *name, void *user, cn_error *err)
{
    cn_status st = CN_OK;
    const char *destination = user;
    char *from = path_join(path, name), *to = path_join(destination, name);
    CN_CHECK(from && to, CN_ENOMEM, "out of memory for a path");
    if (!is_own(name))
        CN_CHECK(rename(from, to) == 0, CN_EIO, "%s: cannot be moved to the new study, and stays: %s", from, strerror(errno));
done:
    cn_free(from);
    cn_free(to);
    return st;
}

static void flush_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
}

cn_status folder_flush(const folder *f, cn_error *err)
{
    const cn_status st = for_entries(f->temporary, flush_entry, NULL, err);
    flush_folder(f->temporary);
    return st;
}

cn_status folder_commit(folder *f, cn_error *err)
{
    cn_status st = CN_OK;
    char *old = NULL;
    CN_TRY(folder_flush(f, err));
    if (f->replaces) {
        CN_CHECK(renameat2(AT_FDCWD, f->temporary, AT_FDCWD, f->target, RENAME_EXCHANGE) == 0, CN_EIO,
                 "%s: cannot be replaced: %s", f->target, strerror(errno));
        old = f->temporary, f->temporary = NULL; /* not to be discarded: it has the user's files until they have moved */
        CN_TRY(for_entries(old, keep_entry, f->target, err));
        remove_flat(old);
    } else {
        CN_CHECK(rename(f->temporary, f->target) == 0, CN_EIO, "%s: cannot be made: %s", f->target,
                 strerror(errno));
    }
    cn_free(f->temporary);
    f->temporary = NULL;
done:
    cn_free(old);
    return st;
}

void folder_discard(folder *f)
{
    if (f->temporary)
        remove_flat(f->temporary);
    cn_free(f->temporary);
    cn_free(f->target);
    memset(f, 0, sizeof *f);
}
