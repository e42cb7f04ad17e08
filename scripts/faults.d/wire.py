"""HTTP as a careful client speaks it: bounded in time, connections kept, failures told apart."""

import http.client
import json
import select
from dataclasses import dataclass


class Unanswered(Exception):
    """No answer came. `kind` says how that showed."""

    def __init__(self, kind):
        super().__init__(kind)
        self.kind = kind


@dataclass
class Answer:
    status: int
    text: str

    def json(self):
        try:
            return json.loads(self.text)
        except ValueError:
            return {}


class Connection:
    """To one port, kept alive."""

    def __init__(self, port, limit=4):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=limit)

    def ask(self, method, path, body=None, headers=None):
        try:
            self._open()
            self.connection.request(method, path, body, headers or {})
            answer = self.connection.getresponse()
            return Answer(answer.status, answer.read().decode())
        except ConnectionRefusedError:
            raise self._lost("connection refused") from None
        except TimeoutError:
            raise self._lost("no answer in time") from None
        except (OSError, http.client.HTTPException, UnicodeDecodeError):
            raise self._lost("connection closed") from None

    def _open(self):
        kept = self.connection.sock
        # What is there to read before anything was asked can only be the end of it.
        if kept is not None and select.select([kept], [], [], 0)[0]:
            self.connection.close()
        if self.connection.sock is None:
            self.connection.connect()

    def _lost(self, kind):
        self.connection.close()
        return Unanswered(kind)

    def close(self):
        self.connection.close()


def exchange(port, method, path, body=None, headers=None, limit=10):
    """One request on a connection of its own."""
    connection = Connection(port, limit)
    try:
        return connection.ask(method, path, body, headers)
    finally:
        connection.close()
