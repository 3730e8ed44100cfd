"""The fleet: all streams and daemons at a glance."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.builders import dashboard as boards
from grafana_foundation_sdk.builders import table
from grafana_foundation_sdk.models import dashboard

from deploy.grafana.parts import (
    CHOSEN,
    FLEET,
    LEAST_P,
    STREAM,
    Panel,
    bars,
    board,
    column,
    columns,
    daemon_variables,
    figure,
    finished,
    lines,
    link,
    logarithmic,
    mapping,
    query,
    rows,
    states,
    thresholds,
    to_stream,
)

STATES = {"0": ("in order", "green"), "1": ("drift", "red")}
P_VALUE = f'min by (stream) (driftwatch_window_p_value{{{CHOSEN}, detector="combined"}})'
RATE = f"sum by (stream) (rate(driftwatch_samples_total{{{CHOSEN}}}[$__rate_interval]))"


def fleet() -> dashboard.Dashboard:
    """The dashboard."""
    made = board(FLEET, "driftwatch / Fleet", "All streams that driftwatch watches, and the state of its daemons.")
    made = made.variables(daemon_variables()).link(link("One stream", STREAM))
    for panel in _figures():
        made = made.with_panel(panel)
    for title, panels in (
        ("Streams", (_states(), _p_values(), _streams())),
        ("Throughput", (_samples(), _lag(), _messages(), _stages())),
        ("HTTP intake", (_requests(), _queue("messages"), _queue("bytes"))),
        ("Alerts and problems", (_alerts(), _dead_letters(), _sinks(), _roles())),
    ):
        made = made.with_row(boards.Row(title))
        for panel in panels:
            made = made.with_panel(panel)
    return finished(made)


def _figures() -> Sequence[Panel]:
    bad = ((None, "green"), (1, "red"))
    return (
        figure(
            "Firing now",
            "Streams whose alarm is on.",
            query(f"sum(max by (stream) (driftwatch_drift{{{CHOSEN}}})) or vector(0)"),
            steps=bad,
        ),
        figure(
            "Streams",
            "Streams that have a reference.",
            query(f"count(count by (stream) (driftwatch_reference_info{{{CHOSEN}}}))"),
            graph=False,
        ),
        figure(
            "Samples per second",
            "Samples scored, all streams.",
            query(f"sum(rate(driftwatch_samples_total{{{CHOSEN}}}[$__rate_interval]))"),
            steps=((None, "blue"),),
        ),
        figure(
            "Messages waiting",
            "In all Kafka topics that driftwatch reads. Empty without Kafka.",
            query(f"sum(driftwatch_consumer_lag{{{CHOSEN}}})"),
            steps=((None, "green"), (1_000, "yellow"), (10_000, "red")),
        ),
        figure(
            "Dead letters",
            "Unusable messages in the time range; the reasons are below.",
            query(
                f'sum(increase(driftwatch_batches_total{{{CHOSEN}, outcome="dead_letter"}}[$__range]))', instant=True
            ),
            steps=((None, "green"), (1, "yellow")),
            graph=False,
            decimals=0,
        ),
        figure(
            "Daemons up",
            "Targets that Prometheus can scrape.",
            query('sum(up{job=~"$job", instance=~"$instance"} and on (job, instance) group by (job, instance) '
                  '(last_over_time(driftwatch_build_info[1h])))'),
            steps=((None, "red"), (1, "green")),
            graph=False,
        ),
    )  # fmt: skip


def _states() -> Panel:
    target = query(f"max by (stream) (driftwatch_drift{{{CHOSEN}}})", "{{stream}}")
    about = "Green while the inputs look like the reference, red while the alarm is on."
    return states("State by stream", about, target, STATES, width=12, height=9)


def _p_values() -> Panel:
    panel = lines(
        "Smallest p-value by stream",
        "The newest window of any size, all detectors combined. Small values mean drift; each stream's threshold is on "
        f"its dashboard. Values below {LEAST_P:g} are drawn at {LEAST_P:g}.",
        query(f"clamp_min({P_VALUE}, {LEAST_P:g})", "{{stream}}"),
        unit="sci",
        height=9,
        extreme="min",
        fill=0,
    ).data_links([boards_link("__field.labels.stream")])
    return logarithmic(panel).max(1)


def boards_link(label: str) -> boards.DashboardLink:
    """A data link of a line to its stream's dashboard."""
    target = to_stream(label)
    return boards.DashboardLink(str(target["title"])).url(str(target["url"]))


def _streams() -> Panel:
    panel = rows(
        "Streams now",
        "The newest values of each stream; its name links to its dashboard. Budget is unsure if the reference has too "
        "few held-out samples to guarantee it.",
        query(f"max by (stream) (driftwatch_drift{{{CHOSEN}}})", ref="A", instant=True, kind="table"),
        query(P_VALUE, ref="B", instant=True, kind="table"),
        query(f"max by (stream) (driftwatch_window_threshold{{{CHOSEN}}})", ref="C", instant=True, kind="table"),
        query(f"max by (stream) (driftwatch_window_effect_nats{{{CHOSEN}}})", ref="D", instant=True, kind="table"),
        query(RATE, ref="E", instant=True, kind="table"),
        query(
            f"time() - max by (stream) (driftwatch_last_sample_timestamp_seconds{{{CHOSEN}}})",
            ref="F",
            instant=True,
            kind="table",
        ),
        query(f"min by (stream) (driftwatch_budget_satisfiable{{{CHOSEN}}})", ref="G", instant=True, kind="table"),
        query(
            f"max by (stream, bundle, version) (driftwatch_reference_info{{{CHOSEN}}})",
            ref="H",
            instant=True,
            kind="table",
        ),
        height=7,
    )
    return _styled(panel)


def _styled(panel: table.Panel) -> table.Panel:
    names = {
        "stream": "Stream",
        "Value #A": "State",
        "Value #B": "Smallest p-value",
        "Value #C": "Alarm at",
        "Value #D": "Effect, nats/sample",
        "Value #E": "Samples/s",
        "Value #F": "Newest sample",
        "Value #G": "Budget",
        "bundle": "Reference",
        "version": "Version",
    }
    panel = columns(panel, names, hidden=("Time", "Value #H"))
    coloured = {"type": "color-background", "mode": "basic"}
    panel = column(panel, "Stream", links=[to_stream("__data.fields.Stream")])
    panel = column(panel, "State", mappings=[mapping(STATES)], custom__cellOptions=coloured)
    for name in ("Smallest p-value", "Alarm at"):
        panel = column(panel, name, unit="sci", decimals=1)
    panel = column(panel, "Effect, nats/sample", decimals=2)
    panel = column(panel, "Samples/s", decimals=1)
    quiet = thresholds(((None, "text"), (1_800, "orange"))).build()
    panel = column(
        panel, "Newest sample", unit="s", decimals=0, thresholds=quiet, custom__cellOptions={"type": "color-text"}
    )
    budget = {"0": ("unsure", "orange"), "1": ("kept", "text")}
    return column(panel, "Budget", mappings=[mapping(budget)], custom__cellOptions={"type": "color-text"})


def _samples() -> Panel:
    return lines("Samples per second by stream", "Samples scored, all replicas together.", query(RATE, "{{stream}}"))


def _lag() -> Panel:
    return lines(
        "Messages waiting by topic",
        "Backlog over all partitions. For a topic of panes it is the backlog of testing. Empty without Kafka.",
        query(f"sum by (topic) (driftwatch_consumer_lag{{{CHOSEN}}})", "{{topic}}"),
    ).min(0)


def _messages() -> Panel:
    return lines(
        "Messages per second by outcome",
        "ok: scored; skipped: left out by sample_fraction; shed: too many arrived; dead_letter: unusable.",
        query(f"sum by (outcome) (rate(driftwatch_batches_total{{{CHOSEN}}}[$__rate_interval]))", "{{outcome}}"),
    ).min(0)


def _stages() -> Panel:
    buckets = f"sum by (stage, le) (rate(driftwatch_stage_seconds_bucket{{{CHOSEN}}}[$__rate_interval]))"
    return lines(
        "Duration of each stage, 99th percentile",
        "One pass: decode and score process a batch, test the panes that arrived, commit is a transaction, sink "
        "delivers one alert.",
        query(f"histogram_quantile(0.99, {buckets})", "{{stage}}"),
        unit="s",
        fill=0,
    )


def _requests() -> Panel:
    answered = f"sum by (outcome) (rate(driftwatch_intake_requests_total{{{CHOSEN}}}[$__rate_interval]))"
    return lines(
        "Requests per second by outcome",
        "Answers of the intake. accepted: queued for scoring; ignored: a response event; shed: the queue was full; "
        "refused, too_large and unauthorized: rejected. Empty if samples come from Kafka.",
        query(answered, "{{outcome}}"),
        width=8,
    ).min(0)


def _queue(what: str) -> Panel:
    asked = f"and on (job, instance) driftwatch_intake_requests_total{{{CHOSEN}}}"
    return lines(
        f"{what.capitalize()} waiting in the intake",
        f"Accepted and not yet scored, by daemon. Above source.queue.{what} requests are shed.",
        query(
            f"max by (instance) (driftwatch_intake_queue_{what}{{{CHOSEN}}} {asked})",
            "{{instance}}",
        ),
        unit="bytes" if what == "bytes" else "short",
        width=8,
    ).min(0)


def _alerts() -> Panel:
    written = f"sum by (state, severity) (increase(driftwatch_alerts_total{{{CHOSEN}}}[$__rate_interval]))"
    about = "Alarms that started, worsened or ended, by severity."
    return bars(lines("Alerts written", about, query(written, "{{state}}, {{severity}}")))


def _dead_letters() -> Panel:
    lost = f"sum by (stream, reason) (increase(driftwatch_dead_letters_total{{{CHOSEN}}}[$__rate_interval]))"
    about = "Unusable messages, by stream and reason. The log says more, and the dead-letter topic or file has them."
    return bars(lines("Dead letters", about, query(lost, "{{stream}}: {{reason}}")))


def _sinks() -> Panel:
    asked = "sum by (sink) (increase(driftwatch_sink_{}_total{{{}}}[$__range]))"
    panel = rows(
        "Sinks",
        "Alerts in the time range that were delivered to each sink, and those given up.",
        query(asked.format("deliveries", CHOSEN), ref="A", instant=True, kind="table"),
        query(asked.format("failures", CHOSEN), ref="B", instant=True, kind="table"),
        width=12,
        height=6,
    )
    panel = columns(panel, {"sink": "Sink", "Value #A": "Delivered", "Value #B": "Given up"})
    panel = column(panel, "Delivered", decimals=0)
    failed = thresholds(((None, "text"), (0.5, "red"))).build()
    return column(panel, "Given up", decimals=0, thresholds=failed, custom__cellOptions={"type": "color-text"})


def _roles() -> Panel:
    target = query(f"min by (instance, role) (driftwatch_source_connected{{{CHOSEN}}})", "{{instance}} {{role}}")
    about = "Whether each role of each daemon is connected to its source."
    words = {"1": ("connected", "green"), "0": ("lost", "red")}
    return states("Roles", about, target, words, width=12, height=6)
