"""Relaxations that are stopped between steps and resumed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from tests.potentials.lennard_jones import LennardJonesPotential

from nextrung.potentials.registry import load_potential
from nextrung.potentials.relaxation import restart
from nextrung.potentials.relaxation.batched import relax_batched
from nextrung.potentials.relaxation.engines import relax
from nextrung.potentials.relaxation.restart import RestartPoint, Restarts
from nextrung.schemas.relaxation import (
    CellDegrees,
    RelaxationEngine,
    RelaxationRecord,
    RelaxationSettings,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.potentials.graphs.crystals import Crystals
    from nextrung.potentials.interface import BatchPrediction, Relaxable


class StoppingPotential:
    """A potential that raises what a signal raises, after some predictions."""

    def __init__(self, potential: Relaxable, n_predictions: int) -> None:
        self.device = potential.device
        self.properties = potential.properties
        self.limits = potential.limits
        self.prior_errors = potential.prior_errors
        self.estimate_costs = potential.estimate_costs
        self.calculator = potential.calculator
        self._potential = potential
        self._n_left = n_predictions

    def predict_batch(
        self, crystals: Crystals, properties: str = "efs"
    ) -> BatchPrediction:
        """Predict, until none is left."""
        self._n_left -= 1
        if self._n_left < 0:
            raise SystemExit(143)
        return self._potential.predict_batch(crystals, properties)


def perturbed(n_atoms: int, seed: int) -> Structure:
    """A loose random crystal of copper."""
    rng = np.random.default_rng(seed)
    fracs = np.linspace(0, 1, n_atoms, endpoint=False)[:, None] + rng.normal(
        scale=0.05, size=(n_atoms, 3)
    )
    cell = 2.2 * n_atoms ** (1 / 3) * (np.eye(3) + rng.normal(scale=0.05, size=(3, 3)))
    return Structure(Lattice(cell), ["Cu"] * n_atoms, fracs)


@pytest.fixture
def structures() -> list[Structure]:
    return [perturbed(n_atoms, seed) for seed, n_atoms in enumerate((2, 1, 4, 3, 2, 5))]


class Attempts:
    """Relaxations that are stopped and resumed as those of a job are."""

    def __init__(
        self, structures: list[Structure], settings: RelaxationSettings
    ) -> None:
        self.structures = structures
        self.settings = settings
        self.records: dict[int, RelaxationRecord] = {}
        self.points: dict[int, RestartPoint] = {}

    def attempt(self, potential: Relaxable) -> None:
        """Relax what is not finished, from the restart points."""
        waiting = [i for i in range(len(self.structures)) if i not in self.records]
        points = {k: self.points[i] for k, i in enumerate(waiting) if i in self.points}

        def save(new: Mapping[int, RestartPoint]) -> None:
            self.points |= {waiting[k]: point for k, point in new.items()}

        relax(
            potential,
            [self.structures[i] for i in waiting],
            self.settings,
            on_record=lambda k, record: self.records.update({waiting[k]: record}),
            restarts=Restarts(points, save),
        )

    def attempt_all(self, n_predictions: int) -> int:
        """Attempt until all are finished; return the number of attempts."""
        for n_attempts in range(1, 1000):
            try:
                self.attempt(StoppingPotential(LennardJonesPotential(), n_predictions))
            except SystemExit:
                continue
            return n_attempts
        raise AssertionError("no progress")


def assert_same(one: RelaxationRecord, other: RelaxationRecord) -> None:
    """Two records agree bit for bit."""
    assert one.model_copy(update={"structure": None}) == other.model_copy(
        update={"structure": None}
    )
    assert one.structure is not None
    assert other.structure is not None
    assert np.array_equal(one.structure.lattice.matrix, other.structure.lattice.matrix)
    assert np.array_equal(one.structure.frac_coords, other.structure.frac_coords)


@pytest.mark.parametrize("fix_symmetry", [False, True])
@pytest.mark.parametrize("cell", CellDegrees)
@pytest.mark.parametrize("n_predictions", [2, 7])
def test_relaxations_that_are_stopped_again_and_again_equal_undisturbed_ones(
    structures: list[Structure],
    cell: CellDegrees,
    n_predictions: int,
    *,
    fix_symmetry: bool,
) -> None:
    """Bit for bit, though no attempt is as long as one relaxation."""
    settings = RelaxationSettings(
        cell=cell, fix_symmetry=fix_symmetry, max_steps=25, fmax=0.01
    )
    attempts = Attempts(structures, settings)

    assert attempts.attempt_all(n_predictions) > 25 / n_predictions

    expected = relax(LennardJonesPotential(), structures, settings)
    for index, record in enumerate(expected):
        assert_same(attempts.records[index], record)


def test_a_stopped_relaxation_of_the_ase_engine_is_resumed(
    structures: list[Structure], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its coordinates are rebuilt from a logarithm: the last bits differ."""
    monkeypatch.setattr(restart, "RESTART_INTERVAL", 0.0)
    settings = RelaxationSettings(
        engine=RelaxationEngine.ASE, max_steps=40, fmax=0.02, fix_symmetry=True
    )
    attempts = Attempts(structures, settings)
    expected = relax(LennardJonesPotential(), structures, settings)
    n_steps = 0

    def stop(points: Mapping[int, RestartPoint]) -> None:
        nonlocal n_steps
        attempts.points |= points
        n_steps += 1
        if n_steps % 9 == 0:
            raise KeyboardInterrupt

    for index, structure in enumerate(structures):
        while index not in attempts.records:
            points = {0: attempts.points[0]} if 0 in attempts.points else {}
            try:
                (attempts.records[index],) = relax(
                    LennardJonesPotential(),
                    [structure],
                    settings,
                    restarts=Restarts(points, stop),
                )
            except KeyboardInterrupt:
                continue
        attempts.points.clear()

    assert n_steps > 9
    for index, record in enumerate(expected):
        resumed = attempts.records[index]
        assert (resumed.status, resumed.n_steps) == (record.status, record.n_steps)
        assert resumed.energy == pytest.approx(record.energy, abs=1e-9)
        assert resumed.initial_energy == record.initial_energy


def test_a_failure_after_a_restart_keeps_the_last_valid_structure(
    structures: list[Structure],
) -> None:
    """Of the coordinates before the step that failed."""

    class Failing(LennardJonesPotential):
        def __init__(self, n_valid: int) -> None:
            super().__init__()
            self._n_left = n_valid

        def predict_batch(
            self, crystals: Crystals, properties: str = "efs"
        ) -> BatchPrediction:
            prediction = super().predict_batch(crystals, properties)
            self._n_left -= 1
            if self._n_left < 0:
                prediction.energies[:] = np.nan
            return prediction

    settings = RelaxationSettings(max_steps=25, fmax=1e-6)
    (expected,) = relax(Failing(5), structures[2:3], settings)
    attempts = Attempts(structures[2:3], settings)
    with pytest.raises(SystemExit):
        attempts.attempt(StoppingPotential(LennardJonesPotential(), 5))
    attempts.attempt(Failing(0))

    assert expected.failed
    assert_same(attempts.records[0], expected)


def test_an_exception_of_the_caller_saves_restart_points_before_it_leaves(
    structures: list[Structure],
) -> None:
    saved: list[int] = []

    def fail(_index: int, _record: RelaxationRecord) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        relax(
            LennardJonesPotential(),
            structures,
            RelaxationSettings(max_steps=20),
            on_record=fail,
            restarts=Restarts({}, saved.extend),
        )

    assert saved


def test_restart_points_are_saved_once_in_an_interval(
    structures: list[Structure], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end there is none left to save."""
    now = 0.0

    class Slow(LennardJonesPotential):
        def predict_batch(
            self, crystals: Crystals, properties: str = "efs"
        ) -> BatchPrediction:
            nonlocal now
            now += 7.0
            return super().predict_batch(crystals, properties)

    monkeypatch.setattr(time, "monotonic", lambda: now)
    saved: list[float] = []
    settings = RelaxationSettings(max_steps=30, fmax=1e-9)

    list(
        relax_batched(
            Slow(),
            enumerate(structures),
            settings,
            restarts=Restarts({}, lambda _points: saved.append(now)),
        )
    )

    assert saved == [63.0, 126.0, 189.0]


def test_more_structures_than_a_batch_holds_are_resumed_in_the_same_batches(
    structures: list[Structure],
) -> None:
    """So that CHGNet's sums have the same bits."""
    settings = RelaxationSettings(max_steps=12, fmax=0.02)
    crystals = [
        structure.copy().scale_lattice(12.0 * len(structure))
        for structure in structures * 2
    ]
    potential = load_potential("chgnet-0.3.0", "cpu")
    expected = dict(
        relax_batched(potential, enumerate(crystals), settings, max_batch_cost=3000)
    )
    found: dict[int, RelaxationRecord] = {}
    points: dict[int, RestartPoint] = {}
    for _ in range(200):
        waiting = [i for i in range(len(crystals)) if i not in found]
        if not waiting:
            break
        run = relax_batched(
            StoppingPotential(potential, 4),
            [(i, crystals[i]) for i in waiting],
            settings,
            max_batch_cost=3000,
            restarts=Restarts(dict(points), points.update),
        )
        try:
            found.update(run)
        except SystemExit:
            continue

    for index, record in expected.items():
        assert_same(found[index], record)
