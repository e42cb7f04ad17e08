"""Requests over HTTP/2, which a proxy writes anew for a service that speaks HTTP/1.1."""

import concurrent.futures
import time

import http2
from installation import HOST, IDENTITY, who
from paths import CONFUSING, leads_elsewhere


def multiplexed(gate):
    """HTTP/2: forged, confusing and smuggled"""
    at = gate.at
    hidden = f"GET /admin/smuggled HTTP/1.1\r\nHost: {HOST}\r\nX-Caller-Type: operator\r\n\r\n".encode()

    def request(method, path, token, *more, host=HOST, scheme="http"):
        pseudo = [(":method", method), (":scheme", scheme), (":authority", host), (":path", path)]
        credentials = [("authorization", f"Bearer {token}")] if token else []
        return [*pseudo, *credentials, *more]

    def send(head, body=None, trailers=()):
        gate.last = repr((head, body, trailers))[:1500]
        status, = http2.exchange(at.client, gate.port, (head, body, trailers))
        return status, gate.arrived()

    def served(head, body=None, told=None):
        status, seen = send(head, body)
        gate.check(status == 200 and len(seen) == 1, "it must be served once", (status, *seen))
        gate.check(who(seen[0]) == (told or [at.reader_id, "agent", ""]), "and named", seen[0])
        gate.check(all(len(seen[0].all(name)) <= 1 for name in IDENTITY), "once", seen[0])
        gate.check(b"forged" not in seen[0].head, "nothing forged arrives", seen[0])
        return seen[0]

    # Most are about waiting for an answer that does not come: later, all at once.
    tries = []

    def harmless(head, body=None, trailers=()):
        """It may be served, if as who asks and no more than once."""
        tries.append((head, body, trailers, None))

    def not_served(head, body=None, statuses=(None, 400, 403)):
        tries.append((head, body, (), statuses))

    served(request("GET", "/npu/1", at.reader))
    served(request("POST", "/npu/1", at.writer), b"x" * 10_000, [at.writer_id, "agent", ""])
    not_served(request("POST", "/npu/1", at.reader), b"x", [403])
    not_served(request("GET", "/npu/1", None), None, [401])
    not_served(request("GET", "/any/1", at.reader, ("authorization", f"Bearer {at.dev}")), None, [400, 401])

    names = [name.lower() for name in IDENTITY]
    every = [(spelt, "forged") for name in names for spelt in (name, name.replace("-", "_"), name.replace("-", "_", 1))]
    for forged in [[one] for one in every] + [every + every]:
        served(request("GET", "/any/1", at.reader, *forged))
        served(request("GET", "/open/1", None, *forged), told=["", "", ""])
    for name in IDENTITY:
        harmless(request("GET", "/any/1", at.reader, (name, "forged")))
        harmless(request("POST", "/any/1", at.reader), b"abc", [(name.lower(), "forged")])
        harmless(request("POST", "/any/1", at.reader), b"abc", [(name.lower().replace("-", "_"), "forged")])
    for spelt in ("x-forwarded-for", "x-envoy-external-address", "x-envoy-original-path", "x-envoy-original-host"):
        seen = served(request("GET", "/any/1", at.reader, (spelt, "6.6.6.6")))
        gate.check(seen.all("x-forwarded-for") == [at.client], "the service sees the true address", seen)

    # RFC 9113 section 8.3.1: `:authority` counts, and a `host` beside it must not differ.
    not_served(request("GET", "/hosted/1", at.reader, ("host", "one.example"), host="two.example"))
    harmless(request("GET", "/hosted/1", at.reader, ("host", "two.example"), host="one.example"))
    no_host = [one for one in request("GET", "/hosted/1", at.reader) if one[0] != ":authority"]
    not_served(no_host)
    harmless([*no_host, ("host", "one.example")])

    for path in (*CONFUSING, "/any/1\r\nX-Caller-Id: forged", "/any/1 HTTP/1.1\r\nX-Caller-Id: forged\r\nX:",
                 "/any/1\nX-Caller-Id: forged", "/any/1 HTTP/1.0", "/any/\0"):
        harmless(request("GET", path, at.reader))
    for method in ("get", "GET /admin/x HTTP/1.1\r\nX:", "GET /admin/x", "G T", "", "GET\n", "PRI", "CONNECT"):
        not_served(request(method, "/any/1", at.reader), statuses=(None, 400, 403, 404, 501))

    for bad in (("x", "a\r\nx-caller-type: operator"), ("x", "a\nx-caller-type: operator"), ("x", "a\rb"),
                ("x", "a\0b"), ("x\r\nx-caller-type", "operator"), ("x-caller-type: operator\r\nx", "y"),
                ("x-caller-type:", "operator"), ("x-caller-type ", "operator"), (" x-caller-type", "operator"),
                ("", "operator"), ("transfer-encoding", "chunked"), ("connection", "x-caller-id"),
                ("connection", "upgrade"), ("upgrade", "h2c"), ("proxy-connection", "close"), ("te", "chunked"),
                (":path", "/admin/x"), (":method", "DELETE"), (":authority", "two.example"), (":scheme", "https"),
                (":x", "y"), (":status", "200"), (":protocol", "websocket"), ("content-length", "0"),
                ("content-length", "5"), ("content-length", "1e9"), ("content-length", "-1"), ("expect", "x")):
        harmless(request("POST", "/any/1", at.reader, bad), hidden)
        harmless([bad, *request("POST", "/any/1", at.reader)], hidden)
        harmless(request("POST", "/any/1", at.reader, bad))
    for scheme in ("https", "http://npu.example/admin/x?", "http://npu.example/admin/x\r\nX:", ""):
        harmless(request("GET", "/any/1", at.reader, scheme=scheme))
    harmless(request("CONNECT", "/any/1", at.reader, (":protocol", "websocket")), hidden)
    harmless(request("POST", "/any/1", at.reader), b"abc", [("content-length", "0"), ("transfer-encoding", "chunked")])

    def at_once(number):
        head, body, trailers, _ = tries[number]
        status, = http2.exchange(at.client, gate.port, ([*head, ("x-try", number)], body, trailers), patience=1.5)
        return status

    with concurrent.futures.ThreadPoolExecutor(48) as pool:
        statuses = list(pool.map(at_once, range(len(tries))))
    time.sleep(0.2)
    served_of = {}
    for one in gate.arrived():
        gate.last = "one of them"
        gate.check((one.one("x-try") or "").isdigit(), "what arrives was sent", one)
        served_of.setdefault(int(one.one("x-try")), []).append(one)
    for number, (head, body, trailers, refused) in enumerate(tries):
        gate.last = repr((head, body, trailers))[:1500]
        status, seen = statuses[number], served_of.get(number, [])
        if refused:
            gate.check(status in refused and not seen, f"it must be refused: {refused}", (status, *seen))
        fine = len(seen) <= (status == 200) and (status is None or status < 500)
        gate.check(fine, "it is served once, or refused", (status, *seen))
        for one in seen:
            gate.check(who(one) == [at.reader_id, "agent", ""], "as who asks", one)
            gate.check(b"forged" not in one.head and not one.trailers and not one.tunnel, "with nothing forged", one)
            gate.check(one.one("host") in (HOST, "one.example"), "at the host decided about", one)
            gate.check(not leads_elsewhere(one), "it leads nowhere else", one)
            gate.check(one.body == (body or b""), "with its own body", (one, one.body))

    gate.last = "six on one connection"
    many = [("/any/1", at.reader), ("/admin/1", at.reader), ("/any/2", None), ("/any/3", at.writer), ("/open/4", None),
            ("/any/5", at.reader)]
    http2.exchange(at.client, gate.port, *((request("GET", path, token), None, ()) for path, token in many))
    seen = {one.target.decode(): who(one)[0] for one in gate.arrived()}
    gate.check(seen == {"/any/1": at.reader_id, "/any/3": at.writer_id, "/open/4": "", "/any/5": at.reader_id},
               "each is decided by itself", seen)
