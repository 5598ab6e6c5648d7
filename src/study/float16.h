/* study/float16.h -- IEEE half precision, to and from float, in portable C (round to nearest even).
 * For stored maps and matrices; the network has its own conversions. */
#ifndef STUDY_FLOAT16_H
#define STUDY_FLOAT16_H

#include <stdint.h>

uint16_t float16_from(float value);
float float16_to(uint16_t half);

#endif
