"""``driftwatch check`` names topics that may have been meant by one that does not exist."""

from __future__ import annotations

import pytest

from driftwatch.cli.reached import TopicState, _states
from driftwatch.errors import ConfigError
from driftwatch.stream.topic_rules import TopicFound

FOUND = {name: TopicFound(partitions=3, replicas=1) for name in [*(f"a{i}" for i in range(20)), "requests.de"]}


@pytest.mark.parametrize(
    ("wanted", "remedy"),
    [
        ("request.de", "did you mean 'requests.de'? Otherwise create it, with driftwatch publish"),
        ("images", "--create-topic 1 for example; existing topics: a0, a1, a10, a11, a12, a13, a14, a15"),
    ],
)
def test_a_topic_that_does_not_exist_is_refused_with_the_nearest_name(wanted: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as refused:
        _states({"input": wanted}, FOUND, "source.topic")
    assert refused.value.where == "source.topic"
    assert remedy in refused.value.remedy


def test_topics_that_do_not_exist_yet_have_no_partitions() -> None:
    named = {"input": "requests.de", "panes": "driftwatch.panes"}
    assert _states(named, FOUND, "source.topic") == [
        TopicState("requests.de", "input", 3),
        TopicState("driftwatch.panes", "panes", 0),
    ]
