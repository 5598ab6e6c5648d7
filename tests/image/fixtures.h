/* What the tests of pictures share: reading a file, and the CRC-32 that the fixture lists hold. */
#ifndef TEST_IMAGE_FIXTURES_H
#define TEST_IMAGE_FIXTURES_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define IMAGES CN_TEST_DATA "/images/"

static inline uint32_t crc32_of(const uint8_t *bytes, size_t size)
{
    static uint32_t table[256];
    if (!table[1])
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t v = i;
            for (int bit = 0; bit < 8; bit++)
                v = v & 1 ? v >> 1 ^ 0xedb88320u : v >> 1;
            table[i] = v;
        }
    uint32_t crc = 0xffffffffu;
    while (size-- > 0)
        crc = crc >> 8 ^ table[(crc ^ *bytes++) & 0xff];
    return ~crc;
}

/* The whole file, caller frees; NULL when it cannot be read. */
static inline uint8_t *read_whole(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    uint8_t *bytes = NULL;
    if (f && fseek(f, 0, SEEK_END) == 0) {
        *size = (size_t)ftell(f);
        rewind(f);
        bytes = malloc(*size + 1);
        if (bytes && fread(bytes, 1, *size, f) != *size) {
            free(bytes);
            bytes = NULL;
        }
    }
    if (f)
        fclose(f);
    return bytes;
}

#endif
