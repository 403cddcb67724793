"""The base of every typed record: sections of params.yaml, the settings, what one stage leaves for another as JSON."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from enigma_tasks.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import TypeAdapter

Record = TypeVar("Record")

FIELD = re.compile(r"[a-z][a-z0-9_]{0,39}")
OTHER_KEY = "(another key)"
"""In a message, a key of the file that can be no field's name."""


class Frozen(BaseModel):
    """Immutable; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def json_bytes(tree: Mapping[str, Any]) -> bytes:
    """Indented JSON with sorted keys, for people to read; equal trees give equal bytes."""
    return json.dumps(tree, ensure_ascii=False, indent=1, sort_keys=True).encode() + b"\n"


def read_record(form: TypeAdapter[Record], name: str, data: bytes, line: int | None = None) -> Record:
    """JSON -> a record; `name` is that of the file, `line` that of the line where a file holds one record in each.

    Raises:
        DataError: `json_invalid`; or `record_field`, with the first field that is missing, unknown or of another type,
            as where a newer version wrote the file. No value of the file is quoted.
    """
    try:
        return form.validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        raise DataError(name, "json_invalid", line)
    path = (str(part) if isinstance(part, int) or FIELD.fullmatch(part) else OTHER_KEY for part in first["loc"])
    field = ".".join(path) or "the record itself"
    raise DataError(name, "record_field", line, f"{field}: {first['type']}")
