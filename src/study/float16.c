/* study/float16.c -- IEEE half precision by bit arithmetic. */
#include "study/float16.h"

#include <string.h>

uint16_t float16_from(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    uint32_t magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000)
        return (uint16_t)(sign | 0x7e00); /* NaN */
    if (magnitude >= 0x477ff000)          /* rounds to 65536 or more */
        return (uint16_t)(sign | 0x7c00);
    if (magnitude < 0x33000001) /* half of the smallest subnormal, or less */
        return sign;
    uint32_t mantissa = (magnitude & 0x7fffff) | 0x800000;
    int exponent = (int)(magnitude >> 23) - 127;
    int shift = exponent < -14 ? -exponent - 1 : 13; /* bits that are dropped */
    uint32_t kept = mantissa >> shift;
    uint32_t rest = mantissa & ((1u << shift) - 1), middle = 1u << (shift - 1);
    if (rest > middle || (rest == middle && (kept & 1)))
        kept++;
    if (exponent >= -14)
        kept += (uint32_t)(exponent + 14) << 10; /* the hidden bit of `kept` adds the last one */
    return (uint16_t)(sign | kept);
}

float float16_to(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t exponent = half >> 10 & 31, mantissa = half & 0x3ff, bits;
    float value;
    if (exponent == 0) {
        value = (float)mantissa * (1.0f / 16777216.0f);
        return sign ? -value : value;
    }
    bits =
        exponent == 31 ? sign | 0x7f800000 | mantissa << 13 : sign | (exponent + 112) << 23 | mantissa << 13;
    memcpy(&value, &bits, sizeof value);
    return value;
}
