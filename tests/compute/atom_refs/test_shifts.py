from __future__ import annotations

from time import process_time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pymatgen.core import Element
from scipy.linalg import cholesky

from nextrung.compute.atom_refs import UndeterminedReferencesWarning, fit_shift
from nextrung.compute.atom_refs.bayesian import infer_energies
from nextrung.compute.atom_refs.grid import AMPLITUDES, average_frames, solve
from nextrung.compute.atom_refs.periodic_priors import list_covariances
from nextrung.schemas.base import InputError
from nextrung.schemas.frames import Frames

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nextrung.compute.atom_refs.bayesian import Posterior

#: Elements of made-up data sets.
SYMBOLS = ("Li", "O", "F", "Na", "Mg", "Ti", "Mn", "Fe", "Ni", "Cu")


def make_frames(
    amounts: NDArray[np.int64],
    energies: NDArray[np.float64],
    materials: NDArray[np.int64],
    symbols: tuple[str, ...] = SYMBOLS,
) -> Frames:
    """Make frames of amounts of elements, and energies in eV/atom."""
    numbers = np.array([Element(symbol).Z for symbol in symbols])
    n_atoms = amounts.sum(axis=1)
    n_frames, n_sites = len(amounts), int(n_atoms.sum())
    return Frames(
        material_ids=materials.astype(str),
        frame_ids=np.arange(n_frames).astype(str),
        splits=np.full(n_frames, ""),
        offsets=np.concatenate([[0], np.cumsum(n_atoms)]),
        atomic_numbers=np.concatenate(
            [np.repeat(numbers, row) for row in amounts]
        ).astype(np.int16),
        lattices=np.tile(np.eye(3) * 9, (n_frames, 1, 1)),
        frac_coords=np.zeros((n_sites, 3)),
        energies=energies * n_atoms,
        forces=np.full((n_sites, 3), np.nan, np.float32),
        stresses=np.full((n_frames, 3, 3), np.nan, np.float32),
        magmoms=np.full(n_sites, np.nan, np.float32),
        functional="r2SCAN",
    )


def draw_amounts(rng: np.random.Generator, n_materials: int) -> NDArray[np.int64]:
    """Draw oxides and fluorides of one or two metals."""
    amounts = np.zeros((n_materials, len(SYMBOLS)), dtype=np.int64)
    rows = np.arange(n_materials)
    amounts[rows, rng.integers(1, 3, n_materials)] = rng.integers(1, 5, n_materials)
    for _ in range(2):
        metals = rng.choice([0, *range(3, len(SYMBOLS))], n_materials)
        amounts[rows, metals] += rng.integers(1, 3, n_materials)
    return amounts


def infer(
    amounts: NDArray[np.int64],
    energies: NDArray[np.float64],
    materials: NDArray[np.int64],
) -> Posterior:
    """Infer the shifts of the elements of made-up data sets."""
    fractions = amounts / amounts.sum(axis=1, keepdims=True)
    means = average_frames(fractions, energies, materials.astype(str))
    return infer_energies(means, list_covariances(SYMBOLS))


def test_exact_shifts_of_many_frames_are_not_shrunk() -> None:
    """Without noise the least-squares shifts are exact, and the prior gives way."""
    rng = np.random.default_rng(0)
    amounts = draw_amounts(rng, 60)
    shifts = rng.normal(-5, 3, len(SYMBOLS))
    energies = amounts @ shifts / amounts.sum(axis=1)

    fit = fit_shift(make_frames(amounts, energies, np.arange(60)), np.zeros(60))

    expected = dict(zip(SYMBOLS, shifts.tolist(), strict=True))
    assert fit.energies == pytest.approx(expected, abs=1e-6)
    assert fit.posterior is not None
    assert max(fit.posterior.standard_errors.values()) < 1e-4


def test_many_noisy_materials_give_least_squares() -> None:
    """With 4,000 materials the prior moves no shift by a tenth of its error."""
    rng = np.random.default_rng(1)
    amounts = draw_amounts(rng, 4000)
    fractions = amounts / amounts.sum(axis=1, keepdims=True)
    energies = fractions @ rng.normal(-5, 3, len(SYMBOLS)) + rng.normal(0, 0.1, 4000)

    posterior = infer(amounts, energies, np.arange(4000))

    expected, *_ = np.linalg.lstsq(fractions, energies)
    errors = np.sqrt(np.diag(posterior.covariance))
    assert np.all(np.abs(posterior.energies - expected) < 0.1 * errors)
    naive = 0.1 * np.sqrt(np.diag(np.linalg.inv(fractions.T @ fractions)))
    np.testing.assert_allclose(errors, naive, rtol=0.1)


def test_few_materials_are_drawn_to_similar_elements() -> None:
    """Where shifts are smooth in the atomic number the prior beats least squares."""
    rng = np.random.default_rng(2)
    numbers = np.array([Element(symbol).Z for symbol in SYMBOLS])
    shifts = -0.2 * numbers + 0.1 * np.sin(numbers)
    errors, naive = [], []
    for _ in range(20):
        amounts = draw_amounts(rng, 12)
        fractions = amounts / amounts.sum(axis=1, keepdims=True)
        energies = fractions @ shifts + rng.normal(0, 0.1, 12)
        fitted, *_ = np.linalg.lstsq(fractions, energies)
        seen = amounts.any(axis=0)
        posterior = infer(amounts, energies, np.arange(12))
        errors.append(np.abs(posterior.energies - shifts)[seen].mean())
        naive.append(np.abs(fitted - shifts)[seen].mean())

    assert np.mean(errors) < 0.5 * np.mean(naive)


@pytest.mark.parametrize("n_materials", [10, 20])
def test_nine_of_ten_left_out_materials_are_within_their_interval(
    n_materials: int,
) -> None:
    """Frames of a material share its deviation: intervals count materials, not frames.

    Those of least squares with independent frames miss: their standard errors take the
    five frames of a material for five materials.
    """
    rng = np.random.default_rng(3)
    numbers = np.array([Element(symbol).Z for symbol in SYMBOLS])
    within, naive = [], []
    for _ in range(40):
        shifts = rng.normal(-3, 2) - 0.1 * numbers + rng.normal(0, 0.4, len(SYMBOLS))
        amounts = draw_amounts(rng, n_materials + 10)
        fractions = amounts / amounts.sum(axis=1, keepdims=True)
        exact = fractions @ shifts + rng.normal(0, 0.1, len(amounts))
        materials = np.repeat(np.arange(n_materials), 5)
        energies = exact[materials] + rng.normal(0, 0.01, len(materials))
        test = fractions[n_materials:]
        posterior = infer(amounts[materials], energies, materials)
        spread = np.einsum("ij,jk,ik->i", test, posterior.covariance, test)
        noise = posterior.material_noise**2 + posterior.frame_noise**2
        half = posterior.interval_factor * np.sqrt(spread + noise)
        errors = np.abs(test @ posterior.energies - exact[n_materials:])
        within += (errors < half).tolist()
        rows = fractions[materials]
        fitted, _, rank, _ = np.linalg.lstsq(rows, energies)
        left = np.sum((rows @ fitted - energies) ** 2) / (len(rows) - rank)
        covariance = left * np.linalg.pinv(rows.T @ rows)
        spread = np.einsum("ij,jk,ik->i", test, covariance, test)
        misses = np.abs(test @ fitted - exact[n_materials:])
        naive += (misses < 1.645 * np.sqrt(spread + left)).tolist()

    assert 0.85 <= np.mean(within) <= 0.96
    assert np.mean(naive) < 0.85


def test_fewer_materials_than_elements_lose_no_digits() -> None:
    """Squares of the grid are bᵀ(1 + a² X K Xᵀ)⁻¹b, also where they nearly vanish."""
    rng = np.random.default_rng(12)
    symbols = [Element.from_Z(number).symbol for number in range(3, 43)]
    fractions = rng.dirichlet(np.full(40, 0.1), 15)
    energies = rng.normal(-5, 2, 15)
    means = average_frames(fractions, energies, np.arange(15).astype(str))
    covariance = list_covariances(symbols)["constant; elements independent"]

    (solution,) = solve(means, [cholesky(covariance, lower=True)], 0.0)

    for amplitude, found in zip(AMPLITUDES, solution.squares, strict=True):
        spread = means.fractions @ covariance @ means.fractions.T * amplitude**2
        expected = means.energies @ np.linalg.solve(np.eye(15) + spread, means.energies)
        total = means.energies @ means.energies
        assert found == pytest.approx(max(expected, 1e-14 * total), rel=1e-4)


def test_left_out_errors_are_those_of_fits_without_the_material() -> None:
    rng = np.random.default_rng(4)
    amounts = draw_amounts(rng, 12)
    fractions = amounts / amounts.sum(axis=1, keepdims=True)
    energies = fractions @ rng.normal(-5, 1, len(SYMBOLS)) + rng.normal(0, 0.2, 12)
    materials = np.arange(12)

    left_out = infer(amounts, energies, materials).left_out

    order = np.argsort(materials.astype(str))
    for place, material in enumerate(order):
        others = materials != material
        posterior = infer(amounts[others], energies[others], materials[others])
        expected = energies[material] - fractions[material] @ posterior.energies
        assert left_out[place] == pytest.approx(expected, rel=2e-3, abs=2e-3)


def test_frames_of_one_material_do_not_outvote_another() -> None:
    """A hundred frames of one hydrogen, one of another: neither mean dominates."""
    energies = np.array([-1.0] * 100 + [-2.0, -1.4, -1.6])
    materials = np.array([0] * 100 + [1, 2, 3])
    energies[:100] += np.random.default_rng(5).normal(0, 1e-3, 100)
    amounts = np.zeros((103, len(SYMBOLS)), dtype=np.int64)
    amounts[:, 1] = 2

    posterior = infer(amounts, energies, materials)

    assert posterior.energies[1] == pytest.approx(-1.5, abs=0.02)
    assert posterior.frame_noise == pytest.approx(1e-3, rel=0.3)
    assert posterior.material_noise > 0.1


def test_the_order_of_frames_changes_nothing() -> None:
    rng = np.random.default_rng(6)
    materials = np.arange(60) // 2
    amounts = draw_amounts(rng, 30)[materials]
    energies = rng.normal(-3, 1, 60)
    order = rng.permutation(60)

    fit = fit_shift(make_frames(amounts, energies, materials), np.zeros(60))
    other = fit_shift(
        make_frames(amounts[order], energies[order], materials[order]), np.zeros(60)
    )

    assert other.energies == pytest.approx(fit.energies, abs=1e-9)
    assert fit.posterior is not None
    assert other.posterior is not None
    assert other.posterior.standard_errors == pytest.approx(
        fit.posterior.standard_errors, abs=1e-9
    )


def test_scaled_energies_give_scaled_shifts_and_intervals() -> None:
    rng = np.random.default_rng(7)
    amounts = draw_amounts(rng, 12)
    energies = rng.normal(-3, 1, 12)

    small = infer(amounts, energies, np.arange(12))
    large = infer(amounts, 1000 * energies, np.arange(12))

    np.testing.assert_allclose(large.energies, 1000 * small.energies)
    np.testing.assert_allclose(large.covariance, 1e6 * small.covariance)


def test_an_element_without_frames_gets_the_prior_and_a_wide_interval() -> None:
    """Cobalt lies between iron and nickel; bismuth far beyond all that is known."""
    rng = np.random.default_rng(8)
    symbols = np.array([Element(symbol).Z for symbol in SYMBOLS])
    amounts = draw_amounts(rng, 40)
    fractions = amounts / amounts.sum(axis=1, keepdims=True)
    energies = fractions @ (-0.2 * symbols) + rng.normal(0, 0.05, 40)
    frames = make_frames(amounts, energies, np.arange(40))

    fit = fit_shift(frames, np.zeros(40), {"Bi", "Co", "Fe"})

    assert fit.posterior is not None
    assert fit.posterior.unseen == ["Co", "Bi"]
    errors = fit.posterior.standard_errors
    assert fit.energies["Co"] == pytest.approx(-0.2 * 27, abs=2 * errors["Co"])
    assert errors["Fe"] < errors["Co"] < errors["Bi"]
    assert fit.posterior.interval({"Bi": 1}) > fit.posterior.interval({"Fe": 2, "O": 3})


def test_elements_without_frames_do_not_change_the_others() -> None:
    rng = np.random.default_rng(9)
    amounts = draw_amounts(rng, 40)
    frames = make_frames(amounts, rng.normal(-3, 1, 40), np.arange(40))

    alone = fit_shift(frames, np.zeros(40))
    extended = fit_shift(frames, np.zeros(40), ["Co", "Bi"])

    assert {symbol: extended.energies[symbol] for symbol in alone.energies} == (
        pytest.approx(alone.energies, abs=1e-6)
    )


def test_an_interval_of_an_element_without_energy_is_rejected() -> None:
    amounts = draw_amounts(np.random.default_rng(10), 40)
    frames = make_frames(amounts, np.full(40, -1.0), np.arange(40))
    fit = fit_shift(frames, np.zeros(40), ["O"])

    assert fit.posterior is not None
    with pytest.raises(InputError, match="elements with an energy, got Pu"):
        fit.posterior.interval({"Pu": 1, "O": 1})


def test_one_frame_gives_shifts_and_says_that_they_are_undetermined() -> None:
    amounts = np.zeros((1, len(SYMBOLS)), dtype=np.int64)
    amounts[0, [0, 1]] = 2, 1
    frames = make_frames(amounts, np.array([-2.0]), np.zeros(1, dtype=np.int64))

    with pytest.warns(UndeterminedReferencesWarning, match="Li-O: the likeliest"):
        fit = fit_shift(frames, np.zeros(1))

    assert fit.undetermined == [["Li", "O"]]
    shift = (2 * fit.energies["Li"] + fit.energies["O"]) / 3
    assert shift == pytest.approx(-2, abs=0.1)


def test_five_thousand_frames_of_ninety_elements_take_seconds_at_most() -> None:
    rng = np.random.default_rng(11)
    symbols = [Element.from_Z(number).symbol for number in range(1, 91)]
    fractions = np.zeros((5000, 90))
    for row in fractions:
        row[rng.choice(90, 3, replace=False)] = rng.dirichlet(np.ones(3))
    energies = fractions @ rng.normal(-5, 3, 90) + rng.normal(0, 0.1, 5000)
    materials = (np.arange(5000) // 2).astype(str)

    started = process_time()
    infer_energies(
        average_frames(fractions[np.arange(5000) // 2 * 2], energies, materials),
        list_covariances(symbols),
    )

    assert process_time() - started < 3  # 0.7 s alone; the limit is for busy machines
