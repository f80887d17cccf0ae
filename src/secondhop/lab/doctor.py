"""What this kernel and user may do, found by doing it in a child, never assumed."""

from __future__ import annotations

import pickle
import socket
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from ..errors import EnvironmentUnable, SecondhopError
from .capture import RefusalLog
from .iptables import Restore, restore_program
from .netns import Namespace
from .nftables import LIBRARY, Context
from .rtnetlink import Netlink
from .sandbox import Sandbox
from .sysctls import forwarder, with_ipv6

_MIB = 1024 * 1024
_NEEDED_MEMORY = 128 * _MIB
_AS_ROOT = "or run as root: `sudo secondhop run`"

# One rule of each kind that kube-proxy, flannel or the drop proof needs.
_RULES = """\
*filter
:KUBE-TRY - [0:0]
-A KUBE-TRY -m conntrack --ctstate NEW -m comment --comment "try" -j DROP
-A KUBE-TRY -m addrtype --dst-type LOCAL -j DROP
-A KUBE-TRY -p tcp -m tcp --dport 1 -j REJECT --reject-with icmp-port-unreachable
-A KUBE-TRY -j NFLOG --nflog-prefix try --nflog-group 1 --nflog-threshold 1
COMMIT
*nat
:KUBE-TRY - [0:0]
-A KUBE-TRY -m statistic --mode random --probability 0.5 -j MARK --set-xmark 0x4000/0x4000
-A KUBE-TRY -p tcp -m tcp -j DNAT --to-destination 10.0.0.1:80
-A POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE --random-fully
COMMIT
"""
_TABLE = """\
add table ip try
add set ip try affinity { type ipv4_addr; flags dynamic,timeout; timeout 60s; }
add map ip try ports { type inet_proto . inet_service : verdict; }
add chain ip try to { type nat hook prerouting priority dstnat; }
add chain ip try from { type nat hook postrouting priority srcnat; }
add chain ip try filter { type filter hook input priority filter; }
add rule ip try to fib daddr type local meta l4proto . th dport vmap @ports
add rule ip try to meta mark set meta mark | 0x00004000 update @affinity { ip saddr }
add rule ip try to meta l4proto tcp dnat ip to numgen random mod 1 map { 0 : 10.0.0.1 . 80 }
add rule ip try from ct status dnat masquerade fully-random
add rule ip try filter ct state new log prefix "try" group 1 reject
"""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report. needed: the lab cannot do without it."""

    name: str
    good: bool
    detail: str
    remedy: str = ""
    needed: bool = True


def examine() -> list[Check]:
    """Try everything the lab needs. Never raises; leaves nothing behind."""
    checks = [_memory()]
    sandbox = Sandbox(_inside)
    try:
        sandbox.channel.settimeout(60)
        sandbox.born()
        answer = b""
        while part := sandbox.channel.recv(65536):
            answer += part
        inside: list[Check] = pickle.loads(answer)
    except EnvironmentUnable as error:
        return [_refusal(error), *checks]
    except (OSError, EOFError, pickle.UnpicklingError) as error:
        inside = [Check("lab", False, f"the trial lab died: {error}", "Report this as a defect.")]
    finally:
        sandbox.close()
    namespaces = Check("user namespaces", True, "user, network, pid, mount and UTS namespaces")
    return [namespaces, *inside, *checks]


# --- outside ----------------------------------------------------------------------------------


def _refusal(error: EnvironmentUnable) -> Check:
    detail, remedy = why_refused(error, Path("/proc"))
    return Check("user namespaces", False, detail, remedy)


def why_refused(error: EnvironmentUnable, proc: Path) -> tuple[str, str]:
    """Which of the known obstacles stands before namespaces, and the remedy.

    proc: where the kernel's settings are read.
    """
    if _setting(proc, "kernel/apparmor_restrict_unprivileged_userns") == "1":
        return (
            "Ubuntu's AppArmor restricts unprivileged user namespaces",
            "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, " + _AS_ROOT,
        )
    if _setting(proc, "kernel/unprivileged_userns_clone") == "0":
        return (
            "this kernel allows user namespaces to root only",
            "sudo sysctl -w kernel.unprivileged_userns_clone=1, " + _AS_ROOT,
        )
    if _setting(proc, "user/max_user_namespaces") == "0" or "ENOSPC" in error.message:
        return (
            "the number of user namespaces is limited to what is in use",
            "sudo sysctl -w user.max_user_namespaces=10000 (outside any container)",
        )
    return (
        f"{error.message} (a container's seccomp profile, a chroot or another security module)",
        "Leave the container, or start it with a profile that allows unshare(CLONE_NEWUSER), for "
        "example docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined",
    )


def _setting(proc: Path, name: str) -> str | None:
    try:
        return (proc / "sys" / name).read_text().strip()
    except OSError:
        return None


def _memory() -> Check:
    available = 0
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            available = int(line.split()[1]) * 1024
    return Check(
        "memory",
        available >= _NEEDED_MEMORY,
        f"{available // _MIB} MiB available, {_NEEDED_MEMORY // _MIB} MiB wanted",
        "Close something, or use a larger machine.",
        needed=False,
    )


# --- inside -----------------------------------------------------------------------------------


def _inside(channel: socket.socket) -> None:
    """Runs as the supervisor of a trial sandbox."""
    trials: list[tuple[str, Callable[[], str], str, bool]] = [
        ("veth and bridge", _bridge, "Load the kernel modules: `sudo modprobe veth bridge`.", True),
        ("VXLAN", _vxlan, "`sudo modprobe vxlan`; without it, use a Lab with host-gw.", False),
        (
            "br_netfilter",
            _br_netfilter,
            "`sudo modprobe br_netfilter`; without it a pod may not reach its node's own pods.",
            False,
        ),
        (
            "iptables",
            _iptables,
            "Install it: `sudo apt-get install iptables` (1.8 or newer, nft flavour).",
            True,
        ),
        ("nflog", _nflog, "`sudo modprobe nfnetlink_log xt_NFLOG nft_log`", True),
        (
            "IPv6",
            _ipv6,
            "Only for Labs with IPv6 addresses: a kernel with IPv6, a writable /proc/sys, and"
            " ip6tables (`sudo apt-get install iptables`).",
            False,
        ),
        (
            "nftables",
            _nftables,
            "Only for nftables mode: `sudo apt-get install nftables`; "
            "`sudo modprobe nft_numgen nft_fib_ipv4 nft_masq nft_reject_ipv4 nft_log`.",
            False,
        ),
        (
            "/proc/sys/net",
            _sysctl,
            "It is read-only here (a container?): rejected connections may look like timeouts.",
            False,
        ),
    ]
    found = []
    for name, attempt, remedy, needed in trials:
        try:
            found.append(Check(name, True, attempt(), needed=needed))
        except (OSError, SecondhopError) as error:
            said = error.message if isinstance(error, SecondhopError) else str(error)
            found.append(Check(name, False, said, remedy, needed))
    channel.sendall(pickle.dumps(found))


def _bridge() -> str:
    netlink, far = _pair()
    netlink.bridge("br", 10, mac="020000000001", mtu=1500)
    netlink.veth("near", 11, "far", 2, far, mac="020000000002", peer_mac="020000000003", master=10)
    netlink.commit()
    return "created and connected"


def _vxlan() -> str:
    netlink, _ = _pair()
    netlink.vxlan(
        "vx", 10, vni=1, local=IPv4Address("10.0.0.1"), port=8472, mac="020000000001", mtu=1450
    )
    netlink.commit()
    return "created"


def _br_netfilter() -> str:
    if not Path("/proc/sys/net/bridge").exists():
        raise OSError("the module is not loaded")
    return "present"


def _iptables() -> str:
    namespace = Namespace.create("try")
    Restore(namespace, _RULES).finish()
    return f"{restore_program()} loads kube-proxy's kinds of rules"


def _ipv6() -> str:
    namespace = Namespace.create("try")
    with_ipv6(namespace)
    forwarder(namespace, ipv6=True)
    rules = _RULES.replace("10.0.0.1:80", "[fd00::1]:80").replace("with icmp-", "with icmp6-")
    Restore(namespace, rules, 6).finish()
    return f"forwarded; {restore_program(6)} loads the same rules"


def _nflog() -> str:
    RefusalLog.listen(Namespace.create("try")).close()
    return "bound"


def _nftables() -> str:
    Context(Namespace.create("try")).run(_TABLE)
    return f"{LIBRARY} loads kube-proxy's kinds of rules"


def _sysctl() -> str:
    with Namespace.create("try"):
        Path("/proc/sys/net/ipv4/icmp_ratelimit").write_text("0")
    return "writable"


def _pair() -> tuple[Netlink, Namespace]:
    return Netlink(Namespace.create("try")), Namespace.create("far")
