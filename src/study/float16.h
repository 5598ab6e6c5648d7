/* study/float16.h -- IEEE half precision, to and from float, in portable C (round to nearest even).
 * For stored maps and matrices; the network has its own conversions. */
#ifndef STUDY_FLOAT16_H
#define STUDY_FLOAT16_H

#include <stddef.h>
#include <stdint.h>

uint16_t float16_from(float value);
/* The same for n values, fast where the processor has F16C. A NaN becomes a NaN. */
void float16_row(uint16_t *half, const float *values, size_t n);
float float16_to(uint16_t half);

#endif
