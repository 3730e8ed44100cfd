"""The Dockerfile: linted, and in step with the lock files and the package. No container engine is needed."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import driftwatch
from driftwatch.config import ServerConfig

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "Dockerfile"
TEXT = DOCKERFILE.read_text().replace("\\\n", " ")
LOCK = ROOT / "requirements.runtime.lock"


def pins(lock: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9][^ ]*==[^ ]+)", lock, re.MULTILINE))


def names(lock: str) -> set[str]:
    return {pin.split("==")[0] for pin in pins(lock)}


def required(package: str, extras: tuple[str, ...] = ("",)) -> set[str]:
    from packaging.requirements import Requirement

    stated = [Requirement(each) for each in importlib.metadata.requires(package) or []]
    return {
        each.name.lower().replace("_", "-")
        for each in stated
        if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in extras)
    }


def test_hadolint_finds_nothing() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("hadolint"), DOCKERFILE], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_has_every_runtime_dependency_and_none_of_development() -> None:
    runtime, everything = LOCK.read_text(), (ROOT / "requirements.lock").read_text()
    assert pins(runtime) <= pins(everything), "make lock"
    assert required("driftwatch", ("", "schema-registry", "remote", "otel", "mlflow")) <= names(runtime)
    assert names(runtime).isdisjoint({"pytest", "ruff", "mypy", "playwright", "moto"})
    assert all("--hash=sha256:" in pin for pin in re.split(r"\n(?=\S)", runtime.strip()))


def test_what_builds_driftwatch_is_pinned_too() -> None:
    from packaging.requirements import Requirement

    lock = (ROOT / "requirements.build.lock").read_text()
    assert all("--hash=sha256:" in pin for pin in re.split(r"\n(?=\S)", lock.strip()))
    versions = dict(pin.split("==") for pin in pins(lock))
    for stated in map(Requirement, tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]):
        assert versions[stated.name] in stated.specifier
    # pip installs the newest backend whenever it builds by itself.
    builds = [line for line in TEXT.splitlines() if re.search(r"pip .*(install|wheel) .*[ =]\.( |$)", line)]
    assert builds
    assert all("--no-build-isolation" in line for line in builds)


def test_the_cpu_variant_lacks_pytorch_and_what_only_cuda_needs() -> None:
    program = re.search(r"awk ('[^']+')", TEXT)
    assert program is not None
    left = subprocess.run(["awk", program[1].strip("'"), LOCK], capture_output=True, text=True, check=True).stdout
    dropped = names(LOCK.read_text()) - names(left)
    assert "torch" in dropped
    assert required("driftwatch") - {"torch"} <= names(left)
    torch_needs = required("torch")
    assert torch_needs - dropped >= {"sympy", "networkx", "jinja2", "fsspec", "filelock", "typing-extensions"}
    assert {name for name in torch_needs if "cuda" in name or "nvidia" in name or name == "triton"} <= dropped
    assert pins(left) <= pins(LOCK.read_text())


def test_an_installation_claims_no_other_package_name() -> None:
    """A service that uses driftwatch's client may well have its own package `deploy`."""
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert stated["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["driftwatch"]


def test_copied_files_are_in_the_build_context() -> None:
    included = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {word for line in re.findall(r"^COPY (?!--from)(.+)$", TEXT, re.MULTILINE) for word in line.split()[:-1]}
    assert copied == included
    assert all((ROOT / name).exists() for name in copied)


@pytest.mark.parametrize(
    "line",
    [
        "USER 10001:10001",
        'ENTRYPOINT ["tini", "--", "driftwatch"]',
        f"EXPOSE {ServerConfig().port}",
    ],
)
def test_the_final_stage_says_how_the_image_runs(line: str) -> None:
    final = TEXT[TEXT.index(" AS runtime") : TEXT.index(" AS cpu")]
    assert re.search(rf"^{re.escape(line)}$", final, re.MULTILINE)


def test_labels_health_check_and_stages_are_consistent() -> None:
    assert f'org.opencontainers.image.version="{driftwatch.__version__}"' in TEXT
    assert f"http://127.0.0.1:{ServerConfig().port}/healthz" in TEXT
    bases = {line.split()[1] for line in TEXT.splitlines() if line.startswith("FROM python")}
    assert len(bases) == 1, "all stages share one base: what is built in one runs in another"
    assert re.findall(r"^FROM .* AS (\w+)$", TEXT, re.MULTILINE)[-1] == "cuda", "the default has PyPI's PyTorch"
