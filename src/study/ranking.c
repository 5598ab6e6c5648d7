/* study/ranking.c -- the label that chance explains least, and a score that puts multimodal units first. */
#include "study/ranking.h"

#include <math.h>
#include <string.h>
#include <strings.h>

static double log_choose(int64_t n, int64_t k)
{
    return lgamma((double)n + 1) - lgamma((double)k + 1) - lgamma((double)(n - k) + 1);
}

double chance_surprise(int64_t hits, int64_t drawn, int64_t marked, int64_t all)
{
    int64_t most = drawn < marked ? drawn : marked;
    double total = log_choose(all, drawn), p = 0;
    if (hits <= 0 || drawn > all || marked > all)
        return 0;
    for (int64_t k = most; k >= hits; k--)
        if (drawn - k <= all - marked)
            p += exp(log_choose(marked, k) + log_choose(all - marked, drawn - k) - total);
    return p >= 1 ? 0 : -log10(p > 1e-300 ? p : 1e-300);
}

bool medium_is_written(const char *name)
{
    static const char *const names[] = {"word",        "words",        "text",      "writing",
                                        "written",     "written word", "lettering", "typography",
                                        "typographic", "handwriting"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcasecmp(name, names[i]) == 0)
            return true;
    return false;
}

rank_facts rank_unit(const int64_t *labels, const int64_t *media, int n, const int64_t *label_images,
                     int64_t all, const bool *written, int64_t n_media, double peak_sd)
{
    rank_facts r = {.label = -1};
    for (int i = 0; i < n; i++) {
        if (labels[i] < 0)
            continue;
        int64_t hits = 0;
        bool seen = false;
        for (int k = 0; k < n; k++) {
            hits += labels[k] == labels[i];
            seen = seen || (k < i && labels[k] == labels[i]);
        }
        if (seen)
            continue;
        double surprise = chance_surprise(hits, n, label_images[labels[i]], all);
        if (r.label >= 0 && surprise <= r.surprise) /* equal: the label of the stronger picture stays */
            continue;
        r.label = labels[i];
        r.hits = hits;
        r.surprise = surprise;
        int64_t most = label_images[labels[i]] < n ? label_images[labels[i]] : n;
        r.purity = (double)hits / (double)(most > 0 ? most : 1);
    }
    for (int i = 0; i < n && r.label >= 0; i++) {
        if (labels[i] != r.label || media[i] < 0 || media[i] >= n_media || media[i] >= 256)
            continue;
        uint64_t bit = UINT64_C(1) << (media[i] % 64);
        if (r.media[media[i] / 64] & bit)
            continue;
        r.media[media[i] / 64] |= bit;
        r.media_count++;
        r.reads = r.reads || written[media[i]];
    }
    /* Two hits of a small label happen by chance somewhere among a thousand units: below 1 in 10^4
     * what follows counts little. */
    double trust = r.surprise / (r.surprise + 4);
    double span = n_media > 1 ? (double)(r.media_count - 1) / (double)(n_media - 1) : 0;
    double multimodal = r.reads && r.media_count > 1 ? 1 : 0;
    double strength = peak_sd > 0 ? peak_sd / (peak_sd + 10) : 0;
    r.score = trust * (r.purity + multimodal * (0.5 + 0.5 * span)) + 0.25 * strength;
    return r;
}

void rank_spread(rank_facts *ranks, int64_t units)
{
    for (int64_t u = 0; u < units; u++)
        ranks[u].spread = ranks[u].score;
    for (int64_t u = 0; u < units; u++)
        for (int64_t k = 0; k < units && ranks[u].label >= 0; k++)
            if (ranks[k].label == ranks[u].label &&
                (ranks[k].score > ranks[u].score || (ranks[k].score == ranks[u].score && k < u)))
                ranks[u].spread *= 0.8;
    for (int64_t u = 0; u < units; u++)
        ranks[u].score = ranks[u].spread;
}
