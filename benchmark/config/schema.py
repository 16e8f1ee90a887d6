"""Write ``config/schema.json``, the JSON schema by which editors complete and check YAML files."""

import json
from argparse import ArgumentParser, Namespace
from typing import Any

from benchmark.config.methods import METHODS, hyperparameters
from benchmark.config.models import METHOD_KEYS, Config
from benchmark.data import CHALLENGED
from benchmark.errors import InputError
from benchmark.utils import shipped
from benchmark.utils.files import atomic

SCHEMA = shipped.CHECKOUT / "config" / "schema.json"


def schema() -> dict[str, Any]:
    """The JSON schema of configuration files, with the hyperparameters of the methods.

    A method of ``METHODS`` whose source code is not installed is left out.
    """
    document = Config.model_json_schema()
    dataset = document["$defs"]["DatasetConfig"]
    dataset["required"].remove("protocol")
    dataset["if"] = {"properties": {"source": {"enum": [*CHALLENGED]}}}
    dataset["else"] = {"required": ["protocol"]}
    method_keys = document["$defs"].pop("MethodConfig")["properties"]
    own_keys = {key: method_keys[key] for key in METHOD_KEYS}
    entries = {}
    for slug, method in METHODS.items():
        try:
            entry = hyperparameters(method.path).model_json_schema()
        except InputError:
            continue
        entry["properties"] = own_keys | entry.get("properties", {})
        entries[slug] = entry | {"type": ["object", "null"], "title": method.title}
    methods = document["properties"]["methods"]
    methods["properties"] = entries
    methods["additionalProperties"] = {
        "type": "object",
        "properties": own_keys,
        "required": ["detector"],
    }
    del methods["patternProperties"]
    return document


def add_arguments(parser: ArgumentParser) -> None:
    """The command ``schema`` takes no arguments."""


def run(chosen: Namespace) -> int:
    """Write the file; the exit status."""
    if shipped.INSIDE.is_dir():
        raise InputError("the schema is written in a checkout of the suite: call this there")
    with atomic(SCHEMA) as partial:
        partial.write_text(json.dumps(schema(), indent=2) + "\n")
    print(f"{SCHEMA}: written")
    return 0
