"""A Slurm of one node in a folder, with its own keys, sockets and ports; nothing stays of it.

The daemons run as whoever starts them, root or not: all jobs are that user's. What belongs to the
cluster is known by an environment variable, which every process of it inherits, the jobs included.
"""

import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmark.errors import InputError
from tests.slurm.packages import Programs

NAME = "gradcon"

CONFIGURATION = """\
ClusterName={name}
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=5,bf_interval=5
ReturnToService=2
SlurmdTimeout={silence}
KillWait=30
MinJobAge=300
MpiDefault=none
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={memory}
PartitionName=main Nodes={host} Default=YES MaxTime={longest} State=UP
"""

WITHOUT_ACCOUNTING = "AccountingStorageType=accounting_storage/none\n"
WITH_ACCOUNTING = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={accounts}
AccountingStoragePass={folder}/munge.socket
"""

ACCOUNTS = """\
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={accounts}
SlurmUser={user}
PidFile={folder}/slurmdbd.pid
LogFile={folder}/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database}
StorageUser=slurm
StoragePass={password}
StorageLoc=slurm
"""

MARK = "GRADCON_CLUSTER"
"""The environment variable of all processes of a cluster: its folder."""

SRUN = """\
#!/bin/sh
SLURM_CONF={folder}/slurm.conf exec {srun} "$@"
"""
"""The plugin starts it without the variables of Slurm, as those of a cluster need none."""

SECONDS = 60
"""After which a daemon that does not answer counts as broken."""


@dataclass
class Cluster:
    """A cluster that runs.

    Attributes:
        programs: where its programs are.
        folder: its files.
        accounting: whether it keeps a database of jobs.
    """

    programs: Programs
    folder: Path
    accounting: bool

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables with which Slurm's commands reach this cluster."""
        own = {MARK: str(self.folder), "SLURM_CONF": str(self.folder / "slurm.conf")}
        every = {**os.environ, **self.programs.environment, **own}
        return {**every, "PATH": f"{self.folder / 'bin'}{os.pathsep}{every['PATH']}"}

    def call(self, name: str, *arguments: str) -> str:
        """The output of one of Slurm's commands.

        Raises:
            InputError: the command failed; with its message.
        """
        command = [self.programs.find(name), *arguments]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        if done.returncode:
            raise InputError(f"{name} {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def start(self, name: str, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start a daemon that stays in the foreground; its messages go to ``<name>.out``."""
        with (self.folder / f"{name}.out").open("ab") as file:
            return subprocess.Popen(
                [self.programs.find(name), *arguments],
                # A core dump of a daemon is a file of the cluster too.
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    def start_node(self) -> None:
        """Start the node's daemon, and wait until the controller knows the node as usable."""
        stepd = self.programs.find("slurmstepd")
        self.start("slurmd", "-D", "-d", stepd)
        _wait(lambda: self.node_state() in ("idle", "mixed", "allocated"), "slurmd", self.folder)

    def kill_node(self) -> None:
        """Kill the node's daemon and all that it has started, as a loss of power would."""
        processes = self.processes()
        daemons = [p for p in processes if _name(p) in ("slurmd", "slurmstepd")]
        # Daemons first, so that none of them reports the end of a job.
        _kill(daemons)
        _kill([p for p in processes if "SLURM_JOB_ID" in _environment(p)])

    def node_state(self) -> str:
        """The state of the node, such as ``idle`` or ``down``."""
        return self.call("sinfo", "--noheader", "--format=%T").strip().rstrip("*")

    def processes(self) -> list[psutil.Process]:
        """All processes of the cluster and of its jobs, but not this one."""
        every = (p for p in psutil.process_iter() if p.pid != os.getpid())
        marked = [p for p in every if _environment(p).get(MARK) == str(self.folder)]
        # The daemon of a job writes its title over its environment.
        parents = {parent for p in marked if (parent := _parent(p))}
        return [*marked, *(p for p in parents - {*marked} if _name(p) == "slurmstepd")]


@contextmanager
def running(
    programs: Programs, folder: Path, accounting: bool, cores: int, longest: str = "24:00:00"
) -> Iterator[Cluster]:
    """A cluster of one node, until the end of the block, however that ends.

    Args:
        programs: Slurm's, and MariaDB's for the accounting.
        folder: for its files; is made and removed.
        accounting: whether it keeps a database of jobs.
        cores: that the node is said to have, which may be more than there are.
        longest: the time limit of its partition.

    Raises:
        InputError: a daemon does not start.
    """
    folder.mkdir(parents=True)
    cluster = Cluster(programs, folder, accounting)
    try:
        _configure(cluster, cores, longest)
        (folder / "munge.key").write_bytes(secrets.token_bytes(128))
        (folder / "munge.key").chmod(0o400)
        files = {
            "--key-file": "munge.key",
            "--socket": "munge.socket",
            "--pid-file": "munge.pid",
            "--log-file": "munge.log",
            "--seed-file": "munge.seed",
        }
        options = [f"{option}={folder / name}" for option, name in files.items()]
        cluster.start("munged", "--foreground", "--force", *options)
        _wait((folder / "munge.socket").exists, "munged", folder)
        if accounting:
            _start_accounting(cluster)
        cluster.start("slurmctld", "-D")
        _wait(lambda: bool(cluster.node_state()), "slurmctld", folder)
        cluster.start_node()
        yield cluster
    finally:
        # Jobs first, so that no daemon starts another one.
        for _ in range(3):
            _kill(cluster.processes())
        shutil.rmtree(folder, ignore_errors=True)


def _configure(cluster: Cluster, cores: int, longest: str) -> None:
    names = ("controller", "node", "accounts", "database")
    values = {
        "name": NAME,
        "folder": cluster.folder,
        "host": socket.gethostname().partition(".")[0],
        "user": getpass.getuser(),
        "cores": cores,
        "memory": psutil.virtual_memory().total // 2**20,
        "silence": 10,
        "longest": longest,
        "password": secrets.token_hex(),
        **dict(zip(names, _free_ports(len(names)), strict=True)),
    }
    text = CONFIGURATION + (WITH_ACCOUNTING if cluster.accounting else WITHOUT_ACCOUNTING)
    if plugins := cluster.programs.plugins:
        text += f"PluginDir={':'.join(map(str, plugins))}\n"
    for name in ("state", "spool", "bin"):
        (cluster.folder / name).mkdir()
    srun = cluster.folder / "bin" / "srun"
    srun.write_text(SRUN.format(folder=cluster.folder, srun=cluster.programs.find("srun")))
    srun.chmod(0o755)
    (cluster.folder / "slurm.conf").write_text(text.format(**values))
    accounts = cluster.folder / "slurmdbd.conf"
    accounts.touch(0o600)
    text = ACCOUNTS + (f"PluginDir={':'.join(map(str, plugins))}\n" if plugins else "")
    accounts.write_text(text.format(**values))


def _start_accounting(cluster: Cluster) -> None:
    """Start a database of its own, and the daemon that keeps the jobs in it."""
    folder, find = cluster.folder, cluster.programs.find
    conf = dict(line.split("=", 1) for line in (folder / "slurmdbd.conf").read_text().splitlines())
    usr = Path(find("mariadbd")).parents[1]
    common = ["--no-defaults", f"--datadir={folder / 'database'}", f"--basedir={usr}"]
    own = [f"--user={conf['SlurmUser']}", f"--lc-messages-dir={usr / 'share/mysql'}"]
    create = [
        find("mariadb-install-db"),
        *common,
        own[0],
        "--auth-root-authentication-method=normal",
    ]
    done = subprocess.run(create, env=cluster.environment, capture_output=True, text=True)
    if done.returncode:
        raise InputError(f"mariadb-install-db: {(done.stderr or done.stdout).strip()}")
    start = folder / "start.sql"
    start.write_text(
        f"CREATE USER slurm@127.0.0.1 IDENTIFIED BY '{conf['StoragePass']}';\n"
        "GRANT ALL ON slurm.* TO slurm@127.0.0.1;\n"
    )
    own += [
        f"--init-file={start}",
        f"--socket={folder / 'database.socket'}",
        "--bind-address=127.0.0.1",
    ]
    own += [f"--port={conf['StoragePort']}", f"--pid-file={folder / 'database.pid'}"]
    cluster.start("mariadbd", *common, *own, "--skip-name-resolve")
    _wait(lambda: _answers(int(conf["StoragePort"])), "mariadbd", folder)
    cluster.start("slurmdbd", "-D")
    # The controller does not start before the database knows its cluster.
    add = ("--immediate", "add", "cluster", NAME)
    _wait(lambda: bool(cluster.call("sacctmgr", *add)), "slurmdbd", folder)


def _answers(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def _free_ports(number: int) -> Sequence[int]:
    sockets = [socket.socket() for _ in range(number)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _wait(ready: Callable[[], bool], name: str, folder: Path) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        try:
            if ready():
                return
        except InputError:
            pass
        time.sleep(0.2)
    said = (folder / f"{name}.out").read_text(errors="replace").strip().splitlines()
    raise InputError(f"{name} does not answer: {said[-1] if said else 'it says nothing'}")


def _parent(process: psutil.Process) -> psutil.Process | None:
    try:
        return process.parent()
    except psutil.Error:
        return None


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.Error:
        return ""


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except (psutil.Error, OSError):
        return {}


def _kill(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        try:
            process.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(processes, timeout=10)
