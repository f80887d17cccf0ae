"""TCP passed on: everything, in both directions, to the end."""

import asyncio
import socket

from serving import listener

from secondhop.lab.forward import forwarding

MUCH = bytes(range(256)) * 4096


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says what it heard once the other has said everything."""
    writer.write(await reader.read())
    writer.close()


async def said(port: int, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    writer.write_eof()
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    return answer


def test_everything_arrives_and_so_does_its_end() -> None:
    async def main() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        entries = [listener(), listener()]
        async with forwarding(entries, server.sockets[0].getsockname()[1]):
            ports = [entry.getsockname()[1] for entry in entries]
            assert await asyncio.gather(*(said(port, MUCH) for port in ports)) == [MUCH, MUCH]
        server.close()

    asyncio.run(main())


def test_where_nobody_listens_the_connection_ends() -> None:
    async def main() -> None:
        nobody, entry = listener(), listener()
        async with forwarding([entry], nobody.getsockname()[1]):
            assert await said(entry.getsockname()[1], b"") == b""
        nobody.close()

    asyncio.run(main())


def test_a_listener_is_closed_at_the_end() -> None:
    async def main() -> None:
        entry = listener()
        port = entry.getsockname()[1]
        async with forwarding([entry], 9):
            pass
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind(("127.0.0.1", port))

    asyncio.run(main())
