"""A service that writes down each request byte for byte, and a Countersign that answers what it is told to."""

import socket
import threading
from dataclasses import dataclass, field


@dataclass
class Request:
    """A request as it arrived."""

    head: bytes
    body: bytes = b""
    trailers: list = field(default_factory=list)
    # What followed after the connection was no longer HTTP.
    tunnel: bytes = b""
    connection: int = 0

    def __post_init__(self):
        first, *rest = self.head.split(b"\r\n")
        words = first.split(b" ")
        self.method, self.target = (words + [b"", b""])[:2] if len(words) == 3 else (b"", first)
        self.headers = [(n.decode("latin-1"), v.strip()) for n, _, v in (line.partition(b":") for line in rest)]

    def all(self, name):
        """The values under a name, however it is spelt: `-` and `_` are the same to many services."""
        return [v.decode("latin-1") for n, v in self.headers + self.trailers if plain(n) == plain(name)]

    def one(self, name):
        values = self.all(name)
        return values[0] if len(values) == 1 else None

    def __str__(self):
        text = repr(self.head.decode("latin-1"))
        return text if len(text) < 1500 else f"{text[:1500]}…"


def plain(name):
    return "".join("-" if not c.isalnum() else c for c in name.lower())


class Listener:
    """Takes connections, each in a thread, and reads requests off them."""

    def __init__(self):
        self.requests, self.lock = [], threading.Lock()
        self.connections = 0
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(connection, self.connections), daemon=True).start()

    def serve(self, connection, number):
        connection.settimeout(60)
        try:
            with connection, connection.makefile("rb") as stream:
                while (request := self.read(connection, stream)) is not None:
                    request.connection = number
                    with self.lock:
                        self.requests.append(request)
                    if not self.answer(connection, stream, request):
                        return
        except (OSError, ValueError):
            pass

    def read(self, connection, stream):
        lines = []
        while (line := stream.readline(100_000)) not in (b"\r\n", b"\n"):
            if not line:
                # What is left of a request is one that somebody meant to send.
                if lines:
                    with self.lock:
                        self.requests.append(Request(b"".join(lines)))
                return None
            lines.append(line)
        request = Request(b"".join(lines).removesuffix(b"\r\n"))
        if request.all("expect"):
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        length, coding = request.all("content-length"), request.all("transfer-encoding")
        if coding:
            request.body, request.trailers = chunks(stream)
        elif length:
            request.body = stream.read(int(length[0]))
        return request

    def take(self):
        """What has arrived since the last time."""
        with self.lock:
            taken, self.requests = self.requests, []
        return taken

    def answer(self, connection, stream, request):
        raise NotImplementedError


def chunks(stream):
    body, trailers = b"", []
    # A client that went away leaves half a body.
    while size := int(stream.readline().split(b";")[0] or b"0", 16):
        body += stream.read(size)
        stream.readline()
    while (line := stream.readline()) not in (b"\r\n", b"\n", b""):
        name, _, value = line.partition(b":")
        trailers.append((name.decode("latin-1"), value.strip()))
    return body, trailers


class Service(Listener):
    """Answers `served`, with 503 where a path ends in `/fails`, and agrees to leave HTTP whenever it is asked to."""

    def answer(self, connection, stream, request):
        if upgrade := request.one("upgrade"):
            connection.sendall(
                f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {upgrade}\r\n\r\n".encode()
            )
            while more := stream.read1():
                request.tunnel += more
            return False
        body = b"" if request.method == b"HEAD" else b"served"
        status = b"503 Failed" if request.target.endswith(b"/fails") else b"200 OK"
        connection.sendall(b"HTTP/1.1 %s\r\nContent-Length: 6\r\n\r\n%s" % (status, body))
        return True


class Stub(Listener):
    """In the place of Countersign."""

    reply = b""
    stop = threading.Event()

    def answer(self, connection, stream, request):
        if self.reply is None:
            self.stop.wait(30)
            return False
        connection.sendall(self.reply)
        return bool(self.reply) and request.all("connection") != ["close"]

    def told(self, request):
        """Whether it is the question alone; method, target, host and address; credentials; cookies."""
        alone = (request.method, request.target, request.body) == (b"GET", b"/v1/forward-auth", b"")
        alone = alone and not request.all("content-length") and not request.all("transfer-encoding")
        asked = [request.all(f"x-forwarded-{name}") for name in ("method", "uri", "host", "for")]
        return alone, asked, request.all("authorization"), request.all("cookie")

    def answers(self, status, headers=()):
        body = b"" if status == 200 else b"told"
        lines = [f"HTTP/1.1 {status} Told", f"Content-Length: {len(body)}", "Location: /x",
                 *(f"{n}: {v}" for n, v in headers)]
        self.reply = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
