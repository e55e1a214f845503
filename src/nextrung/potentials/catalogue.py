"""Names of potentials, and the packages that each family needs.

Nothing of a family is imported here.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Family:
    """A family of potentials.

    Parameters
    ----------
    name : str
        Name of the family.
    extra : str or None
        Extra of this package that brings what the family needs; None for a family that
        is always there.
    module : str
        Module that is imported where a potential of the family is loaded.
    packages : tuple of str
        Packages whose versions determine its results.
    pattern : str or None
        How potentials that are no named model are named.
    is_trainable : bool
        Whether its potentials can be fine-tuned.
    has_atom_refs : bool
        Whether its potentials have explicit references, which can be refitted.
    """

    name: str
    extra: str | None
    module: str
    packages: tuple[str, ...]
    pattern: str | None = None
    is_trainable: bool = True
    has_atom_refs: bool = True

    @property
    def abilities(self) -> str:
        """What can be done with its potentials, in words."""
        words = ["predict", "relax"]
        words += ["refit"] * self.has_atom_refs + ["fine-tune"] * self.is_trainable
        return ", ".join(words)

    @property
    def is_installed(self) -> bool:
        """Whether its module can be imported."""
        return find_spec(self.module) is not None


@dataclass(frozen=True)
class NamedModel:
    """A model that is loaded by its name alone.

    Parameters
    ----------
    name : str
        Name of the model.
    family : Family
        Its family.
    functional : str
        Functional of its energies.
    """

    name: str
    family: Family
    functional: str


CHGNET = Family("chgnet", None, "chgnet", ("chgnet",))
SEVENNET = Family("sevennet", "sevennet", "sevenn", ("sevenn", "e3nn"))
MACE = Family("mace", "mace", "mace", ("mace-torch", "e3nn"), "mace:FILE")
MATGL = Family(
    "matgl",
    "matgl",
    "matgl",
    ("matgl", "torch-geometric"),
    "matgl:FOLDER",
    is_trainable=False,
)
TORCHSIM = Family(
    "torchsim",
    "torchsim",
    "torch_sim",
    ("torch-sim-atomistic",),
    "torchsim:module:factory",
    is_trainable=False,
    has_atom_refs=False,
)
ASE = Family(
    "ase",
    None,
    "ase",
    ("ase",),
    "ase:module:factory",
    is_trainable=False,
    has_atom_refs=False,
)
FAMILIES = (CHGNET, SEVENNET, MACE, MATGL, TORCHSIM, ASE)

MODELS = (
    NamedModel("chgnet-0.3.0", CHGNET, "GGA/GGA+U (MP2020-corrected)"),
    NamedModel("chgnet-r2scan", CHGNET, "r2SCAN"),
    NamedModel("sevennet-0", SEVENNET, "GGA/GGA+U"),
    NamedModel("sevennet-l3i5", SEVENNET, "GGA/GGA+U"),
    NamedModel("sevennet-mf-0/PBE", SEVENNET, "GGA/GGA+U"),
    NamedModel("sevennet-mf-0/R2SCAN", SEVENNET, "r2SCAN"),
)

#: Packages of all families, the first ones first.
PACKAGES = tuple(dict.fromkeys(p for family in FAMILIES for p in family.packages))


class _PlainLoader(NamedTuple):
    """Code that loads weights without this package, and the suffix of such files."""

    suffix: str
    imported: str
    call: str


#: How the package of a family loads its files; ``modal`` is one of several fidelities,
#: ``head`` one of several heads.
_PLAIN_LOADERS: Mapping[str, _PlainLoader] = {
    CHGNET.name: _PlainLoader(
        ".pth.tar",
        "from chgnet.model import CHGNet",
        'model = CHGNet.from_file("{checkpoint}")',
    ),
    SEVENNET.name: _PlainLoader(
        ".pth",
        "from sevenn.calculator import SevenNetCalculator",
        'calculator = SevenNetCalculator("{checkpoint}"{modal})  # ASE',
    ),
    MACE.name: _PlainLoader(
        ".model",
        "from mace.calculators import MACECalculator",
        'calculator = MACECalculator("{checkpoint}"{head}, device="cpu")  # ASE',
    ),
}


def format_plain_code(family: str, checkpoint: str, source: str) -> str | None:
    """Format the code that loads weights without this package.

    Parameters
    ----------
    family : str
        Name of the family.
    checkpoint : str
        File of the weights.
    source : str
        Name of the potential that they were trained from.

    Returns
    -------
    str or None
        Lines of Python; None where only this package loads the file.
    """
    loader = _PLAIN_LOADERS.get(family)
    if loader is None or not checkpoint.endswith(loader.suffix):
        return None
    fidelity = source.partition("/")[2] if find_model(source) else ""
    modal = f', modal="{fidelity}"' if fidelity else ""
    is_headed = source.startswith(f"{MACE.name}:") and "#" in source
    head = f', head="{source.rpartition("#")[2]}"' if is_headed else ""
    call = loader.call.format(checkpoint=checkpoint, modal=modal, head=head)
    return f"{loader.imported}\n\n{call}"


def find_model(name: str) -> NamedModel | None:
    """Find a model by its name.

    Parameters
    ----------
    name : str
        Name of a potential.

    Returns
    -------
    NamedModel or None
        The model; None for a name of another kind.
    """
    return next((model for model in MODELS if model.name == name), None)


def list_used_packages() -> list[str]:
    """List the packages of the families that this process has loaded a potential of.

    Returns
    -------
    list of str
        Names of distributions; nothing is imported to find them.
    """
    used = [family for family in FAMILIES if family.module in sys.modules]
    return list(dict.fromkeys(p for family in used for p in family.packages))


def list_installed_versions() -> dict[str, str]:
    """List the installed packages of all families with their versions.

    Returns
    -------
    dict of str to str
        Version by name of a distribution.
    """
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def describe_choices() -> str:
    """Describe what potentials there are, and which extras bring the others.

    Returns
    -------
    str
        Names and patterns, for an error message.
    """
    there = [family for family in FAMILIES if family.is_installed]
    names = [model.name for model in MODELS if model.family in there]
    names += [family.pattern for family in there if family.pattern]
    text = f"{', '.join(names)} or a checkpoint file"
    extras = [f.extra for f in FAMILIES if f.extra and not f.is_installed]
    if extras:
        text += f"; more with pip install 'nextrung[{extras[0]}]'"
        text += "".join(f" or [{extra}]" for extra in extras[1:])
    return text
