"""gRPC of Google: client and server in this process, Portvakt between them. No protoc: bytes are bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

from harness.checks import Checks, Wrong, holds, same
from harness.process import free_port
from harness.world import CLIENT, PARTY_HEADER, STRANGER, Proxy, World

SERVICE = "portvakt.test.Echo"
MEBIBYTE = 1 << 20


class Api:
    """What the methods do, and what became of the calls that were cut off."""

    def __init__(self) -> None:
        self.cancelled: set[str] = set()

    async def unary(self, request: bytes, call: grpc.aio.ServicerContext) -> bytes:
        sent = dict(call.invocation_metadata() or ())
        await call.send_initial_metadata([("seen", str(sent.get("asked", ""))), ("rule", sent["portvakt-rule"])])
        call.set_trailing_metadata([("after-bin", b"\x00\xff")])
        return request

    async def refuse(self, _request: bytes, call: grpc.aio.ServicerContext) -> bytes:
        await call.abort(grpc.StatusCode.FAILED_PRECONDITION, "ikke nå: 100 % æ", (("why", "because"),))
        raise AssertionError

    async def down(self, request: bytes, _call: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
        for at in range(int(request)):
            yield str(at).encode()

    async def up(self, requests: AsyncIterator[bytes], _call: grpc.aio.ServicerContext) -> bytes:
        return str(sum([len(request) async for request in requests])).encode()

    async def both(self, requests: AsyncIterator[bytes], _call: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request.upper()

    async def sleep(self, request: bytes, _call: grpc.aio.ServicerContext) -> bytes:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.cancelled.add(request.decode())
            raise
        return b""

    async def drip(self, request: bytes, _call: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"more"
                await asyncio.sleep(0.02)
        finally:
            self.cancelled.add(request.decode())

    def handler(self) -> grpc.GenericRpcHandler:
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Unary": grpc.unary_unary_rpc_method_handler(self.unary),
                "Refuse": grpc.unary_unary_rpc_method_handler(self.refuse),
                "Down": grpc.unary_stream_rpc_method_handler(self.down),
                "Up": grpc.stream_unary_rpc_method_handler(self.up),
                "Both": grpc.stream_stream_rpc_method_handler(self.both),
                "Sleep": grpc.unary_unary_rpc_method_handler(self.sleep),
                "Drip": grpc.unary_stream_rpc_method_handler(self.drip),
            },
        )


class Caller:
    """A channel, and the metadata of a permitted caller."""

    def __init__(self, world: World, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.metadata = [*world.bearer.items(), (PARTY_HEADER, CLIENT)]

    def unary(self, method: str) -> grpc.aio.UnaryUnaryMultiCallable:
        return self.channel.unary_unary(f"/{SERVICE}/{method}")

    def down(self, method: str) -> grpc.aio.UnaryStreamMultiCallable:
        return self.channel.unary_stream(f"/{SERVICE}/{method}")

    def up(self, method: str) -> grpc.aio.StreamUnaryMultiCallable:
        return self.channel.stream_unary(f"/{SERVICE}/{method}")

    def both(self, method: str) -> grpc.aio.StreamStreamMultiCallable:
        return self.channel.stream_stream(f"/{SERVICE}/{method}")


def run(world: World, checks: Checks) -> None:
    asyncio.run(all_calls(world, checks))


async def all_calls(world: World, checks: Checks) -> None:
    async with serving() as (api, port):
        with world.proxy(f"h2c://127.0.0.1:{port}") as proxy:
            async with calling(world, proxy) as caller:
                await calls(caller, checks)
                await streams(caller, checks)
                await cut_off(caller, checks, api)
                await refusals(world, caller, checks)
        with checks.case("over TLS"), world.proxy(f"h2c://127.0.0.1:{port}", tls=True) as proxy:
            async with calling(world, proxy) as caller:
                same(await caller.unary("Unary")(b"over TLS", metadata=caller.metadata, timeout=10), b"over TLS")
    with checks.case("an API that is down is UNAVAILABLE"), world.proxy(f"h2c://127.0.0.1:{free_port()}") as proxy:
        async with calling(world, proxy) as caller:
            await status_of(caller, "Unary", caller.metadata, grpc.StatusCode.UNAVAILABLE)


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[Api, int]]:
    api, server = Api(), grpc.aio.server(options=[("grpc.max_receive_message_length", 8 * MEBIBYTE)])
    server.add_generic_rpc_handlers((api.handler(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield api, port
    finally:
        await server.stop(0)


@asynccontextmanager
async def calling(world: World, proxy: Proxy) -> AsyncIterator[Caller]:
    options = [("grpc.max_receive_message_length", 8 * MEBIBYTE)]
    if proxy.scheme == "https":
        trusted = grpc.ssl_channel_credentials(world.certificates.authority.read_bytes())
        channel = grpc.aio.secure_channel(f"localhost:{proxy.port}", trusted, options)
    else:
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{proxy.port}", options)
    async with channel:
        yield Caller(world, channel)


async def calls(caller: Caller, checks: Checks) -> None:
    metadata = caller.metadata
    with checks.case("unary, with metadata both ways"):
        call = caller.unary("Unary")(b"x", metadata=[*metadata, ("asked", "yes")], timeout=10)
        same(await call, b"x")
        heads, trailers = dict(await call.initial_metadata()), dict(await call.trailing_metadata())
        same((heads["seen"], heads["rule"], trailers["after-bin"]), ("yes", "grpc", b"\x00\xff"))
    with checks.case("unary, nothing and 4 MiB"):
        for request in [b"", b"\x07" * 4 * MEBIBYTE]:
            same(await caller.unary("Unary")(request, metadata=metadata, timeout=20), request)
    with checks.case("100 at once, each with its own answer"):
        requests = [str(at).encode() for at in range(100)]
        answers = [caller.unary("Unary")(request, metadata=metadata, timeout=20) for request in requests]
        same(await asyncio.gather(*answers), requests)
    with checks.case("the API's own status, with its details and metadata"):
        fault = await status_of(caller, "Refuse", metadata, grpc.StatusCode.FAILED_PRECONDITION)
        same((fault.details(), dict(fault.trailing_metadata())["why"]), ("ikke nå: 100 % æ", "because"))
    with checks.case("a method that the API does not have"):
        await status_of(caller, "Nothing", metadata, grpc.StatusCode.UNIMPLEMENTED)


async def streams(caller: Caller, checks: Checks) -> None:
    metadata = caller.metadata
    with checks.case("1 000 messages down"):
        answers = [answer async for answer in caller.down("Down")(b"1000", metadata=metadata, timeout=20)]
        same(answers, [str(at).encode() for at in range(1000)])
    with checks.case("100 messages of 64 KiB up"):
        messages = (b"\x07" * 65536 for _ in range(100))
        same(await caller.up("Up")(messages, metadata=metadata, timeout=20), b"6553600")
    with checks.case("100 messages to and fro, each after the answer to the last"):
        call = caller.both("Both")(metadata=metadata, timeout=20)
        for at in range(100):
            await call.write(f"m{at}".encode())
            same(await call.read(), f"M{at}".encode())
        await call.done_writing()
        same(await call.read(), grpc.aio.EOF)
        same(await call.code(), grpc.StatusCode.OK)
    with checks.case("20 conversations at once"):
        await asyncio.gather(*(conversation(caller, at) for at in range(20)))


async def conversation(caller: Caller, number: int) -> None:
    messages = [f"c{number} m{at}".encode() for at in range(20)]
    call = caller.both("Both")(iter(messages), metadata=caller.metadata, timeout=20)
    same([answer async for answer in call], [message.upper() for message in messages])


async def cut_off(caller: Caller, checks: Checks, api: Api) -> None:
    metadata = caller.metadata
    with checks.case("a deadline passes, and the API is told"):
        call = caller.unary("Sleep")(b"deadline", metadata=metadata, timeout=0.3)
        await fails(call, grpc.StatusCode.DEADLINE_EXCEEDED)
        await told(api, "deadline")
    with checks.case("a call is cancelled, and the API is told"):
        call = caller.unary("Sleep")(b"cancelled", metadata=metadata)
        await asyncio.wait([asyncio.ensure_future(call.wait_for_connection())], timeout=0.3)
        call.cancel()
        await told(api, "cancelled")
    with checks.case("a stream is cancelled, and the API is told"):
        call = caller.down("Drip")(b"stream", metadata=metadata)
        same([await call.read(), await call.read()], [b"more", b"more"])
        call.cancel()
        await told(api, "stream")
    with checks.case("and the channel goes on"):
        same(await caller.unary("Unary")(b"on", metadata=metadata, timeout=10), b"on")


async def refusals(world: World, caller: Caller, checks: Checks) -> None:
    bearer = list(world.bearer.items())
    code = grpc.StatusCode
    for name, metadata, expected in [
        ("no token", [(PARTY_HEADER, CLIENT)], code.UNAUTHENTICATED),
        ("a bad token", [("authorization", "Bearer x"), (PARTY_HEADER, CLIENT)], code.UNAUTHENTICATED),
        ("no right", [*bearer, (PARTY_HEADER, STRANGER)], code.PERMISSION_DENIED),
        ("no party", bearer, code.INVALID_ARGUMENT),
    ]:
        with checks.case(f"refused: {name}"):
            fault = await status_of(caller, "Unary", metadata, expected)
            holds(fault.details(), "details")
    with checks.case("refused: no rule for the service"):
        await fails(caller.channel.unary_unary("/other.Service/Call")(b"", timeout=10), code.UNIMPLEMENTED)
    with checks.case("refused: a stream of requests"):
        call = caller.both("Both")(metadata=[(PARTY_HEADER, CLIENT)], timeout=10)
        same(await call.code(), code.UNAUTHENTICATED)


async def status_of(caller: Caller, method: str, metadata: list, expected: grpc.StatusCode) -> grpc.aio.AioRpcError:
    return await fails(caller.unary(method)(b"x", metadata=metadata, timeout=10), expected)


async def fails(call: grpc.aio.UnaryUnaryCall, expected: grpc.StatusCode) -> grpc.aio.AioRpcError:
    try:
        answer = await call
    except grpc.aio.AioRpcError as fault:
        same(fault.code(), expected, fault.details() or "no details")
        return fault
    raise Wrong(f"answered {answer!r}, expected {expected}")


async def told(api: Api, name: str) -> None:
    for _ in range(500):
        if name in api.cancelled:
            return
        await asyncio.sleep(0.02)
    raise Wrong(f"the API never heard that `{name}` ended")
