/* vis/transform.c -- see transform.h. */
#include "vis/transform.h"

#include "nn/kernels.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* ---- sets ---- */

/* Lucid's standard set: pad 12, jitter 8, scale 1 + (i - 5)/50 for i = 0..10, rotate -10..10 degrees (Lucid draws 0 six
 * times as often as another angle, which is left out here), jitter 4. Padding is what lies outside the picture:
 * the network sees the whole picture, not one that is smaller by a frame. */
static const vis_transforms standard = {
    .step = {{VIS_JITTER, 0, 8, 0, false}, {VIS_SCALE, -5, 5, 50, true}, {VIS_ROTATE, -10, 10, 0, false}, {VIS_JITTER, 0, 4, 0, false}},
    .count = 4};

/* Half of it: a network that sees few pixels has units for small and for written things, which Lucid's set, made for 224 px, never shows twice
 * alike. Of 70 units of the default model (96 px), 256 steps drive 69 beyond their strongest natural picture with this set, 65 with Lucid's. */
static const vis_transforms mild = {
    .step = {{VIS_JITTER, 0, 4, 0, false}, {VIS_SCALE, 0.95, 1.05, 0, false}, {VIS_ROTATE, -5, 5, 0, false}}, .count = 3};

/* That of Goh et al. 2021 as released: ten jitters of 4, scale 0.995^n (n = -5..79) and 0.998^n (n = 20..39), rotate -20..19
 * degrees, jitter 2. */
static const vis_transforms paper = {
    .step = {{VIS_JITTER, 0, 4, 0, false}, {VIS_JITTER, 0, 4, 0, false}, {VIS_JITTER, 0, 4, 0, false}, {VIS_JITTER, 0, 4, 0, false},
             {VIS_JITTER, 0, 4, 0, false}, {VIS_JITTER, 0, 4, 0, false}, {VIS_JITTER, 0, 4, 0, false}, {VIS_JITTER, 0, 4, 0, false},
             {VIS_JITTER, 0, 4, 0, false}, {VIS_JITTER, 0, 4, 0, false}, {VIS_SCALE, -5, 79, 0.995, false},
             {VIS_SCALE, 20, 39, 0.998, false}, {VIS_ROTATE, -20, 19, 0, false}, {VIS_JITTER, 0, 2, 0, false}},
    .count = 14};

/* Fel et al. 2023 (MACO): crops of half the picture give or take, and noise. */
static const vis_transforms crops = {.step = {{VIS_CROP, 40, 90, 0, false}}, .count = 1, .noise = 0.05};

static const struct {
    const char *name;
    const vis_transforms *set;
} sets[] = {{"standard", &standard}, {"mild", &mild}, {"paper", &paper}, {"crops", &crops}, {"none", &(const vis_transforms){.count = 0}}};

static void skip_space(const char **at)
{
    while (isspace((unsigned char)**at))
        (*at)++;
}

/* "A-B" or "B" (then A is *low as it comes in). */
static bool read_range(const char **at, double *low, double *high)
{
    char *end;
    skip_space(at);
    *high = strtod(*at, &end);
    if (end == *at)
        return false;
    *at = end;
    if (**at != '-')
        return true;
    *low = *high;
    *high = strtod(*at + 1, &end);
    const bool good = end > *at + 1 && *high >= *low;
    *at = end;
    return good;
}

cn_status vis_transforms_parse(vis_transforms *out, const char *text, cn_error *err)
{
    cn_status st = CN_OK;
    static const struct {
        const char *word;
        vis_move move;
        double low, least, most;
    } words[] = {{"jitter", VIS_JITTER, 0, 0, 256}, {"scale", VIS_SCALE, 1, 0.1, 10}, {"rotate", VIS_ROTATE, 0, -180, 180},
                 {"crop", VIS_CROP, 100, 5, 100}, {"pad", VIS_PAD, -1, 0, 256}};
    const char *at = text;
    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++)
        if (!strcmp(text, sets[i].name)) {
            *out = *sets[i].set;
            return CN_OK;
        }
    *out = (vis_transforms){.count = 0};
    do {
        size_t word = 0, n = sizeof words / sizeof words[0];
        double low, high;
        at += at > text; /* the comma */
        skip_space(&at);
        const char *begin = at;
        if (!strncmp(at, "noise", 5)) {
            at += 5;
            low = 0;
            CN_CHECK(read_range(&at, &low, &high) && high >= 0 && high <= 1, CN_EINVAL, "noise is a number of 0 to 1, not \"%.40s\"", begin);
            out->noise = high;
        } else {
            while (word < n && strncmp(at, words[word].word, strlen(words[word].word)) != 0)
                word++;
            CN_CHECK(word < n, CN_EINVAL,
                     "\"%.40s\" is no transform: standard, mild, paper, crops, none, or a list of pad PX, jitter PX, scale A-B, rotate A-B, "
                     "crop A-B and noise SD",
                     begin);
            at += strlen(words[word].word);
            low = words[word].low;
            const bool read = read_range(&at, &low, &high);
            low = words[word].move == VIS_PAD && low < 0 ? high : low; /* "pad 12" is always 12 */
            CN_CHECK(read && low >= words[word].least && high <= words[word].most && low <= high, CN_EINVAL,
                     "\"%.40s\": numbers from %g to %g are wanted", begin, words[word].least, words[word].most);
            CN_CHECK(out->count < VIS_MAX_TRANSFORMS, CN_ELIMIT, "more than %d transforms", VIS_MAX_TRANSFORMS);
            out->step[out->count++] = (vis_transform){words[word].move, low, high, 0, false};
        }
        skip_space(&at);
        CN_CHECK(!*at || *at == ',', CN_EINVAL, "a comma is wanted before \"%.40s\"", at);
    } while (*at);
done:
    return st;
}

/* ---- maps ---- */

/* p = map(inner(q)) */
static vis_affine compose(vis_affine map, vis_affine inner)
{
    vis_affine out;
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 2; j++)
            out.m[i][j] = map.m[i][0] * inner.m[0][j] + map.m[i][1] * inner.m[1][j];
        out.c[i] = map.m[i][0] * inner.c[0] + map.m[i][1] * inner.c[1] + map.c[i];
    }
    return out;
}

static double whole_between(rng *r, double low, double high)
{
    return low + (double)rng_below(r, (int64_t)(high - low) + 1);
}

static vis_affine draw_step(const vis_transform *t, rng *r, int side)
{
    vis_affine a = {{{1, 0}, {0, 1}}, {0, 0}};
    double factor = 1, angle = 0;
    switch (t->move) {
    case VIS_JITTER:
        for (int i = 0; i < 2; i++)
            a.c[i] = whole_between(r, 0, t->high) - t->high / 2;
        break;
    case VIS_SCALE:
        if (t->base == 0)
            factor = t->low + (t->high - t->low) * rng_unit(r);
        else if (t->linear)
            factor = 1 + whole_between(r, t->low, t->high) / t->base;
        else
            factor = pow(t->base, whole_between(r, t->low, t->high));
        a.m[0][0] = a.m[1][1] = 1 / factor;
        break;
    case VIS_ROTATE:
        angle = whole_between(r, t->low, t->high) * 3.14159265358979323846 / 180;
        a.m[0][0] = a.m[1][1] = cos(angle);
        a.m[0][1] = sin(angle);
        a.m[1][0] = -sin(angle);
        break;
    case VIS_PAD:
        a.m[0][0] = a.m[1][1] = (side + 2 * whole_between(r, t->low, t->high)) / side;
        break;
    case VIS_CROP:
        factor = (t->low + (t->high - t->low) * rng_unit(r)) / 100;
        a.m[0][0] = a.m[1][1] = factor;
        for (int i = 0; i < 2; i++)
            a.c[i] = (rng_unit(r) - 0.5) * (1 - factor) * side;
        break;
    }
    return a;
}

vis_affine vis_transforms_draw(const vis_transforms *t, rng *r, int side, int seen)
{
    vis_affine a = {{{1, 0}, {0, 1}}, {0, 0}};
    const double zoom = (double)side / seen;
    for (int i = 0; i < t->count; i++)
        a = compose(a, draw_step(&t->step[i], r, side));
    return compose(a, (vis_affine){{{zoom, 0}, {0, zoom}}, {0, 0}});
}

/* ---- sampling ---- */

typedef struct job {
    const float *in;
    float *out;
    int channels, side, seen;
    const vis_affine *map;
    float grey;
} job;

/* Where a place falls between pixels: the upper left one of four, and the weights of the others. */
typedef struct spot {
    int x, y;
    float wx, wy;
} spot;

static spot find(const vis_affine *a, int x, int y, int side, int seen)
{
    const double qx = x + 0.5 - seen / 2.0, qy = y + 0.5 - seen / 2.0;
    const double px = a->m[0][0] * qx + a->m[0][1] * qy + a->c[0] + side / 2.0 - 0.5;
    const double py = a->m[1][0] * qx + a->m[1][1] * qy + a->c[1] + side / 2.0 - 0.5;
    const double fx = floor(px), fy = floor(py);
    return (spot){(int)fx, (int)fy, (float)(px - fx), (float)(py - fy)};
}

static bool inside(int x, int side)
{
    return x >= 0 && x < side;
}

static void sample_images(void *data, int64_t from, int64_t to)
{
    const job *j = data;
    const int64_t area = (int64_t)j->side * j->side, seen_area = (int64_t)j->seen * j->seen;
    for (int64_t row = from; row < to; row++) { /* rows of all pictures */
        const int64_t n = row / j->seen;
        const int y = (int)(row % j->seen);
        for (int x = 0; x < j->seen; x++) {
            const spot s = find(&j->map[n], x, y, j->side, j->seen);
            const float weight[4] = {(1 - s.wx) * (1 - s.wy), s.wx * (1 - s.wy), (1 - s.wx) * s.wy, s.wx * s.wy};
            float *out = j->out + n * j->channels * seen_area + (int64_t)y * j->seen + x;
            for (int c = 0; c < j->channels; c++) {
                const float *plane = j->in + (n * j->channels + c) * area;
                float sum = 0;
                for (int k = 0; k < 4; k++) {
                    const int xx = s.x + k % 2, yy = s.y + k / 2;
                    sum += weight[k] * (inside(xx, j->side) && inside(yy, j->side) ? plane[(int64_t)yy * j->side + xx] : j->grey);
                }
                out[c * seen_area] = sum;
            }
        }
    }
}

void vis_sample(const float *pictures, float *out, int64_t n, int channels, int side, int seen, const vis_affine *map, float grey)
{
    job j = {pictures, out, channels, side, seen, map, grey};
    nn_parallel(sample_images, &j, n * seen, 8);
}

/* One picture is one thread's, so that sums have one order. */
static void scatter_images(void *data, int64_t from, int64_t to)
{
    const job *j = data;
    const int64_t area = (int64_t)j->side * j->side, seen_area = (int64_t)j->seen * j->seen;
    for (int64_t n = from; n < to; n++)
        for (int y = 0; y < j->seen; y++)
            for (int x = 0; x < j->seen; x++) {
                const spot s = find(&j->map[n], x, y, j->side, j->seen);
                const float weight[4] = {(1 - s.wx) * (1 - s.wy), s.wx * (1 - s.wy), (1 - s.wx) * s.wy, s.wx * s.wy};
                const float *in = j->in + n * j->channels * seen_area + (int64_t)y * j->seen + x;
                for (int k = 0; k < 4; k++) {
                    const int xx = s.x + k % 2, yy = s.y + k / 2;
                    if (!inside(xx, j->side) || !inside(yy, j->side))
                        continue;
                    for (int c = 0; c < j->channels; c++)
                        j->out[(n * j->channels + c) * area + (int64_t)yy * j->side + xx] += weight[k] * in[c * seen_area];
                }
            }
}

void vis_sample_gradient(float *d_pictures, const float *d_out, int64_t n, int channels, int side, int seen, const vis_affine *map)
{
    job j = {d_out, d_pictures, channels, side, seen, map, 0};
    nn_parallel(scatter_images, &j, n, 1);
}
