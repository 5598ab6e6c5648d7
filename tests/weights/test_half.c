/* Every 16-bit pattern, on the fast path and on the portable one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "weights/half.h"

static void every_half_converts_exactly(void **state)
{
    (void)state;
    static uint16_t all[65536];
    static float fast[65536], portable[65536];
    for (unsigned i = 0; i < 65536; i++)
        all[i] = (uint16_t)i;
    half_to_f32(fast, all, 65536);
    half_to_f32_ref(portable, all, 65536);
    assert_memory_equal(fast, portable, sizeof fast);
    for (unsigned i = 0; i < 65536; i++) {
        int exponent = i >> 10 & 31, fraction = i & 1023;
        double value = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
        if (exponent == 31)
            value = fraction ? NAN : INFINITY;
        if (i & 0x8000)
            value = -value;
        if (isnan(value))
            assert_true(isnan(fast[i]));
        else
            assert_true(fast[i] == value && !signbit(fast[i]) == !signbit(value));
    }
}

static void unaligned_and_odd_lengths_convert(void **state)
{
    (void)state;
    uint8_t bytes[2 * 40 + 1];
    float whole[40], part[40];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 37 + 11);
    half_to_f32_ref(whole, bytes + 1, 40);
    for (size_t n = 0; n <= 40; n++) {
        memset(part, 0x55, sizeof part);
        half_to_f32(part, bytes + 1, n);
        assert_memory_equal(part, whole, n * sizeof *part);
        for (size_t i = n; i < 40; i++) /* nothing behind the end is touched */
            assert_memory_equal(part + i, "\x55\x55\x55\x55", 4);
    }
}

static void bf16_is_the_upper_half_of_f32(void **state)
{
    (void)state;
    const uint16_t patterns[] = {0x0000, 0x8000, 0x3f80, 0xbf80, 0x0001, 0x7f80, 0x4049};
    float out[7];
    bf16_to_f32(out, patterns, 7);
    for (int i = 0; i < 7; i++) {
        uint32_t bits;
        memcpy(&bits, out + i, sizeof bits);
        assert_int_equal(bits, (uint32_t)patterns[i] << 16);
    }
    assert_true(out[2] == 1.0f && out[3] == -1.0f && isinf(out[5]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half_converts_exactly),
        cmocka_unit_test(unaligned_and_odd_lengths_convert),
        cmocka_unit_test(bf16_is_the_upper_half_of_f32),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
