"""The real control plane in the place of ours: etcd, kube-apiserver, kube-controller-manager and
kube-scheduler as programs of the lab, in the supervisor's own network namespace.

Everything they listen on is a 127.0.0.1 that nothing but they and the supervisor reaches; the API
is passed on to the lab's own listeners. What they keep is in one folder, mode 0700, and goes with
the lab.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ..apiserver.http.credentials import Credentials
from ..client import meta
from ..client.kubeconfig import Access
from ..client.url import UrlApi
from ..errors import ApiError, EnvironmentUnable, LabError
from ..model.cluster import Cluster
from .daemon import Daemon
from .kubelet import LEASES
from .netns import Namespace
from .rtnetlink import Netlink
from .state import write_secret

PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
_SECONDS = 60.0
_LOOPBACK = 1
_ETCD, _PEERS = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
_FIRST_NAMESPACES = {"default", LEASES}


def expect_programs(folder: Path) -> None:
    """Raises EnvironmentUnable unless all four are in the folder and can be executed."""
    missing = [name for name in PROGRAMS if not os.access(folder / name, os.X_OK)]
    if missing:
        raise EnvironmentUnable(
            f"--control-plane {folder}: {', '.join(missing)} cannot be executed there",
            f"Name a folder with {', '.join(PROGRAMS)}; `secondhop lab up` alone needs none.",
        )


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """What is to run. programs: the folder that has them. folder: for keys, data and logs, not
    there yet. port: of the API. kubeconfig: the text of one."""

    programs: Path
    folder: Path
    port: int
    credentials: Credentials
    kubeconfig: str = field(repr=False)
    node_grace_seconds: float

    @asynccontextmanager
    async def running(
        self, cluster: Cluster, tell: Callable[[str], None]
    ) -> AsyncIterator[tuple[UrlApi, Sequence[Daemon]]]:
        """All of it, once the API answers; a client of it, and the programs, whose end is the
        lab's. tell: of what is waited for. Raises LabError, EnvironmentUnable."""
        loopback_up()
        self.folder.mkdir(mode=0o700)
        files = {
            "ca.crt": self.credentials.authority,
            "server.crt": self.credentials.certificate,
            "server.key": self.credentials.key,
            "tokens.csv": f'{self.credentials.token},secondhop-admin,0,"system:masters"\n',
            "kubeconfig": self.kubeconfig,
        }
        for name, text in files.items():
            write_secret(self.folder / name, text)
        tell("waiting for the control plane: etcd and kube-apiserver")
        daemons = [self._start("etcd", _etcd()), self._start("kube-apiserver", self._api(cluster))]
        access = Access(
            f"https://127.0.0.1:{self.port}", self.credentials.authority, self.credentials.token
        )
        async with UrlApi(access) as api:
            await _answering(api, daemons)
            daemons.append(self._start("kube-controller-manager", self._controllers(cluster)))
            daemons.append(self._start("kube-scheduler", _CLIENT))
            yield api, daemons

    def _start(self, name: str, flags: Sequence[str]) -> Daemon:
        path = self.folder / f"{name}.log"
        log = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        return Daemon(name, [str(self.programs / name), *flags], log=log, folder=self.folder)

    def _api(self, cluster: Cluster) -> list[str]:
        """Volumes of service accounts are what our kubelets do not have, so nothing asks for them;
        endpoints of the API are what no pod could reach."""
        return [
            f"--etcd-servers={_ETCD}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--advertise-address={cluster.nodes[0].addresses[0].ip}",
            "--endpoint-reconciler-type=none",
            f"--service-cluster-ip-range={_joined(cluster.cni.service_cidrs)}",
            "--tls-cert-file=server.crt",
            "--tls-private-key-file=server.key",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-account-key-file=server.crt",
            "--service-account-signing-key-file=server.key",
            "--token-auth-file=tokens.csv",
            "--authorization-mode=RBAC",
            "--disable-admission-plugins=ServiceAccount",
        ]

    def _controllers(self, cluster: Cluster) -> list[str]:
        return [
            *_CLIENT,
            f"--cluster-cidr={_joined(cluster.cni.pod_cidrs)}",
            f"--service-cluster-ip-range={_joined(cluster.cni.service_cidrs)}",
            f"--node-monitor-grace-period={self.node_grace_seconds:.0f}s",
            "--service-account-private-key-file=server.key",
            "--root-ca-file=ca.crt",
        ]


_CLIENT = (
    "--kubeconfig=kubeconfig",
    "--authentication-kubeconfig=kubeconfig",
    "--authorization-kubeconfig=kubeconfig",
    "--leader-elect=false",
    "--bind-address=127.0.0.1",
)


def _etcd() -> list[str]:
    """Nothing is worth a wait for the disk: the data go with the lab."""
    return [
        "--data-dir=etcd",
        f"--listen-client-urls={_ETCD}",
        f"--advertise-client-urls={_ETCD}",
        f"--listen-peer-urls={_PEERS}",
        f"--initial-advertise-peer-urls={_PEERS}",
        f"--initial-cluster=default={_PEERS}",
        "--unsafe-no-fsync",
    ]


def _joined(networks: Sequence[object]) -> str:
    return ",".join(map(str, networks))


def loopback_up() -> None:
    """127.0.0.1 for the supervisor's own namespace. Raises LabError."""
    here = Netlink(Namespace.current("the control plane"))
    here.link_up(_LOOPBACK, "lo")
    here.commit()
    here.close()


async def _answering(api: UrlApi, daemons: Sequence[Daemon]) -> None:
    """Wait until the API has what every cluster begins with. Raises LabError."""
    said = "it does not answer"
    try:
        async with asyncio.timeout(_SECONDS):
            while True:
                for daemon in daemons:
                    daemon.check()
                try:
                    if await api.ready():
                        found = {meta(one)[1] for one in (await api.list("Namespace")).items}
                        if found >= _FIRST_NAMESPACES:
                            return
                    said = "it says that it is not ready"
                except (ApiError, OSError) as error:
                    said = str(error)
                await asyncio.sleep(0.1)
    except TimeoutError:
        lines = "\n".join(daemon.last_lines() for daemon in daemons)
        raise LabError(
            f"kube-apiserver was not ready within {_SECONDS:.0f} s ({said}); last lines of"
            f" {' and '.join(daemon.name for daemon in daemons)}:\n{lines}",
            "Try again on a quieter machine, or without --control-plane.",
        ) from None
