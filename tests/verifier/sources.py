"""The tables of a record, from SQLite or PostgreSQL, as rows of Python's values; texts are bytes."""

import csv
import os
import sqlite3
import subprocess
import sys

from seals import Unreadable

# Of each column: i an integer, t a text, b bytes.
TABLES = {
    "audit_events": {"position": "i", "time": "i"}
    | dict.fromkeys(("tenant", "agent_id", "action", "outcome", "body"), "t"),
    "event_streams": {"stream": "i", "n": "i"},
    "seals": {"seal": "i", "count": "i", "time": "i"}
    | dict.fromkeys(("root", "previous", "kid", "signature"), "t")
    | {"leaves": "b"},
    "seal_spans": {"seal": "i", "at": "i", "stream": "i", "first": "i", "last": "i"},
    "sealed_streams": {"stream": "i", "n": "i"},
    "seal_head": {"seal": "i", "digest": "t"},
    "signing_keys": {"public": "t"},
}
WHERE = {"signing_keys": " WHERE purpose = 'seal' AND public IS NOT NULL"}


def tables(address: str):
    """Every row, each a dictionary, by table; those of a table in ascending order of the columns named above."""
    if address.startswith(("postgres://", "postgresql://")):
        return postgres(address)
    return sqlite(address.removeprefix("sqlite://"))


def order(table: str) -> str:
    return f" ORDER BY {', '.join(list(TABLES[table])[:4])}"


def sqlite(path: str):
    if not os.path.isfile(path):
        raise Unreadable(f"{path} is no file")
    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            connection.text_factory = bytes
            found = {}
            for table, columns in TABLES.items():
                query = f"SELECT {', '.join(columns)} FROM {table}{WHERE.get(table, '')}{order(table)}"
                found[table] = [dict(zip(columns, row)) for row in connection.execute(query)]
            return found
    except sqlite3.Error as error:
        raise Unreadable(f"{path}: {error}") from None


def postgres(address: str):
    """Through psql, whose output is plain ASCII: texts and bytes are in hex."""
    commands = ["BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"]
    for table, columns in TABLES.items():
        values = ", ".join(hexed(column, kind) for column, kind in columns.items())
        query = f"SELECT '{table}', {values} FROM {table}{WHERE.get(table, '')}{order(table)}"
        commands.append(f"COPY ({query}) TO STDOUT (FORMAT csv)")
    arguments = [argument for command in commands for argument in ("-c", command)]
    done = subprocess.run(
        ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", *arguments, address], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Unreadable(done.stderr.strip())
    return parsed(done.stdout)


def hexed(column: str, kind: str) -> str:
    if kind == "i":
        return column
    return f"encode({column if kind == 'b' else f'''convert_to({column}, 'UTF8')'''}, 'hex')"


def parsed(output: str):
    csv.field_size_limit(sys.maxsize)
    found = {table: [] for table in TABLES}
    for table, *values in csv.reader(output.splitlines()):
        columns = TABLES[table]
        found[table].append({column: value(text, columns[column]) for column, text in zip(columns, values)})
    return found


def value(text: str, kind: str):
    """An empty text is NULL: the only column that may be NULL, `agent_id`, is never empty."""
    if kind == "i":
        return int(text)
    return bytes.fromhex(text) if text or kind == "b" else None
