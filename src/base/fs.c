#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/random.h"

#include "base/banned.h"

enum { READ_BYTES = 64 * 1024 };

static enum err fail(struct diag *d, const char *path, const char *what)
{
    int sys = errno;
    diag_sys(d, sys == ENOENT ? ERR_NOT_FOUND : ERR_IO, sys, "%s", what);
    diag_where(d, "%s", path);
    return sys == ENOENT ? ERR_NOT_FOUND : ERR_IO;
}

static enum err too_big(struct diag *d, const char *path, size_t limit_bytes)
{
    diag_set(d, ERR_LIMIT, "the file is larger than the %zu bytes allowed here", limit_bytes);
    diag_where(d, "%s", path);
    return ERR_LIMIT;
}

// Reads to the end: pipes and /proc files do not tell their size beforehand.
static enum err read_all(int fd, const char *path, struct buf *b, struct diag *d)
{
    for (;;) {
        // One byte past the limit is asked for, so that a file of just that size still ends well.
        char *room = buf_reserve(b, min_size(READ_BYTES, b->limit - b->len));
        if (!room) {
            diag_set(d, ERR_NOMEM, "no memory to read the file");
            diag_where(d, "%s", path);
            return ERR_NOMEM;
        }
        ssize_t got = read(fd, room, min_size(READ_BYTES, b->limit - b->len));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return fail(d, path, "cannot read the file");
        if (got == 0)
            return ERR_OK;
        buf_commit(b, (size_t)got);
        if (b->len == b->limit)
            return too_big(d, path, b->limit - 1);
    }
}

enum err fs_read(const char *path, size_t limit_bytes, struct buf *ret, struct diag *d)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(d, path, "cannot open the file");
    struct buf b;
    buf_init(&b, limit_bytes < SIZE_MAX ? limit_bytes + 1 : limit_bytes);
    enum err e = read_all(fd, path, &b, d);
    close(fd);
    if (e != ERR_OK) {
        buf_done(&b);
        return e;
    }
    b.limit = limit_bytes;
    *ret = b;
    return ERR_OK;
}

static bool write_all(int fd, str data)
{
    while (data.len > 0) {
        ssize_t done = write(fd, data.ptr, data.len);
        if (done < 0 && errno != EINTR)
            return false;
        if (done > 0)
            data = str_sub(data, (size_t)done, data.len);
    }
    return true;
}

// So that the rename itself survives a crash. Some file systems cannot sync a directory: no error.
static void sync_folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? mem_strndup(path, max_size((size_t)(slash - path), 1)) : mem_strdup(".");
    int fd = open(folder, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    if (fd >= 0) {
        (void)!fsync(fd);
        close(fd);
    }
    mem_free(folder);
}

static bool fill_and_rename(int fd, const char *temp, const char *path, str data)
{
    struct stat old;
    bool ok = stat(path, &old) != 0 || fchmod(fd, old.st_mode & 07777) == 0;
    ok = ok && write_all(fd, data) && fsync(fd) == 0;
    ok = close(fd) == 0 && ok;
    return ok && rename(temp, path) == 0;
}

enum err fs_write_atomic(const char *path, str data, struct diag *d)
{
    struct buf temp;
    char suffix[9];
    random_id(suffix, 8);
    buf_init(&temp, SIZE_MAX);
    buf_printf(&temp, "%s.%s.tmp", path, suffix);
    const char *temp_path = buf_cstr(&temp);
    enum err e = ERR_OK;
    int fd = open(temp_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0) {
        e = fail(d, temp_path, "cannot create the file");
    } else if (!fill_and_rename(fd, temp_path, path, data)) {
        e = fail(d, path, "cannot write the file");
        unlink(temp_path);
    } else {
        sync_folder_of(path);
    }
    buf_done(&temp);
    return e;
}

static enum err map_fd(int fd, const char *path, struct fs_map *ret, struct diag *d)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return fail(d, path, "cannot read the file's size");
    if (!S_ISREG(st.st_mode)) {
        diag_set(d, ERR_INVALID, "this is not a regular file");
        diag_where(d, "%s", path);
        return ERR_INVALID;
    }
    if (st.st_size == 0) {
        *ret = (struct fs_map){.data = (const uint8_t *)"", .size = 0, .mapped = false};
        return ERR_OK;
    }
    void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return fail(d, path, "cannot map the file");
    *ret = (struct fs_map){.data = data, .size = (size_t)st.st_size, .mapped = true};
    return ERR_OK;
}

enum err fs_map_open(const char *path, struct fs_map *ret, struct diag *d)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); // a FIFO must not hang us
    if (fd < 0)
        return fail(d, path, "cannot open the file");
    enum err e = map_fd(fd, path, ret, d);
    close(fd);
    return e;
}

void fs_map_close(struct fs_map *m)
{
    if (m->mapped)
        munmap((void *)(uintptr_t)m->data, m->size);
    *m = (struct fs_map){0};
}

bool fs_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

static bool make_folder(const char *path)
{
    struct stat st;
    if (mkdir(path, 0777) == 0)
        return true;
    int sys = errno;
    if (stat(path, &st) != 0) {
        errno = sys;
        return false;
    }
    errno = ENOTDIR; // "File exists" would not say what is wrong
    return S_ISDIR(st.st_mode);
}

enum err fs_mkdirs(const char *path, struct diag *d)
{
    char *copy = mem_strdup(path);
    bool ok = true;
    for (char *at = copy + 1; ok && copy[0] && *at; at++) {
        if (*at != '/')
            continue;
        *at = '\0';
        ok = make_folder(copy);
        *at = '/';
    }
    enum err e = ok && make_folder(copy) ? ERR_OK : fail(d, path, "cannot make the folder");
    mem_free(copy);
    return e;
}

enum err fs_data_dir(struct buf *ret, struct diag *d)
{
    const char *data_home = getenv("XDG_DATA_HOME");
    const char *home = getenv("HOME");
    struct buf path;
    buf_init(&path, SIZE_MAX);
    if (data_home && data_home[0] == '/') // the specification: relative paths are ignored
        buf_printf(&path, "%s/weir", data_home);
    else if (home && home[0] == '/')
        buf_printf(&path, "%s/.local/share/weir", home);
    else
        return diag_set(d, ERR_NOT_FOUND,
                        "no folder for data: set XDG_DATA_HOME or HOME to an absolute path");
    *ret = path;
    return ERR_OK;
}
