"""Processes that can be broken and mended; the nodes of Countersign among them."""

import os
import random
import secrets
import signal
import socket
import subprocess
import time

from wire import Unanswered, exchange


class Failed(Exception):
    """The run cannot go on; the message says why."""


def until(what, limit, holds):
    """Asks again and again whether it is so."""
    deadline = time.monotonic() + limit
    while not (found := holds()):
        if time.monotonic() > deadline:
            raise Failed(f"{what} within {limit} s")
        time.sleep(0.02)
    return found


def free_port():
    """Below the range from which systems choose the ports of outgoing connections."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


class Part:
    """A process that can be stopped, killed, paused and started again, always on the same port."""

    def __init__(self, name, command, port, log, **options):
        self.name, self.command, self.port, self.log = name, command, port, log
        self.options, self.process = options, None

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(word) for word in self.command], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, **self.options)
        try:
            until(f"{self.name} is not ready", 60, self._is_up)
        except Failed as reason:
            raise Failed(f"{reason}; its log ends:\n{self.last_words()}") from None
        return self

    def _is_up(self):
        if self.process.poll() is not None:
            raise Failed(f"{self.name} ended with status {self.process.returncode}")
        return self.is_ready()

    def is_ready(self):
        return listens(self.port)

    def send(self, which):
        self.process.send_signal(which)

    def stop(self, which=signal.SIGTERM, limit=40):
        """Asks it to end; gives its exit status."""
        self.send(which)
        try:
            return self.process.wait(limit)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failed(f"{self.name} did not end within {limit} s") from None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        """For good, in whatever state it is."""
        if self.process:
            self.kill()

    def last_words(self):
        with open(self.log, errors="replace") as log:
            return "".join(log.readlines()[-20:])


class Node(Part):
    """`countersign serve` in an environment that holds nothing but what is set here."""

    def __init__(self, name, program, place, settings):
        port = free_port()
        environment = {"PATH": os.environ["PATH"], "PORT": str(port), **settings}
        folder = place / name.replace(" ", "-")
        folder.mkdir(exist_ok=True)
        super().__init__(name, [program, "serve"], port, folder / "log", cwd=folder,
                         env=environment)

    def is_ready(self):
        try:
            return exchange(self.port, "GET", "/readyz", limit=2).status == 200
        except Unanswered:
            return False

    def reach_database_at(self, url):
        self.options["env"]["DATABASE_URL"] = url


def settings(database, migrate, redis=None):
    """Of every node alike: nodes share keys, issuer and database."""
    found = {
        "DATABASE_URL": database,
        "DATABASE_MIGRATE_URL": migrate,
        "ISSUER_URL": "http://countersign.test",
        "MASTER_KEY": secrets.token_hex(32),
        "BOOTSTRAP_ADMIN_TOKEN": f"op_live_{secrets.token_hex(32)}",
        # A key of RSA takes long to make.
        "JWT_ALG": "ES256",
        "LOG_FORMAT": "json",
    }
    if redis:
        found["REDIS_URL"] = redis
    return found
