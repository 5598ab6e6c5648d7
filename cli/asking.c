/* cli/asking.c -- studies, units and tables on the command line. */
#include "asking.h"
#include "report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void show_grid(const struct show *show, const struct grid *g, const char *key, void (*head)(struct json *j, const void *user),
               const void *user)
{
    if (show->json) {
        struct json j;
        json_begin(&j, stdout);
        json_open(&j, NULL, '{');
        if (head)
            head(&j, user);
        grid_json(g, &j, key);
        json_close(&j, '}');
        json_end(&j);
    } else if (show->csv) {
        grid_csv(g, stdout);
    } else {
        grid_print(g, stdout);
    }
}

int ask_open(const char *command, const struct words *operands, cn_study **study)
{
    cn_error err = {0};
    *study = NULL;
    if (!operands->count)
        return fail_usage(command, "no study named");
    const cn_status st = cn_study_open(study, operands->items[0], &err);
    return st == CN_OK ? EXIT_DONE : fail_error(&err, st);
}

int ask_unit(const char *command, cn_study *study, const char *text, cn_unit_ref *ref)
{
    cn_error err = {0};
    const cn_status st = cn_study_parse_unit(study, text, &ref->site, &ref->unit, &err);
    if (st != CN_OK)
        return fail_error(&err, st);
    if (ref->unit < 0)
        return fail_usage(command, "'%s' is a site; a unit is written %s:NUMBER, with numbers 0 to %" PRId64, text, text,
                          cn_study_site_at(study, ref->site)->units - 1);
    return EXIT_DONE;
}

int ask_site(const char *command, cn_study *study, const char *text, size_t *site)
{
    cn_error err = {0};
    int64_t unit = -1;
    *site = 0;
    if (!text)
        return EXIT_DONE;
    const cn_status st = cn_study_parse_unit(study, text, site, &unit, &err);
    if (st != CN_OK)
        return fail_error(&err, st);
    if (unit >= 0)
        return fail_usage(command, "'%s' is a unit, and a site is asked for", text);
    return EXIT_DONE;
}

char *ask_name(const cn_study *study, cn_unit_ref ref)
{
    return need_format("%s:%" PRId64, cn_study_site_at(study, ref.site)->short_name, ref.unit);
}

void ask_json(struct json *j, const cn_study *study, cn_unit_ref ref)
{
    json_text(j, "site", cn_study_site_at(study, ref.site)->name);
    json_int(j, "unit", ref.unit);
}

const char *ask_count(int64_t value, char text[32])
{
    char plain[24];
    const int length = snprintf(plain, sizeof plain, "%" PRId64, value);
    char *to = text;
    for (int i = 0; i < length; i++) {
        *to++ = plain[i];
        if ((length - i - 1) % 3 == 0 && i + 1 < length && plain[i] != '-')
            *to++ = ',';
    }
    *to = '\0';
    return text;
}
