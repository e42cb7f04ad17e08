"""Requests that one server may take for two."""

import concurrent.futures
import time

from installation import HOST, who


def smuggling(gate):
    """request smuggling"""
    at = gate.at
    first = f"POST /any/1 HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {at.reader}\r\n"
    open_ = f"POST /open/1 HTTP/1.1\r\nHost: {HOST}\r\n"
    hidden = f"GET /admin/smuggled HTTP/1.1\r\nHost: {HOST}\r\nX-Caller-Type: operator\r\n\r\n"
    size = len(hidden)
    tail = "0\r\n\r\n" + hidden
    chunked = f"{size:x}\r\n{hidden}\r\n0\r\n\r\n"
    tries = {
        "CL.TE": f"Content-Length: {len(tail)}\r\nTransfer-Encoding: chunked\r\n\r\n{tail}",
        "TE.CL": f"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n{chunked}",
        "two lengths": f"Content-Length: 0\r\nContent-Length: {size}\r\n\r\n{hidden}",
        "two lengths, other order": f"Content-Length: {size}\r\nContent-Length: 0\r\n\r\n{hidden}",
        "a list of lengths": f"Content-Length: 0, {size}\r\n\r\n{hidden}",
        "same lengths": f"Content-Length: {size}\r\nContent-Length: {size}\r\n\r\n{hidden}",
        "no chunk's end": f"Transfer-Encoding: chunked\r\n\r\n0\r\n{hidden}",
        "chunk's extension": f"Transfer-Encoding: chunked\r\n\r\n{size:x};a\nb\r\n{hidden}\r\n0\r\n\r\n",
        "chunk ends in LF": f"Transfer-Encoding: chunked\r\n\r\n{size:x}\n{hidden}\n0\n\n",
        "chunk beyond 64 bits": f"Transfer-Encoding: chunked\r\n\r\n1{'0' * 15}{size:x}\r\n{hidden}",
        "negative chunk": f"Transfer-Encoding: chunked\r\n\r\n-{size:x}\r\n{hidden}",
        "0x chunk": f"Transfer-Encoding: chunked\r\n\r\n0x{size:x}\r\n{hidden}\r\n0\r\n\r\n",
        "coding in HTTP/1.0": None,
        "Upgrade: h2c":
            f"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n{hidden}",
    }
    for value in (f"+{size}", f"-{size}", f"0x{size:x}", f" {size}", f"{size} ", f"{size}a", "", f"\v{size}",
                  f"{size},"):
        tries[f"Content-Length:{value!r}"] = f"Content-Length:{value}\r\n\r\n{hidden}"
    for coding in ("Transfer-Encoding: xchunked", "Transfer-Encoding : chunked",
                   "Transfer-Encoding: chunked, identity", "Transfer-Encoding: identity, chunked",
                   "Transfer-Encoding:\tchunked", "Transfer-Encoding: \x0bchunked", " Transfer-Encoding: chunked",
                   "X: y\r\n Transfer-Encoding: chunked", "X: y\nTransfer-Encoding: chunked",
                   "X: y\rTransfer-Encoding: chunked", "Transfer-Encoding\n : chunked",
                   "Transfer-Encoding: \"chunked\"", "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
                   "Transfer_Encoding: chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
                   "Transfer-Encoding: CHUNKED", "Transfer-Encoding: chunked\0", "Transfer-Encoding: gzip, chunked",
                   "TransferEncoding: chunked"):
        tries[repr(coding)] = f"Content-Length: {len(tail)}\r\n{coding}\r\n\r\n{tail}"
        tries["TE.CL " + repr(coding)] = f"{coding}\r\nContent-Length: 4\r\n\r\n{chunked}"
    for bad in ("X: a\nX-Caller-Type: operator", "X: a\rX-Caller-Type: operator", "X: a\r\n\tX-Caller-Type: operator",
                "X: a\0b", "X-Caller-Type\0: operator", "X-Caller-Type : operator", ": operator", "X-Caller-Type",
                "X-Caller-Type\t: operator", "(X-Caller-Type): operator", "X: a\x0b\r\nX-Caller-Type: operator"):
        tries["header " + repr(bad)] = f"{bad}\r\nContent-Length: 0\r\n\r\n"
    # All at once, each with a number in its query: most are about waiting for an answer that does not come.
    sent = []
    for name, rest in tries.items():
        for head in (first, open_):
            data = head.replace("/1 ", f"/1?{len(sent)} ", 1) + (rest or f"Transfer-Encoding: chunked\r\n\r\n{tail}")
            sent.append((name, data if rest else data.replace("HTTP/1.1", "HTTP/1.0", 1)))
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda one: gate.send(one[1].encode("latin-1"), patience=0.7), sent))
    time.sleep(0.2)
    for one in gate.arrived():
        path, _, number = one.target.decode("latin-1").partition("?")
        name, gate.last = sent[int(number)] if number.isdigit() else ("one of them", "")
        good = path in ("/any/1", "/open/1") and one.method == b"POST" and not one.tunnel
        gate.check(good, f"{name}: no hidden request arrives", one)
        told = [at.reader_id, "agent", ""] if path == "/any/1" else ["", "", ""]
        gate.check(who(one) == told, f"{name}: nor anything of what it claims", one)
    for (name, gate.last), answers in zip(sent, found):
        gate.check(len([s for s in answers.statuses if s < 400]) <= 1, f"{name}: only one is served", answers)
