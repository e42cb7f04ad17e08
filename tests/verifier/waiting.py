"""Two events that no seal holds yet, put where a server stopped: usage: waiting.py DATABASE"""

import json
import sqlite3
import subprocess
import sys

import cases
import seals
import sources
from database import STREAM

address = sys.argv[1]
tables = sources.tables(address)
newest = max(tables["audit_events"], key=lambda row: row["time"])
stream = newest["position"] // STREAM
n = next(row["n"] for row in tables["event_streams"] if row["stream"] == stream)
held = [newest[name] for name in ("tenant", "agent_id", "action", "outcome")]
texts = [value.decode() if value else None for value in held]
commands = [f"UPDATE event_streams SET n = {n + 2} WHERE stream = {stream}"]
for i in (1, 2):
    body = {**json.loads(newest["body"]), "eventId": f"01985b5e-3c1a-7000-8000-00000000000{i}"}
    quoted = map(cases.quoted, [*texts, seals.canonical(body).decode()])
    values = [str(stream * STREAM + n + i), str(newest["time"]), *quoted]
    names = "position, time, tenant, agent_id, action, outcome, body"
    commands.append(f"INSERT INTO audit_events ({names}) VALUES ({', '.join(values)})")
if address.startswith("postgres"):
    subprocess.run(["psql", "-Xq", address, *[part for command in commands for part in ("-c", command)]], check=True)
else:
    with sqlite3.connect(address) as connection:
        for command in commands:
            connection.execute(command)
