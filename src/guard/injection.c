#include "guard/injection.h"

#include "base/mem.h"

#include "base/banned.h"

static const struct {
    const char *name;
    double weight;
} signs[INJECTION_SIGNS] = {
    [INJECTION_OVERRIDE] = {"override", 0.8}, [INJECTION_LEAK] = {"leak", 0.6},
    [INJECTION_PERSONA] = {"persona", 0.6},   [INJECTION_LIMITS] = {"limits", 0.35},
    [INJECTION_HIJACK] = {"hijack", 0.6},     [INJECTION_FORGED] = {"forged", 0.5},
    [INJECTION_HIDING] = {"hiding", 0.4},     [INJECTION_PRESSURE] = {"pressure", 0.35},
};

// Words that the signs are made of.
#define GAP "[\\s\"',.:;*_-]{1,4}"
#define FEW "(?:\\w{1,16}[\\s\"',]{1,3}){0,4}" // up to four words in between
#define BEFORE                                                                                     \
    "(?:previous|prior|above|preceding|earlier|initial|original|starting|existing|system|hidden|"  \
    "secret)"
#define ORDERS                                                                                     \
    "(?:instructions?|prompts?|directions?|directives?|commands?|rules|guidelines|programming|"    \
    "configuration)"
#define DROP "(?:ignore|disregard|forget|override|bypass|skip|discard|neglect)"
#define REVEAL                                                                                     \
    "(?:reveal|show|print|repeat|output|display|tell|give|write|leak|recite|dump|spell[ "          \
    "-]?check|summari[sz]e|translate|encode|list|copy|share|provide)"

static const struct {
    enum injection_sign sign;
    const char *pattern;
} patterns[] = {
    {INJECTION_OVERRIDE,
     "(?i)\\b" DROP GAP FEW "(?:any|all|every|everything|the|your|my|these|those|of)?" FEW ORDERS
     "\\b"},
    {INJECTION_OVERRIDE, "(?i)\\b" DROP GAP FEW "(?:everything|anything|all|what)" GAP FEW
                         "(?:above|before|previous|said|told|written|learned)\\b"},
    {INJECTION_OVERRIDE, "(?i)\\b(?:do not|don't|no longer|stop)" GAP
                         "(?:follow(?:ing)?|obey(?:ing)?)" GAP FEW ORDERS "\\b"},
    {INJECTION_OVERRIDE,
     "(?i)\\bnew" GAP "(?:instructions?|task|rules)" GAP "(?:are|is|follow|begin|from now)"},
    {INJECTION_LEAK, "(?i)\\b" REVEAL GAP FEW "(?:your|the|its)?" FEW BEFORE GAP FEW ORDERS "\\b"},
    {INJECTION_LEAK, "(?i)\\b" REVEAL GAP FEW "your" GAP FEW ORDERS "\\b"},
    {INJECTION_LEAK,
     "(?i)\\b" REVEAL GAP FEW ORDERS GAP FEW "(?:given|above|beginning|verbatim|told|received)\\b"},
    {INJECTION_LEAK, "(?i)\\bwhat" GAP "(?:are|were|is|was)" GAP "your" GAP FEW ORDERS "\\b"},
    {INJECTION_LEAK, "(?i)\\bwhat" GAP "were" GAP "you" GAP "(?:told|instructed|given)\\b"},
    {INJECTION_LEAK, "(?i)\\b(?:output|repeat|print|copy|return)" GAP FEW
                     "(?:text|words|everything|content|message)" GAP FEW "above\\b"},
    {INJECTION_LEAK, "(?i)\\byour" GAP "(?:system|initial|starting|original|hidden|secret)" GAP
                     "(?:prompt|message|instructions|configuration|guidelines)\\b"},
    {INJECTION_LEAK,
     "(?i)\\b(?:see|need|want|" REVEAL ")" GAP FEW "system" GAP "(?:prompt|message)\\b"},
    {INJECTION_LEAK, "(?i)\\b(?:output|repeat|print|copy|return)" GAP FEW "above" GAP
                     "(?:text|words|content|message|conversation)\\b"},
    {INJECTION_LEAK, "(?i)\\b(?:my|your)" GAP "instructions" GAP "(?:are|were|say)\\b"},
    {INJECTION_PERSONA, "(?i)\\bdo" GAP "anything" GAP "now\\b"},
    {INJECTION_PERSONA, "\\b(?:DAN|STAN|DUDE|AntiDAN|AIM|JAILBREAK|DANs)\\b"},
    {INJECTION_PERSONA,
     "(?i)\\b(?:developer|maintenance|debug|god|jailbreak|sudo|unrestricted|admin(?:istrator)?)" GAP
     "mode\\b"},
    {INJECTION_PERSONA, "(?i)\\bjailbr(?:eak|oken)\\w{0,4}\\b"},
    {INJECTION_PERSONA, "(?i)\\b(?:without|no|free of|free from|zero)" GAP FEW
                        "(?:restrictions?|limits|limitations|filters?|censorship|content "
                        "policy|guardrails|boundaries)\\b"},
    {INJECTION_LIMITS, "(?i)\\bbroken" GAP "free\\b"},
    {INJECTION_LIMITS,
     "(?i)\\b(?:not|n't|never)" GAP FEW "(?:abide|bound|restricted|limited|constrained)\\b"},
    {INJECTION_LIMITS,
     "(?i)\\b(?:openai|anthropic|safety|content|ethical|moral)" GAP
     "(?:content )?(?:polic(?:y|ies)|guidelines|rules|filters|restrictions|bias)\\b"},
    {INJECTION_LIMITS,
     "(?i)\\b(?:illegal|inappropriate|harmful|unethical|offensive|malicious)" GAP FEW
     "(?:content|information|activit(?:y|ies)|things|requests)\\b"},
    {INJECTION_HIJACK, "(?i)\\bstop" GAP "everything\\b"},
    {INJECTION_HIJACK, "(?i)\\b(?:just|instead|only|simply)" GAP
                       "(?:say|print|output|reply|respond|write)" GAP "(?:with )?[\"']"},
    {INJECTION_HIJACK, "(?i)\\bnever ?mind\\b[\\s.,!]{1,3}(?:ignore|forget|instead|just|do)\\b"},
    {INJECTION_HIJACK,
     "(?i)\\binstead" GAP "(?:of" GAP FEW ")?(?:print|say|output|spell|repeat|reveal|write)\\b"},
    {INJECTION_FORGED,
     "<\\|(?:im_start|im_end|system|user|assistant|endoftext|eot_id|start_header_id)\\|>"},
    {INJECTION_FORGED, "(?i)\\[/?INST\\]|<</?SYS>>|\\n#{2,4} ?(?:system|instruction|new task)"},
    {INJECTION_FORGED, "(?i)\\[?(?:system|admin|developer)" GAP
                       "(?:override|notice|message|update|note|alert)\\]?[\\s]{0,2}:"},
    {INJECTION_FORGED,
     "(?i)\\bas (?:your|the) (?:developer|creator|administrator|system "
     "administrator)\\b|\\bI(?:'m| am) (?:a|the|your) (?:developer|administrator|creator)\\b"},
    {INJECTION_HIDING,
     "(?i)\\b(?:do not|don't|never|without)" GAP
     "(?:tell|inform|mention|reveal|notify|alert|let|telling|informing|mentioning)\\w{0,4}" GAP FEW
     "(?:user|anyone|human|them|this|it)\\b"},
    {INJECTION_PRESSURE,
     "(?i)\\b(?:never|not|cannot|can't|won't)" GAP FEW "(?:refuse|decline|deny|reject)\\b"},
    {INJECTION_PRESSURE,
     "(?i)\\b(?:stay|remain|break(?:ing)?|stop being)" GAP FEW "(?:in|out of)?" FEW "character\\b"},
    {INJECTION_PRESSURE, "(?i)\\b(?:lose|deducted?|penali[sz]ed|punished)\\b[^.]{0,40}\\btokens?"
                         "\\b|\\btokens?\\b[^.]{0,40}\\b(?:lose|deducted?|die)\\b"},
    {INJECTION_PRESSURE, "(?i)\\bfrom now on\\b"},
};

const char *injection_sign_name(enum injection_sign sign)
{
    return signs[sign].name;
}

struct injection {
    struct patterns *patterns;
};

struct injection *injection_new(void)
{
    struct injection *j = mem_new(struct injection);
    j->patterns = patterns_new();
    for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
        enum err e = patterns_add(j->patterns, str_of(patterns[i].pattern),
                                  (uint32_t)patterns[i].sign, NULL);
        ASSERT(e == ERR_OK);
    }
    return j;
}

void injection_free(struct injection *j)
{
    if (!j)
        return;
    patterns_free(j->patterns);
    mem_free(j);
}

uint32_t injection_nodes(const struct injection *j)
{
    return patterns_nodes(j->patterns);
}

static void on_text(void *ctx UNUSED, str bytes UNUSED)
{
}

static void on_match(void *ctx, uint32_t id, str bytes UNUSED)
{
    struct injection_stream *s = ctx;
    s->signs |= 1u << id;
}

void injection_stream_init(struct injection_stream *s, const struct injection *j)
{
    static const struct scan_handler handler = {on_text, on_match};
    s->signs = 0;
    scan_init(&s->scan, j->patterns, &handler, s);
}

void injection_stream_done(struct injection_stream *s)
{
    scan_done(&s->scan);
}

void injection_stream_feed(struct injection_stream *s, struct scan_scratch *x, str bytes)
{
    scan_feed(&s->scan, x, bytes);
}

void injection_stream_end(struct injection_stream *s, struct scan_scratch *x)
{
    scan_end(&s->scan, x);
}

double injection_score(uint32_t found)
{
    double rest = 1;
    for (size_t i = 0; i < INJECTION_SIGNS; i++)
        if (found >> i & 1)
            rest *= 1 - signs[i].weight;
    return 1 - rest;
}

void injection_scratch_init(struct scan_scratch *x, const struct injection *j)
{
    scan_scratch_init(x, j->patterns);
}
