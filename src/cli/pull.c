#include "cli/pull.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/encode.h"
#include "base/mem.h"

#include "base/banned.h"

enum err pull_sha256_file(const char *path, char ret_hex[static 65], struct diag *d)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return diag_sys(d, ERR_IO, errno, "cannot open %s", path);
    struct sha256 *sum = sha256_new();
    enum { CHUNK = 1 << 20 };
    char *chunk = mem_alloc(CHUNK);
    ssize_t n;
    while ((n = read(fd, chunk, CHUNK)) > 0)
        sha256_update(sum, chunk, (size_t)n);
    int sys = errno;
    uint8_t digest[32];
    sha256_finish(sum, digest);
    mem_free(chunk);
    close(fd);
    if (n < 0)
        return diag_sys(d, ERR_IO, sys, "cannot read %s", path);
    encode_hex(ret_hex, digest, sizeof digest);
    return ERR_OK;
}
