"""Certificates, made for one run, and clients of HTTPS who show them."""

import base64
import contextlib
import functools
import hashlib
import json
import socket
import ssl
import subprocess
import urllib.parse

from installation import HOST, Surprise


class Cards:
    """Certificates: the gateways' own, four agents', and two that nobody registered, one of which an agent signed."""

    def __init__(self, at):
        self.folder = at.folder
        self.make("gateway", "-addext", f"subjectAltName=DNS:{HOST}")
        self.make("holder")
        self.make("other", "-newkey", "rsa:2048")
        self.make("stranger")
        self.make("signed", "-CA", self.file("holder"), "-CAkey", self.file("holder", "key"))
        self.make("authority")
        self.make("issued", "-CA", self.file("authority"), "-CAkey", self.file("authority", "key"),
                  "-addext", "basicConstraints=critical,CA:FALSE")
        self.make("lapsed")
        self.lapse("lapsed")
        self.id, self.token = at.agent("holder", ["npu:read"])
        self.other_id, _ = at.agent("other", ["npu:read"])
        self.lapsed_id, _ = at.agent("lapsed", ["npu:read"])
        self.issued_id, _ = at.agent("issued", ["npu:read"])
        for name, agent in (("holder", self.id), ("other", self.other_id), ("lapsed", self.lapsed_id),
                            ("issued", self.issued_id)):
            at.api("POST", f"/api/v1/agents/{agent}/credentials", {"certificateThumbprint": self.thumbprint(name)})
        self.bound = self.token_by_certificate(at)

    def token_by_certificate(self, at):
        """One that is bound to it, from Countersign itself, which serves HTTPS so long."""
        at.stop(at.server)
        at.start(TLS_CERT_FILE=self.file("gateway"), TLS_KEY_FILE=self.file("gateway", "key"),
                 TLS_CLIENT_CA_FILE=self.file("authority"))
        form = urllib.parse.urlencode({"grant_type": "client_credentials", "client_id": self.issued_id}).encode()
        head = (f"POST /api/v1/token HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(form)}\r\nConnection: close\r\n"
                "Content-Type: application/x-www-form-urlencoded\r\n\r\n")
        with Client(self, "issued")(socket.create_connection(("127.0.0.1", at.port), 5)) as connection:
            connection.sendall(head.encode() + form)
            answer = connection.makefile("rb").read()
        at.stop(at.server)
        at.start()
        return json.loads(answer.partition(b"\r\n\r\n")[2])["access_token"]

    def file(self, name, kind="pem"):
        return self.folder / f"{name}.{kind}"

    def make(self, name, *how):
        kind = () if "-newkey" in how else ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
        openssl("req", "-x509", "-nodes", "-days", "1", "-subj", f"/CN={name}", "-out", self.file(name),
                "-keyout", self.file(name, "key"), *kind, *how)

    def lapse(self, name):
        """The same, but that its last day was yesterday."""
        key, request = self.file(name, "key"), self.file(name, "csr")
        openssl("req", "-new", "-key", key, "-subj", f"/CN={name}", "-out", request)
        openssl("x509", "-req", "-days", "-1", "-in", request, "-signkey", key, "-out", self.file(name))

    def der(self, name):
        return ssl.PEM_cert_to_DER_cert(self.file(name).read_text())

    def thumbprint(self, name):
        return base64.urlsafe_b64encode(hashlib.sha256(self.der(name)).digest()).decode().rstrip("=")

    def spoken(self, name):
        """A certificate in each form in which a gateway may hand it on."""
        der = base64.b64encode(self.der(name)).decode()
        return [urllib.parse.quote(self.file(name).read_text(), safe=""), der, f":{der}:"]


def openssl(*words):
    done = subprocess.run(["openssl", *words], capture_output=True, text=True, timeout=30)
    if done.returncode:
        raise Surprise(f"openssl: {done.stderr}")


# One set for all gateways.
cards_of = functools.cache(Cards)


class Client:
    """Connects by HTTPS with a certificate, and whatever others it sends behind that, or with none."""

    def __init__(self, cards, *names, version=None, alpn="http/1.1"):
        self.cards, self.session, self.latest, self.resumed = cards, None, None, False
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.load_verify_locations(cards.file("gateway"))
        self.context.set_alpn_protocols([alpn])
        if version:
            self.context.minimum_version = self.context.maximum_version = version
        if names:
            self.show(*names)

    def show(self, *names):
        chain = self.cards.file("-".join(names), "chain")
        chain.write_text("".join(self.cards.file(name).read_text() for name in names))
        self.context.load_cert_chain(chain, self.cards.file(names[0], "key"))

    @contextlib.contextmanager
    def __call__(self, connection):
        # The request need not wait until the handshake's last word has been heard.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self.context.wrap_socket(connection, server_hostname=HOST, session=self.session) as wrapped:
            yield wrapped
            self.resumed, self.latest = wrapped.session_reused, wrapped.session
