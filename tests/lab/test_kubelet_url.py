"""Kubelets, proxies and controllers that reach the API by a URL, as they reach a real one."""

import asyncio

import pytest
from embedding import Life, container, gone, is_true, living, restarts, shell
from support import deployment, service


@pytest.mark.parametrize("over_https", [False, True], ids=["local", "url"])
def test_a_cluster_lives_on_either_transport(over_https: bool) -> None:
    async def body(life: Life) -> None:
        for made in service(), deployment(replicas=2):
            await life.api.create(made | {"metadata": {"name": "web", "namespace": "default"}})
        for address in "192.168.8.1", "172.17.26.70":
            await answers(life, address)
        await life.pod("crash", shell("echo life; exit 3"))
        crashed = await life.until("crash", lambda pod: restarts(pod) >= 2)
        assert container(crashed)["lastState"]["terminated"]["exitCode"] == 3
        assert (await life.logs("crash", previous=True)).startswith("life")
        await life.pod("alone", shell("sleep 60"))
        await life.until("alone", is_true)
        assert await life.execute("alone", "hostname") == (0, "alone\n")
        await life.delete("alone", grace=0)
        await life.until("alone", gone)
        lease = await life.api.get("Lease", "gz1", "kube-node-lease")
        assert lease["spec"]["holderIdentity"] == "gz1"

    living(body, over_https=over_https)


async def answers(life: Life, address: str) -> None:
    async with asyncio.timeout(15):
        while True:
            try:
                reply = await life.fetch(address, 30080)
            except (OSError, TimeoutError):
                await asyncio.sleep(0.02)
                continue
            assert "Hostname: web-" in reply
            return
