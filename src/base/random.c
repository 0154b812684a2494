#include "base/random.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if __has_include(<sys/random.h>)
#include <sys/random.h>
#endif

#include "base/banned.h"

#if defined(__linux__)
static bool system_random(void *out, size_t len)
{
    uint8_t *at = out;
    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);
        if (got < 0 && errno != EINTR)
            return false;
        if (got > 0) {
            at += got;
            len -= (size_t)got;
        }
    }
    return true;
}
#else
static bool system_random(void *out, size_t len)
{
    uint8_t *at = out;
    while (len > 0) {
        size_t part = min_size(len, 256); // getentropy's bound
        if (getentropy(at, part) != 0)
            return false;
        at += part;
        len -= part;
    }
    return true;
}
#endif

static void system_bytes(void *out, size_t len)
{
    if (!system_random(out, len)) {
        fprintf(stderr, "weir: the system has no random numbers to give\n");
        abort();
    }
}

// One system call for many small wishes. What was given out is wiped.
void random_bytes(void *out, size_t len)
{
    static _Thread_local struct {
        uint8_t bytes[512];
        size_t left;
    } pool;
    if (len > sizeof pool.bytes / 4) {
        system_bytes(out, len);
        return;
    }
    if (pool.left < len) {
        system_bytes(pool.bytes, sizeof pool.bytes);
        pool.left = sizeof pool.bytes;
    }
    pool.left -= len;
    memcpy(out, pool.bytes + pool.left, len);
    memset(pool.bytes + pool.left, 0, len);
}

void random_id(char *out, size_t n)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    const unsigned even = 256 - 256 % 36; // bytes from here on would favour the first digits
    uint8_t pool[32];
    size_t left = 0;
    for (size_t i = 0; i < n;) {
        if (left == 0) {
            random_bytes(pool, sizeof pool);
            left = sizeof pool;
        }
        uint8_t byte = pool[--left];
        if (byte < even)
            out[i++] = digits[byte % 36];
    }
    out[n] = '\0';
}

static uint64_t rotl(uint64_t x, int by)
{
    return (x << by) | (x >> (64 - by));
}

void random_seed(struct random *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        seed += 0x9e3779b97f4a7c15;
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        r->s[i] = z ^ (z >> 31);
    }
}

// xoshiro256** 1.0 (Blackman, Vigna 2018).
uint64_t random_next(struct random *r)
{
    uint64_t result = rotl(r->s[1] * 5, 7) * 9;
    uint64_t t = r->s[1] << 17;
    r->s[2] ^= r->s[0];
    r->s[3] ^= r->s[1];
    r->s[1] ^= r->s[2];
    r->s[0] ^= r->s[3];
    r->s[2] ^= t;
    r->s[3] = rotl(r->s[3], 45);
    return result;
}

double random_unit(struct random *r)
{
    return (double)(random_next(r) >> 11) * 0x1p-53;
}

uint64_t random_below(struct random *r, uint64_t bound)
{
    ASSERT(bound > 0);
    uint64_t uneven = (0 - bound) % bound; // 2^64 mod bound
    uint64_t x;
    do
        x = random_next(r);
    while (x < uneven);
    return x % bound;
}

uint64_t random_counter(uint64_t key, uint64_t a, uint64_t b)
{
    uint32_t c0 = (uint32_t)a, c1 = (uint32_t)(a >> 32);
    uint32_t c2 = (uint32_t)b, c3 = (uint32_t)(b >> 32);
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xd2511f53u * c0;
        uint64_t p1 = (uint64_t)0xcd9e8d57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        k0 += 0x9e3779b9u;
        k1 += 0xbb67ae85u;
    }
    return (uint64_t)c1 << 32 | c0;
}
