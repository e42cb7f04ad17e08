"""Agents, and what is asked on their behalf."""

import base64
import json
import urllib.parse
from dataclasses import dataclass, field


@dataclass
class Agent:
    id: str
    credential: str = ""
    secret: str = ""
    # A node that has not heard of its reactivation may refuse it for a while.
    since: float = 0.0
    # A change of it was not answered, and may still come.
    doubtful: bool = False
    # Tokens that it has, and that nothing has ended.
    tokens: list = field(default_factory=list)


def introspection(token):
    return "POST", "/api/v1/token/introspect", urllib.parse.urlencode({"token": token})


def token_request(agent):
    basic = base64.b64encode(f"{agent.id}:{agent.secret}".encode()).decode()
    return ("POST", "/api/v1/token", "grant_type=client_credentials",
            {"Authorization": f"Basic {basic}"})


def claims(token):
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
