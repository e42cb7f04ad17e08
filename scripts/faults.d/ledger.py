"""Holds what clients were told against what is in the database, and the record against its seals."""

import json
import os
import subprocess
from collections import defaultdict

# A position is `stream * STREAM + number`.
STREAM = 1 << 40


class Ledger:
    """The record, read on from check to check."""

    def __init__(self, database, program, environment):
        self.database, self.program = database, program
        self.environment = {"PATH": os.environ["PATH"], **environment,
                            "DATABASE_URL": database.url}
        self.numbers = defaultdict(int)
        self.requests = defaultdict(set)
        self.events = 0

    def lost(self, notes):
        """What was acknowledged and is not there, a line each; none if all is well."""
        counters = {int(stream): int(n) for stream, n in
                    self.database.sql("SELECT stream, n FROM event_streams")}
        found = self._read_on()
        for stream, n in counters.items():
            # What was recorded since the counters were read is no fault.
            if self.numbers[stream] < n:
                found.append(f"stream {stream} counts {n} events and has {self.numbers[stream]}")
        for done in notes.done:
            seen = {action for request in done.requests for action in self.requests[request]}
            if not seen & set(done.actions):
                found.append(f"no event {'/'.join(done.actions)} of {done.requests}: {seen}")
        notes.done.clear()
        return found + self._states(notes.known)

    def _read_on(self):
        """Reads what was recorded since; finds gaps."""
        wanted = [f"position >= {(max(self.numbers, default=0) + 1) * STREAM}"]
        wanted += [f"(position > {stream * STREAM + n} AND position < {(stream + 1) * STREAM})"
                   for stream, n in self.numbers.items()]
        rows = self.database.sql("SELECT position, body FROM audit_events "
                                 f"WHERE {' OR '.join(wanted)} ORDER BY position")
        found = []
        for position, body in rows:
            stream, number = divmod(int(position), STREAM)
            if number != self.numbers[stream] + 1:
                found.append(f"stream {stream}: {number} follows {self.numbers[stream]}")
            self.numbers[stream] = number
            event = json.loads(body)
            self.requests[event.get("requestId")].add(event["action"])
        self.events += len(rows)
        return found

    def _states(self, known):
        def differing(what, wanted, statement):
            there = dict(self.database.sql(statement))
            return [f"{what} {one} is {there.get(one, 'gone')}, should be {should}"
                    for one, should in wanted.items() if there.get(one) != should]

        revoked = {jti: jti for jti in known.revoked}
        return [
            *differing("agent", known.agents, "SELECT id, status FROM agents"),
            *differing("credential", known.credentials,
                       "SELECT id, CASE WHEN revoked_at IS NULL THEN 'live' ELSE 'revoked' END "
                       "FROM credentials"),
            *differing("revocation", revoked, "SELECT jti, jti FROM token_revocations"),
        ]

    def verify(self):
        """What `countersign audit verify` finds wrong; None if nothing."""
        done = subprocess.run([self.program, "audit", "verify"], env=self.environment, cwd="/",
                              capture_output=True, text=True)
        self.verified = done.stdout.strip()
        return None if done.returncode == 0 else f"{done.stdout}{done.stderr}".strip()
