#include "net/symbol.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#if defined(__linux__)
#include <elf.h>
#include <link.h>

#include "base/fs.h"
#endif

#include "base/banned.h"

#if defined(__linux__)

// Everything below reads our own file, but a file can be cut: each access is checked.
static const void *part(const struct fs_map *m, uint64_t at, uint64_t count, uint64_t size)
{
    uint64_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) || at > m->size || bytes > m->size - at)
        return NULL;
    return m->data + at;
}

static bool copy_name(const struct fs_map *m, const ElfW(Shdr) * strings, uint32_t at, char *out,
                      size_t out_size)
{
    const char *text = part(m, strings->sh_offset, strings->sh_size, 1);
    if (!text || at >= strings->sh_size)
        return false;
    size_t len = strnlen(text + at, strings->sh_size - at);
    snprintf(out, out_size, "%.*s", (int)min_size(len, 200), text + at);
    return len > 0;
}

static bool find_in_table(const struct fs_map *m, const ElfW(Shdr) * table,
                          const ElfW(Shdr) * strings, uintptr_t address, char *out, size_t out_size)
{
    size_t count = table->sh_size / sizeof(ElfW(Sym));
    const ElfW(Sym) *symbols = part(m, table->sh_offset, count, sizeof *symbols);
    for (size_t i = 0; symbols && i < count; i++) {
        const ElfW(Sym) *s = &symbols[i];
        // The type is in the low four bits, in 32-bit and 64-bit files alike.
        if ((s->st_info & 15) == STT_FUNC && address >= s->st_value &&
            address - s->st_value < s->st_size)
            return copy_name(m, strings, s->st_name, out, out_size);
    }
    return false;
}

static bool find_in_file(const struct fs_map *m, uintptr_t load_base, uintptr_t address, char *out,
                         size_t out_size)
{
    const ElfW(Ehdr) *head = part(m, 0, 1, sizeof *head);
    if (!head || memcmp(head->e_ident, ELFMAG, SELFMAG) != 0)
        return false;
    if (head->e_type == ET_DYN)
        address -= load_base;
    const ElfW(Shdr) *sections = part(m, head->e_shoff, head->e_shnum, sizeof *sections);
    for (size_t i = 0; sections && i < head->e_shnum; i++)
        if (sections[i].sh_type == SHT_SYMTAB && sections[i].sh_link < head->e_shnum)
            return find_in_table(m, &sections[i], &sections[sections[i].sh_link], address, out,
                                 out_size);
    return false;
}

static bool find_in_program(uintptr_t load_base, uintptr_t address, char *out, size_t out_size)
{
    struct fs_map m;
    if (fs_map_open("/proc/self/exe", &m, NULL) != ERR_OK)
        return false;
    bool found = find_in_file(&m, load_base, address, out, out_size);
    fs_map_close(&m);
    return found;
}

#else

static bool find_in_program(uintptr_t load_base UNUSED, uintptr_t address UNUSED, char *out UNUSED,
                            size_t out_size UNUSED)
{
    return false; // dladdr of other systems knows static functions by itself
}

#endif

const char *symbol_name(void (*function)(void), char *out, size_t out_size)
{
    uintptr_t address = (uintptr_t)function;
    Dl_info info = {0};
    bool known = dladdr((void *)address, &info) != 0;
    if (known && info.dli_sname) {
        snprintf(out, out_size, "%s", info.dli_sname);
        return out;
    }
    if (known && find_in_program((uintptr_t)info.dli_fbase, address, out, out_size))
        return out;
    const char *file = known && info.dli_fname ? strrchr(info.dli_fname, '/') : NULL;
    if (file)
        snprintf(out, out_size, "%s+0x%zx", file + 1,
                 (size_t)(address - (uintptr_t)info.dli_fbase));
    else
        snprintf(out, out_size, "0x%zx", (size_t)address);
    return out;
}
