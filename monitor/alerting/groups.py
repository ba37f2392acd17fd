"""The groups of keys of a rule file: which model a mapping is read as, and what may stand in it."""

import types
from collections.abc import Iterator
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from monitor.alerting.nodes import Node, Path, at
from monitor.alerting.rulefile import RuleFile


def models(annotation: Any) -> list[type[BaseModel]]:
    """The models that a value may be read as: one, several of which its key `kind` tells which, or none."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return models(get_args(annotation)[0])
    if origin in {Union, types.UnionType}:
        return [each for part in get_args(annotation) for each in models(part)]
    return [annotation] if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []


def element(annotation: Any) -> Any:
    """The type of what a list or a mapping by name holds; None of any other type."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return element(parts[0])
    if origin in {Union, types.UnionType}:
        return next((found for part in parts if (found := element(part)) is not None), None)
    return {tuple: parts[0], dict: parts[-1]}.get(origin) if parts else None


def fields_of(group: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    """The keys of a group as the file has them, with their fields."""
    for name, field in group.model_fields.items():
        yield field.alias or name, field


def group_at(root: Node, path: Path) -> type[BaseModel] | None:
    """The model of the mapping at `path`; None where there is none, or where its `kind` is not known."""
    annotation: Any = RuleFile
    for depth, part in enumerate(path):
        group = _chosen(models(annotation), root, path[:depth])
        annotation = dict(fields_of(group))[str(part)].annotation if group else element(annotation)
        if annotation is None:
            return None
    return _chosen(models(annotation), root, path)


def kind_of(group: type[BaseModel]) -> str:
    """What its key `kind` says of a group that is one of several; empty for any other."""
    field = group.model_fields.get("kind")
    return str(get_args(field.annotation)[0]) if field is not None else ""


def _chosen(several: list[type[BaseModel]], root: Node, path: Path) -> type[BaseModel] | None:
    if len(several) < 2:
        return several[0] if several else None
    entry = at(root, (*path, "kind"))
    kind = entry.node.value if entry else None
    return next((each for each in several if kind_of(each) == kind), None)
