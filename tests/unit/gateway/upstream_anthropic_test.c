// REQ: PROV-4
// What Anthropic answers, as exchange events: blocks, calls without arguments, reasoning and its
// seal, usage that is a running total, pings, errors inside; cut at every byte.
#include "support/upstream_rows.h"

#define CHAT   &upstream_anthropic_messages
#define STREAM "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"stream\":true}"
#define WHOLE  "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"
#define OWN                                                                                        \
    "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],"     \
    "\"stream\":true}"
#define EVENT(name, body) "event: " name "\ndata: {\"type\":\"" name "\"" body "}\n\n"
#define START                                                                                      \
    EVENT("message_start", ",\"message\":{\"id\":\"msg_1\",\"role\":\"assistant\",\"content\":[]," \
                           "\"usage\":{\"input_tokens\":5,\"cache_read_input_tokens\":2,"          \
                           "\"cache_creation_input_tokens\":1,\"output_tokens\":1}}")
#define OPEN(i, block)  EVENT("content_block_start", ",\"index\":" i ",\"content_block\":" block)
#define DELTA(i, delta) EVENT("content_block_delta", ",\"index\":" i ",\"delta\":" delta)
#define CLOSE(i)        EVENT("content_block_stop", ",\"index\":" i)
#define TEXT(i, text)   DELTA(i, "{\"type\":\"text_delta\",\"text\":\"" text "\"}")
#define ENDS(reason, n)                                                                            \
    EVENT("message_delta", ",\"delta\":{\"stop_reason\":\"" reason                                 \
                           "\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":" n "}  ")
#define STOP EVENT("message_stop", "")
#define PING EVENT("ping", "")

static const struct upstream_row rows[] = {
    {"text", CHAT, NULL, STREAM,
     START OPEN("0", "{\"type\":\"text\",\"text\":\"\"}") PING TEXT("0", "Hel") TEXT("0", "lo")
         CLOSE("0") ENDS("end_turn", "7") STOP,
     "begin text(0:Hel) text(0:lo) finish(0:stop) end(8+7)", false},
    {"the end without its event, but with a reason", CHAT, NULL, STREAM,
     START TEXT("0", "a") ENDS("max_tokens", "3"), "begin text(0:a) finish(0:length) end(8+3)",
     false},
    {"no reason", CHAT, NULL, STREAM, START TEXT("0", "a"),
     "begin text(0:a) error(upstream_cut,truncated)", false},
    {"an end without a reason", CHAT, NULL, STREAM, START TEXT("0", "a") STOP,
     "begin text(0:a) error(upstream_cut,truncated)", false},
    {"broken in the middle", CHAT, NULL, STREAM,
     START TEXT("0", "a") "event: content_block_delta\nda",
     "begin text(0:a) error(upstream_cut,truncated)", true},
    {"an error inside", CHAT, NULL, STREAM,
     START TEXT("0", "a")
         EVENT("error", ",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}"),
     "begin text(0:a) error(overloaded,transient)", false},
    {"calls: text first, two of them, one without arguments", CHAT, NULL, STREAM,
     START OPEN("0", "{\"type\":\"text\",\"text\":\"\"}") TEXT("0", "Let me") CLOSE("0")
         OPEN("1", "{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"f\",\"input\":{}}")
             DELTA("1", "{\"type\":\"input_json_delta\",\"partial_json\":\"\"}") DELTA(
                 "1", "{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"x\\\":\"}")
                 DELTA("1", "{\"type\":\"input_json_delta\",\"partial_json\":\" 1}\"}") CLOSE("1")
                     OPEN("2", "{\"type\":\"tool_use\",\"id\":\"t2\",\"name\":\"g\",\"input\":{}}")
                         CLOSE("2") ENDS("tool_use", "9") STOP,
     "begin text(0:Let me) call(0.0:t1,f) args(0.0:{\"x\":) args(0.0: 1}) call(0.1:t2,g) "
     "args(0.1:{}) "
     "finish(0:tool_calls) end(8+9)",
     false},
    {"the provider's own tool is nobody's call", CHAT, NULL, STREAM,
     START OPEN("0",
                "{\"type\":\"server_tool_use\",\"id\":\"s\",\"name\":\"web_search\",\"input\":{}}")
         DELTA("0", "{\"type\":\"input_json_delta\",\"partial_json\":\"{}\"}") CLOSE("0")
             TEXT("1", "a") ENDS("end_turn", "2") STOP,
     "begin text(0:a) finish(0:stop) end(8+2)", false},
    {"reasoning and its seal", CHAT, NULL, STREAM,
     START OPEN("0", "{\"type\":\"thinking\",\"thinking\":\"\"}")
         DELTA("0", "{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}")
             DELTA("0", "{\"type\":\"signature_delta\",\"signature\":\"c2ln\"}") CLOSE("0")
                 OPEN("1", "{\"type\":\"redacted_thinking\",\"data\":\"eHg=\"}") CLOSE("1")
                     TEXT("2", "a") ENDS("end_turn", "4") STOP,
     "begin think(0:hm|) think(0:|c2ln) think(0:|eHg=) text(0:a) finish(0:stop) end(8+4)", false},
    {"a refusal", CHAT, NULL, STREAM, START ENDS("refusal", "1") STOP,
     "begin finish(0:content_filter) end(8+1)", false},
    {"the stop string that ended it", CHAT, NULL, STREAM,
     START TEXT("0", "a") EVENT(
         "message_delta", ",\"delta\":{\"stop_reason\":\"stop_sequence\",\"stop_sequence\":\"!\"},"
                          "\"usage\":{\"output_tokens\":2}") STOP,
     "begin text(0:a) finish(0:stop!) end(8+2)", false},
    {"a spliced stream keeps every event", CHAT, &dialect_anthropic_messages, OWN,
     START PING TEXT("0", "a") ENDS("end_turn", "2") STOP,
     "begin<" START "> raw<" PING
     "> text(0:a)<" TEXT("0", "a") "> finish(0:stop)<" ENDS("end_turn", "2") "> end(8+2)<" STOP ">",
     false},
    {"whole", CHAT, NULL, WHOLE,
     "{\"type\":\"message\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":"
     "\"s\"},"
     "{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"f\","
     "\"input\":{\"x\":1.0}},"
     "{\"type\":\"tool_use\",\"id\":\"u\",\"name\":\"g\",\"input\":{}}],\"stop_reason\":\"tool_"
     "use\","
     "\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}",
     "begin think(0:hm|s) text(0:a) call(0.0:t,f) args(0.0:{\"x\":1.0}) call(0.1:u,g) args(0.1:{}) "
     "finish(0:tool_calls) end(3+4)",
     false},
    {"whole, spliced", CHAT, &dialect_anthropic_messages,
     "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
     "{\"content\":[],\"stop_reason\":\"end_turn\",\"usage\":{\"input_tokens\":3,\"output_tokens\":"
     "4}}",
     "begin finish(0:stop) end(3+4)<{\"content\":[],\"stop_reason\":\"end_turn\",\"usage\":{"
     "\"input_tokens\":3,\"output_tokens\":4}}>",
     false},
    {"a count", &upstream_anthropic_count, NULL, WHOLE, "{\"input_tokens\":2095}",
     "begin finish(0:stop) end(2095+0)", false},
    {"a count, spliced", &upstream_anthropic_count, &dialect_anthropic_count, WHOLE,
     "{\"input_tokens\": 5, \"more\": 1}",
     "begin finish(0:stop) end(5+0)<{\"input_tokens\": 5, \"more\": 1}>", false},
    {"no count", &upstream_anthropic_count, NULL, WHOLE, "{\"input_tokens\":-1}",
     "error(upstream_malformed,malformed)", false},
    {"whole, an error with status 200", CHAT, NULL, WHOLE,
     "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"slow\"}}",
     "error(rate_limit_exceeded,rate_limited)", false},
};

UPSTREAM_ROWS_TEST(rows)
