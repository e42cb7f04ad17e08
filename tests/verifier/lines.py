"""Ways to tamper with an exported file, in groups: one row of the table each."""

import hashlib
import json

import seals as common


def groups(text: bytes):
    """Name, what must be found in every one (`refused`: that it is no export; `any`: one or the other), texts."""
    lines = text.splitlines(keepends=True)
    seals = [i for i, line in enumerate(lines) if b'"seal":{' in line]
    holding = [i for i in seals if b'"indexes"' in lines[i]]
    events = [i for i, line in enumerate(lines) if line.startswith(b'{"action":')]
    yield "as it was", "", [text]
    yield "a byte of an event", "changed", [put(lines, i, failing(lines[i], b"x")) for i in events]
    yield "a member of a seal", "seal", [put(lines, i, line) for i in seals for line in sealed(lines[i])]
    yield "a line removed", "any", [b"".join(lines[:i] + lines[i + 1 :]) for i in range(len(lines))]
    yield "a line twice", "any", [b"".join(lines[: i + 1] + lines[i:]) for i in range(len(lines))]
    yield "two lines swapped", "any", [b"".join(swapped(lines, i, i + 1)) for i in range(len(lines) - 1)]
    yield "an event moved far", "any", [b"".join(swapped(lines, events[0], i)) for i in events[1:]]
    yield "two seals' events changed", "changed", [doubly(lines, events, i) for i in range(len(events) - 1)]
    yield "an event inserted", "inserted", [put(lines, i, lines[i] + new(lines[i])) for i in events]
    yield "cut after a line", "truncated", [b"".join(lines[:i]) for i in range(1, len(lines))]
    yield "cut within a line", "any", [text[:-2], text[: len(text) // 2], text[: len(text) // 3], text[:20]]
    yield "an empty file", "truncated", [b""]
    yield "lines end with CRLF", "changed", [text.replace(b"\n", b"\r\n")]
    yield "a removal hidden in indexes", "changed", [hidden(lines, i) for i in holding]
    yield "a removal hidden in leaves", "changed", [hidden(lines, i, True) for i in holding]
    yield "the end", "any", [put(lines, len(lines) - 1, line) for line in ends(lines)]
    yield "the head", "any", [put(lines, 0, lines[0].replace(b'"tenant":"', b'"tenant":"x'))]
    yield "something after the end", "refused", [text + b"\n", text + lines[events[0]], text + lines[-1]]
    yield "no UTF-8", "refused", [put(lines, events[0], failing(lines[events[0]], b"\xff"))]
    yield "no export", "refused", [b"\n", b"{}\n", b"hello\n", b"\0" * 64, lines[-1], b"[]\n", b"[" * 100000]


def failing(line: bytes, text: bytes) -> bytes:
    return line.replace(b'"outcome":"', b'"outcome":"' + text, 1)


def put(lines, at, line: bytes) -> bytes:
    return b"".join([*lines[:at], line, *lines[at + 1 :]])


def swapped(lines, one, two):
    lines = list(lines)
    lines[one], lines[two] = lines[two], lines[one]
    return lines


def doubly(lines, events, i):
    """Two that follow one another in the file, so that it must be said which is which."""
    for at in events[i : i + 2]:
        lines = [*lines[:at], new(lines[at]), *lines[at + 1 :]]
    return b"".join(lines)


def new(event: bytes) -> bytes:
    return event.replace(b'"eventId":"0', b'"eventId":"1')


def written(value) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def sealed(line: bytes):
    value = json.loads(line)
    for member, content in value["seal"].items():
        other = content + 1 if isinstance(content, int) else ("0" if content[0] != "0" else "1") + content[1:]
        other = content.replace("T", "T0", 1)[:10] + content[10:-2] + "9Z" if member == "time" else other
        if other != content:
            yield written({**value, "seal": {**value["seal"], member: other}})


def hidden(lines, at, in_leaves=False):
    """Without the first event of a seal, and as if it had never been asked for, or sealed."""
    value = json.loads(lines[at])
    first, last = value["indexes"][0].split("-")
    rest = value["indexes"][1:]
    if in_leaves:
        value["leaves"].pop(int(first))
        pairs = [tuple(map(int, pair.split("-"))) for pair in value["indexes"]]
        value["indexes"] = [f"{max(0, a - 1)}-{b - 1}" for a, b in pairs if b]
    else:
        value["indexes"] = ([f"{int(first) + 1}-{last}"] if first != last else []) + rest
    return b"".join([*lines[:at], written(value), *lines[at + 2 :]])


def ends(lines):
    end = json.loads(lines[-1])["end"]
    more = {"events": end["events"] + 1}
    for change in (more, {"seals": 0}, {"digest": "0" * 64}, {"kid": "none"}, {"signature": ""}):
        yield written({"end": {**end, **change}})
    yield written({"end": {**end, "digest": hashlib.sha256(common.canonical(end)).hexdigest()}})
