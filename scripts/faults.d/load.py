"""Clients in threads of their own, for as long as it takes."""

import threading

from clients import Client
from notes import Notes
from parts import Failed


class Load:
    """Running clients."""

    def __init__(self, name, count, ports, operator, known, **options):
        self.notes, self.stopping = Notes(known), threading.Event()
        self.clients = [Client(f"{name}-{number}", reached_by(number, ports), operator,
                               self.notes, self.stopping, **options) for number in range(count)]
        for client in self.clients:
            client.start()

    def stop(self):
        """Lets every client come to an end, and gives what they noted."""
        self.notes.end()
        self.stopping.set()
        for client in self.clients:
            client.join(60)
            if client.crashed or client.is_alive():
                raise Failed(f"client {client.name} did not end: {client.crashed!r}")
        return self.notes


def reached_by(number, ports):
    """Most clients reach every node. One in ten is bound to each: when all the others wait for a
    node that says nothing, these still tell whether anybody is served."""
    return [ports[number % 10]] if number % 10 < len(ports) else ports
