"""The journal: finished steps on disk, so that an interrupted run loses none and goes on."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from leanbert.files import whole_file

_PLAN, _STEPS = "plan.json", "steps.jsonl"


class Journal:
    """The steps of one run, one per line, so that only the last line can be torn.

    Args:
        folder: where they are kept.
        plan: all that decides the numbers; the steps of another plan are thrown away.

    Raises:
        OSError: ``folder`` cannot be written.
    """

    def __init__(self, folder: Path, plan: dict[str, Any]) -> None:
        self._folder = folder
        self._steps: dict[tuple[str, str], Any] = {}
        plan = json.loads(json.dumps(plan))
        self.resumed = self._same(plan) and self._read()
        if not self.resumed:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True, exist_ok=True)
            with whole_file(folder / _PLAN) as file:
                json.dump(plan, file, indent=1)
        self._file = (folder / _STEPS).open("a", encoding="utf-8", newline="\n")

    def _same(self, plan: dict[str, Any]) -> bool:
        try:
            return bool(json.loads((self._folder / _PLAN).read_text(encoding="utf-8")) == plan)
        except (OSError, ValueError):
            return False

    def _read(self) -> bool:
        path = self._folder / _STEPS
        try:
            data = path.read_bytes()
        except OSError:
            return False
        whole = data[: data.rfind(b"\n") + 1]
        for line in whole.splitlines():
            who, step, content = json.loads(line)
            self._steps[who, step] = content
        if whole != data:  # the next line must not continue a torn one
            path.write_bytes(whole)
        return bool(self._steps)

    def get(self, who: str, step: str) -> Any:
        """Return what a step gave, or ``None`` if it is not done."""
        return self._steps.get((who, step))

    def put(self, who: str, step: str, content: Any) -> Any:
        """Keep what a step gave, on disk before this returns, and return it."""
        self._steps[who, step] = content
        self._file.write(json.dumps([who, step, content], ensure_ascii=False) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        return content

    def close(self) -> None:
        """Close the file and leave the steps for another time."""
        self._file.close()

    def remove(self) -> None:
        """Remove the steps, since the run is over and its results are elsewhere."""
        self._file.close()
        shutil.rmtree(self._folder, ignore_errors=True)
