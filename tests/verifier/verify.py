"""A second verifier of the record, written from docs/record.md alone.

usage: verify.py [--keys FILE] [--seals FILE] DATABASE
       verify.py [--keys FILE] [--seals FILE] --export FILE

DATABASE is an SQLite file or postgres://… (through psql). Exits with 1 when something is wrong.
"""

import argparse
import json
import sys

import database
import exported
import seals
import sources


def main() -> int:
    said = answer(sys.argv[1:])
    print(json.dumps(said, indent=1))
    return 1 if said.get("faults", True) else 0


def answer(words):
    """What was counted, and `faults`; or `error`, when this is no record at all."""
    try:
        return report_of(arguments(words)).json()
    except (seals.Unreadable, OSError, ValueError, KeyError, TypeError) as error:
        return {"error": str(error)}


def arguments(words):
    parser = argparse.ArgumentParser()
    parser.add_argument("--keys")
    parser.add_argument("--seals")
    parser.add_argument("--export")
    parser.add_argument("database", nargs="?")
    given = parser.parse_args(words)
    if bool(given.export) == bool(given.database):
        parser.error("a database, or --export")
    return given


def report_of(given):
    keys = trusted(given.keys) if given.keys else None
    elsewhere = kept(given.seals) if given.seals else {}
    if given.database:
        return database.verify(sources.tables(given.database), keys, elsewhere)
    with open(given.export, "rb") as file:
        return exported.verify(file, keys, elsewhere)


def trusted(path: str):
    with open(path, encoding="utf-8") as file:
        return seals.known(json.load(file)["keys"])


def kept(path: str):
    with open(path, encoding="utf-8") as file:
        return {seal["seal"]: seal for seal in map(json.loads, file)}


if __name__ == "__main__":
    sys.exit(main())
