"""Routes in Starlette. The answer is as in routes.conf."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def say(name: str) -> object:
    async def answer(request: Request) -> Response:
        query = request.scope["query_string"]
        raw = request.scope["raw_path"] + (b"?" + query if query else b"")
        capture = request.path_params.get("id", "")
        rule = request.headers.get("portvakt-rule", "")
        text = "\n".join([name, rule, raw.decode("latin-1"), ""]).encode("latin-1")
        return Response(text + capture.encode("utf-8", "surrogateescape"))

    return answer


app = Starlette(
    routes=[
        Route("/", say("root")),
        Route("/public/a", say("public-a")),
        Route("/public/a/", say("public-a-slash")),
        Route("/open/admin", say("admin")),
        Route("/open/{id}", say("open")),
        Route("/open/{id}/secret", say("secret")),
        Route("/open/{id}/items/{item}", say("item")),
        Route("/encoded/{id}", say("encoded")),
        Route("/closed/{rest:path}", say("closed")),
        Route("/files/{id:path}", say("files")),
        Route("/{rest:path}", say("none")),
    ]
)
