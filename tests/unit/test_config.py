"""The daemon's configuration: what is accepted, and how each mistake is reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from driftwatch.config import (
    AlertsConfig,
    DaemonConfig,
    HttpSource,
    KafkaSource,
    ReplaySource,
    WebhookSinkConfig,
    load_config,
    parse_false_alarm_budget,
)
from driftwatch.errors import ConfigError
from driftwatch.settings import ConfigErrors, load_yaml_model
from driftwatch.stream.connecting import client_options

KAFKA = {"kind": "kafka", "bootstrap_servers": ["broker:9092"], "topic": "samples"}
STREAMS = [{"name": "a", "reference": "bundles/a"}]


BILLION_LAUGHS = "a0: &a0 ha\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10))
"""Nested aliases that expand to nine to the power of ten values: "a billion laughs"."""


def write(folder: Path, text: str | dict[str, Any]) -> Path:
    path = folder / "daemon.yaml"
    path.write_text(text if isinstance(text, str) else yaml.safe_dump(text))
    return path


def config(**changes: Any) -> dict[str, Any]:
    return {"source": KAFKA, "streams": STREAMS, **changes}


def problem(folder: Path, text: str | dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(write(folder, text))
    assert not isinstance(caught.value, ConfigErrors), str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_defaults_are_the_documented_ones(tmp_path: Path) -> None:
    loaded = load_config(write(tmp_path, config()))
    assert isinstance(loaded.source, KafkaSource)
    assert loaded.source.topics.panes == "driftwatch.panes"
    assert loaded.windows.sizes == [50, 500]
    assert loaded.roles == ["score", "test"]
    assert loaded.alerts.budget_samples == 1e6
    assert (loaded.server.host, loaded.server.port) == ("127.0.0.1", 9464)


def test_topics_are_named_after_the_group(tmp_path: Path) -> None:
    source = {**KAFKA, "group": "vision-eu", "topics": {"windows": "w"}}
    loaded = load_config(write(tmp_path, config(source=source, sinks=[{"kind": "kafka"}])))
    assert isinstance(loaded.source, KafkaSource)
    assert loaded.source.topics.panes == "vision-eu.panes"
    assert loaded.source.topics.dead_letters == "vision-eu.dead-letters"
    assert loaded.source.topics.windows == "w"
    assert loaded.alerts_topic == "vision-eu.alerts"


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    source = {"kind": "replay", "data": ["x.npy", "/data/y.npy"], "stream": "a"}
    loaded = load_config(write(tmp_path / "below", config(source=source, state_dir="../state")))
    assert loaded.streams[0].reference == tmp_path / "below" / "bundles" / "a"
    assert isinstance(loaded.source, ReplaySource)
    assert loaded.source.data == [tmp_path / "below" / "x.npy", Path("/data/y.npy")]
    assert loaded.state_dir == tmp_path / "below" / ".." / "state"


@pytest.mark.parametrize(
    ("change", "where", "nearest"),
    [
        ({"windws": {}}, "windws", "windows"),
        ({"windows": {"sizs": [50]}}, "windows.sizs", "sizes"),
        ({"source": {**KAFKA, "topc": "x"}}, "source.topc", "topic"),
        ({"source": {**KAFKA, "security": {"protocl": "SSL"}}}, "source.security.protocl", "protocol"),
        ({"streams": [*STREAMS, {"name": "b", "reference": "b", "fromat": "npy"}]}, "streams[1].fromat", "format"),
        ({"sinks": [{"kind": "webhook", "url": "http://x/", "timeout": 3}]}, "sinks[0].timeout", "timeout_s"),
    ],
)
def test_unknown_keys_name_the_place_and_the_nearest_key(
    tmp_path: Path, change: dict[str, Any], where: str, nearest: str
) -> None:
    message = problem(tmp_path, config(**change))
    assert f": {where}: unknown key" in message
    assert f"did you mean {nearest!r}?" in message
    assert message.startswith(str(tmp_path / "daemon.yaml") + ":")


def test_an_unknown_key_unlike_any_other_lists_the_known_ones(tmp_path: Path) -> None:
    assert "known keys: sizes, step" in problem(tmp_path, config(windows={"zzz": 1}))


def test_an_error_names_the_line(tmp_path: Path) -> None:
    text = "source:\n  kind: kafka\n  bootstrap_servers: [a:1]\n  topic: t\nstreams:\n- name: a\n  reference: b\n"
    message = problem(tmp_path, text + "  sample_fraction: 1.5\n")
    assert message.startswith(f"{tmp_path / 'daemon.yaml'}:8: streams[0].sample_fraction: ")
    assert "less than or equal to 1" in message
    assert "got 1.5" in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": {"kind": "kafca"}}, "source: 'kafca' is not a known kind (one of 'kafka', 'http', 'replay')"),
        ({"source": {"topic": "x"}}, "source: 'kind' is missing (one of 'kafka', 'http', 'replay')"),
        ({"sinks": [{"url": "http://a"}]}, "sinks[0]: 'kind' is missing (one of 'kafka', 'alertmanager', "),
        ({"source": {**KAFKA, "bootstrap_servers": ["broker"]}}, "should be host:port, got 'broker'"),
        ({"source": {**KAFKA, "bootstrap_servers": []}}, "source.bootstrap_servers: should not be empty"),
        ({"source": {**KAFKA, "topic": "my topic"}}, "source.topic: should be up to 249 letters, digits"),
        ({"source": {**KAFKA, "topic": ".."}}, "source.topic: should be up to 249 letters, digits"),
        ({"source": {**KAFKA, "topic": "driftwatch.panes"}}, "driftwatch itself writes"),
        ({"source": {**KAFKA, "topics": {"panes": "p", "state": "p"}}}, "p is given twice"),
        ({"sinks": [{"kind": "kafka", "topic": "driftwatch.panes"}]}, "in use for something else"),
        ({"source": {**KAFKA, "group": "two words"}}, "source.group: "),
        ({"streams": []}, "streams: at least one is needed"),
        ({"streams": [*STREAMS, *STREAMS]}, "the name 'a' is given twice"),
        ({"streams": [{"name": "a", "reference": "b", "sample_fraction": 0}]}, "greater than 0"),
        ({"streams": [{"name": "a"}]}, "streams[0].reference: is required but missing"),
        ({"windows": {"sizes": [50, 55]}}, "sizes [55] should be multiples of step 10"),
        ({"windows": {"sizes": [10]}}, "larger than it"),
        ({"windows": {"sizes": [500, 50]}}, "should ascend"),
        ({"windows": {"sizes": [50, 50]}}, "should ascend"),
        ({"windows": {"sizes": [10 * k for k in range(2, 11)]}}, "at most 8 items"),
        ({"windows": 5}, "windows: should hold keys and values"),
        ({"windows": {"sizes": 50}}, "windows.sizes: should be a list, got 50 (write it in square brackets)"),
        ({"streams": {"a": "b"}}, "streams: should be a list (begin each with '- ')"),
        ({"sinks": None}, "sinks: holds nothing (give a list, or leave the key out)"),
        ({"streams": [{"name": 5, "reference": "b"}]}, "streams[0].name: should be a text, got 5 (write it in quotes)"),
        ({"alerts": {"quiet_after": 600}}, "alerts.quiet_after: 600 has no unit; write it like '30s'"),
        ({"alerts": {"false_alarm_budget": "never"}}, "'never' is not a budget"),
        ({"alerts": {"quiet_after": False}}, "alerts.quiet_after: False is not a length of time; write it like"),
        ({"alerts": {"severity": {"critical": 5.0}}}, "above min_effect 0"),
        ({"alerts": {"severity": {"Warning": 0}}}, "alerts.severity.Warning: this name should match pattern"),
        ({"alerts": {"min_effect": float("nan")}}, "alerts.min_effect: "),
        ({"sinks": [{"kind": "webhook", "url": "ftp://x"}]}, "'http' or 'https'"),
        ({"sinks": [{"kind": "kafka"}, {"kind": "kafka"}]}, "more than one of kind kafka"),
        ({"roles": ["score", "score"]}, "names one twice"),
        ({"roles": ["scores"]}, "roles[0]: should be 'score' or 'test', got 'scores'"),
        ({"device": "gpu"}, "device: should be auto, cpu, cuda, or one of several GPUs such as cuda:1"),
        ({"state_dir": ""}, "state_dir: is empty"),
        ({"state_dir": 5}, "state_dir: should be a path"),
        ({"streams": [{"name": "a", "reference": ""}]}, "streams[0].reference: is empty"),
        ({"server": {"port": 70000}}, "server.port: "),
        ({"tracing": {"endpoint": "collector:4318"}}, "tracing.endpoint: "),
        ({"tracing": {"sample_ratio": 1.5}}, "tracing.sample_ratio: "),
        ({"source": {**KAFKA, "security": {"protocol": "SASL_SSL"}}}, "needs sasl_mechanism, sasl_username"),
        ({"source": {**KAFKA, "security": {"sasl_username": "me"}}}, "without a SASL protocol"),
        ({"source": {**KAFKA, "security": {"ssl_cafile": "ca.pem"}}}, "without TLS"),
        (
            {"source": {**KAFKA, "security": {"protocol": "SSL", "ssl_certfile": "c.pem"}}},
            "ssl_certfile and ssl_keyfile go together",
        ),
        ({"source": {"kind": "replay", "data": ["x.npy"], "stream": "b"}}, "'b' is not among the streams a"),
    ],
)
def test_invalid_values_are_reported(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    assert message in problem(tmp_path, config(**change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"windows": {"sizes": ["5 minutes"]}}, "windows.sizes[0]: '5 minutes' is not a length of time; write it like"),
        ({"windows": {"sizes": [1]}}, "windows.sizes[0]: should be greater than or equal to 2, got 1"),
        ({"streams": [{"name": "a", "reference": "b", "quiet_after": 600}]}, "streams[0].quiet_after: 600 has no unit"),
        (
            {"streams": [{"name": "a", "reference": "b", "quiet_after": False}]},
            "quiet_after: False is not a length of time",
        ),
        ({"sinks": [{"kind": "alertmanager", "url": 5}]}, "sinks[0].url: should be"),
    ],
)
def test_a_value_that_may_have_several_types_is_reported_once(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    found = problem(tmp_path, config(**change))
    assert message in found
    assert found.count("daemon.yaml:") == 1


def test_a_file_for_another_command_is_recognised(tmp_path: Path) -> None:
    training = {"data": {"train": "x.npy"}, "training": {"minutes": 1}}
    assert problem(tmp_path, training).endswith("daemon.yaml: holds data, training (that is for driftwatch train)")


def test_a_replay_accepts_a_single_file(tmp_path: Path) -> None:
    source = {"kind": "replay", "data": "x.npy", "stream": "a"}
    loaded = load_config(write(tmp_path, config(source=source))).source
    assert isinstance(loaded, ReplaySource)
    assert loaded.data == [tmp_path / "x.npy"]


def test_a_replay_with_times_cannot_loop(tmp_path: Path) -> None:
    source = {"kind": "replay", "data": "x.csv", "stream": "a", "time": "seen"}
    assert load_config(write(tmp_path, config(source=source))).source.time == "seen"
    assert "rows of a loop repeat, and their times with them" in problem(
        tmp_path, config(source={**source, "loop": True})
    )


HTTP = {"kind": "http"}
FORWARD = {"bootstrap_servers": ["broker:9092"], "topic": "samples"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"server": {"host": "0.0.0.0"}}, "source: anyone who can reach 0.0.0.0 could post samples; set source.token"),
        ({"source": {**HTTP, "port": 9465, "host": "::"}}, "source: anyone who can reach :: could post samples"),
        ({"source": {**HTTP, "token": "short"}}, "source.token: should be 8 ASCII characters or more"),
        (
            {"source": {**HTTP, "token": "a-long-one\n"}},
            "source.token: should be 8 ASCII characters or more, without a line",
        ),
        ({"source": {**HTTP, "host": "0.0.0.0"}}, "host and tls need a port"),
        ({"source": {**HTTP, "tls": {"certfile": "c", "keyfile": "k"}}}, "host and tls need a port"),
        ({"source": {**HTTP, "queue": {"bytes": 2048}}}, "the largest message would never fit"),
        ({"source": {**HTTP, "responses": "score"}}, "source.responses: "),
        ({"source": {**HTTP, "responses": "watch"}}, "a stream of responses, such as a.responses"),
        ({"source": {**HTTP, "stream": "b"}}, "'b' is not among the streams a"),
        ({"server": {"enabled": False}}, "needs its own port where server.enabled is false"),
        ({"sinks": [{"kind": "kafka"}]}, "a daemon that receives samples over HTTP has no broker to write to"),
        ({"roles": ["score"]}, "a daemon that receives samples over HTTP runs both"),
        ({"source": {**HTTP, "forward": FORWARD}}, "a forwarder has no streams and no sinks"),
        ({"source": {**HTTP, "forward": {**FORWARD, "max_message_bytes": 2048}}}, "some messages would not fit"),
        ({"source": {**HTTP, "forward": {**FORWARD, "group": "x"}}}, "source.forward.group: unknown key"),
    ],
)
def test_invalid_values_of_an_http_source_are_reported(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    assert message in problem(tmp_path, config(**{"source": HTTP, **change}))


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"server": {"host": "::1"}},
        {"server": {"host": "localhost"}},
        {"server": {"host": "0.0.0.0"}, "source": {**HTTP, "token": "a-long-one"}},
        {"server": {"host": "0.0.0.0"}, "source": {**HTTP, "anonymous": True}},
        {"server": {"host": "0.0.0.0"}, "source": {**HTTP, "port": 9465}},
    ],
)
def test_an_http_source_accepts_other_machines_only_with_a_token_or_explicitly(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    loaded = load_config(write(tmp_path, config(**{"source": HTTP, **change})))
    assert isinstance(loaded.source, HttpSource)
    assert not loaded.forwards
    assert "a-long-one" not in repr(loaded)


def test_a_forwarder_needs_no_streams(tmp_path: Path) -> None:
    loaded = load_config(write(tmp_path, {"source": {**HTTP, "forward": FORWARD}}))
    assert loaded.forwards
    assert loaded.streams == []


def test_a_replay_has_no_broker(tmp_path: Path) -> None:
    replay = {"kind": "replay", "data": ["x.npy"], "stream": "a"}
    assert "a replay has no broker" in problem(tmp_path, config(source=replay, sinks=[{"kind": "kafka"}]))
    assert "a replay runs both" in problem(tmp_path, config(source=replay, roles=["score"]))


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors) as caught:
        load_config(write(tmp_path, config(windows={"step": 0}, server={"port": "x"}, speed=3)))
    messages = [str(each) for each in caught.value.problems]
    assert len(messages) == 3
    assert all(
        any(place in line for line in messages) for place in (": windows.step: ", ": server.port: ", ": speed: ")
    )
    assert caught.value.exit_code == 2


class TestVariables:
    def test_are_replaced_and_converted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KAFKA", "a:1,b:2")
        monkeypatch.setenv("PORT", "9000")
        source = {**KAFKA, "bootstrap_servers": "${KAFKA}", "topic": "${TOPIC:-samples}-$${x}"}
        loaded = load_yaml_model(
            write(tmp_path, config(source={**source, "topic": "${TOPIC:-samples}"}, server={"port": "${PORT}"})),
            DaemonConfig,
        )
        assert isinstance(loaded.source, KafkaSource)
        assert loaded.source.bootstrap_servers == ["a:1", "b:2"]
        assert loaded.source.topic == "samples"
        assert loaded.server.port == 9000
        assert "'${TOPIC:-samples}-$${x}'" in problem(tmp_path, config(source=source))

    def test_a_missing_variable_is_named(self, tmp_path: Path) -> None:
        message = problem(tmp_path, config(source={**KAFKA, "topic": "${DRIFTWATCH_NO_SUCH}"}))
        assert "source.topic: the environment variable DRIFTWATCH_NO_SUCH is not set" in message

    def test_cannot_change_the_structure(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NAME", "a\nstreams: []")
        streams = [{"name": "${NAME}", "reference": "b"}]
        assert "streams[0].name: " in problem(tmp_path, config(streams=streams))


class TestSecrets:
    SECURITY: ClassVar = {
        "protocol": "SASL_SSL",
        "sasl_mechanism": "PLAIN",
        "sasl_username": "me",
        "sasl_password": "${PW}",
    }

    def test_are_in_no_repr(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PW", "hunter2")
        sinks = [{"kind": "webhook", "url": "https://x/${PW}", "headers": {"Authorization": "Bearer ${PW}"}}]
        loaded = load_config(write(tmp_path, config(source={**KAFKA, "security": self.SECURITY}, sinks=sinks)))
        assert "hunter2" not in repr(loaded)
        assert "hunter2" not in str(loaded)
        assert isinstance(loaded.source, KafkaSource)
        assert client_options(loaded.source)["sasl_plain_password"] == "hunter2"
        sink = loaded.sinks[0]
        assert isinstance(sink, WebhookSinkConfig)
        assert sink.headers == {"Authorization": "Bearer hunter2"}

    @pytest.mark.parametrize(
        "change",
        [
            {"source": {**KAFKA, "security": {**SECURITY, "sasl_password": ["hunter2"]}}},
            {"source": {**KAFKA, "security": {**SECURITY, "protocol": "PLAINTEXT"}}},
            {"source": {**KAFKA, "security": {**SECURITY, "sasl_pasword": "hunter2"}}},
            {"source": {**KAFKA, "topic": "${PW} ${PW}"}},
            {"sinks": [{"kind": "webhook", "url": "ftp://${PW}@x"}]},
            {"sinks": [{"kind": "webhook", "url": "http://x", "headers": {"Token": ["hunter2"]}}]},
        ],
    )
    def test_are_in_no_error(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]) -> None:
        monkeypatch.setenv("PW", "hunter2")
        assert "hunter2" not in problem(tmp_path, config(**change))


class TestFiles:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("source: [1, 2\nstreams: 3\n", "daemon.yaml:2:8: is not valid YAML"),
            ("a: 1\n\tb: 2\n", "daemon.yaml:2:1: is not valid YAML"),
            ("a:\n\tb: 2\n", "(indent by spaces, not tabs)"),
            ("streams:\n  - {name: a, reference: ${BUNDLE}}\n", '(within braces write it in quotes: "${NAME}")'),
            ("source: {}\nstreams: []\nsource: {}\n", "daemon.yaml:3: key 'source' is given twice"),
            ("source: &a {kind: *a}\n", "is nested too deeply, or in itself"),
            ("source: " + "[" * 2_000, "is nested too deeply, or in itself"),
            (BILLION_LAUGHS, "daemon.yaml: holds more than 200000 values (use fewer aliases)"),
            ("", "holds nothing, expected keys and values"),
            ("- a\n", "holds a list, expected keys and values"),
            ("a: !!python/object/apply:os.system [id]\n", "is not valid YAML"),
            ("a: !!timestamp noon\n", "daemon.yaml: is not valid YAML"),
            ("a: !!bool perhaps\n", "daemon.yaml: is not valid YAML"),
            (f"source: {{kind: http}}\nroles: 0x{'f' * 4_000}\n", "roles: should be a list, got a far too long number"),
        ],
    )
    def test_that_hold_no_configuration_are_reported(self, tmp_path: Path, text: str, message: str) -> None:
        assert message in problem(tmp_path, text)

    def test_that_cannot_be_read_are_reported(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="no such file"):
            load_config(tmp_path / "none.yaml")
        with pytest.raises(ConfigError, match="is a folder"):
            load_config(tmp_path)
        (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(ConfigError, match="not UTF-8"):
            load_config(tmp_path / "binary.yaml")


class TestBudget:
    @pytest.mark.parametrize(
        ("text", "samples"),
        [
            ("1 per 1e6 samples", 1e6),
            ("2 per 1,000,000 samples", 5e5),
            ("1 per 250_000 samples", 250_000),
            ("1 per 7 days at 100 samples/s", 7 * 86400 * 100),
            ("1 per week at 0.5 samples/s", 7 * 43200),
        ],
    )
    def test_is_the_number_of_samples_between_false_alarms(self, text: str, samples: float) -> None:
        assert parse_false_alarm_budget(text) == samples
        assert AlertsConfig(false_alarm_budget=text).budget_samples == samples

    @pytest.mark.parametrize(
        "text",
        ["", "1e6", "1 per week", "0 per 1e6 samples", "1 per 10 samples", "-1 per 1e6 samples", "1 per 1e400 samples"],
    )
    def test_refuses_other_texts(self, text: str) -> None:
        with pytest.raises(ValueError, match="samples"):
            parse_false_alarm_budget(text)

    @given(st.integers(1, 1000), st.integers(100_000, 10**12))
    def test_more_alarms_are_fewer_samples_between(self, alarms: int, samples: int) -> None:
        assert parse_false_alarm_budget(f"{alarms} per {samples} samples") == pytest.approx(samples / alarms)


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[2] / "configs").glob("*.daemon.yaml")), ids=str)
def test_the_examples_are_valid(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KAFKA_USERNAME", "KAFKA_PASSWORD", "WEBHOOK_TOKEN", "DRIFTWATCH_TOKEN"):
        monkeypatch.setenv(name, "a secret")
    loaded = load_config(path)
    assert loaded.streams or loaded.forwards


def test_samples_are_not_included_in_alerts_by_default(tmp_path: Path) -> None:
    loaded = load_config(write(tmp_path, config()))
    assert (loaded.alerts.examples.count, loaded.alerts.examples.include_samples) == (3, False)
    assert "include_samples" in str(DaemonConfig.model_json_schema())


def test_a_schema_registry_may_have_several_addresses_and_shows_no_secret(tmp_path: Path) -> None:
    registry_config = {"url": ["https://a:secret@one:8081", "https://two"], "username": "me", "password": "secret"}
    loaded = load_config(write(tmp_path, config(source={**KAFKA, "schema_registry": registry_config})))
    assert isinstance(loaded.source, KafkaSource)
    registry = loaded.source.schema_registry
    assert registry
    assert registry.destination == "https://one:8081, https://two"
    assert "secret" not in repr(loaded)
    options = registry.client_options("here")
    assert (options["auth"], options["timeout"]) == (("me", "secret"), 3.0)
    for wrong, words in (
        ({"url": "registry:8081"}, "URL scheme"),
        ({"url": "http://a", "username": "me"}, "go together"),
        ({"url": "http://a", "username": "me", "password": "x", "bearer_token": "y"}, "give one"),
    ):
        assert words in problem(tmp_path, config(source={**KAFKA, "schema_registry": wrong}))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"headers": {"x-key": "hunter2\n"}},
            "sinks[0].headers: the value of x-key cannot be sent in a header: it has a line break",
        ),
        ({"headers": {"x-key": "hünter"}}, "sinks[0].headers: the value of x-key cannot be sent in a header"),
        ({"headers": {"x key": "hunter2"}}, "sinks[0].headers: 'x key' is not a name of a header"),
        ({"bearer_token": "hunter2\n"}, "sinks[0].bearer_token: begins or ends with a line break"),
        ({"bearer_token": "hünter"}, "sinks[0].bearer_token: cannot be sent in a header"),
    ],
)
def test_a_value_that_cannot_be_sent_in_a_header_is_reported_without_showing_it(
    change: dict[str, Any], words: str, tmp_path: Path
) -> None:
    found = problem(tmp_path, config(sinks=[{"kind": "webhook", "url": "http://a", **change}]))
    assert words in found
    assert "hunter" not in found
    assert "hünter" not in found


@pytest.mark.parametrize(("password", "words"), [("", "is empty"), ("hunter2\n", "ends with a line break")])
def test_an_implausible_password_is_reported_before_a_server_refuses_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, password: str, words: str
) -> None:
    monkeypatch.setenv("PW", password)
    sasl = {"protocol": "SASL_SSL", "sasl_mechanism": "PLAIN", "sasl_username": "me", "sasl_password": "${PW}"}
    mail = {"kind": "email", "host": "h", "from": "a@b.c", "to": ["a@b.c"], "username": "me", "password": "${PW}"}
    hook = {"kind": "webhook", "url": "http://a"}
    pager = {**hook, "template": "pagerduty", "routing_key": "${PW}"}
    for change, place in (
        ({"source": {**KAFKA, "security": sasl}}, "source.security.sasl_password: "),
        ({"sinks": [mail]}, "sinks[0].password: "),
        ({"sinks": [{**hook, "username": "me", "password": "${PW}"}]}, "sinks[0].password: "),
        ({"sinks": [pager]}, "sinks[0].routing_key: "),
    ):
        found = problem(tmp_path, config(**change))
        assert place in found
        assert words in found
        assert "hunter" not in found


@pytest.mark.parametrize("form", ["avro", "protobuf"])
def test_avro_and_protobuf_need_a_schema_registry(form: str, tmp_path: Path) -> None:
    streams = [{"name": "a", "reference": "bundles/a", "format": form}]
    replay = {"kind": "replay", "data": ["a.npy"], "stream": "a"}
    for source in (KAFKA, replay):
        assert "needs a Kafka source with a schema_registry" in problem(
            tmp_path, config(source=source, streams=streams)
        )
    assert load_config(
        write(tmp_path, config(source={**KAFKA, "schema_registry": {"url": "http://a"}}, streams=streams))
    )


def test_replicas_have_one_digest_whatever_else_differs() -> None:
    def digest(**changes: Any) -> str:
        return DaemonConfig.model_validate(config(**changes)).replicated["digest"]

    b = {"name": "b", "reference": "b"}
    same = [
        {"streams": [{"name": "a", "reference": "elsewhere/a"}]},
        {"alerts": {}, "windows": {}, "device": "cpu", "log": {"level": "debug"}, "server": {"port": 1}},
        {"sinks": [{"kind": "log"}], "source": {**KAFKA, "instance": "two"}, "roles": ["score"]},
    ]
    assert {digest(**each) for each in same} == {digest()}
    assert digest(streams=[*STREAMS, b]) == digest(streams=[b, *STREAMS])
    other = [
        {"streams": [*STREAMS, b]},
        {"streams": [{**STREAMS[0], "sample_fraction": 0.5}]},
        {"windows": {"step": 5}},
        {"windows": {"sizes": [50]}},
        {"alerts": {"false_alarm_budget": "1 per 1e5 samples"}},
    ]
    assert len({digest(), *(digest(**each) for each in other)}) == 1 + len(other)


def test_only_daemons_of_a_group_are_replicas() -> None:
    found = DaemonConfig.model_validate(config(roles=["test", "score"])).replicated
    assert {name: found[name] for name in ("group", "topic", "roles")} == {
        "group": "driftwatch",
        "topic": "samples",
        "roles": "score,test",
    }
    http = {"source": {"kind": "http"}, "streams": STREAMS}
    assert DaemonConfig.model_validate(http).replicated == {}
