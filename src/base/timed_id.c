#include "base/timed_id.h"

#include "base/banned.h"

#define CHANCE_BITS 52
#define TIME_DIGITS (TIMED_ID_LEN - CHANCE_BITS / 4)

// Eight hex digits, all at once: a nibble into each byte, 'a'-'9'-1 more where it is over 9, and
// the highest first.
static void put_hex8(char *out, uint32_t bits)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t w = bits;
    w = (w | w << 16) & UINT64_C(0x0000ffff0000ffff);
    w = (w | w << 8) & UINT64_C(0x00ff00ff00ff00ff);
    w = (w | w << 4) & (ones * 0x0f);
    uint64_t letters = ((w + ones * 6) >> 4) & ones;
    w += ones * '0' + letters * ('a' - '9' - 1);
    w = __builtin_bswap64(w);
    memcpy(out, &w, sizeof w);
}

void timed_id_write(char out[TIMED_ID_LEN], uint64_t wall_ms, uint64_t chance)
{
    uint64_t low = wall_ms << CHANCE_BITS | (chance & ((1ull << CHANCE_BITS) - 1));
    put_hex8(out, (uint32_t)(wall_ms >> (64 - CHANCE_BITS)));
    put_hex8(out + 8, (uint32_t)(low >> 32));
    put_hex8(out + 16, (uint32_t)low);
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool timed_id_read(str id, uint64_t *ret_wall_ms)
{
    uint64_t ms = 0;
    if (id.len < TIMED_ID_LEN)
        return false;
    const char *at = id.ptr + id.len - TIMED_ID_LEN;
    for (int i = 0; i < TIMED_ID_LEN; i++) {
        int v = digit(at[i]);
        if (v < 0)
            return false;
        if (i < TIME_DIGITS)
            ms = ms << 4 | (uint64_t)v;
    }
    *ret_wall_ms = ms;
    return true;
}
