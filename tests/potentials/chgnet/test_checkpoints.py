from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from chgnet.model import CHGNet
from pymatgen.core import Element

from nextrung.potentials.chgnet.checkpoints import (
    SHIPPED,
    Checkpoint,
    _find_covered_elements,
    build_model,
    find_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def arguments() -> dict[str, Any]:
    """A network small enough to build often."""
    return {"atom_fea_dim": 8, "bond_fea_dim": 8, "angle_fea_dim": 8}


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_models_are_found_by_name(name: str) -> None:
    assert find_checkpoint(name) == SHIPPED[name]


def test_a_name_that_is_neither_model_nor_file_is_rejected() -> None:
    with pytest.raises(InputError, match=r"expected chgnet-0.3.0, .* got 'chgnet-9'"):
        find_checkpoint("chgnet-9")


def test_elements_that_were_in_no_training_frame_are_not_covered() -> None:
    """MPtrj has 89 elements (Deng et al., Nat. Mach. Intell. 5, 1031, 2023).

    The other five of the first 94 have a reference in the file, yet their embeddings
    are those of its random start: the fine-tuned model has the same to the last bit.
    """
    first, tuned = (read_checkpoint(path) for path in SHIPPED.values())
    rows = [c.model.atom_embedding.embedding.weight for c in (first, tuned)]
    unmoved = {
        Element.from_Z(row + 1).symbol
        for row in range(94)
        if torch.equal(rows[0][row], rows[1][row])
    }

    assert unmoved == {"Po", "At", "Rn", "Fr", "Ra", "Yb"}
    assert len(first.elements) == 89
    assert first.elements - tuned.elements == {"Yb"}
    assert first.elements.isdisjoint({"Po", "At", "Rn", "Fr", "Ra"})


def test_a_new_network_covers_every_element_with_a_reference(tmp_path: Path) -> None:
    """Where all embeddings are random, none stands out."""
    model = build_model({"composition_model": "MPtrj"}, seed=1)
    content = {"state_dict": model.state_dict(), "model_args": model.model_args}
    torch.save({"model": content}, tmp_path / "new.pth.tar")

    assert len(read_checkpoint(tmp_path / "new.pth.tar").elements) == 94


@pytest.mark.parametrize("name", SHIPPED)
def test_the_version_of_a_shipped_model_is_that_of_chgnet_and_is_kept(
    name: str, tmp_path: Path
) -> None:
    shipped = read_checkpoint(find_checkpoint(name))
    write_checkpoint(shipped, tmp_path / "copy.pth.tar")

    loaded = CHGNet.load(model_name=name.removeprefix("chgnet-"), verbose=False)
    copied = CHGNet.from_file(str(tmp_path / "copy.pth.tar"))
    assert shipped.model.version == loaded.version
    assert copied.version == loaded.version


def test_models_are_read_frozen_and_in_evaluation_mode() -> None:
    model = read_checkpoint(SHIPPED["chgnet-r2scan"]).model
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_building_a_model_keeps_the_seed_of_torch(
    arguments: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    build_model(arguments)
    assert torch.rand(3).equal(expected)
    assert capsys.readouterr().out == ""


def test_the_seed_decides_the_weights(arguments: dict[str, Any]) -> None:
    first, same, other = (build_model(arguments, seed) for seed in (3, 3, 4))
    weights = [model.site_wise.weight for model in (first, same, other)]
    assert weights[0].equal(weights[1])
    assert not weights[0].equal(weights[2])


def test_what_is_written_is_read_back(
    arguments: dict[str, Any], tmp_path: Path
) -> None:
    model = build_model(arguments)
    path = tmp_path / "folder" / "model.pth"
    metadata = {"seed": 3, "nested": {"list": [1.5, "text", None]}}
    write_checkpoint(Checkpoint(model, frozenset({"Fe", "O"}), metadata), path)
    read = read_checkpoint(path)
    assert read.elements == {"Fe", "O"}
    assert read.metadata["nested"] == metadata["nested"]
    for name, value in model.state_dict().items():
        assert read.model.state_dict()[name].equal(value)
    assert list(path.parent.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_file(
    arguments: dict[str, Any], tmp_path: Path
) -> None:
    path = tmp_path / "model.pth"
    path.write_bytes(b"old")
    model = build_model(arguments)
    unwritable = Checkpoint(model, frozenset(), {"code": lambda: None})
    with pytest.raises(Exception, match="pickle"):
        write_checkpoint(unwritable, path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_plain_chgnet_reads_the_file(
    arguments: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = build_model(arguments)
    write_checkpoint(Checkpoint(model, frozenset({"Fe"}), {}), tmp_path / "model.pth")
    plain = CHGNet.from_file(str(tmp_path / "model.pth"))
    assert "initialized" in capsys.readouterr().out
    for name, value in model.state_dict().items():
        assert plain.state_dict()[name].equal(value)


@pytest.mark.parametrize("name", ["MPtrj", "MP-r2SCAN"])
def test_named_atomic_references_keep_their_name(
    name: str, arguments: dict[str, Any], tmp_path: Path
) -> None:
    model = build_model(arguments)
    model.composition_model.initialize_from(name)
    write_checkpoint(Checkpoint(model, frozenset(), {}), tmp_path / "model.pth")
    saved = read_checkpoint(tmp_path / "model.pth").model.model_args
    assert saved["composition_model"] == name
    assert saved["atom_refs"] == name
    assert saved["is_intensive"] is True


def test_other_atomic_references_are_named_fitted(
    arguments: dict[str, Any], tmp_path: Path
) -> None:
    model = build_model(arguments)
    model.composition_model.fc.weight += 0.1
    write_checkpoint(Checkpoint(model, frozenset(), {}), tmp_path / "model.pth")
    read = read_checkpoint(tmp_path / "model.pth").model
    assert read.model_args["atom_refs"] == "fitted"
    assert _find_covered_elements(read) == _find_covered_elements(model)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ([1, 2], "got list"),
        ({"weights": 1}, "'model'"),
        ({"model": {"model_args": {}, "state_dict": {}}}, "Missing key"),
        ({"model": {"model_args": {"n_conv": "x"}, "state_dict": {}}}, "str"),
        ({"model": np.array([object()])}, "plain values"),
    ],
)
def test_files_without_a_chgnet_are_rejected(
    content: object, reason: str, tmp_path: Path
) -> None:
    torch.save(content, tmp_path / "model.pth")
    with pytest.raises(InputError, match=f"model.pth: expected a check.*{reason}") as e:
        read_checkpoint(tmp_path / "model.pth")
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("content", [b"", b"no checkpoint at all", b"PK\x03\x04broken"])
def test_files_that_are_no_checkpoints_are_rejected(
    content: bytes, tmp_path: Path
) -> None:
    (tmp_path / "model.pth").write_bytes(content)
    with pytest.raises(InputError, match="expected a checkpoint of CHGNet") as e:
        read_checkpoint(tmp_path / "model.pth")
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("changes", "feature"),
    [
        ({"atom_graph_cutoff": 5.0}, "cutoffs of"),
        ({"mlp_first": False}, "mlp_first=False"),
        ({"update_bond": False}, "update_bond=False"),
        ({"update_angle": False}, "update_angle=False"),
        ({"conv_dropout": 0.1}, "dropout"),
        ({"conv_norm": "layer"}, "conv_norm"),
        ({"mlp_out_bias": True}, "mlp_out_bias"),
        ({"composition_model": None}, "no AtomRef"),
        ({"composition_model": "MPF"}, "AtomRef of another kind"),
    ],
)
def test_unsupported_architectures_are_rejected_by_name(
    changes: dict[str, Any], feature: str, arguments: dict[str, Any], tmp_path: Path
) -> None:
    model = build_model({**arguments, **changes})
    torch.save({"model": model.as_dict()}, tmp_path / "model.pth")
    with pytest.raises(InputError, match=f"a CHGNet with {feature}.* not supported"):
        read_checkpoint(tmp_path / "model.pth")
