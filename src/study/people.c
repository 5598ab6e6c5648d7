/* study/people.c -- concepts about people, by the families they are in, and how often a collection shows them. */
#include "base/memory.h"
#include "clipneuron/multimodal.h"
#include "study/conceptlist.h"
#include "study/reader.h"

#include <string.h>
#include <strings.h>

static const char *const about_people[] = {"person trait", "religion", "region"};
#define FAMILIES (sizeof about_people / sizeof *about_people)

const char *cn_family_warning(const char *family)
{
    for (size_t i = 0; family && i < FAMILIES; i++)
        if (strcasecmp(family, about_people[i]) == 0)
            return "about people: such units repeat what the training data and this collection associate, not what is so; read their scores "
                   "beside the base rates, and do not use them to judge anybody";
    return NULL;
}

/* "flags/south_korea" is the concept "south korea". */
static bool is_concept(const char *name, const char *concept, size_t length)
{
    const char *slash = strrchr(name, '/');
    name = slash ? slash + 1 : name;
    if (strlen(name) != length)
        return false;
    for (size_t i = 0; i < length; i++)
        if (strncasecmp(name[i] == '_' ? " " : name + i, concept + i, 1) != 0)
            return false;
    return true;
}

const char *cn_concept_people(const char *name)
{
    if (!name || !*name)
        return NULL;
    for (const char *line = conceptlist_families, *end; *line; line = *end ? end + 1 : end) { /* the file has no quotes: tested */
        end = line + strcspn(line, "\n");
        const char *comma = memchr(line, ',', (size_t)(end - line));
        for (size_t i = 0; comma && i < FAMILIES; i++) {
            const size_t length = strlen(about_people[i]);
            if ((size_t)(comma - line) == length && memcmp(line, about_people[i], length) == 0 &&
                is_concept(name, comma + 1, (size_t)(end - comma) - 1))
                return about_people[i];
        }
    }
    return NULL;
}

cn_status cn_study_base_rate(cn_study *s, const char *name, double *share, cn_error *err)
{
    cn_status st = CN_OK;
    sqlite3_stmt *q = NULL;
    bool more;
    const char *slash = strrchr(name, '/');
    char *plain = cn_strdup(slash ? slash + 1 : name);
    CN_CHECK(plain, CN_ENOMEM, "out of memory for a name");
    for (char *c = plain; *c; c++)
        *c = *c == '_' ? ' ' : *c;
    int64_t images = 0;
    CN_TRY(reader_query(s, &q, err, "SELECT name, images FROM labels", ""));
    for (;;) {
        CN_TRY(reader_step(s, q, &more, err));
        if (!more)
            break;
        const char *label = (const char *)sqlite3_column_text(q, 0);
        const int64_t n = sqlite3_column_int64(q, 1);
        if (label && n > 0 && is_concept(label, plain, strlen(plain)))
            images += n;
    }
    *share = s->info.images > 0 ? (double)images / (double)s->info.images : 0;
done:
    sqlite3_finalize(q);
    cn_free(plain);
    return st;
}
