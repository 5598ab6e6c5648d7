/* compose/edits.c -- from "layer4:89=0" to what a runner does. Each text becomes one cn_site_edit with arrays of its own. */
#include "clipneuron/intervene.h"

#include "base/check.h"
#include "base/memory.h"
#include "clipneuron/array.h"
#include "file/sha256.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cn_edits {
    cn_site_edit *site; /* (n) */
    float **numbers;    /* (n): scale, shift, low, high, (units) each; owned */
    size_t n;
    char *text;
    size_t length;
};

/* What is read at the moment. */
typedef struct reader {
    cn_edits *edits;
    const cn_model *model;
    cn_study *means;
    const char *text; /* the whole edit, for messages */
    const cn_site *site;
    float *scale, *shift, *low, *high;
    bool *chosen; /* (units) */
    cn_error *err;
} reader;

void cn_edits_free(cn_edits *e)
{
    if (!e)
        return;
    for (size_t i = 0; e->numbers && i < e->n; i++)
        cn_free(e->numbers[i]);
    cn_free(e->numbers);
    cn_free(e->site);
    cn_free(e->text);
    cn_free(e);
}

static cn_status find_site(reader *r, size_t length)
{
    char name[CN_MAX_EDIT_TEXT + 1];
    memcpy(name, r->text, length);
    name[length] = '\0';
    return cn_model_find_site(r->model, name, &r->site, r->err);
}

/* The arrays, which do nothing so far. */
static cn_status make_numbers(reader *r)
{
    cn_status st = CN_OK;
    cn_error *err = r->err;
    cn_edits *e = r->edits;
    const size_t units = (size_t)r->site->units;
    float *v = cn_calloc(4 * units, sizeof *v);
    CN_CHECK(v, CN_ENOMEM, "out of memory for edits of %zu units", units);
    e->numbers[e->n] = v;
    r->scale = v, r->shift = v + units, r->low = v + 2 * units, r->high = v + 3 * units;
    for (size_t i = 0; i < units; i++) {
        r->scale[i] = 1;
        r->low[i] = -INFINITY;
        r->high[i] = INFINITY;
    }
    e->site[e->n++] = (cn_site_edit){.site = r->site, .scale = r->scale, .shift = r->shift, .low = r->low, .high = r->high};
done:
    return st;
}

static cn_status read_number(reader *r, const char *text, float *out)
{
    char *end;
    const double v = strtod(text, &end);
    if (end == text || *end || !isfinite(v) || fabs(v) > 1e30 || isspace((unsigned char)*text))
        return cn_fail(r->err, CN_EINVAL, "\"%.200s\": \"%.40s\" is no number", r->text, text);
    *out = (float)v;
    return CN_OK;
}

/* "3,5,10-12" or "*", up to what does not belong to it. */
static cn_status read_units(reader *r, const char **at)
{
    cn_status st = CN_OK;
    cn_error *err = r->err;
    const long long last_unit = (long long)r->site->units - 1;
    if (**at == '*' && (*at)[1] && !isdigit((unsigned char)(*at)[1]) && (*at)[1] != '.' && (*at)[1] != '-') { /* "**2" is all times two */
        for (int64_t u = 0; u < r->site->units; u++)
            r->chosen[u] = true;
        ++*at;
        goto done;
    }
    for (;;) {
        char *end;
        CN_CHECK(isdigit((unsigned char)**at), CN_EINVAL, "\"%.200s\": a unit is wanted at \"%.40s\", such as %s:0", r->text, *at, r->site->name);
        errno = 0;
        const long long first = strtoll(*at, &end, 10);
        long long last = first;
        if (*end == '-' && isdigit((unsigned char)end[1]))
            last = strtoll(end + 1, &end, 10);
        CN_CHECK(errno == 0 && first <= last && last <= last_unit, CN_EINVAL, "\"%.200s\": %s has units 0 to %lld", r->text, r->site->name, last_unit);
        for (long long u = first; u <= last; u++)
            r->chosen[u] = true;
        *at = end;
        if (*end != ',')
            break;
        ++*at;
    }
done:
    return st;
}

static cn_status add_text(reader *r, const char *text)
{
    cn_status st = CN_OK;
    cn_error *err = r->err;
    cn_edits *e = r->edits;
    const size_t more = strlen(text);
    char *grown = cn_realloc(e->text, e->length + more + 3);
    CN_CHECK(grown, CN_ENOMEM, "out of memory for the text of edits");
    e->text = grown;
    e->length += (size_t)snprintf(grown + e->length, more + 3, "%s%s", e->length ? "; " : "", text);
done:
    return st;
}

static cn_status take_means(reader *r)
{
    cn_status st = CN_OK;
    cn_error *err = r->err;
    cn_unit_row *rows = NULL;
    size_t n = 0, site = 0;
    int64_t found = 0;
    CN_CHECK(r->means, CN_EINVAL, "\"%.200s\": whose mean? A study is needed", r->text);
    CN_TRY(cn_study_check_model(r->means, r->model, err));
    const char *path = cn_study_get_info(r->means)->path;
    const cn_reduce reduce = cn_study_get_info(r->means)->reduce;
    CN_CHECK(reduce == CN_REDUCE_MEAN, CN_EINVAL, "%s: a study with --reduce %s, and \"%.200s\" needs means over space", path, cn_reduce_name(reduce),
             r->text);
    while (site < cn_study_site_count(r->means) && strcmp(cn_study_site_at(r->means, site)->name, r->site->name) != 0)
        site++;
    CN_CHECK(site < cn_study_site_count(r->means), CN_ENOTFOUND, "%s: the study has no %s, only %s%s", path, r->site->name,
             cn_study_site_at(r->means, 0)->name, cn_study_site_count(r->means) > 1 ? " and others" : "");
    CN_TRY(cn_study_units(r->means, site, CN_ORDER_UNIT, 0, &rows, &n, err));
    for (size_t i = 0; i < n; i++) {
        const int64_t u = rows[i].ref.unit;
        if (u < 0 || u >= r->site->units || !r->chosen[u])
            continue;
        CN_CHECK(isfinite(rows[i].mean), CN_EFORMAT, "%s: the study is damaged: the mean of unit %lld is not finite", path, (long long)u);
        r->scale[u] = 0;
        r->shift[u] = (float)rows[i].mean;
        found++;
    }
    for (int64_t u = 0; u < r->site->units; u++)
        found -= r->chosen[u];
    CN_CHECK(found == 0, CN_EFORMAT, "%s: the study is damaged: it does not have all units of %s", path, r->site->name);
done:
    cn_unit_rows_free(rows);
    return st;
}

/* "89=0" and the like, behind the colon. */
static cn_status read_units_edit(reader *r, const char *at)
{
    cn_status st = CN_OK;
    cn_error *err = r->err;
    const char *units = at;
    float value = 0;
    char text[CN_MAX_EDIT_TEXT + 512];
    r->chosen = cn_calloc((size_t)r->site->units, sizeof *r->chosen);
    CN_CHECK(r->chosen, CN_ENOMEM, "out of memory for edits");
    CN_TRY(read_units(r, &at));
    const int length = (int)(at - units);
    const char what = *at ? *at : '?';
    const bool bound = what == '<' || what == '>';
    CN_CHECK(strchr("=*~<>", what) && (!bound || at[1] == '='), CN_EINVAL,
             "\"%.200s\": after the units comes =NUMBER, *NUMBER, <=NUMBER, >=NUMBER or ~, not \"%.40s\"", r->text, at);
    at += bound ? 2 : 1;
    if (what == '~') {
        CN_CHECK(!*at, CN_EINVAL, "\"%.200s\": nothing comes after ~, not \"%.40s\"", r->text, at);
        CN_TRY(take_means(r));
        double sum = 0; /* says which means: they are the study's */
        for (int64_t u = 0; u < r->site->units; u++)
            sum += r->chosen[u] ? (double)r->shift[u] : 0;
        snprintf(text, sizeof text, "%s:%.*s~ (means, together %.6g)", r->site->name, length, units, sum);
    } else {
        CN_TRY(read_number(r, at, &value));
        snprintf(text, sizeof text, "%s:%.*s%c%s%.9g", r->site->name, length, units, what, bound ? "=" : "", (double)value);
    }
    for (int64_t u = 0; u < r->site->units; u++) {
        if (!r->chosen[u] || what == '~')
            continue;
        if (what == '=')
            r->scale[u] = 0, r->shift[u] = value;
        else if (what == '*')
            r->scale[u] = value;
        else
            (what == '<' ? r->high : r->low)[u] = value;
    }
    CN_TRY(add_text(r, text));
done:
    cn_free(r->chosen);
    r->chosen = NULL;
    return st;
}

/* "+d.npy*3"; sign included. */
static cn_status read_direction_edit(reader *r, const char *at)
{
    cn_status st = CN_OK;
    cn_error *err = r->err;
    cn_arrays *arrays = NULL;
    float times = 1, *v = NULL;
    char path[CN_MAX_EDIT_TEXT + 1], hex[65], text[CN_MAX_EDIT_TEXT + 512];
    const char *end = NULL;
    for (const char *p = at + 1; (p = strstr(p, ".npy")); p += 4)
        end = p + 4;
    CN_CHECK(end && (!*end || *end == '*'), CN_EINVAL, "\"%.200s\": after %c comes a .npy file, and perhaps *NUMBER", r->text, *at);
    memcpy(path, at + 1, (size_t)(end - at - 1));
    path[end - at - 1] = '\0';
    if (*end)
        CN_TRY(read_number(r, end + 1, &times));
    times = *at == '-' ? -times : times;
    CN_TRY(cn_arrays_open(&arrays, path, err));
    const cn_tensor *t = cn_arrays_count(arrays) == 1 ? cn_arrays_at(arrays, 0) : NULL;
    CN_CHECK(t, CN_EFORMAT, "%s: one array is wanted", path);
    CN_CHECK(t->count == r->site->units, CN_EMISMATCH, "%s: has %lld values, %s has %lld units", path, (long long)t->count, r->site->name,
             (long long)r->site->units);
    v = cn_malloc((size_t)t->count * sizeof *v);
    CN_CHECK(v, CN_ENOMEM, "out of memory for a direction");
    cn_tensor_read_f32(t, v);
    for (int64_t u = 0; u < r->site->units; u++) {
        r->shift[u] = times * v[u];
        CN_CHECK(isfinite(r->shift[u]), CN_EFORMAT, "%s: value %lld is no finite number", path, (long long)u);
    }
    CN_TRY(sha256_file(path, hex, err));
    const char *slash = strrchr(path, '/');
    snprintf(text, sizeof text, "%s+%s*%.9g (%.12s)", r->site->name, slash ? slash + 1 : path, (double)times, hex);
    CN_TRY(add_text(r, text));
done:
    cn_arrays_close(arrays);
    cn_free(v);
    return st;
}

static cn_status read_edit(reader *r)
{
    cn_status st = CN_OK;
    cn_error *err = r->err;
    CN_CHECK(strlen(r->text) <= CN_MAX_EDIT_TEXT, CN_ELIMIT, "an edit is at most %d bytes long", CN_MAX_EDIT_TEXT);
    const size_t from = strncmp(r->text, "pre:", 4) == 0 ? 4 : 0;
    const char *mark = r->text + from + strcspn(r->text + from, ":+");
    const char *minus = strchr(r->text + from, '-');
    if (minus && minus < mark && minus > r->text + from && minus[-1] != '.') /* names have no -, but for downsample.-1 */
        mark = minus;
    CN_CHECK(*mark && mark > r->text + from, CN_EINVAL,
             "\"%.200s\" is no edit: write SITE:UNIT=0, SITE:UNIT*2, SITE:UNIT<=1, SITE:UNIT~ or SITE+DIRECTION.npy", r->text);
    CN_TRY(find_site(r, (size_t)(mark - r->text)));
    CN_TRY(make_numbers(r));
    CN_TRY(*mark == ':' ? read_units_edit(r, mark + 1) : read_direction_edit(r, mark));
done:
    return st;
}

cn_status cn_edits_parse(cn_edits **out, const cn_model *model, cn_study *means, const char *const *texts, size_t n, cn_error *err)
{
    cn_status st = CN_OK;
    cn_edits *e = cn_calloc(1, sizeof *e);
    reader r = {.edits = e, .model = model, .means = means, .err = err};
    *out = NULL;
    CN_CHECK(e, CN_ENOMEM, "out of memory for edits");
    CN_CHECK(n <= CN_MAX_EDITS, CN_ELIMIT, "at most %d edits, not %zu", CN_MAX_EDITS, n);
    e->site = cn_calloc(n + 1, sizeof *e->site);
    e->numbers = cn_calloc(n + 1, sizeof *e->numbers);
    e->text = cn_calloc(1, 1);
    CN_CHECK(e->site && e->numbers && e->text, CN_ENOMEM, "out of memory for edits");
    for (size_t i = 0; i < n; i++) {
        r.text = texts[i];
        CN_TRY(read_edit(&r));
    }
    *out = e, e = NULL;
done:
    cn_edits_free(e);
    return st;
}

cn_status cn_edits_of_study(cn_edits **out, const cn_model *model, const cn_study *study, cn_error *err)
{
    cn_status st = CN_OK;
    cn_error ignored = {0};
    const cn_study_info *info = cn_study_get_info(study);
    const char *texts[CN_MAX_EDITS];
    size_t n = 0;
    cn_edits *e = NULL;
    char *copy = cn_strdup(info->edits);
    *out = NULL;
    CN_CHECK(copy, CN_ENOMEM, "out of memory for the text of edits");
    for (char *at = *copy ? copy : NULL; at && n < CN_MAX_EDITS;) {
        char *end = strstr(at, "; ");
        texts[n++] = at;
        if (end)
            *end = '\0', end += 2;
        at = end;
    }
    if (n) { /* right is what gives the same text again: a file's name may hold anything */
        st = cn_edits_parse(&e, model, NULL, texts, n, &ignored);
        CN_CHECK(st != CN_ENOMEM, CN_ENOMEM, "%s", ignored.text);
        CN_CHECK(st == CN_OK && strcmp(e->text, info->edits) == 0, CN_EUNSUPPORTED,
                 "%s: its network was edited (%s), which cannot be done again from the study", info->path, info->edits);
    }
    *out = e, e = NULL;
done:
    cn_edits_free(e);
    cn_free(copy);
    return st;
}

const cn_site_edit *cn_edits_sites(const cn_edits *edits, size_t *n)
{
    *n = edits->n;
    return edits->site;
}

const char *cn_edits_text(const cn_edits *edits)
{
    return edits->text;
}
