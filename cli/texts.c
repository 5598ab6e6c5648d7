/* cli/texts.c -- from text arguments through the text tower. */
#include "texts.h"
#include "interrupt.h"
#include "progress.h"
#include "report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int lines_read(struct lines *lines, const char *file, bool skip_empty)
{
    memset(lines, 0, sizeof *lines);
    bool standard = strcmp(file, "-") == 0;
    FILE *f = standard ? stdin : fopen(file, "re");
    if (!f)
        return fail("%s: %s", file, strerror(errno));
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    size_t number = 0;
    int code = EXIT_DONE;
    while ((length = getline(&line, &room, f)) >= 0) {
        number++;
        while (length > 0 && (line[length - 1] == '\n' || line[length - 1] == '\r'))
            line[--length] = '\0';
        if (strlen(line) != (size_t)length) {
            code = fail("%s: line %zu has a zero byte", standard ? "standard input" : file, number);
            break;
        }
        if (number == 1 && strncmp(line, "\xef\xbb\xbf", 3) == 0) /* the mark that some editors put first */
            memmove(line, line + 3, (size_t)(length -= 3) + 1);
        if (length == 0 && skip_empty)
            continue;
        if ((lines->count & (lines->count - 1)) == 0)
            lines->items =
                need(realloc(lines->items, (lines->count ? lines->count * 2 : 1) * sizeof(char *)));
        lines->items[lines->count++] = need_format("%s", line);
    }
    if (ferror(f))
        code = fail("%s: %s", standard ? "standard input" : file, strerror(errno));
    free(line);
    if (!standard)
        fclose(f);
    if (code != EXIT_DONE)
        lines_free(lines);
    return code;
}

void lines_free(struct lines *lines)
{
    for (size_t i = 0; i < lines->count; i++)
        free(lines->items[i]);
    free(lines->items);
    memset(lines, 0, sizeof *lines);
}

int texts_run(const cn_model *model, cn_runner_options options, const char *const *texts, size_t n,
              bool truncate, bool quiet, text_batch_callback *each, void *user)
{
    size_t context = (size_t)cn_model_get_info(model)->context_length;
    size_t batch = (size_t)options.batch;
    cn_tokenizer *tokenizer = NULL;
    cn_runner *runner = NULL;
    cn_error err = {0};
    int code = EXIT_DONE;
    int32_t *all = need(calloc(n ? n : 1, context * sizeof *all));
    size_t *used = need(calloc(n ? n : 1, sizeof *used));

    /* All texts are looked at before the network is built: an over-long one is reported at once. */
    cn_status st = cn_tokenizer_create(&tokenizer, &err);
    for (size_t i = 0; i < n && st == CN_OK; i++)
        st = cn_tokenizer_row(tokenizer, texts[i], context, truncate, all + i * context, &used[i], &err);
    if (options.n_sites == 0) { /* an embedding needs no token behind the end mark: most texts are short */
        options.text_length = 2;
        for (size_t i = 0; i < n; i++)
            if ((int64_t)used[i] > options.text_length)
                options.text_length = (int64_t)used[i];
    }
    if (st == CN_OK)
        st = cn_runner_create(&runner, model, &options, &err);
    if (st != CN_OK)
        code = fail_error(&err, st);
    progress_start("texts", (int64_t)n, PROGRESS_ITEMS, quiet || n <= batch);
    for (size_t first = 0; first < n && code == EXIT_DONE; first += batch) {
        size_t count = n - first < batch ? n - first : batch;
        st = cn_runner_texts(runner, all + first * context, (int64_t)count, &err);
        if (interrupted())
            code = 128 + interrupted();
        else if (st != CN_OK)
            code = fail_error(&err, st);
        else
            code = each(runner, &(struct text_batch){first, count, used + first}, user);
        progress_set((int64_t)(first + count), (int64_t)n, 0);
    }
    progress_end();
    cn_runner_free(runner);
    cn_tokenizer_free(tokenizer);
    free(all);
    free(used);
    return code;
}
