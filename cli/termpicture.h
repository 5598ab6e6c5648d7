/* cli/termpicture.h -- a picture on a terminal: by the graphics protocols of kitty and iTerm2 where the terminal has them,
 * else as half blocks in 24-bit colour, which every terminal with colours shows. */
#ifndef CLI_TERMPICTURE_H
#define CLI_TERMPICTURE_H

#include <clipneuron/error.h>
#include <stddef.h>
#include <stdio.h>

typedef enum term_picture { TERM_AUTO, TERM_KITTY, TERM_ITERM, TERM_BLOCKS, TERM_NONE } term_picture;

/* What TERM_AUTO means here, from the environment: KITTY_WINDOW_ID, TERM, TERM_PROGRAM, and TMUX and STY, behind which only blocks get through. */
term_picture term_picture_kind(term_picture asked);

/* Draws a JPEG or PNG into at most columns x rows cells from the cursor on; the cursor is at the start of the line below then. */
cn_status term_picture_draw(FILE *out, term_picture kind, const void *bytes, size_t size, const char *name, int columns, int rows,
                            cn_error *err);

#endif
