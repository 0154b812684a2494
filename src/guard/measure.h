// What a guard's rules say of a text as a whole: how much it looks like an injection, what it is
// about, how long it is. Told as bits 1 << rule; a bit that is set stays. Owner: whoever embeds it;
// one thread at a time.
#pragma once

#include "guard/guard.h"
#include "guard/injection.h"

struct measure {
    const struct guard *guard;
    uint32_t roles; // of the text, as guard_rule.roles; 0: all rules look
    struct injection_stream injection;
    struct topic_stream *topics; // by rule; NULL: there are none
    bool looks;                  // any rule does
};
void measure_init(struct measure *m, const struct guard *g, uint32_t roles);
void measure_done(struct measure *m);
void measure_feed(struct measure *m, struct scan_scratch *x, str bytes);
// The text is complete.
void measure_end(struct measure *m, struct scan_scratch *x);
// Rules that fire, as far as it has come. Of topics that must be there: only at the end.
uint64_t measure_fires(const struct measure *m, bool at_end);
double measure_score(const struct measure *m); // of injection
// Rules that fire where something is not there: of several texts, all must lack it.
uint64_t measure_of_absence(const struct guard *g);

// Rules whose bounds are passed.
uint64_t measure_size(const struct guard *g, const struct guard_size *size);
// The least number of characters that some rule allows; UINT64_MAX: none says. Its rule.
uint64_t measure_characters_max(const struct guard *g, size_t *ret_rule);
