"""Experimental crystals with measured elastic constants, part of the package."""

from __future__ import annotations

import csv
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING

from nextrung.adapters.files.crystals.experimental_crystals import (
    TABLE,
    read_embedded_crystals,
)
from nextrung.schemas.base import InputError
from nextrung.schemas.physics import ElasticCrystal

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Table of elastic constants in GPa beside this module.
ELASTIC_TABLE = files("nextrung.adapters.files.crystals") / "elastic_constants.csv"


def read_elastic_crystals(
    crystal_ids: Sequence[str] | None = None,
) -> list[ElasticCrystal]:
    """Read cubic crystals, their lattice parameters and elastic constants.

    Parameters
    ----------
    crystal_ids : sequence of str, optional
        Ids of the crystals, in the order wanted; all by default.

    Raises
    ------
    InputError
        If there is no crystal of that id.
    """
    measured = {crystal.crystal_id: crystal for crystal in read_embedded_crystals()}
    with ELASTIC_TABLE.open(encoding="utf-8") as file:
        known = {row["crystal_id"]: row for row in csv.DictReader(file)}
    chosen = list(known) if crystal_ids is None else list(crystal_ids)
    for crystal_id in chosen:
        if crystal_id not in known:
            raise InputError(
                f"physics: expected crystals among {', '.join(known)}, got {crystal_id}"
            )
    return [
        ElasticCrystal(
            crystal_id=crystal_id,
            structure=measured[crystal_id].structure,
            c11=float(known[crystal_id]["c11"]),
            c12=float(known[crystal_id]["c12"]),
            c44=float(known[crystal_id]["c44"]),
            reference=known[crystal_id]["reference"],
        )
        for crystal_id in chosen
    ]


def digest_elastic_crystals() -> str:
    """Hash the tables of crystals and elastic constants."""
    return sha256(TABLE.read_bytes() + ELASTIC_TABLE.read_bytes()).hexdigest()
