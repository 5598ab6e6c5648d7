/* file/sha256.c -- SHA-256 through libcrypto's EVP interface, the one file that includes OpenSSL. */
#include "file/sha256.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <string.h>
#include <unistd.h>

struct sha256 {
    EVP_MD_CTX *ctx;
};

cn_status sha256_open(sha256 **out, cn_error *err)
{
    cn_status st = CN_OK;
    *out = NULL;
    sha256 *s = cn_calloc(1, sizeof *s);
    CN_CHECK(s, CN_ENOMEM, "SHA-256: out of memory");
    s->ctx = EVP_MD_CTX_new();
    CN_CHECK(s->ctx, CN_ENOMEM, "SHA-256: out of memory");
    CN_CHECK(EVP_DigestInit_ex(s->ctx, EVP_sha256(), NULL) == 1, CN_EUNSUPPORTED,
             "SHA-256: libcrypto does not offer it");
    *out = s, s = NULL;
done:
    sha256_close(s);
    return st;
}

cn_status sha256_add(sha256 *s, const void *data, size_t size, cn_error *err)
{
    if (EVP_DigestUpdate(s->ctx, data, size) != 1)
        return cn_fail(err, CN_EUNSUPPORTED, "SHA-256: libcrypto failed");
    return CN_OK;
}

cn_status sha256_hex(sha256 *s, char hex[65], cn_error *err)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (EVP_DigestFinal_ex(s->ctx, sum, &size) != 1 || size != 32)
        return cn_fail(err, CN_EUNSUPPORTED, "SHA-256: libcrypto failed");
    for (unsigned i = 0; i < size; i++) {
        hex[2 * i] = "0123456789abcdef"[sum[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[sum[i] & 15];
    }
    hex[64] = '\0';
    return CN_OK;
}

void sha256_close(sha256 *s)
{
    if (s)
        EVP_MD_CTX_free(s->ctx);
    cn_free(s);
}

cn_status sha256_file(const char *path, char hex[65], cn_error *err)
{
    enum { PIECE = 1 << 18 }; /* bytes */
    cn_status st = CN_OK;
    sha256 *s = NULL;
    unsigned char *piece = NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CN_CHECK(fd >= 0, errno == ENOENT ? CN_ENOTFOUND : CN_EIO, "%s: %s", path, strerror(errno));
    CN_TRY(sha256_open(&s, err));
    piece = cn_malloc(PIECE);
    CN_CHECK(piece, CN_ENOMEM, "%s: out of memory", path);
    for (;;) {
        ssize_t n = read(fd, piece, PIECE);
        if (n < 0 && errno == EINTR)
            continue;
        CN_CHECK(n >= 0, CN_EIO, "%s: %s", path, strerror(errno));
        if (n == 0)
            break;
        CN_TRY(sha256_add(s, piece, (size_t)n, err));
    }
    CN_TRY(sha256_hex(s, hex, err));
done:
    cn_free(piece);
    sha256_close(s);
    if (fd >= 0)
        close(fd);
    return st;
}
