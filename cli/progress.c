/* cli/progress.c -- bar, rate and time left, drawn at most ten times a second. */
#include "progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static struct {
    bool shown, drawn;
    const char *what;
    int64_t total;
    progress_unit unit;
    double start, last;
} bar;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void quantity(char *out, size_t size, double amount, progress_unit unit)
{
    if (unit == PROGRESS_ITEMS)
        snprintf(out, size, amount < 100 ? "%.1f" : "%.0f", amount);
    else if (amount < 1e6)
        snprintf(out, size, "%.0f kB", amount / 1e3);
    else if (amount < 1e9)
        snprintf(out, size, "%.1f MB", amount / 1e6);
    else
        snprintf(out, size, "%.2f GB", amount / 1e9);
}

static void duration(char *out, size_t size, double seconds)
{
    long s = (long)(seconds + 0.5);
    if (s < 3600)
        snprintf(out, size, "%ld:%02ld", s / 60, s % 60);
    else
        snprintf(out, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
}

int progress_line(char *out, int out_size, const char *what, int64_t done, int64_t total, int64_t base,
                  double seconds, progress_unit unit, int columns)
{
    char amount[64], rate[40] = "", left[40] = "", figures[200], part[32], whole[32];
    double speed = seconds > 0 ? (double)(done - base) / seconds : 0;
    if (unit == PROGRESS_ITEMS) {
        snprintf(part, sizeof part, "%lld", (long long)done);
        snprintf(whole, sizeof whole, "%lld", (long long)total);
    } else {
        quantity(part, sizeof part, (double)done, unit);
        quantity(whole, sizeof whole, (double)total, unit);
    }
    if (total >= 0)
        snprintf(amount, sizeof amount, "%s/%s", part, whole);
    else
        snprintf(amount, sizeof amount, "%s", part);
    if (speed > 0 && seconds >= 0.5) {
        char text[32], time[32];
        quantity(text, sizeof text, speed, unit);
        snprintf(rate, sizeof rate, "  %s/s", text);
        if (total > done) {
            duration(time, sizeof time, (double)(total - done) / speed);
            snprintf(left, sizeof left, "  %s left", time);
        }
    }
    snprintf(figures, sizeof figures, "  %s%s%s", amount, rate, left);
    int room = columns - 1 - (int)strlen(what) - (int)strlen(figures) - 10;
    if (total <= 0 || room < 8)
        return snprintf(out, (size_t)out_size, "%.*s%s", columns > 40 ? 30 : 10, what, figures);
    if (room > 40)
        room = 40;
    double share = (double)done / (double)total;
    int full = (int)(share * room + 0.5);
    full = full > room ? room : full < 0 ? 0 : full;
    char filled[48], empty[48];
    memset(filled, '#', (size_t)full);
    filled[full] = '\0';
    memset(empty, '.', (size_t)(room - full));
    empty[room - full] = '\0';
    return snprintf(out, (size_t)out_size, "%s [%s%s] %3.0f%%%s", what, filled, empty, 100 * share, figures);
}

void progress_start(const char *what, int64_t total, progress_unit unit, bool quiet)
{
    const char *term = getenv("TERM");
    memset(&bar, 0, sizeof bar);
    bar.shown = !quiet && isatty(STDERR_FILENO) && !(term && strcmp(term, "dumb") == 0);
    bar.what = what;
    bar.total = total;
    bar.unit = unit;
    bar.start = now();
}

void progress_set(int64_t done, int64_t total, int64_t base)
{
    if (!bar.shown)
        return;
    double t = now();
    if (bar.drawn && t - bar.last < 0.1 && done != total)
        return;
    struct winsize window;
    int columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col ? window.ws_col : 80;
    char line[512];
    progress_line(line, sizeof line, bar.what, done, total, base, t - bar.start, bar.unit, columns);
    fprintf(stderr, "\r\033[K%s", line);
    fflush(stderr);
    bar.drawn = true;
    bar.last = t;
}

void progress_clear(void)
{
    if (bar.drawn) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
        bar.drawn = false;
    }
}

void progress_end(void)
{
    progress_clear();
    bar.shown = false;
}
