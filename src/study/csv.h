/* study/csv.h -- comma-separated values from strangers, read row by row from memory (RFC 4180: quotes
 * doubled inside quotes, LF or CRLF, a byte-order mark is skipped). Fields are borrowed from the reader
 * until the next row. */
#ifndef STUDY_CSV_H
#define STUDY_CSV_H

#include "base/check.h"

#include <stdbool.h>
#include <stddef.h>

#define CSV_MAX_FIELDS 256

typedef struct csv {
    const char *at, *end;
    const char *what; /* file name for messages; borrowed */
    size_t line;      /* of the row last read, from 1 */
    size_t next_line;
    char *buffer; /* the fields of a row, unquoted and zero-terminated */
    size_t room;
    size_t fields;
    char *field[CSV_MAX_FIELDS];
} csv;

/* text is borrowed while c is used, and need not end in a zero. */
void csv_init(csv *c, const char *text, size_t size, const char *what);
void csv_free(csv *c);
/* Reads the next row that is not blank; *more = false behind the last. */
cn_status csv_row(csv *c, bool *more, cn_error *err);
/* The number of the column of that name (any case) in the row last read, or -1. */
int csv_find(const csv *c, const char *name);
/* Field i of the row, "" when the row is too short or i is -1. */
const char *csv_field(const csv *c, int i);

#endif
