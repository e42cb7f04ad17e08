"""How a client asks: what a node refuses or does not answer is tried on another one, or a moment
later, as behind a load balancer."""

import itertools
import json
import random
import time
from dataclasses import dataclass

from notes import REFUSED
from wire import Connection, Unanswered


@dataclass
class Asked:
    """What came of a request: an answer, or none, however often it was tried."""
    answer: object
    # A try that was not answered may still be under way.
    doubtful: bool
    begun: float

    @property
    def succeeded(self):
        return self.answer is not None and 200 <= self.answer.status < 300

    def __getitem__(self, name):
        return self.answer.json()[name]


class Asker:
    def __init__(self, name, ports, operator, notes, patience, pause, stop):
        self.name, self.ports, self.operator, self.notes = name, ports, operator, notes
        self.patience, self.pause, self.stop = patience, pause, stop
        self.connections = {port: Connection(port) for port in ports}
        self.numbers = itertools.count(1)

    def ask(self, method, path, body, headers=None, *, actions, port=None, tries=None,
            settled=False):
        """Asks until it is answered. With `settled`, a refusal that follows a try which nobody has
        answered only says that this one did it."""
        body, headers = self._written(body, headers)
        self.rest()
        self.notes.asked()
        port = port or random.choice(self.ports)
        begun, pause, ids, doubtful = time.monotonic(), 0.05, [], False
        while True:
            ids.append(f"{self.name}-{next(self.numbers)}")
            answer, failure = self._try(port, method, path, body,
                                        {**headers, "X-Request-ID": ids[-1]})
            if failure is None:
                break
            doubtful |= leaves_doubt(answer, failure)
            if len(ids) == 1:
                self.notes.failed_at_first(failure)
            if tries == len(ids):
                return Asked(None, doubtful, begun)
            if time.monotonic() > begun + self.patience:
                self.notes.failed_for_good(failure)
                return Asked(None, doubtful, begun)
            if len(ids) > 1:
                time.sleep(pause)
                pause = min(2 * pause, 0.5)
            port = random.choice([other for other in self.ports if other != port] or self.ports)
        asked = Asked(answer, doubtful, begun)
        if asked.succeeded:
            self.notes.succeeded(begun)
            self.notes.note_done(actions, ids)
        elif answer.status not in (401, 403) and not (settled and len(ids) > 1):
            self.notes.note_wrong(
                REFUSED, f"{method} {generic(path)}: {answer.status} {answer.text[:300]}")
        return asked

    def rest(self):
        if self.pause:
            self.stop.wait(random.uniform(0, 2 * self.pause))

    def close(self):
        for connection in self.connections.values():
            connection.close()

    def _written(self, body, headers):
        kind = "application/x-www-form-urlencoded"
        if body is not None and not isinstance(body, str):
            body, kind = json.dumps(body), "application/json"
        return body, {"Content-Type": kind, "Authorization": f"Bearer {self.operator}",
                      **(headers or {})}

    def _try(self, port, method, path, body, headers):
        """An answer, and what is wrong with it if it is worth another try."""
        try:
            answer = self.connections[port].ask(method, path, body, headers)
        except Unanswered as lost:
            return None, lost.kind
        if answer.status == 429 or answer.status >= 500:
            return answer, str(answer.status)
        return answer, None


def leaves_doubt(answer, failure):
    if answer is None:
        return failure != "connection refused"
    return "unknown" in answer.text


def generic(path):
    """Without the ids in it."""
    return "/".join("…" if any(mark.isdigit() for mark in part[2:]) else part
                    for part in path.split("/"))
