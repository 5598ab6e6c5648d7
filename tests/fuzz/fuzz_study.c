/* fuzz target: rooms=study */
/* The corpus: a study of tests/study/fake.h's pictures, in pages of 512 bytes. Takes the input for the database of a study from a stranger, and reads all that cards and tables read. */
#include "clipneuron/attack.h"
#include "clipneuron/multimodal.h"
#include "clipneuron/probe.h"
#include "clipneuron/study.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_unit(cn_study *s, cn_unit_ref ref)
{
    cn_unit_row *row = NULL;
    cn_group *groups = NULL;
    cn_word *words = NULL;
    cn_visualisation *pictures = NULL;
    int64_t counts[16];
    size_t n;
    (void)!cn_study_unit(s, ref, &row, NULL);
    cn_unit_rows_free(row);
    for (int kind = CN_EXAMPLE_TOP; kind <= CN_EXAMPLE_BUCKET; kind++) {
        cn_example *examples = NULL;
        if (cn_study_examples(s, ref, (cn_example_kind)kind, &examples, &n, NULL) == CN_OK && n > 0 && (!examples || !examples[n - 1].path))
            abort();
        cn_examples_free(examples);
    }
    for (int kind = CN_GROUP_LABEL; kind <= CN_GROUP_LABEL_MEDIUM; kind++) {
        (void)!cn_study_groups(s, ref, (cn_group_kind)kind, &groups, &n, NULL);
        cn_groups_free(groups);
        groups = NULL;
    }
    (void)!cn_study_words(s, ref, &words, &n, NULL);
    cn_words_free(words);
    (void)!cn_study_visualisations(s, ref, &pictures, &n, NULL);
    cn_visualisations_free(pictures);
    cn_multimodal_fact *facts = NULL;
    cn_family_fact *family = NULL;
    cn_served_class *classes = NULL;
    cn_reader_fact *reader = NULL;
    double share;
    (void)!cn_study_multimodal_facts(s, ref, &facts, &n, NULL);
    cn_multimodal_facts_free(facts);
    (void)!cn_study_family_fact(s, ref, &family, NULL);
    cn_family_fact_free(family);
    (void)!cn_study_served_classes(s, ref, &classes, &n, NULL);
    cn_served_classes_free(classes);
    (void)!cn_study_reader_fact(s, ref, &reader, NULL);
    cn_reader_fact_free(reader);
    (void)!cn_study_base_rate(s, "red", &share, NULL);
    (void)!cn_study_histogram(s, ref, -5, 20, 16, counts, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char folder[64], file[96];
    cn_study *s = NULL;
    cn_error err = {0};
    snprintf(folder, sizeof folder, "/tmp/fuzz-study-%d", (int)getpid());
    snprintf(file, sizeof file, "%s/study.sqlite", folder);
    if (mkdir(folder, 0700) != 0 && access(folder, W_OK) != 0)
        abort();
    FILE *out = fopen(file, "wb");
    if (!out || fwrite(data, 1, size, out) != size || fclose(out) != 0)
        abort();
    if (cn_study_open(&s, folder, &err) == CN_OK) {
        cn_failure *failures = NULL;
        size_t n;
        for (size_t i = 0; i < cn_study_site_count(s); i++) {
            cn_unit_row *rows = NULL;
            if (cn_study_units(s, i, CN_ORDER_INTERESTING, 3, &rows, &n, NULL) == CN_OK)
                for (size_t k = 0; k < n; k++)
                    read_unit(s, rows[k].ref);
            cn_unit_rows_free(rows);
        }
        (void)!cn_study_failures(s, &failures, &n, NULL);
        cn_failures_free(failures);
    } else if (err.status == CN_OK || !err.text[0]) {
        abort();
    }
    cn_study_close(s);
    unlink(file);
    rmdir(folder);
    return 0;
}
