"""Countersign as the benchmarks run it: a server, its databases, agents and metrics."""

import json
import os
import re
import secrets
import subprocess
import urllib.parse
from contextlib import contextmanager

import bodies
from measure import Failed, Server, call

AGENTS = 100
SCOPES = ["agents:read", "tokens:read"]


@contextmanager
def database(engine, directory, url):
    """The address of a fresh database: a file, or one beside `url`'s that is dropped afterwards."""
    if engine == "SQLite":
        yield f"sqlite://{directory}/countersign.db"
        return
    name = f"bench_{secrets.token_hex(4)}"

    def psql(statement):
        done = subprocess.run(["psql", "-qX", url, "-c", statement], capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"psql: {done.stderr}")

    psql(f"CREATE DATABASE {name}")
    try:
        yield urllib.parse.urlsplit(url)._replace(path=f"/{name}").geturl()
    finally:
        psql(f"DROP DATABASE {name} WITH (FORCE)")


class Countersign(Server):
    """`countersign serve` in an environment that holds nothing but what is set here."""
    # It seals every second.
    rest = 1.2

    def __init__(self, program, port, alg, database_url, directory, before=None, settings=None):
        """A new server, or one with the keys of `before` on what that one has left."""
        self.operator = before.operator if before else f"op_live_{secrets.token_hex(32)}"
        self.master_key = before.master_key if before else secrets.token_hex(32)
        environment = {
            "PATH": os.environ["PATH"],
            "PORT": str(port),
            "DATABASE_URL": database_url,
            "JWT_ALG": alg,
            "BOOTSTRAP_ADMIN_TOKEN": self.operator,
            "MASTER_KEY": self.master_key,
            "LOG_LEVEL": "warn",
            **(settings or {}),
        }
        super().__init__([program, "serve"], port, "/readyz", directory / "log",
                         cwd=directory, env=environment)

    def post(self, path, body, bearer=None, kind="application/json"):
        headers = {"Content-Type": kind}
        if bearer:
            headers["Authorization"] = f"Bearer {bearer}"
        status, text = call(self.port, "POST", path, body, headers)
        if status not in (200, 201):
            raise Failed(f"POST {path}: {status} {text}\n{self.last_words()}")
        return json.loads(text)

    def form(self, path, body, bearer=None):
        return self.post(path, body, bearer, "application/x-www-form-urlencoded")

    def token_bodies(self):
        """A hundred agents, each with a credential: the forms that ask for their tokens."""
        return [self._token_body(number) for number in range(1, AGENTS + 1)]

    def _token_body(self, number):
        agent = self.post("/api/v1/agents", json.dumps({
            "email": f"a{number}@bench.example", "agentType": "screener", "version": "1.0.0",
            "capabilities": ["reports:read"], "owner": "bench", "deploymentEnv": "development",
            "scopes": SCOPES,
        }), self.operator)["agentId"]
        secret = self.post(f"/api/v1/agents/{agent}/credentials", "{}", self.operator)
        return bodies.token(agent, secret["clientSecret"], SCOPES)

    def tokens(self, token_bodies):
        tokens = [self.form("/api/v1/token", body)["access_token"] for body in token_bodies]
        # An inactive token is answered with 200 too, and much more cheaply.
        answer = self.form("/api/v1/token/introspect", f"token={tokens[0]}", tokens[0])
        if answer["active"] is not True:
            raise Failed("a fresh token is not active")
        return tokens

    def histogram(self, name, **labels):
        """The cumulative buckets of one histogram, `{upper bound: count}`."""
        _, text = call(self.port, "GET", "/metrics")
        buckets = {}
        for found, value in re.findall(rf"^{name}_bucket{{(.*?)}} (\S+)", text, re.MULTILINE):
            has = dict(re.findall(r'(\w+)="([^"]*)"', found))
            if labels.items() <= has.items():
                bound = float(has["le"])
                buckets[bound] = buckets.get(bound, 0) + float(value)
        return buckets


def quantile(share, before, after):
    """A quantile in ms of what a histogram gained, by lines between its bounds; None if nothing."""
    low, passed = 0.0, 0.0
    total = max(after.values(), default=0) - max(before.values(), default=0)
    for bound in sorted(after):
        count = after[bound] - before.get(bound, 0)
        if total and count >= share * total:
            if bound == float("inf"):
                return low * 1e3
            return (low + (bound - low) * (share * total - passed) / (count - passed)) * 1e3
        low, passed = bound, count
    return None
