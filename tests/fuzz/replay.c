// replay: runs a fuzz target without libFuzzer, so that every compiler and sanitizer sees the
// corpus in `make test`.
//
// usage: fuzz_x [FILE|FOLDER]...  Each file is given whole, cut short at up to CUTS places, and
// with one byte changed at up to CHANGES places; places and bytes come from the file's own length,
// so a failure repeats. The empty input is always tried. A missing folder counts as empty: the
// target then sees the empty input and NOISE seeded ones.
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { CUTS = 48, CHANGES = 48, NOISE = 256, FILE_BYTES_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t runs;

// The input is given in an allocation of its exact size, so that a sanitizer sees the first byte
// read beyond it.
static void give(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    if (!copy)
        abort();
    if (size > 0)
        memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    runs++;
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void give_variants(uint8_t *data, size_t size)
{
    uint32_t state = (uint32_t)size;
    give(data, size);
    for (int i = 0; size > 0 && i < CUTS; i++)
        give(data, size <= CUTS ? (size_t)i % size : next_random(&state) % size);
    for (int i = 0; size > 0 && i < CHANGES; i++) {
        size_t place = next_random(&state) % size;
        uint8_t old = data[place];
        data[place] = (uint8_t)next_random(&state);
        give(data, size);
        data[place] = old;
    }
}

static void give_noise(void)
{
    uint8_t noise[512];
    uint32_t state = 1;
    for (int i = 0; i < NOISE; i++) {
        size_t size = next_random(&state) % sizeof noise;
        for (size_t k = 0; k < size; k++)
            noise[k] = (uint8_t)next_random(&state);
        give(noise, size);
    }
}

static void replay_file(const char *path)
{
    static uint8_t bytes[FILE_BYTES_MAX];
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(1);
    }
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    fprintf(stderr, "%s\n", path); // the last name printed is the one that failed
    give_variants(bytes, size);
}

static void replay_folder(const char *path)
{
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char name[4096];
        snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
        struct stat st;
        if (stat(name, &st) == 0 && S_ISREG(st.st_mode))
            replay_file(name);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
}

int main(int argc, char **argv)
{
    give(NULL, 0);
    give_noise();
    for (int i = 1; i < argc; i++) {
        struct stat st;
        if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode))
            replay_folder(argv[i]);
        else if (stat(argv[i], &st) == 0)
            replay_file(argv[i]);
    }
    printf("%zu inputs\n", runs);
    return 0;
}
