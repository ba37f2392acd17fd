"""The HTTP API of alerts: lists, one of them with its changes and deliveries, and silences."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query
from fastapi.responses import Response

from monitor.alerting.conduct import Severity
from monitor.postgres import alert_views, delivery_log, pipeline
from monitor.postgres import silences as stored
from monitor.postgres.alert_views import SCHEMA, Telling
from monitor.web.alertpage import UnknownAlertError, labels_of
from monitor.web.alertroutes import Chosen, Text, choice_of
from monitor.web.api import JSON
from monitor.web.connections import Connections

MOST = 10_000
Limit = Annotated[int, Query(ge=0, le=MOST)]


def router(connections: Connections) -> APIRouter:
    """The routes of the API."""
    routes = APIRouter(prefix="/api/v1")
    _add_alerts(routes, connections)
    _add_alert(routes, connections)
    _add_silences(routes, connections)
    return routes


def _add_alerts(routes: APIRouter, connections: Connections) -> None:
    @routes.get("/alerts")
    def alerts(
        *,
        model: Text = "",
        rule: Text = "",
        severity: Severity | Literal[""] = "",
        state: Chosen = "",
        told: Telling | Literal[""] = "",
        limit: Limit = 500,
        offset: Annotated[int, Query(ge=0)] = 0,
    ) -> Response:
        """Alerts that fire, recover or are pending, the worst first; with `state=ended` what fired and is over.

        Evidence is that of the last verdict, without bins. `told` does not choose among what is over.
        """
        chosen = choice_of(model, rule, severity, state, told)
        with connections.reading() as connection:
            if state == "ended":
                ended = alert_views.ended(connection, chosen, limit=limit, offset=offset)
                return Response(alert_views.to_json(ended), media_type=JSON)
            found = alert_views.open_alerts(connection, chosen, limit=limit, offset=offset)
        return Response(alert_views.to_json(found), media_type=JSON)


def _add_alert(routes: APIRouter, connections: Connections) -> None:
    @routes.get("/alerts/{number}")
    def alert(number: UUID, limit: Limit = 100, before: Annotated[int | None, Query(ge=1)] = None) -> Response:
        """One alert: its state, the evidence when it fired and now, its changes, and what was told of it.

        Changes come newest first, at most `limit` of them; `before` is the number of the change to go on from.
        """
        with connections.reading() as connection:
            row, state = alert_views.alert(connection, number), alert_views.state(connection, number)
            if row is None:
                raise UnknownAlertError(f"There is no alert {number}.")
            incidents = delivery_log.incidents(connection, row.rule, labels_of(row))
            document = {
                "schema": SCHEMA,
                "alert": row,
                "state": state,
                "begun": alert_views.begun(connection, row),
                "changes": alert_views.transitions(connection, number, limit=limit, before=before),
                "incidents": incidents,
                "deliveries": delivery_log.deliveries(connection, [each.key for each in incidents], limit=limit),
            }
        return Response(msgspec.json.encode(document), media_type=JSON)


def _add_silences(routes: APIRouter, connections: Connections) -> None:
    @routes.get("/silences")
    def silences(*, ended: bool = False, limit: Limit = 500) -> Response:
        """Silences that are in force or planned, newest first; with `ended` also those that are over."""
        with connections.reading() as connection:
            now = pipeline.progress(connection).now
            found = stored.silences(connection, now, past=ended, limit=limit)
        rows = [{**msgspec.to_builtins(row), "is_active": row.is_active(now)} for row in found]
        return Response(msgspec.json.encode({"schema": SCHEMA, "silences": rows}), media_type=JSON)
