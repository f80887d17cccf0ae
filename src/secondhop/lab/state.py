"""Where labs that stay are known: a folder for each, and the lock that its keeper holds.

$XDG_RUNTIME_DIR/secondhop/    or /tmp/secondhop-UID/; mode 0700, ours
    NAME/lock                  locked as long as the lab lives; the keeper's process id
    NAME/control               a socket: questions to the lab
    NAME/kubeconfig            mode 0600
    NAME.ended                 why a lab ended that nobody took down
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from ..errors import EnvironmentUnable, UsageError

_CONTROL = "control"
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?")


class State:
    """The folder of one lab, which may or may not be there."""

    def __init__(self, name: str, root: Path | None = None) -> None:
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} cannot be a lab's name", "Use up to 32 letters a-z, digits and dashes."
            )
        self.name = name
        self._root = root or state_root()
        self.folder = self._root / name
        self.kubeconfig = self.folder / "kubeconfig"
        self._lock = self.folder / "lock"
        self._note = self._root / f"{name}.ended"

    def create(self) -> int:
        """Make the folder, and take the lock: a descriptor that holds it for as long as it is open.

        Raises UsageError if the lab is there already. What a lab left that was killed goes away.
        """
        root = os.open(self._root, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(root, fcntl.LOCK_EX)  # against others who create
            if self.keeper() is not None:
                raise UsageError(
                    f"the lab {self.name} is up already",
                    f"Use it, take it down with `secondhop lab down --name {self.name}`, or give"
                    " another --name.",
                )
            self.remove()
            self._note.unlink(missing_ok=True)
            self.folder.mkdir(mode=0o700)
            descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        finally:
            os.close(root)
        return descriptor

    @contextlib.contextmanager
    def address(self) -> Iterator[str]:
        """The control socket's path, short enough for a socket however deep the folder lies."""
        folder = os.open(self.folder, os.O_PATH | os.O_CLOEXEC)
        try:
            yield f"/proc/self/fd/{folder}/{_CONTROL}"
        finally:
            os.close(folder)

    def keeper(self) -> int | None:
        """The process id of the keeper; None if the lab is not up."""
        with contextlib.suppress(OSError), open(self._lock) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(lock.read() or 0)
        return None

    def remove(self) -> None:
        """Remove the folder, if it is there."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def leave_note(self, why: str) -> None:
        """Say why the lab ended, for the next who asks for it."""
        self._note.write_text(f"{why}\n")

    def note(self) -> str:
        """Why it ended, if it ended by itself."""
        try:
            return self._note.read_text().strip()
        except FileNotFoundError:
            return ""

    def forget_note(self) -> bool:
        """Remove the note; whether there was one."""
        try:
            self._note.unlink()
        except FileNotFoundError:
            return False
        return True


def write_secret(path: Path, text: str) -> None:
    """A new file that nobody else may read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w") as file:
        file.write(text)


def states() -> list[State]:
    """Every lab that has left a trace, by name."""
    root = state_root()
    names = {path.stem if path.suffix == ".ended" else path.name for path in root.iterdir()}
    return [State(name, root) for name in sorted(names) if _NAME.fullmatch(name)]


def state_root() -> Path:
    """The folder of all labs of this user, made if need be. Raises EnvironmentUnable if somebody
    else could write to it."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and _ours(Path(runtime)):
        root = Path(runtime, "secondhop")
    else:
        root = Path(f"/tmp/secondhop-{os.geteuid()}")
    with contextlib.suppress(FileExistsError):
        root.mkdir(mode=0o700)
    if not _ours(root):
        raise EnvironmentUnable(
            f"{root} belongs to somebody else, or others may write to it",
            "Remove it, or set XDG_RUNTIME_DIR to a folder of yours.",
        )
    return root


def _ours(path: Path) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    private = not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and private
