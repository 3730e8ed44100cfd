"""A backtest reports the alarms that the daemon would have raised, and when."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest
import yaml
from PIL import Image

from driftwatch.backtest.history import Alarm
from driftwatch.backtest.watching import Backtest
from driftwatch.cli.app import _run
from driftwatch.cli.backtest_tables import _counted
from driftwatch.config import DaemonConfig
from driftwatch.daemon import Daemon, load_references
from driftwatch.data.readers import open_dataset
from driftwatch.running import build_monitor
from driftwatch.stream.alert import Alert, epoch_ms
from tests.people import rows
from tests.synthetic import shuffled_rows, waves, with_null

STEP = 10
HOURS = 4_000
DRIFT = slice(1_500, 2_300)
"""Rows of the stream in which ages have drifted."""


def people(drifts: bool = True) -> pd.DataFrame:
    """A row per hour, with a drift from the third of March to the fifth of April."""
    frame = rows(HOURS, seed=5)
    if drifts:
        frame.loc[frame.index[DRIFT], "age"] += 15
    return frame.assign(seen=pd.date_range("2026-01-01", periods=HOURS, freq="h", tz="UTC"), visit=range(HOURS))


@pytest.fixture(scope="module")
def calibrated(table_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference with the null of these windows in it, which takes its time to simulate."""
    return with_null(table_bundle, tmp_path_factory.mktemp("calibrated"), 20, 100)


def settings(bundle: Path, **more: Any) -> dict[str, Any]:
    return {
        "source": {"kind": "kafka", "bootstrap_servers": "127.0.0.1:1", "topic": "people"},
        "streams": [{"name": "people", "reference": str(bundle)}],
        "windows": {"sizes": [20, 100], "step": STEP},
        **more,
    }


@pytest.fixture
def config(calibrated: Path, tmp_path: Path) -> Path:
    path = tmp_path / "people.daemon.yaml"
    path.write_text(yaml.safe_dump(settings(calibrated)))
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    people().to_parquet(tmp_path / "people.parquet")
    return tmp_path / "people.parquet"


def backtest(*arguments: object) -> int:
    return _run(["backtest", *map(str, arguments)])


def report_of(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    capsys.readouterr()
    assert backtest(*arguments, "--format", "json") == 0
    return orjson.loads(capsys.readouterr().out)  # type: ignore[no-any-return]


def test_alarms_equal_the_alerts_of_a_daemon(
    calibrated: Path, config: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = {"kind": "replay", "data": [str(data)], "stream": "people", "batch": STEP, "time": "seen"}
    replayed = DaemonConfig.model_validate(settings(calibrated, source=source))
    daemon = Daemon(replayed, load_references(replayed), build_monitor(replayed))
    alerts: list[Alert] = []
    daemon._replay_role(replayed.source, alerts.append).run(threading.Event())

    report = report_of(capsys, config, data, "--time", "seen")
    firing = [alert for alert in alerts if alert.state == "firing"]
    started = [alert for alert in firing if alert.since_ms == alert.end_ms]
    assert [alarm["alert"] for alarm in report["alarms"]] == [alert.id for alert in started]
    assert [alarm["explanation"] for alarm in report["alarms"]] == [alert.explanation for alert in started]
    ends = [alert.end_ms for alert in alerts if alert.state == "resolved"]
    assert [epoch_ms(alarm["until"]) for alarm in report["alarms"] if alarm["resolved"]] == ends


def test_alarms_and_periods_say_when_and_what(config: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = report_of(capsys, config, data, "--time", "seen", "--by", "month")
    assert (report["samples"], report["start"], report["end"]) == (
        HOURS,
        "2026-01-01T09:00:00.000Z",
        "2026-06-16T15:00:00.000Z",
    )
    (alarm,) = report["alarms"]
    assert DRIFT.start < alarm["since_row"] <= DRIFT.start + 20 + STEP
    # Alarms are resolved with patience: three of the longest windows.
    assert DRIFT.stop < alarm["until_row"] <= DRIFT.stop + 320
    hour = pd.Timestamp("2026-01-01", tz="UTC") + pd.Timedelta(hours=alarm["since_row"] - 1)
    assert pd.Timestamp(alarm["since"]) == hour
    assert alarm["largest"] > alarm["effect"] > 0
    assert alarm["explanation"].startswith("age rose by ")

    periods = {each["name"]: each for each in report["periods"]}
    assert list(periods) == ["2026-01", "2026-02", "2026-03", "2026-04", "2026-05", "2026-06"]
    assert sum(each["samples"] for each in periods.values()) == HOURS
    assert [each["alarms"] for each in periods.values()] == [0, 0, 1, 0, 0, 0]
    assert periods["2026-03"]["moved"].startswith("age rose by ")
    assert periods["2026-05"]["moved"] == "nothing stands out"
    assert 0.85 < periods["2026-03"]["firing"] < 0.9
    assert periods["2026-05"]["firing"] == 0
    assert periods["2026-03"]["windows"]["100"]["median"] > 0.5 > periods["2026-05"]["windows"]["100"]["largest"]


def test_many_days_are_reported_by_month_and_few_by_day(
    config: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(report_of(capsys, config, data, "--time", "seen")["periods"]) == 6
    people()[:240].to_parquet(tmp_path / "days.parquet")
    days = report_of(capsys, config, tmp_path / "days.parquet", "--time", "seen")["periods"]
    assert [each["name"] for each in days] == [f"2026-01-{day:02}" for day in range(1, 11)]


def test_a_stream_without_drift_is_quiet(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    people(drifts=False).to_csv(tmp_path / "calm.csv", index=False)
    report = report_of(capsys, config, tmp_path / "calm.csv")
    assert report["alarms"] == []
    assert report["false_alarms"]["budget"] == HOURS / 1e6
    assert report["false_alarms"]["low"] < report["false_alarms"]["high"]


def test_without_times_rows_are_reported(config: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert backtest(config, data) == 0
    lines = capsys.readouterr().out.splitlines()
    text = " ".join(" ".join(lines).split())
    assert "row 1,5" in text
    assert "1,201 to" in text
    assert "1970" not in text
    assert "1 alarm; without drift the budget of one in 1,000,000 samples allows 0.004" in text


def test_tables_and_a_picture_are_written(
    config: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "told.png"
    # The name looks like a formula, but must not be drawn as one.
    config.write_text(config.read_text().replace("name: people", r"name: a$\frac$[/b]"))
    assert backtest(config, data, "--time", "seen", "--out", tmp_path / "told.parquet", "--picture", picture) == 0
    out = capsys.readouterr().out
    assert "2026-03-0" in out
    assert "age rose by" in out
    alarms = pd.read_parquet(tmp_path / "told.parquet")
    windows = pd.read_parquet(tmp_path / "told.windows.parquet")
    periods = pd.read_parquet(tmp_path / "told.periods.parquet")
    assert len(alarms) == 1
    assert len(windows) == 2 * HOURS // STEP - 20 // STEP - 100 // STEP + 2
    among = windows[(windows["window"] == "20") & windows["drift"]]
    assert among["end"].iloc[0] == alarms["since_row"].iloc[0]
    assert among["end_time"].iloc[0] == alarms["since"].iloc[0]
    assert periods["alarms"].sum() == 1
    assert periods["drifted_20"].sum() == len(among)
    with Image.open(picture) as image:
        assert image.size[0] > 1_000


def test_without_alarms_the_table_is_empty(config: Path, tmp_path: Path) -> None:
    people(drifts=False)[:200].to_csv(tmp_path / "calm.csv", index=False)
    assert backtest(config, tmp_path / "calm.csv", "--out", tmp_path / "told.csv") == 0
    alarms = pd.read_csv(tmp_path / "told.csv")
    assert (len(alarms), alarms.columns[0]) == (0, "since_row")


def test_rows_out_of_order_give_a_warning(
    config: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backtest(config, data, "--time", "seen") == 0
    assert "older" not in capsys.readouterr().err
    frame = people()
    pd.concat([frame[:100], frame[3_000:], frame[100:3_000]]).to_parquet(tmp_path / "mixed.parquet")
    assert backtest(config, tmp_path / "mixed.parquet", "--time", "seen") == 0
    error = capsys.readouterr().err
    assert "warning: 2,900 rows are older than rows before them, the first at index 1,100" in error
    assert "sort them by seen" in error


def test_bad_rows_are_skipped_and_counted(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = people().astype({"age": str})
    frame.to_csv(tmp_path / "good.csv", index=False)
    (good,) = report_of(capsys, config, tmp_path / "good.csv", "--time", "seen")["alarms"]
    frame.loc[200:219, "age"] = "old"
    frame.to_csv(tmp_path / "bad.csv", index=False)
    report = report_of(capsys, config, tmp_path / "bad.csv", "--time", "seen")
    assert (report["samples"], report["refused"]) == (HOURS - 20, 20)
    # Twenty rows are two panes, so all other panes are unchanged.
    assert {**report["alarms"][0], "alert": ""} == {**good, "alert": ""}
    assert backtest(config, tmp_path / "bad.csv") == 0
    assert "skipped 20 rows that cannot be read, the first index 200, column age" in capsys.readouterr().err


def test_windows_by_time_use_the_time_column(
    table_bundle: Path, tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "by_time.yaml"
    windows = {"sizes": [100, "4d"], "step": STEP}
    config.write_text(yaml.safe_dump(settings(table_bundle, windows=windows)))
    assert backtest(config, data) == 2
    assert "windows of 4d need the time of each row" in capsys.readouterr().err
    report = report_of(capsys, config, data, "--time", "seen")
    march = next(each for each in report["periods"] if each["name"] == "2026-03")
    assert march["windows"]["4d"]["drifted"] > 50
    assert report["alarms"][0]["since"].startswith("2026-03-0")


def test_one_of_several_streams_must_be_named(
    calibrated: Path, tmp_path: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "two.yaml"
    streams = [{"name": "people", "reference": str(calibrated)}, {"name": "pets", "reference": "nowhere"}]
    config.write_text(yaml.safe_dump(settings(calibrated, streams=streams)))
    assert backtest(config, data) == 2
    assert "2 streams are configured (name one: people, pets)" in capsys.readouterr().err
    assert backtest(config, data, "--stream", "poeple") == 2
    assert "no stream is called 'poeple'" in capsys.readouterr().err
    assert len(report_of(capsys, config, data, "--stream", "people")["alarms"]) == 1


def test_mistakes_are_reported_before_the_work(
    config: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backtest(config, data, "--picture", tmp_path / "a.pdf") == 2
    assert "end it in .png" in capsys.readouterr().err
    assert backtest(config, data, "--out", tmp_path / "a.txt") == 2
    assert backtest(config, data, "--out", data) == 2
    assert "is the data itself" in capsys.readouterr().err
    assert backtest(config, data, "--time", "sen") == 1
    assert "is it 'seen'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("ends", "phrase"),
    [
        ((), "0 alarms"),
        ((5,), "1 alarm"),
        ((None,), "1 alarm, still on at the end"),
        ((5, None), "2 alarms, the last still on at the end"),
    ],
)
def test_alarms_are_counted_in_words(ends: tuple[int | None, ...], phrase: str) -> None:
    alarms = [Alarm(1, end, 0, None, "warning", 20, 1.0, 1.0, 1e-9, "", "") for end in ends]
    assert _counted(alarms) == phrase


def test_for_images_periods_say_how_much_moved(bundle: Path, tmp_path: Path) -> None:
    stream = np.concatenate([waves(600, seed=1), shuffled_rows(waves(200, seed=2)), waves(200, seed=3)])
    np.save(tmp_path / "cam.npy", stream.astype(np.uint8))
    config = DaemonConfig.model_validate(settings(bundle))
    (reference,) = load_references(config).values()
    work = Backtest(config, reference, open_dataset(str(tmp_path / "cam.npy")), None)
    history = work.prepare("auto")
    seen: list[int] = []
    work.run(history, seen.append)
    assert sum(seen) == len(stream)
    (alarm,) = history.alarms
    assert 600 < alarm.since_row <= 640
    moved = {each.name: each.moved for each in history.periods()}
    assert "nats/sample" in moved["rows 601 to 700"]
    assert "nats/sample" not in moved["rows 401 to 500"]
