"""What happens to a call on a cluster, one function each; they return what was seen of it."""

import time
from collections.abc import Callable, Mapping

from tests.slurm.cluster import Cluster
from tests.slurm.project import PROFILE, QUICK, Call, Project, jobs

OPTIONS = (*PROFILE, *QUICK)
LONG = 3.0
"""Seconds of an epoch, where a training is to last longer than a minute."""

NEVER = 1e9
"""Seconds that no training lasts."""

WHILE = 60
"""Seconds after the end of all jobs in which a call that sees it would have gone on."""


def undisturbed(project: Project, cluster: Cluster) -> str:
    """Nothing happens."""
    call = Call(project, *OPTIONS, environment=cluster.environment)
    return _ended(call)


def as_shipped(project: Project, cluster: Cluster) -> str:
    """The plugin's own choice of a command that asks for the state of jobs."""
    options = (*OPTIONS, "--slurm-status-command", "sacct")
    call = Call(project, *options, environment=cluster.environment)
    call.wait_until(lambda: len(jobs(cluster, "COMPLETED")) > 0, "the end of a job")
    call.wait_until(lambda: not jobs(cluster, "PENDING", "RUNNING", "COMPLETING"), "all ended")
    time.sleep(WHILE)
    going = call.process.poll() is None and "(Rule: runs)" not in call.said
    call.interrupt()
    call.wait()
    noticed = "none is noticed" if going else "they are noticed"
    seen = f"with sacct: {WHILE} s after the end of all jobs {noticed}; then Ctrl-C"
    return f"{seen}; the same command with squeue {undisturbed(project, cluster)}"


def scancel(project: Project, cluster: Cluster) -> str:
    """A job is cancelled while it trains."""
    call = _training(project, cluster, epoch=0.5)
    (cancelled, *_) = _trainings(cluster)
    cluster.call("scancel", cancelled)
    return f"training cancelled; the call {_ended(call)}; {_first_epochs(project)}"


def node(project: Project, cluster: Cluster) -> str:
    """The node's daemon and its jobs are killed, and the daemon starts again."""
    call = _training(project, cluster, epoch=0.5)
    cluster.kill_node()
    call.wait_until(lambda: cluster.node_state().startswith("down"), "that the node is down")
    cluster.start_node()
    return f"Slurm saw the node as down; the call {_ended(call)}; {_first_epochs(project)}"


def time_limit(project: Project, cluster: Cluster) -> str:
    """Trainings of more than a minute get one in their first attempt, two in their second.

    They write a checkpoint only when Slurm's signal comes.
    """
    options = (*OPTIONS, "--set-resources", "runs:runtime=attempt")
    call = Call(project, *options, environment=cluster.environment, epoch=LONG, checkpoint=NEVER)
    call.wait_until(lambda: jobs(cluster, "TIMEOUT"), "that a job's time is over")
    return f"time over; the call {_ended(call)}; {_first_epochs(project)}"


def interrupted(project: Project, cluster: Cluster) -> str:
    """Ctrl-C while a job trains, and the same command again."""
    call = _training(project, cluster, epoch=0.5)
    call.interrupt()
    call.wait()
    left = len(jobs(cluster, "PENDING", "RUNNING"))
    again = Call(project, *OPTIONS, environment=cluster.environment)
    return f"{left} jobs are left; the same command {_ended(again)}; {_first_epochs(project)}"


Event = Callable[[Project, Cluster], str]

EVENTS: Mapping[str, Event] = {
    "undisturbed": undisturbed,
    "scancel": scancel,
    "node lost": node,
    "time limit": time_limit,
    "Ctrl-C": interrupted,
}

WITHOUT_ACCOUNTING: Mapping[str, Event] = {"sacct": as_shipped}


def _training(project: Project, cluster: Cluster, epoch: float) -> Call:
    """A call whose trainings have both written a checkpoint."""
    call = Call(project, *OPTIONS, environment=cluster.environment, epoch=epoch)
    call.wait_until(lambda: len(project.checkpoints()) == 2, "checkpoints of both trainings")
    return call


def _trainings(cluster: Cluster) -> list[str]:
    """The numbers of the jobs that train; a group of short runs has no method in its comment."""
    return [number for number, _, comment in jobs(cluster, "RUNNING") if "gradcon" in comment]


def _ended(call: Call) -> str:
    status = call.wait()
    return f"ended with {status}" if status == 0 else f"ended with {status}: {call.last_line()}"


def _first_epochs(project: Project) -> str:
    epochs = " and ".join(str(project.first_epoch(inlier)) for inlier in (0, 1))
    return f"trainings went on after epochs {epochs}"
