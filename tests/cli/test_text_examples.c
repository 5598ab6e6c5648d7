/* Examples of the manuals about texts as units and words as pictures. */
#include "examples.h"

EXAMPLES(explain)
EXAMPLES(codes)
EXAMPLES(atlas)
EXAMPLES(words)
EXAMPLES(regions)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_NEW_FOLDER(examples_of_explain_run),
        IN_A_NEW_FOLDER(examples_of_codes_run),
        IN_A_NEW_FOLDER(examples_of_atlas_run),
        IN_A_NEW_FOLDER(examples_of_words_run),
        IN_A_NEW_FOLDER(examples_of_regions_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
