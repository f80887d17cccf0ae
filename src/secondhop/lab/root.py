"""The files that a pod's programs see: this machine's programs, read-only, and none of its secrets.

A tmpfs becomes the root; the folders that hold programs are bound into it, and of /etc only what
programs need to run. Homes, /run, /var, the host's processes and its /tmp stay outside.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from ..model.cluster import Address
from . import linux

_PROGRAMS = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "opt", "nix")
_SETTINGS = (
    "alternatives",
    "ca-certificates",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "nsswitch.conf",
    "protocols",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
    "terminfo",
)
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_DEVICE_LINKS = {"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}
_WRITABLE = ("tmp", "run", "root", "home", "var/log", "var/tmp", "var/run")
_USERS = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"
_GROUPS = "root:x:0:\nnogroup:x:65534:\n"
_AT = Path("/tmp")  # a folder that every system has; covered only in here


def build(hostname: str, addresses: Sequence[Address]) -> None:
    """Make it the root of this process, which is in mount, UTS and pid namespaces of its own.

    Raises OSError. Where a new /proc is refused (inside some containers) there is none.
    """
    linux.private_mounts()
    linux.mount_new("tmpfs", _AT, "mode=755,size=64m")
    for name in _PROGRAMS:
        _mirror(Path("/", name), _AT / name)
    for name in _SETTINGS:
        _mirror(Path("/etc", name), _AT / "etc" / name)
    for name in _WRITABLE:
        (_AT / name).mkdir(parents=True, exist_ok=True)
    (_AT / "tmp").chmod(0o1777)
    _written(hostname, addresses)
    _devices()
    (_AT / "proc").mkdir()
    with contextlib.suppress(PermissionError):
        linux.mount_new("proc", _AT / "proc")
    linux.change_root(_AT)


def _mirror(original: Path, where: Path) -> None:
    """The same link, or the same file or folder read-only."""
    if original.is_symlink():
        where.parent.mkdir(parents=True, exist_ok=True)
        where.symlink_to(os.readlink(original))
    elif original.exists():
        _point(original, where)
        linux.bind(original, where)


def _point(original: Path, where: Path) -> None:
    """Something of the same kind to mount on."""
    where.parent.mkdir(parents=True, exist_ok=True)
    if original.is_dir():
        where.mkdir()
    else:
        where.touch()


def _written(hostname: str, addresses: Sequence[Address]) -> None:
    etc = _AT / "etc"
    etc.mkdir(exist_ok=True)
    own = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n"
    own += "".join(f"{address}\t{hostname}\n" for address in addresses)
    files = {"hosts": own, "hostname": f"{hostname}\n", "passwd": _USERS, "group": _GROUPS}
    for name, text in files.items():
        (etc / name).write_text(text)


def _devices() -> None:
    dev = _AT / "dev"
    (dev / "shm").mkdir(parents=True)
    (dev / "pts").mkdir()
    for name in _DEVICES:
        _point(Path("/dev", name), dev / name)
        linux.bind(Path("/dev", name), dev / name, writable=True)
    for name, target in _DEVICE_LINKS.items():
        (dev / name).symlink_to(target)
    (dev / "ptmx").symlink_to("pts/ptmx")
    linux.mount_new("devpts", dev / "pts", "newinstance,ptmxmode=0666,mode=620")
