from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from tests.potentials.sevennet.predictions import check_equal, predict, prepare

from nextrung.potentials.chgnet.checkpoints import SHIPPED as CHGNET_FILES
from nextrung.potentials.sevennet.files import (
    is_sevennet_file,
    read_content,
    split_name,
)
from nextrung.potentials.sevennet.loading import load_sevennet
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ase import Atoms
    from ase.calculators.calculator import Calculator

    from nextrung.potentials.interface import LoadedModel
    from nextrung.potentials.sevennet.backend import SevenNetBackend

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", ["sevennet-0", "sevennet-mf-0/R2SCAN"])
def test_sevenn_reproduces_a_saved_model_of_moved_references(
    name: str,
    load: Callable[[str], LoadedModel],
    calculate: Callable[[str], Calculator],
    crystals: Sequence[Atoms],
    tmp_path: Path,
) -> None:
    backend: Any = load(name).backend
    moved = backend.with_atom_refs({s: e - 4 for s, e in backend.atom_refs.items()})
    path = tmp_path / "moved.pth"
    covered = frozenset({"Mg", "O"})

    moved.save(path, covered, {"functional": "r2SCAN", "name": "moved"})

    fidelity = f"#{backend.fidelity}" if backend.fidelity else ""
    outputs = predict(moved, crystals)
    check_equal(outputs, crystals, calculate(f"{path}{fidelity}"))
    loaded: Any = load_sevennet(str(path), CPU)
    again = predict(loaded.backend, crystals)
    assert torch.equal(again.energies, outputs.energies)
    assert loaded.elements == covered
    assert loaded.metadata["functional"] == "r2SCAN"
    assert loaded.backend.fidelity == backend.fidelity
    assert moved.module.state_dict().keys() == backend.module.state_dict().keys()


def test_sevenn_reproduces_a_trained_model_and_its_fidelity_is_kept(
    backend: SevenNetBackend,
    calculate: Callable[[str], Calculator],
    crystals: Sequence[Atoms],
    tmp_path: Path,
) -> None:
    trained = backend.for_training()
    weights = [w for w in trained.module.parameters() if w.requires_grad]
    optimizer = torch.optim.Adam(weights, lr=1e-3)
    batch = trained.build(prepare(backend, crystals), CPU, torch.float32)  # type: ignore[arg-type]
    losses = []
    for _ in range(4):
        optimizer.zero_grad()
        outputs = trained.differentiate(batch, "efs")
        assert outputs.forces is not None
        loss = (outputs.energies / batch.n_atoms + 9).square().mean()
        loss = loss + outputs.forces.square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
    path = tmp_path / "trained.pth"

    trained.save(path, frozenset({"Mg", "O"}), {})

    assert losses[-1] < losses[0]
    loaded: Any = load_sevennet(f"sevennet:{path}", CPU)
    assert loaded.backend.fidelity == "R2SCAN"
    outputs = predict(loaded.backend, crystals)
    assert not torch.equal(outputs.energies, predict(backend, crystals).energies)
    check_equal(outputs, crystals, calculate(f"{path}#R2SCAN"))


def test_another_fidelity_of_a_file_has_its_own_elements_and_functional(
    backend: SevenNetBackend, tmp_path: Path
) -> None:
    path = tmp_path / "two.pth"
    backend.save(path, frozenset({"O"}), {"functional": "r2SCAN"})

    saved, other = (load_sevennet(f"{path}#{name}", CPU) for name in ("R2SCAN", "PBE"))

    assert saved.elements == {"O"}
    assert saved.metadata["functional"] == "r2SCAN"
    assert len(other.elements) == 89
    assert other.metadata["functional"] == "unknown functional"


@pytest.mark.usefixtures("sevenn")
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("sevennet-mf-0/SCAN", "one of the fidelities PBE, R2SCAN, got SCAN"),
        ("sevennet-mf-0", "one of the fidelities PBE, R2SCAN, got none"),
        ("sevennet-0/PBE", "expected no fidelity, got PBE"),
    ],
)
def test_a_wrong_fidelity_names_those_there_are(name: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        load_sevennet(name, CPU)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("sevenn")
def test_no_name_is_ever_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    import requests  # noqa: PLC0415

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a download was attempted")

    monkeypatch.setattr(requests, "get", refuse)
    monkeypatch.setattr(requests.Session, "request", refuse)

    for name in ("sevennet-omni", "7net-mf-ompa", "sevennet:missing.pth"):
        with pytest.raises(InputError, match=r"sevennet-0, .* or a checkpoint"):
            load_sevennet(name, CPU)
    assert load_sevennet("sevennet-0", CPU).metadata["functional"] == "GGA/GGA+U"


class _Attack:
    """An object whose unpickling makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.usefixtures("sevenn")
def test_a_checkpoint_never_runs_code(tmp_path: Path) -> None:
    path, trace = tmp_path / "attack.pth", tmp_path / "trace"
    content = read_content(split_name("sevennet-0")[0])
    content["config"]["loss"] = _Attack(trace)
    torch.save(content, path)

    assert not is_sevennet_file(path)
    with pytest.raises(InputError, match="other objects than tensors, arrays"):
        load_sevennet(str(path), CPU)
    assert not trace.exists()


@pytest.mark.usefixtures("sevenn")
def test_files_of_others_are_one_line(tmp_path: Path) -> None:
    text = tmp_path / "text.pth"
    text.write_text("no checkpoint")
    truncated = tmp_path / "truncated.pth"
    content = read_content(split_name("sevennet-0")[0])
    content["model_state_dict"].pop("edge_embedding.basis_function.coeffs", None)
    content["model_state_dict"].pop("EdgeEmbedding.basis_function.coeffs", None)
    torch.save(content, truncated)

    assert is_sevennet_file(split_name("sevennet-mf-0/PBE")[0])
    for path in (text, Path(CHGNET_FILES["chgnet-0.3.0"])):
        assert not is_sevennet_file(path)
    for path in (text, truncated, Path(CHGNET_FILES["chgnet-0.3.0"])):
        with pytest.raises(InputError, match="expected a checkpoint of Seven") as error:
            load_sevennet(str(path), CPU)
        assert "\n" not in str(error.value)


def test_a_missing_package_is_one_line_with_the_extra(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "sevenn", None)

    with pytest.raises(InputError, match=r"pip install 'nextrung\[sevennet\]'"):
        load_sevennet("sevennet-0", CPU)
