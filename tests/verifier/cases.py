"""Ways to tamper with a database, as SQL. Each names what at least must be found; nothing, where it need not show."""

import json
from dataclasses import dataclass, field

import seals as common
from database import STREAM, Database


@dataclass
class Case:
    name: str
    sql: list = field(default_factory=list)
    expected: str = ""
    options: list = field(default_factory=list)
    # Of the record: `now`, or `before` the last events.
    state: str = "now"


class Base:
    """The record that is tampered with: where things are in it."""

    def __init__(self, tables, engine):
        self.tables, self.engine = tables, engine
        record = Database(tables, None, {})
        record.verify()
        self.rows, self.places = record.rows, record.places
        self.seals = tables["seals"]
        self.first, self.newest = self.seals[0]["seal"], self.seals[-1]["seal"]
        # One with several events, that is neither the first nor the newest.
        inner = [seal for seal in self.seals[1:-1] if seal["count"] >= 4]
        assert inner and len(self.seals) >= 4, "the record is too small to tamper with"
        self.middle = inner[0]["seal"]
        self.row = {seal["seal"]: seal for seal in self.seals}
        self.spans = [span for span in tables["seal_spans"] if span["seal"] == self.middle]
        self.waiting = sorted(position for position in self.rows if position not in record.covered)
        self.stream = self.spans[0]["stream"]
        self.count = {row["stream"]: row["n"] for row in tables["event_streams"]}[self.stream]

    def at(self, index, seal=None):
        return self.places[seal or self.middle, index]

    def body(self, position) -> str:
        return self.rows[position]["body"].decode()

    def blob(self, value: bytes) -> str:
        return f"X'{value.hex()}'" if self.engine == "sqlite" else f"'\\x{value.hex()}'"


def quoted(text) -> str:
    return "NULL" if text is None else "'" + text.replace("'", "''") + "'"


def events(base):
    position = base.at(1)
    body = base.body(position)
    whole = ", ".join(str(place) for (seal, _), place in base.places.items() if seal == base.middle)
    renamed = {**json.loads(body), "eventId": "01985b5e-3c1a-7000-8000-0000000000e1"}
    yield Case("as it was")
    for name, text in {
        "a byte of a body": body.replace('"outcome":"', '"outcome":"x'),
        "the eventId in a body": common.canonical(renamed).decode(),
        "a space in a body": body.replace('":"', '": "', 1),
        "a body emptied": "",
        "a body without its end": body[:-1],
        "a body that is another's": base.body(base.at(2)),
    }.items():
        yield Case(name, [f"UPDATE audit_events SET body = {quoted(text)} WHERE position = {position}"], "changed")
    for name, where in {
        "a row deleted": f"= {position}",
        "the first row deleted": f"= {base.at(0, base.first)}",
        "a seal's rows deleted": f"IN ({whole})",
        "the last sealed rows cut off": f">= {min(p for (seal, _), p in base.places.items() if seal == base.newest)}",
        "every row deleted": ">= 0",
    }.items():
        yield Case(name, [f"DELETE FROM audit_events WHERE position {where}"], "removed")


def places(base):
    one, two = base.at(1), base.at(2)
    far = base.at(0, base.newest)
    for name, place in {
        "before the first": base.stream * STREAM,
        "beyond the counter": base.stream * STREAM + base.count + 3,
        "in an unknown stream": 77 * STREAM + 1,
        "below all streams": -5,
    }.items():
        new = base.body(one).replace('"eventId":"0', '"eventId":"1')
        yield Case(f"a new row {name}", [insert(base, one, place, new)], "inserted")
        yield Case(f"a row again {name}", [insert(base, one, place, base.body(one))], "inserted")
        yield Case(f"a row moved {name}", [move(place, one)], "reordered")
    yield Case("two rows of a seal swapped", swapped(one, two), "reordered")
    yield Case("two rows of two seals swapped", swapped(one, far), "reordered")
    yield Case("three rows in a ring", swapped(one, two) + swapped(two, far), "reordered")
    gone = f"DELETE FROM audit_events WHERE position = {base.at(0)}"
    yield Case("a row moved over a deleted one", [gone, move(base.at(0), one)], "reordered")


def swapped(one, two):
    return [move(-9, one), move(one, two), move(two, -9)]


def move(to, position):
    return f"UPDATE audit_events SET position = {to} WHERE position = {position}"


def insert(base, like, position, body):
    row = base.rows[like]
    texts = [quoted(row[name].decode() if row[name] else None) for name in ("tenant", "agent_id", "action", "outcome")]
    values = ", ".join([str(position), str(row["time"]), *texts, quoted(body)])
    return f"INSERT INTO audit_events (position, time, tenant, agent_id, action, outcome, body) VALUES ({values})"


def columns(base):
    waits = base.waiting[0]
    for where, position in {"": base.at(1), ", unsealed": waits}.items():
        for column, value in {
            "time": "time + 1",
            "tenant": "'other'",
            "agent_id": "'other'",
            "action": "'other'",
            "outcome": "'other'",
        }.items():
            sql = f"UPDATE audit_events SET {column} = {value} WHERE position = {position}"
            yield Case(f"column {column}{where}", [sql], "copies")
    with_agent = next(p for p in base.places.values() if base.rows[p]["agent_id"])
    sql = f"UPDATE audit_events SET agent_id = NULL WHERE position = {with_agent}"
    yield Case("column agent_id to NULL", [sql], "copies")


def tail(base):
    first, last = base.waiting[0], base.waiting[-1]
    yield Case("an unsealed row deleted", [f"DELETE FROM audit_events WHERE position = {first}"], "removed")
    yield Case("the last unsealed row deleted", [f"DELETE FROM audit_events WHERE position = {last}"], "removed")
    other = base.body(first).replace('"actorId":"', '"actorId":"x')
    # Nothing holds what is not sealed yet.
    yield Case("an unsealed body", [f"UPDATE audit_events SET body = {quoted(other)} WHERE position = {first}"])


def sealed(base):
    middle, root = base.middle, base.row[base.middle]["root"].decode()
    for name, where in {"first": f"= {base.first}", "middle": f"= {middle}"}.items():
        yield Case(f"the {name} seal deleted", [f"DELETE FROM seals WHERE seal {where}"], "seal")
    yield Case("the newest seal deleted", [f"DELETE FROM seals WHERE seal = {base.newest}"], "truncated")
    yield Case("every seal deleted", ["DELETE FROM seals"], "truncated")
    kid = next(seal["kid"] for seal in base.seals if seal["kid"] != base.row[middle]["kid"]).decode()
    signature = base.row[middle]["signature"].decode()
    for member, value in {
        "count": "count + 1",
        "root": quoted(turned(root)),
        "previous": quoted(turned(base.row[middle]["previous"].decode())),
        "time": "time + 1000",
        "kid": quoted(kid),
        "signature": quoted(turned(signature)),
    }.items():
        yield Case(f"a seal's {member}", [f"UPDATE seals SET {member} = {value} WHERE seal = {middle}"], "seal")
    yield Case("a seal's kid, to an unknown one", [f"UPDATE seals SET kid = 'none' WHERE seal = {middle}"], "seal")
    yield Case("a seal's count, to 0", [f"UPDATE seals SET count = 0 WHERE seal = {middle}"], "seal")
    number = "UPDATE seals SET seal = {} WHERE seal = {}".format
    swap = [number(999, middle), number(middle, middle + 1), number(middle + 1, 999)]
    yield Case("two seals swapped", swap, "seal")
    yield Case("seal_head ahead", ["UPDATE seal_head SET seal = seal + 1"], "truncated")


def turned(text: str) -> str:
    """With another first character of the same alphabet."""
    return ("0" if text[0] != "0" else "1") + text[1:]


def leaves(base):
    held = base.row[base.middle]["leaves"]
    for name, value in {
        "a bit of a leaf": bytes([held[0] ^ 1]) + held[1:],
        "two leaves swapped": held[32:64] + held[:32] + held[64:],
        "a leaf cut off": held[:-32],
        "half a leaf cut off": held[:-16],
        "a leaf more": held + held[:32],
        "no leaves": b"",
    }.items():
        yield Case(name, [f"UPDATE seals SET leaves = {base.blob(value)} WHERE seal = {base.middle}"], "seal")


def spans(base):
    span = base.spans[0]
    where = f"WHERE seal = {base.middle} AND at = {span['at']}"
    yield Case("a span deleted", [f"DELETE FROM seal_spans {where}"], "seal")
    for name, change in {
        "a span's place": "at = at + 1",
        "a span's first": "first = first + 1",
        "a span's last": "last = last - 1",
    }.items():
        yield Case(name, [f"UPDATE seal_spans SET {change} {where}"], "seal")
    yield Case("a span's stream", [f"UPDATE seal_spans SET stream = 77 {where}"], "removed")
    where = f"WHERE stream = {base.stream}"
    yield Case("a stream's counter deleted", [f"DELETE FROM event_streams {where}"], "inserted")
    yield Case("a stream's counter raised", [f"UPDATE event_streams SET n = n + 5 {where}"], "removed")
    yield Case("a stream's sealed number raised", [f"UPDATE sealed_streams SET n = n + 1 {where}"], "removed")


def hostile(base):
    """Values that no server writes: none may stop a verifier, or be taken for nothing."""
    middle, stream, most = base.middle, base.stream, 2**63 - 1
    new = insert(base, base.at(1), most, base.body(base.at(1)))
    yield Case("a row at the highest position", [new], "inserted")
    yield Case("seal_head deleted", ["DELETE FROM seal_head"], "truncated")
    yield Case("seal_head's digest", [f"UPDATE seal_head SET digest = {quoted('0' * 64)}"], "truncated")
    yield Case("seal_head behind", ["UPDATE seal_head SET seal = seal - 1"], "truncated")
    for name, table, change, kind in (
        ("a seal's number", "seals", f"seal = {base.newest + 1} WHERE seal = {base.newest}", "truncated"),
        ("a seal's number, below 1", "seals", f"seal = -7 WHERE seal = {base.newest}", "seal"),
        ("a seal's count, the highest", "seals", f"count = {most} WHERE seal = {middle}", "seal"),
        ("a seal's root, no hash", "seals", f"root = 'z' WHERE seal = {middle}", "seal"),
        ("a seal's root in capitals", "seals", f"root = upper(root) WHERE seal = {middle}", "seal"),
        ("a seal's previous, none", "seals", f"previous = '' WHERE seal = {middle}", "seal"),
        ("a seal's time by a microsecond", "seals", f"time = time + 1 WHERE seal = {middle}", "seal"),
        ("a seal's time, the highest", "seals", f"time = {most} WHERE seal = {middle}", "seal"),
        ("a span's seal", "seal_spans", f"seal = {base.newest} WHERE seal = {middle}", "seal"),
        ("a span's first, the lowest", "seal_spans", f"first = {-most} WHERE seal = {middle}", "seal"),
        ("a span's last, the highest", "seal_spans", f"last = {most} WHERE seal = {middle}", "seal"),
        ("a span's last, far up", "seal_spans", f"last = {10**13} WHERE seal = {middle}", "seal"),
        ("a span's stream, the highest", "seal_spans", f"stream = {most} WHERE seal = {middle}", "removed"),
        ("a stream's counter lowered", "event_streams", f"n = 1 WHERE stream = {stream}", "inserted"),
        ("a stream's counter, the highest", "event_streams", f"n = {most} WHERE stream = {stream}", "removed"),
        ("a stream's number, the highest", "event_streams", f"stream = {most} WHERE stream = {stream}", "inserted"),
        ("a sealed number, the highest", "sealed_streams", f"n = {most} WHERE stream = {stream}", "removed"),
        ("public keys NULL", "signing_keys", "public = NULL WHERE purpose = 'seal'", "seal"),
    ):
        yield Case(name, [f"UPDATE {table} SET {change}"], kind)
    below = "INSERT INTO seals SELECT 0, count, root, previous, time, kid, signature, begins, ends, leaves FROM seals"
    yield Case("a seal more, below 1", [f"{below} WHERE seal = {middle}"], "seal")


def elsewhere(base):
    yield Case("with its own keys", options=["keys"])
    yield Case("with its own seals", options=["seals"])
    yield Case("keys of another installation", expected="seal", options=["foreign-keys"])
    yield Case("only the first key", expected="seal", options=["first-key"])
    yield Case("seals of another installation", expected="seal", options=["foreign-seals"])
    yield Case("one seal kept elsewhere differs", expected="seal", options=["edited-seals"])
    yield Case("rolled back, nothing kept", state="before")
    yield Case("rolled back, seals kept elsewhere", expected="truncated", options=["seals"], state="before")
    yield Case("no public key in the database", ["DELETE FROM signing_keys WHERE purpose = 'seal'"], "seal")


def cases(base):
    for group in (events, places, columns, tail, sealed, leaves, spans, hostile, elsewhere):
        yield from group(base)
