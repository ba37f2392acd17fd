"""The pages about alerts: all of them, one of them, the rules."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from monitor.alerting.conduct import Severity
from monitor.postgres import alert_views, delivery_log, listings, pipeline, rule_sets, silences
from monitor.postgres.alert_views import OPEN, Choice, Telling
from monitor.postgres.database import Connection
from monitor.web import alertpage, alertspage, rulespage
from monitor.web.connections import Connections
from monitor.web.layout import Layout
from monitor.web.links import AlertsAddress
from monitor.web.options import WebOptions
from monitor.web.ruleset import channels_of, rules_of

Refresh = Annotated[Literal["on", "off"], Query()]
Text = Annotated[str, Query(max_length=500)]
Chosen = Literal["", "firing", "recovering", "pending", "ended"]
Page = Annotated[int, Query(ge=1, le=10_000)]


def router(connections: Connections, layout: Layout, options: WebOptions) -> APIRouter:
    """The routes of the pages."""
    routes = APIRouter(include_in_schema=False)
    _add_alerts(routes, connections, layout, options)
    _add_alert(routes, connections, layout, options)
    _add_rules(routes, connections, layout)
    return routes


def choice_of(
    model: str, rule: str, severity: Severity | Literal[""], state: Chosen, told: Telling | Literal[""]
) -> Choice:
    """What a query asks for; empty takes all."""
    states = OPEN if state in {"", "ended"} else tuple(each for each in OPEN if each == state)
    return Choice(model=model or None, rule=rule or None, severity=severity or None, states=states, told=told or None)


def _add_alerts(routes: APIRouter, connections: Connections, layout: Layout, options: WebOptions) -> None:
    @routes.get("/alerts")
    def show(
        *,
        request: Request,
        model: Text = "",
        rule: Text = "",
        severity: Severity | Literal[""] = "",
        state: Chosen = "",
        told: Telling | Literal[""] = "",
        page: Page = 1,
        refresh: Refresh = "on",
    ) -> HTMLResponse:
        address = AlertsAddress(model, rule, severity, state, told, page, refresh=refresh == "on")
        chosen = choice_of(model, rule, severity, state, told)
        with connections.reading() as connection:
            found = _alerts(connection, chosen, address)
        view = alertspage.view_of(found, address, options)
        return layout.page(request, "alerts.html", view=view, here="/alerts", refresh=address.refresh)


def _alerts(connection: Connection, chosen: Choice, address: AlertsAddress) -> alertspage.Found:
    place = alertspage.place_of(address.page)
    is_ended = address.state == "ended"
    with_ended = not address.state and not address.told and address.page == 1
    ended = alertspage.PAGE_SIZE if is_ended else alertspage.ENDED if with_ended else 0
    return alertspage.Found(
        alerts=[]
        if is_ended
        else alert_views.open_alerts(connection, chosen, limit=place.stop - place.start, offset=place.start),
        ended=alert_views.ended(connection, chosen, limit=ended) if ended else [],
        counts=alert_views.counts(connection),
        rules=[rule.name for rule in rule_sets.judged_rules(connection)],
        models=listings.models(connection),
        has_rules=rule_sets.rule_set(connection) is not None,
        now=pipeline.progress(connection).now,
    )


def _add_alert(routes: APIRouter, connections: Connections, layout: Layout, options: WebOptions) -> None:
    @routes.get("/alerts/{number}")
    def show(
        request: Request, number: UUID, before: Annotated[int | None, Query(ge=1)] = None, refresh: Refresh = "on"
    ) -> HTMLResponse:
        with connections.reading() as connection:
            found = _alert(connection, number, before)
        view = alertpage.view_of(found, options)
        return layout.page(request, "alert.html", view=view, here="", refresh=refresh == "on")


def _alert(connection: Connection, number: UUID, before: int | None) -> alertpage.Found:
    alert, state = alert_views.alert(connection, number), alert_views.state(connection, number)
    if alert is None or state is None:
        raise alertpage.UnknownAlertError(f"There is no alert {number}.")
    rules, _ = rules_of(rule_sets.rule_set(connection))
    incidents = delivery_log.incidents(connection, alert.rule, alertpage.labels_of(alert))
    now = pipeline.progress(connection).now
    return alertpage.Found(
        alert=alert,
        state=state,
        begun=alert_views.begun(connection, alert),
        changes=alert_views.transitions(connection, number, limit=alertpage.CHANGES + 1, before=before),
        rule=next((rule for rule in rules if rule.name == alert.rule), None),
        incidents=incidents,
        deliveries=delivery_log.deliveries(connection, [each.key for each in incidents], limit=alertpage.DELIVERIES),
        channels=delivery_log.channels(connection),
        silences=silences.silences(connection, now),
        now=now,
    )


def _add_rules(routes: APIRouter, connections: Connections, layout: Layout) -> None:
    @routes.get("/rules")
    def show(request: Request, refresh: Refresh = "on") -> HTMLResponse:
        with connections.reading() as connection:
            stored, now = rule_sets.rule_set(connection), pipeline.progress(connection).now
            rules, unreadable = rules_of(stored)
            found = rulespage.Found(
                in_force=stored,
                refusal=rule_sets.refusal(connection),
                rules=rules,
                unreadable=unreadable,
                judged=rule_sets.judged_rules(connection),
                counts=alert_views.counts(connection),
                channels=delivery_log.channels(connection, channels_of(stored)),
                silences=silences.silences(connection, now),
                now=now,
            )
        view = rulespage.view_of(found)
        return layout.page(request, "rules.html", view=view, here="/rules", refresh=refresh == "on")
