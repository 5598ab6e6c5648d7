/* examples/study.c -- scan a folder of pictures and list the strongest examples of units.
 *
 *     study MODEL FOLDER STUDY [UNIT...]
 *
 * Makes the study, then reads it back: once a study exists, neither the model nor the pictures are needed.
 * Without units it shows the three most interesting ones. */
#include "clipneuron/clipneuron.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { SHOWN = 6 };

static bool progress(const cn_scan_progress *p, void *user)
{
    (void)user;
    if (p->phase == CN_SCAN_IMAGES && p->done == p->total)
        printf("%" PRId64 " pictures\n", p->done);
    return true; /* false would stop the scan and leave nothing behind */
}

static cn_status show_unit(cn_study *study, cn_unit_ref ref, cn_error *err)
{
    cn_unit_row *row = NULL;
    cn_example *examples = NULL;
    size_t n = 0;
    cn_status st = cn_study_unit(study, ref, &row, err);
    if (st == CN_OK)
        st = cn_study_examples(study, ref, CN_EXAMPLE_TOP, &examples, &n, err);
    if (st == CN_OK) {
        printf("\n%s:%" PRId64 "  label %s (%.0f%% of its strongest pictures), peak %.1f sd\n",
               cn_study_site_at(study, ref.site)->short_name, ref.unit, row->label, 100 * row->purity,
               row->peak_sd);
        for (size_t i = 0; i < n && i < SHOWN; i++)
            printf("  %6.2f sd at (%d, %d)  %s\n", examples[i].sd, examples[i].row, examples[i].column,
                   examples[i].path);
    }
    cn_examples_free(examples);
    cn_unit_rows_free(row);
    return st;
}

static cn_status scan(const char *model_path, const char *folder, const char *study_path, cn_error *err)
{
    cn_model *model = NULL;
    cn_status st = cn_model_open(&model, model_path, NULL, err);
    if (st == CN_OK)
        st = cn_study_scan(model, folder, study_path, &(cn_scan_options){.force = true, .progress = progress},
                           NULL, err);
    cn_model_close(model);
    return st;
}

static cn_status show(const char *study_path, char **names, int n_names, cn_error *err)
{
    cn_study *study = NULL;
    cn_unit_row *rows = NULL;
    size_t n = 0;
    cn_status st = cn_study_open(&study, study_path, err);
    for (int i = 0; st == CN_OK && i < n_names; i++) {
        cn_unit_ref ref;
        st = cn_study_parse_unit(study, names[i], &ref.site, &ref.unit, err);
        if (st == CN_OK && ref.unit < 0) {
            fprintf(stderr, "study: %s is a site; name a unit of it, SITE:UNIT\n", names[i]);
            st = CN_EINVAL;
        }
        if (st == CN_OK)
            st = show_unit(study, ref, err);
    }
    if (st == CN_OK && n_names == 0)
        st = cn_study_units(study, 0, CN_ORDER_INTERESTING, 3, &rows, &n, err);
    for (size_t i = 0; st == CN_OK && i < n; i++)
        st = show_unit(study, rows[i].ref, err);
    cn_unit_rows_free(rows);
    cn_study_close(study);
    return st;
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: study MODEL FOLDER STUDY [UNIT...]\n");
        return 2;
    }
    cn_error err = {0};
    cn_status st = scan(argv[1], argv[2], argv[3], &err);
    if (st == CN_OK)
        st = show(argv[3], argv + 4, argc - 4, &err);
    if (err.text[0])
        fprintf(stderr, "study: %s\n", err.text);
    return st == CN_OK ? 0 : 1;
}
