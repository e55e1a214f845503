"""Power laws of all models of a study, and their crossings."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from nextrung.compute.scaling_law.crossings import (
    find_crossing,
    find_leader,
)
from nextrung.compute.scaling_law.laws import (
    fit_power_law,
    select_curve,
    size_for_error,
)
from nextrung.schemas.models import RECIPES, Model
from nextrung.schemas.scaling_law import Crossing, PropertyScaling, ScalingLawScore

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nextrung.compute.scaling_law.lines import Curve
    from nextrung.schemas.scaling_law import (
        ScaledProperty,
        ScalingLawSettings,
        ScalingPoint,
    )


def score_scaling_law(
    points: Sequence[ScalingPoint], settings: ScalingLawSettings
) -> ScalingLawScore:
    """Fit power laws of all models, and compare transfer with training from scratch.

    Parameters
    ----------
    points : sequence of ScalingPoint
        Errors of every training.
    settings : ScalingLawSettings
        Sizes to fit and errors wanted.

    Returns
    -------
    ScalingLawScore
        The points, and the power laws of energies and forces; none of forces where the
        frames have no forces to compare with.
    """
    wanted: dict[ScaledProperty, Sequence[float]] = {
        "energy_mae": settings.target_energy_maes,
        "forces_mae": settings.target_forces_maes,
    }
    return ScalingLawScore(
        points=list(points),
        laws={
            of: _fit(of, points, settings, wanted=wanted[of])
            for of in wanted
            if of == "energy_mae" or _has_labels(of, points)
        },
    )


def _has_labels(of: ScaledProperty, points: Sequence[ScalingPoint]) -> bool:
    """Check whether a point has an error, unless no point was scored at all."""
    scored = [point for point in points if point.energy_mae is not None]
    return not scored or any(getattr(point, of) is not None for point in scored)


def _fit(
    of: ScaledProperty,
    points: Sequence[ScalingPoint],
    settings: ScalingLawSettings,
    *,
    wanted: Sequence[float],
) -> PropertyScaling:
    """Fit the power laws of one error, their crossing, and the required sizes."""
    curves = {
        model: select_curve(points, model, of, fit_above=settings.fit_above)
        for model in settings.models
    }
    laws = {model: fit_power_law(curve) for model, curve in curves.items()}
    return PropertyScaling(
        laws={model.value: law for model, law in laws.items()},
        crossing=_compare_with_scratch(curves, settings).model_copy(
            update=_compare_sizes(of, points, settings)
        ),
        required_sizes=[
            size_for_error(curve, error, model)
            for error in wanted
            for model, curve in curves.items()
        ],
    )


def _compare_sizes(
    of: ScaledProperty, points: Sequence[ScalingPoint], settings: ScalingLawSettings
) -> dict[str, object]:
    """Find which training has the lower error at every common size."""
    pretrained = [model for model in settings.models if RECIPES[model].pretrained]
    scratch = [point for point in points if point.model is Model.SCRATCH]
    errors = [
        _average_by_size([point for point in points if point.model is model], of)
        for model in (*pretrained[:1], Model.SCRATCH)
    ]
    shared = set.intersection(*(set(found) for found in errors))
    return {
        "leader": find_leader(errors[0], errors[-1]) if pretrained else None,
        "largest_size": max(shared, default=None),
        "undertrained_sizes": tuple(
            sorted({point.n_frames for point in scratch if point.undertrained})
        ),
    }


def _average_by_size(
    points: Sequence[ScalingPoint], of: ScaledProperty
) -> dict[int, float]:
    """Average the errors of repeated trainings, by the number of frames."""
    errors: defaultdict[int, list[float]] = defaultdict(list)
    for point in points:
        if point.n_frames and getattr(point, of) is not None:
            errors[point.n_frames].append(getattr(point, of))
    return {size: float(np.mean(found)) for size, found in errors.items()}


def _compare_with_scratch(
    curves: Mapping[Model, Curve], settings: ScalingLawSettings
) -> Crossing:
    """Find the crossing of the first pretrained model and training from scratch."""
    pretrained = [model for model in settings.models if RECIPES[model].pretrained]
    if not pretrained or Model.SCRATCH not in curves:
        return Crossing(error="one pretrained model and scratch are needed to cross")
    return find_crossing(curves[pretrained[0]], curves[Model.SCRATCH])
