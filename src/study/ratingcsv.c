/* study/ratingcsv.c -- answers as CSV: a template to fill in, and files read back. */
#include "study/ratings.h"

#include "base/memory.h"
#include "file/filemap.h"
#include "file/output.h"
#include "study/csv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct answer {
    size_t picture, rater, category;
} answer;

typedef struct import {
    const char *file, *unit;
    csv c;
    int image, path, category, rater; /* columns, or -1 */
    cn_rating_picture *pictures;
    size_t n_pictures;
    rating_names categories, raters;
    bool open;    /* the unit has no categories yet: the file's are taken */
    size_t *seen; /* (CN_MAX_RATERS, n_pictures) line of the answer, 0: none */
    answer *answers;
    size_t n, room;
    int64_t empty;
} import;

static cn_status read_header(import *m, const char *rater, cn_error *err)
{
    cn_status st = CN_OK;
    bool more;
    CN_TRY(csv_row(&m->c, &more, err));
    m->image = csv_find(&m->c, "image");
    m->path = csv_find(&m->c, "path");
    m->category = csv_find(&m->c, "category");
    m->rater = rater ? -1 : csv_find(&m->c, "rater");
    CN_CHECK(more && m->category >= 0, CN_EFORMAT, "%s: line 1: no column \"category\"", m->file);
    CN_CHECK(m->image >= 0 || m->path >= 0, CN_EFORMAT, "%s: line 1: no column \"image\" or \"path\"", m->file);
    CN_CHECK(rater || m->rater >= 0, CN_EFORMAT, "%s: line 1: no column \"rater\", and no rater was named", m->file);
done:
    return st;
}

static cn_status find_picture(import *m, size_t *out, cn_error *err)
{
    cn_status st = CN_OK;
    const char *number = csv_field(&m->c, m->image), *path = csv_field(&m->c, m->path);
    char *end = NULL;
    size_t i = 0;
    errno = 0;
    const long long image = *number ? strtoll(number, &end, 10) : -1;
    CN_CHECK(!*number || (end != number && !*end && errno == 0), CN_EFORMAT, "%s: line %zu: \"%s\" is no number of an image", m->file,
             m->c.line, number);
    CN_CHECK(*number || *path, CN_EFORMAT, "%s: line %zu: names no picture", m->file, m->c.line);
    while (i < m->n_pictures && (*number ? m->pictures[i].image != image : strcmp(m->pictures[i].path, path) != 0))
        i++;
    CN_CHECK(i < m->n_pictures, CN_EINVAL, "%s: line %zu: image %s is none of the %zu pictures of %s that are rated", m->file, m->c.line,
             *number ? number : path, m->n_pictures, m->unit);
    CN_CHECK(!*number || !*path || strcmp(m->pictures[i].path, path) == 0, CN_EINVAL,
             "%s: line %zu: image %s of this study is %s, not %s: the file is of another study", m->file, m->c.line, number,
             m->pictures[i].path, path);
    *out = i;
done:
    return st;
}

/* Adds a name that is new to a list. */
static cn_status intern(import *m, rating_names *names, size_t most, const char *what, const char *name, size_t *out, cn_error *err)
{
    cn_status st = CN_OK;
    char where[512];
    int i = rating_find(names, name);
    if (i < 0) {
        snprintf(where, sizeof where, "%s: line %zu", m->file, m->c.line);
        CN_TRY(rating_check_name(where, what, name, CN_EFORMAT, err));
        CN_CHECK(names->n < most, CN_ELIMIT, "%s: more than %zu names of a %s", where, most, what);
        rating_add(names, name);
        i = (int)names->n - 1;
    }
    *out = (size_t)i;
done:
    return st;
}

/* Blanks around a field do not count. */
static const char *trimmed(char *text)
{
    size_t n = strlen(text);
    while (n > 0 && (text[n - 1] == ' ' || text[n - 1] == '\t'))
        text[--n] = '\0';
    return text + strspn(text, " \t");
}

static cn_status read_row(import *m, const char *rater, cn_error *err)
{
    cn_status st = CN_OK;
    answer a;
    char list[1280];
    CN_TRY(find_picture(m, &a.picture, err));
    const char *category = m->category < (int)m->c.fields ? trimmed(m->c.field[m->category]) : "";
    if (!*category) {
        m->empty++;
        goto done;
    }
    CN_TRY(intern(m, &m->raters, CN_MAX_RATERS, "rater",
                  rater                         ? rater
                  : m->rater < (int)m->c.fields ? trimmed(m->c.field[m->rater])
                                                : "",
                  &a.rater, err));
    CN_CHECK(m->open || rating_find(&m->categories, category) >= 0, CN_EINVAL, "%s: line %zu: \"%s\" is no category of %s, which has: %s",
             m->file, m->c.line, category, m->unit, rating_list(&m->categories, list, sizeof list));
    CN_TRY(intern(m, &m->categories, CN_MAX_CATEGORIES, "category", category, &a.category, err));
    size_t *line = &m->seen[a.rater * m->n_pictures + a.picture];
    CN_CHECK(!*line, CN_EINVAL, "%s: line %zu: image %" PRId64 " of %s is on line %zu already", m->file, m->c.line,
             m->pictures[a.picture].image, m->raters.name[a.rater], *line);
    *line = m->c.line;
    if (m->n == m->room) {
        const size_t room = m->room ? 2 * m->room : 64;
        answer *grown = cn_reallocarray(m->answers, room, sizeof *grown);
        CN_CHECK(grown, CN_ENOMEM, "%s: out of memory for answers", m->file);
        m->answers = grown;
        m->room = room;
    }
    m->answers[m->n++] = a;
done:
    return st;
}

static cn_status write_answers(const import *m, cn_study *s, cn_unit_ref ref, cn_rating_import *result, cn_error *err)
{
    cn_status st = CN_OK;
    rating_writer w = {0};
    CN_TRY(rating_begin(&w, s, ref, err));
    if (m->open)
        CN_TRY(rating_set_categories(&w, &m->categories, err));
    for (size_t i = 0; i < m->n; i++) {
        const answer *a = &m->answers[i];
        rating_change change;
        CN_TRY(rating_keep(&w, m->pictures[a->picture].image, m->raters.name[a->rater], m->categories.name[a->category], &change, err));
        result->added += change == RATING_ADDED;
        result->changed += change == RATING_CHANGED;
        result->same += change == RATING_SAME;
    }
    CN_TRY(rating_commit(&w, err));
done:
    rating_end(&w);
    return st;
}

cn_status cn_study_read_ratings(cn_study *s, cn_unit_ref ref, const char *rater, const char *file, cn_rating_import *result, cn_error *err)
{
    cn_status st = CN_OK;
    filemap map = {0};
    import *m = NULL;
    char unit[256];
    bool more;
    cn_rating_import done_so_far = {0};
    CN_TRY(reader_check_unit(s, ref, err));
    if (rater)
        CN_TRY(rating_check_name(s->path, "rater", rater, CN_EINVAL, err));
    m = cn_calloc(1, sizeof *m);
    CN_CHECK(m, CN_ENOMEM, "out of memory for answers");
    m->file = file;
    m->unit = rating_unit(s, ref, unit, sizeof unit);
    CN_TRY(filemap_open(&map, file, err));
    CN_CHECK(map.size <= CN_MAX_STUDY_LIST, CN_ELIMIT, "%s: has %zu bytes, the limit is %zu", file, map.size, CN_MAX_STUDY_LIST);
    CN_TRY(rating_pictures(s, ref, NULL, false, &m->pictures, &m->n_pictures, err));
    m->seen = cn_calloc(CN_MAX_RATERS * (m->n_pictures + 1), sizeof *m->seen);
    CN_CHECK(m->seen, CN_ENOMEM, "out of memory for answers");
    CN_TRY(rating_categories(s, ref, &m->categories, err));
    m->open = m->categories.n == 0;
    csv_init(&m->c, (const char *)map.data, map.size, file);
    CN_TRY(read_header(m, rater, err));
    for (;;) {
        CN_TRY(csv_row(&m->c, &more, err));
        if (!more)
            break;
        CN_TRY(read_row(m, rater, err));
    }
    CN_CHECK(m->n > 0, CN_EINVAL, "%s: no row has a category", file);
    done_so_far.empty = m->empty;
    CN_TRY(write_answers(m, s, ref, &done_so_far, err));
    if (result)
        *result = done_so_far;
done:
    if (m) {
        csv_free(&m->c);
        cn_free(m->pictures);
        cn_free(m->seen);
        cn_free(m->answers);
        cn_free(m);
    }
    filemap_close(&map);
    return st;
}

/* One field, quoted as RFC 4180 has it when it must be. */
static cn_status write_field(output *out, const char *text, cn_error *err)
{
    cn_status st = CN_OK;
    if (!strpbrk(text, ",\"\r\n"))
        return output_text(out, text, err);
    CN_TRY(output_text(out, "\"", err));
    for (const char *c = text; *c; c++) {
        if (*c == '"')
            CN_TRY(output_text(out, "\"", err));
        CN_TRY(output_write(out, c, 1, err));
    }
    CN_TRY(output_text(out, "\"", err));
done:
    return st;
}

cn_status cn_study_write_rating_template(cn_study *s, cn_unit_ref ref, const char *rater, const char *file, cn_error *err)
{
    cn_status st = CN_OK;
    cn_rating_picture *pictures = NULL;
    size_t n = 0;
    output *out = NULL;
    CN_TRY(rating_check_name(s->path, "rater", rater, CN_EINVAL, err));
    CN_TRY(rating_pictures(s, ref, rater, false, &pictures, &n, err));
    CN_TRY(output_open(&out, file, err));
    CN_TRY(output_text(out, "image,path,category\n", err));
    for (size_t i = 0; i < n; i++) {
        CN_TRY(output_printf(out, err, "%" PRId64 ",", pictures[i].image));
        CN_TRY(write_field(out, pictures[i].path, err));
        CN_TRY(output_text(out, ",\n", err));
    }
    output *complete = out;
    out = NULL;
    CN_TRY(output_commit(complete, err));
done:
    output_discard(out);
    cn_free(pictures);
    return st;
}
