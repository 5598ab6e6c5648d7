/* tests/study/dump.c */
#include "dump.h"

#include <math.h>
#include <setjmp.h>
#include <stdbool.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef struct text {
    char *data;
    size_t size, room;
} text;

static int add_row(void *user, int columns, char **values, char **names)
{
    text *t = user;
    (void)names;
    for (int i = 0; i < columns; i++) {
        const char *value = values[i] ? values[i] : "NULL";
        const size_t length = strlen(value);
        if (t->size + length + 2 > t->room) {
            t->room = 2 * t->room + length + 4096;
            t->data = realloc(t->data, t->room);
        }
        memcpy(t->data + t->size, value, length);
        t->size += length;
        t->data[t->size++] = i + 1 < columns ? '|' : '\n';
        t->data[t->size] = '\0';
    }
    return 0;
}

char *dump_study(const char *dir, const char *study)
{
    static const char *const queries[] = {
        "SELECT key, value FROM meta WHERE key NOT IN ('created', 'seconds') ORDER BY key",
        "SELECT * FROM images ORDER BY id", /* with duplicates */
        "SELECT * FROM fields ORDER BY image, field",
        "SELECT image, type, hex(data) FROM thumbnails ORDER BY image",
        "SELECT * FROM failures ORDER BY path",
        "SELECT * FROM labels ORDER BY id",
        "SELECT * FROM media ORDER BY id",
        "SELECT * FROM sites ORDER BY id",
        "SELECT * FROM units ORDER BY site, unit",
        "SELECT site, unit, hex(bins) FROM histograms ORDER BY site, unit",
        "SELECT site, unit, kind, rank, bucket, image, value, peak, y, x, hex(map) FROM examples ORDER BY 1, 2, 3, 4",
        "SELECT * FROM unit_labels ORDER BY site, unit, rank",
        "SELECT * FROM unit_media ORDER BY site, unit, medium",
        "SELECT * FROM unit_label_media ORDER BY site, unit, medium",
        "SELECT * FROM words ORDER BY id",
        "SELECT * FROM unit_words ORDER BY site, unit, rank"};
    char path[1024];
    sqlite3 *db;
    text t = {0};
    snprintf(path, sizeof path, "%s/%s/study.sqlite", dir, study);
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++)
        assert_int_equal(sqlite3_exec(db, queries[i], add_row, &t, NULL), SQLITE_OK);
    sqlite3_close(db);
    return t.data;
}

void dump_same(const char *a, const char *b, double tolerance)
{
    const char *line = a;
    while (*a || *b) {
        const size_t n = strcspn(a, "|\n"), m = strcspn(b, "|\n");
        bool same = n == m && memcmp(a, b, n) == 0;
        if (!same && tolerance > 0 && (memchr(a, '.', n) || memchr(b, '.', m))) {
            char *end_a, *end_b;
            const double x = strtod(a, &end_a), y = strtod(b, &end_b);
            same = end_a == a + n && end_b == b + m && fabs(x - y) <= tolerance * fmax(1e-9, fmax(fabs(x), fabs(y)));
        }
        if (!same || a[n] != b[m])
            fail_msg("%.*s... is not %.*s in %.200s", (int)n, a, (int)m, b, line);
        if (a[n] == '\n')
            line = a + n + 1;
        a += n + (a[n] != 0);
        b += m + (b[m] != 0);
    }
}
