"""``driftwatch check``: validate a daemon configuration, and report what the daemon would do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from driftwatch.cli.console import OutputFormat, stderr, stdout, table
from driftwatch.cli.detected import detectable_table
from driftwatch.cli.reached import TopicState, forward_topics, registry_types, source_topics

if TYPE_CHECKING:
    from rich.console import Console

    from driftwatch.config import DaemonConfig, HttpSource, ReplaySource, WindowsConfig
    from driftwatch.reference.detectable import Detectable
    from driftwatch.reference.reference import Reference
    from driftwatch.stream.topic_rules import Complaint


def check(
    config: Annotated[Path, typer.Argument(help="Daemon configuration, YAML.", show_default=False)],
    offline: Annotated[bool, typer.Option("--offline", help="Do not reach for the broker.")] = False,
    format: Annotated[  # noqa: A002 - the option's name
        OutputFormat, typer.Option(help="Tables for people, or JSON.")
    ] = "table",
    send_test_alert: Annotated[
        bool, typer.Option("--send-test-alert", help="Send a test alert through every sink, but not to Kafka.")
    ] = False,
) -> None:
    """Validate a configuration, load its references, reach the broker, and print what would happen."""
    from driftwatch.cli.certificates import require_certificates
    from driftwatch.cli.state_folder import require_state_folder
    from driftwatch.config import KafkaSource, ReplaySource, load_config
    from driftwatch.daemon import load_references
    from driftwatch.errors import SourceError
    from driftwatch.logs import log_to_stderr
    from driftwatch.tracing import open_tracer

    log_to_stderr()
    loaded = load_config(config)
    open_tracer(loaded.tracing).close()
    require_state_folder(loaded)
    require_certificates(loaded)
    source = loaded.source
    streams: list[StreamPlan] = []
    if not loaded.forwards:
        with stderr().status("loading references and calibrating thresholds"):
            references = load_references(loaded)
            if isinstance(source, ReplaySource):
                _require_fit(loaded, source, references)
            streams = _streams(loaded, references)
    topics: list[TopicState] = []
    complaints: Sequence[Complaint] = ()
    registry = ""
    if offline:
        pass
    elif isinstance(source, KafkaSource):
        registry = registry_types(source)
        topics, complaints = source_topics(source, loaded.alerts_topic, own_group=loaded.has_both_roles)
    elif not isinstance(source, ReplaySource) and source.forward is not None:
        topics = forward_topics(source.forward, source.forward.topic)
    report = _Report(str(config), loaded, streams, topics, complaints, registry)
    if format == "json":
        import orjson

        typer.echo(orjson.dumps(report.to_json()).decode())
    else:
        report.show()
    if send_test_alert:
        _rehearse(loaded)
    refused = [each.topic for each in complaints if each.refused]
    if refused:
        raise SourceError(
            f"the daemon would refuse to start with {', '.join(dict.fromkeys(refused))} as set",
            where="source.topics",
            remedy="each complaint above names its command",
        )


@dataclass(frozen=True)
class StreamPlan:
    """A stream's reference, alarm threshold, the quality of its calibration, and what it detects."""

    stream: str
    reference: str
    version: str
    sample: str
    sample_fraction: float
    threshold: float
    samples_between_false_alarms: tuple[float, float]
    simulated: bool
    """Whether the null is simulated at each start, since the bundle does not hold that of the windows."""

    remarks: tuple[str, ...]
    warnings: tuple[str, ...]
    detectable: tuple[Detectable, ...]

    def to_json(self) -> dict[str, Any]:
        from driftwatch.stats.rates import CONFIDENCE

        low, high = self.samples_between_false_alarms
        between = {"low": low, "high": high, "confidence": CONFIDENCE}
        detectable = [row.to_json() for row in self.detectable]
        return {**vars(self), "samples_between_false_alarms": between, "detectable": detectable}


@dataclass(frozen=True)
class SinkPlan:
    """A sink, and where its alerts go; never the full address, which may be a secret."""

    name: str
    kind: str
    to: str


@dataclass(frozen=True)
class _Report:
    config: str
    loaded: DaemonConfig
    streams: Sequence[StreamPlan]
    topics: Sequence[TopicState]
    complaints: Sequence[Complaint]
    registry: str

    def to_json(self) -> dict[str, Any]:
        return {
            "config": self.config,
            "source": self._source(),
            "schema_registry": self.registry,
            "roles": list(self.loaded.roles),
            "windows": {"sizes": list(self.loaded.windows.sizes), "step": self.loaded.windows.step},
            "false_alarm_budget_samples": self.loaded.alerts.budget_samples,
            "anytime_alpha": self.loaded.alerts.anytime_alpha,
            "streams": [stream.to_json() for stream in self.streams],
            "topics": [vars(topic) for topic in self.topics],
            "complaints": [vars(complaint) for complaint in self.complaints],
            "sinks": [vars(sink) for sink in self._sinks()],
            "device": self._device(),
            "server": self._server(),
            "tracing": self._tracing(),
        }

    def show(self) -> None:
        console = stdout()
        windows, alerts = self.loaded.windows, self.loaded.alerts
        rows = {"configuration": self.config, "source": self._source()}
        if self.registry:
            rows["registry"] = self.registry
        watched = {
            "roles": ", ".join(self.loaded.roles),
            "windows": f"{', '.join(map(str, windows.counts))} samples, every {windows.step}{_by_time(windows)}",
            "budget": f"a false alarm in {alerts.budget_samples:,.0f} samples of each stream",
            "anytime": _anytime(alerts.anytime_alpha),
            "alerts": f"effect {alerts.min_effect:g} nats or more; "
            f"resolved {alerts.resolve_after} tests or more after the last window that drifts",
            "severity": ", ".join(f"{name} from {nats:g} nats" for name, nats in alerts.severity.items()),
            "sinks": ", ".join(sink.name for sink in self._sinks()) or "none",
            "device": self._device(),
        }
        rows |= {
            **({} if self.loaded.forwards else watched),
            "server": self._server() or "off",
            "tracing": self._tracing() or "off",
        }
        width = max(map(len, rows)) + 2
        for name, value in rows.items():
            console.print(f"{name.ljust(width)}{value}")
        if self.streams:
            console.print()
            self._show_streams(console)
        if self.loaded.sinks:
            self._show_sinks(console)
        if self.topics:
            topics = table("", "topic", "for", "partitions")
            for topic in self.topics:
                topics.add_row(topic.topic, topic.role, str(topic.partitions or "none yet: will be created"))
            console.print()
            console.print(topics)
        for each in self.complaints:
            weight = "refused" if each.refused else "warning"
            console.print(f"{each.topic}: {weight}: {each.what}; {each.remedy}", soft_wrap=True)

    def _show_streams(self, console: Console) -> None:
        from driftwatch.stats.remarks import two_digits

        streams = table(
            "", "stream", "reference", "version", "sample", "fraction", "alarm at p <=", "false alarm in samples, 95 %"
        )
        for s in self.streams:
            low, high = map(two_digits, s.samples_between_false_alarms)
            fraction, threshold = f"{s.sample_fraction:g}", f"{s.threshold:.3g}"
            streams.add_row(s.stream, s.reference, s.version, s.sample, fraction, threshold, f"{low:,} to {high:,}")
        console.print(streams)
        # Streams that share a reference share what is said of it.
        said: dict[str, list[str]] = {}
        for s in self.streams:
            for words in (*s.remarks, *(f"warning: {warning}" for warning in s.warnings)):
                said.setdefault(words, []).append(s.stream)
        for words, names in said.items():
            console.print(f"{', '.join(names)}: {words}")
        if lacking := dict.fromkeys(s.reference for s in self.streams if s.simulated):
            console.print(
                f"{', '.join(lacking)}: each start takes seconds longer, as the bundle holds no null of these windows; "
                f"driftwatch recalibrate BUNDLE --for {self.config} --out NEW writes one that does"
            )
        if detected := detectable_table({s.reference: s.detectable for s in self.streams}):
            console.print()
            console.print(detected)

    def _show_sinks(self, console: Console) -> None:
        sinks = table("", "sink", "kind", "alerts go to")
        for sink in self._sinks():
            sinks.add_row(sink.name, sink.kind, sink.to)
        console.print()
        console.print(sinks)

    def _sinks(self) -> list[SinkPlan]:
        from driftwatch.config import named_sinks, one_by_one

        alerts_topic = self.loaded.alerts_topic
        return [
            SinkPlan(name, kind, alerts_topic if sink.kind == "kafka" else sink.destination)
            for name, sink in named_sinks(one_by_one(self.loaded.sinks))
            for kind in [f"webhook, {sink.template}" if sink.kind == "webhook" else sink.kind]
        ]

    def _source(self) -> str:
        source = self.loaded.source
        if source.kind == "kafka":
            servers = ",".join(source.bootstrap_servers)
            return f"kafka {servers}, topic {source.topic}, group {source.group}, {source.security.protocol}"
        if source.kind == "http":
            return f"http, {_intake(self.loaded, source)}"
        pace = f"{source.rate:g} samples/s" if source.rate else "as fast as possible"
        return f"replay of {', '.join(path.name for path in source.data)} as {source.stream!r}, {pace}"

    def _device(self) -> str:
        """The device that scores samples; for a CPU, whether flows are compiled for it, and if not, why."""
        if self.loaded.forwards:
            return ""
        import torch

        from driftwatch.kernels.cpu.compiled import lack_of_kernels
        from driftwatch.reference.device import choose_device

        name = choose_device(self.loaded.device)
        if name != "cpu":
            return name
        lack = lack_of_kernels(torch.device(name))
        return f"cpu, layer by layer: {lack.what} ({lack.remedy})" if lack else "cpu, flows compiled for it"

    def _server(self) -> str:
        server = self.loaded.server
        return f"http://{server.host}:{server.port}/" if server.enabled else ""

    def _tracing(self) -> str:
        return self.loaded.tracing.destination if self.loaded.tracing else ""


def _intake(config: DaemonConfig, source: HttpSource) -> str:
    """The intake's address, who may send to it, and the capacity of its queue."""
    from driftwatch.config import is_loopback

    own = source.port is not None
    host, port = (source.host or "127.0.0.1", source.port) if own else (config.server.host, config.server.port)
    senders = "by programs of this machine" if is_loopback(host) else "by anyone who reaches it"
    senders += " with a token" if source.token else ""
    forward = source.forward
    on = f", then written to kafka {','.join(forward.bootstrap_servers)}, topic {forward.topic}" if forward else ""
    return (
        f"posted to {'https' if source.tls else 'http'}://{host}:{port}/ {senders}; "
        f"{source.queue.messages:,} messages or {source.queue.bytes >> 20:,} MiB may wait{on}"
    )


def _by_time(windows: WindowsConfig) -> str:
    if windows.tick_ms is None:
        return ""
    return f"; {', '.join(windows.times_ms)} of event time, every {windows.tick_ms / 1000:g} s"


def _anytime(alpha: float) -> str:
    if not alpha:
        return "no alarm on single samples"
    return f"probability {alpha:g} of ever alarming on single samples without drift"


def _timeless(config: DaemonConfig) -> Iterator[str]:
    """Warn of time-based windows in a replay without event times."""
    from driftwatch.config import ReplaySource
    from driftwatch.stream.replay import UNPACED_RATE

    source, sizes = config.source, config.windows.times_ms
    if isinstance(source, ReplaySource) and source.time is None and sizes:
        yield (
            f"windows of {', '.join(sizes)} assume {source.rate or UNPACED_RATE:,g} samples per second, since the "
            "replay has no event times; name their column in source.time, or use windows by count only"
        )


def _streams(config: DaemonConfig, loaded: Mapping[str, Reference]) -> list[StreamPlan]:
    from driftwatch.reference.detectable import stored_detectable
    from driftwatch.reference.fitness import warning_texts
    from driftwatch.stream.standards import standards_for

    windows, by_time = config.windows, config.windows.tick_ms is not None
    standards = standards_for(windows, config.alerts)
    return [
        StreamPlan(
            stream=stream.name,
            reference=(reference := loaded[str(stream.reference)]).name,
            version=reference.version,
            sample=f"{reference.schema.kind} {'x'.join(map(str, reference.schema.shape))}",
            sample_fraction=stream.sample_fraction,
            threshold=(procedure := standards.procedure(reference)).control.threshold,
            samples_between_false_alarms=procedure.control.interval,
            simulated=config.tests and reference.stored_null(windows.counts, windows.step, by_time=by_time) is None,
            remarks=procedure.remarks,
            warnings=(*warning_texts(reference.manifest), *_timeless(config)),
            detectable=stored_detectable(reference.manifest),
        )
        for stream in config.streams
    ]


def _rehearse(config: DaemonConfig) -> None:
    from driftwatch.alerts.rehearsal import rehearse
    from driftwatch.errors import SinkError

    with stderr().status("sending a test alert"):
        attempts = rehearse(config)
    console = stderr()
    for each in attempts:
        console.print(f"test alert to {each.sink}: {each.error or 'arrived'}")
    failed = [each.sink for each in attempts if each.error]
    if failed:
        raise SinkError(f"the test alert did not reach {', '.join(failed)}", where="sinks")
    if not attempts:
        console.print("test alert: there is no sink to send it to")


def _require_fit(config: DaemonConfig, source: ReplaySource, references: Mapping[str, Reference]) -> None:
    """Refuse files whose first samples already do not fit the reference."""
    from driftwatch.data.readers import open_dataset

    watched = {stream.name: references[str(stream.reference)] for stream in config.streams}
    for path in source.data:
        next(open_dataset(path).chunks(watched[source.stream].schema, rows=source.batch), None)
