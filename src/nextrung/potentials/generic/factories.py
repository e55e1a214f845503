"""Factories ``KIND:module:factory``: functions of the user that make a potential.

Importing a module runs its code. A factory is called only where the user has named it:
on the command line, in a study file, in Python, or in ``NEXTRUNG_FACTORIES``. A file of
a potential that names a factory is no such place.
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nextrung.schemas.base import InputError, quote

#: Environment variable of the factories that files of potentials may name.
VARIABLE = "NEXTRUNG_FACTORIES"
#: Kinds of factories, by the package whose objects they make.
KINDS = ("ase", "torchsim")


@dataclass(frozen=True)
class Factory:
    """A callable without arguments, by its module.

    Parameters
    ----------
    kind : str
        ``ase`` or ``torchsim``.
    module : str
        Dotted name of the module.
    name : str
        Name of the callable in the module.
    """

    kind: str
    module: str
    name: str

    def __str__(self) -> str:
        """Return the name by which the factory is loaded."""
        return f"{self.kind}:{self.module}:{self.name}"

    def make(self) -> Any:  # noqa: ANN401
        """Import the module and call the factory.

        Returns
        -------
        object
            What the factory returns.

        Raises
        ------
        InputError
            If the module cannot be imported, has no such callable, or this raises.
        """
        try:
            factory = getattr(importlib.import_module(self.module), self.name)
        except Exception as error:  # code of the user raises anything
            raise self._error("a module that has it", error) from error
        if not callable(factory):
            got = f"a {type(factory).__name__}"
            raise InputError(
                f"{self}: expected a callable without arguments, got {got}"
            )
        try:
            return factory()
        except Exception as error:  # code of the user raises anything
            raise self._error("a callable without arguments", error) from error

    def find_source(self) -> Path:
        """Find the file of the module, by which a changed factory is noticed.

        Returns
        -------
        Path
            The file.

        Raises
        ------
        InputError
            If there is none.
        """
        try:
            spec = importlib.util.find_spec(self.module)
        except Exception as error:  # the package of the module is imported
            raise self._error("a module that has it", error) from error
        if spec is None or not spec.origin or not Path(spec.origin).is_file():
            raise InputError(f"{self}: expected a module with a file, got none")
        return Path(spec.origin)

    def _error(self, expected: str, error: Exception) -> InputError:
        """Build the error of an exception in the code of the user, in one line."""
        return InputError(f"{self}: expected {expected}, got {describe(error)}")


def parse_factory(name: str) -> Factory | None:
    """Parse the name of a factory.

    Parameters
    ----------
    name : str
        Name of a potential, such as ``ase:ase.calculators.emt:EMT``.

    Returns
    -------
    Factory or None
        The factory; None for a name of another kind.

    Raises
    ------
    InputError
        If the name begins with a kind, but has no module or no callable.
    """
    kind, colon, rest = name.partition(":")
    if not colon or kind not in KINDS:
        return None
    module, _, factory = rest.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), factory)):
        raise InputError(
            f"potential: expected {kind}:module:factory, such as "
            f"ase:ase.calculators.emt:EMT, got {quote(name)}"
        )
    return Factory(kind, module, factory)


def allow_factory(factory: Factory) -> None:
    """Allow files of potentials that this process and its children load to name it.

    Parameters
    ----------
    factory : Factory
        A factory that the user has named.
    """
    allowed = [*_list_allowed(), str(factory)]
    os.environ[VARIABLE] = ",".join(dict.fromkeys(allowed))


def validate_allowed(factory: Factory, path: Path) -> None:
    """Check that the user has named the factory that a file names.

    Parameters
    ----------
    factory : Factory
        The factory.
    path : Path
        File that names it.

    Raises
    ------
    InputError
        If the user has not.
    """
    if str(factory) not in _list_allowed():
        raise InputError(
            f"{path}: names {factory}, whose code would run: if you trust the file, "
            f"export {VARIABLE}={factory}"
        )


def describe(error: Exception) -> str:
    """Describe an exception in one line.

    Parameters
    ----------
    error : Exception
        Exception of code of the user.

    Returns
    -------
    str
        Its type and its text.
    """
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _list_allowed() -> list[str]:
    """List the allowed factories."""
    return [name for name in os.environ.get(VARIABLE, "").split(",") if name]
