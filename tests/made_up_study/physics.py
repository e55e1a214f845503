"""Tests of the potential energy surface of a model of a made-up study."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.made_up_study.stages import LABELS, make_provenance

from nextrung.adapters.files.crystals.elastic_crystals import read_elastic_crystals
from nextrung.compute.physics.scores import check_value, score_physics
from nextrung.schemas.physics import Measure, PhysicsDoc, PhysicsSettings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.schemas.models import Model

#: Elastic constants C44 in GPa, or why there is none.
C44: Mapping[str, float | str] = {
    "Si diamond": 39.8,
    "MgO rocksalt": "no reference energy of Mg",
}


def make_physics(model: Model, c44: Mapping[str, float | str] = C44) -> PhysicsDoc:
    """Scores of one measure of two crystals."""
    settings = PhysicsSettings()
    records = [
        check_value(crystal, Measure.C44, c44[crystal.crystal_id], settings=settings)
        for crystal in read_elastic_crystals(list(C44))
    ]
    return PhysicsDoc(
        model=model,
        labels=LABELS,
        settings=settings,
        **dict(score_physics(records)),
        provenance=make_provenance(f"physics/{model}"),
    )
