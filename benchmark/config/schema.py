"""The JSON schema of configuration files."""

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from benchmark.config.methods import METHODS, hyperparameters
from benchmark.config.models import Config
from benchmark.errors import InputError
from benchmark.utils.files import atomic

SCHEMA = Path(__file__).parents[2] / "config" / "schema.json"


def schema() -> dict[str, Any]:
    """The JSON schema of configuration files, with the hyperparameters of the methods found."""
    whole = Config.model_json_schema()
    own = whole["$defs"].pop("MethodConfig")["properties"]
    entry = {key: own[key] for key in ("detector", "title")}
    known = {}
    for slug, method in METHODS.items():
        try:
            found = hyperparameters(method.path).model_json_schema()
        except InputError:
            continue
        found["properties"] = entry | found.get("properties", {})
        known[slug] = found | {"type": ["object", "null"], "title": method.title}
    whole["properties"]["methods"] |= {
        "properties": known,
        "additionalProperties": {
            "type": "object",
            "properties": entry,
            "required": ["detector"],
        },
    }
    del whole["properties"]["methods"]["patternProperties"]
    return whole


def write_schema(path: Path = SCHEMA) -> None:
    """Write the JSON schema."""
    with atomic(path) as beside:
        beside.write_text(json.dumps(schema(), indent=2) + "\n")


def add_arguments(parser: ArgumentParser) -> None:
    """The command ``schema`` has none."""


def run(chosen: Namespace) -> int:
    """Write the schema; the exit status."""
    write_schema()
    print(f"{SCHEMA}: written")
    return 0
