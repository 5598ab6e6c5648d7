/* cli/attacking.h -- options that commands about written words share: lettering, prompts, classes. */
#ifndef CLI_ATTACKING_H
#define CLI_ATTACKING_H

#include "models.h"
#include "texts.h"

#include <clipneuron/attack.h>

struct lettering_arguments {
    int layout;
    const char *font, *font_file, *size, *at, *colour, *outline_colour, *outline, *rotate;
    int64_t copies;
};

extern const char *const layout_choices[];
extern const char *const theme_choices[];

/* clang-format off */
#define LETTERING_OPTIONS(T, member) \
    {0, "layout", OPTION_CHOICE, offsetof(T, member.layout), "LAYOUT", \
     "paper (eight places over the picture, white with a black outline), plain (lines around --at) or label (a piece of paper). Default: paper.", \
     0, 0, layout_choices}, \
    {0, "font", OPTION_TEXT, offsetof(T, member.font), "FAMILY", "A font of this system. Default: DejaVu Sans."}, \
    {0, "font-file", OPTION_TEXT, offsetof(T, member.font_file), "FILE", "A font of a file (.ttf, .otf), whatever the system has."}, \
    {0, "size", OPTION_TEXT, offsetof(T, member.size), "PX", \
     "Size of the letters on a picture of 288 px; others in proportion. Default: 24 in paper's layout, else 48; letters that do not fit shrink."}, \
    {0, "copies", OPTION_COUNT, offsetof(T, member.copies), "N", "How often the text stands there. Default: 8 in paper's layout, else 1.", 1, \
     CN_MAX_LETTERING_COPIES}, \
    {0, "at", OPTION_TEXT, offsetof(T, member.at), "X,Y", "Where the middle is, 0 to 1 of width and height. Default: 0.5,0.5."}, \
    {0, "colour", OPTION_TEXT, offsetof(T, member.colour), "#RRGGBB", "Of the letters."}, \
    {0, "outline-colour", OPTION_TEXT, offsetof(T, member.outline_colour), "#RRGGBB", "Of their outline. Default: black."}, \
    {0, "outline", OPTION_TEXT, offsetof(T, member.outline), "PX", "Width of the outline at 288 px; 0: none. Default: 1; labels have none."}, \
    {0, "rotate", OPTION_TEXT, offsetof(T, member.rotate), "DEGREES", "Counter-clockwise."}
/* clang-format on */

/* Reports; EXIT_DONE or EXIT_USAGE. */
int lettering_options(const char *command, const struct lettering_arguments *a, cn_lettering *out);

struct json;
/* {"hits", "of", "share", "low", "high"} on one line. */
void json_share(struct json *j, const char *key, const cn_share *s);

#endif
