"""System calls that Python 3.11 does not have. All raise OSError."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

_MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 2, 4, 8
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000
_MNT_DETACH = 2
_SYS_PIVOT_ROOT, _SYS_MOUNT_SETATTR = (155, 442) if os.uname().machine == "x86_64" else (41, 442)
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_ATTR_RDONLY, _ATTR_NOSUID = 1, 2

_PR_CAPBSET_DROP = 24

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """Leave the namespaces that `flags` names for new ones (unshare(2); `os` has it from 3.12).

    EPERM where the kernel or a security module forbids it, ENOSPC at a limit of /proc/sys/user,
    EINVAL for a user namespace in a process with several threads.
    """
    _check(_libc.unshare(flags))


def setns(fd: int, flags: int) -> None:
    """Enter the namespace of a descriptor, or those of a process that `flags` names by its pidfd.
    A pid namespace takes only the children that come."""
    _check(_libc.setns(fd, flags))


def prctl(option: int, value: int) -> None:
    """prctl(2) with one argument."""
    _check(_libc.prctl(option, value, 0, 0, 0))


def limit_capabilities(kept: frozenset[int]) -> None:
    """Let no program that is executed from here on have any other capability."""
    for number in range(64):
        if number not in kept:
            try:
                prctl(_PR_CAPBSET_DROP, number)
            except OSError as error:
                if error.errno == errno.EINVAL:  # the kernel knows no more of them
                    return
                raise


def sethostname(name: str) -> None:
    """The name of this UTS namespace's host."""
    data = name.encode()
    _check(_libc.sethostname(data, len(data)))


def private_mounts() -> None:
    """Let no mount from here on be seen elsewhere."""
    _mount("none", Path("/"), "", _MS_REC | _MS_PRIVATE)


def mount_new(kind: str, where: Path, options: str = "") -> None:
    """A new tmpfs, proc or devpts."""
    harmless = _MS_NOSUID | (_MS_NODEV | _MS_NOEXEC if kind == "proc" else 0)
    _mount(kind, where, kind, harmless, options)


def bind(what: Path, where: Path, *, writable: bool = False) -> None:
    """Show a file or a folder, with all that is mounted below it, at another place too; nothing
    there can be changed, or become another user, unless it is a writable device."""
    _mount(str(what), where, "", _MS_BIND | _MS_REC)
    if not writable:
        wanted = (ctypes.c_uint64 * 4)(_ATTR_RDONLY | _ATTR_NOSUID, 0, 0, 0)
        path = os.fsencode(where)
        _check(
            _libc.syscall(
                _SYS_MOUNT_SETATTR,
                _AT_FDCWD,
                path,
                _AT_RECURSIVE,
                ctypes.byref(wanted),
                ctypes.sizeof(wanted),
            )
        )


def change_root(where: Path) -> None:
    """Make a mount the root of this mount namespace, and let go of the old one."""
    os.chdir(where)
    _check(_libc.syscall(_SYS_PIVOT_ROOT, b".", b"."))
    _check(_libc.umount2(b".", _MNT_DETACH))
    os.chdir("/")


def _mount(what: str, where: Path, kind: str, flags: int, options: str = "") -> None:
    source, target = os.fsencode(what), os.fsencode(where)
    all_flags = ctypes.c_ulong(flags)
    _check(_libc.mount(source, target, kind.encode(), all_flags, options.encode()))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
