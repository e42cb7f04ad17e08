"""Targets that two servers may read in two ways."""

import re
import urllib.parse

# Set it once `%3b` is as ambiguous as `;`.
REFUSES_ESCAPED_SEMICOLON = True


def readings(path):
    """All that a service could take a path for."""
    known, fresh = set(), {path}
    while fresh:
        known |= fresh
        found = set()
        for one in fresh:
            found.add(urllib.parse.unquote(one, "latin-1"))
            found.add(one.replace("\\", "/"))
            found.add(re.sub(r";[^/]*", "", one))
            found.add(re.sub(r"/+", "/", one))
            found.add(one.lower())
            found.add(one.split("\0")[0].split("#")[0])
            found.add(one.replace("\xc0\xaf", "/").replace("\xc0\xae", "."))
            segments = []
            for segment in one.split("/"):
                if segment == "..":
                    segments = segments[:-1] or [""]
                elif segment != ".":
                    segments.append(segment)
            found.add("/".join(segments))
        fresh = found - known
    return known


def leads_elsewhere(request):
    """Whether a service could take what arrived for what nobody here may reach."""
    path = request.target.decode("latin-1").partition("?")[0]
    return any(one.lower().strip().startswith("/admin") for one in readings(path))


CONFUSING = [
    "/any/../admin/x", "/any/%2e%2e/admin/x", "/any/%2E%2e/admin/x", "/any/.%2e/admin/x", "/any/..%2fadmin/x",
    "/any%2f..%2fadmin%2fx", "/any/%252e%252e/admin/x", "/any/..%252fadmin/x", "/any/./../admin/x", "/./admin/x",
    "//admin/x", "///admin/x", "/any//../admin/x", "/any//1", "/admin", "/admin/", "/admin//x", "/Admin/x",
    "/ADMIN/x", "/%61dmin/x", "/admin%2fx", "/admin%20/x", "/admin;a/x", "/;/admin/x", "/any/..;/admin/x",
    "/any/;a/../admin/x", "/any;/../admin/x", "/any\\..\\admin\\x", "/any/..\\admin/x", "/any/%5c..%5cadmin/x",
    "/\\admin/x", "/any/%00/../admin/x", "/admin/x%00", "/any/x%00.html", "/any/%c0%af..%c0%afadmin/x",
    "/any/%c0%ae%c0%ae/admin/x", "/any/%e0%80%af../admin/x", "/any/\xff", "/any/\xc0\xaf../admin/x",
    "/any/\xc3\xa9/../admin/x", "/any/%u002e%u002e/admin/x", "/any/%", "/any/%2", "/any/%zz/../admin/x",
    "/any/x#/../../admin/x", "/admin/x#/any", "/any/%23/../admin/x", "/any/x\t/../admin/x", "/any/x\x01/../admin/x",
    "/any/x\x7f", "/any/x y", "/any/%0d%0aX-Caller-Id:%20forged", "admin/x", "?/any/x", "*", "",
    "http://npu.example/admin/x", "http://npu.example/any/../admin/x", "http://npu.example//admin/x",
    "HTTP://npu.example/admin/x", "http://npu.example", "http://npu.example?/any/1",
    "http://any@npu.example/admin/x", "http:/admin/x", "http:admin/x", "//npu.example/admin/x",
    "/any/http://npu.example/../../../admin/x", "/open/../admin/x", "/open/%2e%2e/admin/x", "/open/..%5cadmin/x",
    "/open%2f..%2fadmin/x", "/OPEN/1", "/open/..;/admin/x", "/open//../admin/x", "/npu/1/../../admin/x",
    "/_countersign", "/_countersign/", "/%5fcountersign", "/v1/forward-auth", "/any/../../../../../../../../admin/x",
]


if REFUSES_ESCAPED_SEMICOLON:
    CONFUSING += ["/any/..%3b/admin/x", "/any/..%3B/admin/x", "/open/..%3b/admin/x", "/any/%3b/../admin/x"]


def paths(gate):
    """path confusion"""
    at = gate.at
    for target in CONFUSING:
        for token in (None, at.reader):
            answers = gate.ask("GET", target, token, patience=5)
            for one in gate.arrived():
                public = one.target.startswith(b"/open/") and not one.one("x-caller-id")
                gate.check(not leads_elsewhere(one) and (token or public), "it leads nowhere else", (answers, one))
            gate.check(len(answers.statuses) <= 1, "one request has one answer", answers)
            gate.check(all(status < 500 for status in answers.statuses), "and nothing fails", answers)
    for token in (None, at.reader):
        gate.refused((200, *gate.not_http, 403), "OPTIONS", "*", token)
        gate.refused((*gate.not_http, 403), "CONNECT", "npu.example:80", token)
        gate.refused((*gate.not_http, 403), "CONNECT", "/any/1", token)
        gate.refused((401, 403, 414), "GET", "/admin/" + "a" * 10240, token)
    answers = gate.ask("GET", "/any/" + "a" * 10240, at.reader)
    for one in gate.arrived():
        gate.check(one.target == b"/any/" + b"a" * 10240, "a long path arrives whole", (answers, one))
    # What a route takes as it is arrives as it was decided about: `settle` compares.
    for target in ("/raw/a%2fb", "/raw//x", "/raw/../admin/x", "/raw/%2e%2e/x", "/raw/a;b", "/raw/\\x", "/raw/%5cx"):
        answers = gate.ask("GET", target, at.reader)
        seen = gate.arrived()
        # Caddy escapes a backslash.
        same = [one.target for one in seen] == [target.encode()] or "\\" in target
        gate.check(len(seen) == 1 and same, "`raw` lets it pass as it is", (answers, *seen))
        gate.refused(401, "GET", target)
