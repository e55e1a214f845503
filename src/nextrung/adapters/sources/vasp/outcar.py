"""Reader of OUTCAR that keeps every label of every ionic step."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Element

from nextrung.adapters.files.untrusted.compressed import open_text
from nextrung.adapters.sources.vasp.functional import name_functional
from nextrung.adapters.sources.vasp.identity import name_element
from nextrung.adapters.sources.vasp.run import IonicStep, VaspRun
from nextrung.adapters.sources.vasp.states import find_states
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

#: Tags such as ``ENCUT = 520``.
TAG = re.compile(r"\b(Zab_VDW|[A-Z][A-Z0-9_]+)\s*=\s*([^\s;]+)")
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
    with open_text(path) as file:
        reader = _Reader(iter(file))
        reader.read()
    if reader.energy is not None:
        raise InputError(f"ionic step {len(reader.steps) + 1} has no positions")
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
        self.symbols: dict[str, list[str]] = {"TITEL": [], "VRHFIN": []}
        self.valences: list[float] = []
        self.titles: list[str] = []
        self.hashes: dict[str, str] = {}
        self.sha256 = ""
        self.version = ""
        self.k_points: list[int] = []
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
            "free  en": self._read_free_energy,
            "energy  ": self._read_energy_without_smearing,
            "General ": self._finish,
        }

    def _begin_step(self) -> None:
        """Clear the labels of the previous step."""
        self.n_electronic_steps = 0
        self.collinear = True
        self.stress: NDArray[np.float64] | None = None
        self.magmoms: NDArray[np.float64] | None = None
        self.sites: NDArray[np.float64] | None = None
        self.energy: float | None = None
        self.energy_without_smearing = np.nan

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
            elif "generate k-points for:" in line:
                self.k_points = [int(count) for count in line.split(":")[1].split()]
            elif not self.version and line.lstrip().startswith("vasp."):
                self.version = line.split()[0].removeprefix("vasp.")
        for line in self.lines:
            if action := self.actions.get(line.lstrip()[:8]):
                action(line)

    def to_run(self) -> VaspRun:
        """Build the run."""
        hubbard_us: dict[str, float] = {}
        for symbol, u in zip(self.species, self.hubbard_us, strict=False):
            hubbard_us[symbol] = max(u, hubbard_us.get(symbol, 0.0))
        electrons = np.nan
        if len(self.valences) == len(self.counts):
            electrons = float(np.dot(self.valences, self.counts))
        return VaspRun(
            atomic_numbers=self.atomic_numbers,
            functional=name_functional(self.tags, self.exchange),
            hubbard_us=hubbard_us,
            plane_wave_cutoff=float(self.tags["ENCUT"]),
            max_electronic_steps=int(self.tags["NELM"]),
            steps=self.steps,
            states=find_states(self.tags, electrons),
            version=self.version,
            potentials=dict(zip(self.symbols["TITEL"], self.titles, strict=True)),
            hashes=self.hashes,
            k_points=self.k_points,
            tags=self.tags,
        )

    @property
    def species(self) -> list[str]:
        """Element of each pseudopotential, from its title or its configuration."""
        return self.symbols["TITEL"] or self.symbols["VRHFIN"]

    @property
    def atomic_numbers(self) -> list[int]:
        """Atomic number of every site."""
        return [
            Element(symbol).Z
            for symbol, count in zip(self.species, self.counts, strict=True)
            for _ in range(count)
        ]

    def _read_header(self, line: str) -> None:
        """Store the tags of a line; VASP's later summary wins over the INCAR."""
        key, _, text = (part.strip() for part in line.partition("="))
        if key == "TITEL":
            self.titles.append(text)
            self.symbols[key].append(name_element(text))
            if self.sha256:
                self.hashes[self.symbols[key][-1]] = f"sha256:{self.sha256}"
                self.sha256 = ""
        elif key == "VRHFIN":
            self.symbols[key].append(re.split(r"[^A-Za-z]", text)[0])
        elif key == "SHA256":
            self.sha256 = text.split()[0]
        elif key == "LEXCH" and text.isalpha():
            self.exchange = text
        elif line.rstrip().endswith("mass and valenz"):
            self.valences.append(float(text.split()[-4]))
        elif key == "ions per type":
            self.counts = [int(count) for count in self._read_wrapped(text)]
        elif key.startswith("U (eV)"):
            self.hubbard_us = [float(value) for value in self._read_wrapped(text)]
        elif NO_FUNCTIONAL not in line:
            self.tags.update(
                (name, value)
                for name, value in TAG.findall(line)
                if name != "METAGGA" or not self._cuts_off(value)
            )

    def _cuts_off(self, functional: str) -> bool:
        """Tell whether VASP's summary has the first letters of the INCAR's METAGGA."""
        given = self.tags.get("METAGGA", "").upper()
        return given != functional and given.startswith(functional)

    def _read_wrapped(self, text: str) -> list[str]:
        """Read one value per pseudopotential; ten of them fill a line."""
        values = text.split()
        while values and len(values) < len(self.species):
            more = next(self.lines, "").split()
            if not more:
                break
            values += more
        return values

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

    def _read_sites(self, line: str) -> None:
        """Read positions and forces, except those of a machine-learned model."""
        if "(ML)" in line:
            return
        self.sites = self._read_rows(sum(self.counts), 1)
        if self.energy is not None:  # VASP 5.2 writes the energy first
            self._finish_step(self.energy, self.sites)

    def _read_free_energy(self, line: str) -> None:
        """Read the energy, the last label of a step since VASP 5.3."""
        if "ML TOTEN" in line:
            if not self.n_electronic_steps:
                self._begin_step()
            return
        if self.energy is not None:
            raise InputError(f"ionic step {len(self.steps) + 1} has no positions")
        self.energy = float(line.split("=")[1].split(maxsplit=1)[0])
        if self.sites is not None:
            self._finish_step(self.energy, self.sites)

    def _read_energy_without_smearing(self, line: str) -> None:
        """Read the energy extrapolated to zero smearing, after the free energy."""
        text = line.rpartition("energy(sigma->0) =")[2]
        if text == line or "ML energy" in line:
            return
        if self.energy is not None:
            self.energy_without_smearing = float(text)
        elif self.steps:
            energy = float(text)
            self.steps[-1] = replace(self.steps[-1], energy_without_smearing=energy)

    def _finish_step(self, energy: float, sites: NDArray[np.float64]) -> None:
        """Store a step, once it has an energy and positions."""
        step = IonicStep(
            lattice=self.lattice,
            frac_coords=np.linalg.solve(self.lattice.T, sites[:, :3].T).T,
            energy=energy,
            forces=sites[:, 3:6],
            stress=self.stress,
            magmoms=self.magmoms if self.collinear else None,
            n_electronic_steps=self.n_electronic_steps,
            energy_without_smearing=self.energy_without_smearing,
        )
        self.steps.append(step)
        self._begin_step()

    def _finish(self, line: str) -> None:
        """Record that VASP finished."""
        self.complete = self.complete or line.strip().startswith("General timing")
