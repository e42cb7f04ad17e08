"""Somebody else takes the connections."""

import signal
import socket
import struct
import subprocess
import threading
import time
import urllib.parse

from parts import until
from postgres import signal_if_there

# As many as scripts/services lets PgBouncer have for a database.
POOL = 10


def hold_pool(url, seconds):
    """Takes as many connections of a pooler as it gives, for as long."""
    hold = ["psql", "-XAtq", url, "-c", f"SELECT pg_sleep({seconds})"]
    held = [subprocess.Popen(hold, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            for _ in range(POOL)]
    for one in held:
        one.wait()


def fill(database, pooler, seconds):
    """Holds every connection that it allows. The pooler, which would be quicker, stands still
    until there is none left for it."""
    port, held, enough = urllib.parse.urlsplit(database.server).port, [], threading.Event()
    backends = database.sql("SELECT pid FROM pg_stat_activity WHERE backend_type = "
                        "'client backend' AND pid <> pg_backend_pid()")
    grabbing = threading.Thread(target=grab, args=(port, held, enough))
    pooler.send(signal.SIGSTOP)
    try:
        for (pid,) in backends:
            signal_if_there(int(pid), signal.SIGTERM)
        grabbing.start()
        until("PostgreSQL still has connections", 30, lambda: is_full(port))
        pooler.send(signal.SIGCONT)
        time.sleep(seconds)
    finally:
        pooler.send(signal.SIGCONT)
        enough.set()
        grabbing.join()
        for one in held:
            one.close()


def grab(port, held, enough):
    """Opens connections until told otherwise."""
    while not enough.is_set():
        if one := taken(port):
            held.append(one)
        else:
            time.sleep(0.002)


def taken(port):
    """A connection that has not proved who it is yet: it counts like any other. None when there
    are too many."""
    hello = b"user\0countersign\0database\0postgres\0\0"
    hello = struct.pack("!ii", 8 + len(hello), 3 << 16) + hello
    one = None
    try:
        one = socket.create_connection(("127.0.0.1", port), 2)
        one.sendall(hello)
        # `R` asks who it is, `E` says that there is no room.
        if one.recv(1) == b"R":
            return one
        one.close()
    except OSError:
        if one:
            one.close()
    return None


def is_full(port):
    if one := taken(port):
        one.close()
    return one is None
