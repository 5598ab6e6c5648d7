/* .npy and .npz: what is written comes back, numpy's own files are read, hostile ones are refused.
 * That numpy reads ours was checked by hand (docs/weights-formats.md says how). */
#include "folder.h"

#include "base/memory.h"
#include "clipneuron/array.h"

#define ARRAY(name) CN_TEST_DATA "/weights/arrays/" name

static cn_arrays *open_arrays(const char *path)
{
    cn_error err = {0};
    cn_arrays *a = NULL;
    if (cn_arrays_open(&a, path, &err) != CN_OK)
        fail_msg("%s", err.text);
    return a;
}

/* Number i of the fixtures, counted in C order. */
static float fixture(int64_t i)
{
    return (float)(i - 8) / 4;
}

static float at(const cn_tensor *t, int64_t row, int64_t column)
{
    float value;
    memcpy(&value, (const char *)t->data + 4 * (row * t->stride[0] + column * t->stride[1]), 4);
    return value;
}

static void check_grid(const cn_tensor *t)
{
    assert_non_null(t);
    assert_int_equal(t->dtype, CN_DTYPE_F32);
    assert_int_equal(t->ndim, 2);
    assert_int_equal(t->shape[0], 3);
    assert_int_equal(t->shape[1], 5);
    assert_int_equal(t->count, 15);
    for (int64_t i = 0; i < 15; i++)
        assert_float_equal(at(t, i / 5, i % 5), fixture(i), 0);
}

static void npy_comes_back(void **state)
{
    (void)state;
    folder f = make_folder();
    float data[15];
    for (int i = 0; i < 15; i++)
        data[i] = fixture(i);
    assert_int_equal(cn_npy_write(in(&f, "a.npy"), CN_DTYPE_F32, 2, (int64_t[]){3, 5}, data, NULL), CN_OK);
    cn_arrays *a = open_arrays(in(&f, "a.npy"));
    assert_int_equal(cn_arrays_count(a), 1);
    assert_string_equal(cn_arrays_at(a, 0)->name, "");
    check_grid(cn_arrays_find(a, ""));
    assert_int_equal((uintptr_t)cn_arrays_at(a, 0)->data % 64, 0); /* the header is padded for that */
    cn_arrays_close(a);
    assert_int_equal(count_files(&f), 1);
    remove_folder(&f);
}

/* Byte for byte what numpy 1.24 writes. */
static void npy_equals_numpys_own(void **state)
{
    (void)state;
    folder f = make_folder();
    float data[15];
    uint8_t expected[188];
    for (int i = 0; i < 15; i++)
        data[i] = fixture(i);
    FILE *numpys = fopen(ARRAY("f4.npy"), "rb");
    assert_non_null(numpys);
    assert_int_equal(fread(expected, 1, sizeof expected, numpys), sizeof expected);
    fclose(numpys);
    assert_int_equal(cn_npy_write(in(&f, "a.npy"), CN_DTYPE_F32, 2, (int64_t[]){3, 5}, data, NULL), CN_OK);
    check_file(in(&f, "a.npy"), expected, sizeof expected);
    remove_folder(&f);
}

static void every_dtype_and_rank_comes_back(void **state)
{
    (void)state;
    static const cn_dtype dtypes[] = {CN_DTYPE_F32, CN_DTYPE_F16, CN_DTYPE_F64, CN_DTYPE_I64, CN_DTYPE_I32,
                                      CN_DTYPE_I16, CN_DTYPE_I8,  CN_DTYPE_U8,  CN_DTYPE_BOOL};
    folder f = make_folder();
    uint8_t bytes[8 * 24];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i < sizeof dtypes / sizeof dtypes[0]; i++) {
        for (int ndim = 0; ndim <= CN_MAX_TENSOR_DIMS; ndim++) {
            int64_t shape[CN_MAX_TENSOR_DIMS] = {2, 3, 1, 4, 1, 1, 1, 1}, count = 1;
            for (int k = 0; k < ndim; k++)
                count *= shape[k];
            assert_int_equal(cn_npy_write(in(&f, "a.npy"), dtypes[i], ndim, shape, bytes, NULL), CN_OK);
            cn_arrays *a = open_arrays(in(&f, "a.npy"));
            const cn_tensor *t = cn_arrays_at(a, 0);
            assert_int_equal(t->dtype, dtypes[i]);
            assert_int_equal(t->ndim, ndim);
            assert_int_equal(t->count, count);
            assert_memory_equal(t->data, bytes, (size_t)count * cn_dtype_size(dtypes[i]));
            cn_arrays_close(a);
        }
    }
    remove_folder(&f);
}

static void rows_are_appended_and_counted(void **state)
{
    (void)state;
    folder f = make_folder();
    cn_npy_writer *w;
    cn_error err = {0};
    float data[15];
    for (int i = 0; i < 15; i++)
        data[i] = fixture(i);
    assert_int_equal(cn_npy_writer_open(&w, in(&f, "a.npy"), CN_DTYPE_F32, 2, (int64_t[]){3, 5}, &err),
                     CN_OK);
    assert_int_equal(cn_npy_writer_rows(w, data, 1, &err), CN_OK);
    assert_int_equal(cn_npy_writer_rows(w, data, 3, &err), CN_EINVAL); /* two are left */
    cn_error_clear(&err);
    assert_int_equal(cn_npy_writer_rows(w, data + 5, 2, &err), CN_OK);
    assert_int_equal(cn_npy_writer_finish(w, &err), CN_OK);
    cn_arrays *a = open_arrays(in(&f, "a.npy"));
    check_grid(cn_arrays_at(a, 0));
    cn_arrays_close(a);
    assert_int_equal(cn_npy_writer_open(&w, in(&f, "b.npy"), CN_DTYPE_F32, 2, (int64_t[]){3, 5}, &err),
                     CN_OK);
    assert_int_equal(cn_npy_writer_rows(w, data, 2, &err), CN_OK);
    assert_int_equal(cn_npy_writer_finish(w, &err), CN_EINVAL); /* one is missing: no file */
    assert_non_null(strstr(err.text, "b.npy: 1 rows are missing"));
    assert_int_equal(cn_npy_writer_open(&w, in(&f, "c.npy"), CN_DTYPE_F32, 1, (int64_t[]){0}, NULL), CN_OK);
    cn_npy_writer_discard(w);
    cn_npy_writer_discard(NULL);
    assert_int_equal(count_files(&f), 1);
    remove_folder(&f);
}

static void npz_comes_back(void **state)
{
    (void)state;
    folder f = make_folder();
    cn_npz_writer *w;
    cn_error err = {0};
    float grid[15];
    int64_t ids[3] = {5, 6, 7};
    for (int i = 0; i < 15; i++)
        grid[i] = fixture(i);
    assert_int_equal(cn_npz_writer_open(&w, in(&f, "a.npz"), &err), CN_OK);
    assert_int_equal(cn_npz_writer_add(w, "visual.layer4", CN_DTYPE_F32, 2, (int64_t[]){3, 5}, grid, &err),
                     CN_OK);
    assert_int_equal(cn_npz_writer_add(w, "ids", CN_DTYPE_I64, 1, (int64_t[]){3}, ids, &err), CN_OK);
    assert_int_equal(cn_npz_writer_add(w, "ids", CN_DTYPE_I64, 1, (int64_t[]){3}, ids, &err), CN_EINVAL);
    cn_error_clear(&err);
    assert_int_equal(cn_npz_writer_finish(w, &err), CN_OK);
    cn_arrays *a = open_arrays(in(&f, "a.npz"));
    assert_int_equal(cn_arrays_count(a), 2);
    check_grid(cn_arrays_find(a, "visual.layer4"));
    assert_memory_equal(cn_arrays_find(a, "ids")->data, ids, sizeof ids);
    assert_null(cn_arrays_find(a, "ids.npy"));
    cn_arrays_close(a);
    assert_int_equal(cn_npz_writer_open(&w, in(&f, "b.npz"), &err), CN_OK);
    cn_npz_writer_discard(w);
    assert_int_equal(count_files(&f), 1);
    remove_folder(&f);
}

static void numpys_files_are_read(void **state)
{
    (void)state;
    static const char *const grids[] = {ARRAY("f4.npy"), ARRAY("fortran.npy"), ARRAY("version2.npy")};
    for (size_t i = 0; i < sizeof grids / sizeof grids[0]; i++) {
        cn_arrays *a = open_arrays(grids[i]);
        check_grid(cn_arrays_at(a, 0));
        cn_arrays_close(a);
    }
    cn_arrays *a = open_arrays(ARRAY("stored.npz"));
    assert_int_equal(cn_arrays_count(a), 3);
    check_grid(cn_arrays_find(a, "grid"));
    assert_int_equal(cn_arrays_find(a, "half")->dtype, CN_DTYPE_F16);
    cn_arrays_close(a);
    a = open_arrays(ARRAY("compressed.npz"));
    check_grid(cn_arrays_find(a, "grid"));
    check_grid(cn_arrays_find(a, "fortran"));
    assert_int_equal(cn_arrays_find(a, "ids")->count, 4);
    cn_arrays_close(a);
    a = open_arrays(ARRAY("scalar.npy"));
    assert_int_equal(cn_arrays_at(a, 0)->ndim, 0);
    assert_int_equal(cn_arrays_at(a, 0)->count, 1);
    cn_arrays_close(a);
    a = open_arrays(ARRAY("empty.npy"));
    assert_int_equal(cn_arrays_at(a, 0)->count, 0);
    cn_arrays_close(a);
    cn_arrays_close(NULL);
}

static void odd_and_hostile_arrays_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        cn_status status;
        const char *words;
    } cases[] = {
        {ARRAY("big_endian.npy"), CN_EUNSUPPORTED, "numpy type >f4 is not read"},
        {ARRAY("u4.npy"), CN_EUNSUPPORTED, "numpy type <u4 is not read"},
        {ARRAY("objects.npy"), CN_EUNSUPPORTED, "Python objects"},
        {ARRAY("struct.npy"), CN_EUNSUPPORTED, "structured numpy types"},
        {ARRAY("truncated.npy"), CN_EFORMAT, "needs 15 elements of 4 bytes, but 56 bytes follow"},
        {ARRAY("longer.npy"), CN_EFORMAT, "but 64 bytes follow"},
        {ARRAY("overflow.npy"), CN_EFORMAT, "the shape's product overflows"},
        {ARRAY("negative.npy"), CN_EFORMAT, "malformed shape"},
        {ARRAY("expression.npy"), CN_EFORMAT, "no type"},
        {ARRAY("twice.npy"), CN_EFORMAT, "key descr is unknown or repeated"},
        {ARRAY("missing.npy"), CN_EFORMAT, "a key is missing"},
        {ARRAY("dims.npy"), CN_ELIMIT, "more than 8 dimensions"},
        {ARRAY("header_beyond.npy"), CN_EFORMAT, "cut short within the header"},
        {ARRAY("header_huge.npy"), CN_ELIMIT, "the .npy header claims 4294967295 bytes"},
        {ARRAY("not_arrays.npz"), CN_EFORMAT, "readme.txt is not a .npy array"},
        {CN_TEST_DATA "/weights/bad/page.pt", CN_EFORMAT, "neither a .npy nor a .npz"},
        {ARRAY("none.npy"), CN_ENOTFOUND, "none.npy: No such file"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cn_error err = {0};
        cn_arrays *a = NULL;
        cn_status st = cn_arrays_open(&a, cases[i].path, &err);
        if (st != cases[i].status || a || !strstr(err.text, cases[i].words))
            fail_msg("%s: status %d, %s", cases[i].path, st, err.text);
    }
}

static void an_empty_type_is_refused(void **state)
{
    (void)state;
    static const char header[] = "{'descr': '', 'fortran_order': False, 'shape': (), }\n";
    folder f = make_folder();
    FILE *file = fopen(in(&f, "empty.npy"), "wb");
    assert_non_null(file);
    fwrite("\x93NUMPY\1\0", 1, 8, file);
    fputc((int)sizeof header - 1, file);
    fputc(0, file);
    fwrite(header, 1, sizeof header - 1, file);
    assert_int_equal(fclose(file), 0);
    cn_error err = {0};
    cn_arrays *a = NULL;
    assert_int_equal(cn_arrays_open(&a, in(&f, "empty.npy"), &err), CN_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "numpy type "));
    remove_folder(&f);
}

static void impossible_arrays_are_not_written(void **state)
{
    (void)state;
    folder f = make_folder();
    cn_error err = {0};
    float x = 0;
    assert_int_equal(cn_npy_write(in(&f, "a"), CN_DTYPE_BF16, 0, NULL, &x, &err), CN_EINVAL);
    assert_non_null(strstr(err.text, "numpy has no type bf16"));
    assert_int_equal(cn_npy_write(in(&f, "a"), CN_DTYPE_F32, 9, (int64_t[9]){0}, &x, NULL), CN_EINVAL);
    assert_int_equal(cn_npy_write(in(&f, "a"), CN_DTYPE_F32, 1, (int64_t[]){-1}, &x, NULL), CN_EINVAL);
    assert_int_equal(cn_npy_write(in(&f, "a"), CN_DTYPE_F32, 2, (int64_t[]){INT64_MAX, 8}, &x, NULL),
                     CN_EINVAL);
    cn_error_clear(&err);
    assert_int_equal(cn_npy_write("/dev/full", CN_DTYPE_F32, 0, NULL, &x, &err), CN_EIO);
    assert_non_null(strstr(err.text, "/dev/full: cannot be written: No space left on device"));
    assert_int_equal(count_files(&f), 0);
    remove_folder(&f);
}

static void failing_allocations_are_survived(void **state)
{
    (void)state;
    folder f = make_folder();
    float grid[15] = {0};
    for (size_t n = 1; n < 30; n++) {
        cn_error err = {0};
        cn_npz_writer *w = NULL;
        cn_arrays *a = NULL;
        cn_memory_fail_at(n, true);
        cn_status st = cn_npz_writer_open(&w, in(&f, "a.npz"), &err);
        if (st == CN_OK) {
            st = cn_npz_writer_add(w, "grid", CN_DTYPE_F32, 2, (int64_t[]){3, 5}, grid, &err);
            if (st == CN_OK)
                st = cn_npz_writer_finish(w, &err);
            else
                cn_npz_writer_discard(w);
        }
        cn_memory_fail_at(n, true);
        cn_status read = cn_arrays_open(&a, ARRAY("compressed.npz"), NULL);
        cn_memory_fail_at(0, false);
        assert_true(st == CN_OK || st == CN_ENOMEM);
        assert_true(read == CN_OK || read == CN_ENOMEM);
        assert_true((read == CN_OK) == (a != NULL));
        assert_true(n > 1 || (st == CN_ENOMEM && read == CN_ENOMEM));
        cn_arrays_close(a);
    }
    assert_int_equal(count_files(&f), 1);
    remove_folder(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(npy_comes_back),
        cmocka_unit_test(npy_equals_numpys_own),
        cmocka_unit_test(every_dtype_and_rank_comes_back),
        cmocka_unit_test(rows_are_appended_and_counted),
        cmocka_unit_test(npz_comes_back),
        cmocka_unit_test(numpys_files_are_read),
        cmocka_unit_test(odd_and_hostile_arrays_are_refused),
        cmocka_unit_test(an_empty_type_is_refused),
        cmocka_unit_test(impossible_arrays_are_not_written),
        cmocka_unit_test(failing_allocations_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
