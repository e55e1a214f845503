"""Checks that GPAW can calculate here, before the first calculation."""

from __future__ import annotations

import os
import re
import warnings
from typing import TYPE_CHECKING, Final

from nextrung.schemas.base import InputError
from nextrung.schemas.gpaw import FUNCTIONALS, GpawSettings, name_kernel
from nextrung.settings import MachineSettings

if TYPE_CHECKING:
    from collections.abc import Collection

#: Names of libxc of functionals that are an exchange, a correlation or both.
_LIBXC: Final = re.compile(r"(LDA|GGA|MGGA)_(X|C|XC|K)_\w+(\+(LDA|GGA|MGGA)_C_\w+)?")


def validate_gpaw(settings: GpawSettings, elements: Collection[str]) -> None:
    """Validate that GPAW can calculate structures with these settings here.

    Parameters
    ----------
    settings : GpawSettings
        Settings of the calculations.
    elements : collection of str
        Symbols of the elements of the structures.

    Raises
    ------
    InputError
        If GPAW or one of its libraries is missing, MPI is asked of a GPAW without it,
        the functional is unknown, or an element has no PAW data set.
    """
    try:
        import gpaw  # noqa: PLC0415 - an extra
        from gpaw.mpi import have_mpi  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise InputError(
            "expected GPAW (pip install 'nextrung[gpaw]'; it needs libxc, a BLAS and a "
            f"C compiler), got: {error}"
        ) from error
    command = os.path.expandvars(MachineSettings().gpaw_command)
    if command and not have_mpi:
        raise InputError(
            "expected a GPAW that is compiled with MPI for $NEXTRUNG_GPAW_COMMAND "
            f"({command}), got one without"
        )
    if not gpaw.get_libraries()["libxc"]:
        raise InputError("expected a GPAW that is compiled with libxc, got one without")
    suffix = _find_suffix(settings.functional)
    for element in sorted(elements):
        _find_data_set(f"{element}.{suffix}")


def _find_suffix(functional: str) -> str:
    """Find the functional of the PAW data sets of a functional."""
    from gpaw.xc import XC  # noqa: PLC0415 - an extra

    kernel = name_kernel(functional)
    if functional not in FUNCTIONALS and _LIBXC.fullmatch(kernel) is None:
        raise InputError(
            f"functional: expected one of {', '.join(FUNCTIONALS)}, or a semilocal "
            f"functional of libxc such as MGGA_X_SCAN+MGGA_C_SCAN, got {functional!r}"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # how libxc should be compiled
            suffix: str = XC(kernel).get_setup_name()
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"functional: expected one that libxc can calculate, got {functional!r}: "
            f"{reason}"
        ) from error
    return suffix


def _find_data_set(name: str) -> None:
    """Find the file of a PAW data set."""
    from gpaw.setup_data import search_for_file  # noqa: PLC0415 - an extra

    try:
        search_for_file(name)
    except (RuntimeError, OSError) as error:
        raise InputError(
            f"expected the PAW data set {name} of GPAW (pip install gpaw-data, or "
            "$GPAW_SETUP_PATH), got none"
        ) from error
