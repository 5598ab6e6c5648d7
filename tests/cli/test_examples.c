/* Examples of the manuals about models, pictures and texts. */
#include "examples.h"

EXAMPLES(info)
EXAMPLES(embed)
EXAMPLES(classify)
EXAMPLES(activations)
EXAMPLES(gradient)
EXAMPLES(see)
EXAMPLES(facet)
EXAMPLES(tokens)
EXAMPLES(pixels)
EXAMPLES(pull)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_NEW_FOLDER(examples_of_info_run),
        IN_A_NEW_FOLDER(examples_of_embed_run),
        IN_A_NEW_FOLDER(examples_of_classify_run),
        IN_A_NEW_FOLDER(examples_of_activations_run),
        IN_A_NEW_FOLDER(examples_of_gradient_run),
        IN_A_NEW_FOLDER(examples_of_see_run),
        IN_A_NEW_FOLDER(examples_of_facet_run),
        IN_A_NEW_FOLDER(examples_of_tokens_run),
        IN_A_NEW_FOLDER(examples_of_pixels_run),
        IN_A_NEW_FOLDER(examples_of_pull_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
