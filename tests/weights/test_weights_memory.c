/* Each allocation of every reader fails in turn: an error, no crash, no leak (run under ASan). */
#include "open.h"

#include "base/memory.h"

static void fail_each_allocation(const char *path)
{
    cn_error err = {0};
    cn_weights *w;
    cn_memory_fail_at(0, false);
    assert_int_equal(cn_weights_open(&w, path, &err), CN_OK);
    size_t count = cn_memory_count();
    cn_weights_close(w);
    assert_true(count > 0);
    for (int forever = 0; forever < 2; forever++) {
        for (size_t n = 1; n <= count; n++) {
            cn_error_clear(&err);
            cn_memory_fail_at(n, forever);
            cn_status st = cn_weights_open(&w, path, &err);
            cn_memory_fail_at(0, false);
            if (st != CN_ENOMEM || w)
                fail_msg("%s: allocation %zu of %zu: status %d, %s", path, n, count, st, err.text);
            assert_true(err.text[0]);
        }
    }
}

static void every_reader_survives_failing_allocations(void **state)
{
    (void)state;
    static const char *const paths[] = {
        FIXTURE("good/views.pt"),     FIXTURE("good/legacy.pt"),     FIXTURE("good/script.pt"),
        FIXTURE("good/protocol4.pt"), FIXTURE("good/checkpoint.pt"), FIXTURE("good/dtypes.safetensors"),
        FIXTURE("good/hf_shards"),    FIXTURE("good/hf_bin"),        FIXTURE("good/hf_bin_shards"),
        FIXTURE("good/open_clip"),    FIXTURE("good/open_clip_bin"),
    };
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        fail_each_allocation(paths[i]);
}

static void goldens_survive_failing_allocations(void **state)
{
    (void)state;
    fail_each_allocation(GOLDEN("rn-small.jit.pt"));
    fail_each_allocation(GOLDEN("rn-small.openclip_epoch.pt"));
    fail_each_allocation(GOLDEN("vit-small.hf"));
}

static void fingerprint_survives_failing_allocations(void **state)
{
    (void)state;
    cn_error err = {0};
    char hex[65];
    cn_weights *w = open_weights(FIXTURE("good/views.pt"));
    cn_memory_fail_at(1, true);
    assert_int_equal(cn_weights_fingerprint(w, hex, &err), CN_ENOMEM);
    cn_memory_fail_at(0, false);
    cn_weights_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reader_survives_failing_allocations),
        cmocka_unit_test(goldens_survive_failing_allocations),
        cmocka_unit_test(fingerprint_survives_failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
