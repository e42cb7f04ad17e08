"""Two nodes on one PostgreSQL behind a PgBouncer of their own; with a Redis, if they know of it."""

import contextlib
import json
import secrets
import socket
import time

from agents import Agent, introspection, token_request
from notes import Wrong
from parts import Failed, Node, settings
from postgres import Postgres
from services import knows_redis, pgbouncer, redis, relay, with_port
from wire import exchange


class Stack:
    def __init__(self, program, place, with_redis=True):
        self.program, self.place = program, place
        # What a fault found to be wrong, besides what clients find.
        self.wrong = Wrong()
        self.parts = []
        self.database = Postgres()
        self.pooler = self._started(pgbouncer())
        self.redis = self._started(redis()) if with_redis and knows_redis(program) else None
        self.database_url = with_port(self.database.url, self.pooler.port)
        redis_url = self.redis and f"redis://127.0.0.1:{self.redis.port}"
        self.settings = settings(self.database_url, self.database.url, redis_url)
        self.a = self._started(Node("node A", program, place, self.settings))
        self.b = self._started(Node("node B", program, place, self.settings))
        self.relay = None

    def _started(self, part):
        self.parts.append(part)
        return part.start()

    @property
    def ports(self):
        return [self.a.port, self.b.port]

    @property
    def operator(self):
        return self.settings["BOOTSTRAP_ADMIN_TOKEN"]

    def put_relay(self):
        """Between node A and PgBouncer."""
        self.relay = self._started(relay(self.pooler.port))
        self._move_a(with_port(self.database_url, self.relay.port))

    def take_relay_away(self):
        self._move_a(self.database_url)
        self.relay.end()

    def _move_a(self, url):
        self.a.stop()
        self.a.reach_database_at(url)
        self.a.start()

    @property
    def authority(self):
        """Of the first operator."""
        return {"Authorization": f"Bearer {self.operator}"}

    def ask(self, node, method, path, body=None, limit=10):
        """One request of the first operator."""
        kind = "application/json" if isinstance(body, dict) else "application/x-www-form-urlencoded"
        text = json.dumps(body) if isinstance(body, dict) else body
        headers = self.authority | {"Content-Type": kind}
        return exchange(node.port, method, path, text, headers, limit)

    def must(self, node, method, path, body=None):
        """What it answers, once it can."""
        deadline = time.monotonic() + 10
        while (answer := self.ask(node, method, path, body)).status == 503:
            if time.monotonic() > deadline:
                break
            time.sleep(0.1)
        if not 200 <= answer.status < 300:
            raise Failed(f"{method} {path}: {answer.status} {answer.text}\n{node.last_words()}")
        return answer.json()

    def agent(self, node):
        """An agent with a credential, and its token."""
        body = {"email": f"{secrets.token_hex(6)}@faults.example", "agentType": "screener",
                "version": "1.0.0", "owner": "faults", "capabilities": ["reports:read"],
                "deploymentEnv": "development"}
        made = self.must(node, "POST", "/api/v1/agents", body)
        agent = Agent(made["agentId"])
        made = self.must(node, "POST", f"/api/v1/agents/{agent.id}/credentials", {})
        agent.credential, agent.secret = made["credentialId"], made["clientSecret"]
        method, path, form, headers = token_request(agent)
        answer = exchange(node.port, method, path, form, headers | FORM)
        if answer.status != 200:
            raise Failed(f"{method} {path}: {answer.status} {answer.text}")
        return agent, answer.json()["access_token"]

    def is_live(self, node, token):
        return self.must(node, *introspection(token))["active"]

    def forget(self):
        """Redis loses all that it holds."""
        with socket.create_connection(("127.0.0.1", self.redis.port), 5) as redis:
            redis.sendall(b"FLUSHALL\r\n")
            if not redis.recv(100).startswith(b"+OK"):
                raise Failed("Redis does not forget")

    def end(self):
        for part in reversed(self.parts):
            part.end()
        # An interrupted run may have left it down; then it goes with the services.
        with contextlib.suppress(Failed):
            self.database.drop()


FORM = {"Content-Type": "application/x-www-form-urlencoded"}
