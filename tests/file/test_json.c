/* The JSON reader takes what the grammar allows and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "file/json.h"

static cn_status skip_all(const char *text, cn_error *err)
{
    json j;
    json_init(&j, text, strlen(text), "test");
    cn_status st = json_skip(&j, err);
    return st == CN_OK ? json_end(&j, err) : st;
}

static void valid_texts_are_skipped(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{}",
        "[]",
        " [ ] ",
        "null",
        "true",
        "false",
        "0",
        "-0",
        "12.5e-3",
        "1E+9",
        "\"\"",
        "\"\\u00e9\\n\\/\"",
        "{\"a\":[1,{\"b\":null}],\"c\":{}}",
        "[[],[[]],{}]",
        "\"\xc3\xa9\xe2\x98\x83\xf0\x9f\x98\x80\"",
        "\"\\ud83d\\ude00\"",
        "\t\r\n[1 , 2]\n",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        cn_error err = {0};
        if (skip_all(texts[i], &err) != CN_OK)
            fail_msg("%s: %s", texts[i], err.text);
    }
}

static void invalid_texts_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        " ",
        "{",
        "[",
        "}",
        "]",
        "[1",
        "[1,]",
        "[,1]",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{1:2}",
        "{\"a\":1 \"b\":2}",
        "[1 2]",
        "[1]]",
        "1 2",
        "01",
        "-",
        "+1",
        ".5",
        "1.",
        "1e",
        "1e+",
        "nul",
        "True",
        "nan",
        "\"",
        "\"a",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\ud83d\"",
        "\"\\ude00\"",
        "\"\\u0000\"",
        "\"\n\"",
        "\"\x80\"",
        "\"\xc0\xaf\"",
        "\"\xed\xa0\x80\"",
        "\"\xf4\x90\x80\x80\"",
        "\"\xe2\x98\"",
        "\"\xff\"",
        "[}",
        "{]",
        "// x",
        "'a'",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        cn_error err = {0};
        if (skip_all(texts[i], &err) != CN_EFORMAT)
            fail_msg("taken, or refused for another reason: %s (%s)", texts[i], err.text);
        assert_non_null(strstr(err.text, "test: damaged JSON at byte"));
    }
}

static void depth_is_limited(void **state)
{
    (void)state;
    char text[2 * JSON_MAX_DEPTH + 3];
    memset(text, '[', JSON_MAX_DEPTH);
    memset(text + JSON_MAX_DEPTH, ']', JSON_MAX_DEPTH);
    text[2 * JSON_MAX_DEPTH] = '\0';
    assert_int_equal(skip_all(text, NULL), CN_OK);
    memset(text, '[', JSON_MAX_DEPTH + 1);
    cn_error err = {0};
    assert_int_equal(skip_all(text, &err), CN_ELIMIT);
}

static void members_are_read_in_order(void **state)
{
    (void)state;
    const char *text =
        "{\"n\": -12, \"s\": \"\\u00fc\\ud83d\\ude00\\\"\", \"skip\": [[{}]], \"a\": [1, 2, 3]}";
    json j;
    bool more;
    char key[8], value[16];
    int64_t n = 0, sum = 0;
    json_init(&j, text, strlen(text), "test");
    assert_int_equal(json_object(&j, NULL), CN_OK);
    assert_int_equal(json_key(&j, &more, key, sizeof key, NULL), CN_OK);
    assert_string_equal(key, "n");
    assert_int_equal(json_peek(&j), JSON_NUMBER);
    assert_int_equal(json_integer(&j, &n, NULL), CN_OK);
    assert_int_equal(n, -12);
    assert_int_equal(json_key(&j, &more, key, sizeof key, NULL), CN_OK);
    assert_int_equal(json_string(&j, value, sizeof value, NULL), CN_OK);
    assert_string_equal(value, "\u00fc\U0001f600\"");
    assert_int_equal(json_key(&j, &more, key, sizeof key, NULL), CN_OK);
    assert_int_equal(json_skip(&j, NULL), CN_OK);
    assert_int_equal(json_key(&j, &more, key, sizeof key, NULL), CN_OK);
    assert_int_equal(json_array(&j, NULL), CN_OK);
    for (;;) {
        assert_int_equal(json_item(&j, &more, NULL), CN_OK);
        if (!more)
            break;
        assert_int_equal(json_integer(&j, &n, NULL), CN_OK);
        sum += n;
    }
    assert_int_equal(sum, 6);
    assert_int_equal(json_key(&j, &more, key, sizeof key, NULL), CN_OK);
    assert_false(more);
    assert_int_equal(json_end(&j, NULL), CN_OK);
}

static cn_status integer(const char *text, int64_t *value)
{
    json j;
    json_init(&j, text, strlen(text), "test");
    return json_integer(&j, value, NULL);
}

static void integers_keep_64_bits(void **state)
{
    (void)state;
    int64_t n;
    assert_int_equal(integer("9223372036854775807", &n), CN_OK);
    assert_true(n == INT64_MAX);
    assert_int_equal(integer("-9223372036854775808", &n), CN_OK);
    assert_true(n == INT64_MIN);
    assert_int_equal(integer("9223372036854775808", &n), CN_EFORMAT);
    assert_int_equal(integer("-9223372036854775809", &n), CN_EFORMAT);
    assert_int_equal(integer("1.0", &n), CN_EFORMAT);
    assert_int_equal(integer("1e3", &n), CN_EFORMAT);
    assert_int_equal(integer("\"1\"", &n), CN_EFORMAT);
}

static void long_strings_meet_their_limit(void **state)
{
    (void)state;
    char buffer[5];
    json j;
    json_init(&j, "\"abcd\"", 6, "test");
    assert_int_equal(json_string(&j, buffer, sizeof buffer, NULL), CN_OK);
    assert_string_equal(buffer, "abcd");
    cn_error err = {0};
    json_init(&j, "\"abcde\"", 7, "test");
    assert_int_equal(json_string(&j, buffer, sizeof buffer, &err), CN_ELIMIT);
}

static void names_are_checked(void **state)
{
    (void)state;
    assert_true(json_clean_text("visual.layer4 \u2603", 17));
    assert_false(json_clean_text("a\nb", 3));
    assert_false(json_clean_text("a\0b", 3));
    assert_false(json_clean_text("\xc3", 1));
    assert_false(json_clean_text("\x7f", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_texts_are_skipped), cmocka_unit_test(invalid_texts_are_refused),
        cmocka_unit_test(depth_is_limited),        cmocka_unit_test(members_are_read_in_order),
        cmocka_unit_test(integers_keep_64_bits),   cmocka_unit_test(long_strings_meet_their_limit),
        cmocka_unit_test(names_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
