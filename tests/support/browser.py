"""A real headless Chromium, driven over its DevTools protocol: https://chromedevtools.github.io."""

import asyncio
import base64
import contextlib
import itertools
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from ops.rig import Service, eventually

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ABSENT = "no chromium on PATH: apt-get install chromium"
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)
_CODES = {"Tab": 9, "Enter": 13, "Escape": 27}
_CONTROL = 2
_ANSWER_SECONDS = 60  # on a busy machine


class BrowserPage:
    """One page: drives it as a person would, and records its errors and requests."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.errors: list[str] = []
        """Exceptions of scripts, violations of the policy."""
        self.requested: list[str] = []
        """Every address asked for."""
        self._socket = socket
        self._numbers = itertools.count()
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._listening = asyncio.create_task(self._listen())

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the DevTools protocol."""
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(_ANSWER_SECONDS):
            return await self._answers[number]

    async def _listen(self) -> None:
        async for each in self._socket:
            message = each.json()
            if "id" in message:
                answer = self._answers[message["id"]]
                if answer.done():  # given up
                    continue
                if "error" in message:
                    answer.set_exception(AssertionError(message["error"]))
                else:
                    answer.set_result(message["result"])
            else:
                self._note(message["method"], message["params"])

    def _note(self, event: str, details: dict[str, Any]) -> None:
        if event == "Network.requestWillBeSent":
            self.requested.append(details["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            self.errors.append(str(details["exceptionDetails"]))
        elif event == "Log.entryAdded":
            entry = details["entry"]
            # Chromium reports an answer of 400 as an error; here it is expected.
            if entry["level"] == "error" and entry["source"] != "network":
                self.errors.append(entry["text"])

    async def open(self, url: str, *, width: int = 1280, height: int = 900) -> None:
        """Open an address in a window of this size in CSS pixels; below 600 it is a phone."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.call(f"{domain}.enable")
        await self.resize(width, height)
        await self.call("Page.navigate", url=url)
        await self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    async def resize(self, width: int, height: int) -> None:
        phone = width < 600
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )

    async def prefer(self, scheme: str) -> None:
        """Emulate the preference `light` or `dark`."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        await self.call("Emulation.setEmulatedMedia", features=features)

    async def run(self, script: str) -> Any:
        """Return the value of an expression in the page; waits for a promise."""
        answer = await self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def until(self, script: str, deadline: float = 20) -> Any:
        """Wait until an expression is true in the page and return its value."""
        return await eventually(lambda: self.run(script), deadline, script)

    async def text(self, selector: str) -> str:
        """Return the visible text of a selector's first element."""
        found: str = await self.run(f"document.querySelector({selector!r}).innerText")
        return found

    async def press(self, key: str, *, control: bool = False) -> None:
        """Press a key: Tab, Enter, Escape, or a letter."""
        event: dict[str, Any] = {
            "key": key,
            "code": key,
            "windowsVirtualKeyCode": _CODES.get(key, 0),
            "modifiers": _CONTROL if control else 0,
        }
        if key == "Enter" and not control:
            event["text"] = "\r"
        await self.call("Input.dispatchKeyEvent", type="keyDown", **event)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **event)

    async def type(self, text: str) -> None:
        """Insert text into the focused element; it replaces the selection."""
        await self.call("Input.insertText", text=text)

    async def picture(self, file: Path, most: int = 2_000) -> None:
        """Save the page as it looks, as a PNG; `most` is its greatest height in CSS pixels."""
        size = (await self.call("Page.getLayoutMetrics"))["cssContentSize"]
        clip = {
            "x": 0,
            "y": 0,
            "width": size["width"],
            "height": min(size["height"], most),
            "scale": 1,
        }
        shot = await self.call(
            "Page.captureScreenshot", clip=clip, captureBeyondViewport=True, optimizeForSpeed=False
        )
        await asyncio.to_thread(file.write_bytes, base64.b64decode(shot["data"]))

    async def close(self) -> None:
        await self._socket.close()
        self._listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._listening


class Browser:
    """Chromium with an empty profile; both end with the block."""

    def __init__(self) -> None:
        assert CHROMIUM is not None, ABSENT
        self._folder = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        self._port_file = Path(self._folder.name) / "DevToolsActivePort"
        profile = f"--user-data-dir={self._folder.name}"
        # TMPDIR: its temporary files are removed with the folder.
        command = [CHROMIUM, *_FLAGS, profile, "about:blank"]
        self._process = Service(command, TMPDIR=self._folder.name)

    async def __aenter__(self) -> Self:
        self._process.start()
        self._session = aiohttp.ClientSession()
        try:
            port_file = await eventually(self._read_port_file, what="chromium listens")
        except AssertionError as late:
            self._process.kill()
            raise AssertionError(f"{late}\n{self._process.output}") from None
        self._address = f"http://127.0.0.1:{port_file.split()[0]}"
        return self

    def _read_port_file(self) -> str:
        return self._port_file.read_text() if self._port_file.exists() else ""

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._session.close()
        self._process.kill()  # its whole group, with the renderers
        self._folder.cleanup()

    @contextlib.asynccontextmanager
    async def page(self) -> AsyncIterator[BrowserPage]:
        """Open a page during the block."""
        async with self._session.put(f"{self._address}/json/new?about:blank") as answer:
            target = await answer.json()
        socket = await self._session.ws_connect(
            target["webSocketDebuggerUrl"], max_msg_size=0, heartbeat=None
        )
        page = BrowserPage(socket)
        try:
            yield page
        finally:
            await page.close()
            async with self._session.get(f"{self._address}/json/close/{target['id']}"):
                pass
