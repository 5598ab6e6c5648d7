/* cli/seetexts.c -- texts that drive objectives: the best of a list, or those that a search finds. */
#include "seetexts.h"
#include "see.h"
#include "interrupt.h"
#include "json.h"
#include "progress.h"
#include "report.h"
#include "texts.h"

#include <clipneuron/image.h>
#include <clipneuron/textsee.h>
#include <stdlib.h>
#include <string.h>

struct shown {
    const struct seetexts *a;
    const cn_model *model;
    const struct run_arguments *run;
    cn_text_search search;
    struct lines list;
    float *pixels; /* of --at */
    size_t n_pixels;
    struct json json;
};

static int read_fluency(struct shown *s)
{
    float x = -1; /* nothing given */
    const int code = options_number("see", "fluency", s->a->fluency, 0, 1, &x);
    s->search.fluency = x > 0 ? x : x == 0 ? -1 : 0;
    return code;
}

/* ---- pictures of --at ---- */

static int read_pixels(struct shown *s)
{
    const cn_model_info *info = cn_model_get_info(s->model);
    const size_t side = (size_t)info->resolution, image = 3 * side * side;
    struct pictures pictures = {0};
    struct picture_reader *reader = NULL;
    struct picture_batch batch = {0};
    if (!s->a->at.count)
        return EXIT_DONE;
    int code = pictures_find(&pictures, &s->a->at);
    if (code == EXIT_DONE)
        code = pictures_read(&reader, &pictures, info->resolution, 8, (int)s->run->threads, (struct reading){.quiet = s->a->quiet});
    if (code == EXIT_DONE) {
        s->n_pixels = pictures.count;
        s->pixels = need(malloc(pictures.count * image * sizeof *s->pixels));
    }
    do {
        code = code == EXIT_DONE ? pictures_next(reader, &batch) : code;
        if (code == EXIT_DONE)
            cn_pixels_normalise(batch.rgb, batch.n, info->resolution, info->mean, info->std, s->pixels + batch.first * image);
    } while (code == EXIT_DONE && batch.n);
    pictures_close(reader);
    pictures_free(&pictures);
    return code;
}

/* ---- one objective ---- */

static void show_progress(void *user, int64_t done, int64_t all)
{
    (void)user;
    progress_set(done, all, 0);
}

static bool is_stopped(void *user)
{
    (void)user;
    return interrupted() != 0;
}

static void print_texts(struct shown *s, const char *objective, const cn_scored_text *texts, size_t n)
{
    const bool found = !s->list.items;
    if (s->a->json) {
        json_open(&s->json, NULL, '{');
        json_text(&s->json, "objective", objective);
        json_text(&s->json, "directions", s->n_pixels ? "exact" : "linearised");
        json_open(&s->json, "texts", '[');
        for (size_t i = 0; i < n; i++) {
            s->json.flat = s->json.depth + 1;
            json_open(&s->json, NULL, '{');
            json_text(&s->json, "text", texts[i].text);
            json_real(&s->json, "cosine", (double)texts[i].cosine);
            if (found)
                json_real(&s->json, "score", (double)texts[i].score);
            json_close(&s->json, '}');
        }
        json_close(&s->json, ']');
        json_close(&s->json, '}');
        return;
    }
    print_safely(stdout, objective);
    printf("\n%s", found ? "  score  cosine  text\n" : " cosine  text\n");
    for (size_t i = 0; i < n; i++) {
        if (found)
            printf("%7.3f", (double)texts[i].score);
        printf("%*.3f  ", found ? 8 : 7, (double)texts[i].cosine);
        print_safely(stdout, texts[i].text);
        putchar('\n');
    }
}

static int see_one(struct shown *s, const char *text)
{
    const cn_model_info *info = cn_model_get_info(s->model);
    float *direction = need(calloc((size_t)info->embedding, sizeof *direction));
    cn_objective *objective = NULL;
    cn_scored_text *texts = NULL;
    cn_error err = {0};
    size_t n = 0;
    cn_status st = cn_objective_parse(&objective, s->model, text, (int)s->run->threads, &err);
    if (st == CN_OK)
        st = cn_objective_direction(objective, s->pixels, (int64_t)s->n_pixels, (int)s->run->threads, direction, &err);
    if (st == CN_OK && s->list.items) {
        n = s->list.count;
        st = cn_texts_rank(s->model, direction, (const char *const *)s->list.items, n, (int)s->run->threads, precision_of(s->run), &texts, &err);
    } else if (st == CN_OK) {
        progress_start("climbs", s->search.starts ? s->search.starts : 32, PROGRESS_ITEMS, s->a->quiet);
        st = cn_texts_search(s->model, direction, &s->search, &texts, &n, &err);
        progress_end();
    }
    const size_t best = s->a->best ? (size_t)s->a->best : 16;
    if (st == CN_OK)
        print_texts(s, text, texts, n < best ? n : best);
    cn_scored_texts_free(texts, n);
    cn_objective_free(objective);
    free(direction);
    return st == CN_OK ? EXIT_DONE : fail_error(&err, st);
}

int see_texts(const cn_model *model, const struct run_arguments *run, const struct seetexts *a, const char *const *objectives, size_t n)
{
    struct shown s = {.a = a, .model = model, .run = run};
    s.search = (cn_text_search){.frame = a->frame, .words = (int)a->words, .starts = (int)a->starts, .best = (int)a->best,
                                .seed = (uint64_t)a->seed, .threads = (int)run->threads, .precision = precision_of(run),
                                .progress = show_progress, .stop = is_stopped};
    int code = read_fluency(&s);
    if (code == EXIT_DONE && a->list)
        code = lines_read(&s.list, a->list, true);
    if (code == EXIT_DONE && a->list && !s.list.count)
        code = fail("%s: has no texts", a->list);
    if (code == EXIT_DONE)
        code = read_pixels(&s);
    if (a->json && code == EXIT_DONE) {
        json_begin(&s.json, stdout);
        json_open(&s.json, NULL, '[');
    }
    for (size_t i = 0; i < n && code == EXIT_DONE && !interrupted(); i++) {
        char *objective = see_objective(objectives[i], a->negative);
        code = see_one(&s, objective);
        free(objective);
        if (!a->json && i + 1 < n && code == EXIT_DONE)
            putchar('\n');
    }
    if (a->json && code == EXIT_DONE) {
        json_close(&s.json, ']');
        json_end(&s.json);
    }
    if (code == EXIT_DONE && interrupted())
        code = EXIT_INTERRUPTED;
    lines_free(&s.list);
    free(s.pixels);
    return code;
}
