// base64 (RFC 4648, standard alphabet, padded) and lower-case hex; SHA-256 (OpenSSL). Pure
// functions.
#pragma once

#include "base/buf.h"

enum err encode_base64(struct buf *out, const void *data, size_t len);
enum err decode_base64(struct buf *out, str text) MUST_USE; // ERR_PARSE on anything not canonical
void encode_hex(char *out, const void *data, size_t len);   // 2*len characters and a NUL
// Exactly `size` bytes out of 2*size lower-case digits; ERR_PARSE otherwise.
enum err decode_hex(void *out, size_t size, str text) MUST_USE;

struct sha256;
struct sha256 *sha256_new(void);
void sha256_update(struct sha256 *s, const void *data, size_t len);
void sha256_finish(struct sha256 *s, uint8_t out[static 32]); // frees s
void sha256_of(str data, char hex_out[static 65]);
