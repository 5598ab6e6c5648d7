/* Runs the examples of every manual: lines "$ COMMAND" under EXAMPLES, in order, in a folder that has
 * cat.png, rocket.jpg, photos/ and shards/. Lines with "%" need the network and are left out. */
#include "shell.h"

static void run_examples(const char *command)
{
    static char page[sizeof shell_out];
    assert_int_equal(shell("clipneuron help %s", command), 0);
    strcpy(page, shell_out);
    char *at = strstr(page, "EXAMPLES\n");
    assert_non_null(at);
    *strstr(at, "EXIT STATUS") = '\0';
    int run = 0;
    for (char *line = strtok(at, "\n"); line; line = strtok(NULL, "\n")) {
        line += strspn(line, " ");
        if (strncmp(line, "$ ", 2) != 0)
            continue;
        int code = shell("%s", line + 2);
        if (code != 0)
            fail_msg("exit %d: %s\n%s", code, line + 2, shell_err);
        run++;
        char *output = strstr(line, " -o ");
        char name[64];
        if (output && sscanf(output, " -o %63s", name) == 1 && strcmp(name, "-") != 0)
            assert_true(shell_exists(name));
    }
    assert_true(run > 0);
}

#define EXAMPLES(command)                                 \
    static void examples_of_##command##_run(void **state) \
    {                                                     \
        (void)state;                                      \
        run_examples(#command);                           \
    }
EXAMPLES(info)
EXAMPLES(embed)
EXAMPLES(classify)
EXAMPLES(activations)
EXAMPLES(gradient)
EXAMPLES(see)
EXAMPLES(facet)
EXAMPLES(scan)
EXAMPLES(card)
EXAMPLES(stats)
EXAMPLES(units)
EXAMPLES(top)
EXAMPLES(buckets)
EXAMPLES(images)
EXAMPLES(compare)
EXAMPLES(export)
EXAMPLES(find)
EXAMPLES(name)
EXAMPLES(label)
EXAMPLES(attribute)
EXAMPLES(intervene)
EXAMPLES(direction)
EXAMPLES(multimodal)
EXAMPLES(probe)
EXAMPLES(explain)
EXAMPLES(codes)
EXAMPLES(atlas)
EXAMPLES(words)
EXAMPLES(regions)
EXAMPLES(attack)
EXAMPLES(stroop)
EXAMPLES(tokens)
EXAMPLES(pixels)
EXAMPLES(pull)


int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_NEW_FOLDER(examples_of_info_run),     IN_A_NEW_FOLDER(examples_of_embed_run),
        IN_A_NEW_FOLDER(examples_of_classify_run), IN_A_NEW_FOLDER(examples_of_activations_run),
        IN_A_NEW_FOLDER(examples_of_gradient_run),
        IN_A_NEW_FOLDER(examples_of_see_run),      IN_A_NEW_FOLDER(examples_of_facet_run),
        IN_A_NEW_FOLDER(examples_of_scan_run),     IN_A_NEW_FOLDER(examples_of_card_run),
        IN_A_NEW_FOLDER(examples_of_stats_run),    IN_A_NEW_FOLDER(examples_of_units_run),
        IN_A_NEW_FOLDER(examples_of_top_run),      IN_A_NEW_FOLDER(examples_of_buckets_run),
        IN_A_NEW_FOLDER(examples_of_images_run),   IN_A_NEW_FOLDER(examples_of_compare_run),
        IN_A_NEW_FOLDER(examples_of_export_run),
        IN_A_NEW_FOLDER(examples_of_attack_run),   IN_A_NEW_FOLDER(examples_of_stroop_run),
        IN_A_NEW_FOLDER(examples_of_find_run),     IN_A_NEW_FOLDER(examples_of_name_run),
        IN_A_NEW_FOLDER(examples_of_multimodal_run),
        IN_A_NEW_FOLDER(examples_of_probe_run),
        IN_A_NEW_FOLDER(examples_of_tokens_run),   IN_A_NEW_FOLDER(examples_of_pixels_run),
        IN_A_NEW_FOLDER(examples_of_attribute_run), IN_A_NEW_FOLDER(examples_of_intervene_run),
        IN_A_NEW_FOLDER(examples_of_direction_run),
        IN_A_NEW_FOLDER(examples_of_label_run),    IN_A_NEW_FOLDER(examples_of_pull_run),
        IN_A_NEW_FOLDER(examples_of_explain_run),  IN_A_NEW_FOLDER(examples_of_codes_run),
        IN_A_NEW_FOLDER(examples_of_atlas_run),    IN_A_NEW_FOLDER(examples_of_words_run),
        IN_A_NEW_FOLDER(examples_of_regions_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
