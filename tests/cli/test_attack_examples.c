/* Examples of the manuals about typographic attacks. */
#include "examples.h"

EXAMPLES(attack)
EXAMPLES(stroop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_NEW_FOLDER(examples_of_attack_run),
        IN_A_NEW_FOLDER(examples_of_stroop_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
