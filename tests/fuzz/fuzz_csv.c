/* fuzz target: rooms=study */
/* Reads the input as a labels file, row by row; every field must lie in the row and be a string. */
#include "study/csv.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    csv c;
    bool more = true;
    size_t rows = 0, line = 0, bytes = 0;
    char *copy = malloc(size ? size : 1); /* its end is the end of the memory */
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    csv_init(&c, copy, size, "fuzz");
    while (csv_row(&c, &more, NULL) == CN_OK && more) {
        if (c.fields == 0 || c.fields > CSV_MAX_FIELDS || c.line <= line)
            abort();
        line = c.line;
        for (size_t i = 0; i < c.fields; i++)
            bytes += strlen(csv_field(&c, (int)i)) + 1;
        (void)csv_find(&c, "path");
        rows++;
    }
    if (rows > size || bytes > 2 * size + 2)
        abort();
    csv_free(&c);
    free(copy);
    return 0;
}
