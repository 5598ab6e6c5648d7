#include "weights/collection.h"
cn_status torchzip_read(cn_weights *w, const filemap *map, const char *path, cn_error *err)
{
    (void)w;
    (void)map;
    return cn_fail(err, CN_EUNSUPPORTED, "%s: PyTorch zip files are not read yet", path);
}
cn_status torchlegacy_read(cn_weights *w, const filemap *map, const char *path, cn_error *err)
{
    (void)w;
    (void)map;
    return cn_fail(err, CN_EUNSUPPORTED, "%s: legacy PyTorch files are not read yet", path);
}
cn_status folder_read(cn_weights *w, const char *path, cn_error *err)
{
    (void)w;
    return cn_fail(err, CN_EUNSUPPORTED, "%s: folders are not read yet", path);
}
