/* cli/attacking.c -- lettering from options, shares as JSON. */
#include "attacking.h"
#include "json.h"
#include "report.h"

#include <stdlib.h>
#include <string.h>

const char *const layout_choices[] = {"paper", "plain", "label", NULL};
const char *const theme_choices[] = {"light", "dark", "print", NULL};

static int colour_of(const char *command, const char *option, const char *text, uint8_t out[3])
{
    if (strlen(text) != 7 || text[0] != '#' || strspn(text + 1, "0123456789abcdefABCDEF") != 6)
        return fail_usage(command, "--%s is #RRGGBB, not '%s'", option, text);
    const unsigned long colour = strtoul(text + 1, NULL, 16);
    for (int i = 0; i < 3; i++)
        out[i] = (uint8_t)(colour >> (16 - 8 * i));
    return EXIT_DONE;
}

int lettering_options(const char *command, const struct lettering_arguments *a, cn_lettering *out)
{
    float size = 0, outline = 0, rotate = 0;
    *out = (cn_lettering){.layout = (cn_lettering_layout)a->layout, .font = a->font, .font_file = a->font_file, .copies = (int)a->copies};
    int code = options_number(command, "size", a->size, 1, CN_LETTERING_SIDE, &size);
    if (code == EXIT_DONE)
        code = options_number(command, "outline", a->outline, 0, 32, &outline);
    if (code == EXIT_DONE)
        code = options_number(command, "rotate", a->rotate, -360, 360, &rotate);
    if (code != EXIT_DONE)
        return code;
    out->size = (double)size;
    out->rotation = (double)rotate;
    out->outline = a->outline && outline <= 0 ? -1 : (double)outline;
    if (a->font && a->font_file)
        return fail_usage(command, "--font and --font-file exclude each other");
    if (a->layout == CN_LETTERING_PAPER && a->copies > 8)
        return fail_usage(command, "the paper's layout has 1 to 8 copies, not %lld; --layout plain has more", (long long)a->copies);
    if (a->at) {
        char *end, *last;
        out->x = strtod(a->at, &end);
        out->y = *end == ',' ? strtod(end + 1, &last) : (last = end, -1);
        if (end == a->at || *last || !(out->x >= 0 && out->x <= 1 && out->y >= 0 && out->y <= 1))
            return fail_usage(command, "--at is X,Y with both from 0 to 1, not '%s'", a->at);
        if (out->x == 0 && out->y == 0) /* which means the middle */
            out->x = 1e-9;
    }
    if (a->colour || a->outline_colour) {
        out->coloured = true;
        memset(out->colour, a->layout == CN_LETTERING_LABEL ? 0 : 255, 3);
        if (a->colour)
            code = colour_of(command, "colour", a->colour, out->colour);
        if (code == EXIT_DONE && a->outline_colour)
            code = colour_of(command, "outline-colour", a->outline_colour, out->outline_colour);
    }
    return code;
}

void json_share(struct json *j, const char *key, const cn_share *s)
{
    if (!j->flat)
        j->flat = j->depth + 1;
    json_open(j, key, '{');
    json_int(j, "hits", s->hits);
    json_int(j, "of", s->of);
    json_real(j, "share", s->share);
    json_real(j, "low", s->low);
    json_real(j, "high", s->high);
    json_close(j, '}');
}
