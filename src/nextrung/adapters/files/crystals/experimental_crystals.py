"""Experimental crystals: the table of the package, or a folder of CIFs."""

from __future__ import annotations

import csv
import warnings
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.io.cif import CifFile, CifParser

from nextrung.adapters.files.paths import expand_path
from nextrung.compute.prototypes import Parameters, build_crystal
from nextrung.schemas.base import InputError
from nextrung.schemas.density import EMBEDDED, ExperimentalCrystal, UnreadableCrystal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.resources.abc import Traversable
    from pathlib import Path

    from nextrung.schemas.density import DensitySettings

#: Table of lattice parameters beside this module.
TABLE = files("nextrung.adapters.files.crystals") / "experimental_crystals.csv"
#: Keys of the measurement temperature in a CIF, most specific first.
TEMPERATURE_KEYS = ("_cell_measurement_temperature", "_diffrn_ambient_temperature")


def read_crystals(
    settings: DensitySettings,
) -> list[ExperimentalCrystal | UnreadableCrystal]:
    """Read the reference crystals of a density benchmark, in a fixed order.

    Parameters
    ----------
    settings : DensitySettings
        Source of the crystals, and number to draw.

    Raises
    ------
    InputError
        If the folder or its CIFs are missing, none of the files can be read, or the
        source has fewer crystals than the number to draw.
    """
    crystals: list[ExperimentalCrystal | UnreadableCrystal] = (
        [*read_embedded_crystals()]
        if settings.source == EMBEDDED
        else [_try_to_read(path) for path in _list_cifs(settings.source)]
    )
    failed = [each for each in crystals if isinstance(each, UnreadableCrystal)]
    if len(failed) == len(crystals):
        raise InputError(
            f"expected a crystal in {settings.source}, got none: {failed[0].reason}"
        )
    if settings.n_crystals is None:
        return crystals
    if settings.n_crystals > len(crystals):
        raise InputError(
            f"expected at least {settings.n_crystals} crystals in {settings.source}, "
            f"got {len(crystals)}"
        )
    rng = np.random.default_rng(settings.seed)
    chosen = rng.choice(len(crystals), settings.n_crystals, replace=False)
    return [crystals[index] for index in sorted(chosen)]


def digest_crystals(settings: DensitySettings) -> str:
    """Hash names and contents of the files of :func:`read_crystals`.

    Parameters
    ----------
    settings : DensitySettings
        Source of the crystals.

    Raises
    ------
    InputError
        If the folder or its CIFs are missing.
    """
    if settings.source == EMBEDDED:
        return sha256(TABLE.read_bytes()).hexdigest()
    digest = sha256()
    for path in _list_cifs(settings.source):
        digest.update(path.name.encode())
        digest.update(sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def read_embedded_crystals() -> list[ExperimentalCrystal]:
    """Build the crystals of the embedded table."""
    return read_crystal_table(TABLE)


def read_crystal_table(table: Traversable) -> list[ExperimentalCrystal]:
    """Build the crystals of a table.

    Parameters
    ----------
    table : Traversable
        CSV with symbols, prototype, lattice parameters in Å, internal coordinate,
        temperature in K and reference.
    """
    with table.open(encoding="utf-8") as file:
        return [_build_crystal(row) for row in csv.DictReader(file)]


def _build_crystal(row: Mapping[str, str]) -> ExperimentalCrystal:
    """Build the crystal of one row of the table."""
    parameters = Parameters(
        a=float(row["a"]),
        c=float(row["c"]) if row["c"] else None,
        internal=float(row["internal"]) if row["internal"] else None,
    )
    structure = build_crystal(row["prototype"], row["symbols"].split(), parameters)
    return ExperimentalCrystal(
        crystal_id=f"{structure.composition.reduced_formula} {row['prototype']}",
        structure=structure,
        temperature=float(row["temperature"]),
        reference=row["reference"],
    )


def _list_cifs(source: str) -> list[Path]:
    """List the CIFs of a folder by name."""
    folder = expand_path(source)
    paths = sorted(folder.glob("*.cif"))
    if not paths:
        raise InputError(f"expected files *.cif in {folder}, got none")
    return paths


def _try_to_read(path: Path) -> ExperimentalCrystal | UnreadableCrystal:
    """Read one CIF, or describe why it cannot be read."""
    try:
        return _read_cif(path)
    except InputError as error:
        return UnreadableCrystal(
            crystal_id=path.stem, reference=path.name, reason=str(error)
        )


def _read_cif(path: Path) -> ExperimentalCrystal:
    """Read the first structure of one CIF."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pymatgen warns of every CIF it repairs
            structure = CifParser(path).parse_structures(primitive=True)[0]
            block = next(iter(CifFile.from_file(path).data.values())).data
    except Exception as error:  # the parser raises all kinds of exceptions
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"expected a crystal structure in {path}: {reason}") from error
    if not structure.is_ordered:
        raise InputError(f"expected fully occupied sites, got partial ones in {path}")
    return ExperimentalCrystal(
        crystal_id=path.stem,
        structure=structure,
        temperature=_find_temperature(block),
        reference=path.name,
    )


def _find_temperature(block: Mapping[str, str]) -> float | None:
    """Read the measurement temperature in K; None where it is missing."""
    for key in TEMPERATURE_KEYS:
        text = str(block.get(key, "")).partition("(")[0]
        if text.replace(".", "", 1).isdigit():
            return float(text)
    return None
