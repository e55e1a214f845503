from __future__ import annotations

import os
import sys
import warnings
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from nextrung.potentials.chgnet.checkpoints import SHIPPED
from nextrung.potentials.mace.checkpoints import (
    REFERENCES,
    is_mace_file,
    read_mace_file,
    write_mace_file,
)
from nextrung.potentials.mace.package import import_mace
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def save(content: object, path: Path) -> Path:
    """Write a file as mace does."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(content, path)
    return path


def assert_same_weights(model: torch.nn.Module, other: torch.nn.Module) -> None:
    """Assert that two models have the same tensors, names and types."""
    first, second = model.state_dict(), other.state_dict()
    assert list(first) == list(second) or set(first) == set(second)
    for name, value in first.items():
        torch.testing.assert_close(second[name].to(value.dtype), value, atol=0, rtol=0)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param({}, id="residual"),
        pytest.param({"heads": ("pbe", "r2scan")}, id="two heads"),
        pytest.param({"dtype": torch.float64}, id="float64"),
        pytest.param(
            {
                "interaction": "RealAgnosticDensityResidualInteractionBlock",
                "pair_repulsion": True,
                "distance_transform": "Agnesi",
            },
            id="density, ZBL and Agnesi, as mace-mpa-0",
        ),
    ],
)
def test_a_model_is_read_with_the_weights_of_its_file(
    build: Callable[..., torch.nn.Module], tmp_path: Path, arguments: dict[str, Any]
) -> None:
    model = build(**arguments)

    file = read_mace_file(save(model, tmp_path / "a.model"))

    assert_same_weights(model, file.module)
    assert not any(weight.requires_grad for weight in file.module.parameters())
    assert not file.module.training
    assert file.metadata == {}


def test_a_written_file_has_the_model_as_mace_saves_it(
    model_file: Path,
    tmp_path: Path,
    unsafe_load: None,  # noqa: ARG001
) -> None:
    """The references are a buffer again, in float64."""
    file = read_mace_file(model_file)

    write_mace_file(file.module, tmp_path / "new" / "b.model", {"functional": "r2SCAN"})

    loaded = torch.load(tmp_path / "new" / "b.model")
    assert type(loaded) is import_mace("mace.modules").ScaleShiftMACE
    assert REFERENCES in dict(loaded.named_buffers())
    assert loaded.get_buffer(REFERENCES).dtype == torch.float64
    assert_same_weights(torch.load(model_file), loaded)
    again = read_mace_file(tmp_path / "new" / "b.model")
    assert again.metadata == {"functional": "r2SCAN"}
    assert REFERENCES in dict(file.module.named_parameters())  # is not changed


class _Hostile:
    """An object whose pickle makes a folder when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_a_hostile_file_runs_no_code(
    build: Callable[..., torch.nn.Module], tmp_path: Path
) -> None:
    model: Any = build()
    model.extra = _Hostile(tmp_path / "hacked")
    path = save(model, tmp_path / "hostile.model")

    with pytest.raises(InputError, match=r"hostile.model: .*\.mkdir is not allowed"):
        read_mace_file(path)

    assert not (tmp_path / "hacked").exists()


def test_compiled_code_of_a_file_is_not_run(
    build: Callable[..., torch.nn.Module],
    tmp_path: Path,
    unsafe_load: None,  # noqa: ARG001
) -> None:
    """A module of torch.fx is pickled as the source text of its ``forward``."""
    model: Any = build()
    contraction = model.products[0].symmetric_contractions.contractions[0]
    path = save(model, tmp_path / "a.model")
    source = contraction.graph_opt_main.code.encode()
    marker = f"\nopen({str(tmp_path / 'hacked')!r}, 'w')\n".encode()
    hostile = tmp_path / "hostile.model"
    _replace_in_pickle(path, hostile, source, marker)

    assert_same_weights(model, read_mace_file(hostile).module)

    assert not (tmp_path / "hacked").exists()
    torch.load(hostile)  # as mace does
    assert (tmp_path / "hacked").exists()


def _replace_in_pickle(path: Path, to: Path, old: bytes, appended: bytes) -> None:
    """Append to a text in the pickle of a file, and correct its length."""
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(to, "w") as written:
        for name in archive.namelist():
            content = archive.read(name)
            if name.endswith("data.pkl"):
                lengths = [
                    len(text).to_bytes(4, "little") for text in (old, old + appended)
                ]
                assert lengths[0] + old in content
                content = content.replace(lengths[0] + old, lengths[1] + old + appended)
            written.writestr(name, content)


def test_files_of_other_kinds_are_told_from_those_of_mace(
    model_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "text").write_text("a")

    assert is_mace_file(model_file)
    assert not is_mace_file(SHIPPED["chgnet-0.3.0"])
    assert not is_mace_file(tmp_path / "text")
    assert not is_mace_file(tmp_path / "missing")


def test_a_file_of_another_family_is_named_in_one_line(tmp_path: Path) -> None:
    script = torch.jit.script(torch.nn.Linear(1, 1))
    torch.jit.save(script, tmp_path / "compiled.model")
    save(torch.nn.Linear(1, 1), tmp_path / "linear.model")
    save(np.float64(1), tmp_path / "number.model")
    for path, found in [
        (SHIPPED["chgnet-0.3.0"], r"\w+"),
        (tmp_path / "compiled.model", "ScriptModule"),
        (tmp_path / "linear.model", "Linear"),
        (tmp_path / "number.model", "scalar"),
        (tmp_path, "no file"),
    ]:
        with pytest.raises(InputError, match=f"{path}: expected .* got {found}$"):
            read_mace_file(path)


def test_a_model_of_another_shape_than_its_weights_is_rejected(
    build: Callable[..., torch.nn.Module], tmp_path: Path
) -> None:
    model: Any = build()
    model.readouts[0].linear.weight = torch.nn.Parameter(torch.zeros(3))

    with pytest.raises(InputError, match=r"a.model: expected a model of mace: .*size"):
        read_mace_file(save(model, tmp_path / "a.model"))


def test_a_model_without_some_of_its_weights_is_rejected(
    build: Callable[..., torch.nn.Module], tmp_path: Path
) -> None:
    model: Any = build()
    del model.readouts[0].linear.weight

    with pytest.raises(InputError, match=r"a.model: .* readouts.0.linear.weight"):
        read_mace_file(save(model, tmp_path / "a.model"))


def test_a_model_of_charges_is_rejected(
    build: Callable[..., torch.nn.Module], tmp_path: Path
) -> None:
    spec = {"type": "continuous", "in_dim": 1, "per": "graph"}
    model = build(embedding_specs={"total_charge": {**spec, "emb_dim": 4}})

    with pytest.raises(InputError, match="embeddings of charges or spins"):
        read_mace_file(save(model, tmp_path / "a.model"))


def test_a_truncated_file_is_rejected(model_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "short.model"
    path.write_bytes(model_file.read_bytes()[:5000])

    with pytest.raises(InputError, match=r"short.model: expected"):
        read_mace_file(path)


def test_without_mace_the_extra_is_named(
    model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mace.tools.scripts_utils", None)

    with pytest.raises(InputError, match=r"pip install 'nextrung\[mace\]'"):
        read_mace_file(model_file)


@pytest.mark.usefixtures("mace")
def test_importing_mace_leaves_reading_pickles_safe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """mace sets an environment variable that switches the protection off."""
    for name in [name for name in sys.modules if name == "mace"]:
        monkeypatch.delitem(sys.modules, name)

    import_mace("mace")

    assert "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD" not in os.environ


@pytest.mark.usefixtures("mace")
def test_a_pickle_that_lies_about_its_class_is_rejected(tmp_path: Path) -> None:
    """Its first class is the model's, its content is a list."""
    path = tmp_path / "liar.model"
    with zipfile.ZipFile(path, "w") as archive:
        pickled = b"cmace.modules.models\nScaleShiftMACE\n0]."
        archive.writestr("liar/data.pkl", pickled)
        archive.writestr("liar/version", b"3\n")

    with pytest.raises(InputError, match=r"liar.model: expected"):
        read_mace_file(path)
