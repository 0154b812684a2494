// REQ: PROV-2
// What an Ollama answers, as exchange events: a JSON object a line, calls with objects, an error as
// a line of a stream with status 200; cut at every byte.
#include "support/upstream_rows.h"

#define CHAT   &upstream_ollama_chat
#define STREAM "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"stream\":true}"
#define WHOLE  "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"
#define SAY(t)                                                                                     \
    "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"" t "\"},\"done\":false}"  \
    "\n"
#define ENDS(reason)                                                                               \
    "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_" \
    "reason\":\"" reason "\",\"prompt_eval_count\":4,\"eval_count\":3}\n"

static const struct upstream_row rows[] = {
    {"text", CHAT, NULL, STREAM, SAY("Hel") SAY("lo") ENDS("stop"),
     "begin text(0:Hel) text(0:lo) finish(0:stop) end(4+3)", false},
    {"CRLF, blank lines, no line end at the end", CHAT, NULL, STREAM,
     "\r\n" SAY("a") "\n\r\n{\"done\":true,\"done_reason\":\"length\",\"eval_count\":1}",
     "begin text(0:a) finish(0:length) end(1+1?)", false},
    {"no end", CHAT, NULL, STREAM, SAY("a"), "begin text(0:a) error(upstream_cut,truncated)",
     false},
    {"cut within a line", CHAT, NULL, STREAM, SAY("a") "{\"done\":tr",
     "begin text(0:a) error(upstream_cut,truncated)", false},
    {"broken within a line", CHAT, NULL, STREAM, SAY("a") "{\"done\":tr",
     "begin text(0:a) error(upstream_cut,truncated)", true},
    {"nothing", CHAT, NULL, STREAM, "", "error(upstream_cut,truncated)", false},
    {"an error as a line", CHAT, NULL, STREAM, SAY("a") "{\"error\":\"out of memory\"}\n",
     "begin text(0:a) error(upstream_failed,transient)", false},
    {"no JSON", CHAT, NULL, STREAM, SAY("a") "oops\n" ENDS("stop"),
     "begin text(0:a) error(upstream_malformed,malformed)", false},
    {"a page of HTML", CHAT, NULL, STREAM, "<html>", "error(upstream_malformed,malformed)", false},
    {"reasoning and text in one line", CHAT, NULL, STREAM,
     "{\"message\":{\"thinking\":\"hm\",\"content\":\"a\"},\"done\":false}\n" ENDS("stop"),
     "begin think(0:hm|) text(0:a) finish(0:stop) end(4+3)", false},
    {"calls in lines, with and without arguments", CHAT, NULL, STREAM,
     "{\"message\":{\"content\":\"\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{"
     "\"x\":1.50,\"y\":"
     "[]}}}]},\"done\":false}\n"
     "{\"message\":{\"content\":\"\",\"tool_calls\":[{\"id\":\"c9\",\"function\":{\"name\":\"g\","
     "\"arguments\":{}}},"
     "{\"function\":{\"name\":\"h\"}}]},\"done\":false}\n" ENDS("stop"),
     "begin call(0.0:call_0_0,f) args(0.0:{\"x\":1.50,\"y\":[]}) call(0.1:c9,g) args(0.1:{}) "
     "call(0.2:call_0_2,h) args(0.2:{}) finish(0:tool_calls) end(4+3)",
     false},
    {"calls cut by the limit keep that reason", CHAT, NULL, STREAM,
     "{\"message\":{\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{}}}]}}\n" ENDS(
         "length"),
     "begin call(0.0:call_0_0,f) args(0.0:{}) finish(0:length) end(4+3)", false},
    {"loaded, with nothing to say", CHAT, NULL, STREAM, ENDS("load"),
     "begin finish(0:stop) end(4+3)", false},
    {"whole", CHAT, NULL, WHOLE,
     "{\"message\":{\"role\":\"assistant\",\"content\":\"a\"},\"done\":true,\"done_reason\":"
     "\"stop\","
     "\"prompt_eval_count\":4,\"eval_count\":3}",
     "begin text(0:a) finish(0:stop) end(4+3)", false},
    {"whole, not done", CHAT, NULL, WHOLE, "{\"message\":{\"content\":\"a\"},\"done\":false}",
     "begin text(0:a) error(upstream_cut,truncated)", false},
    {"a spliced stream keeps every line", CHAT, &dialect_ollama_chat,
     "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
     SAY("a") ENDS("stop"),
     "begin text(0:a)<" SAY("a") "> finish(0:stop) end(4+3)<" ENDS("stop") ">", false},
    {"generate", &upstream_ollama_generate, NULL, "{\"prompt\":\"x\",\"stream\":true}",
     "{\"response\":\"a\",\"done\":false}\n{\"response\":\"b\",\"done\":true,\"done_reason\":"
     "\"stop\"}\n",
     "begin text(0:a) text(0:b) finish(0:stop) end(1+1?)", false},
    {"embed", &upstream_ollama_embed, NULL, "{\"input\":[\"x\",\"y\"]}",
     "{\"embeddings\":[[0.5,1],[0.25,2]],\"prompt_eval_count\":2}",
     "begin embed(0:2,0.5) embed(1:2,0.25) end(2+0)", false},
    {"embed, one missing", &upstream_ollama_embed, NULL, "{\"input\":[\"x\",\"y\"]}",
     "{\"embeddings\":[[0.5,1]],\"prompt_eval_count\":2}",
     "begin embed(0:2,0.5) error(upstream_cut,truncated)", false},
};

UPSTREAM_ROWS_TEST(rows)
