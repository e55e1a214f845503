"""The laws of all models of a study, and what transfer saves."""

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

#: Quantiles of the resamples that bound the interval of a crossing.
INTERVAL = (0.025, 0.975)


def score_scaling_law(
    points: Sequence[ScalingPoint], settings: ScalingLawSettings
) -> ScalingLawScore:
    """Fit the errors of all models, and compare transfer with training from scratch.

    Parameters
    ----------
    points : sequence of ScalingPoint
        Errors of every run.
    settings : ScalingLawSettings
        Which sizes are fitted, and which errors are wanted.

    Returns
    -------
    ScalingLawScore
        The points, and the laws of energies and forces.
    """
    energy_maes, forces_maes = settings.target_energy_maes, settings.target_forces_maes
    return ScalingLawScore(
        points=list(points),
        laws={
            "energy_mae": _scale("energy_mae", points, settings, wanted=energy_maes),
            "forces_mae": _scale("forces_mae", points, settings, wanted=forces_maes),
        },
    )


def _scale(
    of: ScaledProperty,
    points: Sequence[ScalingPoint],
    settings: ScalingLawSettings,
    *,
    wanted: Sequence[float],
) -> PropertyScaling:
    """Fit the laws of one error, and read crossing and sizes off them."""
    curves = {
        model: select_curve(points, model, of, fit_above=settings.fit_above)
        for model in settings.models
    }
    laws = {model: fit_power_law(curve) for model, curve in curves.items()}
    return PropertyScaling(
        laws={model.value: law for model, law in laws.items()},
        crossing=_compare_with_scratch(curves, laws, settings).model_copy(
            update=_lead(of, points, settings)
        ),
        required_sizes=[
            size_for_error(law, error, model)
            for error in wanted
            for model, law in laws.items()
        ],
    )


def _lead(
    of: ScaledProperty, points: Sequence[ScalingPoint], settings: ScalingLawSettings
) -> dict[str, object]:
    """Say who is ahead at every size studied, and which the largest is."""
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
    """Find where the first pretrained model meets training from scratch."""
    pretrained = [model for model in settings.models if RECIPES[model].pretrained]
    if not pretrained or Model.SCRATCH not in laws:
        return Crossing(error="one pretrained model and scratch are needed to cross")
    pair = (pretrained[0], Model.SCRATCH)
    crossing = find_crossing(laws[pair[0]], laws[pair[1]])
    if min(laws[model].n_points for model in pair) < THREE_POINTS:
        return crossing
    if settings.n_bootstrap == 0:
        return crossing
    resampled = resample_crossing(
        curves[pair[0]],
        curves[pair[1]],
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
