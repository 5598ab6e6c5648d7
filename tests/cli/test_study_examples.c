/* Examples of the manuals about studies. */
#include "examples.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_NEW_FOLDER(examples_of_scan_run),
        IN_A_NEW_FOLDER(examples_of_card_run),
        IN_A_NEW_FOLDER(examples_of_stats_run),
        IN_A_NEW_FOLDER(examples_of_units_run),
        IN_A_NEW_FOLDER(examples_of_top_run),
        IN_A_NEW_FOLDER(examples_of_buckets_run),
        IN_A_NEW_FOLDER(examples_of_images_run),
        IN_A_NEW_FOLDER(examples_of_compare_run),
        IN_A_NEW_FOLDER(examples_of_export_run),
        IN_A_NEW_FOLDER(examples_of_find_run),
        IN_A_NEW_FOLDER(examples_of_name_run),
        IN_A_NEW_FOLDER(examples_of_label_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
