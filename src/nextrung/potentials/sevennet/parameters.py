"""Parameters of a SevenNet: references, statistics, readout and body."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sevenn.nn.sequential import AtomGraphSequential
    from torch import Tensor, nn

#: Layer and parameter of the statistics of energies, which hold the references.
_RESCALE = "rescale_atomic_energy"
_REFERENCES = f"{_RESCALE}.shift"
#: Layers of the readout, of both kinds that sevenn has.
_READOUT = ("reduce_input_to_hidden", "reduce_hidden_to_energy", "readout_FCN")


def group_parameters(module: AtomGraphSequential) -> dict[str, list[nn.Parameter]]:
    """List all parameters by their part, see :class:`.TrainableBackend`.

    Parameters
    ----------
    module : AtomGraphSequential
        The model.
    """
    parameters = dict(module.named_parameters())
    last = f"{_find_last_block(parameters)}_"
    groups: dict[str, list[nn.Parameter]] = {
        "references": [],
        "readout": [],
        "last_block": [],
        "body": [],
    }
    for name, weight in parameters.items():
        part = "last_block" if name.startswith(last) else "body"
        if name.startswith((*_READOUT, _RESCALE)):
            part = "references" if name == _REFERENCES else "readout"
        groups[part].append(weight)
    return groups


def find_references(module: AtomGraphSequential, row: int | None) -> Tensor:
    """Find the references of a fidelity in eV/atom, a view of the parameter.

    Parameters
    ----------
    module : AtomGraphSequential
        The model.
    row : int or None
        Index of the fidelity of a multi-fidelity model.
    """
    table: Tensor = module.get_parameter(_REFERENCES).detach()
    return table if table.dim() == 1 else table[row]


def is_statistic(name: str) -> bool:
    """Return whether a parameter is a statistic of the data, or the references.

    Parameters
    ----------
    name : str
        Name of the parameter.
    """
    return name.startswith(_RESCALE) or name.endswith(".denominator")


def list_tracked(parameters: Mapping[str, nn.Parameter]) -> dict[str, str]:
    """List the layers whose gradients are recorded, those that a model has.

    Parameters
    ----------
    parameters : mapping of str to Parameter
        Parameters by name.

    Returns
    -------
    dict of str to str
        Name of a parameter by that of its layer.
    """
    last = _find_last_block(parameters)
    layers = {"AtomEmb": "onehot_to_feature_x.linear.weight"}
    for index in (0, last):
        layers[f"Conv{index}_Radial0"] = f"{index}_convolution.weight_nn.layer0.weight"
        layers[f"Conv{index}_Linear"] = f"{index}_self_interaction_2.linear.weight"
    readout = "reduce_input_to_hidden.linear.weight"
    if readout not in parameters:
        readout = "readout_FCN.fcn.layer0.weight"
    return {**layers, "Readout0": readout}


def _find_last_block(parameters: Mapping[str, nn.Parameter]) -> int:
    """Find the number of the last interaction, with which its layers begin."""
    return max(int(name.split("_")[0]) for name in parameters if name[0].isdigit())
