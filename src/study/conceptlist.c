/* study/conceptlist.c -- reads lists of concepts. */
#include "study/conceptlist.h"

#include "base/memory.h"
#include "clipneuron/multimodal.h"
#include "file/filemap.h"
#include "study/csv.h"

#include <string.h>
#include <strings.h>

cn_status conceptlist_push(conceptlist *l, const char *family, const char *concept, cn_error *err)
{
    cn_status st = CN_OK;
    CN_CHECK(l->n < CONCEPTLIST_MOST, CN_ELIMIT, "more than %d concepts", CONCEPTLIST_MOST);
    if (l->n == l->room) {
        const size_t room = l->room ? 2 * l->room : 64;
        char **families = cn_reallocarray(l->family, room, sizeof *families);
        l->family = families ? families : l->family;
        char **concepts = cn_reallocarray(l->concept, room, sizeof *concepts);
        l->concept = concepts ? concepts : l->concept;
        CN_CHECK(families && concepts, CN_ENOMEM, "out of memory for %zu concepts", room);
        l->room = room;
    }
    l->family[l->n] = cn_strdup(family);
    l->concept[l->n] = cn_strdup(concept);
    l->n++;
    CN_CHECK(l->family[l->n - 1] && l->concept[l->n - 1], CN_ENOMEM, "out of memory for %zu concepts", l->n);
done:
    return st;
}

/* White space at the ends is cut, in place. */
static const char *trimmed(char *text)
{
    size_t n = strlen(text);
    while (n && strchr(" \t\r", text[n - 1]))
        text[--n] = '\0';
    return text + strspn(text, " \t");
}

cn_status conceptlist_add(conceptlist *l, const char *text, size_t size, const char *what, cn_error *err)
{
    cn_status st = CN_OK;
    csv c;
    bool more, first = true;
    csv_init(&c, text, size, what);
    for (;;) {
        CN_TRY(csv_row(&c, &more, err));
        if (!more)
            break;
        if (c.field[0][0] == '#')
            continue;
        CN_CHECK(c.fields <= 2, CN_EFORMAT, "%s: line %zu has %zu fields: 'family,concept' or 'concept' is meant", what, c.line, c.fields);
        const char *family = c.fields == 2 ? trimmed(c.field[0]) : "", *concept = trimmed(c.field[c.fields - 1]);
        const bool header = first && strcasecmp(concept, "concept") == 0;
        first = false;
        if (header)
            continue;
        CN_CHECK(*concept, CN_EFORMAT, "%s: line %zu has no concept", what, c.line);
        CN_CHECK(strlen(concept) <= 256 && strlen(family) <= 256, CN_ELIMIT, "%s: line %zu: a name of more than 256 bytes", what, c.line);
        CN_TRY(conceptlist_push(l, family, concept, err));
    }
done:
    csv_free(&c);
    return st;
}

cn_status conceptlist_add_file(conceptlist *l, const char *path, cn_error *err)
{
    cn_status st = CN_OK;
    filemap map = {0};
    CN_TRY(filemap_open(&map, path, err));
    st = conceptlist_add(l, (const char *)map.data, map.size, path, err);
done:
    filemap_close(&map);
    return st;
}

cn_status conceptlist_add_builtin(conceptlist *l, cn_error *err)
{
    return conceptlist_add(l, conceptlist_families, conceptlist_families_size, "the built-in families", err);
}

void conceptlist_free(conceptlist *l)
{
    for (size_t i = 0; i < l->n; i++) {
        cn_free(l->family[i]);
        cn_free(l->concept[i]);
    }
    cn_free(l->family);
    cn_free(l->concept);
    memset(l, 0, sizeof *l);
}
