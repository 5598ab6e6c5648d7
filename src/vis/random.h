/* vis/random.h -- repeatable random numbers: the same seed gives the same numbers on every machine.
 * splitmix64 (Steele, Lea and Flood 2014): every state is good, so streams are made by mixing numbers into the seed. */
#ifndef VIS_RANDOM_H
#define VIS_RANDOM_H

#include <math.h>
#include <stdint.h>

typedef struct vis_random {
    uint64_t state;
} vis_random;

static inline uint64_t vis_random_bits(vis_random *r)
{
    uint64_t x = r->state += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* A stream of its own for (seed, a, b). */
static inline vis_random vis_random_stream(uint64_t seed, uint64_t a, uint64_t b)
{
    vis_random r = {seed};
    r.state = vis_random_bits(&r) + a;
    r.state = vis_random_bits(&r) + b;
    r.state = vis_random_bits(&r);
    return r;
}

/* [0, 1) */
static inline double vis_random_unit(vis_random *r)
{
    return (double)(vis_random_bits(r) >> 11) / 9007199254740992.0;
}

/* 0 .. below - 1 */
static inline int64_t vis_random_below(vis_random *r, int64_t below)
{
    return (int64_t)(vis_random_unit(r) * (double)below);
}

/* Normal with mean 0 and deviation 1 (Box and Muller). */
static inline double vis_random_normal(vis_random *r)
{
    const double u = 1 - vis_random_unit(r), v = vis_random_unit(r);
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

#endif
