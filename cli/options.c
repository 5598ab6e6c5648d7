/* cli/options.c -- the parser behind every command's option table. No abbreviations, no clusters. */
#include "options.h"
#include "commands.h"
#include "models.h"
#include "report.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void words_add(struct words *words, const char *item)
{
    if ((words->count & (words->count - 1)) == 0) { /* grows at powers of two */
        size_t room = words->count ? words->count * 2 : 1;
        words->items = need(realloc(words->items, room * sizeof *words->items));
    }
    words->items[words->count++] = item;
}

void words_free(struct words *words)
{
    free(words->items);
    memset(words, 0, sizeof *words);
}

/* Scripts may hand these to every command; where a command's own table lacks them they are checked and change
 * nothing. */
struct everywhere {
    struct run_arguments run;
};
static const struct option everywhere[] = {RUN_OPTIONS(struct everywhere, run)};

/* "-x..." or "--name" or "--name=..." */
static bool looks_like_option(const char *arg)
{
    if (arg[0] != '-')
        return false;
    if (arg[1] != '-')
        return isalpha((unsigned char)arg[1]) && !strchr(arg, ' ');
    size_t length = strcspn(arg + 2, "=");
    if (length == 0 || !isalpha((unsigned char)arg[2]))
        return false;
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)arg[2 + i]) && arg[2 + i] != '-' && arg[2 + i] != '_')
            return false;
    return true;
}

/* By name, or by letter when name is NULL. */
static const struct option *find_in(const struct option *options, size_t n, const char *name, size_t length,
                                    char letter)
{
    for (size_t i = 0; i < n; i++)
        if (name ? strlen(options[i].name) == length && memcmp(options[i].name, name, length) == 0
                 : options[i].letter == letter)
            return &options[i];
    return NULL;
}

static const struct option *find_long(const struct command *c, const char *name, size_t length)
{
    const struct option *own = find_in(c->options, c->n_options, name, length, 0);
    return own ? own : find_in(everywhere, CN_COUNT(everywhere), name, length, 0);
}

static const struct option *find_short(const struct command *c, char letter)
{
    const struct option *own = find_in(c->options, c->n_options, NULL, 0, letter);
    return own ? own : find_in(everywhere, CN_COUNT(everywhere), NULL, 0, letter);
}

static bool is_everywhere(const struct option *o)
{
    return o >= everywhere && o < everywhere + CN_COUNT(everywhere);
}

static bool is_known_option(const struct command *c, const char *arg)
{
    if (!looks_like_option(arg))
        return false;
    if (arg[1] == '-')
        return find_long(c, arg + 2, strcspn(arg + 2, "=")) != NULL;
    return arg[2] == '\0' && find_short(c, arg[1]) != NULL;
}

static parse_result unknown_option(const struct command *c, const char *arg)
{
    if (arg[1] != '-') {
        fail_usage(c->name, "unknown option -%c; 'clipneuron help %s' lists the options", arg[1], c->name);
        return PARSE_ERROR;
    }
    const char **names = need(calloc(c->n_options + 1, sizeof *names));
    for (size_t i = 0; i < c->n_options; i++)
        names[i] = c->options[i].name;
    names[c->n_options] = "help";
    char *word = need_format("%.*s", (int)strcspn(arg + 2, "="), arg + 2);
    const char *near = nearest(word, names, c->n_options + 1);
    if (near)
        fail_usage(c->name, "unknown option --%s; did you mean --%s?", word, near);
    else
        fail_usage(c->name, "unknown option --%s; 'clipneuron help %s' lists the options", word, c->name);
    free(word);
    free(names);
    return PARSE_ERROR;
}

static parse_result store_count(const struct command *c, const struct option *o, int64_t *target,
                                const char *value)
{
    char *end = NULL;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    if (value[0] == '\0' || isspace((unsigned char)value[0]) || *end) {
        fail_usage(c->name, "--%s needs a whole number, not '%s'", o->name, value);
        return PARSE_ERROR;
    }
    if (errno || number < o->min || number > o->max) {
        if (o->max == INT64_MAX)
            fail_usage(c->name, "--%s must be at least %lld, not %s", o->name, (long long)o->min, value);
        else
            fail_usage(c->name, "--%s must be from %lld to %lld, not %s", o->name, (long long)o->min,
                       (long long)o->max, value);
        return PARSE_ERROR;
    }
    *target = number;
    return PARSE_OK;
}

static parse_result store_choice(const struct command *c, const struct option *o, int *target,
                                 const char *value)
{
    char list[256] = "";
    for (int i = 0; o->choices[i]; i++) {
        if (strcmp(o->choices[i], value) == 0) {
            *target = i;
            return PARSE_OK;
        }
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s",
                 i == 0              ? ""
                 : o->choices[i + 1] ? ", "
                                     : " or ",
                 o->choices[i]);
    }
    fail_usage(c->name, "--%s must be %s, not '%s'", o->name, list, value);
    return PARSE_ERROR;
}

static parse_result store(const struct command *c, const struct option *o, void *arguments, const char *value)
{
    void *target = (char *)arguments + o->offset;
    switch (o->kind) {
    case OPTION_FLAG: *(bool *)target = true; return PARSE_OK;
    case OPTION_TEXT: *(const char **)target = value; return PARSE_OK;
    case OPTION_COUNT: return store_count(c, o, target, value);
    case OPTION_CHOICE: return store_choice(c, o, target, value);
    case OPTION_WORDS:
    case OPTION_GREEDY: words_add(target, value); return PARSE_OK;
    }
    return PARSE_ERROR;
}

parse_result options_parse(const struct command *c, int argc, char **argv, void *arguments)
{
    struct words *operands = c->operand ? (struct words *)((char *)arguments + c->operands_offset) : NULL;
    struct words *greedy = NULL; /* where words go now */
    struct everywhere unused;
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        if (strcmp(arg, "--") == 0) {
            struct words *rest = greedy ? greedy : operands;
            for (i++; i < argc; i++) {
                if (!rest) {
                    fail_usage(c->name, "unexpected argument '%s'", argv[i]);
                    return PARSE_ERROR;
                }
                words_add(rest, argv[i]);
                rest->literal = true;
            }
            break;
        }
        if (!looks_like_option(arg)) {
            struct words *list = greedy ? greedy : operands;
            if (!list) {
                fail_usage(c->name, "unexpected argument '%s'", arg);
                return PARSE_ERROR;
            }
            words_add(list, arg);
            continue;
        }
        if (strcmp(arg, "--help") == 0 || (strcmp(arg, "-h") == 0 && !find_short(c, 'h'))) {
            help_command(c, stdout);
            return PARSE_HELP;
        }
        bool is_long = arg[1] == '-';
        size_t length = is_long ? strcspn(arg + 2, "=") : 1;
        const struct option *o = is_long ? find_long(c, arg + 2, length) : find_short(c, arg[1]);
        if (!o)
            return unknown_option(c, arg);
        const char *value =
            is_long ? (arg[2 + length] ? arg + 2 + length + 1 : NULL) : (arg[2] ? arg + 2 : NULL);
        greedy = NULL;
        if (o->kind == OPTION_FLAG) {
            if (value) {
                fail_usage(c->name,
                           is_long ? "--%s takes no value" : "--%s takes no value; write options apart",
                           o->name);
                return PARSE_ERROR;
            }
        } else if (!value) {
            if (o->kind == OPTION_GREEDY) {
                greedy = (struct words *)((char *)arguments + o->offset);
                if (i + 1 == argc || is_known_option(c, argv[i + 1])) {
                    fail_usage(c->name, "--%s needs at least one %.*s", o->name, (int)strcspn(o->value, "."),
                               o->value);
                    return PARSE_ERROR;
                }
                continue;
            }
            if (i + 1 == argc || is_known_option(c, argv[i + 1])) {
                fail_usage(c->name, "--%s needs a value (%s)", o->name, o->value);
                return PARSE_ERROR;
            }
            value = argv[++i];
        }
        parse_result result = store(c, o, is_everywhere(o) ? (void *)&unused : arguments, value);
        if (result != PARSE_OK)
            return result;
    }
    return PARSE_OK;
}

void options_free(const struct command *c, void *arguments)
{
    for (size_t i = 0; i < c->n_options; i++)
        if (c->options[i].kind == OPTION_WORDS || c->options[i].kind == OPTION_GREEDY)
            words_free((struct words *)((char *)arguments + c->options[i].offset));
    if (c->operand)
        words_free((struct words *)((char *)arguments + c->operands_offset));
}

int options_begin(const struct command *c, int argc, char **argv, void *arguments)
{
    switch (options_parse(c, argc, argv, arguments)) {
    case PARSE_OK: return -1;
    case PARSE_HELP: options_free(c, arguments); return EXIT_DONE;
    case PARSE_ERROR: break;
    }
    options_free(c, arguments);
    return EXIT_USAGE;
}

int options_template(const char *command, const char *text)
{
    const char *hole = strstr(text, "{}");
    if (!hole || strstr(hole + 2, "{}"))
        return fail_usage(command, "a template has one {} where the word goes, not '%s'", text);
    return EXIT_DONE;
}

int options_number(const char *command, const char *name, const char *text, double least, double most, float *out)
{
    char *end = NULL;
    if (!text)
        return EXIT_DONE;
    const double x = strtod(text, &end);
    if (end == text || *end || !(x >= least && x <= most))
        return fail_usage(command, "--%s is a number from %g to %g, not '%s'", name, least, most, text);
    *out = (float)x;
    return EXIT_DONE;
}
