/* cli/labelling.c -- keys and screens. The terminal gives single keys, without echo and without turning Ctrl-C into a signal;
 * it is put back in every way out but kill -9. */
#include "labelling.h"
#include "interrupt.h"
#include "report.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* One for each category: no p, q, s or u among the letters. */
static const char keys[] = "123456789abcdefg";
_Static_assert(sizeof keys - 1 >= CN_MAX_CATEGORIES, "a key for every category");

#define ENTER "\033[?1049h\033[?25l" /* the other screen, no cursor */
#define LEAVE "\033[0m\033[?25h\033[?1049l"

static struct termios before;
static volatile sig_atomic_t changed;

/* Safe in a signal handler. */
static void put_back(void)
{
    if (!changed)
        return;
    changed = 0;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    if (write(STDOUT_FILENO, LEAVE, sizeof LEAVE - 1) < 0)
        return; /* the terminal went away */
}

static void on_fatal(int number)
{
    put_back();
    signal(number, SIG_DFL);
    raise(number);
}

static int take_terminal(void)
{
    struct termios raw;
    if (tcgetattr(STDIN_FILENO, &before) != 0)
        return fail("the terminal cannot be read by key: %s", strerror(errno));
    raw = before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG | IEXTEN);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    atexit(put_back);
    signal(SIGHUP, on_fatal);
    signal(SIGQUIT, on_fatal);
    signal(SIGABRT, on_fatal);
    changed = 1;
    if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw) != 0) {
        changed = 0;
        return fail("the terminal cannot be read by key: %s", strerror(errno));
    }
    fputs(ENTER, stdout);
    return EXIT_DONE;
}

enum { KEY_END = -1, KEY_OTHER = -2, CTRL_C = 3, CTRL_D = 4 };

/* The next key; KEY_END when a signal came or the terminal went away. Sequences of arrows and the like are one KEY_OTHER. */
static int read_key(void)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    unsigned char c[32];
    while (!interrupted()) {
        const int ready = poll(&p, 1, 200); /* now and then, in case a signal came just before */
        if (ready < 0 && errno != EINTR)
            return KEY_END;
        if (ready <= 0)
            continue;
        const ssize_t n = read(STDIN_FILENO, c, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n != 1)
            return KEY_END;
        if (c[0] != '\033')
            return c[0];
        if (poll(&p, 1, 20) > 0 && read(STDIN_FILENO, c, sizeof c) < 0)
            return KEY_END;
        return KEY_OTHER;
    }
    return KEY_END;
}

struct session {
    cn_study *study;
    cn_unit_ref ref;
    const char *rater;
    term_picture kind;
    cn_rating_picture *pictures;
    size_t n, at;
    int *answers; /* (n) a category, or -1 */
    cn_category *categories;
    size_t n_categories;
    bool show_path;
    char problem[256]; /* shown below the picture */
};

static size_t count_answers(const struct session *s)
{
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++)
        n += s->answers[i] >= 0;
    return n;
}

static void show(struct session *s)
{
    struct winsize size = {0};
    const cn_rating_picture *p = &s->pictures[s->at];
    const cn_study_info *info = cn_study_get_info(s->study);
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0)
        size.ws_row = 24, size.ws_col = 80;
    const int lines = (int)s->n_categories + 5, rows = size.ws_row - lines > 6 ? size.ws_row - lines : 6;
    fputs("\033[0m\033[H\033[2J", stdout);
    if (s->kind == TERM_KITTY)
        fputs("\033_Ga=d,q=2;\033\\", stdout); /* pictures shown before */
    printf("%s:%lld  picture %zu of %zu, %zu answered, by ", cn_study_site_at(s->study, s->ref.site)->short_name, (long long)s->ref.unit,
           s->at + 1, s->n, count_answers(s));
    print_safely(stdout, s->rater);
    fputc('\n', stdout);
    cn_error err = {0};
    if (!p->thumbnail)
        fputs("(the study has no picture of it)\n", stdout);
    else if (term_picture_draw(stdout, s->kind, p->thumbnail, p->thumbnail_size, p->path, size.ws_col - 1, rows, &err) != CN_OK) {
        print_safely(stdout, err.text);
        fputc('\n', stdout);
    }
    if (s->show_path || !p->thumbnail || s->kind == TERM_NONE) { /* a file's name often holds the answer */
        print_safely(stdout, info->collection);
        fputc('/', stdout);
        print_safely(stdout, p->path);
        fputc('\n', stdout);
    }
    for (size_t c = 0; c < s->n_categories; c++) {
        printf("  %c  ", keys[c]);
        print_safely(stdout, s->categories[c].name);
        fputs(s->answers[s->at] == (int)c ? "  <\n" : "\n", stdout);
    }
    fputs("  s skip   u undo   p path   q save and quit", stdout);
    if (*s->problem) {
        fputs("   ", stdout);
        print_safely(stdout, s->problem);
    }
    fflush(stdout);
    s->problem[0] = '\0';
    s->show_path = false;
}

static int keep(struct session *s, int category)
{
    cn_error err = {0};
    const char *name = category >= 0 ? s->categories[category].name : NULL;
    const cn_status st = cn_study_keep_rating(s->study, s->ref, s->pictures[s->at].image, s->rater, name, &err);
    if (st != CN_OK) {
        put_back();
        return fail_error(&err, st);
    }
    s->answers[s->at] = category;
    return EXIT_DONE;
}

/* On to the next picture without an answer. */
static void advance(struct session *s)
{
    do
        s->at++;
    while (s->at < s->n && s->answers[s->at] >= 0);
}

static int obey(struct session *s, int key)
{
    const char *found = key > 0 ? strchr(keys, key) : NULL;
    const size_t category = found ? (size_t)(found - keys) : CN_MAX_CATEGORIES;
    if (category < s->n_categories) {
        const int code = keep(s, (int)category);
        if (code != EXIT_DONE)
            return code;
        advance(s);
    } else if (key == 's') {
        advance(s);
    } else if (key == 'p') {
        s->show_path = true;
    } else if (key == 'u') {
        if (s->at == 0) {
            snprintf(s->problem, sizeof s->problem, "there is nothing before this");
            return EXIT_DONE;
        }
        s->at--;
        if (s->answers[s->at] >= 0)
            return keep(s, -1);
    } else {
        snprintf(s->problem, sizeof s->problem, "no such key");
    }
    return EXIT_DONE;
}

static int loop(struct session *s)
{
    int code = take_terminal();
    while (code == EXIT_DONE && s->at < s->n) {
        show(s);
        const int key = read_key();
        if (key == KEY_END && interrupted())
            code = 128 + interrupted();
        else if (key == CTRL_C)
            code = EXIT_INTERRUPTED;
        else if (key == KEY_END || key == CTRL_D || key == 'q')
            break;
        else
            code = obey(s, key);
    }
    fflush(stdout);
    put_back();
    return code;
}

/* What the rater answered in earlier sessions. */
static cn_status read_answers(struct session *s, cn_error *err)
{
    cn_rating *ratings = NULL;
    size_t n = 0;
    const cn_status st = cn_study_ratings(s->study, s->ref, s->rater, &ratings, &n, err);
    for (size_t i = 0; i < s->n; i++) {
        s->answers[i] = -1;
        for (size_t k = 0; k < n; k++)
            if (ratings[k].image == s->pictures[i].image)
                for (size_t c = 0; c < s->n_categories; c++)
                    if (strcmp(s->categories[c].name, ratings[k].category) == 0)
                        s->answers[i] = (int)c;
    }
    cn_ratings_free(ratings);
    return st;
}

int labelling(cn_study *study, cn_unit_ref ref, const char *rater, term_picture kind)
{
    struct session s = {.study = study, .ref = ref, .rater = rater, .kind = term_picture_kind(kind)};
    cn_error err = {0};
    int code = EXIT_DONE;
    cn_status st = cn_study_rating_pictures(study, ref, rater, &s.pictures, &s.n, &err);
    if (st == CN_OK)
        st = cn_study_categories(study, ref, &s.categories, &s.n_categories, &err);
    s.answers = need(calloc(s.n + 1, sizeof *s.answers));
    if (st == CN_OK)
        st = read_answers(&s, &err);
    if (st != CN_OK) {
        code = fail_error(&err, st);
    } else {
        while (s.at < s.n && s.answers[s.at] >= 0)
            s.at++;
        if (s.at < s.n)
            code = loop(&s);
        if (code == EXIT_DONE) {
            print_safely(stdout, rater);
            printf(": %zu of %zu pictures answered\n", count_answers(&s), s.n);
        }
    }
    free(s.answers);
    cn_rating_pictures_free(s.pictures);
    cn_categories_free(s.categories);
    return code;
}
