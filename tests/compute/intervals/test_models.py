from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from tests.compute.intervals.simulated import errors_of, simulate_study

from nextrung.compute.intervals import BASELINE, Errors, ModelComparison

if TYPE_CHECKING:
    from nextrung.compute.intervals import Comparison, Repeat

    Models = dict[str, dict[Repeat, Errors]]

N = 30


def compare(models: Models, model: str, reference: str) -> Comparison:
    found = ModelComparison(models).compare(model, reference)
    assert found is not None
    return found


def test_a_better_model_is_told_apart_and_an_equal_one_is_not() -> None:
    rng = np.random.default_rng(0)
    hard = rng.lognormal(size=N)
    models: Models = {
        "source": {(None, 0): errors_of(hard)},
        "scratch": {
            (seed, 0): errors_of(hard * rng.lognormal(0, 0.1, N)) for seed in range(3)
        },
        "frozen_atom_refs": {
            (seed, 0): errors_of(0.5 * hard * rng.lognormal(0, 0.1, N))
            for seed in range(3)
        },
    }
    better = compare(models, "frozen_atom_refs", "source")
    assert better.is_significant
    assert better.found.high < 1
    assert (better.found.n_repeats, better.found.n_materials) == (3, N)
    equal = compare(models, "scratch", "source")
    assert not equal.is_significant
    assert equal.found.low < 1 < equal.found.high


def test_more_models_need_smaller_p_values() -> None:
    rng = np.random.default_rng(4)
    hard = rng.lognormal(size=N)
    source: Models = {"source": {(None, 0): errors_of(hard)}}
    tried: Models = {
        f"model {i}": {(0, 0): errors_of(hard * rng.lognormal(0.3, 0.9, N))}
        for i in range(6)
    }
    every = ModelComparison(source | tried).compare_all("source")
    name = min(every, key=lambda model: every[model].p_adjusted)
    two, seven = compare(source | {name: tried[name]}, name, "source"), every[name]
    assert two.found == seven.found
    assert two.found.p_value == two.p_adjusted < seven.p_adjusted


def test_models_of_equal_predictions_are_one_test() -> None:
    """Forces of the source are the same with every set of atomic references."""
    rng = np.random.default_rng(4)
    hard, other = rng.lognormal(size=(2, N))
    source: Models = {"source": {(None, 0): errors_of(hard)}}
    copies: Models = {f"copy {i}": {(0, 0): errors_of(other)} for i in range(3)}
    found = ModelComparison(source | copies).compare_all("source")
    assert {each.p_adjusted for each in found.values()} == {
        found["copy 0"].found.p_value
    }


def test_frames_that_one_model_lacks_are_left_out_of_both() -> None:
    values = np.arange(1.0, N + 1)
    models: Models = {
        "source": {(None, 0): errors_of(values[1:], first=1)},
        "scratch": {(0, 0): errors_of(2 * values[:-1])},
    }
    found = compare(models, "scratch", "source").found
    assert found.n_materials == N - 2
    assert found.difference == pytest.approx(values[1:-1].mean())
    assert found.ratio == pytest.approx(2)


def test_splits_are_compared_within_themselves() -> None:
    rng = np.random.default_rng(0)
    models: Models = {
        "source": {
            (None, split): errors_of(np.ones(N), first=N * split) for split in (0, 1)
        },
        "scratch": {
            (seed, split): errors_of(rng.exponential(size=N), first=N * split)
            for seed in (0, 1)
            for split in (0, 1)
        },
    }
    found = compare(models, "scratch", "source").found
    assert (found.n_repeats, found.n_materials) == (4, 2 * N)


def test_models_without_a_common_repeat_are_not_compared() -> None:
    models: Models = {
        "source": {(None, 0): errors_of(np.ones(N))},
        "scratch": {(0, 1): errors_of(np.ones(N))},
    }
    assert ModelComparison(models).compare("scratch", "source") is None


def test_the_baseline_is_compared_over_all_repeats() -> None:
    """The first of three seeds beats zero forces; the mean of all does not."""
    rng = np.random.default_rng(0)
    baselines = rng.lognormal(size=N)

    def train(factor: float) -> Errors:
        values = factor * baselines * rng.lognormal(0, 0.1, N)
        return errors_of(values, baselines=baselines)

    factors = (0.5, 1.6, 1.2)
    repeated: Models = {"scratch": {(s, 0): train(f) for s, f in enumerate(factors)}}
    first: Models = {"scratch": {(0, 0): repeated["scratch"][0, 0]}}

    alone = compare(first, "scratch", BASELINE)
    together = compare(repeated, "scratch", BASELINE)

    assert alone.is_significant
    assert alone.found.high < 1
    assert not together.is_significant
    assert together.found.n_repeats == 3
    assert together.found.low < 1 < together.found.high


def test_two_seeds_of_several_models_tell_a_large_difference() -> None:
    """Five models vary by 10 % between seeds; the last is 20 times worse.

    From its own two seeds alone, one degree of freedom, none is told apart.
    """
    rng = np.random.default_rng(3)
    hard = rng.lognormal(size=N)
    means = (1.0, 1.05, 1.1, 0.95, 20.0)
    models: Models = {
        f"model {i}": {
            (seed, 0): errors_of(
                mean * hard * rng.lognormal(0.1 * rng.normal(), 0.3, N)
            )
            for seed in (0, 1)
        }
        for i, mean in enumerate(means)
    }
    pooled = ModelComparison(models).compare_all("model 0")
    alone = ModelComparison({m: models[m] for m in ("model 0", "model 4")})

    assert pooled["model 4"].is_significant
    assert not any(pooled[f"model {i}"].is_significant for i in (1, 2, 3))
    own = alone.compare("model 4", "model 0")
    assert own is not None
    assert 4 * own.found.p_value > 0.05


def test_a_wild_model_widens_its_own_interval_most() -> None:
    study = simulate_study(np.random.default_rng(0), [0.05] * 4 + [1.0], n_seeds=3)
    stable = study.compare("model 1", "model 0")
    wild = study.compare("model 4", "model 0")
    assert stable is not None
    assert wild is not None
    assert np.log(wild.found.high / wild.found.low) > 1.5 * np.log(
        stable.found.high / stable.found.low
    )


def test_the_interval_of_a_mean_covers_its_repeats() -> None:
    """One of three seeds has three times the error: the interval of one is narrow."""
    rng = np.random.default_rng(1)
    seeds: dict[Repeat, Errors] = {
        (seed, 0): errors_of(factor * rng.lognormal(0, 0.3, N))
        for seed, factor in enumerate((1.0, 1.0, 3.0))
    }
    alone = ModelComparison({"scratch": {(0, 0): seeds[0, 0]}})
    repeated = ModelComparison({"scratch": seeds})

    first, every = (each.estimate_interval("scratch") for each in (alone, repeated))

    assert first is not None
    assert every is not None
    mean = repeated.average("scratch")
    assert first[1] < mean
    assert every[0] < first[0] < mean < every[1]
