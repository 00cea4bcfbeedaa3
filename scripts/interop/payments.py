"""The demo's data and its three answers, written a third time: the Python server of this folder serves them, and the
Python client compares our server's answers with them."""

import json
import os

# The seven rows, in the order in which `getAllTransactions` lists them.
ROWS = [
    dict(zip(("id", "from", "to", "amount", "date"), row, strict=True))
    for row in (
        (1, "bob", "alice", 100, "2024-03-15"),
        (3, "bob", "charlie", 75, "2024-03-17"),
        (5, "bob", "alice", 200, "2024-03-19"),
        (2, "alice", "charlie", 50, "2024-03-16"),
        (6, "alice", "bob", 150, "2024-03-20"),
        (4, "charlie", "bob", 25, "2024-03-18"),
        (7, "charlie", "alice", 80, "2024-03-21"),
    )
]

# How many rows `getLatestTransactions` returns when it is not told.
DEFAULT_LIMIT = 3


def every(name):
    """Every row that moves money to or from `name`."""
    return [row for row in ROWS if name in (row["from"], row["to"])]


def latest(name, limit=DEFAULT_LIMIT):
    """The newest rows of `name`, newest first."""
    return sorted(every(name), key=lambda row: row["date"], reverse=True)[:limit]


def balance(name):
    """What `name` has, having started at zero."""
    total = sum(row["amount"] if row["to"] == name else -row["amount"] for row in every(name))
    return {"username": name, "balance": total}


def text(value):
    """The text that a tool of the original demo answers with."""
    return json.dumps(value, indent=2)


def keys():
    """Each demo key and whom it speaks for; they come from the environment, as for the Rust programs."""
    return {os.environ["BOB_API_KEY"]: "bob", os.environ["ALICE_API_KEY"]: "alice"}
