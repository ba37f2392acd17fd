"""The HTTP API of review: what waits, and answers by programs that have the operator's token."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from monitor.postgres import pipeline, reviews
from monitor.postgres.reviews import Answer, Item
from monitor.review.reasons import Queue
from monitor.web.answering import Tell, answer
from monitor.web.changes import Operator
from monitor.web.connections import Connections
from monitor.web.links import segment_of
from monitor.web.reviewpage import since

Text = Annotated[str, Query(max_length=500)]
MOST = 1_000


def router(connections: Connections, tell: Tell) -> APIRouter:
    """The routes. `tell` sends the labels that answers become."""
    routes = APIRouter(prefix="/api/v1")

    @routes.get("/review")
    def waiting(
        *,
        model: Text,
        queue: Queue = "errors",
        window: Text = "",
        segment: Annotated[list[str] | None, Query(max_length=20, description="dimension=value")] = None,
        limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
    ) -> dict[str, object]:
        """What waits for somebody, in the order of the queue; without what would tell how sure the model was."""
        with connections.reading() as connection:
            begins = since(window, pipeline.progress(connection).now)
            found = reviews.waiting(
                connection, model, queue, since=begins, segment=segment_of(segment or []), limit=limit
            )
        return {"schema": 1, "items": [document(each) for each in found]}

    @routes.post("/review/{item}")
    def give(item: int, change: Operator) -> dict[str, object]:
        """Answer an item: `reason`, and `truth` and `note` where there are any, as JSON or a form.

        Answers once the label that it becomes, if any, is acknowledged by the broker. May be repeated.
        """
        given = Answer(change.text("reason"), change.by, change.text("truth"), change.text("note"))
        with connections.reading() as connection:
            now = pipeline.progress(connection).now
        done = answer(connections.writing, tell, item, given, now)
        return {"schema": 1, "item": done.id, "reason": done.reason, "by": done.by, "label": done.label}

    return routes


def document(item: Item) -> dict[str, object]:
    """One that waits. Nothing of how sure the model was: that is told once it is answered, here as on the page."""
    return {
        "item": item.id,
        "queue": item.queue,
        "model": item.model,
        "prediction": str(item.prediction),
        "predicted_at": item.predicted_at.isoformat(),
        "segment": dict(item.segments),
        "predicted": item.predicted,
        "reference": item.reference,
        "label": item.label_text if item.label_text is not None else item.label_number,
        "alike": item.alike,
        "unsent": item.reason,
    }
