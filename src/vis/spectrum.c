/* vis/spectrum.c -- see spectrum.h; the only file that includes kissfft. Rows by its real transform, then columns: its own
 * transform of several dimensions (131.1.0, that of Debian 12) cannot be made for sides above 52. */
#include "vis/spectrum.h"

#include "base/memory.h"
#include "nn/kernels.h"

#include <kiss_fftr.h>
#include <math.h>

/* kissfft's states have work space of their own, so each lane has its pair. */
typedef struct lane {
    kiss_fftr_cfg row, row_back;
    kiss_fft_cfg column, column_back;
    kiss_fft_cpx *line; /* one column, and its transform; owned */
} lane;

struct vis_spectrum {
    int side, lanes;
    lane *lane;
};

cn_status vis_spectrum_open(vis_spectrum **out, int side, int threads, cn_error *err)
{
    cn_status st = CN_OK;
    vis_spectrum *s = cn_calloc(1, sizeof *s);
    *out = NULL;
    CN_CHECK(s, CN_ENOMEM, "out of memory for a spectrum");
    CN_CHECK(side >= 2 && side % 2 == 0, CN_EINVAL, "pictures made of frequencies have an even side, not %d px", side);
    s->side = side;
    s->lanes = threads < 1 ? 1 : threads;
    s->lane = cn_calloc((size_t)s->lanes, sizeof *s->lane);
    CN_CHECK(s->lane, CN_ENOMEM, "out of memory for a spectrum");
    for (int i = 0; i < s->lanes; i++) {
        lane *l = &s->lane[i];
        l->row = kiss_fftr_alloc(side, 0, NULL, NULL), l->row_back = kiss_fftr_alloc(side, 1, NULL, NULL);
        l->column = kiss_fft_alloc(side, 0, NULL, NULL), l->column_back = kiss_fft_alloc(side, 1, NULL, NULL);
        l->line = cn_calloc(2 * (size_t)side, sizeof *l->line);
        CN_CHECK(l->row && l->row_back && l->column && l->column_back && l->line, CN_ENOMEM, "out of memory for transforms of %d px", side);
    }
    *out = s, s = NULL;
done:
    vis_spectrum_close(s);
    return st;
}

void vis_spectrum_close(vis_spectrum *s)
{
    if (!s)
        return;
    for (int i = 0; s->lane && i < s->lanes; i++) {
        kiss_fftr_free(s->lane[i].row);
        kiss_fftr_free(s->lane[i].row_back);
        kiss_fft_free(s->lane[i].column);
        kiss_fft_free(s->lane[i].column_back);
        cn_free(s->lane[i].line);
    }
    cn_free(s->lane);
    cn_free(s);
}

int64_t vis_spectrum_count(const vis_spectrum *s)
{
    return (int64_t)s->side * (s->side / 2 + 1);
}

void vis_spectrum_frequencies(const vis_spectrum *s, float *frequency)
{
    const int columns = s->side / 2 + 1;
    for (int row = 0; row < s->side; row++)
        for (int column = 0; column < columns; column++) {
            const double y = (row <= s->side / 2 ? row : row - s->side) / (double)s->side, x = column / (double)s->side;
            frequency[row * columns + column] = (float)sqrt(x * x + y * y);
        }
}

typedef struct job {
    const vis_spectrum *s;
    float *spectra, *planes;
    const float *from;
    int64_t n;
    bool weigh; /* the adjoint: columns other than the first and last stand for two frequencies */
} job;

/* The transform of every column of a (side, columns) array, in place. */
static void transform_columns(const lane *l, kiss_fft_cfg transform, kiss_fft_cpx *array, int64_t side, int64_t columns)
{
    for (int64_t x = 0; x < columns; x++) {
        for (int64_t y = 0; y < side; y++)
            l->line[y] = array[y * columns + x];
        kiss_fft(transform, l->line, l->line + side);
        for (int64_t y = 0; y < side; y++)
            array[y * columns + x] = l->line[side + y];
    }
}

static void to_planes(void *data, int64_t begin, int64_t end)
{
    const job *j = data;
    const int64_t side = j->s->side, area = side * side, columns = side / 2 + 1, count = vis_spectrum_count(j->s);
    for (int64_t l = begin; l < end; l++)
        for (int64_t i = l; i < j->n; i += j->s->lanes) {
            const lane *own = &j->s->lane[l];
            kiss_fft_cpx *spectrum = (kiss_fft_cpx *)(void *)(j->spectra + 2 * i * count);
            float *plane = j->planes + i * area;
            transform_columns(own, own->column_back, spectrum, side, columns);
            for (int64_t y = 0; y < side; y++)
                kiss_fftri(own->row_back, spectrum + y * columns, plane + y * side);
            for (int64_t k = 0; k < area; k++)
                plane[k] /= (float)side;
        }
}

static void from_planes(void *data, int64_t begin, int64_t end)
{
    const job *j = data;
    const int64_t side = j->s->side, area = side * side, columns = side / 2 + 1, count = vis_spectrum_count(j->s);
    for (int64_t l = begin; l < end; l++)
        for (int64_t i = l; i < j->n; i += j->s->lanes) {
            const lane *own = &j->s->lane[l];
            float *spectrum = j->spectra + 2 * i * count;
            for (int64_t y = 0; y < side; y++)
                kiss_fftr(own->row, j->from + i * area + y * side, (kiss_fft_cpx *)(void *)spectrum + y * columns);
            transform_columns(own, own->column, (kiss_fft_cpx *)(void *)spectrum, side, columns);
            for (int64_t k = 0; k < count; k++) {
                const bool twice = j->weigh && k % columns != 0 && k % columns != columns - 1;
                const float factor = (twice ? 2.0f : 1.0f) / (float)side;
                spectrum[2 * k] *= factor;
                spectrum[2 * k + 1] *= factor;
            }
        }
}

void vis_spectrum_to_planes(vis_spectrum *s, float *spectra, float *planes, int64_t n)
{
    job j = {.s = s, .spectra = spectra, .planes = planes, .n = n};
    nn_parallel(to_planes, &j, s->lanes, 1);
}

void vis_spectrum_gradient(vis_spectrum *s, const float *planes, float *spectra, int64_t n)
{
    job j = {.s = s, .spectra = spectra, .from = planes, .n = n, .weigh = true};
    nn_parallel(from_planes, &j, s->lanes, 1);
}

void vis_spectrum_of(vis_spectrum *s, const float *planes, float *spectra, int64_t n)
{
    job j = {.s = s, .spectra = spectra, .from = planes, .n = n};
    nn_parallel(from_planes, &j, s->lanes, 1);
}
