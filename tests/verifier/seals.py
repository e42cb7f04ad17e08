"""What a database and an exported file have in common: leaves, trees, seals, keys and faults."""

import base64
import hashlib
import json
from datetime import datetime, timedelta, timezone

import ed25519

MEMBERS = ("count", "kid", "previous", "root", "seal", "time")
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Unreadable(Exception):
    """This is no record: nothing can be said about its events."""


class Report:
    def __init__(self):
        self.faults = []
        self.seals = self.events = self.expired = self.unsealed = 0

    def fault(self, kind, seal=None, index=None, event=None, detail=""):
        self.faults.append({"kind": kind, "seal": seal, "index": index, "event": event, "detail": detail})

    def json(self):
        return {name: getattr(self, name) for name in ("seals", "events", "expired", "unsealed", "faults")}


def leaf_hash(text: bytes) -> bytes:
    return hashlib.sha256(b"\0" + text).digest()


def root(leaves) -> bytes:
    """RFC 6962 section 2.1: neighbours are paired level by level, and one that is left over goes up."""
    while len(leaves) > 1:
        pairs = [hashlib.sha256(b"\1" + leaves[i] + leaves[i + 1]).digest() for i in range(0, len(leaves) - 1, 2)]
        leaves = pairs + leaves[len(pairs) * 2 :]
    return leaves[0] if leaves else hashlib.sha256(b"").digest()


def canonical(value) -> bytes:
    """RFC 8785, of what a seal has: ASCII texts and integers."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def signed_text(seal) -> bytes:
    return canonical({name: seal[name] for name in MEMBERS})


def digest(seal) -> str:
    return hashlib.sha256(signed_text(seal)).hexdigest()


def signed(keys, kid, signature, text: bytes) -> bool:
    try:
        raw = unpadded(signature)
    except (TypeError, ValueError):
        return False
    return kid in keys and ed25519.verifies(keys[kid], raw, text)


def unpadded(text: str) -> bytes:
    raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != text:
        raise ValueError("not base64url without padding")
    return raw


def known(jwks):
    """Public keys by their thumbprint (RFC 7638), which is computed: `kid` may say anything."""
    keys = {}
    for jwk in jwks:
        if isinstance(jwk, dict) and jwk.get("kty") == "OKP" and jwk.get("crv") == "Ed25519":
            needed = {name: jwk[name] for name in ("crv", "kty", "x")}
            thumbprint = hashlib.sha256(canonical(needed)).digest()
            keys[base64.urlsafe_b64encode(thumbprint).rstrip(b"=").decode()] = unpadded(jwk["x"])
    return keys


def check_seal(report, seal, before, keys, elsewhere, first_may_be_any=False):
    """All that a seal says by itself, against the one before, and against the copy kept elsewhere."""
    number, wrong = seal["seal"], []
    if before or not first_may_be_any:
        if number != (before["seal"] if before else 0) + 1:
            wrong.append("does not follow")
        elif seal["previous"] != (digest(before) if before else "0" * 64):
            wrong.append("previous")
    if not isinstance(seal["count"], int) or seal["count"] < 1:
        wrong.append("count")
    if not signed(keys, seal["kid"], seal["signature"], signed_text(seal)):
        wrong.append("signature")
    if number in elsewhere and any(elsewhere[number].get(name) != seal[name] for name in (*MEMBERS, "signature")):
        wrong.append("differs from the one kept elsewhere")
    for detail in wrong:
        report.fault("seal", number, detail=detail)


def check_leaves(report, seal, leaves):
    if len(leaves) != seal["count"]:
        report.fault("seal", seal["seal"], detail="number of leaves")
    elif root(leaves).hex() != seal["root"]:
        report.fault("seal", seal["seal"], detail="root")


def check_newest(report, last: int, elsewhere):
    if any(number > last for number in elsewhere):
        report.fault("truncated", last + 1, detail="there is a later seal elsewhere")


def event_id(text: bytes):
    """The event as whose it gives itself out, if it can be read at all."""
    try:
        name = json.loads(text)["eventId"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return name if isinstance(name, str) else None


def milliseconds(micros: int) -> str:
    """RFC 3339 in UTC, of microseconds since 1970."""
    time = EPOCH + timedelta(microseconds=micros)
    return time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03}Z"


def microseconds(text: str) -> int:
    time = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    return (time - EPOCH) // timedelta(microseconds=1)
