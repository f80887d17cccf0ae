"""Whatever is asked of the API: no failure of its own, a Status for each refusal, a sane store.

Requests are drawn by `nonsense`, from our own definitions and a seed: a failure names its story and
the request. Hypothesis and Schemathesis were tried on the same definitions: both prefer the
simplest, so that hardly a write is accepted and nothing is there to be broken, and Schemathesis
sends three requests a second. Here it is a thousand, and one in nine changes something.
"""

from __future__ import annotations

import asyncio
import logging

import pytest
from serving import a_cluster

from secondhop.apiserver.kinds import KINDS
from secondhop.apiserver.server import Server

from .asgi import an_app, ask
from .corpus import valid
from .nonsense import Nonsense
from .sanity import check_reply, check_server

_LENGTH = 50
"""Requests of a story, which begins with one object of each kind."""
_BEGINNING = 1


def _one_of_each() -> Server:
    server = a_cluster()
    for kind in (each for each in KINDS.values() if "create" in each.verbs):
        server.create(kind, valid(kind.kind), "default" if kind.namespaced else "")
    return server


def _tell(story: int, caplog: pytest.LogCaptureFixture) -> None:
    server = _one_of_each()
    app = an_app(server)

    async def main() -> None:
        for number, asked in enumerate(Nonsense(story, server).story(_LENGTH)):
            try:
                check_reply(asked, await ask(app, asked))
            except Exception as error:
                error.add_note(f"story {story}, request {number}: {asked}")
                raise

    caplog.clear()
    asyncio.run(main())
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]
    try:
        check_server(server, app, _BEGINNING)
    except Exception as error:
        error.add_note(f"after story {story}")
        raise


@pytest.mark.timeout(300)
def test_ten_thousand_requests(caplog: pytest.LogCaptureFixture) -> None:
    for story in range(200):
        _tell(story, caplog)


def test_a_dry_run_changes_nothing() -> None:
    """Neither the store nor what is allocated."""
    server = _one_of_each()
    app, revision = an_app(server), server._store.revision

    async def main() -> None:
        for asked in Nonsense(0, server).story(1500):
            query = f"{asked.query}&dryRun=All" if asked.query else "dryRun=All"
            await ask(app, asked._replace(query=query))
            assert server._store.revision == revision, asked

    asyncio.run(main())
    check_server(server, app, _BEGINNING)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_hundred_thousand_requests(caplog: pytest.LogCaptureFixture) -> None:
    for story in range(1000, 3000):
        _tell(story, caplog)
