"""GET with a target of any bytes, over HTTP/1.1 and HTTP/2, for the differential part."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import h2.config
import h2.connection
import h2.events
import h2.exceptions

PROBLEM = b"application/problem+json"
# Of the HTTP/2 library, which ends a stream or a connection without an answer of ours.
RESET = (0, True, b"")


class Connection:
    """A socket that is opened anew when it was closed."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.socket: socket.socket | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, fault: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def open(self) -> socket.socket:
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.socket

    def close(self) -> None:
        if self.socket:
            self.socket.close()
        self.socket = None

    def get(self, target: bytes) -> tuple[int, bool, bytes]:
        """Status, whether Portvakt itself answered, and the body."""
        raise NotImplementedError


class Http1(Connection):
    """One call after the other."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.buffer = b""

    def close(self) -> None:
        super().close()
        self.buffer = b""

    def get(self, target: bytes) -> tuple[int, bool, bytes]:
        (self.socket or self.open()).sendall(b"GET " + target + b" HTTP/1.1\r\nHost: api\r\n\r\n")
        head = self.read_head()
        lines = head.split(b"\r\n")
        fields = dict(line.lower().split(b": ", 1) for line in lines[1:] if b": " in line)
        body = self.read_body(fields)
        if fields.get(b"connection") == b"close":
            self.close()
        status = int(lines[0].split()[1])
        return status, fields.get(b"content-type") == PROBLEM, body

    def read_head(self) -> bytes:
        while b"\r\n\r\n" not in self.buffer:
            self.receive()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        return head

    def read_body(self, fields: dict[bytes, bytes]) -> bytes:
        if fields.get(b"transfer-encoding") == b"chunked":
            return b"".join(self.read_chunks())
        return self.take(int(fields.get(b"content-length", b"0")))

    def read_chunks(self) -> Iterator[bytes]:
        while True:
            while b"\r\n" not in self.buffer:
                self.receive()
            size, self.buffer = self.buffer.split(b"\r\n", 1)
            chunk = self.take(int(size, 16) + 2)
            if int(size, 16) == 0:
                return
            yield chunk[:-2]

    def take(self, bytes_: int) -> bytes:
        while len(self.buffer) < bytes_:
            self.receive()
        taken, self.buffer = self.buffer[:bytes_], self.buffer[bytes_:]
        return taken

    def receive(self) -> None:
        assert self.socket
        received = self.socket.recv(65536)
        if not received:
            raise EOFError(f"closed amid an answer: {self.buffer!r}")
        self.buffer += received


class Http2(Connection):
    """One stream after the other."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.http2 = h2.connection.H2Connection()

    def open(self) -> socket.socket:
        # What is sent is judged by Portvakt, not by the library.
        config = h2.config.H2Configuration(
            client_side=True, validate_outbound_headers=False, normalize_outbound_headers=False
        )
        self.http2 = h2.connection.H2Connection(config)
        self.http2.initiate_connection()
        return super().open()

    def get(self, target: bytes) -> tuple[int, bool, bytes]:
        opened = self.socket or self.open()
        stream = self.http2.get_next_available_stream_id()
        head = [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"api"), (b":path", target)]
        try:
            self.http2.send_headers(stream, head, end_stream=True)
            return self.receive(opened, stream)
        except (OSError, h2.exceptions.H2Error):
            self.close()
            return RESET

    def receive(self, opened: socket.socket, stream: int) -> tuple[int, bool, bytes]:
        status, refused, body = RESET
        while True:
            opened.sendall(self.http2.data_to_send())
            received = opened.recv(65536)
            if not received:
                raise ConnectionError("the connection ended")
            for event in self.http2.receive_data(received):
                match event:
                    case h2.events.ResponseReceived(stream_id=id_) if id_ == stream:
                        fields = dict(event.headers)
                        status, refused = int(fields[b":status"]), fields.get(b"content-type") == PROBLEM
                    case h2.events.DataReceived(stream_id=id_) if id_ == stream:
                        body += event.data
                        self.http2.acknowledge_received_data(event.flow_controlled_length, id_)
                    case h2.events.StreamEnded(stream_id=id_) if id_ == stream:
                        return status, refused, body
                    case h2.events.StreamReset(stream_id=id_) if id_ == stream:
                        return RESET
                    case h2.events.ConnectionTerminated():
                        raise ConnectionError("the connection ended")
