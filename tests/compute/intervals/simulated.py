"""Simulated errors of models over materials, seeds and splits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nextrung.compute.intervals import Errors, ModelComparison

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from nextrung.compute.intervals import Repeat

    Draw = Callable[[np.random.Generator, int], NDArray[np.float64]]

#: Distributions of the absolute errors of materials, of mean 1.
ERRORS: dict[str, Draw] = {
    "exponential": lambda rng, n: rng.exponential(size=n),
    "lognormal": lambda rng, n: rng.lognormal(-0.5, size=n),
    "absolute t": lambda rng, n: (
        np.abs(rng.standard_t(3, size=n)) * np.pi / (2 * np.sqrt(3))
    ),
}


def name(n_materials: int, n_frames: int = 1) -> list[str]:
    return [f"m-{index}" for index in range(n_materials) for _ in range(n_frames)]


def errors_of(
    values: ArrayLike,
    material_ids: Sequence[str] | None = None,
    *,
    weights: ArrayLike | None = None,
    baselines: ArrayLike | None = None,
    first: int = 0,
) -> Errors:
    """Build errors of frames, one per material from the first on by default."""
    array = np.asarray(values, dtype=np.float64)
    n_rows = len(array)
    names = [f"m-{first + index}" for index in range(n_rows)]
    return Errors(
        names=np.array(names, dtype=str),
        material_ids=np.array(names if material_ids is None else material_ids),
        values=array,
        weights=np.ones(n_rows) if weights is None else np.asarray(weights, float),
        baselines=np.full(n_rows, np.nan)
        if baselines is None
        else np.asarray(baselines, float),
        elements=np.zeros(n_rows, dtype=bool),
    )


def simulate_study(
    rng: np.random.Generator,
    spreads: Sequence[float],
    *,
    draw: Draw = ERRORS["lognormal"],
    n_seeds: int = 1,
    n_splits: int = 1,
    n_materials: int = 20,
) -> ModelComparison:
    """Simulate equal models that vary by their own spread between repeats.

    Every model errs on the hard materials of a split. Its logarithmic error varies by
    30 % between materials, by its spread between splits or, with one split, between
    seeds; between the seeds of one of several splits by a third of that.
    """
    hard = [draw(rng, n_materials) for _ in range(n_splits)]
    of_seeds = 1 if n_splits == 1 else 1 / 3
    models: dict[str, dict[Repeat, Errors]] = {}
    for number, spread in enumerate(spreads):
        models[f"model {number}"] = {}
        for split in range(n_splits):
            of_split = 0.0 if n_splits == 1 else spread * rng.normal()
            for seed in range(n_seeds):
                factor = np.exp(of_split + of_seeds * spread * rng.normal())
                values = hard[split] * rng.lognormal(-0.045, 0.3, n_materials)
                first = split * n_materials
                errors = errors_of(factor * values, first=first)
                models[f"model {number}"][seed, split] = errors
    return ModelComparison(models)
