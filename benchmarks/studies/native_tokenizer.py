"""Compare the speed of the C library's tokenizer and of the tokenizers package, on one thread.

The probe library of the native tests (`make test` builds it) gives the C library's tokenizer, in
batches. The package is measured alone (`encode_batch_fast`, which makes no places) and with what
LeanBERT's Python side adds to it. Every turn reads all texts once in each way, one after the
other; the seconds are the process's CPU time, so that a busy machine changes little.

examples:
  python -m studies.native_tokenizer --texts tweets.csv --text-column text
  python -m studies.native_tokenizer --tokenizer my-bundle/tokenizer.json -o tokenizer.json
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from leanbert import __version__
from leanbert.cpu import cpu_name
from leanbert.errors import InputError
from leanbert.pipelines import embedded_bundle
from leanbert.tokenization import Tokenizer
from leanbert_bench.report.formatting import ratio_with_interval
from leanbert_bench.statistics import median, paired_ratio
from studies.command_line import Json, measure_or_show, new_parser
from studies.repeated_texts import read_texts

_MOST = 512  # tokens of a text
_PROBE = Path(__file__).parents[2] / "build" / "native" / "libleanbert_native_probe.so"
_NATIVE, _PACKAGE, _PYTHON = "C library", "tokenizers", "LeanBERT in Python"


class _Native:
    """The C library's tokenizer through the probe library; see text_probe.cpp."""

    def __init__(self, library: Path, tokenizer: Path) -> None:
        if not library.is_file():
            raise InputError(f"{library}: missing; build it with make test, or give --library")
        self._library = ctypes.CDLL(str(library))
        self._handle = ctypes.c_void_p()
        content = tokenizer.read_bytes()
        none = (b"", ctypes.c_size_t(0))
        size = ctypes.c_size_t(len(content))
        self._call("open", content, size, *none, *none, ctypes.byref(self._handle))

    def _call(self, name: str, *arguments: Any) -> None:
        message = ctypes.create_string_buffer(512)
        if self._library[f"probe_tokenizer_{name}"](*arguments, message):
            raise InputError(message.value.decode())

    def encode(self, texts: Sequence[str]) -> list[int]:
        """The ids of all texts, one after the other."""
        data = [text.encode() for text in texts]
        ends = np.cumsum([len(one) for one in data], dtype=np.uint64)
        joined = b"".join(data)
        most = len(joined) + 8 * len(texts)
        rows, types = np.empty((most, 4), np.int64), np.empty(most, np.uint8)
        lengths, cuts = np.zeros(len(texts), np.uint64), np.zeros(len(texts), np.uint8)
        self._call(
            "encode",
            self._handle,
            joined,
            ctypes.c_void_p(ends.ctypes.data),
            *(ctypes.c_size_t(number) for number in (len(texts), _MOST)),
            ctypes.c_void_p(rows.ctypes.data),
            ctypes.c_void_p(types.ctypes.data),
            ctypes.c_size_t(most),
            ctypes.c_void_p(lengths.ctypes.data),
            ctypes.c_void_p(cuts.ctypes.data),
        )
        ids: list[int] = rows[: int(lengths.sum()), 0].tolist()
        return ids


def measure(library: Path, tokenizer: Path, texts: Sequence[str], name: str, turns: int) -> Json:
    """Read all texts in each way once per turn."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    native = _Native(library, tokenizer)
    python = Tokenizer(tokenizer, _MOST)

    def package() -> list[int]:
        rows = python.backend.encode_batch_fast(list(texts))
        return [number for row in rows for number in row.ids]

    ways: dict[str, Callable[[], list[int]]] = {
        _PACKAGE: package,
        _PYTHON: lambda: python.encode(texts, truncation=True).input_ids.tolist(),
        _NATIVE: lambda: native.encode(texts),
    }
    tokens = {way: run() for way, run in ways.items()}
    if not tokens[_PACKAGE] == tokens[_PYTHON] == tokens[_NATIVE]:
        raise InputError("the C library's tokenizer gives other ids")
    rates: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(turns):
        sys.stderr.write(f"turn {turn + 1}\n")
        for way, run in ways.items():
            start = time.process_time()
            run()
            rates[way].append(len(tokens[way]) / (time.process_time() - start))
    return {
        "leanbert": __version__,
        "cpu": cpu_name(),
        "tokenizer": tokenizer.parent.name,
        "texts": {"name": name, "count": len(texts), "tokens": len(tokens[_NATIVE])},
        "tokens_per_s": rates,
    }


def table(results: Json) -> str:
    """The results in Markdown."""
    rates = results["tokens_per_s"]
    lines = ["| tokenizer | tokens per CPU second | ratio [95%] |", "| --- | --- | --- |"]
    for way, turns in rates.items():
        ratio = ratio_with_interval(paired_ratio(turns, rates[_PACKAGE])) if way != _PACKAGE else ""
        lines.append(f"| {way} | {median(turns):,.0f} | {ratio} |")
    texts = results["texts"]
    about = (
        f"LeanBERT {results['leanbert']}, {results['tokenizer']}, {results['cpu']}, one thread, "
        f"{texts['count']:,} texts of {texts['name']} with {texts['tokens']:,} tokens, "
        f"{len(rates[_PACKAGE])} turns. Ratios are to the tokenizers package."
    )
    return "\n".join([*lines, "", about])


def main(words: Sequence[str] | None = None) -> int:
    """Measure, or show earlier results; returns the exit code."""
    parser = new_parser(__doc__, results=True)
    parser.add_argument("--texts", type=Path, metavar="FILE", help="default: made texts")
    parser.add_argument("--text-column", default="text", metavar="NAME", help="of the texts")
    parser.add_argument("--tokenizer", type=Path, metavar="FILE", help="default: the embedded one")
    parser.add_argument("--library", type=Path, default=_PROBE, metavar="FILE", help="the probe")
    parser.add_argument("--turns", type=int, default=7, metavar="N", help="default: %(default)s")
    args = parser.parse_args(words)

    def measured() -> Json:
        if args.turns < 1:
            raise InputError(f"--turns is {args.turns}; give a number from 1")
        name, texts = read_texts(args.texts, args.text_column)
        tokenizer = args.tokenizer or embedded_bundle() / "tokenizer.json"
        return measure(args.library, tokenizer, texts, name, args.turns)

    return measure_or_show("native_tokenizer", args, measured, table)


if __name__ == "__main__":
    sys.exit(main())
