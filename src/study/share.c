/* study/share.c -- everything relative to the nearest word, so that no exponential overflows. */
#include "study/share.h"

#include "base/memory.h"
#include "study/product.h"
#include "study/wordscore.h"

#include <math.h>

#define PICTURES 64 /* at a time */

static share_scale scale_of(const float *cosines, int64_t m)
{
    share_scale s = {.top = -INFINITY};
    double sum = 0, power = 0;
    for (int64_t w = 0; w < m; w++) {
        sum += (double)cosines[w];
        s.top = fmax(s.top, (double)cosines[w]);
    }
    s.mean = sum / (double)m;
    for (int64_t w = 0; w < m; w++)
        power += ((double)cosines[w] - s.mean) * ((double)cosines[w] - s.mean);
    s.factor = power > 0 ? WORDS_SHARPNESS / sqrt(power / (double)m) : 0;
    for (int64_t w = 0; w < m; w++)
        s.total += exp(((double)cosines[w] - s.top) * s.factor);
    return s;
}

cn_status share_scales(const float *pictures, int64_t n, const float *words, int64_t m, int64_t width, share_scale *out, cn_error *err)
{
    float *cosines = product_floats(PICTURES, m);
    if (!cosines)
        return cn_fail(err, CN_ENOMEM, "out of memory for the cosines of pictures and %lld words", (long long)m);
    for (int64_t first = 0; first < n; first += PICTURES) {
        const int64_t count = n - first < PICTURES ? n - first : PICTURES;
        product_rows(pictures + first * width, count, words, m, width, cosines, m);
        for (int64_t i = 0; i < count; i++)
            out[first + i] = scale_of(cosines + i * m, m);
    }
    cn_free(cosines);
    return CN_OK;
}

double share_of_word(const share_scale *s, double cosine)
{
    return exp((cosine - s->top) * s->factor) / s->total;
}

double share_of_text(const share_scale *s, double cosine, double without)
{
    double others = s->total - (isnan(without) ? 0 : exp((without - s->top) * s->factor));
    return 1 / (1 + fmax(others, 0) * exp((s->top - cosine) * s->factor)); /* the exponential may be infinite: 0 */
}
