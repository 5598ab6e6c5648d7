/* study/wordscore.c -- standardise both sides, then one matrix product, tile by tile. */
#include "study/wordscore.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

#define TILE 256 /* words at a time */
#define BLOCK 4  /* units at a time */

static float *floats(int64_t a, int64_t b)
{
    size_t count, bytes;
    if (!cn_mul_size((size_t)a, (size_t)b, &count) || !cn_mul_size(count, sizeof(float), &bytes))
        return NULL;
    return cn_aligned_calloc(bytes);
}

static void normalise(const float *from, float *to, int64_t width)
{
    double sum = 0;
    for (int64_t k = 0; k < width; k++)
        sum += (double)from[k] * from[k];
    float factor = sum > 0 ? (float)(1 / sqrt(sum)) : 0;
    for (int64_t k = 0; k < width; k++)
        to[k] = from[k] * factor;
}

/* Every column of m (n, columns): mean 0 and sum of squares 1; constant columns become 0. */
static void standardise(float *m, int64_t n, int64_t columns, double *mean, double *power)
{
    memset(mean, 0, (size_t)columns * sizeof *mean);
    memset(power, 0, (size_t)columns * sizeof *power);
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < columns; c++)
            mean[c] += m[i * columns + c];
    for (int64_t c = 0; c < columns; c++)
        mean[c] /= (double)n;
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < columns; c++) {
            double d = m[i * columns + c] - mean[c];
            power[c] += d * d;
        }
    for (int64_t c = 0; c < columns; c++) {
        bool constant = !(sqrt(power[c] / (double)n) > 1e-6 * fabs(mean[c]));
        power[c] = constant ? 0 : 1 / sqrt(power[c]);
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < columns; c++)
            m[i * columns + c] = (float)((m[i * columns + c] - mean[c]) * power[c]);
}

static float dot(const float *a, const float *b, int64_t width)
{
    float lanes[8] = {0};
    int64_t k = 0;
    for (; k + 8 <= width; k += 8)
        for (int j = 0; j < 8; j++)
            lanes[j] += a[k + j] * b[k + j];
    for (; k < width; k++)
        lanes[0] += a[k] * b[k];
    return ((lanes[0] + lanes[4]) + (lanes[1] + lanes[5])) + ((lanes[2] + lanes[6]) + (lanes[3] + lanes[7]));
}

/* Cosines of one picture with all words -> shares: softmax of WORDS_SHARPNESS times their z-score among
 * the known words. Unknown words get 0. */
static void sharpen(float *row, const bool *known, int64_t words, int64_t count)
{
    double sum = 0, power = 0, total = 0, top = -INFINITY;
    for (int64_t w = 0; w < words; w++)
        sum += known[w] ? row[w] : 0;
    double mean = sum / (double)count;
    for (int64_t w = 0; w < words; w++)
        if (known[w]) {
            power += (row[w] - mean) * (row[w] - mean);
            top = row[w] > top ? row[w] : top;
        }
    double factor = power > 0 ? WORDS_SHARPNESS / sqrt(power / (double)count) : 0;
    for (int64_t w = 0; w < words; w++) {
        row[w] = known[w] ? (float)exp((row[w] - top) * factor) : 0;
        total += row[w];
    }
    for (int64_t w = 0; w < words; w++)
        row[w] = (float)(row[w] / total); /* total >= 1: the nearest word gave exp(0) */
}

/* out (n, words): how near each picture is to each word. unit_texts are normalised. */
static cn_status similarities(const float *const *embeddings, int64_t width, int64_t n,
                              const float *unit_texts, const bool *known, int64_t words, int64_t count,
                              float *out, cn_error *err)
{
    float *image = floats(width, 1);
    if (!image)
        return cn_fail(err, CN_ENOMEM, "out of memory for an embedding");
    for (int64_t i = 0; i < n; i++) {
        float *row = out + i * words;
        normalise(embeddings[i], image, width);
        for (int64_t w = 0; w < words; w++)
            row[w] = known[w] ? dot(image, unit_texts + w * width, width) : 0;
        if (count >= WORDS_SHARPENED_FROM)
            sharpen(row, known, words, count);
    }
    cn_free(image);
    return CN_OK;
}

static void offer(word_match *best, int32_t word, float score)
{
    int at = WORDS_KEPT - 1;
    if (!(score > 0) || (best[at].word >= 0 && best[at].score >= score))
        return;
    for (; at > 0 && (best[at - 1].word < 0 || best[at - 1].score < score); at--)
        best[at] = best[at - 1];
    best[at] = (word_match){.word = word, .score = score};
}

/* Correlations of BLOCK units with one tile of words; a is (n, units), c is (n, words). */
static void correlate(const float *a, int64_t units, int64_t unit, int block, const float *c, int64_t words,
                      int64_t word, int tile, int64_t n, float sums[BLOCK][TILE])
{
    memset(sums, 0, sizeof(float) * BLOCK * TILE);
    for (int64_t i = 0; i < n; i++) {
        const float *row = c + i * words + word;
        for (int b = 0; b < block; b++) {
            float x = a[i * units + unit + b];
            for (int w = 0; w < tile; w++)
                sums[b][w] += x * row[w];
        }
    }
}

cn_status wordscore(const float *const *values, int64_t units, const float *const *embeddings, int64_t width, int64_t n,
                    const float *texts, const bool *known, int64_t words,
                    word_match *best, cn_error *err)
{
    cn_status st = CN_OK;
    int64_t most = units > words ? units : words, count = 0;
    float *a = NULL, *c = NULL, *unit_texts = NULL;
    double *scratch = NULL;
    for (int64_t i = 0; i < units * WORDS_KEPT; i++)
        best[i] = (word_match){.word = -1};
    for (int64_t w = 0; w < words; w++)
        count += known[w];
    if (n < 4 || count == 0)
        return CN_OK;
    a = floats(n, units);
    c = floats(n, words);
    unit_texts = floats(words, width);
    scratch = cn_calloc((size_t)most, 2 * sizeof *scratch);
    CN_CHECK(a && c && unit_texts && scratch, CN_ENOMEM,
             "out of memory for scoring %lld words over %lld pictures", (long long)words, (long long)n);
    for (int64_t w = 0; w < words; w++)
        normalise(texts + w * width, unit_texts + w * width, width);
    CN_TRY(similarities(embeddings, width, n, unit_texts, known, words, count, c, err));
    for (int64_t i = 0; i < n; i++)
        memcpy(a + i * units, values[i], (size_t)units * sizeof *a);
    standardise(c, n, words, scratch, scratch + most);
    standardise(a, n, units, scratch, scratch + most);
    for (int64_t word = 0; word < words; word += TILE) {
        int tile = words - word < TILE ? (int)(words - word) : TILE;
        for (int64_t unit = 0; unit < units; unit += BLOCK) {
            float sums[BLOCK][TILE];
            int block = units - unit < BLOCK ? (int)(units - unit) : BLOCK;
            correlate(a, units, unit, block, c, words, word, tile, n, sums);
            for (int b = 0; b < block; b++)
                for (int w = 0; w < tile; w++)
                    if (known[word + w])
                        offer(best + (unit + b) * WORDS_KEPT, (int32_t)(word + w), sums[b][w]);
        }
    }
    for (int64_t i = 0; i < units * WORDS_KEPT; i++) {
        if (best[i].word < 0)
            continue;
        double r = best[i].score > 0.999999f ? 0.999999 : best[i].score;
        double z = atanh(r) * sqrt((double)(n - 3));
        best[i].z = (float)z;
        best[i].significant = 0.5 * erfc(z / sqrt(2.0)) * (double)count < 0.05;
    }
done:
    cn_free(a);
    cn_free(c);
    cn_free(unit_texts);
    cn_free(scratch);
    return st;
}
