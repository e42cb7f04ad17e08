"""What reaches a service behind nginx, Caddy and Envoy, with the example files of deploy/ as they are.

    gateways.py BINARY FOLDER SERVER_PORT GRPC_PORT NAME=PROGRAM:PORT:SPARE_PORT…    NAME: nginx, caddy or envoy

A service that writes down every byte it gets, a real Countersign, and the real proxies. Requests are written
by hand: a library would tidy them. After every group, what the service got is held against the record: each
request that reached it was decided about, once, by exactly its method, host and target.
"""

import os
import signal
import sys
import time

import attacks
from installation import Installation, Surprise

SECONDS = 120


def main(binary, folder, port, grpc_port, *proxies):
    def end(*_):
        sys.exit(130)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    signal.signal(signal.SIGALRM, lambda *_: sys.exit(f"Not done after {SECONDS} s."))
    signal.alarm(SECONDS)
    start = time.monotonic()
    installation = Installation(binary, folder, int(port), int(grpc_port))
    try:
        installation.prepare()
        gateways = [installation.gateway(*proxy.replace("=", ":").split(":")) for proxy in proxies]
        attacks.documented(installation)
        installation.routes()
        for group in attacks.GROUPS:
            for gateway in gateways:
                gateway.run(group)
        attacks.away(gateways)
        table(gateways)
    except Surprise as surprise:
        table(installation.gateways)
        sys.exit(f"\n{surprise}")
    finally:
        signal.alarm(0)
        installation.end()
    print(f"{sum(sum(one.passed.values()) for one in gateways)} checks in {time.monotonic() - start:.0f} s.")


def table(gateways):
    names = list(dict.fromkeys(name for one in gateways for name in one.passed))
    print(f"{'checks passed':<44}" + "".join(f"{one.name:>8}" for one in gateways))
    for name in names:
        print(f"{name:<44}" + "".join(f"{one.passed.get(name, '-'):>8}" for one in gateways))
    sys.stdout.flush()


if __name__ == "__main__":
    os.umask(0o077)
    main(*sys.argv[1:])
