/* cli/unittable.h -- units of a study as lines of a table or as JSON. */
#ifndef CLI_UNITTABLE_H
#define CLI_UNITTABLE_H

#include "json.h"

#include <clipneuron/study.h>

void unit_table_print(const cn_study *study, const cn_unit_row *rows, size_t n, FILE *out);
void unit_table_json(struct json *j, const char *key, const cn_study *study, const cn_unit_row *rows,
                     size_t n);

#endif
