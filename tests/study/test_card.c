/* Cards: pages that hold for any names and any study, PNG sheets, and studies that are damaged. */
#include "base/memory.h"
#include "clipneuron/card.h"
#include "clipneuron/image.h"
#include "fake.h"
#include "study/carddata.h"
#include "study/region.h"
#include "study/html.h"
#include "study/modality.h"
#include "study/served.h"
#include "tempdir.h"

#include <math.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

/* The font libraries keep their caches until the process ends. */
CN_API const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfontconfig\nleak:libpango\nleak:libglib\n";
}

static char *dir; /* a study that the tests only read */

static int make_study(void **state)
{
    (void)state;
    dir = tempdir_make();
    fake_collection(dir, 15);
    fake_scan(dir, "study", NULL, NULL);
    return 0;
}

static int remove_study(void **state)
{
    (void)state;
    tempdir_remove(dir);
    return 0;
}

static cn_study *open_study(const char *name)
{
    cn_study *s;
    cn_error err = {0};
    if (cn_study_open(&s, tempdir_path(dir, name), &err) != CN_OK)
        fail_msg("%s", err.text);
    return s;
}

static char *page(cn_study *s, const cn_unit_ref *units, size_t n, const cn_card_options *o)
{
    cn_error err = {0};
    if (cn_card_write_html(s, units, n, o, tempdir_path(dir, "page.html"), &err) != CN_OK)
        fail_msg("%s", err.text);
    return tempdir_read(tempdir_path(dir, "page.html"), NULL);
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *p = text; (p = strstr(p, what)); p += strlen(what))
        n++;
    return n;
}

/* Every element that needs an end has one, in order: enough of HTML for what the page uses. */
static void assert_well_formed(const char *text)
{
    static const char *const empty[] = {"meta", "img", "br", "col", "line", "path", "image", "!DOCTYPE"};
    char stack[64][32];
    int depth = 0;
    for (const char *p = text; (p = strchr(p, '<'));) {
        char name[32];
        bool end = p[1] == '/';
        size_t length = strcspn(p + 1 + end, " \n/>");
        assert_true(length > 0 && length < sizeof name);
        memcpy(name, p + 1 + end, length);
        name[length] = '\0';
        const char *close = p;
        for (bool quoted = false; *close && (quoted || *close != '>'); close++)
            quoted ^= *close == '"';
        assert_int_equal(*close, '>');
        bool none = close[-1] == '/';
        for (size_t i = 0; i < sizeof empty / sizeof *empty; i++)
            none = none || strcmp(empty[i], name) == 0;
        if (end) {
            if (depth == 0 || strcmp(stack[depth - 1], name) != 0)
                fail_msg("</%s> closes <%s>", name, depth ? stack[depth - 1] : "nothing");
            depth--;
        } else if (!none) {
            assert_true(depth < 64);
            strcpy(stack[depth++], name);
        }
        p = close;
        if (!end && strcmp(name, "style") == 0)
            p = strstr(p, "</style");
    }
    assert_int_equal(depth, 0);
}

static void a_page_has_all_parts_and_needs_nothing_else(void **state)
{
    (void)state;
    cn_study *s = open_study("study");
    const cn_unit_ref units[] = {{0, 1}, {1, 0}, {2, 2}};
    char *text = page(s, units, 3, NULL);
    assert_well_formed(text);
    assert_int_equal(count(text, "<section class=\"card\""), 3);
    assert_non_null(strstr(text, "layer4.0.add : 1"));
    assert_non_null(strstr(text, "href=\"#u-tokens-0\""));
    assert_non_null(strstr(text, "id=\"u-tokens-0\""));
    assert_int_equal(count(text, ">Strongest "), 3);
    assert_int_equal(count(text, ">Most inhibiting "), 3);
    assert_int_equal(count(text, "<svg class=\"histogram\" role=\"img\""), 3);
    assert_int_equal(count(text, "activation, sd units"), 3);
    assert_int_equal(count(text, ">Nearest words "), 3);
    assert_int_equal(count(text, "<figure tabindex=\"0\""), 3 * (12 + 6));
    assert_true(count(text, "class=\"edge hot\"") >= 20); /* the responding regions */
    assert_int_equal(count(text, "<img "), count(text, " alt=\""));
    assert_null(strstr(text, "<script"));
    assert_null(strstr(text, "http://"));
    assert_null(strstr(text, "https://"));
    assert_null(strstr(text, "url("));
    assert_non_null(strstr(text, "prefers-color-scheme"));
    assert_non_null(strstr(text, "fake &lt;model&gt;.pt"));
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, ">inf"));
    free(text);
    cn_study_close(s);
}

static void options_choose_what_is_shown(void **state)
{
    (void)state;
    cn_study *s = open_study("study");
    const cn_unit_ref unit = {0, 0};
    cn_card_options o = {.title = "A <b>title",
                         .introduction = "About \"this\" & that",
                         .top = 3,
                         .bottom = 2,
                         .no_buckets = true,
                         .theme = CN_THEME_DARK};
    char *text = page(s, &unit, 1, &o);
    assert_well_formed(text);
    assert_non_null(strstr(text, "<h1>A &lt;b&gt;title</h1>"));
    assert_non_null(strstr(text, "About &quot;this&quot; &amp; that"));
    assert_non_null(strstr(text, "data-theme=\"dark\""));
    assert_int_equal(count(text, "<figure tabindex=\"0\""), 5);
    assert_null(strstr(text, "<ol class=\"buckets\""));
    assert_null(strstr(text, "<nav")); /* one unit needs no table */
    free(text);
    cn_study_close(s);
}

static void what_was_found_stands_on_the_card(void **state)
{
    (void)state;
    const cn_unit_ref unit = {0, 0};
    cn_error err = {0};
    fake_scan(dir, "found", NULL, NULL);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(tempdir_path(dir, "found/study.sqlite"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "UPDATE labels SET name = 'flags/South_Africa' WHERE name = 'red'", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    cn_study *s = open_study("found");
    double share = -1;
    assert_int_equal(cn_study_base_rate(s, "south africa", &share, NULL), CN_OK);
    assert_true(share == 0.5);
    assert_int_equal(cn_study_base_rate(s, "africa", &share, NULL), CN_OK);
    assert_true(share == 0);
    assert_string_equal(cn_concept_people("a/South_Africa"), "region");
    assert_null(cn_concept_people("cat"));
    assert_null(cn_concept_people(""));
    assert_null(cn_concept_people(NULL));

    const modality_row rows[] = {{0, 0, {.concept_name = "islam", .family = "religion", .sensitive = true, .multimodal = true, .base_rate = 0.125, .media = "word 1.00"}}};
    const family_row families[] = {{0, {.family = "religion", .sensitive = true, .belongs = true, .auc = 0.875, .low = 0.75, .high = 0.9, .q = 0.01, .concepts = 7}}};
    assert_int_equal(modality_keep(s, 0, true, rows, 1, families, 1, &err), CN_OK);
    cn_probe_class classes[] = {{.name = "islam"}, {.name = "a <b>"}};
    cn_probe_term terms[] = {{0, 0, 0.5, 0.25, 0, "x", false}, {1, 0, -2, 1, 0, "x", false}, {1, 1, 3, 1, 0, "x", false}};
    const cn_probe probe = {.column = "label", .classes = classes, .n_classes = 2, .terms = terms, .n_terms = 3};
    assert_int_equal(served_keep(s, 0, &probe, &err), CN_OK);
    const cn_reader_unit readers[] = {{1, 0.5, 0.4, 0.6, 1}, {0, 0.01, 0.005, 0.015, 1}};
    assert_int_equal(readers_keep(s, 0, readers, 2, &err), CN_OK);

    char *text = page(s, &unit, 1, NULL);
    assert_well_formed(text);
    assert_non_null(strstr(text, "Family: religion, AUC 0.88 (0.75 to 0.90) over its 7 concepts, q 0.01.</p>"));
    assert_non_null(strstr(text, "classes of label: weight"));
    const char *first = strstr(text, "<li>a &lt;b&gt; <span class=\"soft\">\xe2\x88\x92"
                                     "2.00, 100%</span>"),
               *second = strstr(text, "<li>islam <span class=\"soft\">+0.50, 25%</span>");
    assert_true(first && second && first < second);
    assert_non_null(strstr(text, "cosine with that word by +0.01 (+0.005 to +0.015) through this unit. Number 2 of the 2 units that read.</p>"));
    assert_non_null(strstr(text, "<p class=\"warning\"><b>Warning:</b> flags/South_Africa (region, 50% of the pictures), islam (religion, 12% of the pictures): about people: "));
    assert_true(strstr(text, "<p class=\"warning\">") < strstr(text, "<h3>Strongest "));
    assert_non_null(strstr(text, "<span class=\"chip reads\">multimodal: islam</span>"));
    assert_non_null(strstr(text, "word 1.00; multimodal (q 0), shown by 12% of the pictures</span>")); /* as in the warning */
    free(text);
    assert_int_equal(cn_card_write_png(s, &unit, 1, NULL, tempdir_path(dir, "found.png"), &err), CN_OK);

    /* What the test did not show is not called multimodal, whatever is among the strongest; where nobody asked, that alone is said. */
    const modality_row refuted[] = {{0, 0, {.concept_name = "islam", .family = "religion", .sensitive = true, .q = 0.5, .base_rate = 0.125, .media = "word 1.00"}}};
    cn_study_close(s);
    assert_int_equal(sqlite3_open(tempdir_path(dir, "found/study.sqlite"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "UPDATE units SET reads = 1, media_count = 2 WHERE site = 0 AND unit < 2", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    s = open_study("found");
    assert_int_equal(modality_keep(s, 0, true, refuted, 1, families, 1, &err), CN_OK);
    text = page(s, &unit, 1, NULL);
    assert_non_null(strstr(text, "word 1.00; not shown to be multimodal (q 0.5), "));
    assert_null(strstr(text, ">multimodal: "));
    assert_int_equal(count(text, "pictures and the word among its strongest</span>"), 0);
    free(text);
    text = page(s, &(cn_unit_ref){0, 1}, 1, NULL);
    assert_int_equal(count(text, "pictures and the word among its strongest</span>"), 1);
    assert_null(strstr(text, ">multimodal: "));
    free(text);

    /* Another probe takes the place of the first; damage is said to be that. */
    const cn_probe one = {.column = "medium", .classes = classes, .n_classes = 2, .terms = terms, .n_terms = 1};
    cn_served_class *served;
    size_t n;
    assert_int_equal(served_keep(s, 0, &one, &err), CN_OK);
    assert_int_equal(cn_study_served_classes(s, unit, &served, &n, &err), CN_OK);
    assert_int_equal(n, 1);
    assert_string_equal(served[0].column, "medium");
    cn_served_classes_free(served);
    terms[0].unit = FAKE_UNITS;
    assert_int_equal(served_keep(s, 0, &one, &err), CN_EINVAL);
    cn_study_close(s);
    assert_int_equal(sqlite3_open(tempdir_path(dir, "found/study.sqlite"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "UPDATE readers SET rank = 9; UPDATE unit_families SET auc = 9; UPDATE unit_classes SET share = 9", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    s = open_study("found");
    cn_reader_fact *reader;
    cn_family_fact *family;
    assert_int_equal(cn_study_reader_fact(s, unit, &reader, &err), CN_EFORMAT);
    assert_null(reader);
    assert_int_equal(cn_study_family_fact(s, unit, &family, &err), CN_EFORMAT);
    assert_null(family);
    err = (cn_error){0};
    assert_int_equal(cn_study_served_classes(s, unit, &served, &n, &err), CN_EFORMAT);
    assert_non_null(strstr(err.text, "the study is damaged: a class of unit 0"));
    cn_study_close(s);
}

static void dead_and_silent_units_say_so(void **state)
{
    (void)state;
    cn_study *s = open_study("study");
    const cn_unit_ref units[] = {{0, FAKE_UNITS - 1}, {0, FAKE_UNITS - 2}};
    char *text = page(s, units, 2, NULL);
    assert_well_formed(text);
    assert_int_equal(count(text, "it is dead here"), 1);
    assert_int_equal(count(text, "after the ReLU it is silent here"), 1);
    assert_null(strstr(text, "nan"));
    free(text);
    cn_error err = {0};
    assert_int_equal(cn_card_write_png(s, units, 2, NULL, tempdir_path(dir, "dead.png"), &err), CN_OK);
    cn_study_close(s);
}

static void no_units_and_empty_studies_make_a_page(void **state)
{
    (void)state;
    cn_study *s = open_study("study");
    char *text = page(s, NULL, 0, NULL);
    assert_well_formed(text);
    assert_non_null(strstr(text, "there is nothing to show"));
    free(text);
    assert_int_equal(cn_card_write_png(s, NULL, 0, NULL, tempdir_path(dir, "none.png"), NULL), CN_OK);
    cn_study_close(s);

    source src;
    cn_error err = {0};
    tempdir_text(dir, "nothing/readme.txt", "x");
    fake_open(&src, "f00d", 8);
    assert_int_equal(
        scan_source(&src, tempdir_path(dir, "nothing"), tempdir_path(dir, "empty"), NULL, NULL, &err), CN_OK);
    src.close(&src);
    s = open_study("empty");
    const cn_unit_ref units[] = {{0, 0}, {1, 1}};
    text = page(s, units, 2, NULL);
    assert_well_formed(text);
    assert_int_equal(count(text, "no picture that could be read"), 2);
    free(text);
    assert_int_equal(cn_card_write_png(s, units, 2, NULL, tempdir_path(dir, "empty.png"), NULL), CN_OK);
    cn_study_close(s);
}

/* ---- names from strangers ---- */

static const char *const nasty[] = {
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "a & b 'c'",
    "\xff\xfe broken \xc3",
    "\xd1\x81\xd0\xbe\xd0\xb1\xd0\xb0\xd0\xba\xd0\xb0 \xe7\x8a\xac \xf0\x9f\x90\x95",
    "line\nbreak\ttab\x01",
    "\xe2\x80\xaereversed",
    "a label that is very long indeed and goes on and on without end, as labels of folders sometimes do"};

static void names_never_become_markup(void **state)
{
    (void)state;
    char csv[8192];
    size_t at = (size_t)snprintf(csv, sizeof csv, "path,label,medium,caption\n");
    for (int i = 0; i < 30; i++) {
        const char *name = nasty[i % 8];
        at += (size_t)snprintf(csv + at, sizeof csv - at, "pics/%s/%03d.png,\"", i % 2 ? "green" : "red", i);
        for (const char *c = name; *c; c++) {
            if (*c == '"')
                csv[at++] = '"';
            csv[at++] = *c;
        }
        at += (size_t)snprintf(csv + at, sizeof csv - at, "\",\"m<%d>\",\"<i>%d\"\n", i % 3, i);
    }
    tempdir_text(dir, "nasty.csv", csv);
    cn_scan_options o = {.labels = tempdir_path(dir, "nasty.csv")};
    char labels[1024];
    snprintf(labels, sizeof labels, "%s/nasty.csv", dir);
    o.labels = labels;
    fake_scan(dir, "nasty", &o, NULL);
    cn_study *s = open_study("nasty");
    const cn_unit_ref units[] = {{0, 0}, {0, 1}, {0, 3}};
    cn_card_options all = {.top = 24, .bottom = 12, .labels = 24};
    char *text = page(s, units, 3, &all);
    assert_well_formed(text);
    assert_null(strstr(text, "<script"));
    assert_null(strstr(text, "<img src=x"));
    assert_null(strstr(text, "<i>"));
    assert_null(strstr(text, "\xff"));
    assert_null(strstr(text, "\xe2\x80\xae"));
    assert_null(strstr(text, "\x01"));
    assert_non_null(strstr(text, "&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert_non_null(strstr(text, "\xef\xbf\xbd"));
    assert_non_null(strstr(text, "\xe7\x8a\xac"));
    for (const char *p = text; *p;) { /* all of it is UTF-8 */
        size_t length;
        uint32_t point = utf8_next(p, &length);
        assert_true(point != 0xfffd || length == 3);
        p += length;
    }
    free(text);
    assert_int_equal(cn_card_write_png(s, units, 3, &all, tempdir_path(dir, "nasty.png"), NULL), CN_OK);
    cn_study_close(s);
}

/* ---- PNG ---- */

static void sheets_have_the_size_of_their_cards(void **state)
{
    (void)state;
    cn_study *s = open_study("study");
    const cn_unit_ref units[] = {{0, 0}, {0, 1}, {1, 2}};
    static const struct {
        size_t n;
        int columns;
        double scale;
        int width;
    } cases[] = {{1, 0, 1, 944}, {3, 0, 1, 1866}, {3, 3, 0.5, 1394}, {2, 1, 2, 1888}};
    for (size_t i = 0; i < 4; i++) {
        cn_card_options o = {.columns = cases[i].columns,
                             .scale = cases[i].scale,
                             .theme = i % 2 ? CN_THEME_DARK : CN_THEME_AUTO};
        cn_error err = {0};
        cn_image *image;
        if (cn_card_write_png(s, units, cases[i].n, &o, tempdir_path(dir, "sheet.png"), &err) != CN_OK)
            fail_msg("%s", err.text);
        assert_int_equal(cn_image_load(&image, tempdir_path(dir, "sheet.png"), NULL, &err), CN_OK);
        assert_int_equal(image->width, cases[i].width);
        assert_true(image->height > 400 * cases[i].scale);
        cn_image_free(image);
    }
    cn_error err = {0};
    cn_unit_ref many[60] = {{0, 0}};
    cn_card_options tall = {.columns = 1, .scale = 2};
    assert_int_equal(cn_card_write_png(s, many, 60, &tall, tempdir_path(dir, "big.png"), &err), CN_ELIMIT);
    assert_non_null(strstr(err.text, "the limit is 32767"));
    struct stat info;
    assert_int_not_equal(stat(tempdir_path(dir, "big.png"), &info), 0);
    cn_study_close(s);
}

static void sheets_for_the_web_are_small(void **state)
{
    (void)state;
    static const char *const names[] = {"sheet.png", "sheet.webp", "sheet.JPG"};
    static const unsigned char begins[][3] = {{0x89, 'P', 'N'}, {'R', 'I', 'F'}, {0xff, 0xd8, 0xff}};
    cn_study *s;
    cn_error err = {0};
    size_t size[3];
    int width[3], height[3];
    assert_int_equal(cn_study_open(&s, tempdir_path(dir, "study"), &err), CN_OK);
    for (int i = 0; i < 3; i++) {
        const cn_unit_ref unit = {0, 1};
        cn_image *image;
        assert_int_equal(cn_card_write_png(s, &unit, 1, NULL, tempdir_path(dir, names[i]), &err), CN_OK);
        unsigned char *bytes = (unsigned char *)tempdir_read(tempdir_path(dir, names[i]), &size[i]);
        assert_memory_equal(bytes, begins[i], 3);
        free(bytes);
        assert_int_equal(cn_image_load(&image, tempdir_path(dir, names[i]), NULL, &err), CN_OK);
        width[i] = image->width, height[i] = image->height;
        cn_image_free(image);
    }
    assert_true(width[0] == width[1] && width[0] == width[2] && height[0] == height[1] && height[0] == height[2]);
    assert_true(size[1] < size[0] && size[1] > 1000);
    cn_study_close(s);
}

static void a_folder_gets_one_picture_a_unit(void **state)
{
    (void)state;
    cn_study *s = open_study("study");
    const cn_unit_ref units[] = {{0, 0}, {1, 4}};
    struct stat info;
    assert_int_equal(cn_card_write_pngs(s, units, 2, NULL, tempdir_path(dir, "cards"), NULL), CN_OK);
    assert_int_equal(stat(tempdir_path(dir, "cards/layer4.0.add_0.png"), &info), 0);
    assert_int_equal(stat(tempdir_path(dir, "cards/tokens_4.png"), &info), 0);
    cn_study_close(s);
}

static void bad_requests_are_refused_and_leave_no_file(void **state)
{
    (void)state;
    cn_study *s = open_study("study");
    const cn_unit_ref units[] = {{0, 0}, {0, 6}}, site = {3, 0};
    const cn_card_options many = {.top = 1000}, wide = {.columns = 99}, scale = {.scale = 1e9};
    struct stat info;
    cn_error err = {0};
    assert_int_equal(cn_card_write_html(s, units, 2, NULL, tempdir_path(dir, "bad.html"), &err), CN_EINVAL);
    assert_non_null(strstr(err.text, "unit 6: layer4.0.add has units 0 to 5"));
    assert_int_equal(cn_card_write_html(s, &site, 1, NULL, tempdir_path(dir, "bad.html"), NULL), CN_EINVAL);
    assert_int_equal(cn_card_write_html(s, units, 1, &many, tempdir_path(dir, "bad.html"), NULL), CN_EINVAL);
    assert_int_equal(cn_card_write_png(s, units, 1, &wide, tempdir_path(dir, "bad.html"), NULL), CN_EINVAL);
    assert_int_equal(cn_card_write_png(s, units, 1, &scale, tempdir_path(dir, "bad.html"), NULL), CN_EINVAL);
    assert_int_equal(cn_card_write_png(s, units, 2, NULL, tempdir_path(dir, "bad.html"), NULL), CN_EINVAL);
    assert_int_not_equal(stat(tempdir_path(dir, "bad.html"), &info), 0);
    assert_int_equal(cn_card_write_html(s, units, 1, NULL, tempdir_path(dir, "no/such/page.html"), NULL),
                     CN_EIO);
    cn_study_close(s);
}

static void each_failing_allocation_of_a_page_is_survived(void **state)
{
    (void)state;
    cn_study *s = open_study("study");
    const cn_unit_ref units[] = {{0, 0}, {1, 1}};
    for (size_t n = 1;; n += n < 100 ? 1 : 3) {
        cn_error err = {0};
        cn_memory_fail_at(n, false);
        cn_status st = cn_card_write_html(s, units, 2, NULL, tempdir_path(dir, "oom.html"), &err);
        cn_memory_fail_at(0, false);
        if (st == CN_OK)
            break;
        assert_int_equal(st, CN_ENOMEM);
        assert_true(n < 5000);
    }
    cn_study_close(s);
}

/* ---- numbers ---- */

static void numbers_read_well(void **state)
{
    (void)state;
    char t[32];
    assert_string_equal(card_number(4.23, t), "4.2");
    assert_string_equal(card_number(-0.349, t), "\xe2\x88\x92"
                                                "0.35");
    assert_string_equal(card_number(-0.001, t), "0.0");
    assert_string_equal(card_number(0, t), "0.0");
    assert_string_equal(card_number(123.4, t), "123");
    assert_string_equal(card_number(0.999, t), "1.0");
    assert_string_equal(card_number_at(1.0432, 0.02, t), "1.04");
    assert_string_equal(card_number_at(-2.04, 0.7, t), "\xe2\x88\x92"
                                                       "2.0");
    assert_string_equal(card_share(0, t), "0%");
    assert_string_equal(card_share(0.0004, t), "<0.1%");
    assert_string_equal(card_share(0.041, t), "4.1%");
    assert_string_equal(card_share(0.9999, t), ">99.9%");
    assert_string_equal(card_share(1, t), "100%");
}

static void the_region_hangs_together_with_the_peak(void **state)
{
    (void)state;
    const cn_study_site site = {.height = 2, .width = 4, .layout = CN_SITE_MAP};
    const float map[] = {4, 2, 1, 3, -8, 0, 2.5f, 3};
    cn_example e = {.map = map};
    float weight[8];
    bool inside[8];
    assert_true(region_mark(&e, &site, 1, weight, inside));
    const bool hot[] = {true,  true,  false, false,
                        false, false, false, false}; /* 3 and 2.5 are not connected */
    assert_memory_equal(inside, hot, sizeof hot);
    assert_true(weight[0] == 1 && weight[1] == 0.5f && weight[4] == 0);
    assert_true(region_mark(&e, &site, -1, weight, inside));
    assert_true(inside[4] && !inside[0] && !inside[5]);
    const float negative[] = {-1, -2, -1, -1, -1, -1, -1, -1};
    e.map = negative;
    assert_false(region_mark(&e, &site, 1, weight, inside)); /* nothing responds */
    e.map = NULL;
    assert_false(region_mark(&e, &site, 1, weight, inside));
}

/* ---- studies from strangers ---- */

static void use_everything(cn_study *s, bool draw)
{
    const cn_unit_ref units[] = {{0, 0}, {1, 1}, {2, 2}, {0, 5}};
    cn_unit_row *rows;
    cn_failure *failures;
    size_t n;
    for (size_t i = 0; i < 4; i++) {
        cn_status st = cn_card_write_html(s, &units[i], 1, NULL, "/dev/null", NULL);
        if (st == CN_OK && i == 0 && draw)
            st = cn_card_write_png(s, &units[i], 1, NULL, tempdir_path(dir, "damaged.png"), NULL);
        (void)st;
    }
    if (cn_study_units(s, 0, CN_ORDER_INTERESTING, 5, &rows, &n, NULL) == CN_OK)
        cn_unit_rows_free(rows);
    if (cn_study_failures(s, &failures, &n, NULL) == CN_OK)
        cn_failures_free(failures);
}

static void a_damaged_database_gives_errors_but_never_a_crash(void **state)
{
    (void)state;
    size_t size;
    char *good = tempdir_read(tempdir_path(dir, "study/study.sqlite"), &size);
    uint32_t seed = 5;
    int opened = 0;
    for (int round = 0; round < 50; round++) {
        char *bad = malloc(size);
        size_t length = size;
        memcpy(bad, good, size);
        seed = seed * 1664525u + 1013904223u;
        if (round % 5 == 0)
            length = (seed >> 8) % size;
        for (int i = 0; i < 1 + round % 40; i++) {
            seed = seed * 1664525u + 1013904223u;
            size_t at = (seed >> 4) % size;
            seed = seed * 1664525u + 1013904223u;
            bad[at] = (char)(seed >> 16);
        }
        tempdir_write(dir, "bad/study.sqlite", bad, length);
        free(bad);
        cn_study *s;
        cn_error err = {0};
        if (cn_study_open(&s, tempdir_path(dir, "bad"), &err) == CN_OK) {
            opened++;
            use_everything(s, round % 8 == 0);
            cn_study_close(s);
        } else {
            assert_true(err.text[0]);
        }
    }
    assert_true(opened > 5);
    free(good);
}

static void change(const char *name, const char *sql)
{
    char path[1024];
    sqlite3 *db;
    size_t size;
    char *good = tempdir_read(tempdir_path(dir, "study/study.sqlite"), &size);
    snprintf(path, sizeof path, "%s/study.sqlite", name);
    tempdir_write(dir, path, good, size);
    free(good);
    snprintf(path, sizeof path, "%s/%s/study.sqlite", dir, name);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void values_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        bool opens;
    } cases[] = {{"UPDATE sites SET height = -1", false},
                 {"UPDATE sites SET units = 0", false},
                 {"UPDATE sites SET id = id + 10", false},
                 {"DELETE FROM sites", false},
                 {"DELETE FROM meta WHERE key = 'fingerprint'", false},
                 {"DROP TABLE labels", false},
                 {"PRAGMA application_id = 1", false},
                 {"PRAGMA user_version = 99", false},
                 {"UPDATE examples SET y = 1000", true},
                 {"UPDATE examples SET bucket = -7", true},
                 {"UPDATE histograms SET bins = x'0102030405'", true},
                 {"UPDATE histograms SET bins = x'ffffffff01000000'", true},
                 {"UPDATE thumbnails SET data = x'00'", true},
                 {"UPDATE examples SET map = x'00'", true},
                 {"UPDATE units SET rms = 1e-300", true},
                 {"UPDATE units SET min = 5, max = -5", true},
                 {"UPDATE units SET max = 'text', rms = NULL", true},
                 {"DELETE FROM units WHERE unit = 0", true},
                 {"UPDATE units SET count = -3, label_hits = 1e18", true},
                 {"UPDATE images SET path = x'ff00ff'", true},
                 {"UPDATE sites SET name = '../../<x>'", true},
                 {"UPDATE unit_labels SET mean = 1e308", true},
                 {"UPDATE units SET mean = 9e999, min = -9e999, max = 9e999", true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cn_study *s;
        cn_error err = {0};
        change("changed", cases[i].sql);
        cn_status st = cn_study_open(&s, tempdir_path(dir, "changed"), &err);
        if ((st == CN_OK) != cases[i].opens)
            fail_msg("%s: %s", cases[i].sql, err.text);
        if (st != CN_OK)
            continue;
        use_everything(s, true);
        cn_study_close(s);
    }
}

static void what_is_no_study_is_said_to_be_none(void **state)
{
    (void)state;
    cn_study *s;
    cn_error err = {0};
    assert_int_equal(cn_study_open(&s, tempdir_path(dir, "none"), &err), CN_ENOTFOUND);
    cn_error_clear(&err);
    assert_int_equal(cn_study_open(&s, tempdir_path(dir, "pics"), &err), CN_ENOTFOUND);
    assert_non_null(strstr(err.text, "is no study: it has no study.sqlite"));
    cn_error_clear(&err);
    assert_int_equal(cn_study_open(&s, tempdir_path(dir, "labels.csv"), &err), CN_EINVAL);
    tempdir_text(dir, "fake/study.sqlite",
                 "this is no database at all, but long enough to be looked at: "
                 "one hundred bytes are the header of a database file, as everybody knows");
    cn_error_clear(&err);
    assert_int_equal(cn_study_open(&s, tempdir_path(dir, "fake"), &err), CN_EFORMAT);
    assert_null(s);
}

/* Pictures that were made for a unit are kept with the study and shown on its cards, and only there. */
static void optimised_pictures_stand_on_the_card(void **state)
{
    (void)state;
    uint8_t rgb[3 * 16 * 16];
    void *png;
    size_t size, n;
    cn_error err = {0};
    cn_visualisation *list;
    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = (uint8_t)(i * 5);
    assert_int_equal(cn_image_encode(rgb, 16, 16, CN_IMAGE_PNG, 0, &png, &size, &err), CN_OK);
    fake_scan(dir, "seen", NULL, NULL);
    cn_study *s = open_study("seen");
    const cn_unit_ref unit = {0, 1}, other = {0, 2}, none = {0, 1 << 20};
    cn_unit_row *row;
    assert_int_equal(cn_study_unit(s, unit, &row, &err), CN_OK);
    assert_int_equal(cn_study_visualisations(s, unit, &list, &n, &err), CN_OK); /* no table yet */
    assert_int_equal(n, 0);
    assert_null(list);
    cn_visualisation v = {.facet = "", .objective = "layer4:1", .settings = "old", .value = 2 * row->rms, .path = 0.9, .blocks = "{}",
                          .png = png, .png_size = size};
    assert_int_equal(cn_study_keep_visualisation(s, unit, &v, &err), CN_OK);
    v.settings = "new"; /* takes the place of the old one */
    v.value = 3 * row->rms;
    assert_int_equal(cn_study_keep_visualisation(s, unit, &v, &err), CN_OK);
    v.facet = "line<art>";
    v.path = 0.1;
    assert_int_equal(cn_study_keep_visualisation(s, unit, &v, &err), CN_OK);
    assert_int_equal(cn_study_keep_visualisation(s, none, &v, NULL), CN_EINVAL);
    assert_int_equal(cn_study_visualisations(s, unit, &list, &n, &err), CN_OK);
    assert_int_equal(n, 2);
    assert_string_equal(list[0].facet, "");
    assert_string_equal(list[0].settings, "new");
    assert_true(fabs(list[0].sd - 3) < 1e-9 && list[0].path == 0.9);
    assert_string_equal(list[1].facet, "line<art>");
    assert_int_equal(list[1].png_size, size);
    assert_memory_equal(list[1].png, png, size);
    cn_visualisations_free(list);
    char *text = page(s, &unit, 1, NULL);
    assert_well_formed(text);
    assert_int_equal(count(text, "optimised for layer4:1"), 2);
    assert_non_null(strstr(text, "line&lt;art&gt;"));
    assert_non_null(strstr(text, "path 0.10*"));
    assert_non_null(strstr(text, "path 0.90</span>"));
    assert_non_null(strstr(text, "Those marked with * take another path"));
    assert_int_equal(count(text, "\xe2\x80\xa0"), 0); /* both are stronger than any natural picture */
    free(text);
    text = page(s, &other, 1, NULL);
    assert_int_equal(count(text, "Optimised"), 0);
    free(text);
    char legend[300];
    card_legend(false, false, legend, sizeof legend);
    assert_string_equal(legend, "");
    card_legend(true, true, legend, sizeof legend);
    assert_string_equal(legend, "\xe2\x80\xa0 does not reach the strongest natural picture \xc2\xb7 "
                                "* takes another path through the lower blocks than natural pictures");
    card_legend(false, true, legend, sizeof legend);
    assert_string_equal(legend, "* takes another path through the lower blocks than natural pictures");
    /* The sheet grows by a row and a sentence; a gallery has a row for each unit. */
    int height[2];
    for (int k = 0; k < 2; k++) {
        cn_image *image;
        const cn_card_options o = {.gallery = k, .scale = 1};
        const cn_unit_ref both[] = {unit, other};
        assert_int_equal(cn_card_write_png(s, both, 2, &o, tempdir_path(dir, "seen.png"), &err), CN_OK);
        assert_int_equal(cn_image_load(&image, tempdir_path(dir, "seen.png"), NULL, &err), CN_OK);
        height[k] = image->height;
        cn_image_free(image);
    }
    assert_true(height[1] > 240 && height[1] < 540 && height[0] > height[1]);
    cn_unit_rows_free(row);
    cn_study_close(s);
    cn_bytes_free(png);
}

static void keep(cn_study *s, const char *facet, const char *settings, double value)
{
    static const uint8_t grey[3] = {128, 128, 128};
    const cn_unit_ref unit = {0, 1};
    void *png;
    size_t size;
    cn_error err = {0};
    assert_int_equal(cn_image_encode(grey, 1, 1, CN_IMAGE_PNG, 0, &png, &size, &err), CN_OK);
    const cn_visualisation v = {.facet = facet, .objective = "layer4:1", .settings = settings, .value = value, .path = (double)NAN, .blocks = "", .png = png,
                                .png_size = size};
    assert_int_equal(cn_study_keep_visualisation(s, unit, &v, &err), CN_OK);
    cn_bytes_free(png);
}

static void expect_kept(cn_study *s, size_t i, const char *settings, double value)
{
    cn_visualisation *list;
    size_t n;
    assert_int_equal(cn_study_visualisations(s, (cn_unit_ref){0, 1}, &list, &n, NULL), CN_OK);
    assert_true(n > i);
    assert_string_equal(list[i].settings, settings);
    assert_true(list[i].value == value);
    cn_visualisations_free(list);
}

static int gallery_height(cn_study *s)
{
    const cn_card_options o = {.gallery = true, .scale = 1};
    const cn_unit_ref unit = {0, 1};
    cn_image *image;
    cn_error err = {0};
    assert_int_equal(cn_card_write_png(s, &unit, 1, &o, tempdir_path(dir, "gallery.png"), &err), CN_OK);
    assert_int_equal(cn_image_load(&image, tempdir_path(dir, "gallery.png"), NULL, &err), CN_OK);
    const int height = image->height;
    cn_image_free(image);
    return height;
}

/* A line at the foot of a gallery says what marks mean, and is not there without marks. */
static void a_gallery_explains_its_marks(void **state)
{
    (void)state;
    cn_unit_row *row;
    fake_scan(dir, "marks", NULL, NULL);
    cn_study *s = open_study("marks");
    assert_int_equal(cn_study_unit(s, (cn_unit_ref){0, 1}, &row, NULL), CN_OK);
    keep(s, "", "strong", 2 * row->max);
    const int unmarked = gallery_height(s);
    keep(s, "face", "weak", row->max / 2);
    assert_int_equal(gallery_height(s), unmarked + 18);
    cn_unit_rows_free(row);
    cn_study_close(s);
}

/* The latest counts, unless it is a failure and the older one is none. Cards say so of those that are left. */
static void a_stuck_picture_takes_no_better_ones_place(void **state)
{
    (void)state;
    const cn_unit_ref unit = {0, 1};
    cn_unit_row *row;
    fake_scan(dir, "stuck", NULL, NULL);
    cn_study *s = open_study("stuck");
    assert_int_equal(cn_study_unit(s, unit, &row, NULL), CN_OK);
    const double natural = row->max;
    cn_unit_rows_free(row);
    keep(s, "", "stuck", natural / 4);
    keep(s, "", "default", natural / 2); /* short as well, but stronger */
    expect_kept(s, 0, "default", natural / 2);
    char *text = page(s, &unit, 1, NULL);
    assert_non_null(strstr(text, "This picture does not reach the strongest natural picture. "));
    assert_int_equal(count(text, "\xe2\x80\xa0"), 0);
    free(text);
    keep(s, "", "no transforms", 3 * natural);
    keep(s, "", "stuck", natural / 4);
    expect_kept(s, 0, "no transforms", 3 * natural);
    keep(s, "", "default", 1.5 * natural); /* weaker, but good: the latest */
    expect_kept(s, 0, "default", 1.5 * natural);
    keep(s, "face", "stuck", natural / 4); /* another facet */
    expect_kept(s, 0, "default", 1.5 * natural);
    expect_kept(s, 1, "stuck", natural / 4);
    text = page(s, &unit, 1, NULL);
    assert_well_formed(text);
    assert_int_equal(count(text, " sd\xe2\x80\xa0</b>"), 1);
    assert_non_null(strstr(text, "Those marked with \xe2\x80\xa0 do not reach the strongest natural picture. "));
    free(text);
    keep(s, "", "default", natural / 8); /* the same settings: what they give now */
    expect_kept(s, 0, "default", natural / 8);
    text = page(s, &unit, 1, NULL);
    assert_non_null(strstr(text, "These pictures do not reach"));
    free(text);
    cn_study_close(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_has_all_parts_and_needs_nothing_else),
        cmocka_unit_test(options_choose_what_is_shown),
        cmocka_unit_test(optimised_pictures_stand_on_the_card),
        cmocka_unit_test(a_gallery_explains_its_marks),
        cmocka_unit_test(a_stuck_picture_takes_no_better_ones_place),
        cmocka_unit_test(what_was_found_stands_on_the_card),
        cmocka_unit_test(dead_and_silent_units_say_so),
        cmocka_unit_test(no_units_and_empty_studies_make_a_page),
        cmocka_unit_test(names_never_become_markup),
        cmocka_unit_test(sheets_have_the_size_of_their_cards),
        cmocka_unit_test(sheets_for_the_web_are_small),
        cmocka_unit_test(a_folder_gets_one_picture_a_unit),
        cmocka_unit_test(bad_requests_are_refused_and_leave_no_file),
        cmocka_unit_test(each_failing_allocation_of_a_page_is_survived),
        cmocka_unit_test(numbers_read_well),
        cmocka_unit_test(the_region_hangs_together_with_the_peak),
        cmocka_unit_test(a_damaged_database_gives_errors_but_never_a_crash),
        cmocka_unit_test(values_that_make_no_sense_are_refused),
        cmocka_unit_test(what_is_no_study_is_said_to_be_none),
    };
    return cmocka_run_group_tests(tests, make_study, remove_study);
}
