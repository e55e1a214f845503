"""Electronic state of a VASP run: whether its energy is that of the ground state."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from nextrung.schemas.labels.trajectory import ElectronicState

if TYPE_CHECKING:
    from collections.abc import Mapping

#: ``ICHARG`` from which on the charge density is not updated.
FIXED_DENSITY: Final = 10
#: Electrons by which a cell may differ from neutrality through rounding.
_NEUTRAL: Final = 1e-3


def find_states(
    tags: Mapping[str, Any], n_valence_electrons: float = math.nan
) -> frozenset[ElectronicState]:
    """Find out why the energy of a run is not that of the ground state.

    Parameters
    ----------
    tags : mapping of str to object
        Tags of the run, as texts or as values.
    n_valence_electrons : float
        Valence electrons of the neutral cell; NaN where they are not known.

    Returns
    -------
    frozenset of ElectronicState
        What differs from a self-consistent calculation of a neutral cell without
        spin-orbit coupling, constraints and fields; empty where nothing does.
    """
    n_electrons = _read_number(tags.get("NELECT", math.nan))
    found = {
        ElectronicState.FIXED_DENSITY: _read_number(tags.get("ICHARG", 0))
        >= FIXED_DENSITY,
        ElectronicState.CHARGED: abs(n_electrons - n_valence_electrons) > _NEUTRAL,
        ElectronicState.SPIN_ORBIT: _is_true(tags.get("LSORBIT")),
        ElectronicState.CONSTRAINED_MOMENTS: _read_number(
            tags.get("I_CONSTRAINED_M", 0)
        )
        > 0,
        ElectronicState.ELECTRIC_FIELD: _read_number(tags.get("EFIELD", 0)) != 0,
    }
    return frozenset(state for state, holds in found.items() if holds)


def _read_number(value: object) -> float:
    """Read a number; 0 where a tag is empty or a text."""
    try:
        return float(str(value))
    except ValueError:
        return 0.0


def _is_true(value: object) -> bool:
    """Read a switch as VASP does: by its first letter."""
    return str(value).strip(" .").upper().startswith("T")
