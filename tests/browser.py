"""A headless Chromium, spoken to over a pipe in the protocol of its developer tools."""

import base64
import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome")
"""Commands that start one, as distributions name them."""

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--no-first-run", "--hide-scrollbars", "--disable-dev-shm-usage"),
    "--remote-debugging-pipe",
    # With a mouse: a headless browser has no pointer that hovers.
    "--blink-settings=primaryHoverType=2,availableHoverTypes=2",
)


def executable() -> str | None:
    """The path of a Chromium, None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One page; it reads from and writes to the two ends of its pipes."""

    def __init__(self, command: str, profile: Path) -> None:
        (read_end, self._to), (self._from, write_end) = os.pipe(), os.pipe()

        def connect() -> None:
            # Chromium reads from file 3 and writes to file 4; copies keep clear of these first.
            ends = os.dup(read_end), os.dup(write_end)
            for end, number in zip(ends, (3, 4), strict=True):
                os.dup2(end, number)

        self._process = subprocess.Popen(
            [command, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            preexec_fn=connect,
            close_fds=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read_end)
        os.close(write_end)
        self._rest, self._number, self._session = b"", 0, ""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        self.send("Page.enable")

    @classmethod
    @contextlib.contextmanager
    def started(cls, command: str, profile: Path) -> Iterator[Self]:
        """A browser that ends with the block."""
        browser = cls(command, profile)
        try:
            yield browser
        finally:
            browser._process.terminate()
            browser._process.wait()
            os.close(browser._to)
            os.close(browser._from)

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """A command, and its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while (answer := self._receive()).get("id") != self._number:
            pass
        assert "error" not in answer, f"{method}: {answer}"
        return dict(answer["result"])

    def open(self, address: str, width: int, *, dark: bool = False, media: str = "screen") -> None:
        """Load a page at a width in CSS pixels."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", media=media, features=[scheme])
        self.send(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False},
        )
        self.send("Page.navigate", url="about:blank")
        self.send("Page.navigate", url=address)
        while not self.run("document.readyState === 'complete' && location.href !== 'about:blank'"):
            pass

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = self.send("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def press(self, key: str, *, text: str = "") -> None:
        """Press and release a key, as ``Tab``, or ``Enter`` with the text of a carriage return."""
        for kind in ("keyDown", "keyUp"):
            self.send(
                "Input.dispatchKeyEvent",
                **{
                    "type": kind,
                    "key": key,
                    "code": key,
                    "text": text if kind == "keyDown" else "",
                },
                windowsVirtualKeyCode={"Tab": 9, "Enter": 13}[key],
            )

    def point(self, x: float, y: float) -> None:
        """Move the pointer to a place in the window."""
        self.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def printed(self) -> bytes:
        """The page as a PDF."""
        self.send("Emulation.setEmulatedMedia", media="print")
        answer = self.send("Page.printToPDF", printBackground=True, preferCSSPageSize=True)
        return base64.b64decode(answer["data"])

    def picture(self) -> bytes:
        """The whole page as a PNG."""
        answer = self.send("Page.captureScreenshot", captureBeyondViewport=True)
        return base64.b64decode(answer["data"])

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            part = os.read(self._from, 1 << 20)
            assert part, "the browser ended"
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(message))
