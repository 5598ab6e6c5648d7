/* cli/help.c -- manual pages from the option tables, in 80 columns. */
#include "options.h"
#include "report.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COLUMNS = 80, INDENT = 4, OPTION_TEXT_COLUMN = 26 };

static void heading(FILE *out, const char *text)
{
    bool bold = isatty(fileno(out)) && !getenv("NO_COLOR");
    fprintf(out, bold ? "\033[1m%s\033[0m\n" : "%s\n", text);
}

/* Fills lines from `column` on; the cursor already stands there. Keeps lines that start with a blank. */
static void wrap(FILE *out, const char *text, int column)
{
    int at = column;
    const char *p = text;
    while (*p) {
        if (*p == '\n') {
            bool paragraph = p[1] == '\n';
            p += paragraph ? 2 : 1;
            if (paragraph || *p == ' ') {
                fprintf(out, paragraph ? "\n\n%*s" : "\n%*s", column, "");
                at = column;
                if (*p == ' ') { /* as it is, to the end of the line */
                    size_t length = strcspn(p, "\n");
                    fprintf(out, "%.*s", (int)length, p);
                    at = COLUMNS;
                    p += length;
                }
            }
            continue;
        }
        if (*p == ' ') {
            p++;
            continue;
        }
        int length = (int)strcspn(p, " \n");
        if (at > column && at + 1 + length > COLUMNS) {
            fprintf(out, "\n%*s", column, "");
            at = column;
        }
        at += fprintf(out, "%s%.*s", at > column ? " " : "", length, p);
        p += length;
    }
    fputc('\n', out);
}

static void print_option(FILE *out, char letter, const char *name, const char *value, const char *help)
{
    int at = letter ? fprintf(out, "%*s-%c, --%s", INDENT, "", letter, name)
                    : fprintf(out, "%*s--%s", INDENT, "", name);
    if (value)
        at += fprintf(out, " %s", value);
    if (at + 2 > OPTION_TEXT_COLUMN) {
        fputc('\n', out);
        at = 0;
    }
    fprintf(out, "%*s", OPTION_TEXT_COLUMN - at, "");
    wrap(out, help, OPTION_TEXT_COLUMN);
}

void help_command(const struct command *c, FILE *out)
{
    heading(out, "NAME");
    fprintf(out, "%*sclipneuron %s - %s\n\n", INDENT, "", c->name, c->summary);
    heading(out, "SYNOPSIS");
    for (const char *line = c->synopsis; *line;) {
        int length = (int)strcspn(line, "\n");
        fprintf(out, "%*sclipneuron %.*s\n", INDENT, "", length, line);
        line += length + (line[length] == '\n');
    }
    fputc('\n', out);
    heading(out, "DESCRIPTION");
    fprintf(out, "%*s", INDENT, "");
    wrap(out, c->description, INDENT);
    fputc('\n', out);
    heading(out, "OPTIONS");
    for (size_t i = 0; i < c->n_options; i++)
        print_option(out, c->options[i].letter, c->options[i].name, c->options[i].value, c->options[i].help);
    print_option(out, 'h', "help", NULL, "Print this page.");
    bool network = false;
    for (size_t i = 0; i < c->n_options; i++)
        network |= strcmp(c->options[i].name, "dtype") == 0;
    if (!network) {
        fprintf(out, "\n%*s", INDENT, "");
        wrap(out,
             "--threads, --dtype and --batch are taken by every command; those not listed here change "
             "nothing.",
             INDENT);
    }
    fputc('\n', out);
    heading(out, "EXAMPLES");
    for (const char *line = c->examples; *line;) {
        int length = (int)strcspn(line, "\n");
        fprintf(out, "%*s%.*s\n", length ? INDENT : 0, "", length, line);
        line += length + (line[length] == '\n');
    }
    fputc('\n', out);
    heading(out, "EXIT STATUS");
    fprintf(out, "%*s0    done\n", INDENT, "");
    fprintf(out, "%*s1    a file, the model, the network or memory failed; one line on stderr says why\n",
            INDENT, "");
    fprintf(out, "%*s2    the command line is wrong\n", INDENT, "");
    fprintf(out, "%*s130  interrupted by Ctrl-C; unfinished output is removed\n", INDENT, "");
    if (c->exit_status)
        fprintf(out, "%*s%s\n", INDENT, "", c->exit_status);
}
