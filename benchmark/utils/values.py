"""Values that users give, checked against type annotations; messages in plain words."""

import json
import reprlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import ConfigDict, TypeAdapter

from benchmark.errors import InputError

STRICT = ConfigDict(strict=True, allow_inf_nan=False)
WORDS = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "True or False",
    "string": "a text",
    "array": "a list",
    "object": "a dictionary",
    "null": "None",
}
LIMITS = {
    "minimum": "of at least",
    "exclusiveMinimum": "above",
    "maximum": "of at most",
    "exclusiveMaximum": "below",
}


def checked(annotation: Any, value: Any, name: str, owner: str) -> Any:
    """The value as the plain Python value that the annotation says: 2 for ``np.int64(2)`` or 2.0.

    Raises ``InputError`` for another kind: "epochs is 2.5; give CAE a whole number of at least 1".
    """
    adapter = TypeAdapter[Any](annotation, config=STRICT)
    try:
        text = json.dumps(value, default=np.generic.item)
        return adapter.validate_json(text.removesuffix(".0"))
    except (TypeError, ValueError) as error:
        given, allowed = " ".join(reprlib.repr(value).split()), in_words(adapter.json_schema())
        raise InputError(f"{name} is {given}; give {owner} {allowed}") from error


def in_words(schema: Mapping[str, Any]) -> str:
    """What a JSON schema allows, in plain words."""
    choices = [schema["const"]] if "const" in schema else schema.get("enum", [])
    options = [*map(in_words, schema.get("anyOf", [])), *map(repr, choices)]
    allowed = schema.get("description") or WORDS.get(schema.get("type", ""), "a JSON value")
    limits = (f"{words} {schema[key]}" for key, words in LIMITS.items() if key in schema)
    return " or ".join(options) or f"{allowed} {' and '.join(limits)}".strip()
