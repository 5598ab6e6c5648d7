/* weights/torchtensors.h -- from the values of a PyTorch pickle to named tensors: finds the state dict, or walks a
 * TorchScript module tree, and checks every tensor against its storage. Shared by both containers. */
#ifndef WEIGHTS_TORCHTENSORS_H
#define WEIGHTS_TORCHTENSORS_H

#include "weights/collection.h"
#include "weights/pickle.h"

/* Finds the bytes of a storage: *size of them at *data. */
typedef cn_status (*storage_finder)(void *context, const pickle_storage *storage, const uint8_t **data,
                                    size_t *size, cn_error *err);

/* Adds all tensors of the root value to w. */
CN_MUST_CHECK cn_status torchtensors_add(cn_weights *w, const pickle *p, storage_finder find, void *context,
                                         cn_error *err);

#endif
