"""The section `An exported file` of docs/record.md."""

import hashlib
import json

import seals as common
from seals import Report, Unreadable

EVENT = b'{"action":'
LINES = ({"export"}, {"keys"}, {"seal"}, {"seal", "leaves", "indexes"}, {"end"})


class Exported:
    def __init__(self, keys, elsewhere):
        self.report = Report()
        self.trusted, self.keys = keys is not None, dict(keys or {})
        self.elsewhere = elsewhere
        self.before = self.leaves = self.indexes = None
        self.lines, self.written, self.events, self.end = 0, hashlib.sha256(), [], None

    def verify(self, lines) -> Report:
        for line in lines:
            self.lines += 1
            if self.end:
                raise Unreadable(f"line {self.lines}: after the end")
            self.read(line)
        self.close_seal()
        self.check_end()
        common.check_newest(self.report, self.before["seal"] if self.before else 0, self.elsewhere)
        return self.report

    def read(self, line: bytes):
        text = line.removesuffix(b"\n")
        if text.startswith(EVENT) and self.lines > 1:
            if not self.before:
                raise Unreadable(f"line {self.lines}: an event before its seal")
            utf8(text, self.lines)
            self.events.append(text)
        else:
            self.read_object(parsed(text, self.lines))
        if not self.end:
            self.written.update(line)

    def read_object(self, value):
        if ("export" in value) != (self.lines == 1):
            raise Unreadable(f"line {self.lines}: an export begins with its head, and only once")
        if "export" in value:
            if value["export"]["format"] != 1:
                raise Unreadable("another format")
        elif "keys" in value:
            if not self.trusted:
                self.keys.update(common.known(value["keys"]))
        elif "end" in value:
            self.end = value["end"]
        else:
            self.close_seal()
            self.open_seal(value)

    def open_seal(self, value):
        seal = value["seal"]
        self.report.seals += 1
        common.check_seal(self.report, seal, self.before, self.keys, self.elsewhere, first_may_be_any=True)
        self.leaves = [bytes.fromhex(leaf) for leaf in value.get("leaves", [])]
        self.indexes = [pair(text) for text in value.get("indexes", [])]
        if self.leaves:
            common.check_leaves(self.report, seal, self.leaves)
        self.before = seal

    def close_seal(self):
        """Step 2, for the seal whose events have all come."""
        if not self.before:
            return
        number, events, self.events = self.before["seal"], self.events, []
        at = {leaf: index for index, leaf in enumerate(self.leaves)}
        found = [at.get(common.leaf_hash(event)) for event in events]
        wanted = [index for first, last in self.indexes for index in range(first, min(last, len(self.leaves)) + 1)]
        came, before = set(), -1
        for i, (event, index) in enumerate(zip(events, found)):
            if index is None:
                self.unknown(number, event, wanted, came, before, found[i + 1 :])
            elif index <= before:
                self.report.fault("reordered", number, index, common.event_id(event))
                came.add(index)
            elif index not in wanted:
                self.report.fault("inserted", number, None, common.event_id(event))
            else:
                self.report.events += 1
                came.add(index)
                before = index
        for index in wanted:
            if index not in came:
                self.report.fault("removed", number, index)

    def unknown(self, number, event, wanted, came, before, later):
        following = min((index for index in later if index is not None and index > before), default=len(self.leaves))
        missing = [i for i in wanted if before < i < following and i not in came and i not in later]
        if missing:
            came.add(missing[0])
            self.report.fault("changed", number, missing[0], common.event_id(event))
        else:
            self.report.fault("inserted", number, None, common.event_id(event))

    def check_end(self):
        end = self.end
        if not end:
            self.report.fault("truncated", detail="no end")
            return
        text = common.canonical({name: end[name] for name in ("digest", "events", "kid", "seals")})
        if not common.signed(self.keys, end["kid"], end["signature"], text):
            self.report.fault("truncated", detail="the end is not signed")
        elif end["digest"] != self.written.hexdigest():
            self.report.fault("changed", detail="the file is not as it was written")


def parsed(text: bytes, line: int):
    try:
        value = json.loads(utf8(text, line))
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"line {line}: {error}") from None
    if not isinstance(value, dict) or set(value) not in LINES:
        raise Unreadable(f"line {line}: no line of an export")
    return value


def utf8(text: bytes, line: int) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise Unreadable(f"line {line}: not UTF-8") from None


def pair(text: str):
    first, last = text.split("-")
    return int(first), int(last)


def verify(lines, keys, elsewhere) -> Report:
    try:
        return Exported(keys, elsewhere).verify(lines)
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise Unreadable(f"a member is missing or of the wrong type: {error!r}") from None
