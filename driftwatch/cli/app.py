"""The commands by name, and the boundary where errors become one line and an exit code."""

from __future__ import annotations

import os
import sys
import warnings
from typing import Annotated

import typer

from driftwatch import __version__
from driftwatch.cli import INTERRUPTED, backtest, check, demo, evaluate, publish, recalibrate, run, schema, score, train
from driftwatch.cli.console import print_error, print_remark
from driftwatch.errors import DriftwatchError

BROKEN_PIPE = 141
USAGE = 2
TRACEBACK_VARIABLE = "DRIFTWATCH_TRACEBACK"

app = typer.Typer(
    name="driftwatch",
    help="Watch the inputs of deployed models, and say when they drift from a reference.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"driftwatch {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


app.command("train")(train.train)
app.command("run")(run.run)
app.command("score")(score.score)
app.command("evaluate")(evaluate.evaluate)
app.command("backtest")(backtest.backtest)
app.command("recalibrate")(recalibrate.recalibrate)
app.command("publish")(publish.publish)
app.command("check")(check.check)
app.command("demo")(demo.demo)
app.command("schema")(schema.schema)


def main() -> None:
    """Run the command line and exit: 0 fine, 1 the run failed, 2 bad usage or configuration, 130 interrupted."""
    code = _run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = _silence_stdout()
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    # Pillow warns of damaged and of very large images; driftwatch reports those that matter as errors.
    warnings.filterwarnings("ignore", module="PIL")
    try:
        result = app(arguments, standalone_mode=False, prog_name="driftwatch")
    except DriftwatchError as error:
        if error.exit_code == INTERRUPTED:
            print_remark(error)
        else:
            print_error(error)
        return error.exit_code
    except BrokenPipeError:
        return _silence_stdout()
    except (KeyboardInterrupt, typer.Abort):
        print_remark("interrupted")
        return INTERRUPTED
    except Exception as error:
        if os.environ.get(TRACEBACK_VARIABLE):
            raise
        return _unexpected(error)
    return result if isinstance(result, int) else 0


def _unexpected(error: Exception) -> int:
    # Typer's usage errors. Their class depends on whether this version of Typer bundles click.
    if hasattr(error, "format_message") and hasattr(error, "exit_code"):
        message = error.format_message()
        if message:
            print_error(f"{message.rstrip('.')} (see driftwatch --help)")
        return USAGE
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        print_error(f"{place}{error.strerror or error}")
        return 1
    print_error(
        f"{type(error).__name__}: {error} "
        f"(this is a fault in driftwatch; set {TRACEBACK_VARIABLE}=1 to see where, and please report it)"
    )
    return 1


def _silence_stdout() -> int:
    # The reader of stdout is gone; closing it normally would make Python complain once more.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return BROKEN_PIPE
