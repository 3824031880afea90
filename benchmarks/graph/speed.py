r"""Time bundles and their peers, each in a process of its own, taking turns.

By default the graphs alone: what a batch takes, and its share of the time of Optimum's int8 preset
for this CPU, with --openvino of OpenVINO's too. A turn repeats a run for some time; ratios are
paired by turn, so that what slows a whole turn cancels out. --end-to-end times whole pipelines
instead, --load the way to the first answer and the memory then; give --shapes beside them to have
the graphs too. --isa holds the native engine, and nobody else, to other kernels
than the CPU's best.

examples:
  python benchmarks/graph/speed.py --checkpoint finbert --bundle int8=build/finbert -o speed.json
  python benchmarks/graph/speed.py --random-weights bert-base --data ../shared/data \
      --work-dir build/speed --openvino -o speed.json
  python benchmarks/graph/speed.py --random-weights bert-base --data ../shared/data \
      --work-dir build/speed --load -o load.json \
      --end-to-end ../shared/data/phrasebank/Sentences_50Agree.txt
  python benchmarks/graph/speed.py --random-weights minilm --data ../shared/data --threads 1 \
      --work-dir build/speed --openvino --isa avx2 -o minilm-avx2.json
  python benchmarks/graph/speed.py --checkpoint build/speed/bert-base --bundle new=build/new \
      --bundle old=build/old --work-dir build/speed --shapes 1x32,8x128 --turns 5 -o two.json
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import making
import sentences
from contestants import (
    NEEDED,
    Contestant,
    Shape,
    all_closed,
    engines_of,
    in_throughput_mode,
    interval,
    missing_openvino,
    named_bundle,
)
from graphs import LOGITS
from leanbert.errors import InputError, LeanBertError, MissingExtraError
from leanbert_bench.backends.optimum import optimum_preset
from leanbert_bench.commands.arguments import shape_list
from leanbert_bench.provenance import describe_bundle, describe_machine, installed
from leanbert_bench.results.schema import write_json
from leanbert_bench.run.process import WorkerError, WorkerProcess
from leanbert_bench.run.workload import read_workload
from leanbert_bench.statistics import estimate, median, paired_ratios
from sentiment_sets import load_phrasebank
from tokens import read_config, vocabulary_size

FORMAT_VERSION = 1
SHAPES = ((1, 8), (1, 16), (1, 32), (1, 64), (1, 128), (8, 128), (1, 512))
_TEXT = "Operating profit rose to EUR 13.1 mn from EUR 8.7 mn in the corresponding period."

Json = dict[str, Any]


def time_graphs(
    contestants: Sequence[Contestant],
    shapes: Sequence[Shape],
    *,
    vocabulary: int,
    threads: int,
    turns: int,
    seconds: float,
    peers: int = 1,
) -> Json:
    """Milliseconds of each graph at each shape, and the ratios to the first ``peers`` contestants.

    Raises:
        WorkerError: a back end failed.
    """
    names = [who.name for who in contestants]
    workers: dict[str, WorkerProcess] = {}
    rows = []
    with all_closed(workers):
        for who in contestants:
            _say(f"{who.name}: load")
            workers[who.name] = who.start(threads, LOGITS)
        for batch_size, length in shapes:
            _say(f"{batch_size}x{length}")
            found: dict[str, list[float]] = {name: [] for name in names}
            for turn in range(turns):
                for i in range(len(names)):  # whoever begins differs from turn to turn
                    name = names[(turn + i) % len(names)]
                    reply = workers[name].ask(
                        "time", rows=batch_size, length=length, vocabulary=vocabulary,
                        seconds=seconds,
                    )  # fmt: skip
                    found[name].append(median(reply["ms"]))
            rows.append(
                {"shape": f"{batch_size}x{length}", "graphs": summary(found, names[:peers])}
            )
    return {"peers": names[:peers], "rows": rows}


def summary(found: dict[str, list[float]], peers: Sequence[str]) -> Json:
    """Medians over turns, and the ratios to each of the peers, with their 95% intervals.

    Args:
        found: one value a turn by the name of the back end.
        peers: names among them.
    """
    return {
        name: {
            "ms": asdict(estimate(turns)),
            "ratios": {
                peer: asdict(estimate(paired_ratios(turns, found[peer])))
                for peer in peers
                if peer != name
            },
        }
        for name, turns in found.items()
    }


def markdown(graphs: Json) -> str:
    """A line a shape: milliseconds of each back end, and its share of each peer's time."""
    peers = graphs["peers"]
    head = ["batch x tokens", *(f"{peer}, ms" for peer in peers)]
    for name in graphs["rows"][0]["graphs"]:
        if name not in peers:
            head += [f"{name}, ms", *(f"of {peer}'s time" for peer in peers)]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for row in graphs["rows"]:
        cells = [row["shape"]]
        for name, found in row["graphs"].items():
            cells.append(f"{found['ms']['median']:.1f}")
            if name not in peers:
                cells += [interval(found["ratios"][peer]) for peer in peers]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def read_sentences(path: Path) -> list[str]:
    """PhraseBank's ``Sentences_*Agree.txt``, or a text file or table as ``leanbert bench`` reads.

    Raises:
        InputError: the file cannot be read.
    """
    if path.name.startswith("Sentences_") and path.suffix == ".txt":
        try:
            return [example.text for example in load_phrasebank(path)]
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from error
        except ValueError as error:
            raise InputError(f"{path}: not PhraseBank's text@label lines ({error})") from error
    return list(read_workload(path).texts)


def measure(args: argparse.Namespace, work: Path) -> Json:
    """Make what is missing, and measure what was asked for.

    Raises:
        LeanBertError: a file cannot be used.
        WorkerError: a back end failed.
    """
    texts = read_sentences(args.end_to_end) if args.end_to_end else []
    bundles: dict[str, Path] = dict(args.bundle)
    if args.random_weights:
        _say(f"{args.random_weights}: make a checkpoint and its bundle")
        checkpoint = making.random_checkpoint(work, args.data, args.random_weights)
        bundles["int8"] = making.bundle(checkpoint, work)
    else:
        checkpoint = args.checkpoint
    config = read_config(checkpoint)
    for name, folder in bundles.items():
        theirs = read_config(folder).raw
        for key in ("hidden_size", "num_hidden_layers", "vocab_size"):
            if theirs.get(key) != config.raw.get(key):
                raise InputError(
                    f"{name}: {folder} is no bundle of {checkpoint}: {key} is {theirs.get(key)}, "
                    f"not {config.raw.get(key)}"
                )
    _say("Optimum: prepare")
    preset = args.optimum or making.optimum(checkpoint, work)
    optimum = Contestant(f"Optimum int8 ({optimum_preset()})", "optimum", preset)
    own = [one for name, path in bundles.items() for one in engines_of(name, path, args.isa)]
    peers = [optimum]
    if args.openvino:
        _say("OpenVINO: prepare")
        made = making.openvino(checkpoint, work)
        peers.append(Contestant("OpenVINO int8 (NNCF)", "openvino", made))
    document: Json = {
        "bundles": [{"called": name, **describe_bundle(path)} for name, path in bundles.items()]
    }
    if args.shapes:
        document["graphs"] = time_graphs(
            [*peers, *own, *(in_throughput_mode(*one) for one in bundles.items())]
            if args.workers
            else [*peers, *own],
            args.shapes,
            vocabulary=vocabulary_size(config),
            threads=args.threads,
            turns=args.turns,
            seconds=args.seconds,
            peers=len(peers),
        )
    everyone = [*own, *peers, Contestant("transformers, PyTorch fp32", "torch", checkpoint)]
    if texts:
        document["end_to_end"] = {
            "file": args.end_to_end.name,
            "sentences": len(texts),
            "chunk": args.chunk,
            **sentences.end_to_end(
                everyone, texts, threads=args.threads, chunk=args.chunk, turns=args.turns, say=_say
            ),
        }
    if args.load:
        document["load"] = sentences.load_times(
            everyone, _TEXT, threads=args.threads, turns=args.turns, say=_say
        )
    return document


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments of the command; ``shapes`` are empty if the graphs are not asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--checkpoint", type=Path, metavar="DIR", help="of a classifier")
    which.add_argument(
        "--random-weights",
        choices=making.SHAPES,
        help="make one with seeded weights, and export it",
    )
    add(
        "--bundle", type=named_bundle, action="append", default=[], metavar="NAME=DIR",
        help="LeanBERT bundle of that checkpoint; may be repeated",
    )  # fmt: skip
    add("--optimum", type=Path, metavar="DIR", help="Optimum's int8 form, if it is made already")
    add("--openvino", action="store_true", help="time OpenVINO, too, and give ratios to it")
    add(
        "--workers", action="store_true",
        help="ONNX Runtime in throughput mode, too: the rows of a batch on a thread each",
    )  # fmt: skip
    add("--isa", choices=("avx512_vnni", "avx2"), help="kernels of LeanBERT's native engine")
    add("--data", type=Path, metavar="DIR", help="folder of the public sets, with tokenizers")
    add("--work-dir", type=Path, metavar="DIR", help="keep and find again what is made")
    add("--shapes", type=shape_list, metavar="BxT,...", help="default: 1x8 to 1x128, 8x128, 1x512")
    add("--end-to-end", type=Path, metavar="FILE", help="sentences: PhraseBank, .txt or .csv")
    add("--chunk", type=int, default=128, metavar="N", help="sentences of a turn (128)")
    add("--load", action="store_true", help="time the way to the first answer")
    add("--threads", type=int, default=2, metavar="N", help="of each back end (2)")
    add("--turns", type=int, default=11, metavar="N", help="of each back end (11)")
    add("--seconds", type=float, default=0.25, metavar="S", help="of a graph's turn (0.25)")
    add("-o", "--output", type=Path, required=True, metavar="FILE", help="results, JSON")
    args = parser.parse_args(words)
    if min(args.threads, args.turns, args.chunk) < 1:
        parser.error("--threads, --turns and --chunk must be at least 1")
    if args.random_weights and args.data is None:
        parser.error("--random-weights needs --data, where the tokenizer is")
    names = [name for name, _ in args.bundle] + (["int8"] if args.random_weights else [])
    if len(set(names)) < len(names):
        parser.error("two bundles have the same name; that of --random-weights is int8")
    if not names:
        parser.error("pass --bundle NAME=DIR: there is nothing to compare")
    if args.shapes is None:
        args.shapes = () if args.end_to_end or args.load else SHAPES
    return args


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Measure, write the numbers and print the tables."""
    args = parse()
    try:
        missing = [name for name in NEEDED if installed(name) is None]
        if missing:
            raise MissingExtraError(
                f"needs {', '.join(missing)}; install with: pip install 'leanbert[bench]'"
            )
        absent = missing_openvino() if args.openvino else None
        if absent:
            _say(f"speed: {absent}")
            args.openvino = False
        if not args.output.absolute().parent.is_dir():
            raise InputError(f"{args.output.parent}: is not a directory")
        machine = describe_machine()
        with tempfile.TemporaryDirectory(prefix="leanbert-speed-") as scratch:
            found = measure(args, args.work_dir or Path(scratch))
        document = {
            "format_version": FORMAT_VERSION,
            "machine": machine,
            "settings": {
                "threads": args.threads,
                "isa": args.isa,
                "turns": args.turns,
                "seconds": args.seconds,
            },
            "checkpoint": args.random_weights or args.checkpoint.resolve().name,
            "random_weights": bool(args.random_weights),
            **found,
        }
        write_json(args.output, document)
    except (LeanBertError, WorkerError, OSError) as error:
        print(f"speed: {error}", file=sys.stderr)
        return 1
    tables = {
        "graphs": markdown,
        "end_to_end": sentences.end_to_end_markdown,
        "load": sentences.load_markdown,
    }
    print("\n".join(show(found[part]) for part, show in tables.items() if part in found), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
