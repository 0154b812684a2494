// Rows as messages in the wire format of Protocol Buffers
// (protobuf.dev/programming-guides/encoding): field n is the n-th column of the row's list, so a
// list only grows at its end. Texts and messages are LEN fields; whole numbers sint64; what is
// empty, zero, false or (money) not known is left out.
#pragma once

#include "store/row.h"

// The most bytes of a row's fields; of the head of a LEN field of up to 2^28 bytes.
size_t message_row_bytes_max(const struct row_column *columns, const void *row);
#define MESSAGE_HEAD_MAX 8

// Write at `at`, where there is room; the place behind.
uint8_t *message_put_row(uint8_t *at, const struct row_column *columns, const void *row);
uint8_t *message_put_head(uint8_t *at, uint32_t number, size_t len);

struct message_field {
    uint32_t number;
    bool is_text;  // a LEN field
    str text;      // in the message
    int64_t value; // of a VARINT field, as sint64
};
// The next field of *rest, which moves on. False at the end, and with *rest not empty where the
// bytes are no message.
bool message_next(str *rest, struct message_field *ret);
// Sets what the message says, and all other columns to nothing; texts point into it. Fields that
// the list does not have are passed over. ERR_PARSE.
enum err message_read_row(str message, const struct row_column *columns, void *ret_row,
                          struct diag *d) MUST_USE;
