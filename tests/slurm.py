"""A real Slurm of one node for tests: two partitions, two GPUs that are not there."""

from __future__ import annotations

import os
import platform
import secrets
import shutil
import stat
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from tests.services import free_port, skip_or_fail

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Programs of Debian's packages `slurm-wlm` and `munge`.
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel")

#: Where programs of services lie, on the PATH of root alone.
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
SlurmctldPort={controller_port}
SlurmdPort={node_port}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
MinJobAge=300
KillWait=5
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=1000 Gres=gpu:2 State=UNKNOWN
PartitionName=cpu Nodes={host} Default=YES MaxTime=INFINITE OverSubscribe=FORCE:4 \
State=UP
PartitionName=gpu Nodes={host} Default=NO MaxTime=INFINITE OverSubscribe=FORCE:4 \
State=UP
"""


@dataclass
class Slurm:
    """A controller and a node with the partitions `cpu` and `gpu`."""

    folder: Path
    host: str = field(default_factory=lambda: platform.node().partition(".")[0])
    servers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """Environment in which commands of Slurm find this one."""
        return os.environ | {
            "SLURM_CONF": str(self.folder / "slurm.conf"),
            "PATH": SEARCH_PATH,
        }

    def start(self) -> None:
        """Start munge, the controller and the node; wait until the node is idle."""
        self._write_configuration()
        munge = self.folder / "munge"
        files = ("key-file", "log-file", "pid-file", "seed-file", "socket")
        options = [f"--{option}={munge / option.split('-')[0]}" for option in files]
        self._serve(["munged", "--foreground", "--force", *options])
        self._wait((munge / "socket").exists)
        configuration = str(self.folder / "slurm.conf")
        self._serve(["slurmctld", "-D", "-f", configuration])
        self._serve(["slurmd", "-D", "-f", configuration, "-N", self.host])
        self._wait(lambda: "idle" in self.call("sinfo", "-h", "-o", "%T"))

    def stop(self) -> None:
        """End all jobs and all servers."""
        self.call("scancel", "--user", "root")
        for server in reversed(self.servers):
            server.terminate()
            server.wait(timeout=30)

    def call(self, program: str, *arguments: str) -> str:
        """Call a command of Slurm; return what it printed, failed or not."""
        done = subprocess.run(  # noqa: S603
            [shutil.which(program, path=SEARCH_PATH) or program, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        return done.stdout

    def wait_until_empty(self, seconds: float) -> None:
        """Wait until no job is queued or runs."""
        self._wait(lambda: not self.call("squeue", "-h").strip(), seconds)

    def _serve(self, command: list[str]) -> None:
        """Start a server that stays a child of this process."""
        program = shutil.which(command[0], path=SEARCH_PATH) or command[0]
        with (self.folder / f"{command[0]}.out").open("ab") as log:
            server = subprocess.Popen(  # noqa: S603
                [program, *command[1:]],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
            )
        self.servers.append(server)

    def _write_configuration(self) -> None:
        """Write keys and configuration; make devices that take the place of GPUs."""
        for name in ("munge", "state", "spool", "dev"):
            (self.folder / name).mkdir()
        key = self.folder / "munge" / "key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o600)
        for number in range(2):
            device = self.folder / "dev" / f"nvidia{number}"
            os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        gres = f"NodeName={self.host} Name=gpu File={self.folder}/dev/nvidia[0-1]\n"
        (self.folder / "gres.conf").write_text(gres)
        (self.folder / "slurm.conf").write_text(
            CONFIGURATION.format(
                host=self.host,
                folder=self.folder,
                controller_port=free_port(),
                node_port=free_port(),
            )
        )

    def _wait(self, ready: object, seconds: float = 60) -> None:
        """Wait until something holds; fail with the logs where it never does."""
        assert callable(ready)
        end = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > end:
                logs = (*self.folder.glob("*.log"), *self.folder.glob("*.out"))
                texts = [f"{log.name}: {log.read_text()[-2000:]}" for log in logs]
                pytest.fail("Slurm: " + "\n".join([self.call("squeue"), *texts]))
            time.sleep(0.2)


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    """A Slurm of one node; tests with it are marked ``slurm``."""
    missing = [name for name in PROGRAMS if not shutil.which(name, path=SEARCH_PATH)]
    if missing:
        skip_or_fail(f"no {', '.join(missing)}: install slurm-wlm and munge")
    if os.geteuid() != 0:
        skip_or_fail("Slurm for tests needs root, which makes devices")
    server = Slurm(tmp_path_factory.mktemp("slurm"))
    try:
        server.start()
        yield server
    finally:
        server.stop()
