from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure
from tests.potentials.networks import network_of

from nextrung.adapters.files.frames import write_frames
from nextrung.potentials.registry import load_potential
from nextrung.potentials.training import ddp_launcher
from nextrung.potentials.training.ddp_worker import _picklable
from nextrung.potentials.training.fine_tuning import FineTuningResult, fine_tune
from nextrung.schemas.base import InputError
from nextrung.schemas.fine_tuning import EpochRecord, FineTuningSettings, Precision
from nextrung.schemas.frames import Frames
from nextrung.schemas.models import RECIPES, Model, Recipe

if TYPE_CHECKING:
    from pathlib import Path

    from nextrung.potentials.potential import Potential


SETTINGS = FineTuningSettings(
    epochs=2, batch_size=3, gradient_points=2, precision=Precision.FLOAT64
)


@pytest.fixture(scope="module")
def potential() -> Potential:
    return load_potential("chgnet-0.3.0", "cpu")


@pytest.fixture(scope="module")
def frames() -> Frames:
    """Seven cells of LiF; the last batches have one frame, and labels are missing.

    Of two processes, the second has no frame in the last batch of training, and none
    in that of validation.
    """
    rng = np.random.default_rng(0)
    structures = []
    for seed in range(11):
        structure = Structure(
            Lattice.cubic(4.0).matrix * 0.5 @ (1 - np.eye(3)),
            ["Li", "F"],
            [[0, 0, 0], [0.5, 0.5, 0.5]],
        )
        structure.apply_strain(rng.normal(0, 0.02, 3))
        structures.append(structure.perturb(0.05, seed=seed))
    names = [f"frame-{index}" for index in range(len(structures))]
    unlabelled = Frames.from_structures(structures, names, functional="r2SCAN")
    labelled, _ = load_potential("chgnet-r2scan", "cpu").predict_frames(unlabelled)
    energies, stresses = labelled.energies.copy(), labelled.stresses.copy()
    energies[[0, 2, 3]] = np.nan
    stresses[1:5] = np.nan
    splits = np.array(["train"] * 7 + ["val"] * 4)
    return replace(labelled, energies=energies, stresses=stresses).with_splits(splits)


Tune = Any  # fine_tune with all but settings and on_epoch given


@pytest.fixture
def tune(potential: Potential, frames: Frames, tmp_path: Path) -> Tune:
    """Train in a folder, by as many processes as the machine is set to."""
    return partial(
        fine_tune,
        potential,
        frames,
        recipe=RECIPES[Model.FROZEN_ATOM_REFS],
        workdir=tmp_path / "work",
    )


@pytest.fixture(scope="module")
def single(
    potential: Potential, frames: Frames, tmp_path_factory: pytest.TempPathFactory
) -> FineTuningResult:
    """The training by one process."""
    folder = tmp_path_factory.mktemp("single")
    return fine_tune(
        potential,
        frames,
        SETTINGS,
        recipe=RECIPES[Model.FROZEN_ATOM_REFS],
        workdir=folder,
    )


@pytest.fixture
def ranks(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """The two processes of a training."""
    monkeypatch.setenv("NEXTRUNG_N_TRAINING_PROCESSES", "2")
    started: list[subprocess.Popen[bytes]] = []

    popen = subprocess.Popen

    def start(command: list[str], **options: Any) -> subprocess.Popen[bytes]:  # noqa: ANN401
        started.append(popen(command, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", start)
    return started


def assert_equal(one: FineTuningResult, other: FineTuningResult) -> None:
    """Two trainings agree to the rounding of float64."""
    for a, b in zip(one.history, other.history, strict=True):
        assert (a.epoch, a.learning_rate) == (b.epoch, b.learning_rate)
        for errors, expected in ((b.train, a.train), (b.val, a.val)):
            found, values = errors.model_dump(), expected.model_dump()
            missing = [key for key, value in values.items() if value is None]
            assert [found.pop(key) or values.pop(key) for key in missing] == [
                None for _ in missing
            ]
            assert found == pytest.approx(values, rel=1e-8)
    assert one.best_epoch == other.best_epoch
    norms = [[gradient.norm for gradient in r.gradients] for r in (one, other)]
    assert norms[1] == pytest.approx(norms[0], rel=1e-7)
    weights = network_of(other.potential).state_dict()
    for name, weight in network_of(one.potential).state_dict().items():
        torch.testing.assert_close(weights[name], weight, rtol=1e-5, atol=1e-7)


@pytest.mark.usefixtures("ranks")
def test_two_ranks_train_as_one_process_does(
    tune: Tune, single: FineTuningResult
) -> None:
    """Also with different labels, and without a frame of the last batch for one."""
    got: list[EpochRecord] = []

    outcome = tune(SETTINGS, on_epoch=got.append)

    assert_equal(single, outcome)
    assert got == outcome.history


@pytest.mark.parametrize(
    "choices",
    [
        {"trained": "readout"},
        {"trained": "adapters", "adapter_rank": 4},
        {"anchor": {"kind": "l2", "weight": 0.1}},
        {"anchor": {"kind": "replay"}, "training_labels": "energies"},
    ],
    ids=["readout", "adapters", "l2", "replay"],
)
def test_two_ranks_train_a_recipe_as_one_process_does(
    potential: Potential,
    frames: Frames,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    choices: dict[str, object],
) -> None:
    network = RECIPES[Model.FROZEN_ATOM_REFS].model_dump()
    recipe = Recipe.model_validate(network | choices)
    outcomes = []
    for n_ranks in ("1", "2"):
        monkeypatch.setenv("NEXTRUNG_N_TRAINING_PROCESSES", n_ranks)
        folder = tmp_path / n_ranks
        outcomes.append(
            fine_tune(potential, frames, SETTINGS, recipe=recipe, workdir=folder)
        )

    assert_equal(*outcomes)


def test_a_killed_rank_ends_the_training_at_once_and_the_next_call_resumes(
    tune: Tune, single: FineTuningResult, ranks: list[subprocess.Popen[bytes]]
) -> None:
    killed: list[float] = []

    def kill(_: EpochRecord) -> None:
        ranks[1].kill()
        killed.append(time.monotonic())

    with pytest.raises(RuntimeError, match="process 2 of a training died: SIGKILL"):
        tune(SETTINGS, on_epoch=kill)

    assert time.monotonic() - killed[0] < 10
    assert [rank.poll() is not None for rank in ranks] == [True, True]
    got: list[EpochRecord] = []
    outcome = tune(SETTINGS, on_epoch=got.append)
    assert_equal(single, outcome)
    assert [record.epoch for record in got] in ([2], [])


def test_a_stopped_rank_ends_the_training_after_the_timeout(
    tune: Tune,
    ranks: list[subprocess.Popen[bytes]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ddp_launcher, "TIMEOUT", timedelta(seconds=2))

    with pytest.raises(RuntimeError, match=r"[Tt]imed out"):
        tune(SETTINGS, on_epoch=lambda _: ranks[1].send_signal(signal.SIGSTOP))

    assert [rank.poll() for rank in ranks][1] == -signal.SIGKILL


def test_all_ranks_stop_after_the_same_batch_and_resume_there(
    tune: Tune, single: FineTuningResult, ranks: list[subprocess.Popen[bytes]]
) -> None:
    def terminate(_: EpochRecord) -> None:
        for rank in ranks:  # as a queue does, which signals every process
            rank.terminate()
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(SystemExit, match="143"):
        tune(SETTINGS, on_epoch=terminate)

    assert [rank.poll() is not None for rank in ranks] == [True, True]
    assert_equal(single, tune(SETTINGS))


@pytest.mark.usefixtures("ranks")
def test_an_input_error_of_a_rank_is_raised(tune: Tune) -> None:
    settings = SETTINGS.model_copy(update={"learning_rate": 1e30})

    with pytest.raises(InputError, match=r"a diverged training; learning_rate 1e\+30"):
        tune(settings)


def test_a_rank_that_exits_at_the_start_is_an_error(
    tune: Tune, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEXTRUNG_N_TRAINING_PROCESSES", "2")
    monkeypatch.setattr(ddp_launcher, "_START", "raise SystemExit(7)")

    with pytest.raises(
        RuntimeError, match=r"process \d of a training died: exit code 7"
    ):
        tune(SETTINGS)


@pytest.mark.slow
def test_ranks_exit_with_their_parent(frames: Frames, tmp_path: Path) -> None:
    """None is left to write into the folder of a resumed training."""
    script = tmp_path / "train.py"
    script.write_text(_SCRIPT)
    write_frames(frames, tmp_path / "frames.parquet")
    parent = subprocess.Popen(  # noqa: S603
        [sys.executable, str(script), str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"NEXTRUNG_N_TRAINING_PROCESSES": "2"},
    )
    assert parent.stdout is not None
    children = [int(pid) for pid in parent.stdout.readline().split()]
    parent.kill()
    parent.communicate()

    deadline = time.monotonic() + 10
    while any(map(_is_running, children)) and time.monotonic() < deadline:
        time.sleep(0.1)

    assert len(children) == 2
    assert [_is_running(pid) for pid in children] == [False, False]


def _is_running(pid: int) -> bool:
    """Return whether a process is neither gone nor a zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


#: A script without a main guard: the ranks must not run it again.
_SCRIPT = """
import sys
from pathlib import Path
from nextrung.adapters.files.frames import read_frames
from nextrung.potentials.training import ddp_launcher
from nextrung.potentials.training.fine_tuning import fine_tune
from nextrung.potentials.registry import load_potential
from nextrung.schemas.fine_tuning import FineTuningSettings
from nextrung.schemas.models import RECIPES, Model

potential = load_potential("chgnet-0.3.0", "cpu")  # chgnet starts `uname`
pids = []
popen = ddp_launcher.subprocess.Popen
def start(*args, **options):
    process = popen(*args, **options)
    pids.append(str(process.pid))
    return process
ddp_launcher.subprocess.Popen = start
folder = Path(sys.argv[1])
fine_tune(
    potential, read_frames(folder / "frames.parquet"),
    FineTuningSettings(epochs=1000, batch_size=3),
    recipe=RECIPES[Model.FROZEN_ATOM_REFS], workdir=folder / "work",
    on_epoch=lambda record: record.epoch == 1 and print(*pids, flush=True),
)
"""


class Unpicklable(Exception):  # noqa: N818
    """An exception that cannot be made from its arguments."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first + second)


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (InputError("too high"), InputError, "too high"),
        (Unpicklable("a", "b"), RuntimeError, "Unpicklable: ab"),
    ],
    ids=["plain", "unpicklable"],
)
def test_every_exception_can_be_pickled(
    error: Exception, kind: type[Exception], text: str
) -> None:
    returned = pickle.loads(pickle.dumps(_picklable(error)))  # noqa: S301

    assert (type(returned), str(returned)) == (kind, text)
