"""HTTP/2 (RFC 9113), as much as is needed: what Envoy asks and is told over gRPC, and a client that tidies nothing."""

import contextlib
import socket
import struct

from service import Listener, Request

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY = 0, 1, 3, 4, 6, 7
# On SETTINGS and PING it means that they are answered.
LAST = ANSWERED = 1
WHOLE = 4


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def frames(stream):
    """What arrives, until the connection ends."""
    while len(head := stream.read(9)) == 9:
        kind, flags, number = struct.unpack(">BBI", head[3:])
        yield kind, flags, number, stream.read(int.from_bytes(head[:3], "big"))


def fields(*pairs):
    """A list of fields, each written out (RFC 7541 section 6.2.2), so that nothing need be remembered."""
    return b"".join(b"\0" + text(name) + text(value) for name, value in pairs)


def text(value):
    data = value if isinstance(value, bytes) else str(value).encode("latin-1")
    # RFC 7541 section 5.1: what does not fit into seven bits follows.
    if len(data) < 127:
        return bytes((len(data),)) + data
    return b"\x7f" + varint(len(data) - 127) + data


def varint(number):
    out = b""
    while number > 127:
        out, number = out + bytes((number & 127 | 128,)), number >> 7
    return out + bytes((number,))


def status(payload):
    """Of an answer's fields the first, which is its status, if nothing was sent before on the connection."""
    known = {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}
    if payload[0] & 0x80:
        return known[payload[0] & 127]
    size, value = payload[1] & 127, payload[2:2 + (payload[1] & 127)]
    if not payload[1] & 0x80:
        return int(value)
    # RFC 7541 appendix B.
    codes = {f"{i:05b}": str(i) for i in range(3)} | {f"{i + 22:06b}": str(i) for i in range(3, 10)}
    out, code = "", ""
    for bit in f"{int.from_bytes(value, 'big'):0{size * 8}b}":
        code += bit
        if code in codes:
            out, code = out + codes[code], ""
    return int(out)


def exchange(address, port, *requests, patience=5, client=contextlib.closing):
    """Sends requests, each its fields, its body and its trailers, on a connection; their statuses, as far as any.

    None is an answer that is no status: the stream, or the whole connection, was broken off."""
    out, found = PREFACE + frame(SETTINGS), {}
    for number, (head, body, trailers) in enumerate(requests):
        stream = number * 2 + 1
        out += frame(HEADERS, WHOLE | (LAST if body is None else 0), stream, fields(*head))
        if body is not None:
            out += frame(DATA, 0 if trailers else LAST, stream, body)
        if trailers:
            out += frame(HEADERS, WHOLE | LAST, stream, fields(*trailers))
    with client(socket.create_connection(("127.0.0.1", port), 5, (address, 0))) as connection:
        connection.settimeout(patience)
        connection.sendall(out)
        ended = set()
        try:
            for kind, flags, stream, payload in frames(connection.makefile("rb")):
                if kind == HEADERS and len(requests) == 1:
                    found.setdefault(stream, status(payload))
                if kind == GOAWAY:
                    break
                if kind == RESET or (kind in (HEADERS, DATA) and flags & LAST):
                    ended.add(stream)
                if len(ended) == len(requests):
                    break
        except (TimeoutError, ConnectionError):
            pass
    return [found.get(number * 2 + 1) for number in range(len(requests))]


def member(number, value):
    """One of a protobuf message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value if isinstance(value, bytes) else value.encode()
    return varint(number << 3 | 2) + varint(len(data)) + data


def members(data):
    """All of a protobuf message, by their numbers."""
    found, at = {}, 0

    def number():
        nonlocal at
        out, shift = 0, 0
        while True:
            byte, at = data[at], at + 1
            out, shift = out | (byte & 127) << shift, shift + 7
            if byte < 128:
                return out

    while at < len(data):
        key = number()
        if key & 7 == 0:
            value = number()
        else:
            size = number() if key & 7 == 2 else {1: 8, 5: 4}[key & 7]
            value, at = data[at:at + size], at + size
        found.setdefault(key >> 3, []).append(value)
    return found


class GrpcStub(Listener):
    """In the place of Countersign, for Envoy: `envoy.service.auth.v3.Authorization/Check`."""

    reply = b""

    def serve(self, connection, number):
        connection.settimeout(60)
        asked = {}
        try:
            with connection, connection.makefile("rb") as stream:
                stream.read(len(PREFACE))
                connection.sendall(frame(SETTINGS))
                for kind, flags, on, payload in frames(stream):
                    if kind in (SETTINGS, PING) and not flags & ANSWERED:
                        connection.sendall(frame(kind, ANSWERED, 0, payload if kind == PING else b""))
                    if kind == DATA:
                        asked[on] = asked.get(on, b"") + payload
                    if kind in (HEADERS, DATA) and flags & LAST:
                        with self.lock:
                            self.requests.append(Request(b"", asked.pop(on)[5:]))
                        if self.reply == b"":
                            return
                        if self.reply is not None:
                            connection.sendall(self.reply if isinstance(self.reply, bytes) else self.reply(on))
        except (OSError, ValueError):
            pass

    def told(self, request):
        """As `Stub.told`."""
        attributes = members(members(request.body)[1][0])
        http = members(members(attributes[4][0])[2][0])
        address = members(members(members(attributes[1][0])[1][0])[1][0])[2]
        headers = [members(one) for one in members(http[13][0])[1]]
        values = lambda name: [(one.get(3) or one[2])[0].decode() for one in headers if one[1] == [name.encode()]]
        texts = [[value.decode() for value in found] for found in (http[2], http[4], http[5], address)]
        return 11 not in http and 12 not in http, texts, values("authorization"), values("cookie")

    def answers(self, how, headers=()):
        """A status that is no gRPC, the number of a gRPC error behind `grpc`, or that it may pass."""
        if how == 200:
            options = (member(1, member(1, name) + member(2, value)) + member(3, 2) for name, value in headers)
            message = member(1, b"") + member(3, b"".join(member(2, option) for option in options))
            self.reply = lambda on: (
                frame(HEADERS, WHOLE, on, fields((":status", 200), ("content-type", "application/grpc"))) +
                frame(DATA, 0, on, b"\0" + struct.pack(">I", len(message)) + message) +
                frame(HEADERS, WHOLE | LAST, on, fields(("grpc-status", 0))))
        elif isinstance(how, int):
            self.reply = lambda on: frame(HEADERS, WHOLE | LAST, on, fields((":status", how), ("location", "/x")))
        else:
            ended = fields((":status", 200), ("content-type", "application/grpc"), ("grpc-status", how.split()[1]))
            self.reply = lambda on: frame(HEADERS, WHOLE | LAST, on, ended)
