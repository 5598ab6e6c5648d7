/* Every file of tests/data/weights/bad is refused with the right status and one clear line, and every damaged
 * version of the good ones is refused or read, but never crashes. */
#include "open.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct {
    const char *file;
    cn_status status;
    const char *words; /* part of the message */
} attacks[] = {
    {"big_endian.pt", CN_EUNSUPPORTED, "written on a big-endian machine"},
    {"billion_laughs.pt", CN_ELIMIT, "more than 4194304 module attributes"},
    {"build_bomb.pt", CN_ELIMIT, "the pickle needs more than 268435456 bytes"},
    {"bytes8_beyond.pt", CN_EFORMAT, "damaged pickle: a string of 18446744073709551615 bytes is cut short"},
    {"control_characters.pt", CN_EUNSUPPORTED, "refused: the pickle asks for ev?[31mil.na?me"},
    {"dict_cycle.pt", CN_EFORMAT, "no tensors inside"},
    {"duplicate_keys.pt", CN_EFORMAT, "two tensors are named w"},
    {"empty.safetensors", CN_EFORMAT, "the file is empty"},
    {"empty_stack.pt", CN_EFORMAT, "damaged pickle at byte 2: the stack is empty"},
    {"eval.pt", CN_EUNSUPPORTED, "refused: the pickle asks for builtins.eval"},
    {"eval_memo.pt", CN_EUNSUPPORTED, "refused: the pickle asks for builtins.eval"},
    {"expanded.pt", CN_EUNSUPPORTED,
     "tensor w is stretched over its storage (1125899906842624 elements from 4)"},
    {"ext.pt", CN_EUNSUPPORTED, "refused: the pickle uses opcode EXT1, which no state dict needs"},
    {"folder_absolute", CN_EFORMAT, "refused: a shard is called '/etc/passwd'"},
    {"folder_empty", CN_ENOTFOUND, "holds no model.safetensors"},
    {"folder_escape", CN_EFORMAT, "refused: a shard is called '../../good/dtypes.safetensors'"},
    {"folder_missing_shard", CN_ENOTFOUND, "No such file or directory"},
    {"folder_missing_tensor", CN_EFORMAT, "tensor b is in no shard"},
    {"folder_no_map", CN_EFORMAT, "no weight_map"},
    {"folder_twice", CN_EFORMAT, "two tensors are named a"},
    {"frame_beyond.pt", CN_EFORMAT, "damaged pickle at byte 2: a frame is cut short"},
    {"inst.pt", CN_EUNSUPPORTED, "refused: the pickle uses opcode INST, which no state dict needs"},
    {"key_bad_utf8.pt", CN_EFORMAT,
     "a tensor's name is empty, or holds control characters or malformed UTF-8"},
    {"key_is_number.pt", CN_EFORMAT, "the state dict has a tensor whose key is no text"},
    {"key_zero_byte.pt", CN_EFORMAT,
     "a tensor's name is empty, or holds control characters or malformed UTF-8"},
    {"legacy_big_endian.pt", CN_EUNSUPPORTED, "written on a big-endian machine"},
    {"legacy_count.pt", CN_EFORMAT,
     "damaged legacy PyTorch file: storage 0 has 1152921504606846976 elements, 4 are announced"},
    {"legacy_count_negative.pt", CN_EFORMAT,
     "damaged legacy PyTorch file: storage 0 has 18446744073709551612 elements, 4 are announced"},
    {"legacy_cut_in_pickle.pt", CN_EFORMAT, "damaged pickle at byte 139: it is cut short"},
    {"legacy_missing_key.pt", CN_EFORMAT, "the file has no storage 0"},
    {"legacy_os_system.pt", CN_EUNSUPPORTED, "refused: the pickle asks for os.system"},
    {"legacy_truncated.pt", CN_EFORMAT, "damaged legacy PyTorch file: cut short within the storages"},
    {"legacy_two_types.pt", CN_EUNSUPPORTED, "storage 0 has two types or sizes"},
    {"legacy_unknown_key.pt", CN_EFORMAT, "damaged legacy PyTorch file: a storage that no tensor uses"},
    {"legacy_version.pt", CN_EUNSUPPORTED, "a legacy PyTorch file of an unknown version"},
    {"lfs_pointer.pt", CN_EUNSUPPORTED, "a Git LFS pointer, not the file itself"},
    {"lfs_pointer.safetensors", CN_EUNSUPPORTED, "a Git LFS pointer"},
    {"list_cycle.pt", CN_EUNSUPPORTED, "the file holds no state dict"},
    {"long_beyond.pt", CN_EFORMAT, "damaged pickle: a string of 4294967295 bytes is cut short"},
    {"mark_only.pt", CN_EFORMAT, "damaged pickle at byte 3: the stack is empty"},
    {"memo_bomb.pt", CN_ELIMIT, "the pickle's memo needs more than 1048576 entries"},
    {"memo_missing.pt", CN_EFORMAT, "damaged pickle at byte 2: it recalls a value that was never remembered"},
    {"module_cycle.pt", CN_ELIMIT, "modules are nested deeper than 64"},
    {"newobj.pt", CN_EUNSUPPORTED, "refused: the pickle asks for socket.socket"},
    {"no_mark.pt", CN_EFORMAT, "damaged pickle at byte 3: there is no mark on the stack"},
    {"no_pickle.pt", CN_EFORMAT, "a zip without data.pkl, so not a PyTorch file"},
    {"no_tensors.pt", CN_EFORMAT, "no tensors inside"},
    {"not_a_dict.pt", CN_EUNSUPPORTED, "the file holds no state dict"},
    {"obj.pt", CN_EUNSUPPORTED, "refused: the pickle asks for os.system"},
    {"odd_dict.pt", CN_EFORMAT, "damaged pickle at byte 9: a dict has a key without a value"},
    {"offset_beyond.pt", CN_EFORMAT, "tensor w reaches beyond its storage of 4 elements"},
    {"offset_negative.pt", CN_EFORMAT, "tensor w reaches beyond its storage of 4 elements"},
    {"opcode.pt", CN_EFORMAT, "damaged pickle at byte 2: 0xff is no opcode"},
    {"os_system.pt", CN_EUNSUPPORTED, "refused: the pickle asks for os.system"},
    {"page.pt", CN_EFORMAT, "neither safetensors nor a PyTorch file (it starts with the bytes 3c 68 74 6d)"},
    {"persid.pt", CN_EUNSUPPORTED, "refused: the pickle uses opcode PERSID, which no state dict needs"},
    {"plain_pickle.pt", CN_EUNSUPPORTED, "a pickle, but not written by torch.save"},
    {"protocol9.pt", CN_EUNSUPPORTED, "pickle protocol 9 is not known"},
    {"pt_many_dims.pt", CN_ELIMIT, "a tensor has 9 dimensions, more than 8"},
    {"pt_negative_shape.pt", CN_EFORMAT, "tensor w has a negative dimension"},
    {"pt_shape_overflow.pt", CN_EFORMAT, "the shape of tensor w overflows"},
    {"script_class_in_state_dict.pt", CN_EUNSUPPORTED, "refused: the pickle asks for __torch__.m.CLIP"},
    {"st_bad_utf8.safetensors", CN_EFORMAT,
     "damaged JSON at byte 3: a string holds control characters or malformed UTF-8"},
    {"st_beyond_end.safetensors", CN_EFORMAT, "tensor a lies at bytes 8 to 16, but the data has 12"},
    {"st_bytes_overflow.safetensors", CN_EFORMAT, "the shape of tensor a overflows"},
    {"st_control_in_name.safetensors", CN_EFORMAT,
     "a tensor's name is empty, or holds control characters or malformed UTF-8"},
    {"st_deep.safetensors", CN_ELIMIT, "JSON is nested deeper than 64"},
    {"st_duplicate_module.safetensors", CN_EFORMAT, "two tensors are named a"},
    {"st_duplicate_property.safetensors", CN_EFORMAT, "tensor a has two properties dtype"},
    {"st_duplicate_tensor.safetensors", CN_EFORMAT, "two tensors are named a"},
    {"st_float_shape.safetensors", CN_EFORMAT, "damaged JSON at byte 30: a whole number is expected"},
    {"st_length_absurd.safetensors", CN_ELIMIT,
     "the safetensors header claims 9223372036854775813 bytes, more than 67108864"},
    {"st_length_beyond.safetensors", CN_EFORMAT,
     "damaged safetensors: the header claims 1000 bytes, the file has 10"},
    {"st_long_name.safetensors", CN_ELIMIT, "JSON string at byte 515 is longer than 512 bytes"},
    {"st_many_dims.safetensors", CN_ELIMIT, "tensor a has more than 8 dimensions"},
    {"st_missing_property.safetensors", CN_EFORMAT, "tensor a lacks its dtype, shape or data_offsets"},
    {"st_negative_offset.safetensors", CN_EFORMAT, "tensor a lies at bytes -8 to 0, but the data has 8"},
    {"st_negative_shape.safetensors", CN_EFORMAT, "tensor a has a negative dimension"},
    {"st_no_object.safetensors", CN_EFORMAT, "damaged JSON at byte 1: a string is expected"},
    {"st_no_tensors.safetensors", CN_EFORMAT, "no tensors inside"},
    {"st_not_json.safetensors", CN_EFORMAT,
     "damaged JSON at byte 19: a comma or a closing bracket is expected"},
    {"st_offset_huge.safetensors", CN_EFORMAT, "damaged JSON at byte 70: a number needs more than 64 bits"},
    {"st_overlap.safetensors", CN_EFORMAT, "tensors a and b overlap"},
    {"st_reversed_offsets.safetensors", CN_EFORMAT, "tensor a lies at bytes 8 to 0, but the data has 8"},
    {"st_same_bytes.safetensors", CN_EFORMAT, "tensors a and b overlap"},
    {"st_shape_overflow.safetensors", CN_EFORMAT, "the shape of tensor a overflows"},
    {"st_short.safetensors", CN_EFORMAT, "damaged JSON at byte 0: an object is expected"},
    {"st_size_mismatch.safetensors", CN_EFORMAT, "tensor a needs 8 bytes but has 4"},
    {"st_tiny.safetensors", CN_EFORMAT, "damaged safetensors: only 3 bytes long"},
    {"st_trailing.safetensors", CN_EFORMAT, "damaged JSON at byte 55: text behind the end"},
    {"st_trailing_comma.safetensors", CN_EFORMAT, "damaged JSON at byte 54: a string is expected"},
    {"st_unknown_property.safetensors", CN_EFORMAT, "tensor a has an unknown property x"},
    {"st_wrong_dtype.safetensors", CN_EUNSUPPORTED, "tensor a has dtype F8_E4M3, which is not read"},
    {"st_zero_in_name.safetensors", CN_EFORMAT, "damaged JSON at byte 9: a malformed escape in a string"},
    {"stack_bomb.pt", CN_ELIMIT, "the pickle's stack needs more than 1048576 entries"},
    {"storage_called.pt", CN_EFORMAT, "damaged pickle at byte 23: a storage type is called"},
    {"storage_complex.pt", CN_EUNSUPPORTED,
     "tensor w has a complex, quantised or untyped storage, which is not read"},
    {"storage_deflated.pt", CN_EUNSUPPORTED, "storage 0 is compressed"},
    {"storage_missing.pt", CN_EFORMAT, "the archive has no storage 1"},
    {"storage_numel_huge.pt", CN_EFORMAT, "the shape of tensor w overflows"},
    {"storage_numel_negative.pt", CN_EFORMAT, "damaged pickle at byte 102: a storage has a negative size"},
    {"storage_outside.pt", CN_EFORMAT, "the archive has no storage ../data.pkl"},
    {"storage_short.pt", CN_EFORMAT, "storage 0 of tensor w claims 8 elements of 4 bytes, but has 16 bytes"},
    {"storage_type_global.pt", CN_EFORMAT,
     "damaged pickle at byte 57: a persistent id does not name a storage"},
    {"stride_beyond.pt", CN_EFORMAT, "tensor w reaches beyond its storage of 4 elements"},
    {"stride_negative.pt", CN_EFORMAT, "tensor w reaches beyond its storage of 4 elements"},
    {"stride_overflow.pt", CN_EFORMAT, "tensor w reaches beyond its storage of 4 elements"},
    {"strides_missing.pt", CN_EFORMAT,
     "damaged pickle at byte 136: a tensor has more or fewer strides than dimensions"},
    {"string_beyond.pt", CN_EFORMAT, "damaged pickle: a string of 2147483647 bytes is cut short"},
    {"subprocess.pt", CN_EUNSUPPORTED, "refused: the pickle asks for subprocess.Popen"},
    {"tensor_of_string.pt", CN_EFORMAT,
     "damaged pickle at byte 56: a tensor is not made from a storage, offset, size and stride"},
    {"truncated.pt", CN_EFORMAT, "no directory at the end"},
    {"two_pickles.pt", CN_EFORMAT, "the archive holds two data.pkl"},
    {"unended.pt", CN_EFORMAT, "damaged pickle at byte 3: it is cut short"},
    {"value_bomb.pt", CN_ELIMIT, "the pickle builds more than 4194304 values"},
    {"whole_model.pt", CN_EUNSUPPORTED, "refused: the pickle asks for clip.model.CLIP"},
    {"zip64_count.pt", CN_ELIMIT, "the zip claims 1099511627776 entries, more than 131072"},
    {"zip64_offset.pt", CN_EFORMAT, "the directory lies outside the file"},
    {"zip_count.pt", CN_EFORMAT, "the directory lies outside the file"},
    {"zip_crc.pt", CN_EFORMAT, "the checksum of entry x/data.pkl is wrong"},
    {"zip_encrypted.pt", CN_EUNSUPPORTED, "zip entry x/data.pkl is encrypted"},
    {"zip_garbage.pt", CN_EFORMAT, "entry x/data.pkl does not inflate to the 137 bytes it claims"},
    {"zip_inflates_long.pt", CN_EFORMAT, "entry x/data.pkl does not inflate to the 128 bytes it claims"},
    {"zip_inflates_short.pt", CN_EFORMAT, "entry x/data.pkl does not inflate to the 146 bytes it claims"},
    {"zip_method.pt", CN_EUNSUPPORTED, "zip entry x/data.pkl uses compression method 12"},
    {"zip_name.pt", CN_EFORMAT, "the local header of entry x/data.pkl disagrees with the directory"},
    {"zip_offset.pt", CN_EFORMAT, "entry x/data.pkl lies outside the file"},
    {"zip_overlap.pt", CN_EFORMAT, "entries x/data.pkl and x/data/0 overlap"},
    {"zip_ratio.pt", CN_EFORMAT, "entry x/data.pkl claims to inflate 2 bytes to 1073741824"},
    {"zip_same_entry.pt", CN_EFORMAT, "entries x/data/0 and x/data/0 overlap"},
    {"zip_same_name.pt", CN_EFORMAT, "two entries are named x/data.pkl"},
    {"zip_size.pt", CN_EFORMAT, "entry x/data.pkl reaches beyond the end (637 bytes claimed)"},
};
#define ATTACKS (sizeof attacks / sizeof attacks[0])

static void hostile_files_are_refused_in_one_clear_line(void **state)
{
    (void)state;
    int wrong = 0;
    for (size_t i = 0; i < ATTACKS; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/weights/bad/%s", CN_TEST_DATA, attacks[i].file);
        cn_error err = {0};
        cn_weights *w = NULL;
        cn_status st = cn_weights_open(&w, path, &err);
        bool good = st == attacks[i].status && err.status == st && w == NULL &&
                    strstr(err.text, attacks[i].words) && strstr(err.text, attacks[i].file) &&
                    !strchr(err.text, '\n');
        if (!good) {
            print_error("%s: status %d, message: %s\n", attacks[i].file, st, err.text);
            wrong++;
        }
        cn_weights_close(w);
    }
    assert_int_equal(wrong, 0);
}

static void every_hostile_fixture_is_in_the_table(void **state)
{
    (void)state;
    DIR *folder = opendir(FIXTURE("bad"));
    assert_non_null(folder);
    size_t count = 0;
    for (struct dirent *e; (e = readdir(folder));)
        count += e->d_name[0] != '.';
    closedir(folder);
    assert_int_equal(count, ATTACKS);
}

/* Opens bytes as a file; reads everything when that works. */
static void try_bytes(const uint8_t *bytes, size_t size)
{
    int fd = memfd_create("weights", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), (ssize_t)size);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    cn_error err = {0};
    cn_weights *w;
    cn_status st = cn_weights_open(&w, path, &err);
    if (st == CN_OK) {
        char hex[65];
        for (size_t i = 0; i < cn_weights_count(w); i++)
            free(read_numbers(cn_weights_at(w, i)));
        assert_int_equal(cn_weights_fingerprint(w, hex, &err), CN_OK);
        cn_weights_close(w);
    } else {
        assert_true(err.text[0]);
    }
    close(fd);
}

static const char *const victims[] = {
    FIXTURE("good/bf16.pt"),      FIXTURE("good/views.pt"),           FIXTURE("good/legacy.pt"),
    FIXTURE("good/script.pt"),    FIXTURE("good/dtypes.safetensors"), FIXTURE("good/checkpoint.pt"),
    FIXTURE("good/protocol4.pt"),
};

/* The bytes of a file; free() them. */
static uint8_t *slurp(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    uint8_t *bytes = malloc(1 << 16);
    assert_non_null(bytes);
    *size = fread(bytes, 1, 1 << 16, f);
    assert_true(*size > 0 && *size < 1 << 16);
    fclose(f);
    return bytes;
}

static void truncation_anywhere_is_survived(void **state)
{
    (void)state;
    for (size_t v = 0; v < sizeof victims / sizeof victims[0]; v++) {
        size_t size;
        uint8_t *bytes = slurp(victims[v], &size);
        for (size_t n = 1; n < size; n += n < 400 ? 1 : 13)
            try_bytes(bytes, n);
        free(bytes);
    }
}

static void changed_bytes_anywhere_are_survived(void **state)
{
    (void)state;
    static const uint8_t values[] = {0x00, 0xff, 0x7f, 0x80, '.', '('};
    for (size_t v = 0; v < sizeof victims / sizeof victims[0]; v++) {
        size_t size;
        uint8_t *bytes = slurp(victims[v], &size);
        for (size_t at = 0; at < size; at += at < 600 ? 1 : 5) {
            uint8_t old = bytes[at];
            bytes[at] = values[at % sizeof values];
            try_bytes(bytes, size);
            bytes[at] = old;
        }
        free(bytes);
    }
}

static void folders_pipes_and_devices_are_refused(void **state)
{
    (void)state;
    cn_error err = {0};
    cn_weights *w;
    assert_int_equal(cn_weights_open(&w, "/dev/zero", &err), CN_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "not a regular file"));
    char folder[] = "/tmp/cn-hostile-XXXXXX", pipe[64];
    assert_non_null(mkdtemp(folder));
    snprintf(pipe, sizeof pipe, "%s/pipe.pt", folder);
    assert_int_equal(mkfifo(pipe, 0600), 0);
    cn_error_clear(&err);
    assert_int_equal(cn_weights_open(&w, pipe, &err), CN_EUNSUPPORTED); /* and does not wait for a writer */
    cn_error_clear(&err);
    assert_int_equal(cn_weights_open(&w, folder, &err), CN_ENOTFOUND);
    unlink(pipe);
    rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_files_are_refused_in_one_clear_line),
        cmocka_unit_test(every_hostile_fixture_is_in_the_table),
        cmocka_unit_test(truncation_anywhere_is_survived),
        cmocka_unit_test(changed_bytes_anywhere_are_survived),
        cmocka_unit_test(folders_pipes_and_devices_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
