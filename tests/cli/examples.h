/* tests/cli/examples.h -- runs the examples of a command's manual: lines "$ COMMAND" under EXAMPLES, in order, in a folder that has cat.png, rocket.jpg,
 * photos/ and shards/. Lines with "%" need the network and are left out. */
#ifndef TESTS_CLI_EXAMPLES_H
#define TESTS_CLI_EXAMPLES_H

#include "shell.h"

static inline void run_examples(const char *command)
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

#endif
