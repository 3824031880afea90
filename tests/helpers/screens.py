"""A screen that nobody sees, and its pixels."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

__all__ = ["Screen", "screen"]

Pixels = npt.NDArray[np.uint8]


class Screen:
    """An X server without a monitor.

    Args:
        display: what ``DISPLAY`` is for it.
        folder: where it keeps the picture.
    """

    def __init__(self, display: str, folder: Path) -> None:
        self.display, self._folder = display, folder

    def pixels(self) -> Pixels:
        """What it shows now. *Shape:* ``(height, width, 3)``: red, green, blue."""
        data = (self._folder / "Xvfb_screen0").read_bytes()  # in the format of xwd
        fields = np.frombuffer(data, ">u4", 25)
        size, width, height, stride, colours = (int(fields[i]) for i in (0, 4, 5, 12, 19))
        first = size + 12 * colours
        rows = np.frombuffer(data, np.uint8, height * stride, first).reshape(height, stride)
        pixels: Pixels = rows[:, : 4 * width].reshape(height, width, 4)[:, :, 2::-1].copy()
        return pixels


@contextmanager
def screen(folder: Path) -> Iterator[Screen]:
    """A screen of 800 by 600 pixels; skips where there is no Xvfb."""
    program = shutil.which("Xvfb")
    if program is None:
        pytest.skip("no Xvfb here; install the package xvfb")
    reading, writing = os.pipe()
    server = subprocess.Popen(
        [
            program, "-displayfd", str(writing), "-screen", "0", "800x600x24",
            "-fbdir", str(folder), "-nolisten", "tcp",
        ],
        pass_fds=[writing], stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(writing)
    try:
        with os.fdopen(reading) as told:
            yield Screen(f":{told.readline().strip()}", folder)
    finally:
        server.terminate()
        server.wait(timeout=30)
