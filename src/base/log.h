// One line a record to stderr: logfmt for people, JSON lines for machines. Any thread; a line is
// one write(2). Values pass through log_field_*: control bytes are escaped. Never give it a secret
// or a prompt.
#pragma once

#include "base/base.h"
#include "base/str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_LOGFMT, LOG_JSON };

void log_configure(enum log_level least, enum log_format format);
bool log_enabled(enum log_level level);

enum log_field_type { LOG_STR, LOG_INT, LOG_F64, LOG_BOOL };
struct log_field {
    const char *key; // NULL ends the list
    enum log_field_type type;
    str s;
    int64_t i;
    double f;
};
#define LOG_S(k, v) ((struct log_field){.key = (k), .type = LOG_STR, .s = (v)})
#define LOG_Z(k, v) ((struct log_field){.key = (k), .type = LOG_STR, .s = str_of(v)})
#define LOG_I(k, v) ((struct log_field){.key = (k), .type = LOG_INT, .i = (int64_t)(v)})
#define LOG_F(k, v) ((struct log_field){.key = (k), .type = LOG_F64, .f = (v)})
#define LOG_B(k, v) ((struct log_field){.key = (k), .type = LOG_BOOL, .i = (v)})

// log_write(LOG_INFO, "listening", LOG_Z("address", a), LOG_I("port", p)): time, level and msg are
// added.
void log_fields(enum log_level level, const char *msg, const struct log_field *fields);
#define log_write(level, msg, ...)                                                                 \
    log_fields(level, msg, (const struct log_field[]){{0}, ##__VA_ARGS__, {0}} + 1)
// How many lines were written at that level since the start.
uint64_t log_count(enum log_level level);
