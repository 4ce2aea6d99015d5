"""Just enough of the WebDriver protocol (W3C) to drive a headless Chromium: no library in between."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the key of an element, fixed by the standard
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")


def find() -> tuple[str, str] | None:
    """The browser and its driver, if this machine has both."""
    browser = next(filter(None, map(shutil.which, CHROMIUM)), None)
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


class Browser:
    """A window of its own, closed on leaving."""

    def __init__(self, profile, size=(1280, 860)):
        browser, driver = find()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self._driver = subprocess.Popen(
            [driver, f"--port={port}", "--silent"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._base = f"http://127.0.0.1:{port}"
        arguments = [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            f"--window-size={size[0]},{size[1]}", f"--user-data-dir={profile}",
        ]  # fmt: skip
        options = {
            "browserName": "chrome",
            "goog:chromeOptions": {"binary": browser, "args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        try:
            self._wait_for_driver()
            made = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": options}})
            self._base += f"/session/{made['sessionId']}"
        except BaseException:
            self._driver.kill()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        try:
            self._ask("DELETE", "")
        finally:
            self._driver.kill()
            self._driver.wait()

    def _wait_for_driver(self) -> None:
        for _ in range(150):
            try:
                if self._ask("GET", "/status")["ready"]:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise RuntimeError("chromedriver does not answer")

    def _ask(self, method: str, path: str, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self._base + path, data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as problem:
            raise RuntimeError(f"{path}: {problem.read().decode()[:500]}") from None

    def open(self, url: str) -> None:
        self._ask("POST", "/url", {"url": url})

    def run(self, script: str, *arguments):
        """The value of a script's `return`."""
        return self._ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def wait(self, script: str, seconds: float = 60):
        """Until the script returns something true, which is returned."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self.run(script)
            if found:
                return found
            time.sleep(0.1)
        raise AssertionError(
            f"never true: {script}; the page: {self.run('return document.body.innerText')}"
        )

    def element(self, selector: str) -> str:
        found = self._ask("POST", "/element", {"using": "css selector", "value": selector})
        return found[ELEMENT]

    def type(self, selector: str, text: str) -> None:
        self._ask("POST", f"/element/{self.element(selector)}/value", {"text": text})

    def click(self, selector: str) -> None:
        self._ask("POST", f"/element/{self.element(selector)}/click", {})

    def press(self, selector: str, *places, button: int = 0) -> None:
        """Press the pointer at the first place, move over the others, release; from the middle, in pixels."""
        origin = {ELEMENT: self.element(selector)}
        moves = [
            {"type": "pointerMove", "duration": 30, "origin": origin, "x": round(x), "y": round(y)}
            for x, y in places
        ]
        actions = [
            moves[0], {"type": "pointerDown", "button": button}, *moves[1:],
            {"type": "pointerUp", "button": button},
        ]  # fmt: skip
        source = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}}
        self._ask("POST", "/actions", {"actions": [{**source, "actions": actions}]})

    def errors(self) -> list[str]:
        """What the page wrote to the console as errors."""
        found = self._ask("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in found if entry["level"] == "SEVERE"]

    def screenshot(self) -> bytes:
        return base64.b64decode(self._ask("GET", "/screenshot"))
