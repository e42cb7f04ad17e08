"""kill -9 under load, again and again: what was answered is there, and every seal verifies."""

import random
import sys
import time

from agents import introspection
from ledger import Ledger
from load import Load
from notes import Known
from parts import Failed, Node, settings
from postgres import Postgres
from sqlite import Sqlite
from stack import FORM
from wire import exchange

# Verifying reads the whole record, so not in each round.
VERIFIED_EVERY = 10

# So many clients.
KILLED_UNDER = 10


def run(program, place, options):
    database = Postgres() if options.database == "postgres" else Sqlite(place)
    told = settings(database.url, database.url)
    node = Node("the server", program, place, told)
    try:
        return Rounds(node, database, program, told).run(options)
    finally:
        node.end()
        database.drop()


class Rounds:
    def __init__(self, node, database, program, told):
        self.node, self.database = node, database
        self.operator = told["BOOTSTRAP_ADMIN_TOKEN"]
        self.ledger, self.known = Ledger(database, program, told), Known()
        self.answered = 0

    def run(self, options):
        begun, faults = time.monotonic(), 0
        self.node.start()
        for number in range(1, options.kill_rounds + 1):
            found = self.round(number)
            if number % VERIFIED_EVERY == 0 or number == options.kill_rounds:
                found += filter(None, [self.ledger.verify()])
                print(f"{number} rounds in {time.monotonic() - begun:.0f} s: {self.answered} "
                      f"changes, tokens and introspections answered, {self.ledger.events} events "
                      "in the record", file=sys.stderr)
            for what in found:
                print(f"round {number}: {what}", file=sys.stderr)
            faults += len(found)
        print(f"{options.kill_rounds} times kill -9 on {self.database.engine} in "
              f"{time.monotonic() - begun:.0f} s: {self.answered} answers of success, "
              f"{self.ledger.events} events in the record, "
              f"{faults or 'nothing'} lost or wrong. {self.ledger.verified.splitlines()[-1]}")
        return not faults

    def round(self, number):
        """What is lost or wrong after one more kill, a line each."""
        load = Load(f"k{number}", KILLED_UNDER, [self.node.port], self.operator, self.known,
                    patience=0, pause=0)
        # Sealing happens once a second: sometimes before, sometimes after, sometimes within.
        time.sleep(random.uniform(0.1, 1.8))
        self.node.kill()
        notes = load.stop()
        self.node.start()
        self.answered += len(notes.done)
        if not notes.done:
            raise Failed(f"round {number}: nothing was answered before the kill")
        return [*notes.wrong.lines(), *self.ledger.lost(notes), *self.remembered(notes)]

    def remembered(self, notes):
        """Tokens are what they were, as far as there is time to ask."""
        return [f"a token should be {'good' if live else 'dead'}"
                for tokens, live in ((notes.live[-3:], True), (notes.dead[-3:], False))
                for token in tokens if is_live(self.node, self.operator, token) != live]


def is_live(node, operator, token):
    headers = {"Authorization": f"Bearer {operator}", **FORM}
    answer = exchange(node.port, *introspection(token), headers)
    return answer.status == 200 and answer.json()["active"]
