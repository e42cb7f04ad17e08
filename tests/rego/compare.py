"""Has rego-cpp evaluate every policy of a folder, and compares what follows with the answers on standard input:
lines of JSON, as the example `rego_answers` of the policy crate prints them.

What follows from a value is written here once more: what is true allows; what fails or is no answer denies.
"""

import json
import re
import sys
from pathlib import Path

from regopy import Interpreter, RegoError

WORD = re.compile(r"[A-Za-z0-9_.:-]{1,64}", re.ASCII)
FEWEST = 50
UNDEFINED = object()


class Failed(Exception):
    """Evaluating failed."""


class Policy:
    def __init__(self, folder, name):
        text = (folder / f"{name}.rego").read_text()
        self.package = re.search(r"^package (\S+)$", text, re.MULTILINE)[1]
        self.interpreter = Interpreter()
        self.interpreter.strict_built_in_errors = True
        data = folder / f"{name}.data.json"
        if data.exists():
            self.interpreter.add_data(json.loads(data.read_text()))
        for file in sorted(folder.glob(f"{name}.*rego")):
            self.interpreter.add_module(file.name, file.read_text())
        self.inputs = json.loads((folder / f"{name}.inputs.json").read_text())

    def ask(self, question):
        self.interpreter.set_input(question)
        return self.at_door() if self.package == "countersign.authz" else self.decision()

    def rule(self, name):
        try:
            output = self.interpreter.query(f"data.{self.package}.{name}")
        except RegoError as error:
            raise Failed(str(error)) from error
        if not output.ok():
            raise Failed(str(output))
        # As text: the binding has no other way to tell undefined from null.
        result = json.loads(str(output)) if str(output) != "undefined" else {}
        return result["expressions"][0] if result.get("expressions") else UNDEFINED

    def at_door(self):
        try:
            allow = self.rule("allow")
        except Failed:
            return {"effect": "deny", "reason": "error"}
        if allow is True:
            return {"effect": "allow"}
        if allow not in (False, UNDEFINED):
            return {"effect": "deny", "reason": "error"}
        try:
            reason = self.rule("reason")
        except Failed:
            reason = None
        return {"effect": "deny", "reason": reason if is_word(reason) else "policy_denied"}

    def decision(self):
        error = {"effect": "deny", "reason": "error", "obligations": [], "approval_level": None}
        try:
            decision = self.rule("decision")
        except Failed:
            return error
        if decision is UNDEFINED:
            return {**error, "reason": "no_matching_rule"}
        known = {"effect", "reason", "obligations", "approval_level"}
        effects = ("allow", "deny", "requires_approval")
        if not isinstance(decision, dict) or not set(decision) <= known:
            return error
        if decision.get("effect") not in effects or not is_word(decision.get("reason")):
            return error
        return {"obligations": [], "approval_level": None, **decision}


def is_word(value):
    return isinstance(value, str) and WORD.fullmatch(value) is not None


def main(folder):
    theirs, diagnostics = {}, {}
    for line in sys.stdin:
        told = json.loads(line)
        at = told["policy"], told["input"]
        diagnostics[at] = told["answer"].pop("diagnostic", None)
        theirs[at] = told["answer"]
    names = sorted(file.stem for file in folder.glob("*.rego") if "." not in file.stem)
    asked = differ = 0
    for name in names:
        try:
            policy = Policy(folder, name)
        except RegoError as error:
            sys.exit(f"{name}: rego-cpp can't read it: {error}")
        for number, question in enumerate(policy.inputs):
            asked += 1
            ours, other = policy.ask(question), theirs.pop((name, number), None)
            if ours != other:
                differ += 1
                print(f"{name}, input {number}: {json.dumps(question)}", file=sys.stderr)
                print(f"  rego-cpp     {json.dumps(ours)}", file=sys.stderr)
                told = diagnostics.get((name, number)) or ""
                print(f"  Countersign  {json.dumps(other)} {told}", file=sys.stderr)
    if theirs:
        sys.exit(f"Answers to what was not asked: {sorted(theirs)}")
    if differ:
        sys.exit(f"{differ} of {asked} answers differ.")
    if len(names) < FEWEST:
        sys.exit(f"There are {len(names)} policies; there should be {FEWEST} at least.")
    print(f"{len(names)} policies, {asked} inputs: the same answers")


main(Path(sys.argv[1]))
