/* cli/seesheets.c -- lays finished pictures out in rows. */
#include "seesheets.h"
#include "json.h"
#include "outfile.h"
#include "report.h"

#include <clipneuron/image.h>
#include <stdlib.h>
#include <string.h>

/* Pictures of a sheet: 32 x 32, or fewer where they are large. */
static size_t sheet_room(int side)
{
    size_t room = 1024;
    while (room > 1 && (double)room * side * side > CN_MAX_IMAGE_PIXELS)
        room /= 4;
    return room;
}

/* As many columns as rows, or one more. */
static size_t columns_for(size_t n)
{
    size_t columns = 1;
    while (columns * columns < n)
        columns++;
    return columns;
}

static int paste(uint8_t *sheet, size_t columns, size_t at, const char *path, int side)
{
    const cn_image_options over_white = {.composite_alpha = true, .background = {255, 255, 255}};
    const size_t width = (size_t)side;
    uint8_t *rgb = need(malloc(3 * width * width));
    cn_image *image = NULL;
    cn_error err = {0};
    cn_status st = cn_image_load(&image, path, &over_white, &err);
    if (st == CN_OK)
        st = cn_image_preprocess(image, side, rgb, &err);
    for (size_t y = 0; y < width && st == CN_OK; y++)
        memcpy(sheet + 3 * ((at / columns * width + y) * columns + at % columns) * width, rgb + 3 * y * width, 3 * width);
    cn_image_free(image);
    free(rgb);
    return st == CN_OK ? EXIT_DONE : fail_error(&err, st);
}

static int write_sheet(const char *folder, const char *name, const struct sheet_picture *pictures, size_t n, int side)
{
    const size_t columns = columns_for(n), rows = (n + columns - 1) / columns, width = (size_t)side;
    uint8_t *sheet = need(calloc(columns * width * rows, 3 * width));
    char *path = need_format("%s/%s", folder, name);
    cn_error err = {0};
    int code = EXIT_DONE;
    for (size_t i = 0; i < n && code == EXIT_DONE; i++)
        code = paste(sheet, columns, i, pictures[i].path, side);
    if (code == EXIT_DONE) {
        const cn_status st = cn_png_write(path, sheet, (int)(columns * width), (int)(rows * width), 3, NULL, 0, &err);
        code = st == CN_OK ? EXIT_DONE : fail_error(&err, st);
    }
    free(sheet);
    free(path);
    return code;
}

static void describe(struct json *j, const char *name, const struct sheet_picture *pictures, size_t n, int side)
{
    const size_t columns = columns_for(n);
    json_open(j, NULL, '{');
    json_text(j, "file", name);
    json_text(j, "facet", pictures[0].facet);
    json_int(j, "side", side);
    json_int(j, "columns", (int64_t)columns);
    json_open(j, "pictures", '[');
    for (size_t i = 0; i < n; i++) {
        j->flat = j->depth + 1;
        json_open(j, NULL, '{');
        json_text(j, "objective", pictures[i].objective);
        json_int(j, "x", (int64_t)(i % columns) * side);
        json_int(j, "y", (int64_t)(i / columns) * side);
        json_close(j, '}');
    }
    json_close(j, ']');
    json_close(j, '}');
}

/* Pictures of the sheet that `first` begins. */
static size_t sheet_length(const struct sheet_picture *pictures, size_t n, size_t first, int side)
{
    const size_t room = sheet_room(side);
    size_t length = 0;
    while (first + length < n && length < room && pictures[first + length].facet == pictures[first].facet)
        length++;
    return length;
}

int seesheets_write(const char *folder, const struct sheet_picture *pictures, size_t n, int side)
{
    char *path = need_format("%s/sheets.json", folder);
    struct outfile out;
    struct json j;
    size_t number = 1;
    int code = outfile_open(&out, path);
    free(path);
    if (code != EXIT_DONE)
        return code;
    json_begin(&j, out.stream);
    json_open(&j, NULL, '[');
    for (size_t i = 0; i < n && code == EXIT_DONE;) {
        const size_t length = sheet_length(pictures, n, i, side);
        char *dot = pictures[i].facet ? need_format(".%s", pictures[i].facet) : need_format("%s", "");
        number = i && pictures[i - 1].facet == pictures[i].facet ? number + 1 : 1;
        char *name = number > 1 ? need_format("sheet-%zu%s.png", number, dot) : need_format("sheet%s.png", dot);
        code = write_sheet(folder, name, pictures + i, length, side);
        if (code == EXIT_DONE)
            describe(&j, name, pictures + i, length, side);
        free(name);
        free(dot);
        i += length;
    }
    json_close(&j, ']');
    json_end(&j);
    if (code == EXIT_DONE)
        return outfile_commit(&out);
    outfile_discard(&out);
    return code;
}
