/* cli/cmd_pull.c -- `clipneuron pull`: downloads of released models. */
#include "commands.h"
#include "interrupt.h"
#include "json.h"
#include "progress.h"
#include "report.h"

#include <clipneuron/pull.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct arguments {
    const char *sha256, *url_base, *folder;
    bool list, force, json, quiet;
    struct words names;
};

/* clang-format off */
static const struct option options[] = {
    {'l', "list", OPTION_FLAG, offsetof(struct arguments, list), NULL,
     "Print the names of the released models, and which of them are there."},
    {'f', "force", OPTION_FLAG, offsetof(struct arguments, force), NULL, "Fetch from the start, even when the file is there."},
    {0, "sha256", OPTION_TEXT, offsetof(struct arguments, sha256), "HEX",
     "The sum of the file behind an address; required with one."},
    {0, "url-base", OPTION_TEXT, offsetof(struct arguments, url_base), "URL",
     "A mirror that has the files as SHA256/FILE below this address."},
    {0, "folder", OPTION_TEXT, offsetof(struct arguments, folder), "FOLDER",
     "Where the files go. Default: $XDG_CACHE_HOME/clipneuron/models, else ~/.cache/clipneuron/models, where --model "
     "finds them by name."},
    {0, "json", OPTION_FLAG, offsetof(struct arguments, json), NULL, "Print JSON."},
    {'q', "quiet", OPTION_FLAG, offsetof(struct arguments, quiet), NULL, "No progress and no notes."},
};
/* clang-format on */

static bool is_there(const cn_pull_model *model, char path[CN_PULL_PATH_SIZE], const char *folder)
{
    struct stat info;
    if (folder)
        snprintf(path, CN_PULL_PATH_SIZE, "%s/%s", folder, model->file);
    else if (cn_pull_path(model, path, NULL) != CN_OK)
        return false;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

static int list(const struct arguments *a)
{
    struct json j;
    char path[CN_PULL_PATH_SIZE];
    json_begin(&j, stdout);
    if (a->json)
        json_open(&j, NULL, '[');
    else
        printf("%-16s %5s  %8s  %s\n", "name", "input", "size", "file");
    for (size_t i = 0; i < cn_pull_count(); i++) {
        const cn_pull_model *m = cn_pull_at(i);
        bool there = is_there(m, path, a->folder);
        if (!a->json) {
            printf("%-16s %2d px  %5d MB  ", m->name, m->resolution, m->megabytes);
            print_safely(stdout, there ? path : "-");
            putchar('\n');
            continue;
        }
        json_open(&j, NULL, '{');
        json_text(&j, "name", m->name);
        json_text(&j, "file", m->file);
        json_text(&j, "sha256", m->sha256);
        json_int(&j, "resolution", m->resolution);
        json_int(&j, "megabytes", m->megabytes);
        json_text(&j, "path", there ? path : NULL);
        json_close(&j, '}');
    }
    if (a->json) {
        json_close(&j, ']');
        json_end(&j);
    }
    return EXIT_DONE;
}

static bool on_progress(const cn_pull_progress *p, void *user)
{
    (void)user;
    if (!p->checking)
        progress_set(p->done, p->total, p->resumed);
    return !interrupted();
}

static int pull(const struct arguments *a, const char *name, cn_pull_result *result)
{
    cn_pull_options o = {
        .folder = a->folder, .url_base = a->url_base, .force = a->force, .progress = on_progress};
    const cn_pull_model *model = NULL;
    cn_error err = {0};
    cn_status st = CN_OK;
    bool address = strstr(name, "://") != NULL;
    if (address && !a->sha256)
        return fail_usage("pull", "an address needs --sha256 HEX: nothing is taken unchecked");
    if (!address && a->sha256)
        return fail_usage("pull", "--sha256 goes with an address; the sums of released models are known");
    if (!address)
        st = cn_pull_find(name, &model, &err);
    const char *slash = strrchr(name, '/');
    progress_start(model ? model->name : slash ? slash + 1 : name, -1, PROGRESS_BYTES, a->quiet);
    if (st == CN_OK)
        st = address ? cn_pull_url(name, a->sha256, &o, result, &err) : cn_pull(model, &o, result, &err);
    progress_end();
    if (st == CN_ECANCELED && interrupted())
        note(a->quiet, "clipneuron: %s: stopped; the next call goes on from there", name);
    return st == CN_OK ? EXIT_DONE : fail_error(&err, st);
}

static void report(const struct arguments *a, struct json *j, const char *name, const cn_pull_result *r)
{
    if (!a->json) {
        print_safely(stdout, r->path);
        putchar('\n');
        if (r->received == 0)
            note(a->quiet, "clipneuron: %s: is there, its sum is right", name);
        return;
    }
    json_open(j, NULL, '{');
    json_text(j, "name", name);
    json_text(j, "path", r->path);
    json_int(j, "bytes", r->bytes);
    json_int(j, "received", r->received);
    json_int(j, "resumed", r->resumed);
    json_close(j, '}');
}

static int run(int argc, char **argv)
{
    struct arguments a = {0};
    int code = options_begin(&command_pull, argc, argv, &a);
    if (code >= 0)
        return code;
    if (a.list && a.names.count)
        code = fail_usage("pull", "--list takes no names");
    else if (a.list)
        code = list(&a);
    else if (!a.names.count)
        code = fail_usage("pull", "no model named; 'clipneuron pull --list' has the names");
    else if (a.sha256 && a.names.count > 1)
        code = fail_usage("pull", "--sha256 goes with one address");
    else {
        struct json j;
        json_begin(&j, stdout);
        code = EXIT_DONE;
        for (size_t i = 0; i < a.names.count && code == EXIT_DONE; i++) {
            cn_pull_result result = {0};
            code = pull(&a, a.names.items[i], &result);
            if (code == EXIT_DONE) {
                if (a.json && i == 0)
                    json_open(&j, NULL, '[');
                report(&a, &j, a.names.items[i], &result);
            }
            if (a.json && j.depth && (code != EXIT_DONE || i + 1 == a.names.count)) {
                json_close(&j, ']');
                json_end(&j);
            }
        }
    }
    options_free(&command_pull, &a);
    return code;
}

const struct command command_pull = {
    .name = "pull",
    .summary = "download OpenAI's released models, checked",
    .synopsis = "pull NAME...\npull URL --sha256 HEX\npull --list [--json]",
    .description = "Fetches checkpoints into the cache, prints their paths, and lets --model find them by "
                   "name. NAME is one of "
                   "--list, in any case (vit-b-32 is ViT-B/32). The file is downloaded to FILE.part, its "
                   "SHA-256 is compared with "
                   "the published one, and only then does it get its name. What has arrived is kept when the "
                   "connection breaks, "
                   "the disk is full or the program is stopped, and the next call goes on from there; a file "
                   "with a wrong sum is "
                   "removed. A file that is already there is checked and not fetched again.\n\n"
                   "Proxies are taken from the environment (https_proxy, no_proxy).",
    .examples = "What there is:\n\n"
                "$ clipneuron pull --list\n\n"
                "The paper's main subject, and a look at it (422 MB):\n\n"
                "% clipneuron pull RN50x4\n"
                "% clipneuron info --model RN50x4\n\n"
                "From a mirror:\n\n"
                "% clipneuron pull --url-base https://mirror.example/clip ViT-B/32",
    .options = options,
    .n_options = CN_COUNT(options),
    .operand = "NAME...",
    .operands_offset = offsetof(struct arguments, names),
    .run = run,
};
