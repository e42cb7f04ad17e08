"""Tampers with a record in every way, and asks both verifiers what is wrong with it.

usage: tamper.py BINARY ENGINE FOLDER NOW BEFORE

FOLDER has keys.json, seals.jsonl, foreign-keys.json, foreign-seals.jsonl and *.export; NOW and BEFORE are
databases that no server uses. Prints a table; exits with 1 when the two disagree or something goes unseen.
"""

import itertools
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cases
import lines
import sources
import verify

BINARY, ENGINE, FOLDER, NOW, BEFORE = sys.argv[1:]
FOLDER = Path(FOLDER)
OPTIONS = {
    "keys": ["--keys", "keys.json"],
    "seals": ["--seals", "seals.jsonl"],
    "foreign-keys": ["--keys", "foreign-keys.json"],
    "first-key": ["--keys", "first-key.json"],
    "foreign-seals": ["--seals", "foreign-seals.jsonl"],
    "edited-seals": ["--seals", "edited-seals.jsonl"],
}
names = itertools.count()


def main() -> int:
    prepare()
    base = cases.Base(sources.tables(NOW), ENGINE)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(of_database, cases.cases(base)))
        for file in sorted(FOLDER.glob("*.export")):
            found += pool.map(of_group, [(file.stem, *group) for group in lines.groups(file.read_bytes())])
    wrong = sum(not row[-1] for row in found)
    print(f"{ENGINE}: {len(found)} ways to tamper, {wrong} on which the verifiers disagree or that go unseen")
    return 1 if wrong else 0


def prepare():
    keys = json.loads((FOLDER / "keys.json").read_text())["keys"]
    kept = [json.loads(line) for line in (FOLDER / "seals.jsonl").read_text().splitlines()]
    (FOLDER / "first-key.json").write_text(json.dumps({"keys": [key for key in keys if key["kid"] == kept[0]["kid"]]}))
    kept[1]["root"] = "0" * 64
    (FOLDER / "edited-seals.jsonl").write_text("".join(json.dumps(seal) + "\n" for seal in kept))


def of_database(case):
    copy = copied(NOW if case.state == "now" else BEFORE)
    try:
        execute(copy, case.sql)
        words = [word for name in case.options for word in OPTIONS[name]]
        options = [str(FOLDER / word) if "." in word else word for word in words]
        answers = asked([*settings(copy), *options], [*options, copy])
    finally:
        drop(copy)
    good = answers[0] == answers[1] and matches(answers[0], case.expected)
    return shown(case.name, [answers], good)


def of_group(group):
    file, name, expected, texts = group
    answers = [of_text(text) for text in texts]
    good = all(one == other and matches(one, expected) for one, other in answers)
    return shown(f"{file}: {name}", answers, good)


def of_text(text: bytes):
    path = FOLDER / unique()
    path.write_bytes(text)
    answers = asked(["--export", str(path)], ["--export", str(path)])
    path.unlink()
    return answers


def asked(ours, second):
    """Hundreds of times: for the second verifier, a process each would take most of the run."""
    said = verify.answer(second)
    return of_binary(ours), understood(said, 1 if said.get("faults", True) else 0)


def of_binary(options):
    command = [BINARY, "audit", "verify", "--output", "json", *options]
    try:
        done = subprocess.run(command, capture_output=True, env={"PATH": os.environ["PATH"]}, timeout=20, check=False)
    except subprocess.TimeoutExpired:
        return frozenset({("no answer in 20 s", None, None, None)}), ()
    try:
        said, _ = json.JSONDecoder().raw_decode(done.stdout.decode().lstrip())
    except ValueError:
        said = {}
    return understood(said, done.returncode)


def understood(said, status):
    """What it named, and how much it counted; `refused` when it names nothing and fails."""
    faults = {("refused", None, None, None)}
    if "faults" in said:
        faults = {(fault["kind"], fault["seal"], fault["index"], fault["event"]) for fault in said["faults"]}
    if status != (1 if faults else 0):
        faults.add((f"exit status {status}", None, None, None))
    return frozenset(faults), tuple(said.get(name) for name in ("seals", "events", "expired", "unsealed"))


def matches(answer, expected) -> bool:
    kinds = {fault[0] for fault in answer[0]}
    if expected == "any":
        return bool(kinds)
    return expected in kinds if expected else not kinds


def shown(name, answers, good):
    one = Counter(text for answer in answers for text in named(answer[0][0]))
    other = Counter(text for answer in answers for text in named(answer[1][0]))
    second = "the same" if all(ours == theirs for ours, theirs in answers) else listed(other, 400)
    times = f" ({len(answers)})" if len(answers) > 1 else ""
    first = listed(one, 60 if good else 400)
    print(f"{'ok ' if good else 'BAD'} {ENGINE:8} {name + times:44} {first:62} {second}", flush=True)
    for ours, theirs in answers:
        if ours != theirs:
            print(f"      only countersign: {ours[1]} {listed(named(ours[0] - theirs[0]), 600)}")
            print(f"      only verify.py:   {theirs[1]} {listed(named(theirs[0] - ours[0]), 600)}", flush=True)
    return name, good


def named(faults):
    for kind, seal, index, event in sorted(faults, key=str):
        place = "" if seal is None else f" {seal}" if index is None else f" {seal}:{index}"
        yield kind + (place or (f" {event[-6:]}" if event else ""))


def listed(texts, width):
    texts = [f"{n}× {text}" if n > 1 else text for text, n in Counter(texts).items()]
    line = ", ".join(texts) or "nothing"
    return line if len(line) <= width else f"{line[: width - 2].rpartition(',')[0]}, …"


def unique() -> str:
    return f"copy_{os.getpid()}_{next(names)}"


def settings(copy: str):
    if ENGINE == "sqlite":
        return ["--set", f"DATABASE_URL=sqlite://{copy}"]
    # The settings want one with PostgreSQL; it is not this record's, and need not be.
    return ["--set", f"DATABASE_URL={copy}", "--set", f"MASTER_KEY={'0' * 64}"]


def copied(source: str) -> str:
    name = unique()
    if ENGINE == "sqlite":
        return shutil.copyfile(source, str(FOLDER / f"{name}.db"))
    server, _, template = source.rpartition("/")
    psql(f"{server}/postgres", [f"CREATE DATABASE {name} TEMPLATE {template}"])
    return f"{server}/{name}"


def execute(copy, commands):
    if ENGINE == "postgres":
        psql(copy, commands)
        return
    with sqlite3.connect(copy) as connection:
        for command in commands:
            connection.execute(command)
    connection.close()


def psql(address, commands):
    arguments = [argument for command in commands for argument in ("-c", command)]
    if arguments:
        command = ["psql", "-Xq", "-v", "ON_ERROR_STOP=1", *arguments, address]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def drop(copy):
    if ENGINE == "sqlite":
        os.unlink(copy)
    else:
        server, _, name = copy.rpartition("/")
        psql(f"{server}/postgres", [f"DROP DATABASE {name}"])


if __name__ == "__main__":
    sys.exit(main())
