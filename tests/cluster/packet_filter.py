"""A packet filter in a machine's namespace that refuses, counts and names every connection that is not allowed."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from infra.local.machines import Machine

NAME_SERVER = "192.0.2.53"
"""Of the range for documentation: what is asked of it is counted, and answered by nobody."""
TABLE = """
table inet watch {{
  set refused4 {{ typeof ip daddr . meta l4proto . th dport; flags dynamic; size 4096; }}
  set refused6 {{ typeof ip6 daddr . meta l4proto . th dport; flags dynamic; size 4096; }}
  counter refused {{ }}
  chain refuse {{
    counter name refused
    add @refused4 {{ ip daddr . meta l4proto . th dport }}
    add @refused6 {{ ip6 daddr . meta l4proto . th dport }}
    reject
  }}
  chain output {{
    type filter hook output priority 0; policy accept;
    ct state established,related accept
    meta l4proto {{ tcp, udp }} th dport 53 jump refuse
    oif lo accept
    tcp flags & rst == rst accept
    ip daddr {host} tcp dport {{ {ports} }} accept
    meta l4proto {{ tcp, udp }} jump refuse
  }}
}}
"""


def watch(machine: Machine, ports: Iterable[int]) -> None:
    """Let the machine reach these TCP ports of the bridge's address and itself, and refuse and count all else.

    It has a default route and a name server, so that an attempt gets as far as the filter.
    """
    settings = Path("/etc/netns") / machine.name  # `ip netns exec` mounts these files over those of /etc
    settings.mkdir(parents=True)
    (settings / "resolv.conf").write_text(f"nameserver {NAME_SERVER}\noptions timeout:1 attempts:1\n")
    (settings / "nsswitch.conf").write_text("hosts: files dns\n")
    host = machine.network.address
    for route in (["route", "add", "default", "via", host], ["-6", "route", "add", "default", "dev", "eth0"]):
        subprocess.run(["ip", "-n", machine.name, *route], check=True)
    rules = TABLE.format(host=host, ports=", ".join(map(str, ports)))
    _nft(machine, "-f", "-", given=rules)


def unwatch(machine: Machine) -> None:
    """Remove the files in /etc/netns."""
    settings = Path("/etc/netns") / machine.name
    for path in settings.glob("*"):
        path.unlink()
    settings.rmdir()


def refused(machine: Machine) -> set[str]:
    """What was refused, each once: `address protocol port`; counted packets that are not named fail an assertion."""
    listed = json.loads(_nft(machine, "-j", "list", "table", "inet", "watch"))["nftables"]
    found = {
        " ".join(str(part) for part in element["concat"])
        for entry in listed
        if "set" in entry
        for element in entry["set"].get("elem", [])
    }
    (packets,) = [entry["counter"]["packets"] for entry in listed if "counter" in entry]
    assert bool(packets) == bool(found)
    return found


def _nft(machine: Machine, *words: str, given: str | None = None) -> str:
    command = ["ip", "netns", "exec", machine.name, "nft", *words]
    return subprocess.run(command, input=given, check=True, capture_output=True, text=True).stdout
