"""``driftwatch publish``: a data set as a stream of Kafka messages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from driftwatch.cli.console import DATA_HELP, sample_progress, stderr
from driftwatch.errors import UsageError

if TYPE_CHECKING:
    from driftwatch.config import KafkaSource


def publish(
    data: Annotated[str, typer.Argument(help=DATA_HELP, show_default=False)],
    bootstrap: Annotated[
        str | None, typer.Option(metavar="HOST:PORT[,...]", help="Kafka brokers; or take them from --config.")
    ] = None,
    topic: Annotated[str | None, typer.Option(help="Topic; or take it from --config.")] = None,
    config: Annotated[Path | None, typer.Option(help="Daemon configuration: its brokers, security and topic.")] = None,
    stream: Annotated[
        str | None, typer.Option(help="Stream name for the driftwatch-stream header.  [default: the data's name]")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Samples in a message.")] = 32,
    rate: Annotated[
        float | None, typer.Option(min=1e-3, help="Samples per second; as fast as possible if absent.")
    ] = None,
    format: Annotated[  # noqa: A002 - the option's name
        Literal["json", "v2", "rows", "npy", "arrow", "avro"], typer.Option(help="Of the messages.")
    ] = "json",
    schema_registry: Annotated[
        str | None, typer.Option(metavar="URL", help="For format avro; or take it from --config.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(help="Message key; '' spreads over partitions.  [default: the stream, which keeps its order]"),
    ] = None,
    offset: Annotated[int, typer.Option(min=0, help="First row to send.")] = 0,
    limit: Annotated[int | None, typer.Option(min=1, help="The most rows to send.")] = None,
    repeat: Annotated[int, typer.Option(min=1, help="Send the rows so many times.")] = 1,
    create_topic: Annotated[
        int | None, typer.Option(min=1, metavar="PARTITIONS", help="Create the topic first, if it is missing.")
    ] = None,
) -> None:
    """Send a data set as a stream, for trying things out."""
    source = _source(config, bootstrap, topic, schema_registry)
    from driftwatch.data.readers import open_dataset
    from driftwatch.stream.publish import PublishPlan, ensure_topic, publish_dataset

    dataset = open_dataset(data)
    name = stream if stream is not None else dataset.name
    plan = PublishPlan(
        topic=source.topic,
        stream=name,
        key=(name if key is None else key) or None,
        batch=batch,
        rate=rate,
        format=format,
        offset=offset,
        limit=limit,
        repeat=repeat,
    )
    if create_topic is not None and ensure_topic(source, create_topic):
        stderr().print(f"created topic {source.topic} with {create_topic} partition(s)")
    with sample_progress() as progress:
        task = progress.add_task(f"publishing to {source.topic}", total=plan.total(dataset.rows))
        report = publish_dataset(dataset, plan, source, on_sent=lambda n: progress.advance(task, n))
    stderr().print(
        f"{report.samples} samples in {report.messages} messages to {source.topic}, stream {name!r}, "
        f"{report.seconds:.1f} s"
    )


def _source(config: Path | None, bootstrap: str | None, topic: str | None, schema_registry: str | None) -> KafkaSource:
    from pydantic import ValidationError

    from driftwatch.config import KafkaSource, load_config

    stated: dict[str, object] = {}
    if config is not None:
        source = load_config(config).source
        if not isinstance(source, KafkaSource):
            raise UsageError("the source is not Kafka", where=str(config), remedy="give --bootstrap and --topic")
        stated = dict(source)
    if bootstrap:
        stated["bootstrap_servers"] = bootstrap
    if topic:
        stated["topic"] = topic
    if schema_registry:
        stated["schema_registry"] = {"url": schema_registry}
    for option, field in (("--bootstrap", "bootstrap_servers"), ("--topic", "topic")):
        if field not in stated:
            raise UsageError("is required", where=option, remedy="or give --config CONFIG")
    try:
        return KafkaSource.model_validate({"kind": "kafka", **stated})
    except ValidationError as error:
        first = error.errors()[0]
        named = {"bootstrap_servers": "--bootstrap", "schema_registry": "--schema-registry"}
        option = named.get(str(first["loc"][0]), "--topic") if first["loc"] else ""
        raise UsageError(first["msg"].removeprefix("Value error, "), where=option) from None
