"""Base classes of the Makers of this package."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from enum import Enum
from types import UnionType
from typing import Any, ClassVar, Self, get_args, get_type_hints

from jobflow import Maker
from monty.json import MontyDecoder, jsanitize
from pydantic import BaseModel

from nextrung.adapters.files.yaml_records import validate_record
from nextrung.schemas.base import InputError, Record, TaskDocumentKwargs


@dataclass(kw_only=True)
class RecordMaker(Maker):
    """A Maker whose settings are records.

    A mapping that is assigned to a field of records changes the keys that it names and
    is validated; the same holds for jobflow's ``update_kwargs`` and
    ``update_maker_kwargs``.

    Parameters
    ----------
    name : str
        Name of what is made.
    """

    name: str = "record"

    def __setattr__(self, name: str, value: Any) -> None:  # noqa: ANN401
        """Set a field; a mapping for a record is merged into it and validated."""
        where = f"{type(self).__name__}.{name}"
        kinds = _field_kinds(type(self)).get(name)
        if kinds is None:
            raise InputError(_explain_unknown(type(self), name))
        for kind in kinds:
            if issubclass(kind, Enum) and isinstance(value, str):
                value = kind(value)  # JSON holds its plain value
            elif issubclass(kind, Record) and isinstance(value, Mapping):
                merged = _merge(vars(self).get(name), value)
                value = validate_record(kind, merged, where)
        super().__setattr__(name, value)

    def as_dict(self) -> dict[str, Any]:
        """Describe the Maker in plain JSON, its records included.

        Maker leaves records as they are, and FireWorks then stores their ``str()``.

        Returns
        -------
        dict
            Plain values that :meth:`from_dict` turns into the Maker.
        """
        return _MakerFields(self, super().as_dict())

    @classmethod
    def from_dict(cls, d: Mapping[str, Any]) -> Self:
        """Restore a Maker from what :meth:`as_dict` returns.

        Parameters
        ----------
        d : mapping
            Fields of the Maker, and the tags of monty.

        Returns
        -------
        RecordMaker
            The Maker, its records validated.

        Raises
        ------
        InputError
            If the Maker has no such field, or a record has no such key.
        """
        values = {name: value for name, value in d.items() if name[:1] != "@"}
        kinds = _field_kinds(cls)
        for name in values.keys() - kinds.keys():
            raise InputError(_explain_unknown(cls, name))
        for name, value in values.items():
            if not any(issubclass(kind, Record) for kind in kinds[name]):
                values[name] = MontyDecoder().process_decoded(value)
        return cls(**values)


@dataclass(kw_only=True)
class StageMaker(RecordMaker):
    """A Maker of one job.

    Parameters
    ----------
    name : str
        Name of the job.
    task_document_kwargs : TaskDocumentKwargs
        Metadata of the document, where atomate2's ``add_metadata_to_flow`` sets them;
        they change neither uuid nor fingerprint.

    Attributes
    ----------
    algorithm : int
        Version of the algorithm: a part of the fingerprint, to be raised by each change
        of the code that changes the numbers of a document.
    """

    algorithm: ClassVar[int] = 1

    name: str = "stage"
    task_document_kwargs: TaskDocumentKwargs = field(default_factory=TaskDocumentKwargs)


class _MakerFields(dict[str, Any]):
    """Fields of a Maker as plain JSON.

    jobflow's ``update_kwargs`` calls ``update`` on them, also for a Maker inside of
    another; here this sets the fields of a copy of the Maker.
    """

    def __init__(self, maker: RecordMaker, values: Mapping[str, Any]) -> None:
        plain = jsanitize(dict(values), strict=True, enum_values=True)
        super().__init__(plain)
        self._maker = maker

    def update(self, changes: Mapping[str, Any]) -> None:  # type: ignore[override]
        """Set fields; mappings are merged into the records of the Maker."""
        changed = copy(self._maker)
        for name, value in changes.items():
            setattr(changed, name, value)
        super().update(changed.as_dict())


def _field_kinds(kind: type[RecordMaker]) -> dict[str, tuple[type, ...]]:
    """Look up the class of each field, or those of a union."""
    hints = get_type_hints(kind)
    return {entry.name: _list_classes(hints[entry.name]) for entry in fields(kind)}


def _list_classes(hint: Any) -> tuple[type, ...]:  # noqa: ANN401
    """List the classes of a type hint; none of a generic type."""
    parts = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    return tuple(part for part in parts if isinstance(part, type))


def _merge(current: Any, changes: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    """Merge changes into the values of a record, where there is one of that kind."""
    values = dict(current) if isinstance(current, BaseModel) else {}
    kind = values.get("kind")
    if changes.get("kind", kind) != kind:
        return dict(changes)
    return values | {
        key: _merge(values.get(key), value)
        if isinstance(value, Mapping) and isinstance(values.get(key), BaseModel)
        else value
        for key, value in changes.items()
    }


def _explain_unknown(kind: type[RecordMaker], name: str) -> str:
    """Name an unknown field of a Maker and the nearest one there is."""
    known = list(_field_kinds(kind))
    nearest = get_close_matches(name, known, 1, cutoff=0.5)
    hint = f"; did you mean {nearest[0]}?" if nearest else ""
    return f"expected a field of {kind.__name__}: {', '.join(known)}; got {name}{hint}"
