/* cli/models.c -- from a --model value to an open model. A path wins over a name; names are looked up
 * among OpenAI's released models, then in the cache, then in the models that came with the program. */
#include "models.h"
#include "report.h"

#include <clipneuron/pull.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_MODEL "specimen"

const char *const gelu_choices[] = {"auto", "quick", "erf", NULL};
const char *const dtype_choices[] = {"fp32", "bf16", "auto", NULL};
const char *const backend_choices[] = {"onednn", "reference", NULL};

static bool exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}

/* The folder of the running program, owned by the caller; NULL when the system does not say. */
static char *program_folder(void)
{
    char path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0)
        return NULL;
    path[length] = '\0';
    char *slash = strrchr(path, '/');
    if (!slash)
        return NULL;
    *slash = '\0';
    return need_format("%s", path);
}

/* folder/name, also with the endings of checkpoints; NULL when there is none. */
static char *in_folder(const char *folder, const char *name)
{
    static const char *const endings[] = {"", ".safetensors", ".pt", ".pth", ".bin"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        char *path = need_format("%s/%s%s", folder, name, endings[i]);
        if (exists(path)) {
            char *plain = realpath(path, NULL); /* without the ".." of a moved installation */
            if (!plain)
                return path;
            free(path);
            return plain;
        }
        free(path);
    }
    return NULL;
}

/* The models beside the program: of a build folder inside the source tree, of an installation that
 * may have been moved, and of the compiled-in data folder. */
static char *among_installed(const char *name)
{
    char *found = NULL;
    char *folder = program_folder();
    if (folder) {
        char *mark = need_format("%s/CMakeCache.txt", folder);
        const char *const up[] = {"/../models", "/../../models", "/../share/clipneuron/models"};
        bool built_here = exists(mark);
        for (size_t i = built_here ? 0 : 2; i < 3 && !found; i++) {
            char *models = need_format("%s%s", folder, up[i]);
            found = in_folder(models, name);
            free(models);
        }
        free(mark);
        free(folder);
    }
    return found ? found : in_folder(CLIPNEURON_DATADIR "/models", name);
}

static char *among_pulled(const char *name)
{
    char folder[CN_PULL_PATH_SIZE];
    cn_error err = {0};
    if (strchr(name, '/') || cn_pull_folder(folder, &err) != CN_OK)
        return NULL;
    return in_folder(folder, name);
}

static void report_unknown(const char *name)
{
    const char *names[64];
    size_t count = 0;
    for (; count < cn_pull_count() && count < 62; count++)
        names[count] = cn_pull_at(count)->name;
    names[count++] = DEFAULT_MODEL;
    names[count++] = DEFAULT_MODEL "-control"; /* its negative control */
    const char *near = nearest(name, names, count);
    if (near)
        fail("%s: no file, folder or model of that name; did you mean %s?", name, near);
    else
        fail("%s: no file, folder or model of that name", name);
}

char *model_find(const char *name)
{
    if (!name) {
        const char *from_environment = getenv("CLIPNEURON_MODEL");
        if (from_environment && from_environment[0])
            return model_find(from_environment);
        char *path = among_installed(DEFAULT_MODEL);
        if (!path)
            fail("the default model (" DEFAULT_MODEL ".safetensors) is not installed; name one with --model");
        return path;
    }
    if (name[0] == '\0') {
        fail("--model is empty");
        return NULL;
    }
    if (exists(name))
        return need_format("%s", name);
    const cn_pull_model *released = NULL;
    bool is_name = name[0] != '/' && name[0] != '.';
    if (is_name && cn_pull_find(name, &released, NULL) == CN_OK) {
        char path[CN_PULL_PATH_SIZE];
        cn_error err = {0};
        cn_status st = cn_pull_path(released, path, &err);
        if (st != CN_OK) {
            fail_error(&err, st);
            return NULL;
        }
        if (!exists(path)) {
            fail("%s: not downloaded yet; 'clipneuron pull %s' fetches it", released->name, released->name);
            return NULL;
        }
        return need_format("%s", path);
    }
    char *path = NULL;
    if (is_name) {
        path = among_pulled(name);
        if (!path && !strchr(name, '/'))
            path = among_installed(name);
    }
    if (!path && strchr(name, '/'))
        fail("%s: %s", name, strerror(ENOENT));
    else if (!path)
        report_unknown(name);
    return path;
}

int model_open(const struct model_arguments *arguments, cn_model **out)
{
    *out = NULL;
    char *path = model_find(arguments->model);
    if (!path)
        return EXIT_FAILED;
    cn_model_options options = {.gelu = (cn_gelu)arguments->gelu};
    cn_error err = {0};
    cn_status st = cn_model_open(out, path, &options, &err);
    free(path);
    return st == CN_OK ? EXIT_DONE : fail_error(&err, st);
}

cn_precision precision_of(const struct run_arguments *arguments)
{
    if (arguments->dtype == DTYPE_AUTO)
        return cn_cpu_has_bf16() && arguments->backend == CN_BACKEND_ONEDNN ? CN_PRECISION_BF16
                                                                            : CN_PRECISION_F32;
    return (cn_precision)arguments->dtype;
}

cn_runner_options runner_options(const struct run_arguments *arguments, cn_tower tower, int64_t batch_default,
                                 int64_t n)
{
    int64_t batch = arguments->batch ? arguments->batch : batch_default;
    return (cn_runner_options){
        .tower = tower,
        .batch = batch < n ? batch
                 : n > 0   ? n
                           : 1,
        .threads = (int)arguments->threads,
        .precision = precision_of(arguments),
        .backend = (cn_backend)arguments->backend,
    };
}
