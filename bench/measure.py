"""Servers on one core, wrk on the other, and what /proc says of the servers."""

import http.client
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass

SERVER_CORE, LOAD_CORE = 0, 1
TICKS = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """The run cannot go on; the message says why."""


def need_wrk():
    """Installs wrk where that can be done."""
    if not shutil.which("wrk") and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-qq", "wrk"], check=True, stdout=sys.stderr)
    if not shutil.which("wrk"):
        raise Failed("needs `wrk`: install the package wrk")


def call(port, method, path, body=None, headers=None):
    """One request; the answer's status and text."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Server:
    """A process pinned to the servers' core, ready when `ready` answers 200; `with` ends it."""
    # Seconds after which all is done that a request leaves for later.
    rest = 0

    def __init__(self, command, port, ready, log, **options):
        self.port, self.log = port, log
        started = time.perf_counter()
        with open(log, "wb") as out:
            self.process = subprocess.Popen(
                ["taskset", "-c", str(SERVER_CORE), *map(str, command)],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, **options)
        try:
            self._wait(ready, started + 30)
        except BaseException:
            self.stop()
            raise
        self.ready_after = time.perf_counter() - started

    def _wait(self, ready, deadline):
        while self.process.poll() is None and time.perf_counter() < deadline:
            try:
                if call(self.port, "GET", ready)[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.002)
        raise Failed(f"a server did not get ready; its log ends:\n{self.last_words()}")

    def last_words(self):
        with open(self.log, errors="replace") as log:
            return "".join(log.readlines()[-20:])

    def cpu(self):
        """Seconds of CPU so far, of all its threads."""
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def cpu_at_rest(self):
        """The same once the server rests: what a request leaves for later, its event's seal, is its cost, too."""
        cpu, deadline = self.cpu(), time.perf_counter() + 10
        while self.rest and time.perf_counter() < deadline:
            time.sleep(self.rest)
            later = self.cpu()
            # As much as it takes when nobody asks.
            if later - cpu <= 3 / TICKS:
                break
            cpu = later
        return cpu

    def resident_mb(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1]) / 1024

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def make_at_home(url, postmaster):
    """Makes of a fresh PostgreSQL one that has run for a while elsewhere: all its processes on the
    load's core, and the segments of its log there to be written anew. A fresh one makes them under
    the load, and every commit waits meanwhile."""
    children = subprocess.run(["pgrep", "-P", postmaster], capture_output=True, text=True)
    for process in [postmaster, *children.stdout.split()]:
        subprocess.run(["taskset", "-apc", str(LOAD_CORE), process], check=True,
                       stdout=subprocess.DEVNULL)
    segment = "PERFORM pg_logical_emit_message(false, '', ''); PERFORM pg_switch_wal();"
    fill = f"DO $$ BEGIN FOR i IN 1..60 LOOP {segment} END LOOP; END $$"
    subprocess.run(["psql", "-qX", url, "-c", fill, "-c", "CHECKPOINT"], check=True)


@dataclass
class Sample:
    """What one run of wrk found."""
    requests: int
    per_cpu: float  # requests per second of the server's CPU
    per_wall: float
    p50: float  # ms
    p99: float


@dataclass
class Load:
    """A load by wrk on one server: a path, or a script with its environment."""
    server: Server
    path: str = "/"
    script: str | None = None
    environment: dict | None = None

    def run(self, connections, seconds):
        command = ["taskset", "-c", str(LOAD_CORE), "wrk", "-t1", f"-c{connections}",
                   f"-d{seconds}s", "--timeout", "10s", "--latency"]
        if self.script:
            command += ["-s", f"bench/{self.script}"]
        command.append(f"http://127.0.0.1:{self.server.port}{self.path}")
        before = self.server.cpu()
        done = subprocess.run(command, env={**os.environ, **(self.environment or {})},
                              capture_output=True, text=True)
        cpu = self.server.cpu_at_rest() - before
        if done.returncode or re.search(r"Non-2xx|Socket errors", done.stdout):
            raise Failed(f"not every answer was a success: {' '.join(command)}\n"
                         f"{done.stdout}{done.stderr}"
                         f"the server's log ends:\n{self.server.last_words()}")

        def found(pattern):
            return re.search(rf"^ *{pattern}", done.stdout, re.MULTILINE)[1]

        requests = int(found(r"(\d+) requests in"))
        return Sample(requests=requests, per_cpu=requests / max(cpu, 1 / TICKS),
                      per_wall=float(found(r"Requests/sec: +(\S+)")),
                      p50=milliseconds(found(r"50% +(\S+)")),
                      p99=milliseconds(found(r"99% +(\S+)")))


def milliseconds(text):
    """Reads wrk's `312.00us`, `1.20ms` or `1.02s`."""
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * {"us": 1e-3, "ms": 1, "s": 1e3, "m": 6e4}[unit]


def interleaved(loads, connections, options):
    """Samples in rounds, one of each load a round. The rounds are short and many: a neighbour of
    the machine comes and goes by the second, and should meet both sides of a round or neither."""
    for load in loads:
        load.run(connections, 1)
    return [[load.run(connections, options.seconds) for load in loads]
            for _ in range(options.rounds)]
