"""A server that speaks the providers' APIs, for deployments to stand for."""

import json
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import wire

PATIENCE = 20
"""Seconds after which something that should have happened never will."""

KEY = "key-of-the-deployment"


@dataclass
class Request:
    """What a deployment was sent."""

    path: str
    headers: dict
    json: dict


@dataclass
class Answer:
    """A whole body of JSON."""

    json: object
    status: int = 200
    headers: dict = field(default_factory=dict)


@dataclass
class Events:
    """A stream that comes to its end, or `breaks` off before it, or `waits` there until the client leaves."""

    events: list
    end: str = "whole"
    headers: dict = field(default_factory=dict)


class Silence:
    """None, until the client leaves."""


class Upstream:
    """Answers as the next of `script` says and, when that is over, as a provider that is well."""

    def __init__(self):
        self.received = []
        self.script = []
        self.left = threading.Event()
        """Set once a client has left that was kept waiting."""
        self._server = Server(("127.0.0.1", 0), Handler)
        self._server.upstream = self
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self):
        return "http://%s:%d" % self._server.server_address

    def deployment(self, id, model="openai/real", base="/v1", **params):
        """An entry of the gateway's `model_list`, without its group."""
        params = {"model": model, "api_base": self.url + base, "api_key": KEY, **params}
        return {"litellm_params": params, "model_info": {"id": id}}

    def answer(self, request):
        with self._lock:
            self.received.append(request)
            if self.script:
                return self.script.pop(0)
        found = wire.answer(request.path, request.json)
        return Events(found) if isinstance(found, list) else Answer(found)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request, client_address):
        # The tests are about clients that leave.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = PATIENCE
    disable_nagle_algorithm = True

    def do_POST(self):
        upstream = self.server.upstream
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = upstream.answer(Request(self.path, headers, json.loads(body)))
        match answer:
            case Answer():
                self.whole(answer)
            case Events():
                self.stream(answer)
            case Silence():
                self.wait()

    def whole(self, answer):
        body = json.dumps(answer.json).encode()
        self.send_response(answer.status)
        self.send_headers({"content-type": "application/json", "content-length": len(body), **answer.headers})
        self.wfile.write(body)

    def stream(self, answer):
        self.send_response(200)
        headers = {"content-type": "text/event-stream", "transfer-encoding": "chunked"}
        self.send_headers({**headers, **answer.headers})
        for event in answer.events:
            event = event.encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
        match answer.end:
            case "whole":
                self.wfile.write(b"0\r\n\r\n")
            case "breaks":
                self.close_connection = True
            case "waits":
                self.wait()

    def wait(self):
        self.close_connection = True
        if not self.connection.recv(1):
            self.server.upstream.left.set()

    def send_headers(self, headers):
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()

    def log_message(self, *_):
        pass
