"""WebSockets: client and server of `websockets`, and RFC 8441 by hand with `h2`."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode

from harness.checks import Checks, Wrong, holds, same
from harness.process import free_port
from harness.world import CLIENT, SOCKET_RULES, STRANGER, Proxy, World

MEBIBYTE = 1 << 20


class Api:
    """Echoes; does what it is told by `close CODE`, `ping` and `drop`; and keeps how its sockets ended."""

    def __init__(self) -> None:
        self.ended: dict[str, int | None] = {}
        self.rules: set[str] = set()

    async def serve(self, socket: ServerConnection) -> None:
        assert socket.request
        self.rules.add(socket.request.headers["portvakt-rule"])
        name = socket.request.headers.get("x-name", "")
        try:
            async for message in socket:
                await self.answer(socket, message)
        except ConnectionClosed:
            pass
        self.ended[name] = socket.close_code

    async def answer(self, socket: ServerConnection, message: str | bytes) -> None:
        match message:
            case str() if message.startswith("close "):
                await socket.close(int(message.split()[1]), "as told")
            case "ping":
                await (await socket.ping(b"are you there"))
                await socket.send("ponged")
            case "drop":
                socket.transport.abort()
            case _:
                await socket.send(message)


def run(world: World, checks: Checks) -> None:
    asyncio.run(all_sockets(world, checks))


async def all_sockets(world: World, checks: Checks) -> None:
    api = Api()
    async with serve(api.serve, "127.0.0.1", 0, max_size=4 * MEBIBYTE) as server:
        upstream = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with world.proxy(upstream, routes=SOCKET_RULES) as proxy:
            await messages(world, proxy, checks)
            await endings(world, proxy, checks, api)
            await refusals(world, proxy, checks)
            await over_http2(world, proxy, checks)
        with checks.case("over TLS"), world.proxy(upstream, routes=SOCKET_RULES, tls=True) as proxy:
            context = tls_context(world)
            url = f"wss://localhost:{proxy.port}/open-socket"
            async with connect(url, ssl=context) as socket:
                await echo(socket, "over TLS")
        with checks.case("the API saw each rule"):
            same(api.rules, {"socket", "open-socket"})
    with (
        checks.case("an API that is down: 502"),
        world.proxy(f"http://127.0.0.1:{free_port()}", routes=SOCKET_RULES) as proxy,
    ):
        await refused(proxy, "/open-socket", {}, 502)


def tls_context(world: World) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(world.certificates.authority))


@asynccontextmanager
async def opened(world: World, proxy: Proxy, name: str = "") -> AsyncIterator[ClientConnection]:
    headers = world.bearer | {"x-name": name}
    url = f"ws://127.0.0.1:{proxy.port}/socket/{CLIENT}"
    async with connect(url, additional_headers=headers, max_size=4 * MEBIBYTE) as socket:
        yield socket


async def echo(socket: ClientConnection, message: str | bytes) -> None:
    await socket.send(message)
    found = await asyncio.wait_for(socket.recv(), 10)
    holds(found == message, f"{len(found)} other characters or bytes came back")


async def messages(world: World, proxy: Proxy, checks: Checks) -> None:
    with checks.case("text, bytes, nothing, 1 MiB of each"):
        async with opened(world, proxy) as socket:
            for message in ["tekst æøå", b"\x00\xff", "", b"", "x" * MEBIBYTE, b"\x07" * MEBIBYTE]:
                await echo(socket, message)
    with checks.case("a message in fragments"):
        async with opened(world, proxy) as socket:
            await socket.send(iter(["frag", "men", "ts"]))
            same(await asyncio.wait_for(socket.recv(), 10), "fragments")
    with checks.case("ping from either side"):
        async with opened(world, proxy) as socket:
            await asyncio.wait_for(await socket.ping(), 10)
            await socket.send("ping")
            same(await asyncio.wait_for(socket.recv(), 10), "ponged")
    with checks.case("a message that is sent before the other is read"):
        async with opened(world, proxy) as socket:
            for at in range(1000):
                await socket.send(str(at))
            same([await socket.recv() for _ in range(1000)], [str(at) for at in range(1000)])
    with checks.case("50 at once, each with its own messages"):
        await asyncio.gather(*(own_messages(world, proxy, at) for at in range(50)))


async def own_messages(world: World, proxy: Proxy, number: int) -> None:
    async with opened(world, proxy) as socket:
        for at in range(20):
            await echo(socket, f"{number}: {at} " + "x" * (at * 500))


async def endings(world: World, proxy: Proxy, checks: Checks, api: Api) -> None:
    with checks.case("the API closes with a code and a reason"):
        async with opened(world, proxy) as socket:
            await socket.send("close 4001")
            await socket.wait_closed()
        same((socket.close_code, socket.close_reason), (4001, "as told"))
    with checks.case("the client closes with a code"):
        async with opened(world, proxy, "code") as socket:
            await socket.close(4002, "enough")
        await ended(api, "code", 4002)
    with checks.case("the client vanishes, and the API is told"):
        async with opened(world, proxy, "vanished") as socket:
            await echo(socket, "here")
            socket.transport.abort()
            await ended(api, "vanished", 1006)
    with checks.case("the API vanishes, and the client is told"):
        async with opened(world, proxy) as socket:
            await socket.send("drop")
            await asyncio.wait_for(socket.wait_closed(), 10)
        same(socket.close_code, 1006)


async def ended(api: Api, name: str, code: int) -> None:
    for _ in range(500):
        if name in api.ended:
            same(api.ended[name], code)
            return
        await asyncio.sleep(0.02)
    raise Wrong(f"the API never heard that `{name}` ended")


async def refusals(world: World, proxy: Proxy, checks: Checks) -> None:
    for name, path, headers, status in [
        ("no token", f"/socket/{CLIENT}", {}, 401),
        ("no right", f"/socket/{STRANGER}", world.bearer, 403),
        ("no rule", "/nothing", {}, 404),
    ]:
        with checks.case(f"handshake refused: {name}"):
            await refused(proxy, path, headers, status)
    with checks.case("no tunnel where the rule says nothing of upgrades"):
        # The API gets a plain GET, and answers as it does to one without an upgrade.
        await refused(proxy, "/open/socket", {}, 426)


async def refused(proxy: Proxy, path: str, headers: dict[str, str], status: int) -> None:
    try:
        async with connect(f"ws://127.0.0.1:{proxy.port}{path}", additional_headers=headers):
            raise Wrong("the handshake succeeded")
    except InvalidStatus as fault:
        same(fault.response.status_code, status)


async def over_http2(world: World, proxy: Proxy, checks: Checks) -> None:
    with checks.case("RFC 8441: messages, and the close of both sides"):
        async with extended(proxy) as tunnel:
            await tunnel.open(f"/socket/{CLIENT}", world.bearer)
            for size in [5, 1000, 200_000]:
                payload = b"y" * size
                await tunnel.send(Frame(Opcode.BINARY, payload))
                same(await tunnel.receive(), payload)
            await tunnel.send(Frame(Opcode.CLOSE, (1000).to_bytes(2, "big")))
            same((await tunnel.receive())[:2], (1000).to_bytes(2, "big"))
    with checks.case("RFC 8441: refused with 403, and the connection goes on"):
        async with extended(proxy) as tunnel:
            same(await tunnel.ask(f"/socket/{STRANGER}", world.bearer), 403)
            same(await tunnel.ask("/open-socket", {}), 200)


class Tunnel:
    """One HTTP/2 connection, on which one extended CONNECT at a time is opened."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.http2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.stream, self.status, self.data, self.ended = 0, 0, b"", False
        self.supported = False

    async def begin(self) -> None:
        self.http2.initiate_connection()
        while not self.supported:
            await self.turn()

    async def open(self, path: str, headers: dict[str, str]) -> None:
        same(await self.ask(path, headers), 200)

    async def ask(self, path: str, headers: dict[str, str]) -> int:
        self.stream, self.status = self.http2.get_next_available_stream_id(), 0
        self.http2.send_headers(
            self.stream,
            [
                (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"),
                (":authority", "127.0.0.1"), (":path", path), ("sec-websocket-version", "13"),
                *headers.items(),
            ],
        )  # fmt: skip
        while not self.status:
            await self.turn()
        return self.status

    async def send(self, frame: Frame) -> None:
        left = frame.serialize(mask=True)
        while left:
            room = min(self.http2.local_flow_control_window(self.stream), self.http2.max_outbound_frame_size)
            if room > 0:
                self.http2.send_data(self.stream, left[:room])
                left = left[room:]
                self.writer.write(self.http2.data_to_send())
            else:
                await self.turn()

    async def receive(self) -> bytes:
        """The payload of the next frame. A server does not mask."""
        head = await self.take(2)
        length = head[1] & 0x7F
        if length >= 126:
            length = int.from_bytes(await self.take(2 if length == 126 else 8), "big")
        return await self.take(length)

    async def take(self, bytes_: int) -> bytes:
        while len(self.data) < bytes_:
            holds(not self.ended, "the stream ended")
            await self.turn()
        taken, self.data = self.data[:bytes_], self.data[bytes_:]
        return taken

    async def turn(self) -> None:
        """Sends what waits, and reads once."""
        self.writer.write(self.http2.data_to_send())
        received = await asyncio.wait_for(self.reader.read(65536), 10)
        holds(received, "the connection ended")
        for event in self.http2.receive_data(received):
            match event:
                case h2.events.RemoteSettingsChanged():
                    setting = h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL
                    changed = event.changed_settings.get(setting)
                    holds(changed is not None and changed.new_value == 1, "no extended CONNECT is offered")
                    self.supported = True
                case h2.events.ResponseReceived():
                    self.status = int(dict(event.headers)[b":status"])
                case h2.events.DataReceived():
                    self.data += event.data
                    self.http2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                case h2.events.StreamEnded() | h2.events.StreamReset() if event.stream_id == self.stream:
                    self.ended = True


@asynccontextmanager
async def extended(proxy: Proxy) -> AsyncIterator[Tunnel]:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        tunnel = Tunnel(reader, writer)
        await tunnel.begin()
        yield tunnel
    finally:
        writer.close()
