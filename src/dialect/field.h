// Reading a request object by a table: a row a member, with its type, range and place in the target
// struct. What is not in the table is collected as ignored. Every refusal names the member by its
// path ("messages[1].content"). Pure; any thread.
#pragma once

#include "dialect/exchange.h"

enum field_type {
    FIELD_BOOL,        // bool
    FIELD_INT,         // int64_t in [min,max]; 0, 0: any
    FIELD_FLOAT,       // double in [min,max]
    FIELD_STRING,      // str
    FIELD_CUSTOM,      // read(…)
    FIELD_ACCEPTED,    // understood to change nothing here
    FIELD_UNSUPPORTED, // refused unless null, false, or empty; {} is collected as ignored
};

struct reader {
    struct arena *arena;
    struct exchange_request *request;
    struct api_error *error;
    char path[96]; // of the object being read, with its trailing dot; "" at the root
};

struct field {
    const char *name;
    enum field_type type;
    size_t offset;
    uint32_t given; // bit set in request->given
    double min, max;
    bool (*read)(struct reader *r, yyjson_val *v);
    const char *why; // UNSUPPORTED: the sentence
};

// Read `object` by `table` (ends with name NULL) into `target`. Unknown members go to
// request->ignored when `collect`. null counts as absent.
bool fields_read(struct reader *r, const struct field *table, yyjson_val *object, void *target,
                 bool collect);

// --- For FIELD_CUSTOM readers. `name` is the member's own name (may be NULL: path alone).
const char *field_path(const struct reader *r, const char *name, char out[static 96]);
bool field_wrong_type(struct reader *r, const char *name, const char *expected, yyjson_val *v);
bool field_missing(struct reader *r, const char *name);
bool field_refuse(struct reader *r, enum api_error_code code, const char *name, const char *fmt,
                  ...) PRINTF_LIKE(4, 5);
// Memory of the call: refuses the request when its ceiling is passed.
void *field_alloc(struct reader *r, size_t count, size_t size);
bool field_no_memory(struct reader *r);
// Room for one more item behind `len`: *items moves as it grows. NULL: refused.
void *field_grow(struct reader *r, void **items, size_t len, size_t size);
// One more part or call of a message, zeroed. NULL: refused.
struct exchange_part *field_add_part(struct reader *r, struct exchange_message *m);
struct exchange_tool_call *field_add_call(struct reader *r, struct exchange_message *m);
// A last message of the assistant's that is one text is the beginning of the answer.
void field_note_prefill(struct exchange_request *q);
// Report a member of the object being read as ignored.
void field_ignore(struct reader *r, str name);
// A value as JSON text, in the call's memory.
bool field_json_text(struct reader *r, yyjson_val *v, str *ret);
// "data:TYPE;base64,…", in the call's memory.
bool field_data_url(struct reader *r, str media_type, str base64, str *ret);
// A member that must be a string; `optional`: absent and null leave *ret alone.
bool field_str(struct reader *r, yyjson_val *object, const char *name, bool optional, str *ret);
// Stop strings, a string or an array of them, into request->stops.
bool field_stops(struct reader *r, const char *name, yyjson_val *v);
// A token id: an integer in [0, 2^31).
bool field_token_id(struct reader *r, const char *name, yyjson_val *v, int32_t *ret);
// --- Arrays: each item is read under its own path ("messages[2]").
typedef bool field_item(struct reader *r, yyjson_val *item, void *to);
struct field_list {
    const char *name;  // the member; NULL: the array is itself an item
    const char *what;  // "an array of messages"
    const char *empty; // why it may not be empty; NULL: it may be
    size_t items_max;  // 0: any number
    size_t size;       // of what an item becomes
    field_item *read;  // … at `to`, zeroed before
};
// What the items became, in the call's memory. NULL: refused.
void *field_list(struct reader *r, const struct field_list *l, yyjson_val *v, size_t *ret_len);
// Its parts, for items that become something else than one each: is it such an array? Then each
// item by read(r, item, ctx), until one is refused.
bool field_list_fits(struct reader *r, const struct field_list *l, yyjson_val *v);
bool field_each(struct reader *r, const char *name, yyjson_val *array, field_item *read, void *ctx);

// The path of item i of the member `name` of the object being read becomes the path of what is read
// next; field_leave restores it. No name: an item of the array whose path it is now.
struct field_scope {
    size_t len;
    bool undotted;
};
struct field_scope field_enter(struct reader *r, const char *name, size_t index);
struct field_scope field_enter_member(struct reader *r, const char *name);
void field_leave(struct reader *r, struct field_scope s);
