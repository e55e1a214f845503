"""Relaxation engine ``torchsim``: batches that torch-sim's FIRE moves.

torch-sim says neither which system converged nor how many steps it took, and release
0.3 counts steps over the whole queue. Here every system of a batch is in it from the
first step on, torch-sim asks after each step who may leave, and whoever is asked keeps
the books: so steps are counted, and limited, per structure, in every release.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from ase.data import atomic_masses
from pymatgen.core import Lattice, Structure

from nextrung.potentials.graphs.crystals import Crystals
from nextrung.potentials.relaxation.autobatcher import Queue
from nextrung.potentials.relaxation.batched import FLIGHT_COSTS
from nextrung.potentials.relaxation.checks import (
    BAD_NUMBERS,
    describe_cells,
    record_end,
    record_failure,
)
from nextrung.potentials.relaxation.frechet_cell import multiply_rows
from nextrung.schemas.base import InputError
from nextrung.schemas.relaxation import CellDegrees

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch_sim.state import SimState

    from nextrung.potentials.chgnet.torchsim import TorchSimModel
    from nextrung.potentials.relaxation.engines import Relaxable
    from nextrung.potentials.relaxation.in_flight_batch import Passenger
    from nextrung.schemas.relaxation import RelaxationRecord, RelaxationSettings

#: What torch-sim's cell filter must not change, by what may.
_CONSTRAINTS: Final = {
    CellDegrees.FULL: {},
    CellDegrees.FIXED_VOLUME: {"constant_volume": True},
    CellDegrees.FIXED: {"constant_volume": True, "hydrostatic_strain": True},
}
#: Energies in eV and forces in eV/Å beyond this are as good as infinite.
_ABSURD: Final = 1e30
#: What torch-sim, or a potential in it, raises where numbers go wrong.
_FAILURES: Final = (ArithmeticError, AssertionError, RuntimeError, ValueError)

#: Lattice vectors as rows, shape (3, 3), and positions, shape (n_atoms, 3), in Å.
_Place = tuple["NDArray[np.float64]", "NDArray[np.float64]"]


def relax_with_torchsim(
    potential: Relaxable,
    waiting: Iterable[tuple[int, Structure]],
    settings: RelaxationSettings,
) -> Iterator[tuple[int, RelaxationRecord]]:
    """Relax structures batch by batch.

    Parameters
    ----------
    potential : Relaxable
        What predicts energies, forces and stresses.
    waiting : iterable of (int, Structure)
        Numbered structures, drawn as there is room.
    settings : RelaxationSettings
        How to relax.

    Yields
    ------
    tuple of (int, RelaxationRecord)
        Number and end of each structure, batch by batch, as they end.

    Raises
    ------
    InputError
        If torch-sim is not installed, or a symmetry is to be kept.
    """
    from nextrung.potentials.chgnet.torchsim import TorchSimModel  # noqa: PLC0415

    if settings.fix_symmetry:
        raise InputError(
            "engine torchsim: expected fix_symmetry false, met true; "
            "the engines batched and ase can keep symmetries"
        )
    model = TorchSimModel(potential)
    queue = Queue(waiting, settings)
    while queue:
        batch = queue.board(FLIGHT_COSTS[potential.device.type]).passengers
        yield from queue.pop_refused()
        yield from _relax_batch(model, batch, settings)


def _relax_batch(
    model: TorchSimModel, batch: Sequence[Passenger], settings: RelaxationSettings
) -> Iterator[tuple[int, RelaxationRecord]]:
    """Relax a batch; if torch-sim breaks off, each that is left starts again alone."""
    if not batch:
        return
    logbook = _Logbook(model, batch, settings)
    retried: Sequence[Passenger] = []
    try:
        _run(model, logbook, settings)
    except _FAILURES as error:
        if len(batch) > 1:
            retried = logbook.passengers
        elif logbook.passengers:
            logbook.fail(batch[0], str(error))
    yield from logbook.ends
    for passenger in retried:
        yield from _relax_batch(model, [passenger], settings)


def _run(model: TorchSimModel, logbook: _Logbook, settings: RelaxationSettings) -> None:
    """Let torch-sim step until the logbook has the end of every structure."""
    import torch_sim  # noqa: PLC0415

    constraints = _CONSTRAINTS[settings.cell]
    optimizer: Any
    if hasattr(torch_sim, "frechet_cell_fire"):  # torch-sim 0.3
        optimizer = partial(torch_sim.frechet_cell_fire, **constraints)
        start, _ = optimizer(model=model)
    else:
        frechet = torch_sim.CellFilter.frechet
        optimizer = torch_sim.Optimizer.fire
        start = partial(
            torch_sim.fire_init, model=model, cell_filter=frechet, **constraints
        )
    state = start(_make_state(model, logbook.passengers))
    staying = ~logbook(state)
    if staying.any():
        torch_sim.optimize(
            state[torch.nonzero(staying)[:, 0].tolist()],
            model,
            optimizer=optimizer,
            convergence_fn=logbook,
            max_steps=settings.max_steps + 1,  # the logbook's limit comes first
            steps_between_swaps=1,
        )


def _make_state(model: TorchSimModel, passengers: Sequence[Passenger]) -> SimState:
    """Lay structures out for torch-sim, which takes volumes as they are signed."""
    from torch_sim.state import SimState  # noqa: PLC0415

    crystals = Crystals.of([passenger.structure for passenger in passengers])
    lattices = crystals.lattices * _find_hands(crystals.lattices)[:, None, None]
    values = {
        "positions": crystals.cart_coords,
        "masses": atomic_masses[crystals.atomic_numbers],
        "cell": lattices.transpose(0, 2, 1),
    }
    tensors = {
        name: torch.as_tensor(array.copy(), dtype=model.dtype, device=model.device)
        for name, array in values.items()
    }
    return SimState(
        **tensors,
        pbc=True,
        atomic_numbers=torch.as_tensor(crystals.atomic_numbers, device=model.device),
        system_idx=torch.as_tensor(crystals.crystal_of_site, device=model.device),
    )


def _find_hands(lattices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Tell right-handed lattices, 1, from left-handed ones, -1."""
    hands: NDArray[np.float64] = np.sign(np.linalg.det(lattices))
    return hands


class _Logbook:
    """Who is still on the way, and how the others ended."""

    def __init__(
        self,
        model: TorchSimModel,
        passengers: Sequence[Passenger],
        settings: RelaxationSettings,
    ) -> None:
        self.passengers = list(passengers)
        self.ends: list[tuple[int, RelaxationRecord]] = []
        self._model = model
        self._settings = settings
        self._n_steps = -1
        self._initial_energies: dict[int, float] = {}
        self._last: dict[int, _Place] = {}

    def __call__(self, state: SimState, _: torch.Tensor | None = None) -> torch.Tensor:
        """Note a step, and say who may leave, shape (n_systems,)."""
        self._n_steps += 1
        passengers, places = self.passengers, _Places(self.passengers, state)
        leaving = [
            self._end(passenger, places, which)
            for which, passenger in enumerate(passengers)
        ]
        self.passengers = [
            passenger
            for passenger, left in zip(passengers, leaving, strict=True)
            if not left
        ]
        return torch.as_tensor(leaving, device=self._model.device)

    def fail(self, passenger: Passenger, reason: str) -> None:
        """Give a structure up, with where it last was well."""
        last = self._last.get(passenger.index)
        record = record_failure(
            reason,
            None if last is None else _build_structure(passenger, last),
            n_steps=max(self._n_steps, 0),
            initial_energy=self._initial_energies.get(passenger.index),
        )
        self.ends.append((passenger.index, record))

    def _end(self, passenger: Passenger, places: _Places, which: int) -> bool:
        """Record the end of a structure, if this is it."""
        reason = places.faults[which] or self._model.errors.get(which)
        energy, fmax = float(places.energies[which]), float(places.fmaxes[which])
        if reason is None and np.isnan(fmax):
            reason = BAD_NUMBERS
        if reason is not None:
            self.fail(passenger, reason)
            return True
        self._last[passenger.index] = places.locate(which)
        initial_energy = self._initial_energies.setdefault(passenger.index, energy)
        converged = fmax < self._settings.fmax
        if not converged and self._n_steps < self._settings.max_steps:
            return False
        record = record_end(
            _build_structure(passenger, places.locate(which)),
            (initial_energy, energy),
            n_steps=self._n_steps,
            fmax=fmax,
            converged=converged,
        )
        self.ends.append((passenger.index, record))
        return True


class _Places:
    """Where structures are, and what pulls at them; NaN where numbers went wrong."""

    def __init__(self, passengers: Sequence[Passenger], state: SimState) -> None:
        self._n_atoms = np.array([len(p.structure) for p in passengers])
        self._offsets = np.concatenate([[0], np.cumsum(self._n_atoms)])
        self._positions, cells, self.energies, forces, on_cells = (
            tensor.numpy(force=True).astype(np.float64)
            for tensor in (
                state.positions,
                state.cell,
                state.energy,
                state.forces,
                state.cell_forces,
            )
        )
        starts = np.array([p.structure.lattice.matrix for p in passengers])
        hands = _find_hands(starts)[:, None, None]
        self._lattices = cells.transpose(0, 2, 1) * hands
        deformations = np.linalg.solve(starts, self._lattices).transpose(0, 2, 1)
        self.faults = describe_cells(self._lattices, self._n_atoms, deformations)
        rows = multiply_rows(forces, deformations, self._n_atoms)
        self.fmaxes = self._find_fmaxes(rows, on_cells)

    def locate(self, which: int) -> _Place:
        """Find the lattice vectors and the positions of one structure."""
        sites = slice(self._offsets[which], self._offsets[which + 1])
        return self._lattices[which], self._positions[sites]

    def _find_fmaxes(
        self, on_atoms: NDArray[np.float64], on_cells: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Find the largest rows of the generalised forces; NaN if not sane."""
        lengths = np.linalg.norm(on_atoms, axis=1)
        fmaxes = np.maximum(
            np.maximum.reduceat(lengths, self._offsets[:-1]),
            np.linalg.norm(on_cells, axis=2).max(axis=1),
        )
        sane = (fmaxes < _ABSURD) & (np.abs(self.energies) < _ABSURD)
        return np.where(sane, fmaxes, np.nan)


def _build_structure(passenger: Passenger, place: _Place) -> Structure:
    """Put the atoms of a structure where they are now."""
    lattice, positions = place
    return Structure(
        Lattice(lattice),
        passenger.structure.species,
        positions,
        coords_are_cartesian=True,
    )
