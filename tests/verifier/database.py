"""The section `A database` of docs/record.md."""

import json

import seals as common
from seals import Report, Unreadable

STREAM = 2**40


class Database:
    def __init__(self, tables, keys, elsewhere):
        self.report = Report()
        self.tables, self.elsewhere = tables, elsewhere
        self.keys = known(tables) if keys is None else keys
        self.rows = {row["position"]: row for row in tables["audit_events"]}
        self.hashes = {position: common.leaf_hash(bytes_of(row["body"])) for position, row in self.rows.items()}
        self.counted = {row["stream"]: row["n"] for row in tables["event_streams"]}
        self.sealed = {row["stream"]: row["n"] for row in tables["sealed_streams"]}
        # Position of a place (seal, index), and the leaf hash that was sealed there; and the other way about.
        self.places, self.leaves, self.covered, self.place_of = {}, {}, {}, {}
        self.next = {}

    def verify(self) -> Report:
        self.check_seals()
        expired = self.expired_places()
        for place, position in self.places.items():
            self.check_place(place, position, expired)
        self.check_gaps()
        for position in self.rows:
            if position not in self.covered:
                self.check_stray(position)
            elif not self.counts(position):
                self.stray(position)
        return self.report

    def check_seals(self):
        spans = {}
        for span in self.tables["seal_spans"]:
            spans.setdefault(span["seal"], []).append(span)
        before = None
        for row in self.tables["seals"]:
            seal, leaves = as_seal(row), split(bytes_of(row["leaves"]))
            self.report.seals += 1
            common.check_seal(self.report, seal, before, self.keys, self.elsewhere)
            if len(bytes_of(row["leaves"])) % 32:
                self.report.fault("seal", seal["seal"], detail="length of leaves")
            common.check_leaves(self.report, seal, leaves)
            self.follow(seal, leaves, spans.get(seal["seal"], []))
            before = seal
        self.check_head(before)

    def follow(self, seal, leaves, spans):
        """Where the leaves of a seal come from. A span that does not fit covers nothing."""
        number, at, fit = seal["seal"], 0, True
        for span in spans:
            stream, first, last = span["stream"], span["first"], span["last"]
            expected = self.next.get(stream, 1)
            if span["at"] != at or not expected <= first <= last:
                fit = False
                continue
            if first > expected:
                self.report.fault("removed", number, detail=f"no span covers {expected} to {first - 1} of {stream}")
            for n in range(first, min(last, first + len(leaves) - 1 - at) + 1):
                self.place(number, at + n - first, stream * STREAM + n, leaves)
            at += last - first + 1
            self.next[stream] = last + 1
        if not fit or at != seal["count"]:
            self.report.fault("seal", number, detail="spans")

    def place(self, number, index, position, leaves):
        self.places[number, index], self.covered[position] = position, (number, index)
        self.leaves[number, index] = leaves[index]
        self.place_of[leaves[index]] = (number, index)

    def check_head(self, newest):
        last = newest["seal"] if newest else 0
        said = common.digest(newest) if newest else "0" * 64
        heads = [(head["seal"], text(head["digest"])) for head in self.tables["seal_head"]]
        if heads != [(last, said)] and (newest or any(seal for seal, _ in heads)):
            self.report.fault("truncated", last + 1, detail="seal_head names another seal")
        common.check_newest(self.report, last, self.elsewhere)

    def is_there(self, place) -> bool:
        return self.hashes.get(self.places[place]) == self.leaves[place]

    def expired_places(self):
        """What the events `audit.expired` name that a key vouches for, sealed or waiting for their seal."""
        sealed = (position for place, position in self.places.items() if self.is_there(place))
        waiting = (position for position in self.rows if position not in self.covered and self.waits(position))
        found = set()
        for position in (*sealed, *waiting):
            found.update(expired_by(bytes_of(self.rows[position]["body"]), self.keys))
        return found

    def check_place(self, place, position, expired):
        number, index = place
        if position not in self.rows:
            if place in expired:
                self.report.expired += 1
            else:
                self.report.fault("removed", number, index)
        elif self.is_there(place):
            self.report.events += 1
            self.check_copies(position, number, index)
        else:
            kind = "reordered" if self.belongs_elsewhere(position) else "changed"
            self.report.fault(kind, number, index, self.event(position))

    def belongs_elsewhere(self, position) -> bool:
        place = self.place_of.get(self.hashes[position])
        return place is not None and not self.is_there(place)

    def check_gaps(self):
        """Numbers for which there is no span, and of which no row waits for its seal."""
        for stream in {*self.counted, *self.sealed}:
            first, sealed = self.next.get(stream, 1), self.sealed.get(stream, 0)
            last = max(sealed, self.counted.get(stream, 0))
            waiting = sum(1 for p in self.rows if p // STREAM == stream and first <= p % STREAM <= last)
            if first <= sealed or waiting < last - first + 1:
                self.report.fault("removed", detail=f"from {first} of {stream} on, before a seal could hold it")

    def waits(self, position) -> bool:
        stream, n = divmod(position, STREAM)
        sealed = max(self.sealed.get(stream, 0), self.next.get(stream, 1) - 1)
        return n > sealed and self.counts(position)

    def check_stray(self, position):
        if self.waits(position):
            self.report.unsealed += 1
            self.check_copies(position, None, None)
        else:
            self.stray(position)

    def counts(self, position) -> bool:
        stream, n = divmod(position, STREAM)
        return n <= self.counted.get(stream, -1)

    def stray(self, position):
        kind = "reordered" if self.belongs_elsewhere(position) else "inserted"
        self.report.fault(kind, event=self.event(position))

    def check_copies(self, position, number, index):
        row = self.rows[position]
        for column, said in copies(bytes_of(row["body"])).items():
            held = row[column]
            if (text(held) if isinstance(held, bytes) else held) != said:
                self.report.fault("copies", number, index, self.event(position), column)

    def event(self, position):
        return common.event_id(bytes_of(self.rows[position]["body"]))


def known(tables):
    return common.known([json.loads(text(row["public"])) for row in tables["signing_keys"]])


def split(leaves: bytes):
    return [leaves[i : i + 32] for i in range(0, len(leaves) - 31, 32)]


def as_seal(row):
    values = ((name, row[name]) for name in (*common.MEMBERS, "signature"))
    seal = {name: text(value) if isinstance(value, bytes) else value for name, value in values}
    try:
        # What the text of a time does not show must not be there either.
        shown = common.milliseconds(seal["time"]) if seal["time"] % 1000 == 0 else None
    except (TypeError, OverflowError):
        shown = None
    if not isinstance(seal["count"], int):
        seal["count"] = 0
    return {**seal, "time": shown}


def expired_by(body: bytes, keys):
    event = parsed(body)
    if event.get("action") != "audit.expired":
        return
    said = event.get("metadata", {})
    vouched = {name: said.get(name) for name in ("before", "count", "kid", "leaves")}
    vouched["tenant"] = event.get("tenant")
    if not common.signed(keys, said.get("kid"), said.get("signature"), common.canonical(vouched)):
        return
    for place in said["leaves"]:
        number, _, indexes = place.partition(":")
        first, _, last = indexes.partition("-")
        for index in range(int(first), int(last or first) + 1):
            yield int(number), index


def copies(body: bytes):
    event = parsed(body)
    said = {"tenant": event.get("tenant"), "agent_id": event.get("agentId")}
    said.update(action=event.get("action"), outcome=event.get("outcome"))
    try:
        said["time"] = common.microseconds(event.get("timestamp"))
    except (TypeError, ValueError):
        said["time"] = None
    return said


def parsed(body: bytes):
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return event if isinstance(event, dict) else {}


def bytes_of(value) -> bytes:
    """SQLite keeps any type in any column."""
    return value if isinstance(value, bytes) else b"" if value is None else str(value).encode()


def text(value) -> str:
    return bytes_of(value).decode("utf-8", "surrogateescape")


def verify(tables, keys, elsewhere) -> Report:
    try:
        return Database(tables, keys, elsewhere).verify()
    except (TypeError, KeyError) as error:
        raise Unreadable(f"a value of the wrong type: {error}") from None
