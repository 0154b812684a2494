// An order: what the scripted provider shall do with a request. One table of words serves the
// script (YAML), the x-fault header ("cut@5, first=2s") and models' names ("cut@5"). A word that is
// not given is zero or empty, so orders can be laid over each other. Value type; strings live in
// the arena of whoever read it. Any thread.
#pragma once

#include "base/option.h"
#include "fault/spread.h"

// As it was written.
struct order {
    // when it applies
    double rate;
    int64_t every, times;
    str flap;
    // when it speaks
    str head, first, token, drip;
    // how it ends
    bool hang, no_done, unstreamed;
    str reset, stall, cut, stop, fail;
    // errors
    str error;
    int64_t status, body;
    str retry_after;
    int64_t retry_after_date, retry_after_ms, x_ms_retry_after_ms;
    // what it says
    int64_t tokens, reasoning, tools;
    str text, filter, malformed;
    int64_t malformed_as, arguments, usage, continues, huge, pings;
    bool empty;
};

enum order_body { ORDER_BODY_JSON, ORDER_BODY_HTML, ORDER_BODY_EMPTY };
enum order_damage { ORDER_DAMAGE_HALF, ORDER_DAMAGE_BRACE, ORDER_DAMAGE_UTF8 };
enum order_arguments { ORDER_ARGUMENTS_FULL, ORDER_ARGUMENTS_EMPTY, ORDER_ARGUMENTS_BROKEN };
enum order_usage { ORDER_USAGE_ASKED, ORDER_USAGE_NONE, ORDER_USAGE_ALWAYS };
enum order_continues {
    ORDER_CONTINUES_AS_KNOWN, // as the real provider of that protocol does
    ORDER_CONTINUES_YES,
    ORDER_CONTINUES_NO,
    ORDER_CONTINUES_REFUSE // 400, as newer models do
};

extern const struct option order_table[];

// A place in an answer: before event `at` (from 0), or before byte `at` of the body.
struct order_place {
    bool given, bytes;
    uint64_t at;
};

// The texts of an order, understood.
struct order_plan {
    struct spread head, first, token, drip;
    struct order_place reset, stall, cut, stop, fail, filter, malformed;
    uint32_t flap_good, flap_bad; // flap_bad 0: no flapping
};

// Whether every text in it says something. ERR_PARSE or ERR_INVALID name the word.
enum err order_understand(const struct order *o, struct order_plan *ret, struct diag *d) MUST_USE;
// "cut@5, first=2s, no-done": words with '=' or '@' before their value, or alone. ERR_NOT_FOUND for
// an unknown word.
enum err order_parse(str text, struct arena *arena, struct order *ret, struct diag *d) MUST_USE;
// What `top` says replaces what `base` says.
void order_lay_over(struct order *base, const struct order *top);
// As one would write it in the header; "" for an order that says nothing.
void order_write(const struct order *o, struct buf *out);
// The table as a page for people: a word a line, with its help.
void order_list(struct buf *out);
// What a rate's draw is made from: the server's seed, the request's number, and where the order
// stands, so that each order draws for itself.
struct order_draw {
    uint64_t seed, number, source;
};
// Whether the order applies to the nth (from 0) of those that it was given for.
bool order_applies(const struct order *o, const struct order_plan *p, struct order_draw at,
                   uint64_t nth);
