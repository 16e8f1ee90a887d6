"""Slurm, munge and MariaDB: those of this machine, or Debian's, unpacked into a folder.

Unpacking needs no root, starts no service, and leaves nothing behind but the folder.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.errors import InputError

SLURM = ("slurm-wlm", "munge")
ACCOUNTING = ("slurmdbd", "mariadb-server-core", "mariadb-client-core")
WITHOUT_ROOT = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Folders of daemons, which the path of an ordinary user may lack."""


@dataclass(frozen=True)
class Programs:
    """Where the programs are: below ``root``, or with None those of this machine."""

    root: Path | None = None

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables with which the programs, and what they start, find each other."""
        path = [*os.environ.get("PATH", "").split(os.pathsep), *WITHOUT_ROOT]
        libraries = os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)
        if self.root:
            path = [f"{self.root}/usr/bin", f"{self.root}/usr/sbin", *path]
            folders = [*sorted(self.root.glob("usr/lib/*-linux-gnu")), *self.plugins]
            libraries = [*map(str, folders), *libraries]
        variables = {"PATH": path, "LD_LIBRARY_PATH": libraries}
        return {name: os.pathsep.join(filter(None, value)) for name, value in variables.items()}

    def find(self, name: str) -> str:
        """The path of a program.

        Raises:
            InputError: it is neither installed nor unpacked.
        """
        if path := shutil.which(name, path=self.environment["PATH"]):
            return path
        raise InputError(f"no program {name}; install Debian's {', '.join(SLURM)}")

    @property
    def plugins(self) -> list[Path]:
        """The folders of Slurm's plugins and of its own library, where they are not as built."""
        return sorted(self.root.glob("usr/lib/*/slurm-wlm")) if self.root else []


def programs(folder: Path, accounting: bool) -> Programs:
    """The programs of this machine, or Debian's in a folder, which is filled once.

    Raises:
        InputError: they are not installed, and this machine cannot get Debian's packages.
    """
    here = Programs()
    needed = ("slurmctld", "slurmd", "munged", *(("slurmdbd", "mariadbd") if accounting else ()))
    if all(_is_found(here, name) for name in needed):
        return here
    if not folder.exists():
        _unpack([*SLURM, *ACCOUNTING], folder)
    return Programs(folder)


def _is_found(place: Programs, name: str) -> bool:
    try:
        return bool(place.find(name))
    except InputError:
        return False


def _unpack(names: Sequence[str], folder: Path) -> None:
    archives = folder.with_name(f"{folder.name}-archives")
    archives.mkdir()
    try:
        plan = _call("apt-get", "install", "--simulate", "--no-install-recommends", *names)
        packages = re.findall(r"^Inst (\S+)", plan, re.MULTILINE)
        _call("apt-get", "download", *packages, folder=archives)
        for archive in sorted(archives.glob("*.deb")):
            _call("dpkg", "--extract", str(archive), str(folder))
        # Debian's installation makes these links, and a daemon goes by the name that it is called.
        for program in folder.glob("usr/sbin/*-wlm"):
            program.with_name(program.name.removesuffix("-wlm")).symlink_to(program.name)
    finally:
        shutil.rmtree(archives)


def _call(*command: str, folder: Path | None = None) -> str:
    try:
        return subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=True
        ).stdout
    except FileNotFoundError:
        raise InputError(
            f"no program {command[0]}, as this is no Debian; install Slurm, munge, slurmdbd and "
            "MariaDB"
        ) from None
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.strip() or "no reason given").splitlines()[-1]
        raise InputError(f"{' '.join(command[:2])}: {reason}; is apt-get update due?") from None
