/* cli/seesheets.h -- sprite sheets: many pictures in one PNG, without captions, and where each of them is. */
#ifndef CLI_SEESHEETS_H
#define CLI_SEESHEETS_H

#include <stddef.h>

struct sheet_picture {
    const char *path, *objective, *facet; /* facet NULL: plain */
};

/* FOLDER/sheet.png (sheet.FACET.png; sheet-2.png and so on beyond 1,024 pictures, or fewer large ones) and FOLDER/sheets.json. Pictures of one facet
 * stand together in the list. side: px of each. Reports; EXIT_DONE or an exit code. */
int seesheets_write(const char *folder, const struct sheet_picture *pictures, size_t n, int side);

#endif
