"""Settings and record of GPAW calculations that label structures."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from pydantic import Field, field_validator

from nextrung.schemas.base import Record

#: Name of the jobs that label structures by GPAW; jobs are routed to workers by name.
JOB_NAME: Final = "GPAW label"

#: GPAW's or libxc's name of each functional that has a common name.
FUNCTIONALS: Final[dict[str, str]] = {
    "LDA": "LDA",
    "PBE": "PBE",
    "revPBE": "revPBE",
    "RPBE": "RPBE",
    "TPSS": "MGGA_X_TPSS+MGGA_C_TPSS",
    "revTPSS": "MGGA_X_REVTPSS+MGGA_C_REVTPSS",
    "SCAN": "MGGA_X_SCAN+MGGA_C_SCAN",
    "rSCAN": "MGGA_X_RSCAN+MGGA_C_RSCAN",
    "r2SCAN": "MGGA_X_R2SCAN+MGGA_C_R2SCAN",
}

#: libxc's names of functionals that GPAW knows by another name.
LIBXC_NAMES: Final[dict[str, str]] = {
    "LDA_X+LDA_C_PW": "LDA",
    "GGA_X_PBE+GGA_C_PBE": "PBE",
    "GGA_X_PBE_R+GGA_C_PBE": "revPBE",
    "GGA_X_RPBE+GGA_C_PBE": "RPBE",
}

#: Semilocal functional of libxc: exchange, correlation or both.
LIBXC_NAME: Final = re.compile(
    r"(LDA|GGA|MGGA)_(X|C|XC|K)_\w+(\+(LDA|GGA|MGGA)_C_\w+)?"
)

#: Magnetic moment in μ_B at which atoms start, as in the sets of the Materials Project.
DEFAULT_MAGMOM: Final = 0.6


class Smearing(StrEnum):
    """Occupations of GPAW, by its names."""

    FERMI_DIRAC = "fermi-dirac"
    MARZARI_VANDERBILT = "marzari-vanderbilt"
    METHFESSEL_PAXTON = "methfessel-paxton"


class Spin(StrEnum):
    """Whether both spins have the same density."""

    PAIRED = "paired"
    POLARIZED = "polarized"


class GpawRelaxation(Record):
    """Relaxation of atoms and cell by GPAW, with the symmetry kept."""

    fmax: float = Field(
        0.02, gt=0, description="Maximum force of a converged relaxation in eV/Å."
    )
    max_steps: int = Field(50, ge=1, description="Maximum number of ionic steps.")


class GpawSettings(Record):
    """How structures are labelled with GPAW, in plane waves."""

    functional: str = Field(
        "PBE",
        description="Functional by its common name, such as PBE or r2SCAN, or "
        "semilocal functional by the name of libxc, such as MGGA_X_SCAN+MGGA_C_SCAN.",
    )
    plane_wave_cutoff: float = Field(500.0, gt=0, description="Cutoff in eV.")
    k_point_density: float = Field(
        4.0,
        gt=0,
        description="k-points per 1/Å along each reciprocal lattice vector, 2π "
        "included; the mesh contains Γ. Its inverse is VASP's KSPACING.",
    )
    smearing: Smearing = Field(
        Smearing.FERMI_DIRAC, description="Distribution of the occupations."
    )
    smearing_width: float = Field(0.05, gt=0, description="Width in eV.")
    spin: Spin = Field(Spin.PAIRED, description="Spin of the electrons.")
    initial_magmoms: dict[str, float] = Field(
        default_factory=dict,
        description="Magnetic moments in μ_B by element at which spin-polarized "
        "calculations start; those of a structure that has moments go first, and other "
        f"elements start at {DEFAULT_MAGMOM}.",
    )
    energy_tolerance: float = Field(
        1e-5,
        gt=0,
        description="Maximum change of the energy in the last three steps of a "
        "converged self-consistency cycle in eV per valence electron.",
    )
    density_tolerance: float = Field(
        1e-5,
        gt=0,
        description="Maximum change of the density, integrated, in electrons per "
        "valence electron.",
    )
    max_scf_steps: int = Field(
        150, ge=1, description="Maximum steps of a self-consistency cycle."
    )
    relaxation: GpawRelaxation | None = Field(
        None, description="Relaxation of the structure; null for a single point."
    )

    @field_validator("functional")
    @classmethod
    def _use_common_name(cls, name: str) -> str:
        """Use the common name of a functional where it has one."""
        common = find_common_name(name)
        if common not in FUNCTIONALS and LIBXC_NAME.fullmatch(common) is None:
            raise ValueError(
                f"expected one of {', '.join(FUNCTIONALS)}, or a semilocal functional "
                "of libxc such as MGGA_X_SCAN+MGGA_C_SCAN"
            )
        return common


class PawDataSet(Record):
    """PAW data set of an element."""

    name: str = Field(description="Name of the file of GPAW, such as Mg.PBE.")
    md5: str = Field(description="MD5 hash of the uncompressed file, as GPAW logs it.")


class GpawCalculation(Record):
    """How a structure was calculated with GPAW."""

    settings: GpawSettings = Field(description="Settings of the calculation.")
    kernel: str = Field(description="GPAW's or libxc's name of the functional.")
    version: str = Field(description="Version of GPAW.")
    libxc_version: str = Field(description="Version of libxc.")
    data_sets: dict[str, PawDataSet] = Field(
        description="PAW data set of each element."
    )
    k_points: tuple[int, int, int] = Field(description="Divisions of the k-point mesh.")
    n_irreducible_k_points: int = Field(
        ge=1, description="k-points that symmetry does not map on each other."
    )
    n_scf_steps: list[int] = Field(
        description="Steps of the self-consistency cycle of each ionic step; all "
        "cycles converged."
    )
    n_cores: int = Field(ge=1, description="MPI processes.")


def find_common_name(name: str) -> str:
    """Find the common name of a functional.

    Parameters
    ----------
    name : str
        Common name in any case, or the name of GPAW or libxc.

    Returns
    -------
    str
        Common name such as ``r2SCAN``; the name itself where it has none.
    """
    common = {known.lower(): known for known in FUNCTIONALS}
    common |= {kernel.lower(): known for known, kernel in FUNCTIONALS.items()}
    common |= {kernel.lower(): known for kernel, known in LIBXC_NAMES.items()}
    joined = "+".join(sorted(name.replace(" ", "").split("+"), key=_put_exchange_first))
    return common.get(joined.lower(), joined)


def _put_exchange_first(part: str) -> bool:
    """Order the parts of a libxc name: exchange, then correlation."""
    return "_C_" in part.upper()


def name_kernel(functional: str) -> str:
    """Name a functional as GPAW or libxc do.

    Parameters
    ----------
    functional : str
        Common name such as ``r2SCAN``, or the name of libxc.
    """
    return FUNCTIONALS.get(functional, functional)
