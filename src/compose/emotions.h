/* compose/emotions.h -- models/words/emotions.txt, compiled in by the build. */
#ifndef COMPOSE_EMOTIONS_H
#define COMPOSE_EMOTIONS_H

#include <stddef.h>

extern const char *const emotions_words[];
extern const size_t emotions_count;

#endif
