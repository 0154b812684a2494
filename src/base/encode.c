#include "base/encode.h"

#include <pthread.h>

#include <openssl/evp.h>

#include "base/mem.h"

#include "base/banned.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void encode_group(const uint8_t *in, size_t len, char *out)
{
    uint32_t bits = (uint32_t)in[0] << 16;
    if (len > 1)
        bits |= (uint32_t)in[1] << 8;
    if (len > 2)
        bits |= in[2];
    out[0] = alphabet[bits >> 18];
    out[1] = alphabet[bits >> 12 & 63];
    out[2] = len > 1 ? alphabet[bits >> 6 & 63] : '=';
    out[3] = len > 2 ? alphabet[bits & 63] : '=';
}

enum err encode_base64(struct buf *out, const void *data, size_t len)
{
    size_t total = 0;
    if (!mem_mul(len / 3 + (len % 3 != 0), 4, &total))
        return ERR_LIMIT;
    char *at = buf_reserve(out, total);
    if (!at)
        return ERR_LIMIT;
    const uint8_t *in = data;
    for (size_t i = 0; i < len; i += 3, at += 4)
        encode_group(in + i, min_size(len - i, 3), at);
    buf_commit(out, total);
    return ERR_OK;
}

// The value of a digit, or 64.
static uint32_t digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (uint32_t)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (uint32_t)(c - 'a') + 26;
    if (c >= '0' && c <= '9')
        return (uint32_t)(c - '0') + 52;
    return c == '+' ? 62 : c == '/' ? 63 : 64;
}

// Four characters, the last `pad` of them '=', to 3 - pad bytes. False unless canonical: the bits
// that the padding cuts off must be zero, so that every text has one reading and every reading one
// text.
static bool decode_group(const char *in, size_t pad, char *out)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < 4; i++) {
        uint32_t value = i < 4 - pad ? digit(in[i]) : 0;
        if (value > 63)
            return false;
        bits = bits << 6 | value;
    }
    if (bits & ((1u << 8 * pad) - 1))
        return false;
    for (size_t i = 0; i < 3 - pad; i++)
        out[i] = (char)(bits >> (16 - 8 * i));
    return true;
}

enum err decode_base64(struct buf *out, str text)
{
    if (text.len % 4 != 0)
        return ERR_PARSE;
    size_t pad = str_ends(text, STR("==")) ? 2 : str_ends(text, STR("=")) ? 1 : 0;
    size_t total = text.len / 4 * 3 - pad;
    char *at = buf_reserve(out, total);
    if (!at)
        return ERR_LIMIT;
    for (size_t i = 0; i < text.len; i += 4, at += 3)
        if (!decode_group(text.ptr + i, i + 4 == text.len ? pad : 0, at))
            return ERR_PARSE;
    buf_commit(out, total);
    return ERR_OK;
}

void encode_hex(char *out, const void *data, size_t len)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *in = data;
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[in[i] >> 4];
        out[2 * i + 1] = digits[in[i] & 15];
    }
    out[2 * len] = '\0';
}

static bool hex_digit(char c, uint8_t *ret)
{
    if (c >= '0' && c <= '9')
        *ret = (uint8_t)(c - '0');
    else if (c >= 'a' && c <= 'f')
        *ret = (uint8_t)(c - 'a' + 10);
    else
        return false;
    return true;
}

enum err decode_hex(void *out, size_t size, str text)
{
    uint8_t *to = out, high, low;
    if (text.len != 2 * size)
        return ERR_PARSE;
    for (size_t i = 0; i < size; i++) {
        if (!hex_digit(text.ptr[2 * i], &high) || !hex_digit(text.ptr[2 * i + 1], &low))
            return ERR_PARSE;
        to[i] = (uint8_t)(high << 4 | low);
    }
    return ERR_OK;
}

struct sha256 {
    EVP_MD_CTX *ctx;
};

// OpenSSL fails here only when it has no memory or no SHA-256, and then nothing can go on.
static void must(int ok)
{
    ASSERT(ok == 1);
}

// Found once: OpenSSL looks through its providers for it, which takes longer than a short text.
static const EVP_MD *algorithm;

static void find_algorithm(void)
{
    algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
    must(algorithm != NULL);
}

struct sha256 *sha256_new(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, find_algorithm);
    struct sha256 *s = mem_new(struct sha256);
    s->ctx = EVP_MD_CTX_new();
    must(s->ctx != NULL);
    must(EVP_DigestInit_ex(s->ctx, algorithm, NULL));
    return s;
}

void sha256_update(struct sha256 *s, const void *data, size_t len)
{
    must(EVP_DigestUpdate(s->ctx, data, len));
}

void sha256_finish(struct sha256 *s, uint8_t out[static 32])
{
    must(EVP_DigestFinal_ex(s->ctx, out, NULL));
    EVP_MD_CTX_free(s->ctx);
    mem_free(s);
}

void sha256_of(str data, char hex_out[static 65])
{
    uint8_t digest[32];
    struct sha256 *s = sha256_new();
    sha256_update(s, data.ptr, data.len);
    sha256_finish(s, digest);
    encode_hex(hex_out, digest, sizeof digest);
}
