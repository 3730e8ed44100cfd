"""Compares what was committed with what the oracle computed."""

from __future__ import annotations

from collections.abc import Callable

from kafka.consumer.fetcher import ConsumerRecord

from driftwatch.stream.pane_codec import decode_pane
from tests.chaos.comparison import Comparison, Sequences, compare
from tests.chaos.oracle import Oracle
from tests.chaos.runs import pane_key
from tests.cluster import Cluster


def judge(cluster: Cluster, oracle: Oracle, panes: Sequences, dead: Sequences) -> list[Comparison]:
    """Compare everything that a ``read_committed`` consumer finds with the oracle.

    Args:
        cluster: with topics that have no producer any more.
        oracle: for the daemons' configuration.
        panes: of the input, by the oracle.
        dead: dead letters of the input, by the oracle.
    """
    scored = cluster.read_all(cluster.named("panes"))
    windows, alerts = oracle.tested(scored)

    def found(role: str, key: Callable[[ConsumerRecord], str], value: Callable[[ConsumerRecord], bytes]) -> Sequences:
        return _sequences(cluster.read_all(cluster.named(role)), key, value)

    return [
        compare("panes", panes, _sequences(scored, lambda each: pane_key(decode_pane(each.value)), _value)),
        compare("windows", windows, found("windows", _stream, _value)),
        compare("alerts", alerts, found("alerts", _stream, _value)),
        compare("dead letters", dead, found("dead_letters", _origin, _offset)),
    ]


def _sequences(
    messages: list[ConsumerRecord], key: Callable[[ConsumerRecord], str], value: Callable[[ConsumerRecord], bytes]
) -> Sequences:
    sequences = Sequences()
    for message in messages:
        sequences.add(key(message), value(message))
    return sequences


def _stream(message: ConsumerRecord) -> str:
    return message.key.decode()


def _value(message: ConsumerRecord) -> bytes:
    return message.value


def _origin(letter: ConsumerRecord) -> str:
    return dict(letter.headers)["driftwatch-partition"].decode()


def _offset(letter: ConsumerRecord) -> bytes:
    return dict(letter.headers)["driftwatch-offset"]
