"""Answering an item: the answer is kept, its label goes out by Kafka, then it is settled. Each step may be repeated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TypeAlias

from monitor.postgres import reviews
from monitor.postgres.database import Connection
from monitor.postgres.reviews import Answer, Item

Transaction: TypeAlias = Callable[[], AbstractContextManager[Connection]]
"""Opens a transaction that is committed at the end of its block."""
Tell: TypeAlias = Callable[[Mapping[str, object], str], None]
"""Sends a label, by our field names, of a model; returns once the broker has it. Raises Unavailable."""


def answer(transaction: Transaction, tell: Tell, number: int, given: Answer, now: datetime) -> Item:
    """Answer an item. Raises BadInput as `begin_answer`; Unavailable when the label could not be sent.

    A crash, or a broker that is away, leaves the answer kept and unsettled: answering alike again sends the same label,
    with the same version and time, so that it counts once.
    """
    with transaction() as connection:
        item = reviews.begin_answer(connection, number, given, now)
    if item.settled_at is not None:
        return item
    if item.label is not None:
        tell(item.label, item.model)
    with transaction() as connection:
        reviews.settle(connection, number, now)
        return reviews.item(connection, number) or item
