/* `clipneuron pull` as a program, against a local server: its lines, its exit codes, and its end by signals. */
#include "shell.h"

#include "../pull/server.h"

enum { SIZE = 200000 };

static unsigned char bytes[SIZE];
static char sum[65];
static struct server server;

static int begin(void **state)
{
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (unsigned char)(i * i >> 7);
    memset(&server, 0, sizeof server);
    server.bytes = bytes;
    server.size = SIZE;
    setenv("no_proxy", "*", 1);
    if (shell_begin(state) != 0 || !server_start(&server))
        return -1;
    FILE *f = fopen(shell_path("whole"), "wb");
    if (!f || fwrite(bytes, 1, SIZE, f) != SIZE || fclose(f) != 0 || shell("sha256sum whole") != 0)
        return -1;
    memcpy(sum, shell_out, 64);
    return 0;
}

static int end(void **state)
{
    server_stop(&server);
    return shell_end(state);
}

static int64_t size_of(const char *name)
{
    struct stat info;
    return stat(shell_path(name), &info) == 0 ? (int64_t)info.st_size : -1;
}

static int pull(const char *options)
{
    return shell("clipneuron pull http://127.0.0.1:%d/net.pt --sha256 %s %s", server.port, sum, options);
}

#define PART "clipneuron/models/net.pt.part"
#define WHOLE "clipneuron/models/net.pt"

static void path_is_printed_and_the_file_is_in_the_cache(void **state)
{
    (void)state;
    char expected[256];
    assert_int_equal(pull(""), 0);
    snprintf(expected, sizeof expected, "%s/" WHOLE "\n", shell_folder);
    assert_string_equal(shell_out, expected);
    assert_string_equal(shell_err, "");
    assert_int_equal(shell("cmp whole " WHOLE), 0);
    assert_int_equal(pull(""), 0);
    assert_string_equal(shell_out, expected);
    assert_non_null(strstr(shell_err, ": is there, its sum is right\n"));
    assert_int_equal(server.requests, 1);
}

static void json_says_what_came(void **state)
{
    (void)state;
    char expected[512];
    assert_int_equal(pull("--json --folder here"), 0);
    snprintf(expected, sizeof expected,
             "[\n  {\n    \"name\": \"http://127.0.0.1:%d/net.pt\",\n    \"path\": \"here/net.pt\",\n"
             "    \"bytes\": 200000,\n    \"received\": 200000,\n    \"resumed\": 0\n  }\n]\n",
             server.port);
    assert_string_equal(shell_out, expected);
}

static void wrong_sum_is_one_line_and_leaves_nothing(void **state)
{
    (void)state;
    char expected[512];
    char wrong[65];
    memset(wrong, 'a', 64);
    wrong[64] = '\0';
    assert_int_equal(shell("clipneuron pull http://127.0.0.1:%d/net.pt --sha256 %s", server.port, wrong), 1);
    snprintf(expected, sizeof expected,
             "clipneuron: http://127.0.0.1:%d/net.pt: wrong sum: SHA-256 is %s and must be %s; the file is "
             "removed\n",
             server.port, sum, wrong);
    assert_string_equal(shell_err, expected);
    assert_string_equal(shell_out, "");
    assert_int_equal(shell("ls -A clipneuron/models"), 0);
    assert_string_equal(shell_out, "");
}

static void released_name_from_a_mirror_with_other_bytes_is_refused(void **state)
{
    (void)state;
    assert_int_equal(shell("clipneuron pull --url-base http://127.0.0.1:%d rn50", server.port), 1);
    assert_non_null(
        strstr(shell_err, "must be afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762"));
    assert_string_equal(server.last_path,
                        "/afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762/RN50.pt");
}

/* Starts a pull that stalls at 150000 bytes, sends a signal, and returns the exit code. */
static int interrupt_with(const char *signal_name)
{
    server.cut_after = 150000;
    server.cuts = 1;
    server.stall = true;
    return shell("clipneuron pull http://127.0.0.1:%d/net.pt --sha256 %s & p=$!\n"
                 "for i in $(seq 500); do test \"$(stat -c %%s " PART
                 " 2>/dev/null)\" = 150000 && break; sleep 0.02; done\n"
                 "kill -%s $p; wait $p",
                 server.port, sum, signal_name);
}

static void assert_next_call_goes_on(void)
{
    assert_int_equal(size_of(PART), 150000);
    assert_int_equal(size_of(WHOLE), -1);
    assert_int_equal(pull("--json"), 0);
    assert_non_null(strstr(shell_out, "\"received\": 50000,\n    \"resumed\": 150000\n"));
    assert_string_equal(server.last_range, "bytes=150000-");
    assert_int_equal(shell("cmp whole " WHOLE), 0);
}

static void interrupted_download_goes_on(void **state)
{
    (void)state;
    assert_int_equal(interrupt_with("INT"), 130);
    assert_non_null(strstr(shell_err, "/net.pt: stopped; the next call goes on from there\n"));
    assert_next_call_goes_on();
}

static void killed_download_goes_on(void **state)
{
    (void)state;
    assert_int_equal(interrupt_with("KILL"), 137);
    assert_next_call_goes_on();
}

static void full_disk_is_one_line_and_the_next_call_goes_on(void **state)
{
    (void)state;
    char expected[512];
    assert_int_equal(
        shell("ulimit -f $((65536 / $(sh -c 'ulimit -f 1; head -c 4096 /dev/zero > .probe 2> /dev/null; "
              "stat -c %%s .probe'))); clipneuron pull http://127.0.0.1:%d/net.pt --sha256 %s",
              server.port, sum),
        1);
    snprintf(expected, sizeof expected,
             "clipneuron: %s/" PART
             ": File too large after 65536 bytes; they are kept, and the next call goes on from "
             "there\n",
             shell_folder);
    assert_string_equal(shell_err, expected);
    assert_int_equal(size_of(PART), 65536);
    assert_int_equal(pull("--json"), 0);
    assert_non_null(strstr(shell_out, "\"resumed\": 65536"));
}

static void list_shows_which_models_are_there(void **state)
{
    (void)state;
    assert_int_equal(
        shell("mkdir -p clipneuron/models; touch clipneuron/models/RN101.pt; clipneuron pull --list"), 0);
    char expected[2048];
    snprintf(expected, sizeof expected,
             "name             input      size  file\n"
             "RN50             224 px    256 MB  -\n"
             "RN101            224 px    292 MB  %s/clipneuron/models/RN101.pt\n"
             "RN50x4           288 px    422 MB  -\n"
             "RN50x16          384 px    661 MB  -\n"
             "RN50x64          448 px   1353 MB  -\n"
             "ViT-B/32         224 px    354 MB  -\n"
             "ViT-B/16         224 px    351 MB  -\n"
             "ViT-L/14         224 px    933 MB  -\n"
             "ViT-L/14@336px   336 px    934 MB  -\n",
             shell_folder);
    assert_string_equal(shell_out, expected);
    assert_int_equal(shell("clipneuron pull --list --json | grep -c sha256"), 0);
    assert_string_equal(shell_out, "9\n");
}

#define SERVED(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVED(path_is_printed_and_the_file_is_in_the_cache),
        SERVED(json_says_what_came),
        SERVED(wrong_sum_is_one_line_and_leaves_nothing),
        SERVED(released_name_from_a_mirror_with_other_bytes_is_refused),
        SERVED(interrupted_download_goes_on),
        SERVED(killed_download_goes_on),
        SERVED(full_disk_is_one_line_and_the_next_call_goes_on),
        SERVED(list_shows_which_models_are_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
