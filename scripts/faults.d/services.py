"""What `scripts/services` has started, and what is started beside it, to be broken."""

import os
import re
import subprocess
import sys
import urllib.parse
from pathlib import Path

from parts import Failed, Part, free_port


def knows_redis(program):
    told = subprocess.run([program, "config"], capture_output=True, text=True, check=True,
                          env={"PATH": os.environ["PATH"]}, cwd="/")
    return re.search(r"^REDIS_URL\b", told.stdout, re.MULTILINE) is not None


def service(name):
    try:
        return os.environ[name]
    except KeyError:
        raise Failed(f"{name} is not set: run it through `scripts/services`") from None


def services_folder():
    return Path(service("TEST_SERVICES_DIR"))


def as_services():
    """Options for processes of the services' own user: neither PostgreSQL nor PgBouncer runs as
    root."""
    owner = services_folder().stat()
    if os.geteuid() != 0 or owner.st_uid == 0:
        return {}
    return {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}


def pgbouncer():
    """One of our own, set up like that of `scripts/services`, which others may be using."""
    folder, port = services_folder(), free_port()
    text = (folder / "pgbouncer.ini").read_text()
    text = re.sub(r"(?m)^listen_port = .*$", f"listen_port = {port}", text)
    file = folder / f"faults-{port}.ini"
    file.write_text(text)
    file.chmod(0o644)
    return Part("PgBouncer", ["pgbouncer", file], port, folder / f"faults-{port}.log",
                cwd=folder, **as_services())


def redis():
    port, folder = free_port(), services_folder()
    command = ["redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "",
               "--appendonly", "no", "--dir", folder]
    return Part("Redis", command, port, folder / f"faults-{port}.log", **as_services())


def relay(target):
    """A stretch of network to a port. Paused, it swallows what is sent; killed, it refuses."""
    port = free_port()
    program = Path(__file__).with_name("relay.py")
    return Part("the relay", [sys.executable, "-B", program, port, target], port, os.devnull)


def with_port(url, port):
    parts = urllib.parse.urlsplit(url)
    host = parts.netloc.rpartition(":")[0]
    return parts._replace(netloc=f"{host}:{port}").geturl()
