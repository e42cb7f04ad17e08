"""What clients were answered: counted, and kept to be held against the database."""

import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

# Kinds of wrong answers: what was ended is still accepted, what is good is refused.
ACCEPTED, REFUSED = "accepted", "refused"


@dataclass
class Done:
    """Something that a client was told is done, under one of the ids of its requests."""
    actions: tuple
    requests: tuple


@dataclass
class Known:
    """What must be in the database because somebody was told so. What nobody knows is not here."""
    agents: dict = field(default_factory=dict)
    credentials: dict = field(default_factory=dict)
    revoked: set = field(default_factory=set)


class Notes:
    """Of all clients of one load."""

    def __init__(self, known):
        self.known, self.lock = known, threading.Lock()
        # What is done; tokens that must be good, and tokens that must not.
        self.done, self.live, self.dead = [], [], []
        self.requests = 0
        self.first_failures, self.lasting = Counter(), Counter()
        self.wrong = Wrong()
        self.stale = 0.0
        self.last_success = time.monotonic()
        self.longest_silence = self.longest_wait = 0.0

    def asked(self):
        with self.lock:
            self.requests += 1

    def failed_at_first(self, kind):
        with self.lock:
            self.first_failures[kind] += 1

    def failed_for_good(self, kind):
        with self.lock:
            self.lasting[kind] += 1

    def succeeded(self, begun):
        """What was asked first at `begun`."""
        now = time.monotonic()
        with self.lock:
            self.longest_silence = max(self.longest_silence, now - self.last_success)
            self.longest_wait = max(self.longest_wait, now - begun)
            self.last_success = now

    def end(self):
        """Nobody was served from the last success until now."""
        self.succeeded(time.monotonic())

    def note_done(self, actions, requests):
        with self.lock:
            self.done.append(Done(tuple(actions), tuple(requests)))

    def note_delay(self, seconds):
        """How long after an end something was still accepted."""
        with self.lock:
            self.stale = max(self.stale, seconds)

    def note_wrong(self, kind, what, seconds=None):
        with self.lock:
            self.wrong.note(kind, what, seconds)
            self.stale = max(self.stale, seconds or 0)


class Wrong:
    """Wrong answers by kind, alike ones together."""

    def __init__(self):
        self.kinds, self.told = Counter(), Counter()
        self.worst = defaultdict(float)

    def note(self, kind, what, seconds=None):
        self.kinds[kind] += 1
        self.told[what] += 1
        self.worst[what] = max(self.worst[what], seconds or 0)

    def add(self, other):
        self.kinds += other.kinds
        self.told += other.told
        for what, seconds in other.worst.items():
            self.worst[what] = max(self.worst[what], seconds)

    def lines(self):
        for what, count in self.told.most_common():
            worst = f", at worst after {self.worst[what]:.1f} s" if self.worst[what] else ""
            yield f"{count} × {what}{worst}"
