"""How soon one node refuses an agent that another one has suspended."""

import math
import random
import sys
import threading
import time

from agents import introspection, token_request
from parts import Failed
from stack import FORM, Stack
from wire import Connection

# What 99.9 % of all suspensions must keep to.
TARGET_MS = 1_000


def run(program, place, options):
    stack = Stack(program, place, not options.no_redis)
    try:
        trial = Trial(stack)
        delays = []
        for number in range(1, options.suspension_trials + 1):
            delays.append(trial.delay(number) * 1e3)
            if number % 100 == 0:
                print(f"{number} suspensions, the slowest {max(delays):.0f} ms", file=sys.stderr)
        delays.sort()
    finally:
        stack.end()
    nudged = "with Redis" if stack.redis else "without Redis"
    cells = [f"{at(delays, share):.1f}" for share in (0.5, 0.99, 0.999, 1)]
    print("| suspensions | median | 99 % | 99.9 % | longest |\n|---|--:|--:|--:|--:|\n"
          f"| {len(delays)}, {nudged}, ms | {' | '.join(cells)} |")
    return at(delays, 0.999) <= TARGET_MS


def at(ordered, share):
    """The least value that this share of all does not exceed."""
    return ordered[math.ceil(share * len(ordered)) - 1]


class Trial:
    def __init__(self, stack):
        self.stack = stack
        self.asking = Connection(stack.b.port)

    def delay(self, number):
        """Seconds from the answer to a suspension by node A to the first refusal by node B, which
        is asked without a pause from before the suspension on."""
        agent, token = self.stack.agent(self.stack.a)
        request = token_request(agent)
        if number % 2:
            request = (*introspection(token), self.stack.authority)
        if not self.accepted(request):
            raise Failed("node B refuses an agent that is active")
        refused, stopped = [], threading.Event()
        poll = threading.Thread(target=self.ask_until_refused, args=(request, refused, stopped))
        poll.start()
        try:
            # At any point between two looks of node B.
            time.sleep(random.uniform(0, 0.25))
            path = f"/api/v1/agents/{agent.id}"
            self.stack.must(self.stack.a, "PATCH", path, {"status": "suspended"})
            acknowledged = time.monotonic()
            poll.join(10)
        finally:
            stopped.set()
            poll.join()
        if not refused:
            raise Failed("node B still accepts an agent 10 s after its suspension")
        return max(0.0, refused[0] - acknowledged)

    def ask_until_refused(self, request, refused, stopped):
        while not stopped.is_set():
            if not self.accepted(request):
                refused.append(time.monotonic())
                return
            time.sleep(0.002)

    def accepted(self, request):
        method, path, form, headers = request
        answer = self.asking.ask(method, path, form, headers | FORM)
        if answer.status not in (200, 403):
            raise Failed(f"{path}: {answer.status} {answer.text}")
        return answer.status == 200 and answer.json().get("active", True)
