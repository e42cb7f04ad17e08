"""The bodies that wrk sends in turn, one a line."""

import json
import secrets
import uuid
from urllib.parse import urlencode


def token(agent, secret, scopes):
    return urlencode({"grant_type": "client_credentials", "client_id": agent,
                      "client_secret": secret, "scope": " ".join(scopes)})


def made_up_tokens(count):
    """Forms of the same size as real ones, for a baseline that checks nothing."""
    return [token(uuid.uuid4(), f"sk_live_{secrets.token_hex(32)}", ["agents:read", "tokens:read"])
            for _ in range(count)]


def echoes(count):
    """What an introspection would answer, about 300 bytes."""
    def one():
        agent = str(uuid.uuid4())
        return json.dumps({
            "active": True, "iss": "http://127.0.0.1:3000", "sub": agent, "client_id": agent,
            "aud": "http://127.0.0.1:3000", "scope": "agents:read", "token_type": "Bearer",
            "jti": secrets.token_hex(16), "iat": 1767225600, "exp": 1767229200,
        }, separators=(",", ":"))
    return [one() for _ in range(count)]


def write(path, lines):
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)
