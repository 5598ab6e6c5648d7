/* study/region.c -- which cells of a map answer, and where they are in the picture. */
#include "study/region.h"

#include "base/check.h"
#include "base/memory.h"
#include "clipneuron/ask.h"
#include "image/picture.h"

#include <math.h>
#include <string.h>

bool region_mark(const cn_example *e, const cn_study_site *site, int sign, float *weight, bool *inside)
{
    int64_t h = site->height, w = site->width, n = h * w, peak = 0;
    if (!e->map || n < 2)
        return false;
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(e->map[i]))
            return false;
        if ((float)sign * e->map[i] > (float)sign * e->map[peak])
            peak = i;
    }
    float top = (float)sign * e->map[peak];
    if (!(top > 0))
        return false;
    for (int64_t i = 0; i < n; i++) {
        float v = (float)sign * e->map[i] / top;
        weight[i] = v > 0 ? v : 0;
        inside[i] = i == peak;
    }
    for (bool grew = true; grew;) { /* grow from the peak over cells at half of it */
        grew = false;
        for (int64_t i = 0; i < n; i++) {
            if (inside[i] || weight[i] < 0.5f)
                continue;
            int64_t x = i % w;
            if ((i >= w && inside[i - w]) || (i + w < n && inside[i + w]) || (x > 0 && inside[i - 1]) || (x + 1 < w && inside[i + 1]))
                inside[i] = grew = true;
        }
    }
    return true;
}

/* Cells as a part of the rectangle that the map covers. */
static cn_box box_of(const cn_region *r, const cn_study_site *site, double left, double top, double width, double height)
{
    const double w = (double)site->width, h = (double)site->height;
    return (cn_box){left + width * r->left / w, top + height * r->top / h, left + width * r->right / w, top + height * r->bottom / h};
}

cn_status cn_example_region(const cn_study *study, size_t number, cn_example_kind kind, const cn_example *e, cn_region *out, cn_error *err)
{
    cn_status st = CN_OK;
    const cn_study_site *site = cn_study_site_at(study, number);
    const int size = cn_study_get_info(study)->resolution;
    float *weight = NULL;
    bool *inside = NULL;
    memset(out, 0, sizeof *out);
    CN_CHECK(site, CN_EINVAL, "site %zu: the study has %zu", number, cn_study_site_count(study));
    if (!e->map)
        goto done;
    const int h = (int)site->height, w = (int)site->width, n = h * w; /* below 2^15 each */
    weight = cn_calloc((size_t)n, sizeof *weight);
    inside = cn_calloc((size_t)n, sizeof *inside);
    CN_CHECK(weight && inside, CN_ENOMEM, "out of memory for a map of %d cells", n);
    if (!region_mark(e, site, kind == CN_EXAMPLE_BOTTOM ? -1 : 1, weight, inside))
        goto done;
    cn_region r = {.top = h, .left = w};
    float most = 0;
    for (int i = 0; i < n; i++) {
        if (!inside[i])
            continue;
        r.cells++;
        r.top = i / w < r.top ? i / w : r.top;
        r.bottom = i / w + 1 > r.bottom ? i / w + 1 : r.bottom;
        r.left = i % w < r.left ? i % w : r.left;
        r.right = i % w + 1 > r.right ? i % w + 1 : r.right;
        if (weight[i] > most) {
            most = weight[i];
            r.row = i / w;
            r.column = i % w;
        }
    }
    r.input = box_of(&r, site, 0, 0, size, size);
    if (e->width > 0 && e->height > 0) {
        double left, top, right, bottom;
        picture_crop(e->width, e->height, size, &left, &top, &right, &bottom);
        r.picture = box_of(&r, site, left, top, right - left, bottom - top);
    }
    *out = r;
done:
    cn_free(weight);
    cn_free(inside);
    return st;
}
