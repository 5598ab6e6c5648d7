/* cli/unittable.c -- the table of interesting units. */
#include "unittable.h"
#include "report.h"

#include <string.h>

static void cell(FILE *out, const char *text, size_t width)
{
    size_t used = printed_width(text);
    print_safely(out, text);
    fprintf(out, "%*s", used < width ? (int)(width - used) : 0, "");
}

static size_t widest(const cn_unit_row *rows, size_t n, bool words)
{
    size_t width = 5;
    for (size_t i = 0; i < n; i++) {
        size_t w = printed_width(words ? rows[i].word : rows[i].label);
        width = w > width ? w : width;
    }
    return width;
}

void unit_table_print(const cn_study *study, const cn_unit_row *rows, size_t n, FILE *out)
{
    size_t label_width = widest(rows, n, false), word_width = widest(rows, n, true);
    (void)study;
    fprintf(out, " unit  %-*s  purity  peak sd  active  %-*s  corr   media\n", (int)label_width, "label",
            (int)word_width, "word");
    for (size_t i = 0; i < n; i++) {
        const cn_unit_row *r = &rows[i];
        char hits[32] = "";
        fprintf(out, "%5lld  ", (long long)r->ref.unit);
        cell(out, r->label, label_width);
        if (r->label[0])
            snprintf(hits, sizeof hits, "%.0f%%", 100 * r->purity);
        fprintf(out, "  %6s  %7.1f  %5.0f%%  ", hits, r->peak_sd, 100 * r->share_positive);
        cell(out, r->word, word_width);
        if (r->word[0])
            fprintf(out, "  %5.2f", r->word_score);
        else
            fprintf(out, "  %5s", "");
        fputs(r->media[0] ? "  " : "", out);
        print_safely(out, r->media);
        fputc('\n', out);
    }
}

void unit_table_json(struct json *j, const char *key, const cn_study *study, const cn_unit_row *rows,
                     size_t n)
{
    json_open(j, key, '[');
    for (size_t i = 0; i < n; i++) {
        const cn_unit_row *r = &rows[i];
        j->flat = j->depth + 1;
        json_open(j, NULL, '{');
        json_text(j, "site", cn_study_site_at(study, r->ref.site)->name);
        json_int(j, "unit", r->ref.unit);
        json_text(j, "label", r->label);
        json_real(j, "purity", r->purity);
        json_int(j, "label_hits", r->label_hits);
        json_int(j, "label_images", r->label_images);
        json_real(j, "label_z", r->label_z);
        json_text(j, "media", r->media);
        json_text(j, "word", r->word);
        json_real(j, "word_score", r->word_score);
        json_real(j, "mean", r->mean);
        json_real(j, "sd", r->sd);
        json_real(j, "rms", r->rms);
        json_real(j, "min", r->min);
        json_real(j, "max", r->max);
        json_real(j, "peak_sd", r->peak_sd);
        json_real(j, "share_positive", r->share_positive);
        json_real(j, "kurtosis", r->kurtosis);
        json_real(j, "score", r->score);
        json_close(j, '}');
    }
    json_close(j, ']');
}
