"""One stream: whether it drifts, what moved, and throughput."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.builders import dashboard as boards
from grafana_foundation_sdk.models import common, dashboard

from deploy.grafana.fleet import STATES
from deploy.grafana.parts import (
    CHOSEN,
    FLEET,
    LEAST_P,
    OF_STREAM,
    STREAM,
    Marks,
    Panel,
    bars,
    board,
    daemon_variables,
    figure,
    finished,
    gauges,
    label_variable,
    limit_line,
    lines,
    link,
    logarithmic,
    mapping,
    query,
    scores,
)

WINDOWS = f'{OF_STREAM}, window=~"$window"'


def stream() -> dashboard.Dashboard:
    """The dashboard."""
    made = board(STREAM, "driftwatch / Stream", "One stream: whether it drifts, what moved, and throughput.")
    streams = f"label_values(driftwatch_reference_info{{{CHOSEN}}}, stream)"
    sizes = f"label_values(driftwatch_window_p_value{{{OF_STREAM}}}, window)"
    made = made.variables(
        [
            *daemon_variables(),
            label_variable("stream", "Stream", streams, several=False),
            label_variable("window", "Window", sizes, several=True),
        ]
    ).link(link("Fleet", FLEET))
    made = made.annotations([_alarm_on(), _new_reference()])
    for panel in _figures():
        made = made.with_panel(panel)
    for title, panels in (
        ("Does it drift?", (_p_values(), _effect(), _detectors(), _wealth())),
        ("What moved?", (*_parts(), _scores(), _descriptors())),
        ("Is it keeping up?", (_samples(), _messages(), _age(), _lag(), _alerts(), _stages())),
    ):
        made = made.with_row(boards.Row(title))
        for panel in panels:
            made = made.with_panel(panel)
    return finished(made)


def _alarm_on() -> Marks:
    on = f"max by (stream) (driftwatch_drift{{{OF_STREAM}}}) == 1"
    return Marks("Alarm on", on, "red", "Drift in {{stream}}", "The alarm was on.")


def _new_reference() -> Marks:
    known = f"max by (stream, bundle, version) (driftwatch_reference_info{{{OF_STREAM}}})"
    before = f"max by (stream, bundle, version) (driftwatch_reference_info{{{OF_STREAM}}} offset 5m)"
    title = "Reference {{bundle}}/{{version}}"
    return Marks("New reference", f"{known} unless {before}", "blue", title, "In use from this time on.")


def _figures() -> Sequence[Panel]:
    age = f"time() - max(driftwatch_last_sample_timestamp_seconds{{{OF_STREAM}}})"
    return (
        figure(
            "State",
            "Drift while the alarm is on.",
            query(f"max(driftwatch_drift{{{OF_STREAM}}})"),
            steps=((None, "green"), (1, "red")),
            graph=False,
        )
        .mappings([mapping(STATES)])
        .color_mode(common.BigValueColorMode.BACKGROUND),
        figure(
            "Smallest p-value",
            "The newest window of any size, all detectors combined.",
            query(f'min(driftwatch_window_p_value{{{OF_STREAM}, detector="combined"}})'),
            unit="sci",
            decimals=1,
        ),
        figure(
            "Effect",
            "Divergence of the newest windows from the reference in nats per sample, with the share of chance "
            "subtracted. 0.01 is negligible, 1 is obvious.",
            query(f"max(driftwatch_window_effect_nats{{{OF_STREAM}}})"),
            decimals=2,
        ),
        figure(
            "Newest sample",
            "Its age, by event time.",
            query(age),
            unit="s",
            steps=((None, "green"), (300, "yellow"), (1_800, "red")),
            decimals=0,
        ),
        figure(
            "Samples between false alarms",
            "95 % bounds for the true value. They are far apart if the reference has few held-out samples.",
            query(f'max(driftwatch_budget_interval_samples{{{OF_STREAM}, bound="low"}})', "at least"),
            graph=False,
        ).with_target(
            query(f'max(driftwatch_budget_interval_samples{{{OF_STREAM}, bound="high"}})', "at most", ref="B")
        ),
        figure(
            "Reference",
            "The bundle that the stream is compared with.",
            query(f"max by (bundle, version) (driftwatch_reference_info{{{OF_STREAM}}})", "{{bundle}}/{{version}}"),
            graph=False,
        ).text_mode(common.BigValueTextMode.NAME),
    )


def _p_values() -> Panel:
    panel = lines(
        "P-value by window, and threshold",
        "All detectors combined, for the newest window of each size. A window at or below the dashed line starts an "
        f"alarm; red marks how long it lasts. Values below {LEAST_P:g} are drawn at {LEAST_P:g}.",
        query(
            f'clamp_min(min by (window) (driftwatch_window_p_value{{{WINDOWS}, detector="combined"}}), {LEAST_P:g})',
            "window of {{window}}",
        ),
        query(f"max(driftwatch_window_threshold{{{OF_STREAM}}})", "alarm at or below", ref="B"),
        unit="sci",
        extreme="min",
        width=24,
        height=10,
        fill=0,
    )
    return limit_line(logarithmic(panel).max(1), "B")


def _effect() -> Panel:
    return lines(
        "Effect by window",
        "Divergence from the reference in nats per sample, with the share of chance subtracted. Larger windows make it "
        "more certain, not larger.",
        query(f"max by (window) (driftwatch_window_effect_nats{{{WINDOWS}}})", "window of {{window}}"),
        width=8,
    )


def _detectors() -> Panel:
    panel = lines(
        "P-value by detector",
        "The smallest over the window sizes. It shows which detector responds: kl is divergence in latent space, "
        "geometry the shape of the latents, moments the descriptors, nll the likelihood, typicality its distance "
        "from the reference's mean.",
        query(
            f'clamp_min(min by (detector) (driftwatch_window_p_value{{{WINDOWS}, detector!="combined"}}), {LEAST_P:g})',
            "{{detector}}",
        ),
        unit="sci",
        extreme="min",
        width=8,
        fill=0,
    )
    return logarithmic(panel).max(1)


def _wealth() -> Panel:
    panel = lines(
        "Anytime alarm: wealth",
        "Logarithm (nats) of the wealth of a gambler who bets that single samples differ from the reference. The "
        "anytime alarm fires at the dashed line. Empty if alerts.anytime_alpha is 0.",
        query(f"max(driftwatch_martingale_log_wealth{{{OF_STREAM}}})", "log wealth"),
        query(f"max(driftwatch_martingale_log_wealth_limit{{{OF_STREAM}}})", "alarm at or above", ref="B"),
        width=8,
    )
    return limit_line(panel, "B")


def _parts() -> Sequence[Panel]:
    meanings = {
        "location": "Shifts of the mean of each block of the latent space",
        "scale": "Changes of spread",
        "dependence": "Changes in how dimensions depend on each other",
    }
    return [
        lines(
            f"{part.capitalize()} by block",
            f"{about}: their part of the divergence, in nats per sample. Small windows have values above zero by "
            "chance alone: compare with times without drift.",
            query(
                f'max by (block, window) (driftwatch_window_block_nats{{{WINDOWS}, part="{part}"}})',
                "{{block}}, {{window}}",
            ),
            width=8,
        )
        for part, about in meanings.items()
    ]


def _scores() -> Panel:
    return scores(
        "Scores of single samples",
        "Histogram of the divergence of single samples from the reference, in nats. A drift that is certain in windows "
        "is often hardly visible here.",
        query(
            f"sum by (le) (increase(driftwatch_sample_score_bucket{{{OF_STREAM}}}[$__rate_interval]))",
            "{{le}}",
            kind="heatmap",
        ),
        width=14,
        height=9,
    )


def _descriptors() -> Panel:
    return gauges(
        "Descriptors of the newest windows",
        "Hotelling's T-squared of each group of descriptors: which simple properties of the samples moved. Larger "
        "windows give larger values.",
        query(
            f'max by (part) (driftwatch_window_statistic{{{WINDOWS}, detector="moments", part!="total"}})', "{{part}}"
        ),
        unit="short",
        width=10,
        height=9,
    )


def _samples() -> Panel:
    return lines(
        "Samples per second",
        "Samples scored, by daemon.",
        query(f"sum by (instance) (rate(driftwatch_samples_total{{{OF_STREAM}}}[$__rate_interval]))", "{{instance}}"),
        width=8,
    ).min(0)


def _messages() -> Panel:
    return lines(
        "Messages per second by outcome",
        "ok: scored; skipped: left out by sample_fraction; shed: too many arrived; dead_letter: unusable.",
        query(f"sum by (outcome) (rate(driftwatch_batches_total{{{OF_STREAM}}}[$__rate_interval]))", "{{outcome}}"),
        width=8,
    ).min(0)


def _age() -> Panel:
    ends = f"time() - max by (window) (driftwatch_window_end_timestamp_seconds{{{WINDOWS}}})"
    return lines(
        "Age of the newest results",
        "Age of the newest scored sample, and of the newest sample in the newest window, by event time.",
        query(f"time() - max(driftwatch_last_sample_timestamp_seconds{{{OF_STREAM}}})", "newest sample"),
        query(ends, "window of {{window}}", ref="B"),
        unit="s",
        width=8,
        fill=0,
    ).min(0)


def _lag() -> Panel:
    return lines(
        "Messages waiting by topic",
        "For the chosen daemons, which may watch other streams too. Empty without Kafka.",
        query(f"sum by (topic) (driftwatch_consumer_lag{{{CHOSEN}}})", "{{topic}}"),
        width=8,
    ).min(0)


def _alerts() -> Panel:
    written = f"sum by (state, severity) (increase(driftwatch_alerts_total{{{OF_STREAM}}}[$__rate_interval]))"
    about = "Alarms that started, worsened or ended, by severity."
    return bars(lines("Alerts written", about, query(written, "{{state}}, {{severity}}"), width=8))


def _stages() -> Panel:
    buckets = f"sum by (stage, le) (rate(driftwatch_stage_seconds_bucket{{{CHOSEN}}}[$__rate_interval]))"
    return lines(
        "Duration of each stage, median",
        "One pass, in the chosen daemons.",
        query(f"histogram_quantile(0.5, {buckets})", "{{stage}}"),
        unit="s",
        width=8,
        fill=0,
    )
