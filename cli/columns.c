/* cli/columns.c -- from --site and --unit to selections of units. */
#include "columns.h"
#include "report.h"

#include <stdlib.h>
#include <string.h>

static struct column *column_named(struct columns *columns, const char *name, size_t length)
{
    for (size_t i = 0; i < columns->count; i++)
        if (strlen(columns->items[i].name) == length && memcmp(columns->items[i].name, name, length) == 0)
            return &columns->items[i];
    return NULL;
}

static struct column *add_column(struct columns *columns, const cn_site *site, const char *name,
                                 size_t length)
{
    struct column *c = &columns->items[columns->count++];
    c->name = need_format("%.*s", (int)length, name);
    c->selection.site = site;
    return c;
}

/* Takes SITE:UNIT. */
static int add_unit(struct columns *columns, const cn_model *model, const char *text)
{
    cn_error err = {0};
    const cn_site *site = NULL;
    int64_t unit = 0;
    cn_status st = cn_model_parse_unit(model, text, &site, &unit, &err);
    if (st != CN_OK)
        return fail_error(&err, st);
    const char *colon = strrchr(text, ':');
    size_t length = colon ? (size_t)(colon - text) : strlen(text);
    struct column *c = column_named(columns, text, length);
    if (!c)
        c = add_column(columns, site, text, length);
    c->units = need(realloc(c->units, (c->selection.n_units + 1) * sizeof *c->units));
    c->units[c->selection.n_units++] = unit;
    c->selection.units = c->units;
    return EXIT_DONE;
}

int columns_find(struct columns *columns, const cn_model *model, const struct words *sites,
                 const struct words *units)
{
    cn_error err = {0};
    columns->items = need(calloc(sites->count + units->count + 1, sizeof *columns->items));
    for (size_t i = 0; i < sites->count; i++) {
        const char *name = sites->items[i];
        const cn_site *site = NULL;
        cn_status st = cn_model_find_site(model, name, &site, &err);
        if (st != CN_OK && strchr(name, ':')) { /* a unit, where a site would do as well */
            int code = add_unit(columns, model, name);
            if (code != EXIT_DONE)
                return code;
            continue;
        }
        if (st != CN_OK)
            return fail_error(&err, st);
        if (!column_named(columns, name, strlen(name)))
            add_column(columns, site, name, strlen(name));
    }
    for (size_t i = 0; i < units->count; i++) {
        int code = add_unit(columns, model, units->items[i]);
        if (code != EXIT_DONE)
            return code;
    }
    if (columns->count == 0) {
        const cn_site *site = cn_model_default_site(model);
        add_column(columns, site, site->name, strlen(site->name));
    }
    return EXIT_DONE;
}

void columns_free(struct columns *columns)
{
    for (size_t i = 0; i < columns->count; i++) {
        free(columns->items[i].name);
        free(columns->items[i].units);
        free(columns->items[i].values);
        free(columns->items[i].where);
    }
    free(columns->items);
    memset(columns, 0, sizeof *columns);
}
