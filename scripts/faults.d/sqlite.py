"""A database in a file."""

import sqlite3
from contextlib import closing


class Sqlite:
    engine = "SQLite"

    def __init__(self, folder):
        self.file = folder / "countersign.db"
        self.url = f"sqlite://{self.file}"

    def sql(self, statement):
        """What one statement gives: rows of texts."""
        with closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True)) as connection:
            rows = connection.execute(statement).fetchall()
        return [["" if cell is None else str(cell) for cell in row] for row in rows]

    def drop(self):
        pass
