"""A downloader for pooch that goes on where an interrupted download stopped.

What has arrived lies in a file beside the target, together with what the server said about the whole. A later
attempt asks for the rest with ``Range`` and ``If-Range`` (RFC 9110, sections 13.1.5 and 14.2): a server whose
file has changed meanwhile sends the whole again, so that two versions are never joined.
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from archindex.core.progress import Progress

if TYPE_CHECKING:
    from requests import Response

ATTEMPTS: Final = 4
"""Attempts in a row that bring nothing new before an address is given up."""

WAIT_SECONDS: Final = 1.0
"""Wait before the second attempt; every further one waits as long again."""

TIMEOUT_SECONDS: Final = (15, 60)
"""To connect, and between two pieces."""

_PIECE: Final = 1 << 16
_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


class Interrupted(OSError):  # noqa: N818 - what happened, not what is wrong
    """An address was given up; the message says why. What arrived is kept for the next time."""


class ResumingDownloader:
    """Fetch one file over HTTP, going on from what is there.

    Parameters
    ----------
    part : Path
        Where to collect what arrives; what the server said is kept beside it, in ``{part}.json``.
    stage : str
        Name of the work for `progress`.
    progress : Progress
        Told how many bytes are there of how many.
    """

    def __init__(self, part: Path, stage: str, progress: Progress) -> None:
        self.part = part
        self.stage = stage
        self.progress = progress
        self.state = part.with_name(part.name + ".json")

    def __call__(self, url: str, output_file: str, _pooch: object, check_only: bool = False) -> None:
        """Fetch `url` into `output_file`, as pooch asks for it.

        Raises
        ------
        Interrupted
            If the address refuses, or several attempts in a row brought nothing.
        """
        failed, most = 0, 0
        while True:
            try:
                self._attempt(url)
            except ConnectionError as error:
                # Only what was never there before is progress: a server may send the same part for ever.
                failed = 0 if self._size() > most else failed + 1
                most = max(most, self._size())
                if failed == ATTEMPTS:
                    raise Interrupted(f"{url}: {error}") from error
                time.sleep(WAIT_SECONDS * failed)
            else:
                self.part.replace(output_file)
                self.state.unlink(missing_ok=True)
                return

    def _attempt(self, url: str) -> None:
        """Fetch what is missing; raise `ConnectionError` where another attempt may help."""
        import requests

        have, validator = self._resumable(url)
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers |= {"Range": f"bytes={have}-", "If-Range": validator}
        try:
            with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT_SECONDS) as response:
                self._receive(url, response, have)
        except requests.exceptions.RequestException as error:
            # Only what concerns the connection may pass with time.
            transient = (
                requests.exceptions.ConnectionError,
                requests.exceptions.Timeout,
                requests.exceptions.ChunkedEncodingError,
            )
            if isinstance(error, transient):
                raise ConnectionError(_reason(error)) from error
            raise Interrupted(f"{url}: {_reason(error)}") from error

    def _receive(self, url: str, response: Response, have: int) -> None:
        if response.status_code == 416:
            # Longer than the whole, or of another version: begin anew.
            self.part.unlink(missing_ok=True)
            raise ConnectionError("the server has no such part of the file")
        if response.status_code >= 500:
            raise ConnectionError(f"the server answered {response.status_code}")
        if response.status_code not in (200, 206):
            raise Interrupted(f"{url}: the server answered {response.status_code} {response.reason}")
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise Interrupted(f"{url}: the server answered with a web page and not with a file")
        if response.status_code == 206:
            total = self._checked_range(url, response, have)
        else:
            # The length of a compressed answer is not that of the file, and a part of it is of no use.
            encoded = response.headers.get("Content-Encoding", "identity") != "identity"
            have, total = 0, 0 if encoded else int(response.headers.get("Content-Length", 0))
            self._remember(url, "" if encoded else _validator(response))
        with self.part.open("ab" if have else "wb") as file:
            for piece in response.iter_content(_PIECE):
                file.write(piece)
                have += len(piece)
                self.progress(self.stage, have, max(have, total))
        if total and have != total:
            raise ConnectionError(f"the connection ended after {have} of {total} bytes")

    def _checked_range(self, url: str, response: Response, have: int) -> int:
        """Return the size of the whole file, if the server sends the rest from `have` on."""
        said = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if said is None or int(said[1]) != have or int(said[2]) + 1 != int(said[3]):
            self.part.unlink(missing_ok=True)
            raise Interrupted(f"{url}: the server sent another part of the file than was asked for")
        return int(said[3])

    def _remember(self, url: str, validator: str) -> None:
        self.state.write_text(json.dumps({"url": url, "validator": validator}), encoding="utf-8")

    def _resumable(self, url: str) -> tuple[int, str]:
        """Return how many bytes of this address's file are there, and what tells its version."""
        try:
            state: Any = json.loads(self.state.read_text(encoding="utf-8"))
            if state["url"] == url and state["validator"]:
                return self._size(), str(state["validator"])
        except (OSError, ValueError, TypeError, KeyError):
            pass
        self.part.unlink(missing_ok=True)
        return 0, ""

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0


def _validator(response: Response) -> str:
    """Return what tells the version of the file, ``""`` where nothing does."""
    # A weak ETag does not promise the same bytes.
    tag: str = response.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified", "")


def _reason(error: Exception) -> str:
    """Return the innermost reason of a chain of wrapped network errors."""
    inner: Any = error
    while isinstance(inner, Exception):
        deeper = getattr(inner, "reason", None) or (inner.args[0] if inner.args else None)
        if not isinstance(deeper, Exception):
            break
        inner = deeper
    return f"{type(inner).__name__}: {inner}"
