/* weights/half.h -- 16-bit floats to float32, exactly; pointers need no alignment. */
#ifndef WEIGHTS_HALF_H
#define WEIGHTS_HALF_H

#include <stddef.h>
#include <stdint.h>

/* n contiguous numbers; fast where the processor has F16C. */
void half_to_f32(float *dst, const void *src, size_t n);
void bf16_to_f32(float *dst, const void *src, size_t n);

/* The portable one, which the fast one is tested against. */
void half_to_f32_ref(float *dst, const void *src, size_t n);

#endif
