"""The PostgreSQL of `scripts/services`, and what can happen to it."""

import os
import secrets
import signal
import subprocess
import time
import urllib.parse

from parts import Failed
from services import as_services, service, services_folder


class Postgres:
    """A database of our own in it."""

    engine = "PostgreSQL"

    def __init__(self):
        self.server = service("TEST_POSTGRES_URL")
        self.folder = services_folder()
        self.name = f"faults_{secrets.token_hex(4)}"
        self.standby = None
        self.sql(f"CREATE DATABASE {self.name}", self.server)
        self.url = urllib.parse.urlsplit(self.server)._replace(path=f"/{self.name}").geturl()

    def drop(self):
        if self.standby:
            self.standby.end()
        self.sql(f"DROP DATABASE {self.name} WITH (FORCE)", self.server)

    def sql(self, statement, url=None):
        """What one statement gives: rows of texts."""
        done = subprocess.run(["psql", "-XAtq", "-F", "\t", url or self.url, "-c", statement],
                              capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"psql: {done.stderr}")
        return [line.split("\t") for line in done.stdout.splitlines()]

    def control(self, what):
        done = subprocess.run([self.folder / "postgres-ctl", what], capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"postgres-ctl {what}: {done.stdout}{done.stderr}")

    def answers(self):
        return subprocess.run(["psql", "-XAtq", self.url, "-c", "SELECT 1"],
                              capture_output=True).returncode == 0

    def down(self, how, seconds):
        self.control(how)
        time.sleep(seconds)
        self.control("start")

    def processes(self):
        """The postmaster first."""
        postmaster = (self.folder / "postgres/postmaster.pid").read_text().split()[0]
        children = subprocess.run(["pgrep", "-P", postmaster], capture_output=True, text=True)
        return [int(pid) for pid in [postmaster, *children.stdout.split()]]

    def pause(self, seconds):
        paused = self.processes()
        try:
            for pid in paused:
                signal_if_there(pid, signal.SIGSTOP)
            time.sleep(seconds)
        finally:
            for pid in reversed(paused):
                signal_if_there(pid, signal.SIGCONT)

    def run(self, *command):
        """One of its own programs, as its own user."""
        options = as_services()
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
        done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                              cwd=self.folder, env=environment, **options)
        if done.returncode:
            raise Failed(f"{command[0]}: {done.stderr}")


def signal_if_there(pid, which):
    try:
        os.kill(pid, which)
    except ProcessLookupError:
        pass
