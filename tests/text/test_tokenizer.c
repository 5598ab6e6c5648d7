/* tests/text/test_tokenizer.c -- the public tokenizer: ids, rows, errors, failing memory. */
#include "base/memory.h"
#include "cases.h"
#include "clipneuron/tokenizer.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <time.h>

#include <cmocka.h>

static cn_tokenizer *tok;

static int create(void **state)
{
    (void)state;
    cn_error err = {0};
    return cn_tokenizer_create(&tok, &err) == CN_OK ? 0 : -1;
}

static int destroy(void **state)
{
    (void)state;
    cn_tokenizer_free(tok);
    return 0;
}

static void expect_ids(const char *text, const int32_t *ids, size_t count)
{
    cn_error err = {0};
    int32_t *got = NULL;
    size_t got_count = 0;
    assert_int_equal(cn_tokenizer_encode(tok, text, &got, &got_count, &err), CN_OK);
    if (got_count != count || (count && memcmp(got, ids, count * sizeof *ids) != 0)) {
        print_error("\"%s\" gives", text);
        for (size_t i = 0; i < got_count; i++)
            print_error(" %d", (int)got[i]);
        print_error(", not");
        for (size_t i = 0; i < count; i++)
            print_error(" %d", (int)ids[i]);
        print_error("\n");
        fail();
    }
    cn_tokens_free(got);
}

#define EXPECT_IDS(text, ...) \
    expect_ids((text), (const int32_t[]){__VA_ARGS__}, sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t))

static void expect_file(const char *path, size_t at_least)
{
    token_cases cases;
    assert_true(cases_read(&cases, path));
    assert_true(cases.count >= at_least);
    for (size_t i = 0; i < cases.count; i++)
        expect_ids(cases.at[i].text, cases.at[i].ids, cases.at[i].count);
    cases_free(&cases);
}

static void tokenizer_agrees_with_the_original_on_the_golden_texts(void **state)
{
    (void)state;
    expect_file(CN_TEST_DATA "/golden/tokens.json", 40);
}

static void tokenizer_agrees_with_the_referee(void **state)
{
    (void)state;
    size_t files = 0;
    DIR *dir = opendir(CN_TEST_DATA "/tokens");
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[1024];
        if (!strstr(entry->d_name, ".json"))
            continue;
        snprintf(path, sizeof path, CN_TEST_DATA "/tokens/%s", entry->d_name);
        expect_file(path, 10);
        files++;
    }
    closedir(dir);
    assert_true(files > 0);
}

static void invalid_utf8_reads_as_replacement_characters(void **state)
{
    (void)state;
    const struct {
        const char *bad, *good;
    } cases[] = {
        {"a\xFFz", "a\xEF\xBF\xBDz"},                                 /* no such byte */
        {"a\xE2\x82z", "a\xEF\xBF\xBDz"},                             /* cut short: one for the part */
        {"a\xC0\xAFz", "a\xEF\xBF\xBD\xEF\xBF\xBDz"},                 /* overlong */
        {"a\xED\xA0\x80z", "a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz"}, /* a surrogate */
        {"a\xF4\x90\x80\x80", "a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xF0\x9F\x98", "\xEF\xBF\xBD"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cn_error err = {0};
        int32_t *ids;
        size_t count;
        assert_int_equal(cn_tokenizer_encode(tok, cases[i].good, &ids, &count, &err), CN_OK);
        assert_true(count > 0);
        expect_ids(cases[i].bad, ids, count);
        cn_tokens_free(ids);
    }
}

static void marks_in_the_text_are_marks(void **state)
{
    (void)state;
    EXPECT_IDS("<|startoftext|>", CN_TOKEN_START);
    EXPECT_IDS("<|EndOfText|>", CN_TOKEN_END);
}

static void text_without_words_has_no_ids(void **state)
{
    (void)state;
    const char *texts[] = {"", " \n\t ", "\xEF\xBB\xBF", "\x01\x02"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        cn_error err = {0};
        int32_t *ids = (int32_t *)texts;
        size_t count = 7;
        assert_int_equal(cn_tokenizer_encode(tok, texts[i], &ids, &count, &err), CN_OK);
        assert_null(ids);
        assert_int_equal(count, 0);
    }
}

static void row_has_marks_and_zeros(void **state)
{
    (void)state;
    cn_error err = {0};
    int32_t row[8];
    const int32_t expected[8] = {CN_TOKEN_START, 320, 1929, CN_TOKEN_END, 0, 0, 0, 0};
    size_t used = 0;
    assert_int_equal(cn_tokenizer_row(tok, "a dog", 8, false, row, &used, &err), CN_OK);
    assert_memory_equal(row, expected, sizeof expected);
    assert_int_equal(used, 4);
    const int32_t full[4] = {CN_TOKEN_START, 320, 1929, CN_TOKEN_END};
    assert_int_equal(cn_tokenizer_row(tok, "a dog", 4, false, row, NULL, &err), CN_OK);
    assert_memory_equal(row, full, sizeof full);
}

static void too_long_text_is_refused_with_its_count(void **state)
{
    (void)state;
    cn_error err = {0};
    int32_t row[CN_CONTEXT_LENGTH];
    char text[201] = "";
    for (int i = 0; i < 100; i++)
        strcat(text, "a ");
    assert_int_equal(cn_tokenizer_row(tok, text, CN_CONTEXT_LENGTH, false, row, NULL, &err), CN_ELIMIT);
    assert_non_null(strstr(err.text, "102 tokens"));
    assert_non_null(strstr(err.text, "limit is 77"));
}

static void truncation_keeps_the_end_mark(void **state)
{
    (void)state;
    cn_error err = {0};
    int32_t row[4];
    size_t used = 0;
    const int32_t expected[4] = {CN_TOKEN_START, 320, 1125, CN_TOKEN_END};
    assert_int_equal(cn_tokenizer_row(tok, "a photo of a dog", 4, true, row, &used, &err), CN_OK);
    assert_memory_equal(row, expected, sizeof expected);
    assert_int_equal(used, 4);
}

static void bad_arguments_are_refused(void **state)
{
    (void)state;
    cn_error err = {0};
    int32_t *ids, row[2];
    size_t count;
    assert_int_equal(cn_tokenizer_encode(tok, NULL, &ids, &count, &err), CN_EINVAL);
    assert_int_equal(cn_tokenizer_row(tok, "a", 1, true, row, NULL, NULL), CN_EINVAL);
    assert_int_equal(cn_tokenizer_row(tok, "a", 2, true, row, NULL, NULL), CN_OK);
    assert_int_equal(row[1], CN_TOKEN_END);
    cn_tokenizer_free(NULL);
    cn_tokens_free(NULL);
}

static void token_text_shows_the_word_end_as_a_blank(void **state)
{
    (void)state;
    assert_string_equal(cn_tokenizer_token_text(tok, 1929), "dog ");
    assert_string_equal(cn_tokenizer_token_text(tok, 0), "!");
    assert_string_equal(cn_tokenizer_token_text(tok, 256), "! ");
    assert_string_equal(cn_tokenizer_token_text(tok, 4166), "\xC3\xA9 ");
    assert_string_equal(cn_tokenizer_token_text(tok, 127), "\xEF\xBF\xBD"); /* half a character */
    assert_string_equal(cn_tokenizer_token_text(tok, CN_TOKEN_START), "<|startoftext|>");
    assert_string_equal(cn_tokenizer_token_text(tok, CN_TOKEN_END), "<|endoftext|>");
    assert_null(cn_tokenizer_token_text(tok, -1));
    assert_null(cn_tokenizer_token_text(tok, CN_VOCABULARY));
}

static void every_token_has_a_text(void **state)
{
    (void)state;
    for (int32_t id = 0; id < CN_VOCABULARY; id++) {
        const char *text = cn_tokenizer_token_text(tok, id);
        assert_non_null(text);
        assert_true(strlen(text) > 0);
    }
}

static char *repeated(const char *unit, size_t total)
{
    size_t n = strlen(unit);
    char *text = malloc(total + 1);
    for (size_t i = 0; i < total; i++)
        text[i] = unit[i % n];
    text[total - total % n] = '\0';
    return text;
}

/* A quadratic step would need minutes for these, with a sanitizer hours. */
static void hostile_texts_stay_linear(void **state)
{
    (void)state;
    const char *units[] = {"a",
                           "in",
                           "'",
                           "&",
                           "&amp;",
                           "&#",
                           "&amp",
                           "<",
                           "\x1b[1",
                           "\xCC\x81\xCC\xA3",
                           "\xCE\xA3",
                           "'\xCE\xA3",
                           "\xC3\x83",
                           "\xC3\xA2\xE2\x82\xAC",
                           "\xEF\xBD\xB6\xEF\xBE\x9E",
                           "aZ1 ",
                           "\xC3\xA2\xE2\x82\xAC ",
                           "\xC3\xA2\xE2\x82\xACz",
                           "\xC3\x83\xC2"};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        char *text = repeated(units[i], CN_MAX_TEXT / 4);
        cn_error err = {0};
        int32_t *ids;
        size_t count;
        struct timespec start, end;
        clock_gettime(CLOCK_MONOTONIC, &start);
        assert_int_equal(cn_tokenizer_encode(tok, text, &ids, &count, &err), CN_OK);
        clock_gettime(CLOCK_MONOTONIC, &end);
        assert_true(end.tv_sec - start.tv_sec < 30);
        cn_tokens_free(ids);
        free(text);
    }
}

static void text_beyond_the_limit_is_refused(void **state)
{
    (void)state;
    cn_error err = {0};
    int32_t *ids;
    size_t count;
    char *text = repeated("a", CN_MAX_TEXT + 1);
    assert_int_equal(cn_tokenizer_encode(tok, text, &ids, &count, &err), CN_ELIMIT);
    assert_non_null(strstr(err.text, "1048576"));
    free(text);
}

static void create_survives_each_failing_allocation(void **state)
{
    (void)state;
    for (size_t n = 1;; n++) {
        cn_error err = {0};
        cn_tokenizer *t = (cn_tokenizer *)1;
        cn_memory_fail_at(n, false);
        cn_status st = cn_tokenizer_create(&t, &err);
        cn_memory_fail_at(0, false);
        if (st == CN_OK) {
            assert_true(n > 3);
            cn_tokenizer_free(t);
            break;
        }
        assert_int_equal(st, CN_ENOMEM);
        assert_null(t);
        assert_true(err.text[0]);
    }
}

static void encode_survives_each_failing_allocation(void **state)
{
    (void)state;
    char text[1200] = "\xC4\xB0 &amp; \xEF\xAC\x81 e\xCC\x81 \xC3\x83\xC2\xA9t\xC3\x83\xC2\xA9 "
                      "\xE2\x80\x9Cq\xE2\x80\x9D\n<b>&eacute; ";
    for (int i = 0; i < 500; i++)
        strcat(text, i % 2 ? "\xCC\x81" : "x");
    for (int mode = 0; mode < 2; mode++)
        for (size_t n = 1;; n++) {
            cn_error err = {0};
            int32_t *ids = NULL;
            size_t count = 0;
            cn_memory_fail_at(n, mode == 1);
            cn_status st = cn_tokenizer_encode(tok, text, &ids, &count, &err);
            cn_memory_fail_at(0, false);
            if (st == CN_OK) {
                assert_true(n > 5 && count > 0);
                cn_tokens_free(ids);
                break;
            }
            assert_int_equal(st, CN_ENOMEM);
            assert_null(ids);
            assert_true(err.text[0]);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokenizer_agrees_with_the_original_on_the_golden_texts),
        cmocka_unit_test(tokenizer_agrees_with_the_referee),
        cmocka_unit_test(invalid_utf8_reads_as_replacement_characters),
        cmocka_unit_test(marks_in_the_text_are_marks),
        cmocka_unit_test(text_without_words_has_no_ids),
        cmocka_unit_test(row_has_marks_and_zeros),
        cmocka_unit_test(too_long_text_is_refused_with_its_count),
        cmocka_unit_test(truncation_keeps_the_end_mark),
        cmocka_unit_test(bad_arguments_are_refused),
        cmocka_unit_test(token_text_shows_the_word_end_as_a_blank),
        cmocka_unit_test(every_token_has_a_text),
        cmocka_unit_test(hostile_texts_stay_linear),
        cmocka_unit_test(text_beyond_the_limit_is_refused),
        cmocka_unit_test(create_survives_each_failing_allocation),
        cmocka_unit_test(encode_survives_each_failing_allocation),
    };
    return cmocka_run_group_tests(tests, create, destroy);
}
