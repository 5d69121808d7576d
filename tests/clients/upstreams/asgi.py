"""An API in Starlette, for uvicorn: `python -m uvicorn asgi:app --app-dir …`."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

outcomes: dict[str, str] = {}
released = asyncio.Event()


async def echo(request: Request) -> Response:
    hash_, bytes_ = hashlib.sha256(), 0
    id_ = request.query_params.get("id", "")
    try:
        async for piece in request.stream():
            outcomes[id_] = "reading"
            hash_.update(piece)
            bytes_ += len(piece)
    except ClientDisconnect:
        outcomes[id_] = "aborted"
        raise
    target = request.scope["raw_path"].decode()
    return JSONResponse(
        {"target": target, "bytes": bytes_, "sha256": hash_.hexdigest(), "headers": dict(request.headers)}
    )


async def events(request: Request) -> Response:
    """The second event comes only after `/release`: whoever gets the first before that has no buffer."""

    async def stream() -> AsyncIterator[str]:
        released.clear()
        yield "event: first\ndata: 1\n\n"
        await released.wait()
        for at in range(2, 5):
            yield f"id: {at}\ndata: {at}\n\n"

    return StreamingResponse(stream(), media_type="text/event-stream")


async def release(request: Request) -> Response:
    released.set()
    return PlainTextResponse("released")


async def endless(request: Request) -> Response:
    async def stream() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"more\n"
                await asyncio.sleep(0.02)
        finally:
            outcomes[request.query_params["id"]] = "ended"

    return StreamingResponse(stream())


async def patient(request: Request) -> Response:
    """Works for long, and looks now and then whether anybody still waits."""
    id_ = request.query_params["id"]
    outcomes[id_] = "working"
    for _ in range(1000):
        if await request.is_disconnected():
            outcomes[id_] = "disconnected"
            return PlainTextResponse("for nobody")
        await asyncio.sleep(0.02)
    return PlainTextResponse("done")


async def status(request: Request) -> Response:
    return JSONResponse(outcomes.get(request.path_params["id"]))


METHODS = ["GET", "POST", "PUT"]
app = Starlette(
    routes=[
        Route("/open/events", events),
        Route("/open/release", release),
        Route("/open/endless", endless),
        Route("/open/patient", patient),
        Route("/status/{id}", status),
        Route("/open/{rest:path}", echo, methods=METHODS),
        Route("/org/{number}/{rest:path}", echo, methods=METHODS),
    ]
)
