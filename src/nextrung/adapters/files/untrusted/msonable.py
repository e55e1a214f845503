"""Decoder of users' files with tags of monty; only listed classes are imported.

The decoder of monty imports whatever module a file names, and calls the class with the
values of the file, which runs code and opens connections of the file's choice.
"""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from monty.json import MontyDecoder

from nextrung.adapters.files.untrusted.compressed import read_text
from nextrung.adapters.files.yaml_records import parse_yaml
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

#: Keys of a tagged object that has nothing but a value, such as a run type of emmet.
VALUE_KEYS = frozenset({"@module", "@class", "@version", "value"})

#: Classes that pymatgen's own decoders make of the values in an entry or a structure.
HANDLED = frozenset({("datetime", "datetime"), ("numpy", "array"), ("uuid", "UUID")})

#: Classes in the files of materials; their module depends on the version of pymatgen.
MATERIALS = frozenset(
    {
        "Composition",
        "CompositionEnergyAdjustment",
        "ComputedEntry",
        "ComputedStructureEntry",
        "ConstantEnergyAdjustment",
        "DummySpecies",
        "Element",
        "EnergyAdjustment",
        "GibbsComputedStructureEntry",
        "IStructure",
        "Lattice",
        "Magmom",
        "ManualEnergyAdjustment",
        "PDEntry",
        "PeriodicSite",
        "Species",
        "Structure",
        "TemperatureEnergyAdjustment",
    }
)


def load_plain(path: Path) -> Any:  # noqa: ANN401
    """Read JSON or YAML, plain or compressed, without decoding its tags.

    Parameters
    ----------
    path : Path
        File whose name contains ``.yaml`` or ``.yml`` for YAML; any other is JSON.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    text = read_text(path)
    is_yaml = any(suffix in path.name.lower() for suffix in (".yaml", ".yml"))
    try:
        return parse_yaml(text) if is_yaml else json.loads(text)
    except RecursionError as error:
        raise InputError(f"{path}: nested too deeply") from error
    except ValueError as error:
        kind = "YAML" if is_yaml else "JSON"
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: expected {kind}, got {reason}") from error


def decode_materials(plain: Any, path: Path) -> Any:  # noqa: ANN401
    """Build the structures and entries of plain values.

    Parameters
    ----------
    plain : object
        Values of :func:`load_plain`.
    path : Path
        Their file, for error messages.

    Raises
    ------
    InputError
        If a tag names another class, or values are none of its class.
    """
    try:
        return MontyDecoder().process_decoded(_replace_tags(plain, path))
    except InputError:
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(
            f"{path}: expected structures or entries of pymatgen, got values that are "
            f"none: {reason}"
        ) from error


def require_classes(plain: Any, allowed: Collection[str], path: Path) -> None:  # noqa: ANN401
    """Check the tags of plain values.

    Parameters
    ----------
    plain : object
        Values of :func:`load_plain`.
    allowed : collection of str
        Modules and names of the classes that may occur, such as ``jobflow.JobStore``.
    path : Path
        Their file, for error messages.

    Raises
    ------
    InputError
        If a tag names another class or a function.
    """
    if isinstance(plain, dict):
        if "@module" in plain and _name_class(plain) not in allowed:
            raise _reject(plain, path)
        for value in plain.values():
            require_classes(value, allowed, path)
    elif isinstance(plain, list):
        for value in plain:
            require_classes(value, allowed, path)


def _replace_tags(plain: Any, path: Path) -> Any:  # noqa: ANN401
    """Copy plain values with the true modules of their classes, or without tags."""
    if isinstance(plain, list):
        return [_replace_tags(value, path) for value in plain]
    if not isinstance(plain, dict):
        return plain
    copied = {key: _replace_tags(value, path) for key, value in plain.items()}
    module, name = str(plain.get("@module")), str(plain.get("@class"))
    if "@module" not in plain or (module, name) in HANDLED:
        return copied
    if module.startswith("pymatgen.") and name in MATERIALS:
        return copied | {"@module": _find_module(name)}
    if module.startswith("pymatgen.") and "@class" in plain:
        return {key: value for key, value in copied.items() if key[:1] != "@"}
    if plain.keys() <= VALUE_KEYS and isinstance(plain.get("value"), str | int):
        return plain["value"]
    raise _reject(plain, path)


@cache
def _find_module(name: str) -> str:
    """Find the module of a class of :data:`MATERIALS` in the installed pymatgen."""
    from pymatgen.analysis import phase_diagram  # noqa: PLC0415 - seconds
    from pymatgen.core import lattice, periodic_table, sites, structure  # noqa: PLC0415
    from pymatgen.electronic_structure import core  # noqa: PLC0415
    from pymatgen.entries import computed_entries  # noqa: PLC0415

    for module in (
        structure,
        computed_entries,
        phase_diagram,
        lattice,
        periodic_table,
        sites,
        core,
    ):
        if hasattr(module, name):
            found: str = getattr(module, name).__module__
            return found
    raise LookupError(name)


def _name_class(tagged: Mapping[str, Any]) -> str:
    """Name the class or function of a tagged object."""
    return f"{tagged['@module']}.{tagged.get('@class', tagged.get('@callable'))}"


def _reject(tagged: Mapping[str, Any], path: Path) -> InputError:
    """Build the error of a tag that names anything else."""
    return InputError(
        f"{path}: expected plain data, got an object of "
        f"{_name_class(tagged)}, which is not imported"
    )
