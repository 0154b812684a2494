// A call's dealings with the guards: its request is looked at once its route is known, before the
// cache, so that what is masked is what is cached and sent; its answer on its way to the client,
// before the cache hears it, so that nothing leaves that might still become a match. A call without
// guards has a NULL pointer, and pays for nothing else.
//
// What is cached is what the rules have let through, with placeholders still in it: whoever asks
// gets their own values back. So an answer goes: provider, rules, cache, placeholders, client.
#pragma once

#include "gateway/guard_answer.h"
#include "gateway/guards.h"

struct call;
struct exchange_event;

struct guard_call {
    const struct guard_set *set;
    struct vault vault; // what stands behind the placeholders of this request
    uint32_t asked[GUARD_RULES_MAX], answered[GUARD_RULES_MAX]; // matches, by rule of each side
    bool stopped;                                               // a rule stopped it
    bool hears;                                                 // its answer is looked at
    struct guard_answer answer;
};

// Any thread; false: c->error says why. Its document may be another afterwards.
bool guard_input(struct call *c);
// Loop thread. An attempt has begun to speak: what another said before is forgotten.
void guard_answer_begins(struct call *c);
// An event of the answer: what may go on is told to `say`, and to the cache before that.
enum phase_result guard_output(struct call *c, const struct exchange_event *e,
                               enum phase_result (*say)(struct call *c, struct exchange_event *e));
// The loop's room to scan with. Loop thread.
struct scan_scratch *guard_scratch(struct call *c);
void guard_leave(struct call *c); // at the call's end
// "set.rule=block, set.rule=mask": rules that fired, and what they did; empty: none.
str guard_verdicts(const struct call *c, char *out, size_t size);
void guard_count(const struct call *c); // in the metrics
