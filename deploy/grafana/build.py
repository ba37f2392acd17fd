"""Writes dashboards/caldrift-overview.json. Run it after a change: python deploy/grafana/build.py

Data sources are variables, so the file fits any Grafana from 11 on without editing; its uid is fixed, so links stay.
"""

import json
from pathlib import Path

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, table, timeseries, xychart
from grafana_foundation_sdk.cog import builder as cog
from grafana_foundation_sdk.cog import variants
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models import dashboard as models

TARGET = Path(__file__).parent / "dashboards" / "caldrift-overview.json"
PROMETHEUS = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
POSTGRES = models.DataSourceRef(type_val="grafana-postgresql-datasource", uid="${postgres}")
CHOSEN = '{model=~"$model", window="$window"}'
SEGMENT = '{model=~"$model", segment="$segment", window="$window", signal="$signal"}'

RELIABILITY = """
SELECT (bin ->> 'mean_confidence')::float8 AS "stated confidence",
       (bin ->> 'accuracy')::float8 AS "share right",
       (bin ->> 'mean_confidence')::float8 AS "calibrated"
FROM (
    SELECT body FROM reading_v1
    WHERE model IN (${model:sqlstring}) AND segment = '{}' AND signal = ${signal:sqlstring} AND source = ''
      AND window_name = ${window:sqlstring}
    ORDER BY as_of DESC, n DESC LIMIT 1
) newest
CROSS JOIN LATERAL jsonb_array_elements(newest.body -> 'bins') AS bin
ORDER BY 1
"""

WORST = """
SELECT * FROM (
    SELECT DISTINCT ON (series)
        model, signal, segment, ece, ece_low, ece_high, null_high, signed_gap, n, coverage, as_of
    FROM reading_v1
    WHERE model IN (${model:sqlstring}) AND window_name = ${window:sqlstring} AND source = '' AND n >= ${min_labels}
    ORDER BY series, as_of DESC
) newest
ORDER BY ece_low - null_high DESC NULLS LAST
LIMIT 20
"""


ALARMS = """
SELECT raised_at, tier, model, signal, segment, band,
    CASE sign WHEN 1 THEN 'over-confident' ELSE 'under-confident' END AS side,
    -size AS "share right moved by", -size_high AS "at least", -size_low AS "at most",
    onset_at AS "since about", onset_low_at AS "not before", onset_high_at AS "not after"
FROM alarm_v1
WHERE model IN (${model:sqlstring})
ORDER BY raised_at DESC, id DESC
LIMIT 50
"""


OPEN_ALERTS = """
SELECT state, severity, rule, model, signal, segment, "window",
    CASE WHEN state <> 'pending' THEN fired_at END AS "fired", judged_at AS "judged",
    coalesce(hushed, '') AS "told to nobody"
FROM alert_v1
WHERE state <> 'ok' AND (model IN (${model:sqlstring}) OR model = '')
ORDER BY array_position('{firing,recovering,pending}'::text[], state),
    array_position('{critical,error,warning,info}'::text[], severity), fired_at DESC, rule, model, segment
LIMIT 200
"""

CHANGES = """
SELECT at, rule, severity, model, segment, before AS "from", after AS "to", reason AS "because",
    coalesce(hushed, '') AS "told to nobody"
FROM alert_transition_v1
WHERE model IN (${model:sqlstring}) OR model = ''
ORDER BY at DESC, alert, number DESC
LIMIT 50
"""


class Sql(variants.Dataquery):
    """A query of the Postgres data source, as text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def to_json(self) -> dict[str, object]:
        return {
            "refId": "A",
            "format": "table",
            "rawQuery": True,
            "rawSql": self.text.strip(),
            "editorMode": "code",
            "datasource": {"type": POSTGRES.type_val, "uid": POSTGRES.uid},
        }


class SqlQuery(cog.Builder):
    """Builds `Sql`."""

    def __init__(self, text: str) -> None:
        self.text = text

    def build(self) -> Sql:
        return Sql(self.text)


def query(expression: str, legend: str = "", name: str = "A") -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(name)


def lines(title: str, description: str, unit: str, *queries: prometheus.Dataquery) -> timeseries.Panel:
    panel = timeseries.Panel().title(title).description(description).unit(unit).datasource(PROMETHEUS)
    panel = panel.line_width(2).fill_opacity(0).show_points(shapes.VisibilityMode.NEVER).height(9).span(12)
    panel = panel.legend(common.VizLegendOptions().show_legend(True).placement(shapes.LegendPlacement.BOTTOM))
    for one in queries:
        panel = panel.with_target(one)
    return panel


def number(title: str, description: str, unit: str, expression: str) -> stat.Panel:
    panel = stat.Panel().title(title).description(description).unit(unit).datasource(PROMETHEUS)
    return panel.with_target(query(expression)).height(4).span(6)


def outside() -> str:
    enough = f"caldrift_window_labelled_samples{CHOSEN} >= $min_labels"
    above = f"caldrift_calibration_ece_ratio{CHOSEN} > caldrift_calibration_ece_null_upper_ratio{CHOSEN}"
    return f"count({above} and {enough}) or vector(0)"


def now_row(board: dashboard.Dashboard) -> dashboard.Dashboard:
    return (
        board.with_row(dashboard.Row("Now"))
        .with_panel(
            number("Series outside their null band", "ECE above what chance makes of it, with enough labels", "short",
                   outside())
        )
        .with_panel(
            number("Lowest label coverage", "Labelled over predicted, of the model with the least", "percentunit",
                   f"min(caldrift_label_coverage_ratio{CHOSEN})")
        )
        .with_panel(
            number("Messages behind", "Lag of the intake over all partitions", "short",
                   "sum(caldrift_kafka_consumer_lag_records)")
        )
        .with_panel(
            number("Age of the last evaluation", "On the service's clock", "s",
                   "caldrift_clock_timestamp_seconds - caldrift_evaluation_last_timestamp_seconds")
        )
    )  # fmt: skip


def sql_table(title: str, description: str, statement: str) -> table.Panel:
    panel = table.Panel().title(title).description(description).datasource(POSTGRES)
    return panel.with_target(SqlQuery(statement)).height(9).span(24)


def alerts_row(board: dashboard.Dashboard) -> dashboard.Dashboard:
    return (
        board.with_row(dashboard.Row("Alerts"))
        .with_panel(
            number("Alerts that fire", "Of every rule, told or not", "short", 'sum(caldrift_alerts{state="firing"})')
        )
        .with_panel(
            number("Of them told to nobody", "Silenced, muted, inhibited, in the shadow, or without a route", "short",
                   "sum(caldrift_alerts_hushed)")
        )
        .with_panel(
            number("Notices that wait", "Over all channels", "short", "sum(caldrift_outbox_waiting_notices)")
        )
        .with_panel(
            number("Notices given up", "Over all channels; until they are tried again or dropped", "short",
                   "sum(caldrift_outbox_dead_notices)")
        )
        .with_panel(
            lines("Alerts by rule", "Those that fire", "short",
                  query('sum by (rule) (caldrift_alerts{state="firing"}) > 0', "{{rule}}"))
        )
        .with_panel(
            lines("Without enough data", "Share of what a rule was judged on where the data did not suffice",
                  "percentunit",
                  query("caldrift_rule_insufficient_subjects / (caldrift_rule_judged_subjects > 0)", "{{rule}}"))
        )
        .with_panel(
            lines("Age of the oldest notice that waits", "By channel; a growing line is a receiver that is away", "s",
                  query("caldrift_outbox_oldest_waiting_seconds", "{{channel}}"))
        )
        .with_panel(
            lines("Notices told", "An hour, by channel", "short",
                  query("sum by (channel) (increase(caldrift_notices_told_total[1h]))", "{{channel}}"))
        )
        .with_panel(sql_table("Open alerts", "What fires first, the worst of it on top", OPEN_ALERTS))
        .with_panel(sql_table("Changes of alerts", "Newest first", CHANGES))
    )  # fmt: skip


def calibration_row(board: dashboard.Dashboard) -> dashboard.Dashboard:
    excess = f"caldrift_calibration_ece_ci_lower_ratio{CHOSEN} - caldrift_calibration_ece_null_upper_ratio{CHOSEN}"
    return (
        board.with_row(dashboard.Row("Calibration"))
        .with_panel(
            lines("Surest faults", "Lower end of the ECE's interval above the null band; above 0 is clearly outside",
                  "percentunit", query(f"topk(10, {excess})", "{{model}} {{signal}} {{segment}}"))
        )
        .with_panel(
            lines("Signed gap", "Mean confidence minus share right; above 0 is over-confident", "percentunit",
                  query(f"topk(10, abs(caldrift_calibration_mean_gap_ratio{CHOSEN})) * 0 + "
                        f"caldrift_calibration_mean_gap_ratio{CHOSEN}", "{{model}} {{signal}} {{segment}}"))
        )
        .with_panel(
            lines("ECE of the chosen segment", "With its interval and the top of its null band", "percentunit",
                  query(f"caldrift_calibration_ece_ratio{SEGMENT}", "{{model}} ECE"),
                  query(f"caldrift_calibration_ece_ci_lower_ratio{SEGMENT}", "{{model}} lower end", "B"),
                  query(f"caldrift_calibration_ece_ci_upper_ratio{SEGMENT}", "{{model}} upper end", "C"),
                  query(f"caldrift_calibration_ece_null_upper_ratio{SEGMENT}", "{{model}} top of the null band", "D"))
        )
        .with_panel(
            lines("Labels in the window", "Labelled predictions of the chosen segment", "short",
                  query(f"caldrift_window_labelled_samples{SEGMENT}", "{{model}}"))
        )
    )  # fmt: skip


def readings_row(board: dashboard.Dashboard) -> dashboard.Dashboard:
    diagram = (
        xychart.Panel()
        .title("Reliability diagram")
        .description("Whole model, newest reading; points below the line of calibration are over-confident")
        .datasource(POSTGRES)
        .with_target(SqlQuery(RELIABILITY))
        .height(11)
        .span(10)
        .min(0)
        .max(1)
    )
    worst = (
        table.Panel()
        .title("Surest faults, newest readings")
        .description("By the lower end of the ECE's interval above the null band")
        .datasource(POSTGRES)
        .with_target(SqlQuery(WORST))
        .height(11)
        .span(14)
    )
    return board.with_row(dashboard.Row("Readings")).with_panel(diagram).with_panel(worst)


def drift_row(board: dashboard.Dashboard) -> dashboard.Dashboard:
    alarms = (
        table.Panel()
        .title("Alarms of the drift detectors")
        .description("Newest first; the share right moved against the baseline, with 95 % intervals of size and onset")
        .datasource(POSTGRES)
        .with_target(SqlQuery(ALARMS))
        .height(9)
        .span(24)
    )
    return (
        board.with_row(dashboard.Row("Drift"))
        .with_panel(
            lines("Evidence for drift", "Of the page tier, on its way to an alarm at 1; a scale of logarithms", "short",
                  query('topk(10, caldrift_drift_evidence_ratio{model=~"$model", tier="page"})',
                        "{{model}} {{signal}} {{segment}}"))
        )
        .with_panel(
            lines("Alarms so far", "By model and tier", "short",
                  query('caldrift_drift_alarms_total{model=~"$model"}', "{{model}} {{tier}}"),
                  query('caldrift_drift_series{model=~"$model", stage="learning"}', "{{model}} series that learn", "B"))
        )
        .with_panel(alarms)
    )  # fmt: skip


def recalibration_row(board: dashboard.Dashboard) -> dashboard.Dashboard:
    whole = '{model=~"$model", window="$window", segment="", signal=~"$signal|calibrated"}'
    return (
        board.with_row(dashboard.Row("Recalibration"))
        .with_panel(
            lines("Raw and calibrated", "ECE of everything, as stated and as the map says, with the null band's top",
                  "percentunit",
                  query(f"caldrift_calibration_ece_ratio{whole}", "{{model}} {{signal}}"),
                  query(f"caldrift_calibration_ece_null_upper_ratio{whole}",
                        "{{model}} {{signal}}: top of the null band", "B"))
        )
        .with_panel(
            lines("Map in force", "Version, by stage; 0: rolled back to as stated", "short",
                  query('caldrift_calibrator_version{model=~"$model"}', "{{model}} {{stage}}"))
        )
        .with_panel(
            lines("Runs", "By outcome: passed the gate, kept the old map, failed", "short",
                  query('sum by (model, outcome) (caldrift_recalibrations_total{model=~"$model"})',
                        "{{model}} {{outcome}}"))
        )
        .with_panel(
            lines("Since the last run", "On the service's clock", "s",
                  query("scalar(caldrift_clock_timestamp_seconds) - "
                        'caldrift_recalibration_last_run_timestamp_seconds{model=~"$model"}', "{{model}}"))
        )
    )  # fmt: skip


def pipeline_row(board: dashboard.Dashboard) -> dashboard.Dashboard:
    return (
        board.with_row(dashboard.Row("Pipeline"))
        .with_panel(
            lines("Records read", "A second, by topic", "cps",
                  query("sum by (topic) (rate(caldrift_kafka_records_total[$__rate_interval]))", "{{topic}}"))
        )
        .with_panel(
            lines("Lag", "Messages behind the end, by partition", "short",
                  query("caldrift_kafka_consumer_lag_records", "{{topic}} {{partition}}"),
                  query("caldrift_deltas_waiting", "batches that wait for the evaluation", "B"))
        )
        .with_panel(
            lines("What became of the events", "A second; each event counted once", "cps",
                  query('sum by (event) (rate(caldrift_events_total{model=~"$model|"}[$__rate_interval]))',
                        "{{event}}"))
        )
        .with_panel(
            lines("Dead letters", "Messages that could not be used and are kept", "short",
                  query("sum by (topic, reason) (caldrift_dead_letter_records)", "{{topic}}: {{reason}}"))
        )
        .with_panel(
            lines("Label delay", "Median time from prediction to label", "s",
                  query(f"caldrift_label_delay_median_seconds{CHOSEN}", "{{model}}"))
        )
        .with_panel(
            lines("Silence of the roles", "Seconds since the last sign of life; a minute means trouble", "s",
                  query("caldrift_role_silence_seconds", "{{role}}"))
        )
    )  # fmt: skip


def labels_of(name: str, *, many: bool, matching: str = "") -> dashboard.QueryVariable:
    found = dashboard.QueryVariable(name).datasource(PROMETHEUS).refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
    return found.query(f"label_values(caldrift_calibration_ece_ratio{matching}, {name})").multi(many).include_all(many)


def build() -> str:
    """The dashboard as JSON text."""
    board = (
        dashboard.Dashboard("caldrift: overview")
        .uid("caldrift-overview")
        .tags(["caldrift", "calibration"])
        .readonly()
        .refresh("30s")
        .time("now-7d", "now")
        .timezone("utc")
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .with_variable(dashboard.DatasourceVariable("postgres").label("Postgres").type("grafana-postgresql-datasource"))
        .with_variable(labels_of("model", many=True))
        .with_variable(labels_of("window", many=False))
        .with_variable(labels_of("signal", many=False, matching='{model=~"$model"}'))
        .with_variable(labels_of("segment", many=False, matching='{model=~"$model"}'))
        .with_variable(dashboard.TextBoxVariable("min_labels").label("Least labels").default_value("30"))
    )
    for row in (
        now_row, alerts_row, calibration_row, drift_row, recalibration_row, readings_row, pipeline_row,
    ):  # fmt: skip
        board = row(board)
    return json.dumps(board.build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    TARGET.write_text(build(), encoding="utf-8")
