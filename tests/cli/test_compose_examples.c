/* Examples of the manuals about units in combination. */
#include "examples.h"

EXAMPLES(multimodal)
EXAMPLES(probe)
EXAMPLES(attribute)
EXAMPLES(intervene)
EXAMPLES(direction)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_NEW_FOLDER(examples_of_multimodal_run),
        IN_A_NEW_FOLDER(examples_of_probe_run),
        IN_A_NEW_FOLDER(examples_of_attribute_run),
        IN_A_NEW_FOLDER(examples_of_intervene_run),
        IN_A_NEW_FOLDER(examples_of_direction_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
