#include "engine/text/byte_chars.h"

#include "base/banned.h"

// The bytes that do not stand for themselves: 0–32, 127–160, 173.
uint32_t byte_chars_encode(uint8_t byte)
{
    if (byte <= 32)
        return 256u + byte;
    if (byte >= 127 && byte <= 160)
        return 256u + 33 + (byte - 127u);
    return byte == 173 ? 256u + 67 : byte;
}

int byte_chars_decode(uint32_t cp)
{
    if (cp >= 256 && cp < 256 + 33)
        return (int)(cp - 256);
    if (cp >= 256 + 33 && cp < 256 + 67)
        return (int)(cp - 256 - 33 + 127);
    if (cp == 256 + 67)
        return 173;
    return cp < 256 && byte_chars_encode((uint8_t)cp) == cp ? (int)cp : -1;
}
