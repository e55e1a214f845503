from __future__ import annotations

import numpy as np
import pytest

from nextrung.compute.intervals import choose_best, summarise_repeats
from nextrung.schemas.repeats import RepeatErrors


def repeat(
    energy: float, *, val: float = 0.0, seed: int | None = 0, split: int = 0
) -> RepeatErrors:
    return RepeatErrors(
        seed=seed, split=split, test={"energy": energy}, val={"energy": val}
    )


def test_one_repeat_has_a_mean_and_no_spread() -> None:
    spread = summarise_repeats([repeat(0.3)]).spread["energy"]
    assert (spread.mean, spread.n_repeats) == (0.3, 1)
    assert (spread.std, spread.std_seeds, spread.std_splits) == (None, None, None)


def test_seeds_and_splits_are_kept_apart() -> None:
    """Seeds shift the error by ±1, splits by ±10."""
    grid = [
        repeat(100 + s + t, seed=i, split=j)
        for j, t in enumerate((-10, 0, 10))
        for i, s in enumerate((-1, 0, 1))
    ]
    spread = summarise_repeats(grid).spread["energy"]
    assert spread.mean == pytest.approx(100)
    assert spread.std_seeds == pytest.approx(1)
    assert spread.std_splits == pytest.approx(10)
    assert spread.std == pytest.approx(np.std([r.test["energy"] for r in grid], ddof=1))


def test_models_without_training_vary_with_the_split_alone() -> None:
    found = summarise_repeats([repeat(e, seed=None, split=int(e)) for e in (1, 2, 3)])
    assert found.spread["energy"].std_seeds is None
    assert found.spread["energy"].std_splits == pytest.approx(1)


def test_an_error_that_one_repeat_has_is_averaged_over_that_one() -> None:
    first = RepeatErrors(seed=0, split=0, test={"energy": 1.0, "forces": 5.0}, val={})
    spread = summarise_repeats([first, repeat(3.0, seed=1)]).spread
    assert (spread["energy"].n_repeats, spread["forces"].n_repeats) == (2, 1)


def test_the_best_model_is_chosen_without_its_test_error() -> None:
    models = {
        "lucky": summarise_repeats([repeat(0.1, val=0.5), repeat(0.1, val=0.7)]),
        "best": summarise_repeats([repeat(0.3, val=0.4), repeat(0.5, val=0.4)]),
    }
    chosen = choose_best(models)
    assert list(chosen) == ["energy"]
    assert chosen["energy"].model == "best"
    assert chosen["energy"].val_error == pytest.approx(0.4)
    assert chosen["energy"].test_error == pytest.approx(0.4)


def test_no_validation_error_is_no_choice() -> None:
    only = RepeatErrors(seed=0, split=0, test={"energy": 1.0}, val={})
    assert choose_best({"source": summarise_repeats([only])}) == {}
