#include "base/new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/random.h"

#include "base/banned.h"

// "folder/name" to "folder"; "." without one.
static void folder_of(const char *path, struct buf *ret)
{
    const char *slash = strrchr(path, '/');
    buf_init(ret, SIZE_MAX);
    if (slash)
        (void)buf_append(ret, path, max_size((size_t)(slash - path), 1));
    else
        (void)buf_append_char(ret, '.');
}

static void name_temp(struct new_file *f)
{
    char suffix[9];
    random_id(suffix, 8);
    (void)buf_printf(&f->temp, "%s.%s.tmp", buf_cstr(&f->path), suffix);
}

static int open_nameless(const char *path)
{
    int fd = -1;
#ifdef O_TMPFILE
    struct buf folder;
    folder_of(path, &folder);
    fd = open(buf_cstr(&folder), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
    buf_done(&folder);
#else
    (void)path;
#endif
    return fd;
}

static void release(struct new_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
    buf_done(&f->path);
    buf_done(&f->temp);
}

static enum err fail(struct new_file *f, int sys, struct diag *d)
{
    diag_sys(d, ERR_IO, sys, "cannot write the file");
    diag_where(d, "%s", buf_cstr(&f->path));
    return ERR_IO;
}

enum err new_file_open(struct new_file *f, const char *path, struct diag *d)
{
    buf_init(&f->path, SIZE_MAX);
    buf_init(&f->temp, SIZE_MAX);
    (void)buf_append(&f->path, path, strlen(path));
    f->fd = open_nameless(path);
    if (f->fd >= 0)
        return ERR_OK;
    name_temp(f);
    f->fd = open(buf_cstr(&f->temp), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (f->fd >= 0)
        return ERR_OK;
    enum err e = fail(f, errno, d);
    release(f);
    return e;
}

enum err new_file_write(struct new_file *f, const void *data, size_t len, struct diag *d)
{
    const char *at = data;
    while (len > 0) {
        ssize_t done = write(f->fd, at, len);
        if (done < 0 && errno != EINTR)
            return fail(f, errno, d);
        if (done > 0) {
            at += done;
            len -= (size_t)done;
        }
    }
    return ERR_OK;
}

// Gives the nameless file `name`; false with errno when that is taken.
static bool give_name(int fd, const char *name)
{
    char self[64];
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, self, AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0;
}

static bool place(struct new_file *f, bool replace)
{
    const char *path = buf_cstr(&f->path);
    if (!f->temp.len && !replace)
        return give_name(f->fd, path);
    if (!f->temp.len) { // a link cannot replace: by way of a name beside
        name_temp(f);
        if (!give_name(f->fd, buf_cstr(&f->temp))) {
            buf_clear(&f->temp);
            return false;
        }
    }
    const char *temp = buf_cstr(&f->temp);
    if (replace)
        return rename(temp, path) == 0;
    return link(temp, path) == 0 && unlink(temp) == 0;
}

// So that the name itself survives a crash. Some file systems cannot sync a folder: no error.
static void sync_folder(const char *path)
{
    struct buf folder;
    folder_of(path, &folder);
    int fd = open(buf_cstr(&folder), O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    if (fd >= 0) {
        (void)!fsync(fd);
        close(fd);
    }
    buf_done(&folder);
}

enum err new_file_commit(struct new_file *f, bool replace, struct diag *d)
{
    if (fsync(f->fd) == 0 && place(f, replace)) {
        sync_folder(buf_cstr(&f->path));
        release(f);
        return ERR_OK;
    }
    int sys = errno;
    enum err e = sys == EEXIST ? diag_set(d, ERR_DENIED, "%s is there already", buf_cstr(&f->path))
                               : fail(f, sys, d);
    new_file_abandon(f);
    return e;
}

void new_file_abandon(struct new_file *f)
{
    if (f->temp.len)
        unlink(buf_cstr(&f->temp));
    release(f);
}
