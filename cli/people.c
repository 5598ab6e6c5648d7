/* cli/people.c -- one warning for all names of a command's output. */
#include "people.h"
#include "report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void people_begin(struct people *p, cn_study *study)
{
    *p = (struct people){.study = study};
}

void people_note(struct people *p, const char *name)
{
    if (!cn_concept_people(name))
        return;
    for (size_t i = 0; i < p->count; i++)
        if (strcasecmp(p->names[i], name) == 0)
            return;
    p->names = need(realloc(p->names, (p->count + 1) * sizeof *p->names));
    p->names[p->count++] = name;
}

/* NaN where it is not known. */
static double base_rate(const struct people *p, const char *name)
{
    double share = p->rate ? p->rate(p->user, name) : (double)NAN;
    if (p->study && cn_study_base_rate(p->study, name, &share, NULL) != CN_OK)
        share = (double)NAN;
    return share;
}

static void write_to(FILE *out, struct people *p)
{
    for (size_t i = 0; i < p->count && i < PEOPLE_NAMED; i++) {
        const double share = base_rate(p, p->names[i]);
        fputs(i ? ", " : "warning: ", out);
        print_safely(out, p->names[i]);
        fprintf(out, " (%s", cn_concept_people(p->names[i]));
        if (share > 0)
            fprintf(out, ", %.2g%% of the pictures", 100 * share);
        else if (share == 0)
            fputs(", label of no picture", out);
        fputc(')', out);
    }
    if (p->count > PEOPLE_NAMED)
        fprintf(out, " and %zu more", p->count - PEOPLE_NAMED);
    if (p->count)
        fprintf(out, " %s %s\n", p->count > 1 ? "are" : "is", cn_family_warning(cn_concept_people(p->names[0])));
    free(p->names);
}

void people_print(struct people *p)
{
    if (p->count)
        putchar('\n');
    write_to(stdout, p);
}

void people_tell(struct people *p)
{
    write_to(stderr, p);
}

void people_json(struct people *p, struct json *j)
{
    json_open(j, "warnings", '[');
    for (size_t i = 0; i < p->count; i++) {
        const char *family = cn_concept_people(p->names[i]);
        j->flat = j->depth + 1;
        json_open(j, NULL, '{');
        json_text(j, "name", p->names[i]);
        json_text(j, "family", family);
        json_real(j, "base_rate", base_rate(p, p->names[i]));
        json_text(j, "warning", cn_family_warning(family));
        json_close(j, '}');
    }
    json_close(j, ']');
    free(p->names);
}
