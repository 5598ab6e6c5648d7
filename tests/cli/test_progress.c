/* The progress line and the drawing on a terminal. */
#include "shell.h"

#include "../../cli/progress.c"
#include "../../cli/scanlog.c"

#include <pty.h>

static const char *line(int64_t done, int64_t total, int64_t base, double seconds, progress_unit unit,
                        int columns)
{
    static char text[512];
    progress_line(text, sizeof text, "images", done, total, base, seconds, unit, columns);
    return text;
}

static void line_shows_share_rate_and_time_left(void **state)
{
    (void)state;
    assert_string_equal(line(30, 120, 0, 10, PROGRESS_ITEMS, 80),
                        "images [#########............................]  25%  30/120  3.0/s  0:30 left");
    assert_string_equal(line(120, 120, 0, 10, PROGRESS_ITEMS, 80),
                        "images [########################################] 100%  120/120  12.0/s");
}

static void bytes_of_a_resumed_download_do_not_count_for_the_rate(void **state)
{
    (void)state;
    assert_string_equal(line(300000000, 400000000, 290000000, 10, PROGRESS_BYTES, 60),
                        "images  300.0 MB/400.0 MB  1.0 MB/s  1:40 left");
}

static void line_without_a_total_has_no_bar(void **state)
{
    (void)state;
    assert_string_equal(line(5, -1, 0, 10, PROGRESS_ITEMS, 80), "images  5  0.5/s");
}

static void line_never_exceeds_the_terminal(void **state)
{
    (void)state;
    for (int columns = 60; columns < 200; columns++)
        assert_in_range(strlen(line(99999, 1234567, 0, 100, PROGRESS_ITEMS, columns)), 1, columns - 1);
}

/* What a scan writes to a log when it is here; "" for nothing. The time of day is cut off. */
static const char *logged_at(const cn_scan_progress *p, double *last)
{
    static char text[512];
    FILE *f = fmemopen(text, sizeof text, "w");
    assert_non_null(f);
    text[0] = '\0';
    scan_log(f, p, last);
    fclose(f);
    if (!text[0])
        return text;
    int year, month, day, hour, minute, second, length = 0;
    assert_int_equal(sscanf(text, "{\"time\": \"%4d-%2d-%2dT%2d:%2d:%2dZ\", %n", &year, &month, &day, &hour, &minute, &second, &length), 6);
    assert_true(year >= 2025 && month <= 12 && day <= 31 && length > 0);
    return text + length;
}

static void a_log_gets_a_line_of_json_a_minute(void **state)
{
    (void)state;
    double last = 0;
    cn_scan_progress p = {.phase = CN_SCAN_IMAGES, .done = 1500, .total = 6000, .failed = 2, .seconds = 59.9, .images_per_second = 25};
    assert_string_equal(logged_at(&p, &last), "");
    p.seconds = 60.04;
    assert_string_equal(logged_at(&p, &last), "\"phase\": \"images\", \"done\": 1500, \"total\": 6000, \"failed\": 2, \"seconds\": 60.0, "
                                              "\"images_per_second\": 25.0, \"seconds_left\": 180}\n");
    p.seconds = 119;
    assert_string_equal(logged_at(&p, &last), "");
    p = (cn_scan_progress){.phase = CN_SCAN_WRITING, .total = 2560, .seconds = 121}; /* no rate to judge by */
    assert_string_equal(logged_at(&p, &last), "\"phase\": \"writing\", \"done\": 0, \"total\": 2560, \"failed\": 0, \"seconds\": 121.0}\n");
}

/* What a command writes to a terminal. */
static const char *on_terminal(const char *command)
{
    int master = -1;
    pid_t child = forkpty(&master, NULL, NULL, NULL);
    assert_true(child >= 0);
    if (child == 0) {
        if (chdir(shell_folder) == 0) {
            setenv("TERM", "xterm", 1);
            execlp("sh", "sh", "-c", command, (char *)NULL);
        }
        _exit(99);
    }
    static char text[65536];
    size_t used = 0;
    ssize_t n;
    while (used < sizeof text - 1 && (n = read(master, text + used, sizeof text - 1 - used)) > 0)
        used += (size_t)n;
    text[used] = '\0';
    int status = 0;
    waitpid(child, &status, 0);
    close(master);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("%s", text);
    return text;
}

static void terminal_sees_a_bar_that_is_removed(void **state)
{
    (void)state;
    const char *text = on_terminal("clipneuron pixels --size 8 photos -o x.npy");
    assert_non_null(strstr(text, "\r\033[Kimages ["));
    assert_non_null(strstr(text, "100%"));
    assert_string_equal(text + strlen(text) - 4, "\r\033[K"); /* the last thing: an empty line */
}

static void the_bar_of_a_scan_counts_failures(void **state)
{
    (void)state;
    assert_int_equal(shell("{ find photos -name '*.*g' | head -n 4; echo photos/missing.png; echo photos/no-more.png; } > list.txt"), 0);
    const char *text = on_terminal("clipneuron scan --no-words list.txt -o study");
    assert_non_null(strstr(text, "\r\033[Kimages ["));
    assert_non_null(strstr(text, "\r\033[Kimages, 2 failed ["));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_shows_share_rate_and_time_left),
        cmocka_unit_test(bytes_of_a_resumed_download_do_not_count_for_the_rate),
        cmocka_unit_test(line_without_a_total_has_no_bar),
        cmocka_unit_test(line_never_exceeds_the_terminal),
        cmocka_unit_test(a_log_gets_a_line_of_json_a_minute),
        cmocka_unit_test(terminal_sees_a_bar_that_is_removed),
        cmocka_unit_test(the_bar_of_a_scan_counts_failures),
    };
    return cmocka_run_group_tests(tests, shell_begin, shell_end);
}
