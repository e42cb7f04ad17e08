"""A phase: clients before, during and after a fault. And its row of the table."""

import sys
import time

from load import Load
from notes import ACCEPTED, REFUSED, Wrong
from parts import until

HEAD = ("| fault | requests | failed at the first try | failed for good | nobody served "
        "| longest wait | accepted after its end | wrong answers | lost |\n"
        "|---|--:|---|---|--:|--:|--:|---|---|")


class Phase:
    def __init__(self, stack, ledger, known, options):
        self.stack, self.ledger, self.known, self.options = stack, ledger, known, options
        self.number = 0

    def run(self, fault, seconds):
        """Gives the row, and whether all was as it must be."""
        self.number += 1
        self.stack.wrong = Wrong()
        fault.before(self.stack)
        notes = self.under_load(fault, seconds)
        fault.after(self.stack)
        lost = self.lost(notes)
        notes.wrong.add(self.stack.wrong)
        self.remember(notes)
        for what in [*lost[:20], *notes.wrong.lines()]:
            print(f"{fault.name}: {what}", file=sys.stderr)
        good = not lost and not notes.wrong.kinds
        if fault.name == "none":
            good &= not notes.first_failures
        return row(fault, notes, lost), good

    def under_load(self, fault, seconds):
        load = Load(f"p{self.number}", self.options.clients, self.stack.ports, self.stack.operator,
                    self.known, pause=self.options.pause)
        begun = time.monotonic()
        # Once every client is at work.
        time.sleep(min(3.0, seconds / 4))
        fault.act(self.stack)
        acted = time.monotonic() - begun
        # As long as agreed, and long enough to see it recover.
        time.sleep(max(seconds - acted, seconds / 4))
        return load.stop()

    def lost(self, notes):
        """What is not there though somebody was told so."""
        until("PostgreSQL does not answer", 60, self.stack.database.answers)
        lost = self.ledger.lost(notes)
        fault = self.ledger.verify()
        return [*lost, f"audit verify: {fault}"] if fault else lost

    def remember(self, notes):
        """Tokens that were good are, on every node; those that were ended are not."""
        for node in (self.stack.a, self.stack.b):
            until(f"{node.name} does not get ready", 30, node.is_ready)
            for token in notes.live[-20:]:
                if not self.stack.is_live(node, token):
                    notes.wrong.note(REFUSED, f"{node.name} has lost a token")
            for token in notes.dead[-20:]:
                if self.stack.is_live(node, token):
                    notes.wrong.note(ACCEPTED, f"{node.name} has revived a token")


def row(fault, notes, lost):
    cells = [fault.name, notes.requests, kinds(notes.first_failures), kinds(notes.lasting),
             f"{notes.longest_silence:.1f} s", f"{notes.longest_wait:.1f} s",
             f"{notes.stale:.1f} s", kinds(notes.wrong.kinds), len(lost) or "nothing"]
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def kinds(counted):
    return ", ".join(f"{count} {kind}" for kind, count in counted.most_common()) or "none"
