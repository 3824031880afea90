"""A small desktop app: what one types is scored live, sentence by sentence, without a wait.

    python examples/desktop/app.py            needs LeanBERT and Python with Tk, nothing else

How it stays responsive: one thread of its own scores, and the interface's thread never waits for
it. Each change of the text is a new job, and a newer job cancels what is left of the older one:
sentences that wait are never scored, and a sentence that was scored before is remembered. Answers
come back through a queue, which the interface empties a few at a time.
"""

from __future__ import annotations

import queue
import threading
import tkinter as tk
from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from tkinter import filedialog, ttk
from tkinter.font import nametofont

from leanbert import pipeline
from leanbert.pipelines import TextClassificationPipeline
from leanbert.pipelines.answers import LabelScore
from leanbert.tokenization.sentences import sentence_spans

Span = tuple[int, int]
Scored = tuple[Span, LabelScore]
PAUSE_MS = 60  # after a key, before its text is scored
POLL_MS = 15  # between two looks at what was scored
BATCH = 16  # sentences that are scored together: the longest that a newer text waits
MOST_MARKS = 64  # sentences that are marked between two looks at keys and mouse
REMEMBERED = 20_000
COLOURS = {"positive": "#b7e4c7", "negative": "#f9c6c6", "neutral": "#ffffff"}
SIGNS = {"positive": "▲", "negative": "▼", "neutral": "•"}


class Scorer(threading.Thread):
    """Scores the newest text; what is left of an older one is dropped."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.found: queue.SimpleQueue[tuple[int, list[Scored] | None]] = queue.SimpleQueue()
        """The number of a text with some scored sentences; ``None`` when it is done."""
        self._wanted = threading.Condition()
        self._job = (0, "")
        self._known: OrderedDict[str, LabelScore] = OrderedDict()

    def submit(self, number: int, text: str) -> None:
        """Score this text instead of any other."""
        with self._wanted:
            self._job = (number, text)
            self._wanted.notify()

    def run(self) -> None:
        """Score until the program ends."""
        classify = pipeline("text-classification")
        done = 0
        while True:
            with self._wanted:
                while self._job[0] == done:
                    self._wanted.wait()
                done, text = self._job
            spans = iter(sentence_spans(text))
            while self._job[0] == done and (batch := list(islice(spans, BATCH))):
                self.found.put((done, list(self._scored(classify, text, batch))))
            if self._job[0] == done:
                self.found.put((done, None))

    def _scored(
        self, classify: TextClassificationPipeline, text: str, spans: list[Span]
    ) -> Iterator[Scored]:
        """The answers to sentences, in order; only new sentences are computed."""
        new = list({text[a:b] for a, b in spans} - self._known.keys())
        self._known.update(zip(new, classify(new, truncation=True), strict=True))
        for start, end in spans:
            yield (start, end), self._known[text[start:end]]
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)


class App:
    """The window: a text, and what its sentences say together."""

    def __init__(self, root: tk.Tk) -> None:
        self.root, self.number, self.started = root, 0, ""
        self.counts = dict.fromkeys(COLOURS, 0)
        self.waiting: list[Scored] = []
        root.title("LeanBERT")
        root.minsize(420, 320)
        nametofont("TkDefaultFont").configure(size=11)
        bar = ttk.Frame(root, padding=8)
        bar.pack(fill="x")
        ttk.Button(bar, text="Open…", command=self.open, underline=0).pack(side="left")
        self.verdict = ttk.Label(bar, text="Type, paste or open a text.")
        self.verdict.pack(side="left", padx=12)
        self.text = tk.Text(
            root, wrap="word", undo=True, padx=12, pady=8, spacing2=3, spacing3=6,
            font="TkDefaultFont", background="white", foreground="#1a1d21",
        )  # fmt: skip
        self.detail = ttk.Label(root, text="▲ positive   ▼ negative   • neutral", padding=8)
        self.detail.pack(fill="x", side="bottom")
        self.text.pack(fill="both", expand=True)
        for label, colour in COLOURS.items():
            self.text.tag_configure(label, background=colour, underline=label == "negative")
        self.text.tag_raise("sel")
        self.text.bind("<<Modified>>", self._changed)
        root.bind("<Control-o>", lambda _: self.open())
        self.scorer = Scorer()
        self.scorer.start()
        root.after(POLL_MS, self._poll)
        self._typed: str | None = None

    def open(self) -> None:
        """Ask for a file and show it."""
        path = filedialog.askopenfilename(filetypes=[("Text", "*.txt *.md"), ("All", "*")])
        if path:
            self.show(Path(path).read_text(encoding="utf-8", errors="replace"))

    def show(self, text: str) -> None:
        """Replace the text."""
        self.text.delete("1.0", "end")
        self.text.insert("1.0", text)

    def _changed(self, _: object) -> None:
        if not self.text.edit_modified():
            return
        self.text.edit_modified(False)
        if self._typed is not None:
            self.root.after_cancel(self._typed)
        self._typed = self.root.after(PAUSE_MS, self._submit)

    def _submit(self) -> None:
        self._typed = None
        self.number += 1
        self.counts = dict.fromkeys(COLOURS, 0)
        self.waiting.clear()
        self.started = self.text.get("1.0", "end-1c")
        for label in COLOURS:
            self.text.tag_remove(label, "1.0", "end")
        self.scorer.submit(self.number, self.started)

    def _poll(self) -> None:
        """Mark some of what was scored, then let the interface go on."""
        while len(self.waiting) < MOST_MARKS and not self.scorer.found.empty():
            number, found = self.scorer.found.get()
            if number == self.number:  # else it is of a text that is no longer there
                self.waiting += found or ()
                self._say("" if found is None else "…")
        now, self.waiting = self.waiting[:MOST_MARKS], self.waiting[MOST_MARKS:]
        for (start, end), answer in now:
            self.counts[answer["label"]] += 1
            self.text.tag_add(answer["label"], f"1.0+{start}c", f"1.0+{end}c")
        if now:
            (start, end), answer = now[-1]
            sign, words = SIGNS[answer["label"]], self.started[start:end].split()
            said = " ".join(words[:9]) + ("…" if len(words) > 9 else "")
            self.detail["text"] = f"{sign} {answer['label']} {answer['score']:.2f}:  {said}"
            self._say("…" if self.waiting else "")
        self.root.after(POLL_MS, self._poll)

    def _say(self, more: str) -> None:
        counted = "   ".join(f"{SIGNS[name]} {n} {name}" for name, n in self.counts.items())
        self.verdict["text"] = f"{counted} {more}".rstrip()


if __name__ == "__main__":
    window = tk.Tk()
    App(window)
    window.mainloop()
