"""A Countersign with agents, operators, a route table and a guard; the proxies before it; and its record."""

import collections
import contextlib
import getpass
import json
import os
import pathlib
import re
import secrets
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

from http2 import GrpcStub
from service import Service, Stub

HERE = pathlib.Path(__file__).resolve().parents[2]
HOST = "npu.example"
CERTIFICATE = "X-Client-Cert"
IDENTITY = ("X-Caller-Id", "X-Caller-Type", "X-Caller-Roles", "X-Decision-Id")
ROUTES = [
    {"path": "/", "callers": ["*"]},
    {"path": "/npu/*", "methods": ["GET"], "permission": "npu:read"},
    {"path": "/npu/*", "methods": ["POST"], "permission": "npu:write"},
    {"path": "/memory/{id}", "permission": "memory:read"},
    {"path": "/any/*", "methods": ["GET", "POST"], "callers": ["*"]},
    {"path": "/all/*", "callers": ["*"]},
    {"path": "/machines/*", "callers": ["machine"]},
    {"path": "/admin/*", "callers": ["operator"]},
    {"path": "/raw/*", "callers": ["*"], "raw": True},
    {"path": "/open/*", "public": True},
    {"path": "/hosted/*", "host": "one.example", "callers": ["*"]},
    {"path": "/hosted/*", "host": "two.example", "callers": ["operator"]},
    {"path": "/watched/*", "permission": "npu:write", "guard": "npu"},
]


def who(request):
    """Who asks, as the service was told."""
    return [request.one(name) or "" for name in IDENTITY[:3]]


def spellings(name):
    """A name as clients may write it."""
    return [name, name.lower(), name.upper(), name.replace("-", "_"), name.lower().replace("-", "_"),
            name.replace("-", "_", 1), "-".join(name.rsplit("-", 1)[:1]) + "_" + name.rsplit("-", 1)[1]]


class Surprise(Exception):
    """Something is not as it must be."""


class Installation:
    def __init__(self, binary, folder, port, grpc_port):
        self.binary, self.folder = binary, pathlib.Path(folder)
        self.port, self.grpc_port = port, grpc_port
        self.children, self.gateways = [], []
        self.service, self.stub, self.grpc_stub = Service(), Stub(), GrpcStub()
        self.operator = "op_live_" + secrets.token_hex(32)
        self.machine = secrets.token_hex(32)
        # So that a gateway's own address is not the client's; not every system has it.
        self.client = "127.0.0.2"
        try:
            socket.create_server((self.client, 0)).close()
        except OSError:
            self.client = "127.0.0.1"
        self.seen = set()

    def prepare(self):
        self.start()
        self.api("PUT", "/api/v1/guards/npu", {"mode": "observe"})
        self.routes()
        self.reader_id, self.reader = self.agent("reader", ["npu:read"])
        self.writer_id, self.writer = self.agent("writer", ["npu:read", "npu:write"])
        made = self.api("POST", "/api/v1/operators", {
            "email": "olga@people.example", "displayName": "Olga", "roles": ["dev", "approver"]})
        self.dev_id = made["operatorId"]
        self.dev = self.api("POST", f"/api/v1/operators/{self.dev_id}/tokens", {})["token"]
        self.decided()

    def routes(self):
        self.api("PUT", "/api/v1/routes", {"default": "deny", "routes": ROUTES})

    def start(self, **more):
        settings = {
            "PORT": self.port, "EXT_AUTHZ_PORT": self.grpc_port,
            "DATABASE_URL": f"sqlite://{self.folder}/countersign.db",
            "BOOTSTRAP_ADMIN_TOKEN": self.operator, "MACHINE_SECRET_TOKEN": self.machine,
            "JWT_ALG": "ES256", "LOG_LEVEL": "warn", "CLIENT_CERT_HEADER": CERTIFICATE,
            "ISSUER_URL": f"http://127.0.0.1:{self.port}", **more,
        }
        flags = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
        self.server = self.launch("Countersign", self.port, [self.binary, "serve", *flags])

    def launch(self, name, port, command, **environment):
        log = self.folder / "log"
        with log.open("ab") as out:
            environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C", **environment}
            child = subprocess.Popen(command, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL,
                                     stdout=out, stderr=out)
        self.children.append(child)
        for _ in range(400):
            if child.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return child
            except OSError:
                time.sleep(0.05)
        raise Surprise(f"{name} did not start:\n" + "\n".join(log.read_text().splitlines()[-20:]))

    def stop(self, child, number=signal.SIGTERM):
        if child.poll() is None:
            child.send_signal(number)
            # One that is stopped ends only when it goes on.
            child.send_signal(signal.SIGCONT)
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self.children.remove(child)

    def end(self):
        for child in reversed(self.children[:]):
            self.stop(child)

    def api(self, method, path, body=None, form=None):
        headers = {"Authorization": f"Bearer {self.operator}"}
        data = None
        if form is not None:
            headers, data = {}, urllib.parse.urlencode(form).encode()
        elif body is not None:
            headers["Content-Type"], data = "application/json", json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise Surprise(f"{method} {path}: {error.code} {error.read().decode()}") from error

    def agent(self, name, scopes):
        agent = self.api("POST", "/api/v1/agents", {
            "email": f"{name}@agents.example", "agentType": "custom", "version": "1.0.0", "owner": "tests",
            "capabilities": ["tests:run"], "deploymentEnv": "development", "scopes": scopes})["agentId"]
        secret = self.api("POST", f"/api/v1/agents/{agent}/credentials", {})["clientSecret"]
        form = {"grant_type": "client_credentials", "client_id": agent, "client_secret": secret}
        return agent, self.api("POST", "/api/v1/token", form=form)["access_token"]

    def decided(self):
        """What was decided since the last time, the newest first."""
        new, cursor = [], ""
        while cursor is not None:
            page = self.api("GET", f"/api/v1/audit?limit=500&action=decision.made{cursor}")
            fresh = [event for event in page["data"] if event["eventId"] not in self.seen]
            new += [event for event in fresh if "request" in event["metadata"]]
            more = page.get("nextCursor") if len(fresh) == len(page["data"]) else None
            cursor = f"&cursor={urllib.parse.quote(more)}" if more else None
            self.seen.update(event["eventId"] for event in fresh)
        return new

    def gateway(self, name, program, port, spare):
        gateway = {"nginx": Nginx, "caddy": Caddy, "envoy": Envoy}[name](self, name, program, int(port), int(spare))
        self.gateways.append(gateway)
        return gateway


class Gateway:
    """A proxy with its example file, and what was found out through it."""

    # How it refuses what it takes for no request.
    not_http = (400, 405, 501)
    # Groups that are not for it: it speaks no HTTP/2 without TLS, as its file is.
    leaves_out = ("multiplexed",)

    def __init__(self, installation, name, program, port, spare):
        self.at, self.name, self.program, self.port, self.spare = installation, name, program, port, spare
        self.passed = collections.Counter()
        self.group, self.last = "", ""
        self.pending, self.broken = [], False
        self.child = self.serve(port, self.door())

    def door(self):
        """Where Countersign is asked."""
        return self.at.port

    def stub(self):
        """What can stand in its place."""
        return self.at.stub

    def serve(self, port, countersign, https=str):
        """Starts it; `https` makes of its configuration one for HTTPS."""
        raise NotImplementedError

    def run(self, group):
        if group.__name__ in self.leaves_out:
            return
        self.group = group.__doc__
        self.broken = group.__name__ in ("smuggling", "multiplexed")
        group(self)
        self.settle()

    def check(self, holds, what, seen=""):
        if not holds:
            raise Surprise(f"{self.name}, {self.group}: {what}\n  sent: {self.last}\n  seen: {seen}")
        self.passed[self.group] += 1

    def send(self, data, port=None, patience=0.4, rest=b"", client=contextlib.closing):
        """Sends bytes as they are; the answers, as far as there are any. `client` makes HTTPS of a connection."""
        text = repr(data + rest)
        self.last = text if len(text) < 1500 else f"{text[:1000]}… {len(data)} bytes"
        out = b""
        with client(socket.create_connection(("127.0.0.1", port or self.port), 5, (self.at.client, 0))) as connection:
            connection.settimeout(patience)
            try:
                connection.sendall(data)
                if rest:
                    time.sleep(0.05)
                    connection.sendall(rest)
                while more := connection.recv(65536):
                    out += more
                    if Answers(out).last:
                        # Envoy says that it closes, and then waits a second for the client to.
                        connection.settimeout(0.02)
            except (TimeoutError, ConnectionError, ssl.SSLError):
                pass
        return Answers(out)

    def ask(self, method, target, token=None, headers=(), body=None, host=HOST, version="HTTP/1.1", **how):
        """Sends one request."""
        lines = [f"{method} {target} {version}".encode("latin-1")]
        if host is not None:
            lines.append(f"Host: {host}".encode())
        if token:
            name = "X-Machine-Token: " if token == self.at.machine else "Authorization: Bearer "
            lines.append(name.encode() + token.encode())
        if body is not None:
            lines.append(b"Content-Length: %d" % len(body))
        lines += [f"{name}: {value}".encode("latin-1") for name, value in headers]
        if not any(name.lower() == "connection" for name, _ in headers):
            lines.append(b"Connection: close")
        return self.send(b"\r\n".join(lines) + b"\r\n\r\n" + (body or b""), patience=how.pop("patience", 10), **how)

    def passes(self, *request, **how):
        """Sends a request that must reach the service; as it was there."""
        answers = self.ask(*request, **how)
        arrived = self.arrived()
        self.check(answers.statuses == [200] and len(arrived) == 1, "it must be served once", (answers, *arrived))
        return arrived[0]

    def refused(self, status, *request, **how):
        """Sends a request that must not reach the service."""
        answers = self.ask(*request, **how)
        arrived = self.arrived()
        wanted = [status] if isinstance(status, int) else list(status)
        good = len(answers.statuses) == 1 and answers.statuses[0] in wanted and not arrived
        self.check(good, f"it must be refused with {status}", (answers, *arrived))
        return answers

    def arrived(self):
        """What reached the service since the last time; held against the record when the group is over."""
        new = self.at.service.take()
        self.pending.extend(new)
        return new

    def settle(self):
        """Each request that reached the service was decided about as it is, once; the events of it all."""
        if self.broken:
            # Of what the client has given up the service hears a little later.
            time.sleep(0.2)
        self.arrived()
        arrived, events = self.pending[:], self.at.decided()
        self.pending.clear()
        # The record holds so much of a path.
        text = lambda request: request.target.decode("latin-1").partition("?")[0][:1024]
        served = collections.Counter()
        for one in arrived:
            if text(one).startswith("/open/"):
                self.check(one.one("x-decision-id") in ("", None), "nothing is decided on a public route", one)
            elif not one.one("x-caller-id"):
                # Of strangers the record holds some, and counts of the rest.
                watched = text(one).startswith("/watched/") and (one.one("x-decision-id") or "").startswith("decision:")
                self.check(watched, "a stranger passes only what is observed", one)
            else:
                served[one.method.decode(), one.one("host"), text(one), one.one("x-decision-id")] += 1
        decided = collections.Counter()
        for event in events:
            if event["outcome"] != "denied" and event["actorType"] != "anonymous":
                asked = event["metadata"]["request"]
                decided[asked["method"], asked["host"], asked["path"], event["decisionId"]] += 1
        self.last = "all of the group"
        # A request may be found to be broken after it was decided about; never the other way round.
        holds = served <= decided if self.broken else served == decided
        self.check(holds, "what was served is what was decided",
                   f"served only {served - decided}, decided only {decided - served}")
        return events


class Answers:
    """What came back, by answers."""

    def __init__(self, out):
        self.out, self.statuses, self.heads = out, [], []
        # Whether it is whole, and said to be the last.
        self.last = False
        while out.startswith(b"HTTP/1."):
            head, _, out = out.partition(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")
            status = int(lines[0].split(" ")[1])
            headers = [(n.lower(), v.strip()) for n, _, v in (line.partition(":") for line in lines[1:])]
            given = dict(headers).get("content-length")
            length = len(out) if given is None else int(given)
            self.last = ("connection", "close") in headers and given == str(len(out))
            out = out if status < 200 else out[length:]
            if status == 100:
                continue
            self.statuses.append(status)
            self.heads.append(headers)

    def all(self, name):
        return [value for head in self.heads for n, value in head if n == name]

    def __str__(self):
        return f"{self.statuses} {self.out[:600]!r}"

    __repr__ = __str__


class Nginx(Gateway):
    def serve(self, port, countersign, https=str):
        folder = self.at.folder / f"nginx-{port}"
        folder.mkdir(exist_ok=True)
        temporary = "\n".join(f"    {kind}_temp_path {kind};"
                              for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (folder / "nginx.conf").write_text(https(f"""
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr crit;
{f"user {getpass.getuser()};" if os.geteuid() == 0 else ""}
events {{}}
http {{
    access_log off;
{temporary}
    upstream countersign {{ server 127.0.0.1:{countersign}; keepalive 32; }}
    upstream npu         {{ server 127.0.0.1:{self.at.service.port}; keepalive 32; }}
    server {{
        listen 127.0.0.1:{port};
        server_name {HOST};
        set $service npu;
        include {HERE}/deploy/nginx/countersign.conf;
    }}
}}
"""))
        return self.at.launch("nginx", port, [self.program, "-p", folder, "-c", folder / "nginx.conf", "-e", "stderr"])


class Caddy(Gateway):
    def serve(self, port, countersign, https=None):
        folder = self.at.folder / f"caddy-{port}"
        folder.mkdir(exist_ok=True)
        file, site = HERE / "deploy/caddy/Caddyfile", f"http://:{port}"
        if https:
            text, file, site = file.read_text(), folder / "Caddyfile", f"https://{HOST}:{port}"
            file.write_text(https(text))
        return self.at.launch(
            "Caddy", port, [self.program, "run", "--adapter", "caddyfile", "--config", file],
            HOME=str(folder), ADMIN="off", BIND="127.0.0.1", SITE=site,
            COUNTERSIGN=f"127.0.0.1:{countersign}", SERVICE=f"127.0.0.1:{self.at.service.port}")


class Envoy(Gateway):
    # It has no route for a request without a path.
    not_http = (400, 404)
    leaves_out = ()

    def door(self):
        return self.at.grpc_port

    def stub(self):
        return self.at.grpc_stub

    def serve(self, port, countersign, https=str):
        # Envoy has no variables, so a copy gets other ports; all else in it stays as it is.
        ports = {"8080": port, "3001": countersign, "9000": self.at.service.port}
        text = (HERE / "deploy/envoy/envoy.yaml").read_text()
        if sorted(re.findall(r"port_value: (\d+)", text)) != sorted(ports):
            raise Surprise(f"deploy/envoy/envoy.yaml: not each of the ports {', '.join(ports)} once, and no other")
        file = self.at.folder / f"envoy-{port}.yaml"
        file.write_text(https(re.sub(r"(port_value: )(\d+)", lambda found: f"{found[1]}{ports[found[2]]}", text)))
        # Two of them run at once, and each would take the other for its predecessor.
        return self.at.launch("Envoy", port, [self.program, "-c", file, "--disable-hot-restart", "--concurrency", "1",
                                              "--log-level", "error"])
