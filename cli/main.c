/* cli/main.c -- picks the command. Everything else is in cmd_*.c. */
#include "commands.h"
#include "interrupt.h"
#include "report.h"

#include <clipneuron/clipneuron.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct command *const commands[] = {
    &command_info, &command_embed, &command_classify, &command_activations, &command_gradient,
    &command_see, &command_facet,
    &command_scan, &command_merge, &command_card,
    &command_stats, &command_units, &command_top, &command_buckets, &command_images, &command_compare, &command_export,
    &command_find, &command_name, &command_label,
    &command_attribute, &command_intervene, &command_direction,
    &command_multimodal,
    &command_probe,
    &command_attack, &command_stroop,
    &command_explain, &command_codes, &command_atlas, &command_words, &command_regions,
    &command_tokens, &command_pixels, &command_pull,
};

static void overview(FILE *out)
{
    fputs("clipneuron - a microscope for the multimodal neurons of CLIP\n\n"
          "usage: clipneuron COMMAND [OPTION...] [ARGUMENT...]\n\ncommands:\n",
          out);
    for (size_t i = 0; i < CN_COUNT(commands); i++)
        fprintf(out, "  %-12s %s\n", commands[i]->name, commands[i]->summary);
    fputs("  help         print the manual of a command\n\n"
          "options:\n  -h, --help   print this page\n  --version    print the version\n\n"
          "'clipneuron help COMMAND' has options and examples.\n",
          out);
}

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < CN_COUNT(commands); i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    return NULL;
}

static int unknown_command(const char *name)
{
    const char *names[CN_COUNT(commands) + 1];
    for (size_t i = 0; i < CN_COUNT(commands); i++)
        names[i] = commands[i]->name;
    names[CN_COUNT(commands)] = "help";
    const char *near = nearest(name, names, CN_COUNT(names));
    if (near)
        return fail_usage(NULL, "unknown command '%s'; did you mean '%s'?", name, near);
    return fail_usage(NULL, "unknown command '%s'; 'clipneuron help' lists the commands", name);
}

static int help(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        overview(stdout);
        return EXIT_DONE;
    }
    if (argc > 2)
        return fail_usage("help", "one command at a time");
    const struct command *command = find(argv[1]);
    if (!command)
        return unknown_command(argv[1]);
    help_command(command, stdout);
    return EXIT_DONE;
}

static int dispatch(int argc, char **argv)
{
    if (argc < 2) {
        overview(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
        return help(argc - 1, argv + 1);
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        printf("clipneuron %s\n", cn_version());
        return EXIT_DONE;
    }
    if (argv[1][0] == '-')
        return fail_usage(NULL, "unknown option '%s'; the command comes first, as in 'clipneuron info %s'",
                          argv[1], argv[1]);
    const struct command *command = find(argv[1]);
    if (!command)
        return unknown_command(argv[1]);
    return command->run(argc - 1, argv + 1);
}

/* OpenMP's threads, on which oneDNN computes, spin for milliseconds while they wait for each other.
 * That is the right thing on a machine of their own. Beside threads that decode pictures, or other
 * programs, it burns the very cores that the slowest thread is waiting for: a scan of small pictures on
 * two cores takes 7 to 18 s in place of 6. GCC's runtime reads its settings before main and has no call
 * for this one, so the program starts itself once more with a short wait, unless the user has chosen. */
static void wait_briefly(char **argv)
{
    if (getenv("GOMP_SPINCOUNT") || getenv("OMP_WAIT_POLICY"))
        return;
    if (setenv("GOMP_SPINCOUNT", "5000", 1) == 0)
        execv("/proc/self/exe", argv); /* where that fails, the program is slower, no more */
}

int main(int argc, char **argv)
{
    wait_briefly(argv);
    interrupt_install();
    return finish_stdout(dispatch(argc, argv));
}
