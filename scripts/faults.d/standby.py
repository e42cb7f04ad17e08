"""A second PostgreSQL that has everything before a commit is acknowledged, and takes the first one's
place when that is gone."""

import re
import shutil
import signal
import subprocess

from parts import Part, free_port, until
from services import as_services


class Standby:
    def __init__(self, first):
        self.first, self.folder = first, first.folder / "standby"
        port = free_port()
        self.part = Part("the standby", ["postgres", "-D", self.folder, "-p", port], port,
                         first.folder / f"faults-{port}.log", cwd=first.folder, **as_services())

    def follow(self):
        first = self.first
        first.run("pg_basebackup", "--pgdata", self.folder, "--dbname", first.server,
                  "--write-recovery-conf", "--checkpoint", "fast", "--no-sync")
        self.part.start()
        first.sql("ALTER SYSTEM SET synchronous_standby_names = '*'", first.server)
        first.sql("SELECT pg_reload_conf()", first.server)
        until("the standby does not follow", 30, lambda: first.sql(
            "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'", first.server))

    def take_over(self):
        """At the first one's port."""
        self.first.control("kill")
        self.first.run("pg_ctl", "-D", self.folder, "-w", "-s", "promote")
        # A fast shutdown.
        self.part.stop(signal.SIGINT)
        place, lost = self.first.folder / "postgres", self.first.folder / "lost"
        place.rename(lost)
        self.folder.rename(place)
        self.first.control("start")
        release_memory(lost)
        shutil.rmtree(lost)

    def end(self):
        """If it has not taken over: nobody waits for it any more."""
        if not self.folder.exists():
            return
        self.part.end()
        release_memory(self.folder)
        self.first.sql("ALTER SYSTEM RESET synchronous_standby_names", self.first.server)
        self.first.sql("SELECT pg_reload_conf()", self.first.server)


def release_memory(folder):
    """One that was killed leaves its shared memory, which its pid file names."""
    try:
        lines = (folder / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return
    named = re.fullmatch(r"\s*\d+\s+(\d+)\s*", lines[6]) if len(lines) > 6 else None
    if named:
        subprocess.run(["ipcrm", "-m", named[1]], capture_output=True)
