r"""Each family on the native engine, beside PyTorch, ONNX Runtime and OpenVINO: how near, how fast.

The weights are seeded, in the shape of MiniLM's smallest (3 layers of 384), with a classifier of
three labels and the embedded model's vocabulary. Speed does not depend on the values. Agreement on
random weights is a lower bound, since their answers lie near each other. --prepare makes the
bundles and what the peers load, which takes minutes. After that the engines, each in a process of
its own, take turns with each family; what was measured stays in the work directory, so that the
families can be measured a few at a time. NomicBERT and GTE need transformers 5.

examples:
  python -m studies.families --work-dir build/families --prepare
  python -m studies.families --work-dir build/families -o benchmarks/results/families.json
  python -m studies.families --work-dir build/families --families bert mpnet --turns 3
  python -m studies.families --table benchmarks/results/families.json
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from leanbert.cpu import allowed_cores
from leanbert.errors import InputError, LeanBertError
from leanbert_bench.provenance import describe_study, installed
from leanbert_bench.results.per_turn import faster
from leanbert_bench.results.schema import read_json
from leanbert_bench.run.process import WorkerError, WorkerProcess
from leanbert_bench.run.random_weights import save_random_checkpoint
from leanbert_bench.statistics import median
from studies.command_line import Json, measure_or_show, new_parser, one_line_errors
from studies.family_peers import SHOWN, make_peers

LAYERS = 3
VOCABULARY = 30522
ENGINES: Mapping[str, tuple[str, str, str]] = {
    "native": ("native", "leanbert_bench.backends.leanbert:GivenBundleNative", "bundle"),
    "pytorch": ("PyTorch fp32", "studies.family_peers:PyTorchFp32", "checkpoint"),
    "onnxruntime": ("ONNX Runtime int8", "studies.family_peers:OnnxRuntimeInt8", "peers"),
    "openvino": ("OpenVINO int8", "leanbert_bench.backends.openvino:OpenVinoInt8", "peers"),
}
"""The name in the table, the back end and the folder of each engine."""

PEERS = tuple(ENGINES)[1:]

_SIZES = {
    "hidden_size": 384,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
}
_DISTILBERT = {"dim": 384, "n_layers": LAYERS, "n_heads": 12, "hidden_dim": 1536}
_POSITIONS = {"max_position_embeddings": 514, "type_vocab_size": 1}

FAMILIES: Mapping[str, Json] = {
    "bert": _SIZES,
    "roberta": {**_SIZES, **_POSITIONS},
    "camembert": {**_SIZES, **_POSITIONS},
    "distilbert": _DISTILBERT,
    "electra": {**_SIZES, "embedding_size": 128},
    "albert": {**_SIZES, "embedding_size": 128},
    "xlm-roberta": {**_SIZES, **_POSITIONS},
    "mpnet": {**_SIZES, "max_position_embeddings": 514},
    "deberta-v2": {
        **_SIZES,
        "relative_attention": True,
        "position_buckets": 32,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_biased_input": False,
        "type_vocab_size": 0,
    },
    "modernbert": {
        **_SIZES,
        "local_attention": 16,
        "global_attn_every_n_layers": 2,
        "reference_compile": False,
    },
    "nomic_bert": {**_SIZES, "max_position_embeddings": 512},
    "gte": {**_SIZES, "max_position_embeddings": 512},
}
"""What differs from the defaults of each family's config, in the order of the table."""


def prepare(family: str, folder: Path) -> Json:
    """Make a family's checkpoint, its bundle and its peers in ``folder``.

    Returns:
        What the export found, and why a peer cannot be made.

    Raises:
        LeanBertError: the export failed.
    """
    from leanbert_export.exporting import export
    from leanbert_export.samples import sample_texts

    checkpoint, peers = folder / "checkpoint", folder / "peers"
    config = {"model_type": family, "vocab_size": VOCABULARY, "initializer_range": 0.05}
    try:
        save_random_checkpoint(checkpoint, **{**config, **FAMILIES[family]})
    except ValueError as error:  # transformers has no such family
        version = installed("transformers")
        raise InputError(f"{family}: transformers {version} does not have it") from error
    texts = list(sample_texts()[::3])
    if family == "mpnet":  # its code takes id 1 for padding, which is [UNK] in this vocabulary
        texts = [text for text in texts if text.isascii()]
    report = export(str(checkpoint), folder / "bundle", texts=texts, calibration=texts, force=True)
    peers.mkdir(exist_ok=True)
    found: Json = {
        "family": family,
        "graph": report.graph,
        "int8_matmuls": report.operators.get("MatMulIntegerToFloat", 0),
        "fp32_difference": report.fp32.max_output_difference,
        "agreement": report.final.agreement,
        "mean_difference": report.final.mean_difference,
        "rows": report.final.rows,
        "native": report.native,
        "without": make_peers(checkpoint, peers, texts),
    }
    (folder / "report.json").write_text(json.dumps(found), encoding="utf-8")
    return found


def measure(
    folders: Mapping[str, Path], shapes: Sequence[str], *, turns: int, threads: int, seconds: float
) -> None:
    """Time the engines with each family by turns; each family's ``times.json`` is written.

    Args:
        folders: what :func:`prepare` filled, by the family.
        shapes: batch x tokens.
        turns: of each engine.
        threads: of each engine.
        seconds: for which an engine answers in a turn.

    Raises:
        InputError: nothing was prepared there.
    """
    reports = {family: read_json(folder / "report.json") for family, folder in folders.items()}
    with ExitStack() as stack:
        workers = {
            engine: stack.enter_context(WorkerProcess(factory, threads, "studies.family_peers"))
            for engine, (_, factory, _) in ENGINES.items()
        }
        for family, folder in folders.items():
            report = reports[family]
            ready = []
            for engine, worker in workers.items():
                if engine in report["without"] or not _is_native(report, engine):
                    continue
                try:
                    worker.ask(
                        "load",
                        family=family,
                        path=str(folder / ENGINES[engine][2]),
                        checkpoint=str(folder / "checkpoint"),
                        threads=threads,
                    )
                except WorkerError as error:
                    report["without"][engine] = str(error)[:SHOWN]
                else:
                    ready.append(engine)
            times: dict[str, dict[str, list[float]]] = {shape: {} for shape in shapes}
            for turn in range(turns):
                for shape in shapes:
                    batch, tokens = map(int, shape.split("x"))
                    for engine in reversed(ready) if turn % 2 else ready:
                        answer = workers[engine].ask(
                            "time", family=family, batch=batch, tokens=tokens,
                            vocabulary=VOCABULARY, seconds=seconds,
                        )  # fmt: skip
                        times[shape].setdefault(engine, []).append(answer["ms"])
            found = {**report, "times": times, "threads": threads}
            (folder / "times.json").write_text(json.dumps(found), encoding="utf-8")


def _is_native(report: Json, engine: str) -> bool:
    return engine != "native" or str(report["native"]).startswith("yes")


def table(found: Json) -> str:
    """Return the Markdown table of the results."""
    shapes = list(found["rows"][0]["times"])
    columns = ["family", "int8 matmuls per layer", "same label as PyTorch"]
    for shape in shapes:
        columns += [f"{shape}: native, ms", *(f"x {ENGINES[peer][0]}" for peer in PEERS)]
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for row in found["rows"]:
        cells = [
            row["family"],
            f"{row['int8_matmuls'] / LAYERS:.1f}",
            f"{row['agreement']:.1%} of {row['rows']}",
        ]
        for shape in shapes:
            times = row["times"][shape]
            own = times.get("native")
            cells.append(f"{median(own):.2f}" if own else str(row["native"]))
            for peer in PEERS:
                ratio = faster(own or [], times.get(peer) or [])
                cells.append(f"{ratio.median:.1f}" if ratio else row["without"].get(peer, ""))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = new_parser(__doc__, results=True)
    add = parser.add_argument
    add("--work-dir", type=Path, metavar="DIR", help="checkpoints and bundles, by family")
    add("--prepare", action="store_true", help="export, and time nothing")
    add("--families", nargs="+", default=list(FAMILIES), choices=FAMILIES, metavar="NAME")
    add("--grid", default="1x32,1x128", metavar="BxT,...", help="batch x tokens (1x32,1x128)")
    add("--threads", type=int, default=allowed_cores(), help="of each engine (all allowed)")
    add("--turns", type=int, default=3, help="of each engine (3)")
    add("--seconds", type=float, default=0.15, help="of each turn and shape (0.15)")
    args = parser.parse_args(words)
    if (args.work_dir is None) == (args.table is None):
        parser.error("give --work-dir DIR, or --table FILE")
    return args


def main(words: Sequence[str] | None = None) -> int:
    """Prepare, or measure and print the table, or print that of earlier results."""
    args = parse(words)

    def prepared(family: str) -> bool:
        try:
            print(family, prepare(family, args.work_dir / family), flush=True)
        except LeanBertError as error:  # the other families are made all the same
            print(family, error, flush=True)
            return False
        return True

    def prepare_all() -> int:
        return 1 if sum(not prepared(family) for family in args.families) else 0

    def measure_all() -> Json:
        measure(
            {family: args.work_dir / family for family in args.families},
            args.grid.split(","),
            turns=args.turns,
            threads=args.threads,
            seconds=args.seconds,
        )
        files = [args.work_dir / family / "times.json" for family in FAMILIES]
        return {
            **describe_study(),
            "threads": args.threads,
            "rows": [read_json(file) for file in files if file.is_file()],
        }

    if args.prepare:
        return one_line_errors("families", prepare_all)
    return measure_or_show("families", args, measure_all, table)


if __name__ == "__main__":
    sys.exit(main())
