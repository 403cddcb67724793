"""A page in headless Chromium that is driven as a person would: by keys and the mouse, over its DevTools protocol."""

from __future__ import annotations

import json
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from websockets.sync.client import connect

from tests.integration.server_process import free_port, running

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from websockets.sync.client import ClientConnection

CHROMIUM = next((p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None)
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
    "--window-size=1600,1200",
)
WAIT_SECONDS = 120


@dataclass
class Page:
    """One tab."""

    connection: ClientConnection
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def open(self, url: str, cookies: Mapping[str, str]) -> None:
        """Go to a page, known to its server by `cookies`."""
        for name, value in cookies.items():
            self.send("Network.setCookie", name=name, value=value, url=url)
        self.send("Page.navigate", url=url)

    def evaluate(self, expression: str) -> Any:
        """The JSON value of a script's expression. Raises RuntimeError when it throws."""
        reply = self.send("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in reply:
            raise RuntimeError(f"the page threw: {json.dumps(reply['exceptionDetails'])[:500]}")
        return reply["result"].get("value")

    def wait_for(self, expression: str) -> Any:
        """What an expression gives, as soon as that is something. Raises TimeoutError."""
        deadline = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < deadline:
            try:
                if value := self.evaluate(expression):
                    return value
            except RuntimeError:  # while the page is exchanged
                pass
            time.sleep(0.2)
        raise TimeoutError(f"not in {WAIT_SECONDS} s: {expression[:200]}")

    def press(self, digit: str) -> None:
        """Press a digit's key."""
        key = {"key": digit, "code": f"Digit{digit}", "windowsVirtualKeyCode": ord(digit)}
        self.send("Input.dispatchKeyEvent", type="keyDown", text=digit, **key)
        self.send("Input.dispatchKeyEvent", type="keyUp", **key)

    def drag(self, left: float, top: float, right: float, bottom: float) -> None:
        """Select from one point to another."""
        self._mouse("mouseMoved", left, top, held=False)
        self._mouse("mousePressed", left, top)
        for step in range(1, 6):
            self._mouse("mouseMoved", left + (right - left) * step / 5, top + (bottom - top) * step / 5)
        self._mouse("mouseReleased", right, bottom, held=False)

    def _mouse(self, kind: str, x: float, y: float, *, held: bool = True) -> None:
        button = "none" if kind == "mouseMoved" and not held else "left"
        self.send(
            "Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, buttons=int(held), clickCount=int(held)
        )

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """A command's result; events are passed over."""
        number = next(self._numbers)
        self.connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.connection.recv(timeout=WAIT_SECONDS))
            if message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                result: dict[str, Any] = message["result"]
                return result


@contextmanager
def chromium_page(folder: Path) -> Iterator[Page]:
    """A tab of a browser of its own, while the block runs; it can reach nothing but loopback."""
    if CHROMIUM is None:
        pytest.skip("no Chromium: apt-get install chromium")
    port = free_port()
    url = f"http://127.0.0.1:{port}/json"
    own = [f"--remote-debugging-port={port}", f"--user-data-dir={folder / 'profile'}", "about:blank"]
    environment = {"HOME": str(folder), "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
    with running([CHROMIUM, *OPTIONS, *own], url, folder / "chromium.log", environment):
        tabs = httpx.get(url, trust_env=False).json()
        address = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
        with connect(address, max_size=None, proxy=None) as connection:
            yield Page(connection)
