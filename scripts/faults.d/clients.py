"""Clients, each with agents of its own: so it knows what must be so."""

import random
import threading
import time
import urllib.parse

from agents import Agent, claims, introspection, token_request
from asking import Asker
from notes import ACCEPTED, REFUSED

# What one node did, the others do not answer otherwise for longer than that.
HEARD = 1.0


class Client(threading.Thread):
    def __init__(self, name, ports, operator, notes, stop, patience=10.0, pause=0.1):
        super().__init__(name=name, daemon=True)
        self.asker = Asker(name, ports, operator, notes, patience, pause, stop)
        self.ask, self.notes, self.known, self.stop = self.asker.ask, notes, notes.known, stop
        self.crashed = None

    def run(self):
        try:
            while not self.stop.is_set():
                self.live()
        except Exception as error:  # shown by whoever waits for the load
            self.crashed = error
        finally:
            self.asker.close()

    def live(self):
        """The life of one agent."""
        agent = self.new_agent()
        if agent is None:
            return
        acts = [self.use, self.use, self.use, self.suspend, self.revoke, self.change_credential]
        for act in random.choices(acts, k=6):
            if self.stop.is_set() or not act(agent) or agent.doubtful:
                break
        if agent.doubtful:
            self.known.agents.pop(agent.id, None)
        else:
            self.notes.live.extend(agent.tokens)

    def new_agent(self):
        body = {"email": f"{self.name}-{next(self.asker.numbers)}@faults.example",
                "agentType": "screener", "version": "1.0.0", "owner": "faults",
                "capabilities": ["reports:read"], "deploymentEnv": "development"}
        made = self.ask("POST", "/api/v1/agents", body, actions=["agent.created"], settled=True)
        # It may be there all the same, by an earlier try; but nobody knows its id.
        if not made.succeeded:
            return None
        agent = Agent(made["agentId"])
        self.known.agents[agent.id] = "active"
        return agent if self.new_credential(agent) else None

    def new_credential(self, agent):
        made = self.ask("POST", f"/api/v1/agents/{agent.id}/credentials", {},
                        actions=["credential.generated"])
        if not made.succeeded:
            return False
        agent.credential, agent.secret = made["credentialId"], made["clientSecret"]
        self.known.credentials[agent.credential] = "live"
        return True

    def use(self, agent):
        """Gets a token, and asks about it."""
        token = self.token(agent)
        if token is None or not self.is_good(agent, token):
            return False
        agent.tokens.append(token)
        return True

    def token(self, agent):
        """A token that it must get."""
        while True:
            asked = self.ask(*token_request(agent), actions=["token.issued"])
            if asked.succeeded:
                return asked["access_token"]
            if not self.excused(agent, asked, "a token was refused"):
                return None

    def is_good(self, agent, token):
        while True:
            asked = self.ask(*introspection(token), actions=["token.introspected"])
            if asked.succeeded and asked["active"]:
                return True
            if not self.excused(agent, asked, "a good token is said to be inactive"):
                return False

    def excused(self, agent, asked, what):
        """Whether a node may not have heard of it yet, so that it is worth asking again."""
        if asked.answer is None or agent.doubtful:
            return False
        if agent.since and asked.begun < agent.since + HEARD:
            return True
        self.notes.note_wrong(REFUSED, f"{what}: {asked.answer.status} {asked.answer.text[:300]}")
        return False

    def suspend(self, agent):
        agent.tokens.clear()
        token = self.token(agent)
        if token is None or not self.change_status(agent, "suspended", "agent.suspended"):
            return False
        self.must_stop("a suspended agent's token", introspection(token))
        self.must_stop("a suspended agent", token_request(agent))
        self.notes.dead.append(token)
        if agent.doubtful or not self.change_status(agent, "active", "agent.reactivated"):
            return False
        agent.since = time.monotonic()
        return True

    def change_status(self, agent, status, action):
        self.known.agents.pop(agent.id, None)
        asked = self.ask("PATCH", f"/api/v1/agents/{agent.id}", {"status": status},
                         # A second try may find that the first has done it.
                         actions=[action, "agent.updated"])
        self.ended = time.monotonic()
        agent.doubtful |= asked.doubtful
        if asked.succeeded and not agent.doubtful:
            self.known.agents[agent.id] = status
        return asked.succeeded

    def revoke(self, agent):
        token = self.token(agent)
        if token is None:
            return False
        form = urllib.parse.urlencode({"token": token})
        asked = self.ask("POST", "/api/v1/token/revoke", form, actions=["token.revoked"])
        self.ended = time.monotonic()
        if not asked.succeeded:
            return False
        self.known.revoked.add(claims(token)["jti"])
        self.must_stop("a revoked token", introspection(token))
        self.notes.dead.append(token)
        return True

    def change_credential(self, agent):
        """Revokes its credential and makes another."""
        former = Agent(agent.id, agent.credential, agent.secret)
        agent.tokens.clear()
        self.known.credentials.pop(former.credential, None)
        path = f"/api/v1/agents/{agent.id}/credentials/{former.credential}"
        asked = self.ask("DELETE", path, None, actions=["credential.revoked"], settled=True)
        self.ended = time.monotonic()
        if asked.answer is None:
            return False
        self.known.credentials[former.credential] = "revoked"
        self.must_stop("a revoked credential", token_request(former))
        return self.new_credential(agent)

    def must_stop(self, what, request):
        """Asks one node until it refuses what was ended just now."""
        since, port = self.ended, random.choice(self.asker.ports)
        stale, action = 0.0, "token.introspected" if "introspect" in request[1] else "token.issued"
        while time.monotonic() < since + 10:
            asked = self.ask(*request, actions=[action], port=port, tries=1)
            if asked.succeeded and asked.answer.json().get("active", True):
                stale = asked.begun - since
                if stale > HEARD:
                    self.notes.note_wrong(ACCEPTED, f"{what} was accepted later than {HEARD} s",
                                          stale)
                    return
            elif asked.answer is not None:
                self.notes.note_delay(stale)
                return
            elif not self.asker.patience:
                return
