"""Reader of OUTCAR that keeps every label of every ionic step."""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from monty.io import zopen
from pymatgen.core import Element

from nextrung.adapters.sources.vasp.run import IonicStep, VaspRun, name_functional
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

#: Tags such as ``ENCUT = 520``.
TAG = re.compile(r"\b([A-Z][A-Z_]+)\s*=\s*([^\s;]+)")
#: VASP's fixed-width columns may have no space: ``-1.25-10.75`` are two numbers.
NUMBER = re.compile(r"-?\d*\.\d+|NaN|\*+")

#: Description of a switch of VASP 6.1 that shares the name of the functional's tag.
NO_FUNCTIONAL = "non-selfconsistent MetaGGA"

#: Index of each element of a 3 × 3 matrix in ``in kB`` (XX YY ZZ XY YZ ZX).
STRESS_ORDER = ((0, 3, 5), (3, 1, 4), (5, 4, 2))


def read_outcar(path: Path) -> VaspRun:
    """Read every ionic step of a finished run.

    Parameters
    ----------
    path : Path
        OUTCAR, plain or compressed.

    Returns
    -------
    VaspRun
        The run, with magnetic moments of every step for collinear spins.

    Raises
    ------
    InputError
        If the run is incomplete or the file cannot be parsed.
    """
    with zopen(path, mode="rt", encoding="utf-8", errors="replace") as file:
        reader = _Reader(iter(file))
        reader.read()
    if not reader.steps:
        raise InputError("no ionic step was completed")
    if not reader.complete:
        raise InputError(
            f"the run stops after ionic step {len(reader.steps)}, without VASP's "
            "final timing section"
        )
    return reader.to_run()


class _Reader:
    """Parser state over the lines of an OUTCAR."""

    def __init__(self, lines: Iterator[str]) -> None:
        self.lines = lines
        self.tags: dict[str, str] = {}
        self.symbols: list[str] = []
        self.counts: list[int] = []
        self.exchange = "PE"
        self.hubbard_us: list[float] = []
        self.steps: list[IonicStep] = []
        self.complete = False
        self.lattice = np.full((3, 3), np.nan)
        self._begin_step()
        #: Action at a line, by its first eight characters after blanks.
        self.actions: dict[str, Callable[[str], None]] = {
            "--------": self._count_electronic_step,
            "magnetiz": self._read_magmoms,
            "in kB   ": self._read_stress,
            "direct l": self._read_lattice,
            "POSITION": self._read_sites,
            "free  en": self._finish_step,
            "General ": self._finish,
        }

    def _begin_step(self) -> None:
        """Clear the labels of the previous step."""
        self.n_electronic_steps = 0
        self.collinear = True
        self.stress: NDArray[np.float64] | None = None
        self.magmoms: NDArray[np.float64] | None = None
        self.sites: NDArray[np.float64] | None = None

    def read(self) -> None:
        """Read the header, then the steps."""
        for line in self.lines:
            if "Iteration" in line:
                self._count_electronic_step(line)
                break
            if "=" in line:
                self._read_header(line)
            elif "direct lattice vectors" in line:
                self._read_lattice(line)
        for line in self.lines:
            if action := self.actions.get(line.lstrip()[:8]):
                action(line)

    def to_run(self) -> VaspRun:
        """Build the run."""
        tags: dict[str, Any] = dict(self.tags)
        tags["LHFCALC"] = tags.get("LHFCALC", "F").strip(".").upper().startswith("T")
        for name in ("AEXX", "HFSCREEN", "IVDW"):
            if name in tags:
                tags[name] = float(tags[name])
        return VaspRun(
            atomic_numbers=self.atomic_numbers,
            functional=name_functional(tags, self.exchange),
            hubbard_us=dict(zip(self.symbols, self.hubbard_us, strict=False)),
            plane_wave_cutoff=float(self.tags["ENCUT"]),
            max_electronic_steps=int(self.tags["NELM"]),
            steps=self.steps,
        )

    @property
    def atomic_numbers(self) -> list[int]:
        """Atomic number of every site."""
        return [
            Element(symbol).Z
            for symbol, count in zip(self.symbols, self.counts, strict=True)
            for _ in range(count)
        ]

    def _read_header(self, line: str) -> None:
        """Store the tags of a line; VASP's later summary wins over the INCAR."""
        key, _, text = (part.strip() for part in line.partition("="))
        if key == "TITEL":
            self.symbols.append(re.split(r"[^A-Za-z]", text.split()[1])[0])
        elif key == "LEXCH" and text.isalpha():
            self.exchange = text
        elif key == "ions per type":
            self.counts = [int(count) for count in text.split()]
        elif key.startswith("U (eV)"):
            self.hubbard_us = [float(value) for value in text.split()]
        elif NO_FUNCTIONAL not in line:
            self.tags.update(TAG.findall(line))

    def _count_electronic_step(self, line: str) -> None:
        """Count a line such as ``--- Iteration 3( 7) ---``."""
        self.n_electronic_steps += "Iteration" in line

    def _read_rows(self, n_rows: int, n_skipped: int) -> NDArray[np.float64]:
        """Skip some rows and read the numbers of the next ones."""
        lines = list(islice(self.lines, n_skipped, n_skipped + n_rows))
        if len(lines) < n_rows:
            raise InputError(f"the file ends within ionic step {len(self.steps) + 1}")
        return np.array([NUMBER.findall(line) for line in lines], dtype=np.float64)

    def _read_lattice(self, line: str) -> None:  # noqa: ARG002
        """Read the lattice vectors, left of the reciprocal ones."""
        self.lattice = self._read_rows(3, 0)[:, :3]

    def _read_magmoms(self, line: str) -> None:
        """Read the total moments in the table of one spin direction."""
        if "(x)" in line:
            self.magmoms = self._read_rows(sum(self.counts), 3)[:, -1]
        else:
            self.collinear = False

    def _read_stress(self, line: str) -> None:
        """Read the six components of the stress."""
        components = np.array(NUMBER.findall(line), dtype=np.float64)
        self.stress = components[np.array(STRESS_ORDER)]

    def _read_sites(self, line: str) -> None:  # noqa: ARG002
        """Read positions and forces."""
        self.sites = self._read_rows(sum(self.counts), 1)

    def _finish_step(self, line: str) -> None:
        """Read the energy, the last label of a step."""
        if self.sites is None:
            raise InputError(f"ionic step {len(self.steps) + 1} has no positions")
        step = IonicStep(
            lattice=self.lattice,
            frac_coords=np.linalg.solve(self.lattice.T, self.sites[:, :3].T).T,
            energy=float(line.split("=")[1].split(maxsplit=1)[0]),
            forces=self.sites[:, 3:],
            stress=self.stress,
            magmoms=self.magmoms if self.collinear else None,
            n_electronic_steps=self.n_electronic_steps,
        )
        self.steps.append(step)
        self._begin_step()

    def _finish(self, line: str) -> None:
        """Record that VASP finished."""
        self.complete = self.complete or line.strip().startswith("General timing")
