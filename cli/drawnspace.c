/* cli/drawnspace.c -- opens a space of drawn words. */
#include "drawnspace.h"
#include "linearfit.h"
#include "progress.h"
#include "report.h"
#include "texts.h"

#include <stdlib.h>

int space_open(const struct space_arguments *a, const char *const *more, size_t n_more, const cn_study *study, cn_word_space **out)
{
    cn_model *model = NULL;
    struct lines lines = {0};
    const char **words = NULL;
    size_t n = 0;
    cn_error err = {0};
    struct text_progress shown = {a->quiet, NULL};
    int code = a->list ? lines_read(&lines, a->list, true) : EXIT_DONE;
    *out = NULL;
    if (code == EXIT_DONE)
        code = model_open(&a->model, &model);
    if (code == EXIT_DONE && study) {
        const cn_status st = cn_study_check_model(study, model, &err);
        if (st != CN_OK)
            code = fail_error(&err, st);
    }
    if (code == EXIT_DONE) {
        words = need(calloc(lines.count + 1, sizeof *words));
        for (size_t i = 0; i < lines.count; i++)
            if (lines.items[i][0] != '#')
                words[n++] = lines.items[i];
        const cn_word_space_options o = {.site = a->site,
                                         .versions = (int)a->versions,
                                         .font_files = a->font_files.items,
                                         .n_font_files = a->font_files.count,
                                         .threads = (int)a->run.threads,
                                         .precision = precision_of(&a->run),
                                         .backend = (cn_backend)a->run.backend,
                                         .progress = text_progress,
                                         .user = &shown};
        const cn_status st = cn_word_space_open(out, model, a->list ? words : NULL, n, more, n_more, &o, &err);
        progress_end();
        if (st != CN_OK)
            code = fail_error(&err, st);
    }
    free(words);
    lines_free(&lines);
    cn_model_close(model);
    return code;
}
