"""A page that a local server gives to headless Chromium, and that posts back what it found."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any

from tests.helpers.browser import chromium

__all__ = ["answers_of_page"]

_HARNESS = """<!doctype html><meta charset="utf-8"><iframe src="PAGE"></iframe><script>
const wait = () => new Promise((done) => setTimeout(done, 20));
const post = (found) => fetch("/found", { method: "POST", body: JSON.stringify(found) });
addEventListener("load", async () => {
  const view = frames[0], answers = [], loaded = () =>
    view.performance.getEntriesByType("resource").map((entry) => entry.name);
  const [text, answer] = ["text", "answer"].map((id) => view.document.getElementById(id));
  const failed = (event) => post({ error: String(event.reason ?? event.message) });
  view.addEventListener("unhandledrejection", failed);
  view.addEventListener("error", failed);
  while (!answer.textContent.startsWith("[")) await wait();
  const first = JSON.parse(answer.textContent);
  for (const value of TEXTS) {
    text.value = value;
    text.dispatchEvent(new Event("change"));
    while (!answer.textContent.startsWith("[")) await wait();
    answers.push(JSON.parse(answer.textContent));
  }
  await post({ first, answers, loaded: loaded() });
});
</script>"""


def answers_of_page(folder: Path, page: str, texts: list[str], browser_files: Path) -> Any:
    """What a page answers in its element ``answer`` after each text in its input ``text``.

    Args:
        folder: what the server serves; a file ``harness.html`` is added.
        page: the page's name in it.
        texts: what is typed, one text after the other.
        browser_files: where the browser may keep its files.

    Returns:
        ``first``, the answer before anything is typed; ``answers``; ``loaded``, all URLs.
    """
    browser = chromium()
    script = _HARNESS.replace("PAGE", page).replace("TEXTS", json.dumps(texts))
    (folder / "harness.html").write_text(script, encoding="utf-8")
    found: Queue[Any] = Queue()
    with _served(folder, found) as address:
        process = subprocess.Popen(
            [
                browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
                "--disable-background-networking", f"--user-data-dir={browser_files}",
                f"{address}/harness.html",
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            answer = found.get(timeout=150)
        except Empty:
            raise AssertionError(f"{page} answered nothing") from None
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert "error" not in answer, answer["error"]
    return answer


@contextmanager
def _served(folder: Path, found: Queue[Any]) -> Iterator[str]:
    """The address of a server of ``folder`` that puts what is posted to it into ``found``."""

    class Handler(SimpleHTTPRequestHandler):
        def do_POST(self) -> None:
            found.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
