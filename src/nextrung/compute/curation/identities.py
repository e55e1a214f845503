"""How runs were calculated: values of every field, and mixtures of them."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations
from typing import TYPE_CHECKING, Final

import numpy as np

from nextrung.schemas.labels.identity import IdentityValue, Mixture

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.schemas.labels.identity import LabelIdentity
    from nextrung.schemas.labels.trajectory import Trajectory

#: Value of a Hubbard U that is not there.
NO_U: Final = "0 eV"
#: Digits of versions that change numbers: those before the build.
VERSION_DIGITS: Final = 3
#: First digits of the hash of a pseudopotential that are shown.
HASH_DIGITS: Final = 12
#: Width in 1/Å of the ranges of k-point spacings that are counted together.
SPACING_WIDTH: Final = 0.1
#: Field that differs between crystals whatever the settings, and is no mixture.
K_SPACING: Final = "k_spacing"


def list_identity(identity: LabelIdentity) -> dict[str, str]:
    """List how a run was calculated, one text per field.

    Parameters
    ----------
    identity : LabelIdentity
        Identity of its labels.

    Returns
    -------
    dict of str to str
        Values by field; potentials and Hubbard U have a field per element.
    """
    version = ".".join(identity.version.split(".")[:VERSION_DIGITS])
    fields = {
        "code": identity.code,
        "version": version,
        "functional": identity.functional,
        "energy": identity.energy,
        "plane_wave_cutoff": f"{identity.plane_wave_cutoff or np.nan:g} eV",
        K_SPACING: _name_range(identity.k_spacing),
        "smearing": identity.smearing,
        "projection": identity.projection,
    }
    fields |= {f"potential {key}": name for key, name in identity.potentials.items()}
    for element, text in identity.potential_hashes.items():
        kind, _, digits = text.partition(":")
        fields[f"{kind} {element}"] = digits[:HASH_DIGITS]
    us = {key: identity.hubbard_us.get(key, 0.0) for key in identity.potentials}
    return fields | {f"hubbard_u {key}": f"{u:g} eV" for key, u in us.items()}


def _name_range(spacing: float | None) -> str:
    """Name the range of a k-point spacing."""
    if spacing is None:
        return "unknown"
    low = SPACING_WIDTH * int(spacing / SPACING_WIDTH)
    return f"{low:.1f} to {low + SPACING_WIDTH:.1f} 1/Å"


class IdentityCounter:
    """Counts runs by every value of every field of their identity, run by run."""

    def __init__(self) -> None:
        self._examples: dict[tuple[str, str], str] = {}
        self._n_runs: dict[tuple[str, str], int] = defaultdict(int)
        self._lowest: dict[str, dict[str, dict[str, float]]] = defaultdict(
            lambda: defaultdict(dict)
        )

    def add(self, run: Trajectory) -> None:
        """Add a run; one whose source says nothing of its calculation is left out.

        Parameters
        ----------
        run : Trajectory
            Frames of one run.
        """
        if run.identity is None:
            return
        name = str(run.frames.frame_ids[0]).rpartition("#")[0]
        (composition,) = run.frames[-1:].compositions()
        formula, energy = composition.reduced_formula, run.relaxed_energy
        for field, value in list_identity(run.identity).items():
            self._examples.setdefault((field, value), name)
            self._n_runs[field, value] += 1
            if np.isfinite(energy):
                lowest = self._lowest[field][formula]
                lowest[value] = min(energy, lowest.get(value, np.inf))

    def tabulate(self) -> list[IdentityValue]:
        """Count the runs by every value of every field.

        Returns
        -------
        list of IdentityValue
            Values by field, in each field the most frequent first; elements to which no
            run adds a Hubbard U are left out.
        """
        counted = [
            IdentityValue(
                field=field,
                value=value,
                n_runs=count,
                example=self._examples[field, value],
            )
            for (field, value), count in self._n_runs.items()
        ]
        with_u = {each.field for each in counted if each.value != NO_U}
        shown = [each for each in counted if each.value != NO_U or each.field in with_u]
        return sorted(shown, key=lambda each: (each.field, -each.n_runs, each.value))

    def find_mixtures(self) -> list[Mixture]:
        """Find the fields in which runs differ, and by how much their energies do.

        Returns
        -------
        list of Mixture
            One per field of more than one value but the k-point spacing, the largest
            energy difference first.
        """
        by_field: dict[str, list[IdentityValue]] = defaultdict(list)
        for value in self.tabulate():
            by_field[value.field].append(value)
        mixtures = []
        for field, values in by_field.items():
            if len(values) > 1 and field != K_SPACING:
                difference, composition = _find_largest(self._lowest[field])
                mixtures.append(
                    Mixture(
                        field=field,
                        values=values,
                        energy_difference=difference,
                        composition=composition,
                    )
                )
        return sorted(mixtures, key=lambda mixture: -(mixture.energy_difference or 0.0))


def _find_largest(
    lowest: Mapping[str, Mapping[str, float]],
) -> tuple[float | None, str | None]:
    """Find the largest energy difference between two values at one composition."""
    differences = [
        (abs(first - second), composition)
        for composition, energies in lowest.items()
        for first, second in combinations(energies.values(), 2)
    ]
    return max(differences, default=(None, None))
