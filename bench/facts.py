"""The rows of the second table: what is not a rate. Each function measures and answers its row."""

import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from measure import Failed
from product import quantile
from report import row, verdict

PACED_TOKENS = 5000  # a second
MEGABYTE = 1_000_000


def ready(which, server):
    seconds = server.ready_after
    return row(f"ready from an empty database, {which}", f"{seconds:.2f} s", "≤ 0.5 s",
               verdict(seconds <= 0.5))


def idle_memory(engine, server):
    """Two seconds after the start, when what the start needed has been given back."""
    time.sleep(2)
    resident = server.resident_mb()
    return row(f"idle memory, {engine}", f"{resident:.1f} MB", "≤ 40 MB", verdict(resident <= 40))


def agents_under_load(engine, server, baseline, forms, seconds):
    """New agents beside a paced load of tokens; timed in the server and from outside."""
    def creations():
        return server.histogram("agentidp_http_request_duration_seconds",
                                method="POST", route="/api/v1/agents", status_code="201")

    def transactions(operation):
        return server.histogram("agentidp_db_query_duration_seconds", operation=operation)

    def all_now():
        return creations(), transactions("commit"), transactions("append")

    plan = {"port": server.port, "rate": PACED_TOKENS, "connections": 64, "seconds": seconds,
            "bodies": forms, "operator": server.operator}
    before = all_now()
    done = subprocess.run([baseline, "load"], input=json.dumps(plan),
                          capture_output=True, text=True)
    after = all_now()
    if done.returncode:
        raise Failed(f"the paced load failed: {done.stderr}\n{server.last_words()}")
    seen = json.loads(done.stdout)
    tokens, agents = seen["tokens"], seen["agents"]

    creation, commit, append = (quantile(0.5, *pair) for pair in zip(before, after))
    if None in (creation, commit, append):
        raise Failed("the server's metrics lack the time of agent creations or of commits")
    held = tokens["per_second"] >= 0.97 * PACED_TOKENS
    figure = (f"in the server: median {creation:.2f} ms, a commit {commit:.2f} ms (of events "
              f"alone {append:.2f} ms); outside: "
              f"p50 / p99 {agents['p50_ms']:.2f} / {agents['p99_ms']:.2f} ms, tokens "
              f"{tokens['p50_ms']:.2f} / {tokens['p99_ms']:.2f} ms at {tokens['per_second']:.0f}/s")
    return row(f"agent creation under a load of 5 000 tokens/s, {engine}", figure,
               "median ≤ two commits, p99 outside ≤ 10 ms, load held",
               verdict(held and creation <= 2 * commit and agents["p99_ms"] <= 10))


def write_ahead_log(log, load, seconds):
    """The largest that the log was seen under a load that leaves checkpoints no pause."""
    largest = 0
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(load.run, 256, seconds)
        while not running.done():
            largest = max(largest, log.stat().st_size if log.exists() else 0)
            time.sleep(0.05)
        running.result()
    return row(f"write-ahead log, {seconds} s of tokens, SQLite",
               f"at most {largest / MEGABYTE:.1f} MB", "< 64 MB",
               verdict(0 < largest < 64 * MEGABYTE))
