/* clip/model.h -- what model.c and runner.c share. */
#ifndef CLIP_MODEL_H
#define CLIP_MODEL_H

#include "clip/checkpoint.h"
#include "nn/graph.h"

#include <pthread.h>

struct cn_model {
    cn_weights *weights;
    clip_checkpoint *checkpoint;
    nn_graph *graph[2];   /* by cn_tower; NULL where the checkpoint has no such tower */
    cn_site *site;
    const char **site_name;
    size_t n_sites;
    cn_model_info info;
    pthread_mutex_t lock; /* guards fingerprint */
    char fingerprint[65];
};

#endif
