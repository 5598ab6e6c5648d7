/* tests/study/tempdir.h -- a folder for a test's files, removed with all that is in it. */
#ifndef TESTS_STUDY_TEMPDIR_H
#define TESTS_STUDY_TEMPDIR_H

#include <stddef.h>

/* Makes a folder; owned by the caller. */
char *tempdir_make(void);
/* Removes and frees it. */
void tempdir_remove(char *dir);
/* dir/name in one of a few static buffers. */
const char *tempdir_path(const char *dir, const char *name);
/* Writes a file, making the folders in its name. */
void tempdir_write(const char *dir, const char *name, const void *data, size_t size);
void tempdir_text(const char *dir, const char *name, const char *text);
/* The whole file, zero-terminated; owned by the caller. Fails the test when it is not there. */
char *tempdir_read(const char *path, size_t *size);
/* Number of entries in a folder. */
int tempdir_count(const char *path);

#endif
