"""Engines of the command label: makers, checks of the machine, local runs."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import time
import warnings
from abc import ABC, abstractmethod
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Final

from nextrung.cli.running import console, validate_options
from nextrung.schemas.base import InputError
from nextrung.schemas.labels.gpaw import GpawSettings
from nextrung.schemas.labels.labelling import InputSet, LabelSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jobflow import Flow, JobStore
    from pymatgen.core import Structure

    from nextrung.schemas.base import Artifact


#: Seconds in which a process ends its calculation after the command was killed.
GRACE: Final = 5.0


@dataclass
class LabelEngine(ABC):
    """A code that labels structures."""

    material_ids: dict[str, str] = field(default_factory=dict)

    @abstractmethod
    def make(self, files: Mapping[str, Artifact]) -> Flow:
        """Make the flow of the calculations."""

    @abstractmethod
    def validate_machine(self, structures: Iterable[Structure]) -> None:
        """Validate that this machine can calculate these structures."""

    @abstractmethod
    def calculate(self, files: Mapping[str, Artifact], store: JobStore) -> None:
        """Run the calculations on this machine, each in a folder of its own."""

    def find_finished(
        self, files: Mapping[str, Artifact], store: JobStore
    ) -> dict[str, str | None]:
        """Find the structures of which the store has a document, with its error."""
        from nextrung.adapters.stores.job_store import find_finished

        uuids = self.make(files).job_uuids
        errors = find_finished(store, uuids)
        return {
            name: errors[uuid]
            for name, uuid in zip(files, uuids, strict=True)
            if uuid in errors
        }


@dataclass(kw_only=True)
class VaspEngine(LabelEngine):
    """VASP through atomate2."""

    settings: LabelSettings

    def make(self, files: Mapping[str, Artifact]) -> Flow:
        """Make one job per structure."""
        from nextrung.makers.labelling import LabellingMaker

        return LabellingMaker(settings=self.settings).make(files)

    def validate_machine(self, structures: Iterable[Structure]) -> None:  # noqa: ARG002 - VASP has every element
        """Validate that atomate2 can run VASP."""
        from atomate2 import SETTINGS as ATOMATE2
        from pymatgen.core import SETTINGS

        program = shlex.split(os.path.expandvars(ATOMATE2.VASP_CMD))[0]
        if shutil.which(program) is None:
            raise InputError(
                f"expected the command of VASP in ATOMATE2_VASP_CMD, got {program!r}, "
                "which is no program here (--engine gpaw needs no VASP)"
            )
        folder = SETTINGS.get("PMG_VASP_PSP_DIR")
        if folder is None or not Path(folder).is_dir():
            raise InputError(
                "expected the folder of the POTCARs in PMG_VASP_PSP_DIR, got "
                f"{'nothing' if folder is None else folder}"
            )

    def calculate(self, files: Mapping[str, Artifact], store: JobStore) -> None:
        """Run the calculations one after another."""
        _run_locally(self.make(files), store)


@dataclass(kw_only=True)
class GpawEngine(LabelEngine):
    """GPAW, in processes of one calculation each."""

    settings: GpawSettings
    n_processes: int

    def make(self, files: Mapping[str, Artifact]) -> Flow:
        """Make one job per structure."""
        from nextrung.makers.gpaw_labelling import GpawLabellingMaker

        maker = GpawLabellingMaker(settings=self.settings)
        return maker.make(files, self.material_ids)

    def validate_machine(self, structures: Iterable[Structure]) -> None:
        """Validate that GPAW can calculate these structures here."""
        from nextrung.adapters.gpaw.calculation import validate_gpaw

        numbers = {number for each in structures for number in each.atomic_numbers}
        validate_gpaw(self.settings, numbers)

    def calculate(self, files: Mapping[str, Artifact], store: JobStore) -> None:
        """Run the calculations, several at a time; each document is stored at once."""
        if self.n_processes == 1:
            for number, (name, file) in enumerate(files.items(), start=1):
                _run_locally(self.make({name: file}), store)
                console.print(f"{number} of {len(files)}: {name}", soft_wrap=True)
            return
        pool = ProcessPoolExecutor(
            self.n_processes,
            mp_context=get_context("spawn"),
            initializer=_watch_parent,
        )
        running = {
            pool.submit(_calculate, self, name, file): name
            for name, file in files.items()
        }
        try:
            for number, ended in enumerate(as_completed(running), start=1):
                ended.result()
                name = running[ended]
                console.print(f"{number} of {len(files)}: {name}", soft_wrap=True)
        except BrokenProcessPool as error:
            raise InputError(
                "expected processes that end by themselves, got one that was killed, "
                "perhaps for its memory; the same command goes on"
            ) from error
        finally:  # also after Ctrl-C, which reaches the processes themselves
            pool.shutdown(cancel_futures=True)


def make_vasp(path: Path | None, input_set: InputSet | None) -> VaspEngine:
    """Read the settings of VASP from a file, if there is one."""
    from nextrung.adapters.files.yaml_records import load_yaml, validate_record

    if path is None:
        chosen = InputSet.MP_R2SCAN if input_set is None else input_set
        return VaspEngine(settings=LabelSettings(input_set=chosen))
    read = load_yaml(path, "settings file")
    return VaspEngine(settings=validate_record(LabelSettings, read, path))


def make_gpaw(
    path: Path | None, functional: str | None, n_processes: int
) -> GpawEngine:
    """Read the settings of GPAW from a file, if there is one."""
    from nextrung.adapters.files.yaml_records import load_yaml, validate_record

    settings = GpawSettings()
    if path is not None:
        read = load_yaml(path, "settings file")
        settings = validate_record(GpawSettings, read, path)
    if functional is not None:
        values = settings.model_dump() | {"functional": functional}
        settings = validate_options(GpawSettings, **values)
    return GpawEngine(settings=settings, n_processes=n_processes)


def _run_locally(flow: Flow, store: JobStore) -> None:
    """Run the jobs of a flow, each in a folder of its own."""
    from jobflow import run_locally

    from nextrung.settings import MachineSettings

    folder = MachineSettings().root / "calculations"
    folder.mkdir(exist_ok=True)
    run_locally(flow, store=store, create_folders=True, root_dir=folder)


def _watch_parent() -> None:
    """Stop the calculation of this process when the command is killed."""

    def stop() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os.kill(os.getpid(), signal.SIGTERM)  # the running job ends GPAW
            time.sleep(GRACE)
            os._exit(1)

    Thread(target=stop, daemon=True).start()


def _calculate(engine: GpawEngine, name: str, file: Artifact) -> None:
    """Calculate one structure in a process that opens the store itself."""
    from contextlib import closing

    from nextrung.adapters.stores.job_store import open_embedded_store
    from nextrung.settings import MachineSettings

    warnings.filterwarnings("ignore", "cd is deprecated", FutureWarning)  # in jobflow
    with closing(open_embedded_store(MachineSettings().root)) as store:
        _run_locally(engine.make({name: file}), store)
