"""Each part in turn stopped, killed, paused, cut off."""

import signal
import threading
import time
import uuid
from dataclasses import dataclass
from typing import Callable

from agents import Agent, introspection, token_request
from crowd import fill, hold_pool
from notes import ACCEPTED, REFUSED
from stack import FORM
from standby import Standby
from wire import Unanswered, exchange


@dataclass
class Fault:
    """One row of the table: `act` breaks and mends while clients go on."""
    name: str
    act: Callable
    before: Callable = lambda stack: None
    after: Callable = lambda stack: None


def faults(stack):
    """All that is done to this stack, in order."""
    return [Fault("none", lambda stack: None), *NODE, *POOLER, *POSTGRES,
            *(REDIS if stack.redis else [])]


def stopped(part, seconds=0.0):
    """Asked to end, and started again after a while."""
    def act(stack):
        getattr(stack, part).stop()
        time.sleep(seconds)
        getattr(stack, part).start()
    return act


def drained(stack):
    if status := stack.a.stop():
        stack.wrong.note("drained", f"the node ended with status {status}")
    stack.a.start()


def killed(part, seconds=0.0):
    def act(stack):
        getattr(stack, part).kill()
        time.sleep(seconds)
        getattr(stack, part).start()
    return act


def paused(part, seconds):
    def act(stack):
        getattr(stack, part).send(signal.SIGSTOP)
        time.sleep(seconds)
        getattr(stack, part).send(signal.SIGCONT)
    return act


def paused_while_others_change(stack, seconds=5.0):
    """Agents that node A knows are suspended by way of node B while A is paused. What A is asked
    about them then it answers after waking, and must not answer from a memory of before."""
    known = [stack.agent(stack.a) for _ in range(5)]
    questions, enough = [], threading.Event()
    strangers = [threading.Thread(target=keep_looking, args=(stack, enough)) for _ in range(4)]
    for stranger in strangers:
        stranger.start()
    time.sleep(0.5)
    stack.a.send(signal.SIGSTOP)
    begun = time.monotonic()
    try:
        for agent, token in known:
            if suspends(stack, agent, until=begun + seconds):
                questions += [Question(stack, "a token", (*introspection(token), stack.authority)),
                              Question(stack, "an agent", token_request(agent))]
        time.sleep(max(0.0, begun + seconds - time.monotonic()))
    finally:
        stack.a.send(signal.SIGCONT)
        enough.set()
        for stranger in strangers:
            stranger.join()
    if not questions:
        stack.wrong.note(REFUSED, "nobody could be suspended while the other node was paused")
    for question in questions:
        question.join()
        if question.accepted:
            stack.wrong.note(ACCEPTED, f"{question.what} was accepted, suspended before waking")


def suspends(stack, agent, until):
    while time.monotonic() < until:
        try:
            path = f"/api/v1/agents/{agent.id}"
            if stack.ask(stack.b, "PATCH", path, {"status": "suspended"}).status == 200:
                return True
        except Unanswered:
            pass
        time.sleep(0.05)
    return False


def keep_looking(stack, enough):
    """For a credential that nobody has, a node looks at what the others changed: so it is paused in
    the middle of that."""
    nobody = token_request(Agent(str(uuid.uuid4()), secret="sk_live_" + "0" * 64))
    while not enough.is_set():
        try:
            method, path, form, headers = nobody
            exchange(stack.a.port, method, path, form, headers | FORM, limit=30)
        except Unanswered:
            pass


class Question(threading.Thread):
    """Asks node A, however long the answer takes."""

    def __init__(self, stack, what, request):
        super().__init__(daemon=True)
        self.stack, self.what, self.request, self.accepted = stack, what, request, False
        self.start()

    def run(self):
        method, path, form, headers = self.request
        try:
            answer = exchange(self.stack.a.port, method, path, form, headers | FORM, limit=30)
            self.accepted = answer.status == 200 and answer.json().get("active", True)
        except Unanswered:
            pass


def stand_by(stack):
    stack.database.standby = Standby(stack.database)
    stack.database.standby.follow()


NODE = [
    Fault("a node is stopped and restarted", drained),
    Fault("a node is killed and restarted", killed("a")),
    Fault("a node is killed and stays away 5 s", killed("a", 5)),
    Fault("a node is paused 5 s, and agents are suspended meanwhile", paused_while_others_change),
    Fault("a node is cut off from PgBouncer 5 s, silently", paused("relay", 5),
          before=lambda stack: stack.put_relay(), after=lambda stack: stack.take_relay_away()),
    Fault("a node is refused by PgBouncer 5 s", killed("relay", 5),
          before=lambda stack: stack.put_relay(), after=lambda stack: stack.take_relay_away()),
]

POOLER = [
    Fault("PgBouncer is stopped and restarted", stopped("pooler")),
    Fault("PgBouncer is killed and restarted", killed("pooler")),
    Fault("PgBouncer is killed and stays away 3 s", killed("pooler", 3)),
    Fault("PgBouncer is paused 3 s", paused("pooler", 3)),
    Fault("PgBouncer's connections are held by others 5 s",
          lambda stack: hold_pool(stack.database_url, 5)),
]

POSTGRES = [
    Fault("PostgreSQL is restarted", lambda stack: stack.database.control("restart")),
    Fault("PostgreSQL is stopped 3 s", lambda stack: stack.database.down("stop", 3)),
    Fault("PostgreSQL is killed and started", lambda stack: stack.database.down("kill", 0)),
    Fault("PostgreSQL is paused 3 s", lambda stack: stack.database.pause(3)),
    Fault("PostgreSQL is out of connections 5 s",
          lambda stack: fill(stack.database, stack.pooler, 5)),
    Fault("PostgreSQL dies and its synchronous copy takes over",
          lambda stack: stack.database.standby.take_over(), before=stand_by),
]

REDIS = [
    Fault("Redis is stopped 3 s", stopped("redis", 3)),
    Fault("Redis is killed and restarted", killed("redis")),
    Fault("Redis forgets everything", lambda stack: stack.forget()),
    Fault("Redis is paused 5 s", paused("redis", 5)),
]
