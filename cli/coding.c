/* cli/coding.c -- codes for commands. */
#include "coding.h"
#include "asking.h"
#include "people.h"
#include "progress.h"
#include "report.h"

int coding_run(const char *command, const struct coding_arguments *a, const char *path, const char *const *words, size_t n_words, cn_codes **out)
{
    cn_study *study = NULL;
    cn_model *model = NULL;
    cn_error err = {0};
    size_t site = 0;
    struct text_progress shown = {a->quiet, NULL};
    *out = NULL;
    for (size_t i = 0; i < a->templates.count; i++)
        if (options_template(command, a->templates.items[i]) != EXIT_DONE)
            return EXIT_USAGE;
    cn_status st = cn_study_open(&study, path, &err);
    int code = st == CN_OK ? EXIT_DONE : fail_error(&err, st);
    if (code == EXIT_DONE)
        code = ask_site(command, study, a->site, &site);
    if (code == EXIT_DONE)
        linear_fit_tokens(study, site, a->quiet);
    if (code == EXIT_DONE)
        code = model_open(&a->model, &model);
    if (code == EXIT_DONE) {
        const cn_codes_options o = {.site = site,
                                    .words = a->words,
                                    .more_words = words,
                                    .n_more_words = n_words,
                                    .templates = a->templates.items,
                                    .n_templates = a->templates.count,
                                    .pictures = a->pictures,
                                    .seed = (uint64_t)a->seed,
                                    .threads = (int)a->run.threads,
                                    .precision = precision_of(&a->run),
                                    .backend = (cn_backend)a->run.backend,
                                    .progress = text_progress,
                                    .user = &shown};
        st = cn_text_codes(study, model, &o, out, &err);
        progress_end();
        if (st != CN_OK)
            code = fail_error(&err, st);
    }
    cn_model_close(model);
    cn_study_close(study);
    return code;
}

void coding_print(const cn_codes *codes)
{
    printf("%zu words, %zu template%s", codes->n, codes->templates, codes->templates == 1 ? "" : "s");
    if (codes->unknown || codes->unknown_templates)
        printf("; left out, as the model has never seen them: %lld word%s, %zu template%s", (long long)codes->unknown,
               codes->unknown == 1 ? "" : "s", codes->unknown_templates, codes->unknown_templates == 1 ? "" : "s");
    putchar('\n');
    linear_fit_print(&codes->fit);
}

void coding_json(struct json *j, const cn_codes *codes, const struct coding_arguments *a)
{
    json_int(j, "words", (int64_t)codes->n);
    json_int(j, "unknown_words", codes->unknown);
    json_int(j, "templates", (int64_t)codes->templates);
    json_int(j, "unknown_templates", (int64_t)codes->unknown_templates);
    json_int(j, "seed", a->seed);
    linear_fit_json(j, &codes->fit);
}

void coding_warn(const cn_codes *codes, const cn_atlas *atlas, const char *path, struct json *j)
{
    cn_study *study = NULL;
    struct people people;
    if (cn_study_open(&study, path, NULL) != CN_OK)
        study = NULL; /* it was there for the codes; a warning without base rates is better than none */
    people_begin(&people, study);
    for (int k = 0; atlas && k < atlas->factors; k++)
        for (int t = 0; t < 4 && atlas->factor[k].unit[t] >= 0; t++)
            people_note(&people, codes->names[atlas->factor[k].unit[t]]);
    for (size_t i = 0; codes && !atlas && i < codes->n; i++)
        for (int l = 0; l < CN_CODE_LEVELS; l++)
            for (size_t k = 0; k < codes->codes[i].level[l].n; k++)
                people_note(&people, codes->names[codes->codes[i].level[l].terms[k].unit]);
    if (j)
        people_json(&people, j);
    else
        people_print(&people);
    cn_study_close(study);
}
