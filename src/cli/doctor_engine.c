#include <stdio.h>
#include <string.h>

#include "cli/doctor.h"
#include "cli/engine_wait.h"
#include "cli/model_choice.h"

#include "base/banned.h"

enum { PROBE_TOKENS = 12 };

// What one instruction set said: tokens and the bits of their log-probabilities.
struct probe {
    uint32_t tokens;
    int32_t ids[PROBE_TOKENS];
    float logprobs[PROBE_TOKENS];
};

static enum err generate(struct engine_model *model, struct probe *ret, struct diag *d)
{
    struct engine_request r;
    engine_request_default(&r);
    r.prompt_text = STR("Once upon a time");
    r.tokens_max = PROBE_TOKENS;
    r.temperature = 0;
    r.ignore_eos = true;
    r.logprobs = true;
    struct engine_wait wait;
    engine_wait_init(&wait);
    engine_wait_attach(&wait, &r);
    struct engine_job *job = NULL;
    struct engine_event ev;
    enum err e = engine_submit(model, &r, &job, NULL, d);
    while (e == ERR_OK && engine_wait_event(&wait, job, NULL, &ev) && ev.type != ENGINE_ENDED)
        if (ev.type == ENGINE_TOKEN && ret->tokens < PROBE_TOKENS) {
            ret->ids[ret->tokens] = ev.token;
            ret->logprobs[ret->tokens++] = ev.logprob;
        }
    if (e == ERR_OK && ev.finish == ENGINE_FINISH_ERROR) {
        *d = ev.error;
        e = ev.error.code;
    }
    if (job)
        engine_job_release(job);
    engine_wait_done(&wait);
    return e;
}

static enum err probe_isa(struct arena *arena, const char *isa, struct probe *ret,
                          char ret_isa[static 32], struct diag *d)
{
    struct engine_options eo;
    engine_options_default(&eo);
    eo.isa = isa;
    eo.kv_bytes_max = 16u << 20;
    struct engine *engine;
    ERR_TRY(engine_new(&eo, &engine, d));
    struct engine_model_options mo;
    struct engine_model *model;
    enum err e = model_choice_options(arena, STR_NONE, &mo, d);
    if (e == ERR_OK)
        e = engine_model_load(engine, &mo, &model, d);
    if (e == ERR_OK) {
        snprintf(ret_isa, 32, "%.*s", STR_ARG(engine_model_info(model)->isa));
        e = generate(model, ret, d);
    }
    engine_free(engine);
    return e;
}

static void compare(struct doctor *doc, struct arena *arena, const struct probe *best,
                    const char *best_isa)
{
    static const char *const others[] = {"amx",     "avx512", "avxvnni", "avx2",
                                         "neondot", "neon",   "portable"};
    char agreed[128] = "", isa[32];
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        struct probe p = {0};
        struct diag d = {0};
        if (strcmp(others[i], best_isa) == 0 || probe_isa(arena, others[i], &p, isa, &d) != ERR_OK)
            continue; // not of this machine
        // The bits are compared on purpose: equal numbers would not do.
        // NOLINTNEXTLINE(bugprone-suspicious-memory-comparison)
        if (memcmp(&p, best, sizeof p) != 0) {
            char detail[128];
            snprintf(detail, sizeof detail, "%s and %s do not compute the same bits", best_isa,
                     others[i]);
            doctor_say(doc, DOCTOR_WRONG, "exactness", detail,
                       "this processor or build breaks weir's promise: please report it with 'weir "
                       "version --json'");
            return;
        }
        size_t used = strlen(agreed);
        snprintf(agreed + used, sizeof agreed - used, "%s%s", used ? ", " : "", others[i]);
    }
    char detail[192];
    snprintf(detail, sizeof detail, "%s gives the same bits as %s", best_isa,
             agreed[0] ? agreed : "itself");
    doctor_say(doc, DOCTOR_OK, "exactness", detail, NULL);
}

void doctor_check_engine(struct doctor *doc, struct arena *arena)
{
    struct probe best = {0};
    struct diag d = {0};
    char isa[32], detail[640];
    if (probe_isa(arena, NULL, &best, isa, &d) != ERR_OK) {
        doctor_say(
            doc, DOCTOR_WRONG, "engine", diag_format(&d, detail, sizeof detail),
            "the bundled model does not answer: please report it with 'weir version --json'");
        return;
    }
    snprintf(detail, sizeof detail, "the bundled model answers, computing with %s", isa);
    doctor_say(doc, DOCTOR_OK, "engine", detail, NULL);
    compare(doc, arena, &best, isa);
}
