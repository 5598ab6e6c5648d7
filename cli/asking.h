/* cli/asking.h -- what the commands that ask a study share: opening it, naming its units, and showing a table. */
#ifndef CLI_ASKING_H
#define CLI_ASKING_H

#include "grid.h"
#include "options.h"

#include <clipneuron/ask.h>

/* How a command shows its table. */
struct show {
    bool json, csv, quiet;
};

/* clang-format off */
#define SHOW_OPTIONS(T, member) \
    {0, "json", OPTION_FLAG, offsetof(T, member.json), NULL, "Print JSON in place of the table."}, \
    {0, "csv", OPTION_FLAG, offsetof(T, member.csv), NULL, "Print CSV in place of the table."}
/* clang-format on */

/* CSV, or JSON: an object with what `head` writes (NULL: nothing) and the rows under `key`, or, with neither, the table. */
void show_grid(const struct show *show, const struct grid *g, const char *key, void (*head)(struct json *j, const void *user),
               const void *user);

/* All of these report; EXIT_DONE or an exit code. */
int ask_open(const char *command, const struct words *operands, cn_study **study);
/* One unit: a bare SITE is refused. */
int ask_unit(const char *command, cn_study *study, const char *text, cn_unit_ref *ref);
/* A site by its name, the first one for NULL; a unit is refused. */
int ask_site(const char *command, cn_study *study, const char *text, size_t *site);

/* "layer4.3.add:319"; freed by the caller. */
char *ask_name(const cn_study *study, cn_unit_ref ref);
/* Site and unit in JSON. */
void ask_json(struct json *j, const cn_study *study, cn_unit_ref ref);
/* "1,939" */
const char *ask_count(int64_t value, char text[32]);

#endif
