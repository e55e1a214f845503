"""Power laws of all models of a study, and their crossings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nextrung.compute.scaling_law.crossings import (
    find_crossing,
    find_leader,
    resample_crossing,
)
from nextrung.compute.scaling_law.laws import (
    THREE_POINTS,
    fit_power_law,
    select_curve,
    size_for_error,
)
from nextrung.schemas.models import RECIPES, Model
from nextrung.schemas.scaling_law import Crossing, PropertyScaling, ScalingLawScore

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nextrung.compute.scaling_law.laws import Curve
    from nextrung.schemas.scaling_law import (
        PowerLaw,
        ScaledProperty,
        ScalingLawSettings,
        ScalingPoint,
    )

#: Quantiles of the resampled crossings: a 95 % interval.
INTERVAL = (0.025, 0.975)


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
        The points, and the power laws of energies and forces.
    """
    wanted: dict[ScaledProperty, Sequence[float]] = {
        "energy_mae": settings.target_energy_maes,
        "forces_mae": settings.target_forces_maes,
    }
    return ScalingLawScore(
        points=list(points),
        laws={of: _fit(of, points, settings, wanted=wanted[of]) for of in wanted},
    )


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
        crossing=_compare_with_scratch(curves, laws, settings).model_copy(
            update=_compare_sizes(of, points, settings)
        ),
        required_sizes=[
            size_for_error(law, error, model)
            for error in wanted
            for model, law in laws.items()
        ],
    )


def _compare_sizes(
    of: ScaledProperty, points: Sequence[ScalingPoint], settings: ScalingLawSettings
) -> dict[str, object]:
    """Find which training has the lower error at every common size."""
    pretrained = [model for model in settings.models if RECIPES[model].pretrained]
    errors: list[dict[int, float]] = [
        {
            point.n_frames: error
            for point in points
            if point.model is model
            and point.n_frames
            and (error := getattr(point, of)) is not None
        }
        for model in (*pretrained[:1], Model.SCRATCH)
    ]
    shared = set.intersection(*(set(found) for found in errors))
    return {
        "leader": find_leader(errors[0], errors[-1]) if pretrained else None,
        "largest_size": max(shared, default=None),
    }


def _compare_with_scratch(
    curves: Mapping[Model, Curve],
    laws: Mapping[Model, PowerLaw],
    settings: ScalingLawSettings,
) -> Crossing:
    """Find the crossing of the first pretrained model and training from scratch."""
    pretrained = [model for model in settings.models if RECIPES[model].pretrained]
    if not pretrained or Model.SCRATCH not in laws:
        return Crossing(error="one pretrained model and scratch are needed to cross")
    transfer, scratch = pretrained[0], Model.SCRATCH
    crossing = find_crossing(laws[transfer], laws[scratch])
    n_points = min(laws[transfer].n_points, laws[scratch].n_points)
    if n_points < THREE_POINTS or settings.n_bootstrap == 0:
        return crossing
    resampled = resample_crossing(
        curves[transfer],
        curves[scratch],
        n_bootstrap=settings.n_bootstrap,
        seed=settings.seed,
    )
    low, high = np.quantile(resampled, INTERVAL, method="inverted_cdf").tolist()
    return crossing.model_copy(
        update={
            "low": low if np.isfinite(low) else None,
            "high": high if np.isfinite(high) else None,
            "n_resamples": settings.n_bootstrap,
            "n_crossing": int((np.isfinite(resampled) & (resampled > 0)).sum()),
        }
    )
