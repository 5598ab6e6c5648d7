/* `clipneuron label`: the loop of keys on a real terminal, answers that survive anything, and what it prints. */
#include "shell.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <termios.h>
#include <time.h>

/* Of a network that never changes: how many pictures unit 7 has in each bucket does not, either. */
static int make_study(void **state)
{
    const int code = shell_begin(state);
    return code ? code : shell("clipneuron scan --quiet --model " RN " --site layer2 photos -o study --buckets 3 --per-bucket 3 --top 2 --bottom 2 > /dev/null");
}

static void forget(void)
{
    assert_int_equal(shell("rm -rf copy && cp -r study copy"), 0);
}

/* ---- a terminal ---- */

typedef struct terminal {
    int master;
    pid_t child;
    char text[1 << 20];
    size_t used, seen;
} terminal;

static terminal t;

static void start_with(const char *rater, const char *variable, const char *value)
{
    const struct winsize size = {.ws_row = 30, .ws_col = 80};
    t.used = t.seen = 0;
    t.child = forkpty(&t.master, NULL, NULL, &size);
    assert_true(t.child >= 0);
    if (t.child == 0) {
        if (chdir(shell_folder) == 0) {
            setenv("TERM", "xterm-256color", 1);
            unsetenv("TMUX");
            unsetenv("STY");
            unsetenv("KITTY_WINDOW_ID");
            unsetenv("TERM_PROGRAM");
            if (variable)
                setenv(variable, value, 1);
            execlp("clipneuron", "clipneuron", "label", "copy", "7", "--rater", rater, "--categories", "a cat,no cat,other", (char *)NULL);
        }
        _exit(99);
    }
}

static void start(const char *rater)
{
    start_with(rater, NULL, NULL);
}

/* Reads on until the words are there, behind what was waited for before. */
static void wait_for(const char *words)
{
    struct pollfd p = {.fd = t.master, .events = POLLIN};
    const time_t began = time(NULL);
    for (;;) {
        t.text[t.used] = '\0';
        char *found = strstr(t.text + t.seen, words);
        if (found) {
            t.seen = (size_t)(found - t.text) + strlen(words);
            return;
        }
        if (time(NULL) - began > 60)
            fail_msg("no \"%s\" in:\n%s", words, t.text + t.seen);
        if (poll(&p, 1, 100) > 0) {
            const ssize_t n = read(t.master, t.text + t.used, sizeof t.text - 1 - t.used);
            if (n <= 0)
                fail_msg("ended without \"%s\":\n%s", words, t.text + t.seen);
            t.used += (size_t)n;
        }
    }
}

static void press(const char *keys)
{
    assert_int_equal(write(t.master, keys, strlen(keys)), strlen(keys));
}

/* To the end; the exit code, or 128 + a signal's number. */
static int end(void)
{
    int status = 0;
    ssize_t n;
    while (t.used < sizeof t.text - 1 && (n = read(t.master, t.text + t.used, sizeof t.text - 1 - t.used)) > 0)
        t.used += (size_t)n;
    t.text[t.used] = '\0';
    waitpid(t.child, &status, 0);
    close(t.master);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static bool raw(void)
{
    struct termios mode;
    assert_int_equal(tcgetattr(t.master, &mode), 0); /* the same terminal seen from its other end */
    return !(mode.c_lflag & ICANON) && !(mode.c_lflag & ECHO);
}

/* How many answers of a rater the copy has. */
static size_t answers(const char *rater)
{
    assert_int_equal(shell("clipneuron label copy 7 --list --rater %s", rater), 0);
    size_t n = 0;
    for (const char *c = shell_out; (c = strchr(c, '\n')); c++)
        n++;
    return n - 1;
}

static void keys_answer_skip_undo_and_quit(void **state)
{
    (void)state;
    forget();
    start("anna");
    wait_for("picture 1 of 9, 0 answered, by anna");
    wait_for("\xe2\x96\x80"); /* half blocks */
    wait_for("  1  a cat\r\n  2  no cat\r\n  3  other\r\n");
    wait_for("q save and quit");
    assert_true(raw());
    press("1");
    wait_for("picture 2 of 9, 1 answered");
    assert_null(strstr(t.text, "photos/")); /* a path may give the answer away */
    press("p");
    wait_for("/photos/");
    wait_for("q save and quit");
    press("x");
    wait_for("no such key");
    press("\033[A"); /* an arrow is one key that means nothing */
    wait_for("no such key");
    press("4"); /* there is no fourth category */
    wait_for("no such key");
    press("2");
    wait_for("picture 3 of 9, 2 answered");
    press("s");
    wait_for("picture 4 of 9, 2 answered");
    press("3");
    wait_for("picture 5 of 9, 3 answered");
    assert_int_equal(answers("anna"), 3); /* in the study while the program runs */
    press("u");
    wait_for("picture 4 of 9, 2 answered");
    press("u"); /* back to the skipped one */
    wait_for("picture 3 of 9, 2 answered");
    press("q");
    wait_for("anna: 2 of 9 pictures answered");
    assert_false(raw());
    assert_int_equal(end(), 0);
    assert_non_null(strstr(t.text, "\033[?1049l")); /* the screen is as before */
    assert_null(strstr(t.text, " sd"));             /* never the activation */
    assert_int_equal(answers("anna"), 2);
    assert_non_null(strstr(shell_out, ",a cat,anna,"));
    assert_non_null(strstr(shell_out, ",no cat,anna,"));
    start("anna");
    wait_for("picture 3 of 9, 2 answered"); /* goes on */
    press("1111111");
    wait_for("anna: 9 of 9 pictures answered");
    assert_int_equal(end(), 0);
    start("anna");
    wait_for("anna: 9 of 9 pictures answered");
    assert_int_equal(end(), 0);
}

static void answers_survive_kill_and_go_on(void **state)
{
    (void)state;
    forget();
    start("ben");
    wait_for("picture 1 of 9");
    press("12");
    wait_for("picture 3 of 9, 2 answered");
    kill(t.child, SIGKILL);
    assert_int_equal(end(), 128 + SIGKILL);
    assert_int_equal(answers("ben"), 2);
    start("ben");
    wait_for("picture 3 of 9, 2 answered");
    press("q");
    assert_int_equal(end(), 0);
}

static void every_signal_puts_the_terminal_back(void **state)
{
    (void)state;
    static const int signals[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP};
    forget();
    for (int i = -1; i < 4; i++) {
        start("eva");
        const int keep = open(ptsname(t.master), O_RDWR | O_NOCTTY); /* else the terminal's mode is gone with the program */
        assert_true(keep >= 0);
        wait_for("q save and quit");
        assert_true(raw());
        if (i < 0)
            press("\003"); /* Ctrl-C */
        else
            kill(t.child, signals[i]);
        wait_for("\033[?1049l");
        int status;
        assert_int_equal(waitpid(t.child, &status, 0), t.child);
        assert_int_equal(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), i < 0 ? 130 : 128 + signals[i]);
        assert_false(raw());
        close(keep);
        close(t.master);
    }
}

static void pictures_come_as_the_terminal_takes_them(void **state)
{
    (void)state;
    static const char *const cases[][3] = {{"KITTY_WINDOW_ID", "1", "\033_Ga=T,f=100,q=2,c="},
                                           {"TERM_PROGRAM", "iTerm.app", "\033]1337;File=inline=1;size="},
                                           {"TERM_PROGRAM", "WezTerm", "\033]1337;File=inline=1;size="},
                                           {"TMUX", "/tmp/x", "\033[38;2;"},
                                           {"TERM", "dumb", "/photos/"}};
    forget();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        start_with("anna", cases[i][0], cases[i][1]);
        wait_for(cases[i][2]);
        wait_for("q save and quit");
        assert_int_equal(strstr(t.text, "\xe2\x96\x80") != NULL, i == 3);
        press("q");
        assert_int_equal(end(), 0);
    }
}

/* ---- without a terminal ---- */

static void a_pipe_is_no_terminal(void **state)
{
    (void)state;
    forget();
    assert_int_equal(shell("clipneuron label copy 7 --rater anna --categories a,b < /dev/null"), 1);
    assert_string_equal(shell_err, "clipneuron: rating by key needs a terminal; --sheet and --csv do without\n");
    assert_int_equal(shell("clipneuron label copy 8 --rater anna < /dev/null"), 1);
    assert_non_null(strstr(shell_err, "no categories yet: name them with --categories A,B,..."));
}

static void a_table_comes_from_a_filled_template(void **state)
{
    (void)state;
    forget();
    assert_int_equal(
        shell("clipneuron label copy 7 -q --categories 'cat, dog' --rater anna --csv-template a.csv && head -n 1 a.csv && wc -l < a.csv"),
        0);
    assert_string_equal(shell_out, "image,path,category\n10\n");
    assert_int_equal(shell("sed '2,5s/,$/,cat/; 6,9s/,$/,dog/' a.csv > b.csv; clipneuron label copy 7 --rater anna --csv b.csv"), 0);
    assert_string_equal(shell_out, "");
    assert_string_equal(shell_err, "clipneuron: b.csv: 8 answers new, 0 changed, 0 as before, 1 rows without a category\n");
    assert_int_equal(shell("sed '2,10s/,$/,cat/' a.csv > c.csv; clipneuron label copy 7 -q --rater ben --csv c.csv --table"), 0);
    assert_non_null(strstr(shell_out, "sd units   rated     of"));
    assert_non_null(strstr(
        shell_out,
        "17 answers by 2 raters for 9 of 9 pictures; on 8 shared ones 50% agreement, Cohen's kappa 0.00, Krippendorff's alpha -0.25 ("));
    assert_int_equal(shell("clipneuron label copy 7 --json"), 0);
    assert_non_null(strstr(shell_out, "\"unit\": 7,\n"));
    assert_non_null(strstr(shell_out, "\"by\": \"ratings\",\n"));
    assert_non_null(strstr(shell_out, "\"pictures\": 9,\n"));
    assert_non_null(strstr(shell_out, "\"shared\": 8,\n"));
    assert_non_null(strstr(shell_out, "\"percent\": 0.5,\n"));
    assert_non_null(strstr(shell_out, "\"alpha\": -0.25,\n"));
    int images = 0, population = 0, bins = 0;
    double cats = 0, part;
    for (const char *c = shell_out; (c = strstr(c, "\"population\": ")); bins++) {
        int in_bin = 0, of = 0;
        assert_int_equal(sscanf(c, "\"population\": %d, \"images\": %d", &of, &in_bin), 2); /* a blank is any space */
        population += of, images += in_bin;
        c = strstr(c, "{\"category\": \"cat\", ");
        assert_non_null(c);
        assert_int_equal(sscanf(c, "{\"category\": \"cat\", \"images\": %lf", &part), 1);
        cats += part;
    }
    assert_true(bins == 3 && images == 9 && population == 30 && cats == 7);
    assert_int_equal(shell("clipneuron label copy 7 --plot p.svg --theme dark -q && grep -c 'cat .*%%' p.svg"), 0);
    assert_int_equal(shell("clipneuron label copy 7 --list > all.csv; clipneuron label copy 7 --remove --rater ben && clipneuron label "
                           "copy 7 -q --csv all.csv"
                           " && clipneuron label copy 7 --list | cut -d, -f1-4 > again.csv; cut -d, -f1-4 all.csv | cmp - again.csv"),
                     0);
    assert_int_equal(shell("clipneuron label copy 7 --list --json | tee list.json | grep -c '\"rater\": '"), 0);
    assert_string_equal(shell_out, "17\n");
    assert_int_equal(shell("grep -c population list.json"), 1); /* no table where none was asked for */
    assert_int_equal(shell("mkdir sheets && clipneuron label copy 7 --rater anna --sheet sheets && ls sheets"), 0);
    assert_non_null(strstr(shell_out, "_7_anna.html\n"));
}

static void a_table_without_raters_counts_a_sample(void **state)
{
    (void)state;
    assert_int_equal(shell("(echo path,label; cd photos; ls | sed '1~2s/$/,odd/; 2~2s/$/,even/') > labels.csv &&"
                           " clipneuron scan --quiet --model " RN " --site layer2 photos --labels labels.csv --no-words --show 0 -o labelled &&"
                           " clipneuron label labelled 7 --by label --table"),
                     0);
    assert_non_null(strstr(shell_out, ": label given activation, % of a level's pictures with the 95% interval\n"));
    assert_non_null(strstr(shell_out, "\n          sd units  sample     of  "));
    assert_null(strstr(shell_out, "rated"));
}

static void wrong_uses_are_told(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        int code;
        const char *words;
    } cases[] = {
        {"clipneuron label study", 2, "STUDY and UNIT are needed"},
        {"clipneuron label study 1 2 --table", 2, "one unit at a time"},
        {"clipneuron label study 7", 2, "nothing to do: --rater NAME to answer"},
        {"clipneuron label study 7 --sheet x.html", 2, "--rater is missing"},
        {"clipneuron label study 7 --remove", 2, "--rater is missing"},
        {"clipneuron label study 7 --plot x.pdf", 2, "ends in .svg or .png, not 'x.pdf'"},
        {"clipneuron label study 7 --by medium --rater anna", 2, "without raters"},
        {"clipneuron label study 7 --by colour --table", 2, "--by must be ratings, label or medium, not 'colour'"},
        {"clipneuron label study 7 --bins 65 --table", 2, "--bins must be from 1 to 64"},
        {"clipneuron label study 7000 --table", 1, "has units 0 to"},
        {"clipneuron label study nowhere:7 --table", 1, "is no site of the study, which has"},
        {"clipneuron label none 7 --table", 1, "none: No such file"},
        {"clipneuron label study 7 --table", 1, "nobody has rated the pictures of"},
        {"clipneuron label study 7 --by medium --table", 1, "has a medium in the collection"},
        {"clipneuron label study 7 --rater anna --remove", 1, "anna has no answers for this unit"},
        {"clipneuron label study 7 --categories a,,b", 1, "an empty name of a category"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int code = shell("%s", cases[i].line);
        if (code != cases[i].code || !strstr(shell_err, cases[i].words))
            fail_msg("%s: exit %d, %s", cases[i].line, code, shell_err);
        assert_string_equal(shell_out, "");
        assert_ptr_equal(strchr(shell_err, '\n'), shell_err + strlen(shell_err) - 1); /* one line */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_answer_skip_undo_and_quit),
        cmocka_unit_test(answers_survive_kill_and_go_on),
        cmocka_unit_test(every_signal_puts_the_terminal_back),
        cmocka_unit_test(pictures_come_as_the_terminal_takes_them),
        cmocka_unit_test(a_pipe_is_no_terminal),
        cmocka_unit_test(a_table_comes_from_a_filled_template),
        cmocka_unit_test(a_table_without_raters_counts_a_sample),
        cmocka_unit_test(wrong_uses_are_told),
    };
    return cmocka_run_group_tests(tests, make_study, shell_end);
}
