// A server of HTTP/2 by Node's own library, driven by tests: over TLS where it is given a certificate, else plain. Prints {"port":N}; ends with its standard input.
//   h2_server.mjs '{"cert":FILE,"key":FILE,"settings":{…}}'
import fs from "node:fs";
import http2 from "node:http2";

const options = JSON.parse(process.argv[2] ?? "{}");
const counts = { connections: 0, streams: 0, open: 0, most: 0, resets: 0, cancelled: 0, cancelled_at_ms: 0 };
const sessions = new WeakSet(); // that asked for more than the counts

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

const answers = {
  "/counts": (stream) => json(stream, counts),
  "/echo": (stream) => { stream.respond({ ":status": 200 }); stream.pipe(stream); },
  "/headers": (stream, headers) => json(stream, headers),
  "/interim": (stream) => {
    stream.additionalHeaders({ ":status": 103, link: "<x>" });
    stream.respond({ ":status": 200, "x-test": "after 103" });
    stream.end("the answer");
  },
  "/trailers": (stream) => {
    stream.respond({ ":status": 200 }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-trailer": "1" }));
    stream.end("with trailers");
  },
  "/refuse": (stream) => stream.close(7),
  "/moved": (stream) => { stream.respond({ ":status": 307, location: "/headers" }); stream.end(); },
  "/huge-head": (stream) => { stream.respond({ ":status": 200, "x-huge": "x".repeat(60000), "x-more": "y".repeat(30000) }); stream.end(); },
  "/silent": () => {},
  "/blast": (stream, headers, query) => {
    stream.respond({ ":status": 200 });
    stream.end(Buffer.alloc(Number(query.get("size") ?? 1 << 20), "abcdefghijklmnopqrstuvwxyz"));
  },
  "/bye": (stream) => { // says that it goes, and finishes what it has begun
    stream.session.goaway(0, stream.id);
    stream.respond({ ":status": 200 });
    setTimeout(() => stream.end("the last words"), 50);
  },
  "/drop": (stream) => { stream.respond({ ":status": 200 }); stream.write("half"); setTimeout(() => stream.session?.destroy(), 20); },
};

function json(stream, value) {
  stream.respond({ ":status": 200, "content-type": "application/json" });
  stream.end(JSON.stringify(value));
}

// OpenAI's chat: the words are made of the last message, so that whoever asks knows what must come.
async function chat(stream) {
  let body = "";
  for await (const piece of stream) body += piece;
  const request = JSON.parse(body);
  const [count, gap_ms, name] = request.messages.at(-1).content.split(" ");
  const chunk = (delta, finish) => `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", created: 1,
    model: request.model, choices: [{ index: 0, delta, finish_reason: finish ?? null }] })}\n\n`;
  stream.respond({ ":status": 200, "content-type": "text/event-stream" });
  stream.write(chunk({ role: "assistant", content: "" }));
  for (let i = 0; i < Number(count) && !stream.destroyed; i++) {
    if (Number(gap_ms)) await sleep(Number(gap_ms));
    if (!stream.write(chunk({ content: `${name}:${i} ` }))) await drained(stream);
  }
  if (!stream.destroyed) stream.end(chunk({}, "stop") + "data: [DONE]\n\n");
}

const drained = (stream) => new Promise((done) => {
  const end = () => { stream.off("drain", end); stream.off("close", end); done(); };
  stream.on("drain", end);
  stream.on("close", end);
});

function onStream(stream, headers) {
  const [path, query] = headers[":path"].split("?");
  stream.on("error", () => {});
  if (path === "/counts") return answers[path](stream);
  if (!sessions.has(stream.session)) counts.connections++;
  sessions.add(stream.session);
  counts.streams++;
  counts.most = Math.max(counts.most, ++counts.open);
  stream.on("close", () => {
    counts.open--;
    if (stream.rstCode === 8) {
      counts.cancelled++;
      counts.cancelled_at_ms = Date.now();
    }
    if (stream.rstCode) counts.resets++;
  });
  if (path.endsWith("/chat/completions")) return chat(stream).catch(() => {});
  const answer = answers[path];
  if (answer) return answer(stream, headers, new URLSearchParams(query));
  stream.respond({ ":status": 404 });
  stream.end();
}

const settings = options.settings ?? {};
const server = options.cert
  ? http2.createSecureServer({ cert: fs.readFileSync(options.cert), key: fs.readFileSync(options.key), settings })
  : http2.createServer({ settings });
server.on("session", (session) => {
  session.on("error", () => {});
});
server.on("stream", onStream);
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: server.address().port })));
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
