"""``driftwatch schema``: JSON Schema of the configuration files, for editors."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import orjson
import typer

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema(
    kind: Annotated[Literal["daemon", "train"], typer.Argument(help="Which configuration.")] = "daemon",
) -> None:
    """Print the JSON Schema of a configuration file, for completion and checks in an editor."""
    typer.echo(orjson.dumps(json_schema(kind), option=orjson.OPT_INDENT_2).decode())


def json_schema(kind: Literal["daemon", "train"]) -> dict[str, Any]:
    """The JSON Schema of one kind of configuration file."""
    if kind == "daemon":
        from driftwatch.config import DaemonConfig

        document = DaemonConfig.model_json_schema()
    else:
        from driftwatch.reference.train_config import TrainConfig

        document = TrainConfig.model_json_schema()
    return {"$schema": DIALECT, **document}
