/* cli/goals.c -- see goals.h. */
#include "goals.h"
#include "report.h"
#include "texts.h"
#include "vectors.h"

#include <clipneuron/find.h>
#include <stdlib.h>
#include <string.h>

struct sink {
    float *rows;
    size_t width;
};

static int take(cn_runner *runner, const struct text_batch *batch, void *user)
{
    const struct sink *s = user;
    memcpy(s->rows + batch->first * s->width, cn_runner_embedding(runner), batch->n * s->width * sizeof *s->rows);
    return EXIT_DONE;
}

int goals_embed(const cn_model *model, int64_t threads, const char *const *texts, size_t n, float **out)
{
    struct sink sink = {.width = (size_t)cn_model_get_info(model)->embedding};
    const cn_runner_options o = {
        .tower = CN_TOWER_TEXT, .embedding = true, .batch = n < 32 ? (int64_t)n : 32, .threads = (int)threads};
    sink.rows = need(calloc(n, sink.width * sizeof *sink.rows));
    const int code = texts_run(model, o, texts, n, false, true, take, &sink);
    rows_normalise(sink.rows, n, sink.width);
    *out = sink.rows;
    if (code != EXIT_DONE) {
        free(sink.rows);
        *out = NULL;
    }
    return code;
}

char *goals_unit_name(cn_study *study, size_t site, int64_t unit)
{
    char *name = NULL;
    cn_unit_name *names = NULL;
    cn_unit_row *row = NULL;
    size_t n = 0;
    const cn_unit_ref ref = {site, unit};
    if (cn_study_unit_names(study, ref, &names, &n, NULL) == CN_OK && n > 0)
        name = need_format("%s", names[0].name);
    else if (cn_study_unit(study, ref, &row, NULL) == CN_OK && !row->dead)
        name = need_format("%s", row->label[0] ? row->label : row->word);
    cn_unit_names_free(names);
    cn_unit_rows_free(row);
    return name ? name : need_format("%s", "");
}

bool goals_study_site(const cn_study *study, const cn_site *site, size_t *number)
{
    for (size_t i = 0; i < cn_study_site_count(study); i++)
        if (strcmp(cn_study_site_at(study, i)->name, site->name) == 0) {
            *number = i;
            return true;
        }
    return false;
}
