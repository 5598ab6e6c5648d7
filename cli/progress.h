/* cli/progress.h -- one line on stderr that shows how far a command is; on a terminal only. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef enum progress_unit { PROGRESS_ITEMS, PROGRESS_BYTES } progress_unit;

/* One at a time. total < 0: not known yet. what: borrowed until the end; it may change. Draws nothing when quiet or when stderr is no
 * terminal. */
void progress_start(const char *what, int64_t total, progress_unit unit, bool quiet);
/* base: what was there before the start (a resumed download), which does not count for the rate. */
void progress_set(int64_t done, int64_t total, int64_t base);
/* Removes the line. Safe at any time, also when none is shown. */
void progress_clear(void);
void progress_end(void);

/* The text of the line for a width in columns, as progress_set draws it; for the tests. */
int progress_line(char *out, int out_size, const char *what, int64_t done, int64_t total, int64_t base,
                  double seconds, progress_unit unit, int columns);

#endif
