/* cli/outfile.h -- a text file that appears under its name when it is complete. */
#ifndef CLI_OUTFILE_H
#define CLI_OUTFILE_H

#include <stdio.h>

struct outfile {
    FILE *stream;
    char *path, *temporary; /* both NULL for standard output */
};
/* path "-" is standard output. All report; EXIT_DONE or EXIT_FAILED. */
int outfile_open(struct outfile *out, const char *path);
int outfile_commit(struct outfile *out);
void outfile_discard(struct outfile *out);

/* One field of CSV, quoted as RFC 4180 has it when it must be. */
void csv_field(FILE *out, const char *text);

#endif
