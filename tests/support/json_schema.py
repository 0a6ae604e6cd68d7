"""The part of JSON Schema that the description of the HTTP port uses."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_KNOWN = frozenset(
    (
        "$ref",
        "additionalProperties",
        "anyOf",
        "const",
        "default",
        "description",
        "enum",
        "items",
        "maxItems",
        "maxLength",
        "maximum",
        "minItems",
        "minLength",
        "minimum",
        "pattern",
        "properties",
        "required",
        "type",
    )
)
_TYPES: Mapping[str, tuple[type, ...]] = {
    "array": (list,),
    "boolean": (bool,),
    "integer": (int,),
    "null": (type(None),),
    "number": (int, float),
    "object": (dict,),
    "string": (str,),
}


def mistakes(value: Any, schema: Mapping[str, Any], document: Any, path: str = "$") -> list[str]:
    """What of a value does not fit its schema.

    :param document: which references lead into.
    """
    return list(_mistakes(value, schema, document, path))


def _mistakes(value: Any, schema: Mapping[str, Any], document: Any, path: str) -> Iterator[str]:
    unknown = schema.keys() - _KNOWN
    if unknown:
        raise AssertionError(f"{path}: no check for {unknown}")
    if "$ref" in schema:
        yield from _mistakes(value, _referred(schema["$ref"], document), document, path)
    if "anyOf" in schema:
        found = [mistakes(value, each, document, path) for each in schema["anyOf"]]
        if all(found):
            yield f"{path}: fits none of {found}"
    if "const" in schema and value != schema["const"]:
        yield f"{path}: {value!r} is not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: {value!r} is none of {schema['enum']}"
    if not _has_type(value, schema.get("type")):
        yield f"{path}: {value!r} is not of type {schema['type']}"
    elif isinstance(value, str):
        yield from _bounds(path, len(value), schema, "Length")
        if "pattern" in schema and re.search(schema["pattern"], value) is None:
            yield f"{path}: {value!r} does not match {schema['pattern']}"
    elif isinstance(value, int | float):
        yield from _bounds(path, value, schema, "imum")
    elif isinstance(value, list):
        yield from _bounds(path, len(value), schema, "Items")
        for index, each in enumerate(value):
            yield from _mistakes(each, schema.get("items", {}), document, f"{path}[{index}]")
    elif isinstance(value, dict):
        yield from _members(value, schema, document, path)


def _members(
    value: Mapping[str, Any], schema: Mapping[str, Any], document: Any, path: str
) -> Iterator[str]:
    properties, others = schema.get("properties", {}), schema.get("additionalProperties", {})
    for key in schema.get("required", ()):
        if key not in value:
            yield f"{path}: has no {key}"
    for key, each in value.items():
        if key not in properties and others is False:
            yield f"{path}: has {key}"
        else:
            yield from _mistakes(each, properties.get(key, others), document, f"{path}.{key}")


def _bounds(path: str, size: float, schema: Mapping[str, Any], kind: str) -> Iterator[str]:
    if size < schema.get(f"min{kind}", size):
        yield f"{path}: {size} is less than {schema[f'min{kind}']}"
    if size > schema.get(f"max{kind}", size):
        yield f"{path}: {size} is more than {schema[f'max{kind}']}"


def _has_type(value: Any, names: str | list[str] | None) -> bool:
    if names is None:
        return True
    kinds = [names] if isinstance(names, str) else names
    if isinstance(value, bool):
        return "boolean" in kinds
    return any(isinstance(value, _TYPES[each]) for each in kinds)


def _referred(reference: str, document: Any) -> Any:
    for name in reference.removeprefix("#/").split("/"):
        document = document[name]
    return document
