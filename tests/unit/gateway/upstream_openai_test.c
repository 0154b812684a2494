// REQ: PROV-3 PROV-5
// What providers of OpenAI's shape answer, as exchange events: streams as they should be and as
// they are seen, cut at every byte; whole answers; errors in every place.
#include "support/upstream_rows.h"

#define CHAT   &upstream_openai_chat
#define TEXT   &upstream_openai_completions
#define EMBED  &upstream_openai_embeddings
#define HELLO  "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define STREAM "{" HELLO ",\"stream\":true}"
#define USAGE  "{" HELLO ",\"stream\":true,\"stream_options\":{\"include_usage\":true}}"
#define WHOLE  "{" HELLO "}"

#define ROLE                                                                                       \
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n"
#define SAY(text)  "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" text "\"}}]}\n\n"
#define STOP       "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n"
#define COUNT      "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n"
#define DONE       "data: [DONE]\n\n"
#define TOOL(body) "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[" body "]}}]}\n\n"

static const struct upstream_row rows[] = {
    {"a plain stream", CHAT, NULL, STREAM, ROLE SAY("Hel") SAY("lo") STOP COUNT DONE,
     "begin text(0:Hel) text(0:lo) finish(0:stop) end(3+2)", false},
    {"CRLF, comments, no blank behind the colon", CHAT, NULL, STREAM,
     ": ping\r\n\r\ndata:{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\r\n\r\n"
     "event: x\rid: 1\rdata: "
     "{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}]}\r\r"
     "data: [DONE]\r\n\r\n",
     "begin text(0:a) finish(0:length) end(1+1?)", false},
    {"no [DONE], but a finish", CHAT, NULL, STREAM, SAY("a") STOP,
     "begin text(0:a) finish(0:stop) end(1+1?)", false},
    {"the last blank line missing", CHAT, NULL, STREAM, SAY("a") STOP "data: [DONE]",
     "begin text(0:a) finish(0:stop) end(1+1?)", false},
    {"no finish", CHAT, NULL, STREAM, SAY("a"), "begin text(0:a) error(upstream_cut,truncated)",
     false},
    {"[DONE] without a finish", CHAT, NULL, STREAM, SAY("a") DONE,
     "begin text(0:a) error(upstream_cut,truncated)", false},
    {"cut within an event", CHAT, NULL, STREAM, SAY("a") "data: {\"choices\":[{\"ind",
     "begin text(0:a) error(upstream_cut,truncated)", false},
    {"broken within an event", CHAT, NULL, STREAM, SAY("a") "data: {\"choices\":[{\"ind",
     "begin text(0:a) error(upstream_cut,truncated)", true},
    {"broken behind the finish", CHAT, NULL, STREAM, SAY("a") STOP,
     "begin text(0:a) finish(0:stop) end(1+1?)", true},
    {"nothing at all", CHAT, NULL, STREAM, "", "error(upstream_cut,truncated)", false},
    {"a malformed event", CHAT, NULL, STREAM, SAY("a") "data: {oops}\n\n" STOP DONE,
     "begin text(0:a) error(upstream_malformed,malformed)", false},
    {"an error inside", CHAT, NULL, STREAM,
     SAY("a") "data: {\"error\":{\"message\":\"m\",\"type\":\"server_error\"}}\n\n" STOP DONE,
     "begin text(0:a) error(upstream_failed,transient)", false},
    {"an error instead of a stream, status 200", CHAT, NULL, STREAM,
     "{\"error\":{\"message\":\"slow down\",\"type\":\"rate_limit_error\"}}",
     "error(rate_limit_exceeded,rate_limited)", false},
    {"a whole answer instead of a stream", CHAT, &dialect_openai_chat, STREAM,
     " {\"choices\":[{\"index\":0,\"message\":{\"content\":\"all\"},\"finish_reason\":\"stop\"}]}",
     "begin text(0:all) finish(0:stop) end(1+1?)", false},
    {"a page of HTML instead of a stream", CHAT, NULL, STREAM, "<html>502</html>",
     "error(upstream_malformed,malformed)", false},
    {"Azure's filter results are not usage", CHAT, NULL, STREAM,
     "data: {\"choices\":[],\"prompt_filter_results\":[{\"prompt_index\":0}]}\n\n" SAY("a")
         STOP DONE,
     "begin text(0:a) finish(0:stop) end(1+1?)", false},
    {"Azure's filter stops", CHAT, NULL, STREAM,
     "data: "
     "{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"content_filter\"}]}\n\n" DONE,
     "begin finish(0:content_filter) end(1+0?)", false},
    {"reasoning", CHAT, NULL, STREAM,
     "data: {\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n"
     "data: "
     "{\"choices\":[{\"index\":0,\"delta\":{\"reasoning\":\"so\",\"content\":\"a\"}}]}\n\n" STOP
         DONE,
     "begin think(0:hm|) think(0:so|) text(0:a) finish(0:stop) end(1+2?)", false},
    {"scores, exact where a token is half a character", CHAT, NULL,
     "{" HELLO ",\"stream\":true,\"logprobs\":true,\"top_logprobs\":1}",
     "data: "
     "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"ab\"},\"logprobs\":{\"content\":[{"
     "\"token\":"
     "\"a\",\"logprob\":-0.5,\"bytes\":[97],\"top_logprobs\":[{\"token\":\"a\",\"logprob\":-0.5}]},"
     "{\"token\":\"?\",\"logprob\":-2,\"bytes\":[98],\"top_logprobs\":[]}]}}]}\n\n" STOP DONE,
     "begin text(0:ab) token(a,-0.5,1) token(b,-2,0) finish(0:stop) end(1+1?)", false},
    {"scores that nobody asked for", CHAT, NULL, STREAM,
     "data: "
     "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"logprobs\":{\"content\":[{"
     "\"token\":"
     "\"a\",\"logprob\":-0.5}]}}]}\n\n" STOP DONE,
     "begin text(0:a) finish(0:stop) end(1+1?)", false},
    {"calls in pieces, interleaved", CHAT, NULL, STREAM,
     TOOL("{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}")
         TOOL("{\"index\":1,\"id\":\"b\",\"function\":{\"name\":\"g\",\"arguments\":\"{\"}}")
             TOOL("{\"index\":0,\"function\":{\"arguments\":\"{\\\"x\\\"\"}}") TOOL(
                 "{\"index\":0,\"function\":{\"arguments\":\":1}\"}},{\"index\":1,\"function\":{"
                 "\"arguments\":\"}\"}}") "data: "
                                          "{\"choices\":[{\"index\":0,\"delta\":{},\"finish_"
                                          "reason\":\"tool_calls\"}]}\n\n" DONE,
     "begin call(0.0:a,f) call(0.1:b,g) args(0.1:{) args(0.0:{\"x\") args(0.0::1}) args(0.1:}) "
     "finish(0:tool_calls) end(1+3?)",
     false},
    {"calls without an index, each whole", CHAT, NULL, STREAM,
     TOOL("{\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}") TOOL(
         "{\"id\":\"b\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}") "data: "
                                                                              "{\"choices\":[{"
                                                                              "\"index\":0,"
                                                                              "\"delta\":{},"
                                                                              "\"finish_reason\":"
                                                                              "\"tool_calls\"}]}"
                                                                              "\n\n" DONE,
     "begin call(0.0:a,f) args(0.0:{}) call(0.1:b,f) args(0.1:{}) finish(0:tool_calls) end(1+2?)",
     false},
    {"a call without arguments", CHAT, NULL, STREAM,
     TOOL(
         "{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}") "data: "
                                                                                        "{\"choices"
                                                                                        "\":[{"
                                                                                        "\"index\":"
                                                                                        "0,"
                                                                                        "\"delta\":"
                                                                                        "{},"
                                                                                        "\"finish_"
                                                                                        "reason\":"
                                                                                        "\"tool_"
                                                                                        "calls\"}]}"
                                                                                        "\n\n" DONE,
     "begin call(0.0:a,f) args(0.0:{}) finish(0:tool_calls) end(1+1?)", false},
    {"a call without an id, with an object", CHAT, NULL, STREAM,
     TOOL("{\"index\":0,\"function\":{\"name\":\"f\",\"arguments\":{\"x\":1.50}}}") STOP DONE,
     "begin call(0.0:call_0_0,f) args(0.0:{\"x\":1.50}) finish(0:stop) end(1+3?)", false},
    {"arguments of no call", CHAT, NULL, STREAM,
     "data: {\"choices\":[{\"index\":7,\"delta\":{\"content\":\"x\"}}]}\n\n",
     "begin error(upstream_malformed,malformed)", false},
    {"two choices", CHAT, NULL, "{" HELLO ",\"stream\":true,\"n\":2}",
     SAY("a") "data: "
              "{\"choices\":[{\"index\":1,\"delta\":{\"content\":\"b\"},\"finish_reason\":\"stop\"}"
              "]}\n\n" STOP DONE,
     "begin text(0:a) text(1:b) finish(1:stop) finish(0:stop) end(1+1?)", false},
    {"one of two choices is missing", CHAT, NULL, "{" HELLO ",\"stream\":true,\"n\":2}",
     SAY("a") STOP DONE, "begin text(0:a) finish(0:stop) error(upstream_cut,truncated)", false},
    {"a spliced stream: usage only for who asked", CHAT, &dialect_openai_chat, STREAM,
     "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}],  "
     "\"usage\":null,\"obfuscation\":\"xy\"}\n\n" STOP COUNT DONE,
     "begin text(0:a)<data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}],"
     "\"obfuscation\":\"xy\"}\n\n> finish(0:stop)<" STOP "> end(3+2)<" DONE ">",
     false},
    {"a spliced stream: usage for who asked", CHAT, &dialect_openai_chat, USAGE,
     SAY("a") STOP COUNT DONE,
     "begin text(0:a)<" SAY("a") "> finish(0:stop)<" STOP "> raw<" COUNT "> end(3+2)<" DONE ">",
     false},
    {"a spliced stream: usage for who asked, although none came", CHAT, &dialect_openai_chat, USAGE,
     SAY("a") STOP DONE,
     "begin text(0:a)<" SAY(
         "a") "> finish(0:stop)<" STOP
              "> raw<data: {\"id\":\"\",\"object\":\"chat.completion.chunk\","
              "\"created\":0,\"model\":\"\",\"choices\":[],\"usage\":{\"prompt_tokens\":1,"
              "\"completion_tokens\":1,\"total_tokens\":"
              "2,\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0},\"completion_"
              "tokens_details\":{\"reasoning_tokens\":0,"
              "\"audio_tokens\":0,\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":"
              "0},\"usage_estimated\":true}}\n\n> "
              "end(1+1?)<" DONE ">",
     false},
    {"a spliced stream without [DONE] gets one", CHAT, &dialect_openai_chat, STREAM, STOP,
     "begin finish(0:stop)<" STOP "> end(1+0?)<" DONE ">", false},
    {"completions", TEXT, &dialect_openai_completions, "{\"prompt\":\"x\",\"stream\":true}",
     "data: {\"choices\":[{\"index\":0,\"text\":\"a\"}]}\n\n"
     "data: {\"choices\":[{\"index\":0,\"text\":\"\",\"finish_reason\":\"length\"}]}\n\n" DONE,
     "begin text(0:a)<data: {\"choices\":[{\"index\":0,\"text\":\"a\"}]}\n\n> "
     "finish(0:length)<data: "
     "{\"choices\":[{\"index\":0,\"text\":\"\",\"finish_reason\":\"length\"}]}\n\n> end(1+1?)<" DONE
     ">",
     false},
    {"a whole answer", CHAT, NULL, WHOLE,
     "{\"choices\":[{\"index\":0,\"message\":{\"content\":null,\"tool_calls\":[{\"id\":\"a\","
     "\"type\":"
     "\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]},\"finish_reason\":\"tool_"
     "calls\"}],"
     "\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":4}}",
     "begin call(0.0:a,f) args(0.0:{}) finish(0:tool_calls) end(5+4)", false},
    {"a whole answer, cut", CHAT, NULL, WHOLE,
     "{\"choices\":[{\"index\":0,\"message\":{\"content\":\"a\"},\"finish_re",
     "error(upstream_cut,truncated)", true},
    {"a whole answer without a finish", CHAT, NULL, WHOLE,
     "{\"choices\":[{\"index\":0,\"message\":{\"content\":\"a\"}}]}",
     "begin text(0:a) error(upstream_cut,truncated)", false},
    {"a whole answer without choices", CHAT, NULL, WHOLE, "{\"ok\":true}",
     "error(upstream_malformed,malformed)", false},
    {"embeddings, floats and base64", EMBED, NULL, "{\"input\":[\"x\",\"y\"]}",
     "{\"data\":[{\"index\":1,\"embedding\":[0.5,2]},{\"index\":0,\"embedding\":\"AACAPg==\"}],"
     "\"usage\":{\"prompt_tokens\":2}}",
     "begin embed(1:2,0.5) embed(0:1,0.25) end(2+0)", false},
    {"an embedding is missing", EMBED, NULL, "{\"input\":[\"x\",\"y\"]}",
     "{\"data\":[{\"index\":1,\"embedding\":[0.5]}]}",
     "begin embed(1:1,0.5) error(upstream_cut,truncated)", false},
    {"an embedding that is none", EMBED, NULL, "{\"input\":\"x\"}",
     "{\"data\":[{\"index\":0,\"embedding\":\"A\"}]}", "error(upstream_malformed,malformed)",
     false},
};

UPSTREAM_ROWS_TEST(rows)
