"""Client certificates at gateways that serve HTTPS: an agent is known by its own, and by nothing that a client says.

The lines that make HTTPS of a gateway's configuration are those in its README. They get other ports and files.
"""

import concurrent.futures
import functools
import hashlib
import re
import ssl

import http2
from cards import Client, cards_of
from installation import CERTIFICATE, HERE, HOST, IDENTITY, Surprise, spellings, who

VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
# What else gateways tell certificates in.
ELSEWHERE = ("X-Forwarded-Client-Cert", "X-Forwarded-Tls-Client-Cert", "X-SSL-Cert", "Client-Cert", "Client-Cert-Chain")

# What the lines stand in the place of, or where they are put in.
PLACES = {
    "nginx": r"^ *listen .*;\n",
    "caddy": r"(?<=^\tbind \{\$BIND:0\.0\.0\.0\}\n)",
    "envoy": r"^    filter_chains:\n    - filters:\n",
}


def https(gate, cards, text):
    """A gateway's configuration with what its README says of client certificates."""
    readme = (HERE / f"deploy/{gate.name}/README.md").read_text()
    lines = re.search(r"^## Client certificates\n(?:(?!^## ).*\n)*?```.*\n((?:.*\n)*?)```$", readme, re.M)
    if not lines or len(re.findall(PLACES[gate.name], text, re.M)) != 1:
        raise Surprise(f"deploy/{gate.name}/README.md: no lines for client certificates, or no place for them")
    lines = lines[1].replace("listen 443", f"listen 127.0.0.1:{gate.spare}")
    for kind in ("pem", "key"):
        lines = lines.replace(f"/etc/ssl/npu.{kind}", str(cards.file("gateway", kind)))
    # Caddy would serve port 80, too.
    text = text.replace("\tadmin ", "\tauto_https disable_redirects\n\tadmin ")
    return re.sub(PLACES[gate.name], lambda _: lines, text, count=1, flags=re.M)


def certificates(gate):
    """HTTPS: client certificates"""
    cards = cards_of(gate.at)
    child = gate.serve(gate.spare, gate.door(), functools.partial(https, gate, cards))
    for part in (owners, claims, sessions, at_once):
        part(gate, cards)
    if gate.name != "nginx":
        over_http2(gate, cards)
    gate.at.stop(child)


def passes(gate, client, told, target="/any/1", token=None, headers=()):
    """It must be served as its caller's, and nobody hears of a certificate."""
    seen = gate.passes("GET", target, token, headers, client=client, port=gate.spare)
    told_of(gate, seen, told)
    gate.check(seen.all("x-forwarded-proto") == ["https"], "and of HTTPS", seen)


def told_of(gate, seen, told):
    gate.check(who(seen) == told, f"the service is told {told}", seen)
    gate.check(all(len(seen.all(name)) <= 1 for name in IDENTITY), "once", seen)
    gate.check(not seen.all(CERTIFICATE) and not seen.all("x-forwarded-client-cert"), "and of no certificate", seen)


def refused(gate, client, status, target="/any/1", token=None, headers=(), method="GET"):
    return gate.refused(status, method, target, token, headers, client=client, port=gate.spare)


def owners(gate, cards):
    """Whoever has the certificate's key."""
    at, holder, other = gate.at, [cards.id, "agent", ""], [cards.other_id, "agent", ""]
    reader, dev = [at.reader_id, "agent", ""], [at.dev_id, "operator", "dev,approver"]
    for version in VERSIONS:
        passes(gate, Client(cards, "holder", version=version), holder)
        passes(gate, Client(cards, "other", version=version), other)
        refused(gate, Client(cards, "stranger", version=version), 401)
        refused(gate, Client(cards, version=version), 401)
    owner, stranger, nobody = Client(cards, "holder"), Client(cards, "stranger"), Client(cards)
    passes(gate, owner, holder, "/npu/1")
    refused(gate, owner, 403, "/npu/1", method="POST")
    refused(gate, owner, 403, "/admin/1")
    passes(gate, owner, holder, "/open/1")
    for client in (stranger, nobody):
        passes(gate, client, ["", "", ""], "/open/1")
    for name in (CERTIFICATE, "Upgrade, X-Client-Cert"):
        passes(gate, owner, holder, headers=[("Connection", f"close, {name}")])
    # A token beside it.
    passes(gate, owner, holder, token=cards.token)
    for client in (nobody, stranger):
        passes(gate, client, reader, token=at.reader)
        passes(gate, client, dev, token=at.dev)
    for token in (at.reader, at.dev, at.machine, cards.token + "x"):
        refused(gate, owner, 401, token=token)
    # One that is bound to a certificate is nothing without it.
    issued = [cards.issued_id, "agent", ""]
    passes(gate, Client(cards, "issued"), issued, token=cards.bound)
    for client in (owner, stranger, nobody):
        refused(gate, client, 401, token=cards.bound)
    # The READMEs say who looks at dates.
    if gate.name == "nginx":
        refused(gate, Client(cards, "lapsed"), 400)
    else:
        passes(gate, Client(cards, "lapsed"), [cards.lapsed_id, "agent", ""])
    # Of several the first, whose key it is; not one that signed it, either.
    passes(gate, Client(cards, "issued"), issued)
    passes(gate, Client(cards, "issued", "authority"), issued)
    passes(gate, Client(cards, "holder", "stranger"), holder)
    passes(gate, Client(cards, "other", "holder"), other)
    for names in (("stranger", "holder"), ("signed", "holder"), ("signed",), ("authority",)):
        refused(gate, Client(cards, *names), 401)


def claims(gate, cards):
    """Whoever names an agent's certificate, and has not its key."""
    at, other, reader = gate.at, [cards.other_id, "agent", ""], [gate.at.reader_id, "agent", ""]
    nobody, stranger, another = Client(cards), Client(cards, "stranger"), Client(cards, "other")
    spoken = cards.spoken("holder")
    every = [(spelt, text) for spelt in dict.fromkeys(spellings(CERTIFICATE)) for text in spoken]
    twice = [[one, one] for one in every[:3]] + [[(CERTIFICATE, ""), one] for one in every[:3]]
    lists = [[(CERTIFICATE, ",".join(spoken[1:]))], every[::2], every[1::2]]
    envoy = [f'Hash={hashlib.sha256(cards.der("holder")).hexdigest()};Cert="{spoken[0]}"']
    elsewhere = [[(name, text)] for name in ELSEWHERE for text in spoken[:2] + envoy]
    junk = [[(CERTIFICATE, text)] for text in ("", "::", "x", "%00", ",", cards.thumbprint("holder"))]
    for headers in [[one] for one in every] + twice + lists + elsewhere + junk:
        gate.refused(401, "GET", "/any/1", None, headers)
        refused(gate, nobody, 401, headers=headers)
        refused(gate, stranger, 401, headers=headers)
        if any(name in ELSEWHERE for name, _ in headers):
            continue
        told_of(gate, gate.passes("GET", "/any/1", at.reader, headers), reader)
        passes(gate, nobody, ["", "", ""], "/open/1", headers=headers)
        passes(gate, another, other, headers=headers)
    trailing = (f"POST /any/1 HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"
                f"Trailer: {CERTIFICATE}\r\n\r\n3\r\nabc\r\n0\r\n{CERTIFICATE}: {spoken[1]}\r\n\r\n")
    answers = gate.send(trailing.encode(), patience=5, client=nobody, port=gate.spare)
    gate.check(answers.statuses in ([400], [401]) and not gate.arrived(), "nor in a trailer", answers)


def sessions(gate, cards):
    """Sessions that are resumed, and several requests on one connection."""
    at, holder = gate.at, [cards.id, "agent", ""]
    for version in VERSIONS:
        owner, nobody = Client(cards, "holder", version=version), Client(cards, version=version)
        passes(gate, owner, holder)
        refused(gate, nobody, 401)
        # Who it was counts, even of a client that has got another certificate since.
        for names in ((), ("other",)):
            owner.session, nobody.session = owner.latest, nobody.latest
            if names:
                owner.show(*names)
                nobody.show(*names)
            passes(gate, owner, holder)
            refused(gate, nobody, 401)
            gate.check(owner.resumed and nobody.resumed, "sessions are resumed", version)
    claim = f"{CERTIFICATE}: {cards.spoken('holder')[1]}\r\n"
    other = f"{CERTIFICATE}: {cards.spoken('other')[1]}\r\n"
    bearer = "Authorization: Bearer {}\r\n".format
    lines = [("/any/1", ""), ("/any/2", bearer(at.reader)), ("/open/3", claim), ("/any/4", bearer(cards.token)),
             ("/admin/5", ""), ("/any/6", other), ("/any/7", "Connection: close\r\n")]
    data = "".join(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n{more}\r\n" for path, more in lines).encode()
    for names, statuses, told in (
        (("holder",), [200, 401, 200, 200, 403, 200, 200],
         {"/any/1": cards.id, "/open/3": cards.id, "/any/4": cards.id, "/any/6": cards.id, "/any/7": cards.id}),
        ((), [401, 200, 200, 200, 401, 401, 401], {"/any/2": at.reader_id, "/open/3": "", "/any/4": cards.id}),
    ):
        answers = gate.send(data, patience=5, client=Client(cards, *names), port=gate.spare)
        seen = {one.target.decode(): who(one)[0] for one in gate.arrived()}
        gate.check(answers.statuses == statuses and seen == told, "each is decided by itself", (answers, seen))


def at_once(gate, cards):
    """Many clients, whose requests share the gateway's connections to Countersign and to the service."""
    kinds = [(("holder",), cards.id), ((), None), (("other",), cards.other_id), (("stranger",), None)]
    clients = [Client(cards, *names) for names, _ in kinds]

    def one(number):
        request = f"GET /any/1?{number} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode()
        return gate.send(request, patience=10, client=clients[number % 4], port=gate.spare).statuses

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(one, range(48)))
    seen = {int(request.target.partition(b"?")[2]): who(request)[0] for request in gate.arrived()}
    for number, found in enumerate(statuses):
        told = kinds[number % 4][1]
        holds = found == [200 if told else 401] and seen.get(number) == told
        gate.check(holds, "each of many is its own", (number, found, seen))


def over_http2(gate, cards):
    """The same, where HTTPS comes with HTTP/2."""
    names = dict.fromkeys(spelt.lower() for spelt in spellings(CERTIFICATE))
    forged = [(name, text) for name in names for text in cards.spoken("holder")]
    head = [(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "/any/1")]
    for names, told in ((("holder",), cards.id), (("other",), cards.other_id), (("stranger",), None), ((), None)):
        for headers in [[]] + [[one] for one in forged] + [[forged[0]] * 2]:
            gate.last = repr((names, headers))[:1500]
            client = Client(cards, *names, alpn="h2")
            found, = http2.exchange(gate.at.client, gate.spare, ([*head, *headers], None, ()), client=client)
            seen = gate.arrived()
            gate.check(found == (200 if told else 401) and len(seen) == bool(told), "HTTP/2", (found, *seen))
            for one in seen:
                told_of(gate, one, [told, "agent", ""])
