"""Machines on one: network namespaces with addresses of their own on a bridge, whose processes die with them.

Needs root on Linux, and `ip` and `unshare`. The machines see this one's files, but for the folders that are
hidden from them.
"""

from __future__ import annotations

import secrets
import shlex
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

import psutil

from infra.local.processes import Child, StackError, start, stop

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

NETWORKS = tuple(IPv4Network(f"10.213.{n}.0/24") for n in range(256))
ENTER = (
    # process 1 of the machine, with whose end the kernel ends all others
    *("unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"),
    *("sh", "-c"),
)


def _free_network() -> IPv4Network:
    used = subprocess.run(["ip", "-o", "-4", "addr"], check=True, capture_output=True, text=True).stdout
    free = [n for n in NETWORKS if f" {n[1]}/" not in used]
    if not free:
        raise StackError("no free network for machines")
    return secrets.choice(free)


@dataclass
class Network:
    """A bridge of this machine, at `address`; machines are added to it."""

    name: str = field(default_factory=lambda: f"enigma-{secrets.token_hex(2)}")
    addresses: IPv4Network = field(default_factory=_free_network)
    machines: list[Machine] = field(default_factory=list)

    @property
    def address(self) -> str:
        """The address of this machine, where all others reach it."""
        return str(self.addresses[1])

    def __enter__(self) -> Network:
        """Make the bridge."""
        _ip("link", "add", self.name, "type", "bridge")
        _ip("addr", "add", f"{self.address}/{self.addresses.prefixlen}", "dev", self.name)
        _ip("link", "set", self.name, "up")
        return self

    def __exit__(self, *_: object) -> None:
        """End all processes of the machines, and remove them and the bridge."""
        for machine in self.machines:
            machine.remove()
        _ip("link", "del", self.name)

    def machine(self, hidden: Sequence[Path] = ()) -> Machine:
        """A new machine. `hidden`: folders that are empty for it."""
        number = len(self.machines) + 1
        made = Machine(f"{self.name}-{number}", str(self.addresses[10 + number]), self, list(hidden))
        made.make()
        self.machines.append(made)
        return made


@dataclass
class Machine:
    """A network namespace, named by its address, which is its host name too."""

    name: str
    address: str
    network: Network = field(repr=False)
    hidden: list[Path] = field(default_factory=list)
    children: list[Child] = field(default_factory=list)

    def make(self) -> None:
        """Create the namespace and its cable, which is plugged in."""
        inside = ("-n", self.name)
        _ip("netns", "add", self.name)
        _ip("link", "add", self.name, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        _ip("link", "set", self.name, "master", self.network.name)
        _ip(*inside, "addr", "add", f"{self.address}/{self.network.addresses.prefixlen}", "dev", "eth0")
        _ip(*inside, "link", "set", "lo", "up")
        _ip(*inside, "link", "set", "eth0", "up")
        self.plug()

    def inside(self, command: Sequence[str]) -> list[str]:
        """The command line that runs a command on the machine."""
        lines = [f"hostname {self.address}"]
        lines += [f"mount -t tmpfs -o size=64m private {shlex.quote(str(folder))}" for folder in self.hidden]
        script = " && ".join([*lines, 'exec "$@"'])
        return ["ip", "netns", "exec", self.name, *ENTER, script, "sh", *command]

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str], cwd: Path, log: Path) -> Child:
        """Start a process on the machine; see `processes.start`."""
        child = start(name, self.inside(command), environment, cwd, log)
        self.children.append(child)
        return child

    def plug(self) -> None:
        """Put the cable in."""
        _ip("link", "set", self.name, "up")

    def unplug(self) -> None:
        """Pull the cable: no packet arrives or leaves, and no connection is closed."""
        _ip("link", "set", self.name, "down")

    def power_off(self) -> None:
        """End everything at once, as a power cut does: no other machine is told."""
        self.unplug()
        stop(self.children, hard=True)
        self.children = []

    def power_on(self) -> None:
        """A machine that starts again: the same address, no process."""
        self.plug()

    def remove(self) -> None:
        """End everything, and remove the namespace."""
        self.power_off()
        _ip("link", "del", self.name)
        _ip("netns", "del", self.name)

    def processes(self) -> Iterator[psutil.Process]:
        """Every running process of the machine."""
        for child in self.children:
            with suppress(psutil.NoSuchProcess):  # it ended between two looks
                if top := child.process():
                    yield from top.children(recursive=True)


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise StackError(f"ip {' '.join(words)}: {done.stderr.strip()}")
