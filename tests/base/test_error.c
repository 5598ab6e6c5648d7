/* tests/base/test_error.c -- status names, the one-line error text, and allocations that fail when told. */
#include "base/check.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void every_status_has_a_name(void **state)
{
    (void)state;
    for (int s = CN_OK; s <= CN_EBACKEND; s++)
        assert_string_not_equal(cn_status_name((cn_status)s), "unknown status");
    assert_string_equal(cn_status_name((cn_status)(CN_EBACKEND + 1)), "unknown status");
    assert_string_equal(cn_status_name((cn_status)-1), "unknown status");
}

static void first_failure_wins(void **state)
{
    (void)state;
    cn_error err = {0};
    assert_int_equal(cn_fail(&err, CN_EIO, "first %d", 1), CN_EIO);
    assert_int_equal(cn_fail(&err, CN_EFORMAT, "second"), CN_EFORMAT);
    assert_int_equal(err.status, CN_EIO);
    assert_string_equal(err.text, "first 1");
    cn_error_clear(&err);
    assert_int_equal(err.status, CN_OK);
    assert_string_equal(err.text, "");
}

static void message_without_receiver_is_fine(void **state)
{
    (void)state;
    assert_int_equal(cn_fail(NULL, CN_EINVAL, "%s", "nobody listens"), CN_EINVAL);
}

static void hostile_names_stay_on_one_line(void **state)
{
    (void)state;
    cn_error err = {0};
    assert_int_equal(cn_fail(&err, CN_EIO, "a\nb\033[31mc\x7f"), CN_EIO);
    assert_string_equal(err.text, "a?b?[31mc?");
}

static void long_messages_end_in_dots(void **state)
{
    (void)state;
    cn_error err = {0};
    char name[2 * CN_ERROR_TEXT_SIZE];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(cn_fail(&err, CN_EIO, "%s: no such file", name), CN_EIO);
    assert_int_equal(strlen(err.text), CN_ERROR_TEXT_SIZE - 1);
    assert_string_equal(err.text + CN_ERROR_TEXT_SIZE - 4, "...");
}

static void nth_allocation_fails_once(void **state)
{
    (void)state;
    cn_memory_fail_at(2, false);
    void *a = cn_malloc(1), *b = cn_malloc(1), *c = cn_malloc(1);
    assert_non_null(a);
    assert_null(b);
    assert_non_null(c);
    assert_int_equal(cn_memory_count(), 3);
    cn_memory_fail_at(0, false);
    cn_free(a);
    cn_free(c);
}

static void all_later_allocations_fail_when_asked(void **state)
{
    (void)state;
    cn_memory_fail_at(1, true);
    assert_null(cn_malloc(1));
    assert_null(cn_calloc(1, 1));
    assert_null(cn_strdup("x"));
    assert_null(cn_aligned_calloc(1));
    assert_null(cn_reallocarray(NULL, 1, 1));
    cn_memory_fail_at(0, false);
}

static void products_that_wrap_are_refused(void **state)
{
    (void)state;
    assert_null(cn_reallocarray(NULL, SIZE_MAX, 2));
    assert_null(cn_calloc(SIZE_MAX, 2));
    assert_null(cn_aligned_calloc(SIZE_MAX));
    size_t n;
    assert_false(cn_mul_size(SIZE_MAX / 2, 3, &n));
    assert_false(cn_add_size(SIZE_MAX, 1, &n));
    assert_true(cn_mul_size(6, 7, &n));
    assert_int_equal(n, 42);
}

static void aligned_memory_is_zero_and_aligned(void **state)
{
    (void)state;
    unsigned char *p = cn_aligned_calloc(100);
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % 64, 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(p[i], 0);
    cn_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_a_name),
        cmocka_unit_test(first_failure_wins),
        cmocka_unit_test(message_without_receiver_is_fine),
        cmocka_unit_test(hostile_names_stay_on_one_line),
        cmocka_unit_test(long_messages_end_in_dots),
        cmocka_unit_test(nth_allocation_fails_once),
        cmocka_unit_test(all_later_allocations_fail_when_asked),
        cmocka_unit_test(products_that_wrap_are_refused),
        cmocka_unit_test(aligned_memory_is_zero_and_aligned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
