"""What is tried at each gateway; a group's first line is its row in the table."""

import json
import os
import re
import signal
import threading
import time

from certificates import certificates
from installation import HERE, HOST, IDENTITY, Surprise, spellings, who
from multiplexed import multiplexed
from paths import paths
from smuggling import smuggling

# Set it once Countersign refuses, as `method_override`, a header that names another method than the request's.
REFUSES_METHOD_OVERRIDE = True


def documented(at):
    """The table and its examples in docs/gateways.md."""
    text = (HERE / "docs/gateways.md").read_text()
    table = json.loads(re.search(r"```json\n(.*?)```", text, re.S)[1])
    at.api("PUT", "/api/v1/routes", table)
    rows = re.findall(r"^\| `([A-Z]+) (/\S+)`(?: at `(\S+)`)? \| (?:`(\S+)`|none).*? \| (.*) \|$", text, re.M)
    for method, target, host, path, needs in rows:
        found = at.api("POST", "/api/v1/routes/test", {"method": method, "target": target, "host": host or HOST})
        route = found.get("route") and table["routes"][int(found["route"].split("/")[-1])]
        same = (found["outcome"] == "refused") == needs.startswith("refused") and (route or {}).get("path", "") == path
        if not same:
            raise Surprise(f"docs/gateways.md: {method} {target}: {found}")
    if len(rows) < 10:
        raise Surprise("docs/gateways.md: the examples are not found")


def callers(gate):
    """who may passes and is named, others not"""
    at = gate.at
    for token, target, told in [
        (at.reader, "/npu/1", [at.reader_id, "agent", ""]),
        (at.reader, "/any/x?q=%2e%2e/..//;y", [at.reader_id, "agent", ""]),
        (at.dev, "/memory/42", [at.dev_id, "operator", "dev,approver"]),
        (at.dev, "/admin/x", [at.dev_id, "operator", "dev,approver"]),
        (at.machine, "/machines/1", ["machine", "machine", "machine"]),
    ]:
        seen = gate.passes("GET", target, token)
        gate.check(who(seen) == told, f"the service is told {told}", seen)
        gate.check((seen.one("x-decision-id") or "").startswith("decision:"), "and the decision", seen)
        gate.check(seen.target == target.encode() and seen.method == b"GET", "and gets the target", seen)
    body = os.urandom(1 << 20)
    seen = gate.passes("POST", "/npu/1", at.writer, body=body)
    gate.check(seen.body == body, "the body arrives as it was sent", len(seen.body))
    for token, status, request in [
        (None, 401, "GET /npu/1"),
        ("nonsense", 401, "GET /npu/1"),
        (at.reader + "x", 401, "GET /any/1"),
        (at.reader, 403, "POST /npu/1"),
        (at.reader, 403, "HEAD /npu/1"),
        (at.reader, 403, "OPTIONS /npu/1"),
        (at.reader, 403, "GET /admin/x"),
        (at.reader, 403, "GET /machines/1"),
        (at.machine, 403, "GET /admin/x"),
        (at.dev, 403, "POST /npu/1"),
        (at.dev, 403, "GET /nowhere"),
        (None, 403, "GET /nowhere"),
    ]:
        answers = gate.refused(status, *request.split(" "), token)
        challenges = answers.all("www-authenticate")
        scope = 'scope="npu:write"' in "".join(challenges)
        if status == 401:
            gate.check(len(challenges) == 1 and "resource_metadata=" in challenges[0], "with its challenge", answers)
        if request == "POST /npu/1" and token == at.reader:
            gate.check(len(challenges) == 1 and scope, "with what the token lacks", answers)
    gate.refused((400, 401), "GET", "/any/1", at.reader, [("Authorization", f"Bearer {at.dev}")])
    gate.refused(401, "GET", "/any/1", at.reader, [("X-Machine-Token", at.machine)])
    gate.passes("GET", "/open/1")


# What the client gets that names headers in its `Connection`.
OWN = "close, X-Caller-Id, X-Caller-Type, X-Caller-Roles, X-Decision-Id"
LIES = "X-Forwarded-Uri, X-Forwarded-Method, X-Forwarded-Host, X-Forwarded-For, close"
CONNECTION = {
    "nginx": {OWN: 200, LIES: 200, "Authorization, close": 200, "close, Host": 200},
    "caddy": {OWN: 200, LIES: 200, "Authorization, close": 200, "close, Host": 200},
    # Envoy takes them out before it asks, and refuses some itself.
    "envoy": {OWN: 200, LIES: 400, "Authorization, close": 401, "close, Host": 400},
}


def forged_identity(gate):
    """forged X-Caller-*, X-Decision-Id"""
    at = gate.at
    every = [(spelt, "forged") for name in IDENTITY for spelt in spellings(name)]
    for forged in [[one] for one in every] + [every, every + every, [(name, "") for name, _ in every]]:
        for token, target, told in [(None, "/open/1", ["", "", ""]), (at.reader, "/any/1", [at.reader_id, "agent", ""]),
                                    (None, "/watched/1", ["", "", ""])]:
            seen = gate.passes("GET", target, token, forged)
            gate.check(b"forged" not in seen.head and who(seen) == told, "nothing forged arrives", seen)
            gate.check(all(len(seen.all(name)) <= 1 for name in IDENTITY), "nor anything twice", seen)
        gate.refused(401, "GET", "/any/1", None, forged)
    # What is named in it a proxy takes out of what it passes on.
    for named, status in CONNECTION[gate.name].items():
        if status == 200:
            gate.check(who(gate.passes("GET", "/any/1", at.reader, [("Connection", named)])) ==
                       [at.reader_id, "agent", ""], "`Connection` takes nothing away", named)
        else:
            gate.refused(status, "GET", "/any/1", at.reader, [("Connection", named)])
    trailing = (f"POST /any/1 HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {at.reader}\r\nConnection: close\r\n"
                "Transfer-Encoding: chunked\r\nTrailer: X-Caller-Type\r\n\r\n"
                "3\r\nabc\r\n0\r\nX-Caller-Type: forged\r\n\r\n")
    answers = gate.send(trailing.encode(), patience=5)
    seen = gate.arrived()
    gate.check(answers.statuses in ([200], [400]), "a trailer is served or refused", (answers, *seen))
    for one in seen:
        gate.check(one.body == b"abc", "with its body", one)
        gate.check(not any(value == b"forged" for _, value in one.headers + one.trailers), "without its trailers",
                   (one, one.trailers))


# What Envoys tell each other, and a client must not.
ENVOY = [
    ("X-Envoy-Original-Path", "/any/1"), ("X-Envoy-Original-Host", "one.example"), ("X-Envoy-Internal", "true"),
    ("X-Envoy-External-Address", "6.6.6.6"), ("X-Envoy-Retry-On", "5xx,reset,gateway-error"),
    ("X-Envoy-Max-Retries", "3"), ("X-Envoy-Upstream-Rq-Timeout-Ms", "10000"),
    ("X-Envoy-Upstream-Rq-Per-Try-Timeout-Ms", "1"), ("X-Envoy-Hedge-On-Per-Try-Timeout", "true"),
    ("X-Envoy-Decorator-Operation", "forged"), ("X-Forwarded-Client-Cert", 'Hash=00;URI=spiffe://countersign/root'),
]


def forged_gateway(gate):
    """forged X-Forwarded-*"""
    at = gate.at
    lies = [("X-Forwarded-Method", "POST"), ("X-Forwarded-Uri", "/any/1"), ("X-Forwarded-Host", "one.example"),
            ("X-Forwarded-For", "6.6.6.6"), ("X-Real-IP", "6.6.6.6"), ("Forwarded", "for=6.6.6.6;host=one.example"),
            ("X-Forwarded-Proto", "https"), ("X-Original-URL", "/any/1"), ("X-Rewrite-URL", "/any/1"),
            ("X-Forwarded-For", "6.6.6.6, 127.0.0.1"), ("X-Forwarded-Port", "1"), *ENVOY]
    under = [(name.replace("-", "_"), value) for name, value in lies]
    at.decided()
    for forged in ([one] for one in lies + under):
        gate.refused(403, "GET", "/admin/x", at.reader, forged)
    for forged in (lies, lies + lies, under, lies + under, [(name.lower(), value) for name, value in lies]):
        gate.refused(403, "GET", "/admin/x", at.reader, forged)
        gate.refused(401, "GET", "/admin/x", None, forged)
        seen = gate.passes("GET", "/npu/1", at.reader, forged)
        gate.check(seen.all("x-forwarded-for") == [at.client], "the service sees the true address", seen)
        for name in ("X-Forwarded-Uri", "X-Forwarded-Method", "X-Original-URL", "X-Rewrite-URL"):
            gate.check(not seen.all(name), f"and no `{name}`", seen)
        told = [seen.all(f"x-forwarded-{name}") for name in ("host", "proto")]
        gate.check(told[0] in ([], [HOST]) and told[1] == ["http"], "and the true host and scheme", seen)
        if gate.name == "envoy":
            names = [name for name, value in ENVOY if value in seen.all(name)]
            gate.check(not names, "nor what only Envoy may say", (names, seen))
    # Not again, whatever is asked for: it was decided about once.
    answers = gate.ask("GET", "/any/fails", at.reader, lies)
    seen = gate.arrived()
    gate.check(answers.statuses == [503] and len(seen) == 1, "what fails is not sent again", (answers, *seen))
    events = gate.settle()
    gate.check(len(events) >= 10, "all of that is in the record", len(events))
    for event in events:
        asked = event["metadata"]["request"]
        true = (event["ipAddress"], asked["host"], asked["method"]) == (at.client, HOST, "GET")
        gate.check(true and asked["path"] in ("/admin/x", "/npu/1", "/any/fails"), "with what was true", event)


def hosts(gate):
    """hosts"""
    at = gate.at
    gate.passes("GET", "/hosted/1", at.reader, host="one.example")
    gate.passes("GET", "/hosted/1", at.reader, host="ONE.example:8080")
    gate.refused(403, "GET", "/hosted/1", at.reader, host="two.example")
    # The target's host counts, whatever `Host` says (RFC 9112 section 3.2.2).
    gate.refused(403, "GET", "http://two.example/hosted/1", at.reader, host="one.example")
    seen = gate.passes("GET", "http://one.example/hosted/1", at.reader, host="two.example")
    gate.check(seen.target == b"/hosted/1" and seen.all("host") == ["one.example"], "as it was decided", seen)
    for host in ("two.example.", "two.example:80", "one.example, two.example", "one.example two.example", "",
                 "two.example#one.example", "one.example@two.example", "[::1", "[::1]", "two.example/", "..", "\u00fc"):
        gate.refused((400, 403), "GET", "/hosted/1", at.reader, host=host)
    gate.refused((400, 403), "GET", "/hosted/1", at.reader, [("Host", "one.example")], host="two.example")
    gate.refused((400, 403), "GET", "/hosted/1", at.reader, host=None)
    for version in ("HTTP/1.0", "HTTP/1.1"):
        answers = gate.ask("GET", "/any/1", at.reader, host=None, version=version)
        for one in gate.arrived():
            gate.check(one.one("host") == HOST, "without a host, it is the gateway's own", (answers, one))


def methods(gate):
    """method confusion"""
    at = gate.at
    for method in ("get", "gET", "Get", "post", "G_T", "GET1", "G\u00cbT", "GE(T", "X" * 33):
        gate.refused((*gate.not_http, 403), method, "/any/1", at.reader)
        gate.refused((*gate.not_http, 403), method, "/all/1", at.reader)
    for method in ("PUT", "DELETE", "PATCH", "PROPFIND", "FOO", "TRACE", "TRACK", "HEAD", "OPTIONS"):
        gate.refused((*gate.not_http, 403), method, "/any/1", at.reader)
        answers = gate.ask(method, "/all/1", at.reader)
        for one in gate.arrived():
            gate.check(one.method == method.encode(), "the service sees the method that was sent", (answers, one))
    for spelt in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        for same in (False, True):
            header = (spelt, "GET" if same else "DELETE")
            if REFUSES_METHOD_OVERRIDE and not same:
                gate.settle()
                answers = gate.refused(403, "GET", "/any/1", at.reader, [header])
                events = gate.settle()
                reasons = [event["metadata"]["reason"] for event in events]
                gate.check(reasons == ["method_override"], "and the record says why", (answers, events))
            else:
                gate.passes("GET", "/any/1", at.reader, [header])
        seen = gate.passes("GET", "/any/1", at.reader, [(spelt.replace("-", "_"), "DELETE")])
        gate.check(not seen.all(spelt), "not with underscores", seen)


def connections(gate):
    """pipelines, 100-continue, HTTP/1.0, Upgrade"""
    at = gate.at
    lines = [("/any/1", at.reader), ("/admin/1", at.reader), ("/any/2", None), ("/open/3", None), ("/npu/4", at.reader)]
    pipeline = "".join(
        f"GET {target} HTTP/1.1\r\nHost: {HOST}\r\n" + (f"Authorization: Bearer {token}\r\n" if token else "") +
        ("Connection: close\r\n" if target == "/npu/4" else "") + "\r\n" for target, token in lines)
    answers = gate.send(pipeline.encode(), patience=5)
    seen = gate.arrived()
    gate.check(answers.statuses == [200, 403, 401, 200, 200], "each of a pipeline is decided by itself", answers)
    gate.check([one.target for one in seen] == [b"/any/1", b"/open/3", b"/npu/4"], "and by its own rights", seen)
    gate.check([who(one)[0] for one in seen] == [at.reader_id, "", at.reader_id], "and names", seen)

    waiting = (f"POST /npu/1 HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer %s\r\nContent-Length: 5\r\n"
               "Expect: 100-continue\r\nConnection: close\r\n\r\n")
    answers = gate.send((waiting % at.writer).encode(), patience=5, rest=b"abcde")
    seen = gate.arrived()
    gate.check(answers.statuses == [200] and [one.body for one in seen] == [b"abcde"], "100-continue", (answers, *seen))
    answers = gate.send((waiting % at.reader).encode(), patience=5, rest=b"abcde")
    gate.check(answers.statuses == [403] and not gate.arrived(), "and who may not", answers)

    answers = gate.ask("GET", "/admin/1", at.reader, version="HTTP/1.0", host=None)
    gate.check(answers.statuses in ([400], [403], [426]) and not gate.arrived(), "HTTP/1.0 without a host", answers)
    for line in ("GET /admin/1", "GET /any/1 HTTP/0.9", "GET /any/1 HTTP/2.0", "GET /any/1 HTTP/1.1 x",
                 "PRI * HTTP/2.0"):
        answers = gate.send(f"{line}\r\nHost: {HOST}\r\n\r\n".encode(), patience=0.3)
        gate.check(not gate.arrived(), "nothing arrives that nobody decided", (line, answers))

    socket = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
              ("Sec-WebSocket-Key", "MDEyMzQ1Njc4OWFiY2RlZg==")]
    gate.refused(401, "GET", "/any/1", None, socket, patience=0.5)
    gate.refused(403, "GET", "/admin/1", at.reader, socket, patience=0.5)
    answers = gate.ask("GET", "/any/1", at.reader, socket, patience=0.5)
    seen = gate.arrived()
    gate.check(answers.statuses == [101] and len(seen) == 1, "a WebSocket is decided like any request",
               (answers, *seen))
    gate.check(who(seen[0]) == [at.reader_id, "agent", ""], "and named", seen[0])
    for other in ("h2c", "HTTP/2.0", "websocket, h2c", "TLS/1.0", "x-websocket"):
        how = [("Connection", "Upgrade"), ("Upgrade", other)]
        answers = gate.ask("GET", "/any/1", at.reader, how, patience=0.5)
        seen = gate.arrived()
        gate.check(len(seen) <= 1 and not any(one.all("upgrade") for one in seen), "nothing else is upgraded to",
                   (answers, *seen))


def oversized(gate):
    """oversized headers and queries"""
    at = gate.at
    for size in (1_000, 7_000, 30_000, 120_000):
        for headers, query in (([("X-Big", "a" * size)], ""), ([("Cookie", "a" * size)], ""), ([], "?" + "a" * size),
                               ([(f"X-{i}", "a" * 100) for i in range(size // 100)], "")):
            for target in ("/any/1", "/admin/1"):
                answers = gate.ask("GET", target + query, at.reader, headers, patience=3)
                seen = gate.arrived()
                gate.check(len(seen) <= (target == "/any/1"), "it is decided as any, or refused", (answers, *seen))


def guard(gate):
    """guard: observe, report, enforce"""
    at = gate.at
    report = lambda: at.api("GET", "/api/v1/guards/npu/report?since=1h")
    before = report()["would_deny"]
    for token, told in ((at.reader, [at.reader_id, "agent", ""]), (None, ["", "", ""]),
                        (at.dev, [at.dev_id, "operator", "dev,approver"])):
        seen = gate.passes("POST", "/watched/1", token)
        gate.check(who(seen) == told, "who would be refused passes", seen)
    gate.passes("POST", "/watched/1", at.writer)
    found = report()
    gate.check(found["would_deny"] == before + 3, "the report counts them", found)
    groups = {group["caller"] for group in found["groups"]}
    named = {f"agent:{at.reader_id}", f"anonymous@{at.client}", f"operator:{at.dev_id}"}
    gate.check(groups >= named, "by caller", found)
    # What the table itself refuses no guard lets pass.
    gate.refused(403, "POST", "/watched/../admin/x", at.reader)
    at.api("PUT", "/api/v1/guards/npu", {"mode": "enforce", "reason": "tests"})
    gate.refused(403, "POST", "/watched/1", at.reader)
    gate.refused(401, "POST", "/watched/1")
    gate.passes("POST", "/watched/1", at.writer)
    gate.check(report()["denied"] >= 2, "and counts what is denied", found)
    at.api("PUT", "/api/v1/guards/npu", {"mode": "observe", "reason": "tests"})


# What the client gets, as the READMEs say. By gRPC's 7 Countersign refuses a gateway that is not trusted.
AWAY = {
    "nginx": {"gone": 500, "silent": 500, 500: 500, 503: 500, 404: 500, 429: 500, 302: 500, 400: 500, "closes": 500,
              "no HTTP": 500},
    "caddy": {"gone": 502, "silent": 504, 500: 500, 503: 503, 404: 404, 429: 429, 302: 302, 400: 400, "closes": 502,
              "no HTTP": 502},
    "envoy": {"gone": 503, "silent": 503, 500: 503, 503: 503, 404: 503, 429: 503, 302: 503, 400: 503, "closes": 503,
              "no HTTP": 503, "grpc 7": 503, "grpc 16": 503, "grpc 14": 503},
}


def question(gate):
    """what is asked; answers that are none"""
    at, stub = gate.at, gate.stub()
    child = gate.serve(gate.spare, stub.port)
    told = [(name, "told") for name in ("x-caller-id", "x-caller-type", "x-caller-roles", "x-decision-id")]
    stub.answers(200, told)
    stub.take()
    before, body = stub.connections, os.urandom(100_000)
    for _ in range(5):
        gate.ask("POST", "/x/%2e?q", at.reader, [("Cookie", "a=b"), ("X-Forwarded-Uri", "/y"), ("Range", "bytes=0-1")],
                 body=body, port=gate.spare)
    asked = stub.take()
    gate.check(len(asked) == 5 and stub.connections - before <= 2, "a connection is used again",
               (len(asked), stub.connections - before))
    for one in asked:
        alone, request, credentials, cookies = stub.told(one)
        gate.check(alone, "no body is sent", one)
        gate.check(request == [["POST"], ["/x/%2e?q"], [HOST], [at.client]], "the request is told once", request)
        gate.check(credentials == [f"Bearer {at.reader}"] and not cookies, "with the credentials, without cookies",
                   (credentials, cookies))
    arrived = at.service.take()
    gate.check(len(arrived) == 5 and all(who(one) == ["told"] * 3 and one.body == body for one in arrived),
               "and what it answers arrives", arrived[0] if arrived else "")
    for how, status in AWAY[gate.name].items():
        if how == "gone":
            continue
        broken = {"silent": None, "closes": b"", "no HTTP": b"SSH-2.0-x\r\n"}
        if how in broken:
            stub.reply = broken[how]
        else:
            stub.answers(how)
        start = time.monotonic()
        answers = gate.ask("GET", "/open/1", at.reader, port=gate.spare)
        took = time.monotonic() - start
        gate.check(answers.statuses == [status] and not at.service.take(), f"{how}: {status}", answers)
        gate.check(took < 5, f"{how}: within 5 s", took)
    stub.answers(200, told)
    gate.check(gate.ask("GET", "/open/1", port=gate.spare).statuses == [200], "it recovers")
    at.service.take()
    at.stop(child)


GROUPS = (callers, forged_identity, forged_gateway, hosts, paths, methods, smuggling, connections,
          multiplexed, oversized, guard, certificates, question)


def away(gates):
    """Countersign stopped, killed, and back"""
    at = gates[0].at

    def all_get(how):
        def one(gate):
            found[gate] = gate.ask("GET", "/any/1", at.reader)

        found = {}
        threads = [threading.Thread(target=one, args=(gate,)) for gate in gates]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for gate in gates:
            gate.group = away.__doc__
            status = AWAY[gate.name][how]
            answers = found.get(gate)
            gate.check(answers and answers.statuses == [status], f"{how}: {status}", answers)
        gates[0].check(not gates[0].arrived(), f"{how}: nothing arrives")

    def all_recover():
        for gate in gates:
            for _ in range(50):
                answers = gate.ask("GET", "/any/1", at.reader)
                seen = gate.arrived()
                if answers.statuses == [200]:
                    break
                time.sleep(0.1)
            gate.check(len(seen) == 1, "it recovers by itself, within seconds", answers)
            gate.refused(403, "GET", "/admin/1", at.reader)

    at.server.send_signal(signal.SIGSTOP)
    all_get("silent")
    at.server.send_signal(signal.SIGCONT)
    all_recover()
    at.stop(at.server, signal.SIGKILL)
    all_get("gone")
    at.start()
    all_recover()
    # What was served before the kill is in the record, too; what was not answered may be.
    gates[0].pending = [one for gate in gates for one in gate.pending]
    gates[0].broken = True
    gates[0].settle()
