"""A page in a real browser: headless Chromium, asked what it made of the page."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest

__all__ = ["chromium", "measured"]

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

_HARNESS = """<!doctype html><meta charset="utf-8"><body style="margin:0"><script>
const page = PAGE, found = [];
const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
function luminance(rgb) {
  const [r, g, b] = rgb.slice(0, 3).map((v) => (v /= 255) <= 0.04045 ? v / 12.92
    : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function background(view, element) {
  for (; element; element = element.parentElement) {
    const colour = channels(view.getComputedStyle(element).backgroundColor);
    if (colour.length === 3 || colour[3] === 1) return colour;
  }
  return [255, 255, 255];
}
function leastContrast(view) {
  let least = [99, ""];
  const texts = view.document.createTreeWalker(view.document.body, 4);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !element.getClientRects().length) continue;
    const both = [luminance(channels(view.getComputedStyle(element).color)),
      luminance(background(view, element))].sort((a, b) => a - b);
    const contrast = (both[1] + 0.05) / (both[0] + 0.05);
    if (contrast < least[0]) least = [contrast, texts.currentNode.data];
  }
  return least;
}
function measure(frame, width) {
  const view = frame.contentWindow, page = view.document;
  page.querySelectorAll("details").forEach((box) => { box.open = true; });
  const parts = [...page.querySelectorAll(".part")].map((part) => {
    const tip = part.querySelector(".tip"), before = view.getComputedStyle(tip).display;
    part.focus();
    const box = tip.getBoundingClientRect(), active = page.activeElement === part;
    const seen = [before, view.getComputedStyle(tip).display, active,
      box.left >= 0 && box.right <= width && box.bottom <= frame.clientHeight,
      view.getComputedStyle(part).backgroundColor];
    part.blur();
    return seen;
  });
  return { width, parts, contrast: leastContrast(view), title: page.title,
    overflow: page.documentElement.scrollWidth - page.documentElement.clientWidth,
    plots: [...page.querySelectorAll(".plot svg")].map((plot) => {
      const box = plot.getBoundingClientRect();
      return [box.width, box.height];
    }),
    said: page.body.innerText, back: view.getComputedStyle(page.body).backgroundColor,
    loaded: view.performance.getEntriesByType("resource").length,
    ran: view.hacked === true || window.hacked === true };
}
async function open(width) {
  const frame = document.createElement("iframe");
  frame.style = `width:${width}px;height:800px;border:0`;
  const loaded = new Promise((done) => { frame.onload = done; });
  frame.srcdoc = page;
  document.body.append(frame);
  await loaded;
  found.push(measure(frame, width));
}
(async () => {
  for (const width of WIDTHS) await open(width);
  const out = document.createElement("pre");
  out.id = "found";
  out.textContent = JSON.stringify(found);
  document.body.append(out);
})();
</script></body>"""


def chromium() -> str:
    """The browser's program; the test is skipped where there is none."""
    named = os.environ.get("LEANBERT_BROWSER")
    browser = named or next(filter(None, map(shutil.which, _NAMES)), None)
    if browser is None:
        pytest.skip("no Chromium here; install one, or name it in LEANBERT_BROWSER")
    return browser


def measured(html: str, folder: Path, *, dark: bool, widths: list[int]) -> list[dict[str, Any]]:
    """What a browser says of a page in frames of several widths; skips where there is no browser.

    Args:
        html: the page.
        folder: where the browser may keep its files.
        dark: whether the reader prefers dark pages.
        widths: of the frames, in CSS pixels.
    """
    browser = chromium()
    page = json.dumps(html).replace("</", "<\\/").replace("<!--", "<\\u0021--")
    harness = folder / "harness.html"
    script = _HARNESS.replace("WIDTHS", json.dumps(widths)).replace("PAGE", page)
    harness.write_text(script, encoding="utf-8")
    done = subprocess.run(
        [
            browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1200,2400",
            f"--user-data-dir={folder / 'browser'}", "--virtual-time-budget=10000",
            f"--blink-settings=preferredColorScheme={0 if dark else 1}", "--dump-dom",
            harness.as_uri(),
        ],
        capture_output=True, text=True, timeout=180, check=True,
    )  # fmt: skip
    [told] = re.findall(r'<pre id="found">(.*?)</pre>', done.stdout, re.DOTALL)
    found: list[dict[str, Any]] = json.loads(unescape(told))
    return found
