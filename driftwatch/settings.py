"""YAML files into pydantic models: variables, relative paths, and errors that a person can act on."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import ErrorDetails

from driftwatch.errors import ConfigError
from driftwatch.locations import Location, RemotePath, locate
from driftwatch.settings_places import KEY, KeyPath, Place, resolve
from driftwatch.yaml_file import Document, parse

ModelT = TypeVar("ModelT", bound=BaseModel)
_VARIABLE = re.compile(r"\$(?:(?P<escaped>\$\{)|\{(?P<name>[A-Za-z_]\w*)(?::-(?P<default>[^}]*))?\})")
_SECRET_NAME = re.compile(r"password|passwd|secret|token|credential|headers|routing_key", re.IGNORECASE)
_BASE_DIRECTORY = "base_directory"


class Settings(BaseModel):
    """Base of every configuration model: immutable, and strict about unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)

    elsewhere: ClassVar[Mapping[str, str]] = {}
    """Keys that belong to a file of another kind, and what to say about them."""

    least: ClassVar[str] = ""
    """A minimal example of such a file."""


class ConfigErrors(ConfigError):  # noqa: N818 - it is a plural of ConfigError
    """Several problems in one file.

    Args:
        problems: one error for each, in the order of the file's model.
    """

    def __init__(self, problems: Sequence[ConfigError]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(str(problem) for problem in problems))


def _relative_to_file(path: Path, info: ValidationInfo) -> Path:
    base = info.context.get(_BASE_DIRECTORY) if isinstance(info.context, Mapping) else None
    path = path.expanduser()
    return base / path if base is not None else path


def _require_path(value: Any) -> Any:
    if not isinstance(value, str | Path):
        raise ValueError("should be a path")  # noqa: TRY004 - pydantic reports ValueErrors
    # From a variable that is set to nothing; as a path it would be the file's own folder.
    if value == "":
        raise ValueError("is empty")
    return value


ConfigPath = Annotated[Path, BeforeValidator(_require_path), AfterValidator(_relative_to_file)]
"""A path in a configuration file, relative to that file."""


def _located(value: Any, info: ValidationInfo) -> Location:
    if not isinstance(value, str | Path | RemotePath):
        raise ValueError("should be a path or a URL")  # noqa: TRY004 - as above
    if value == "":
        raise ValueError("is empty")
    found = locate(value)
    return found if isinstance(found, RemotePath) else _relative_to_file(found, info)


ConfigLocation = Annotated[
    Path | RemotePath,
    PlainValidator(_located),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "format": "path"}),
]
"""A path in a configuration file, relative to that file, or a URL."""


def listed(value: object) -> object:
    """A list for a single text, where a list of texts may be given too."""
    return [value] if isinstance(value, str) else value


def load_yaml_model(path: str | Path, model: type[ModelT]) -> ModelT:
    """Read a YAML file into a model.

    ``${NAME}`` and ``${NAME:-default}`` in string values are replaced from the environment after the YAML is
    parsed, so a variable's value can never change the structure of the file; ``$${`` stands for ``${``.

    Args:
        path: the file.
        model: what it describes; paths of type `ConfigPath` become relative to the file's folder.

    Raises:
        ConfigError: the file is missing, is not YAML, has an unknown or repeated key, a value that is not
            allowed, or names a variable that is not set. Values of secrets are never in the message.
    """
    path = Path(path)
    document = parse(path, _example(model))
    data = _expand(document.data, document)
    if not isinstance(data, dict):
        found = "nothing" if data is None else f"a {type(data).__name__}"
        raise ConfigError(f"holds {found}, expected keys and values", where=str(path), remedy=_example(model))
    return _validated(data, model, document, {_BASE_DIRECTORY: path.resolve().parent})


def model_of(settings: Mapping[str, Any], model: type[ModelT]) -> ModelT:
    """Settings that do not come from a file; errors are reported in the same way.

    Raises:
        ConfigError: a key is unknown, or a value is not allowed.
    """
    return _validated(settings, model, Document(None, None, settings), {})


def _validated(data: Any, model: type[ModelT], document: Document, context: Mapping[str, Any]) -> ModelT:
    try:
        return model.model_validate(data, context=context)
    except ValidationError as error:
        problems = _explained(error.errors(include_url=False, include_context=True), model, document)
    raise problems[0] if len(problems) == 1 else ConfigErrors(problems)


def _example(model: type[BaseModel]) -> str:
    """The remedy for a file that is not a configuration, such as the data itself."""
    least = model.least if issubclass(model, Settings) else ""
    return f"give a configuration in YAML, such as {least}" if least else ""


def _expand(value: Any, document: Document, at: KeyPath = ()) -> Any:
    if isinstance(value, dict):
        return {key: _expand(item, document, (*at, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_expand(item, document, (*at, index)) for index, item in enumerate(value)]
    if not isinstance(value, str):
        return value

    def replace(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "${"
        found = os.environ.get(match["name"])
        if not found and match["default"] is not None:
            return str(match["default"])
        if found is None:
            raise ConfigError(
                f"the environment variable {match['name']} is not set",
                where=document.where(at),
                remedy=f"set it, or write ${{{match['name']}:-a default}}",
            )
        return found

    return _VARIABLE.sub(replace, value)


def _explained(details: Sequence[ErrorDetails], model: type[BaseModel], document: Document) -> Sequence[ConfigError]:
    """One error for each place: for a union, pydantic reports one for each member, though one was meant."""
    at: dict[KeyPath, list[ErrorDetails]] = {}
    places: dict[KeyPath, Place] = {}
    for detail in details:
        place = resolve(tuple(detail["loc"]), model)
        places[place.path] = place
        at.setdefault(place.path, []).append(detail)
    elsewhere = model.elsewhere if issubclass(model, Settings) else {}
    strangers = [key for key in elsewhere if (key,) in at and at[(key,)][0]["type"] == "extra_forbidden"]
    if strangers:
        where = str(document.path or "")
        return [ConfigError(f"holds {', '.join(strangers)}", where=where, remedy=elsewhere[strangers[0]])]
    for detail in (detail for detail in details if detail["type"] == "union_tag_not_found"):
        detail["ctx"]["expected_tags"] = ", ".join(map(repr, resolve(tuple(detail["loc"]), model).kinds))
    return [_explain(min(found, key=_doubt), places[path], document) for path, found in at.items()]


def _doubt(detail: ErrorDetails) -> int:
    """How little an error says about what was meant: least if the value has another type altogether."""
    kind = detail["type"]
    return 3 if kind.endswith("_type") else 2 if kind.endswith("_parsing") else 1 if kind == "literal_error" else 0


def _explain(detail: ErrorDetails, place: Place, document: Document) -> ConfigError:
    """Turn one pydantic error into one line: where, what, and what would be right."""
    location, owner = place.path, place.owner
    where, kind, context = document.where(location), detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        known = [field.alias or name for name, field in owner.model_fields.items()] if owner is not None else []
        nearest = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.6)
        remedy = f"did you mean {nearest[0]!r}?" if nearest else f"known keys: {', '.join(known)}"
        return ConfigError("unknown key", where=where, remedy=remedy)
    if kind == "missing":
        return ConfigError("is required but missing", where=where)
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        what = f"{context['tag']!r} is not a known kind" if "tag" in context else "'kind' is missing"
        return ConfigError(what, where=where, remedy=f"one of {context['expected_tags']}")
    message = _message(detail)
    if detail["loc"][-1:] == (KEY,):
        return ConfigError(f"this name {message.removeprefix('String ')}", where=where)
    stated = document.stated(location)
    remedy = ""
    if kind == "list_type":
        message, remedy = _not_a_list(stated)
    elif kind == "string_type" and isinstance(stated, int | float):
        message, remedy = "should be a text", "write it in quotes"
    secret = place.hidden or any(_SECRET_NAME.search(str(step)) for step in location)
    if secret or isinstance(stated, dict | None):
        return ConfigError(message, where=where, remedy=remedy)
    try:
        shown = repr(stated)
    except ValueError:  # Python prints no numbers of thousands of digits, which may be written in hexadecimal
        shown = "a far too long number"
    shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
    return ConfigError(message if kind == "value_error" else f"{message}, got {shown}", where=where, remedy=remedy)


def _message(detail: ErrorDetails) -> str:
    """Pydantic's message, shortened where possible."""
    if detail["type"] in ("model_type", "model_attributes_type", "dict_type"):
        return "should hold keys and values"
    if detail["type"] == "too_short" and detail["ctx"]["min_length"] == 1:
        return "should not be empty"
    return detail["msg"].removeprefix("Value error, ").removeprefix("Input ")


def _not_a_list(stated: Any) -> tuple[str, str]:
    """What is wrong with a value that should be a list, and how to write one."""
    if stated is None:
        return "holds nothing", "give a list, or leave the key out"
    remedy = "begin each with '- '" if isinstance(stated, dict) else "write it in square brackets"
    return "should be a list", remedy
