/* base/rng.h -- repeatable random numbers: the same seed gives the same numbers on every machine.
 * splitmix64 (Steele, Lea and Flood 2014): every state is good, so streams are made by mixing numbers into the seed. */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <math.h>
#include <stdint.h>

typedef struct rng {
    uint64_t state;
} rng;

static inline uint64_t rng_bits(rng *r)
{
    uint64_t x = r->state += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* A stream of its own for (seed, a, b). */
static inline rng rng_stream(uint64_t seed, uint64_t a, uint64_t b)
{
    rng r = {seed};
    r.state = rng_bits(&r) + a;
    r.state = rng_bits(&r) + b;
    r.state = rng_bits(&r);
    return r;
}

/* [0, 1) */
static inline double rng_unit(rng *r)
{
    return (double)(rng_bits(r) >> 11) / 9007199254740992.0;
}

/* 0 .. below - 1 */
static inline int64_t rng_below(rng *r, int64_t below)
{
    return (int64_t)(rng_unit(r) * (double)below);
}

/* Normal with mean 0 and deviation 1 (Box and Muller). */
static inline double rng_normal(rng *r)
{
    const double u = 1 - rng_unit(r), v = rng_unit(r);
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

#endif
