"""A small HTTP server on 127.0.0.1 that serves the files of one folder.

The synthetic city has no YouTube: `download` fetches its videos from here, through the same code
path as real ones. Byte ranges are supported, so that a cut transfer is resumed as it is elsewhere.
"""

import contextlib
import re
import sys
import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO, cast
from urllib.parse import unquote, urlsplit

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_TYPES = {".mp4": "video/mp4", ".mkv": "video/x-matroska", ".webm": "video/webm"}


class FolderHandler(BaseHTTPRequestHandler):
    """Serves files that lie directly in `folder`; nothing above it and nothing below it."""

    folder: Path
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_HEAD(self) -> None:
        """Answer with the headers of the file."""
        self._answer(body=False)

    def do_GET(self) -> None:
        """Answer with the file, or with the asked range of it."""
        self._answer(body=True)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the ledger tells what happened."""

    def _answer(self, body: bool) -> None:
        name = unquote(urlsplit(self.path).path).removeprefix("/")
        path = self.folder / name
        if "/" in name or not path.is_file():
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        with path.open("rb") as file:
            size = path.stat().st_size
            first, last, status = byte_range(self.headers.get("Range"), size)
            if first > last and size:
                self.send_response(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
                self.send_header("Content-Range", f"bytes */{size}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(status)
            self.send_header("Content-Type", _TYPES.get(path.suffix, "application/octet-stream"))
            self.send_header("Content-Length", str(last - first + 1))
            self.send_header("Accept-Ranges", "bytes")
            if status == HTTPStatus.PARTIAL_CONTENT:
                self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
            self.end_headers()
            if body:
                self._send(file, first, last - first + 1)

    def _send(self, file: BinaryIO, first: int, count: int) -> None:
        """Send `count` bytes from `first` on; a client that has left is no fault."""
        file.seek(first)
        with contextlib.suppress(ConnectionError, TimeoutError):
            while count > 0:
                piece = file.read(min(count, 1 << 18))
                if not piece:
                    return
                self.wfile.write(piece)
                count -= len(piece)


def byte_range(header: str | None, size: int) -> tuple[int, int, HTTPStatus]:
    """First and last byte that a `Range` header asks of `size` bytes, and the status to answer.

    `first > last` where the range lies behind the end; a header that is not understood asks for
    all.

    Example:
        >>> byte_range("bytes=2-", 10)[:2], byte_range("bytes=-3", 10)[:2], byte_range(None, 10)[:2]
        ((2, 9), (7, 9), (0, 9))
    """
    match = _RANGE.fullmatch(header or "")
    if match is None or match.groups() == ("", ""):
        return 0, size - 1, HTTPStatus.OK
    begin, end = match.groups()
    if not begin:
        return max(size - int(end), 0), size - 1, HTTPStatus.PARTIAL_CONTENT
    return int(begin), min(int(end or size), size - 1), HTTPStatus.PARTIAL_CONTENT


class QuietServer(ThreadingHTTPServer):
    """A threaded server that does not mind clients who leave early (yt-dlp first peeks)."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a lost connection; anything else is our bug and is shown."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


@contextlib.contextmanager
def serve(folder: str | Path) -> Iterator[int]:
    """Serve the files of `folder` while the context lasts; yields the port (a free one)."""
    handler = type("Handler", (FolderHandler,), {"folder": Path(folder)})
    with serve_handler(cast(type[BaseHTTPRequestHandler], handler)) as port:
        yield port


@contextlib.contextmanager
def serve_handler(handler: type[BaseHTTPRequestHandler]) -> Iterator[int]:
    """Serve with any handler while the context lasts; yields the port."""
    server = QuietServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
