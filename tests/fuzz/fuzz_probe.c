/* fuzz target: rooms=compose
 * Probes from strangers: opened, and used as the commands use them. Each refusal is one line that names the file. */
#include "clipneuron/probe.h"
#include "fuzz_weights.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(const cn_probe *p)
{
    float *activations = calloc((size_t)p->units + 1, sizeof *activations);
    double *logits = calloc(p->n_classes + 1, sizeof *logits);
    size_t terms = 0;
    if (!activations || !logits)
        abort();
    cn_probe_logits(p, activations, logits);
    for (size_t k = 0; k < p->n_classes; k++) {
        const cn_probe_class *c = &p->classes[k];
        terms += c->n;
        if (c->first + c->n > p->n_terms || cn_probe_find_class(p, c->name) > k)
            abort();
        for (size_t t = c->first; t < c->first + c->n; t++)
            if (p->terms[t].class_index != k || p->terms[t].unit < 0 || p->terms[t].unit >= p->units || !p->terms[t].name)
                abort();
    }
    if (terms != p->n_terms || p->chosen >= p->n_points)
        abort();
    free(activations);
    free(logits);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    int fd = memory_file(data, size, path);
    if (fd < 0)
        return 0;
    cn_error err = {0};
    cn_probe *p;
    if (cn_probe_load(&p, path, &err) == CN_OK) {
        use(p);
        cn_probe_free(p);
    } else if (p || strncmp(err.text, path, strlen(path)) != 0 || strchr(err.text, '\n')) {
        abort();
    }
    close(fd);
    return 0;
}
