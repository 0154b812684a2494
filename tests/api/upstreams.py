"""Providers for tests: a small server that speaks every wire format weir speaks upstream, says what it is told to say,
and records what it saw.

    with upstreams.Upstream() as up:
        up.says = upstreams.Say("Hello", calls=[("f", {"x": 1})])
        ...
        request = up.requests[-1]            # .method .path .headers .json()

By path: …/chat/completions, …/completions, …/embeddings, …/models (OpenAI, Azure, NIM), /v1/messages (Anthropic),
/api/chat, /api/generate, /api/embed, /api/tags (Ollama). A stream where the request asks for one.
"""

import http.server
import json
import ssl
import subprocess
import threading
import time


class Say:
    """An answer: pieces of text, reasoning, tool calls as (name, arguments), why it ended (OpenAI's word), usage."""

    def __init__(self, *text, thinking=None, calls=(), finish=None, usage=(11, 7)):
        self.text, self.thinking, self.calls = text, thinking, list(calls)
        self.finish = finish or ("tool_calls" if calls else "stop")
        self.usage = usage


class Refuse:
    """A refusal: a status, a document and headers."""

    def __init__(self, status, document, **headers):
        self.status, self.document = status, document
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class Request:
    def __init__(self, method, path, headers, body, peer):
        self.method, self.path, self.headers, self.body, self.peer = method, path, headers, body, peer
        self.came_s = time.monotonic()
        self.gone = threading.Event()  # the other side closed before the answer's end

    def json(self):
        return json.loads(self.body)


def _dump(document):
    return json.dumps(document, separators=(",", ":"))


def _data(document, event=None):
    return (f"event: {event}\n" if event else "") + f"data: {_dump(document)}\n\n"


# ---- OpenAI ----


def _openai_call(index, name, arguments):
    return {"index": index, "id": f"call_{index}", "type": "function",
            "function": {"name": name, "arguments": _dump(arguments)}}


def openai_whole(say, model):
    message = {"role": "assistant", "content": "".join(say.text) or None, "refusal": None}
    if say.thinking:
        message["reasoning_content"] = say.thinking
    if say.calls:
        message["tool_calls"] = [{k: v for k, v in _openai_call(i, *c).items() if k != "index"}
                                 for i, c in enumerate(say.calls)]
    return {"id": "chatcmpl-up", "object": "chat.completion", "created": 1, "model": model, "x-own": 1,
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": say.finish}],
            "usage": _openai_usage(say)}


def _openai_usage(say):
    return {"prompt_tokens": say.usage[0], "completion_tokens": say.usage[1], "total_tokens": sum(say.usage)}


def openai_stream(say, body):
    asked = body.get("stream_options", {}).get("include_usage")

    def chunk(delta=None, finish=None, **more):
        choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
        return _data({"id": "chatcmpl-up", "object": "chat.completion.chunk", "created": 1, "model": body["model"],
                      "choices": choices, **({"usage": None} if asked else {}), **more})

    yield chunk({"role": "assistant", "content": ""})
    if say.thinking:
        yield chunk({"reasoning_content": say.thinking})
    for text in say.text:
        yield chunk({"content": text})
    for index, call in enumerate(say.calls):
        whole = _openai_call(index, *call)
        arguments, whole["function"]["arguments"] = whole["function"]["arguments"], ""
        yield chunk({"tool_calls": [whole]})
        for piece in (arguments[:3], arguments[3:]):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield chunk({}, say.finish)
    if asked:
        yield chunk(usage=_openai_usage(say))
    yield "data: [DONE]\n\n"


# ---- Anthropic ----

ANTHROPIC_STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}


def _anthropic_blocks(say):
    if say.thinking:
        yield {"type": "thinking", "thinking": say.thinking, "signature": "c2VhbA=="}
    if say.text:
        yield {"type": "text", "text": "".join(say.text)}
    for index, (name, arguments) in enumerate(say.calls):
        yield {"type": "tool_use", "id": f"toolu_{index}", "name": name, "input": arguments}


def anthropic_whole(say, model):
    return {"id": "msg_up", "type": "message", "role": "assistant", "model": model, "content": list(_anthropic_blocks(say)),
            "stop_reason": ANTHROPIC_STOPS[say.finish], "stop_sequence": None,
            "usage": {"input_tokens": say.usage[0], "output_tokens": say.usage[1]}}


def _anthropic_deltas(block, pieces):
    if block["type"] == "text":
        yield from ({"type": "text_delta", "text": piece} for piece in pieces)
    elif block["type"] == "thinking":
        yield {"type": "thinking_delta", "thinking": block["thinking"]}
        yield {"type": "signature_delta", "signature": block["signature"]}
    elif block["input"]:
        text = _dump(block["input"])
        yield from ({"type": "input_json_delta", "partial_json": piece} for piece in ("", text[:3], text[3:]))


def anthropic_stream(say, body):
    def event(name, **members):
        return _data({"type": name, **members}, name)

    empty = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}, "tool_use": {"input": {}}}
    message = {**anthropic_whole(say, body["model"]), "content": [], "stop_reason": None}
    message["usage"] = {"input_tokens": say.usage[0], "output_tokens": 1}
    yield event("message_start", message=message)
    yield event("ping")
    for index, block in enumerate(_anthropic_blocks(say)):
        yield event("content_block_start", index=index, content_block={**block, **empty[block["type"]]})
        for delta in _anthropic_deltas(block, say.text):
            yield event("content_block_delta", index=index, delta=delta)
        yield event("content_block_stop", index=index)
    yield event("message_delta", delta={"stop_reason": ANTHROPIC_STOPS[say.finish], "stop_sequence": None},
                usage={"output_tokens": say.usage[1]})
    yield event("message_stop")


# ---- Ollama ----


def _ollama_line(body, say=None, **message):
    line = {"model": body["model"], "created_at": "2026-01-01T00:00:00Z", "message": {"role": "assistant", "content": "",
                                                                                      **message}, "done": say is not None}
    if say:
        line.update(done_reason="length" if say.finish == "length" else "stop", prompt_eval_count=say.usage[0],
                    eval_count=say.usage[1], total_duration=9)
    return line


def _ollama_calls(say):
    return {"tool_calls": [{"function": {"name": n, "arguments": a}} for n, a in say.calls]} if say.calls else {}


def ollama_whole(say, body):
    thinking = {"thinking": say.thinking} if say.thinking else {}
    return _ollama_line(body, say, content="".join(say.text), **thinking, **_ollama_calls(say))


def ollama_stream(say, body):
    if say.thinking:
        yield _dump(_ollama_line(body, thinking=say.thinking)) + "\n"
    for text in say.text:
        yield _dump(_ollama_line(body, content=text)) + "\n"
    if say.calls:
        yield _dump(_ollama_line(body, **_ollama_calls(say))) + "\n"
    yield _dump(_ollama_line(body, say)) + "\n"


# ---- the server ----


def certificate(folder, name):
    """A context for a certificate of `name`, made in folder (cert.pem, key.pem) and signed by itself."""
    key, cert = f"{folder}/key.pem", f"{folder}/cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-addext", f"subjectAltName=DNS:{name}", "-keyout", key, "-out", cert], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


class Upstream:
    """Listens on a free port of loopback until stop(). `says` is a Say, a Refuse, what goes over the wire (bytes, or an
    iterable of bytes, text, and None for a cut), or a function of the Request that gives one of these. `models`: what it lists. `tls`: an ssl.SSLContext."""

    def __init__(self, says=None, models=("m",), tls=None):
        self.says, self.models, self.requests = says or Say("Hel", "lo"), list(models), []
        upstream = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                upstream._take(self)

            do_POST = do_GET

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None  # the other side goes when it likes
        self._scheme = "https" if tls else "http"
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self):
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}"

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def posts(self):
        return [r for r in self.requests if r.method == "POST"]

    def _take(self, handler):
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        request = Request(handler.command, handler.path, handler.headers, body, handler.client_address)
        self.requests.append(request)
        try:
            if handler.command == "GET":
                self._send(handler, 200, self._listing(handler.path))
            else:
                self._answer(handler, request)
        except (BrokenPipeError, ConnectionResetError):
            request.gone.set()
            handler.close_connection = True

    def _listing(self, path):
        if path.endswith("/health/ready"):
            return {"object": "health.response", "message": "Service is ready."}
        if path == "/api/tags":
            return {"models": [{"name": name, "model": name} for name in self.models]}
        return {"object": "list", "data": [{"id": name, "object": "model"} for name in self.models]}

    def _answer(self, handler, request):
        says = self.says(request) if callable(self.says) else self.says
        if isinstance(says, Refuse):
            self._send(handler, says.status, says.document, says.headers)
        elif not isinstance(says, Say):
            self._pieces(handler, "text/event-stream", [says] if isinstance(says, bytes) else says)
        else:
            self._say(handler, request.path.split("?")[0], request.json(), says)

    def _say(self, handler, path, body, say):
        if path.endswith("/embeddings") or path == "/api/embed":
            return self._send(handler, 200, self._vectors(path, body))
        if path == "/api/generate":
            return self._send(handler, 200, {"response": "".join(say.text), "done": True, "done_reason": "stop"})
        if path.endswith("/chat/completions"):
            whole, stream, kind = openai_whole(say, body["model"]), openai_stream, "text/event-stream"
        elif path == "/v1/messages":
            whole, stream, kind = anthropic_whole(say, body["model"]), anthropic_stream, "text/event-stream"
        elif path == "/api/chat":
            whole, stream, kind = ollama_whole(say, body), ollama_stream, "application/x-ndjson"
        else:
            return self._send(handler, 404, {"error": {"message": f"no such path: {path}"}})
        if body.get("stream", path == "/api/chat"):
            return self._pieces(handler, kind, stream(say, body))
        return self._send(handler, 200, whole)

    @staticmethod
    def _vectors(path, body):
        inputs = body["input"] if isinstance(body["input"], list) else [body["input"]]
        vectors = [[0.5, float(i)] for i in range(len(inputs))]
        if path == "/api/embed":
            return {"model": body["model"], "embeddings": vectors, "prompt_eval_count": 3}
        return {"object": "list", "model": body["model"], "usage": {"prompt_tokens": 3, "total_tokens": 3},
                "data": [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(vectors)]}

    @staticmethod
    def _send(handler, status, document, headers=None):
        body = document if isinstance(document, bytes) else _dump(document).encode()
        handler.send_response(status)
        for name, value in {"Content-Type": "application/json", "x-request-id": "req_up", **(headers or {})}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    @staticmethod
    def _pieces(handler, kind, pieces):
        handler.send_response(200)
        handler.send_header("Content-Type", kind)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for piece in pieces:
            if piece is None:
                handler.close_connection = True
                return
            data = piece.encode() if isinstance(piece, str) else piece
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            handler.wfile.flush()
        handler.wfile.write(b"0\r\n\r\n")
