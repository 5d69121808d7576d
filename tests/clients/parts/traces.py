"""Traces as a collector gets them, by OpenTelemetry's own messages: over HTTP and over gRPC; and with no collector."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import httpx
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from harness.checks import Checks, eventually, holds, same
from harness.process import free_port
from harness.world import CLIENT, STRANGER, Proxy, World, http_get

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
# Batches at once, and everything that platforms set.
VARIABLES = {
    "OTEL_BSP_SCHEDULE_DELAY": "20",
    "OTEL_SERVICE_NAME": "mva",
    "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=tt02,team=en%20to",
}


class Collector:
    """What came, and with which headers."""

    def __init__(self) -> None:
        self.requests: list[service.ExportTraceServiceRequest] = []
        self.headers: list[dict[str, str]] = []
        self.refusals = 0

    def take(self, message: bytes, headers: dict[str, str]) -> bool:
        self.headers.append(headers)
        if self.refusals > 0:
            self.refusals -= 1
            return False
        self.requests.append(service.ExportTraceServiceRequest.FromString(message))
        return True

    def spans(self) -> list[Span]:
        return [
            span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


@contextmanager
def over_http(collector: Collector) -> Iterator[int]:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            taken = self.path == "/base/v1/traces" and collector.take(
                body, {k.lower(): v for k, v in self.headers.items()}
            )
            self.send_response(200 if taken else 503)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def over_grpc(collector: Collector) -> Iterator[int]:
    def export(request: bytes, call: grpc.ServicerContext) -> bytes:
        if not collector.take(request, dict(call.invocation_metadata())):
            call.abort(grpc.StatusCode.UNAVAILABLE, "later")
        return service.ExportTraceServiceResponse().SerializeToString()

    class Service(grpc.GenericRpcHandler):
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
            return grpc.unary_unary_rpc_method_handler(export) if details.method == EXPORT else None

    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers([Service()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()


def run(world: World, checks: Checks) -> None:
    for protocol, serve, base in (("http/protobuf", over_http, "/base/"), ("grpc", over_grpc, "")):
        collector = Collector()
        with serve(collector) as port, world.node() as (upstream, _):
            variables = VARIABLES | {
                "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}{base}",
                "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
                "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=nav%2Cetaten",
            }
            with world.proxy(upstream, variables=variables) as proxy:
                traced(world, proxy, collector, protocol, checks)
    without(world, checks)


def traced(world: World, proxy: Proxy, collector: Collector, protocol: str, checks: Checks) -> None:
    with checks.case(f"{protocol}: a permitted request is one trace, with the caller above and the API below"):
        sent = ask(world, proxy, CLIENT, f"00-{TRACE}-{PARENT}-01")
        same(sent.status_code, 200)
        spans = gathered(collector, TRACE)
        own = named(spans, "SPAN_KIND_SERVER")
        same(own.parent_span_id.hex(), PARENT)
        values = {pair.key: pair.value.string_value or pair.value.int_value for pair in own.attributes}
        same((values["http.request.method"], values["http.response.status_code"]), ("GET", 200))
        same(values["portvakt.decision"], "Permit")
        holds(own.name == f"GET {values['http.route']}", own.name)
        clients = {span.name: span for span in spans if span.kind == Span.SPAN_KIND_CLIENT}
        same(set(clients), {"GET", "POST"})
        same(clients["GET"].parent_span_id, own.span_id)
        said = {key.lower(): value for key, value in sent.json()["headers"].items()}
        same(said["traceparent"], f"00-{TRACE}-{clients['GET'].span_id.hex()}-01")
        stages = {span.span_id: span.name for span in spans if span.kind == Span.SPAN_KIND_INTERNAL}
        same(stages[clients["POST"].parent_span_id], "portvakt.decision")
        holds({"portvakt.route", "portvakt.token", "portvakt.question"} <= set(stages.values()), str(stages))
        for span in spans:
            holds(own.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano, span.name)
            holds(span.end_time_unix_nano <= own.end_time_unix_nano, span.name)
    with checks.case(f"{protocol}: who we are, and what the collector wants to be told"):
        resource = collector.requests[-1].resource_spans[0].resource
        values = {pair.key: pair.value.string_value for pair in resource.attributes}
        same((values["service.name"], values["deployment.environment"], values["team"]), ("mva", "tt02", "en to"))
        same(collector.headers[-1]["x-tenant"], "nav,etaten")
    with checks.case(f"{protocol}: a caller that does not sample is not followed, and its header goes on"):
        before = len(collector.spans())
        unsampled = f"00-{TRACE[::-1]}-{PARENT}-00"
        sent = ask(world, proxy, CLIENT, unsampled)
        same({k.lower(): v for k, v in sent.json()["headers"].items()}["traceparent"], unsampled)
        ask(world, proxy, STRANGER)
        eventually(lambda: len(collector.spans()) > before, "a refused request's trace", 10)
        holds(all(span.trace_id.hex() != TRACE[::-1] for span in collector.spans()), "the unsampled one")
        refused = [span for span in collector.spans()[before:] if span.kind == Span.SPAN_KIND_SERVER]
        values = {pair.key: pair.value.string_value for pair in refused[0].attributes}
        same((values["portvakt.code"], refused[0].status.code), ("access-denied", 0))
    with checks.case(f"{protocol}: nothing that names a person or a secret is in them"):
        whole = b"".join(request.SerializeToString() for request in collector.requests)
        for secret in (world.token.encode(), CLIENT.encode(), STRANGER.encode(), b"/echo", b"a=b"):
            holds(secret not in whole, secret.decode()[:12])
    with checks.case(f"{protocol}: a collector that refuses for a moment is asked again"):
        collector.refusals = 1
        trace = TRACE.replace("4", "5")
        ask(world, proxy, CLIENT, f"00-{trace}-{PARENT}-01")
        gathered(collector, trace)
        holds(
            'portvakt_traces_total{outcome="lost"} 0'
            in http_get(f"http://127.0.0.1:{proxy.admin}/metrics")[1].decode(),
            "lost",
        )


def without(world: World, checks: Checks) -> None:
    """Nobody listens where the collector should be."""
    with checks.case("no collector: requests are served, and what is lost is counted"), world.node() as (upstream, _):
        endpoint = f"http://127.0.0.1:{free_port()}"
        variables = VARIABLES | {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
        with world.proxy(upstream, variables=variables) as proxy:
            for _ in range(50):
                same(ask(world, proxy, CLIENT).status_code, 200)

            def lost() -> bool:
                metrics = http_get(f"http://127.0.0.1:{proxy.admin}/metrics")[1].decode()
                return "portvakt_traces_total" in metrics and 'portvakt_traces_total{outcome="lost"} 0' not in metrics

            eventually(lost, "counted", 20)


def ask(world: World, proxy: Proxy, party: str, traceparent: str | None = None) -> httpx.Response:
    sent = world.bearer | ({"traceparent": traceparent} if traceparent else {})
    return httpx.get(f"{proxy.url}/org/{party}/echo?a=b", headers=sent, timeout=10)


def gathered(collector: Collector, trace: str) -> list[Span]:
    def of_it() -> list[Span]:
        return [span for span in collector.spans() if span.trace_id.hex() == trace]

    eventually(lambda: bool(of_it()), f"the trace {trace}", 10)
    return of_it()


def named(spans: list[Span], kind: str) -> Span:
    found = [span for span in spans if Span.SpanKind.Name(span.kind) == kind]
    same(len(found), 1)
    return found[0]
