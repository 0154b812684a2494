// The scripted provider's readers: orders as text, and a request in each protocol with the answer
// that it gets. REQ: PROV-7
#include "fault/script.h"
#include "fault/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void answer(const struct wire *wire, const struct json_doc *doc, const struct order *o,
                   const struct order_plan *p)
{
    struct arena arena;
    struct ask ask;
    struct reply reply;
    struct frames frames;
    struct buf whole;
    arena_init(&arena, 8u << 20);
    ask_init(&ask, ASK_CHAT, 1u << 20);
    frames_init(&frames, 8u << 20);
    buf_init(&whole, 8u << 20);
    wire->read(&ask, doc->root, &arena);
    if (reply_make(&reply, &ask, o, p, true, 1, 2, &arena)) {
        wire->whole(&ask, &reply, &whole);
        wire->stream(&ask, &reply, &frames);
        ASSERT(frames.len > 0);
    }
    buf_done(&whole);
    frames_done(&frames);
    ask_done(&ask);
    arena_done(&arena);
}

// The first line is an order, the rest a request.
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str request = str_slice((const char *)data, size), line;
    struct arena arena;
    struct order o = {0};
    struct order_plan plan = {0};
    struct json_doc doc;
    struct script script;
    arena_init(&arena, 1u << 20);
    (void)!script_parse(request, &arena, &script, NULL);
    if (!str_split(&request, '\n', &line) || order_parse(line, &arena, &o, NULL) != ERR_OK ||
        order_understand(&o, &plan, NULL) != ERR_OK) {
        o = (struct order){0};
        plan = (struct order_plan){0};
    }
    o.huge = o.tokens = 0;
    if (json_parse(&doc, request, JSON_LIMITS_DEFAULT, NULL) == ERR_OK) {
        answer(&wire_openai, &doc, &o, &plan);
        answer(&wire_anthropic, &doc, &o, &plan);
        answer(&wire_ollama, &doc, &o, &plan);
        json_done(&doc);
    }
    arena_done(&arena);
    return 0;
}
