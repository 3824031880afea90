"""Importing little: no heavy library at run time, and one direction between the modules."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from tests.helpers.processes import ROOT, python

RUNTIME = ROOT / "runtime"
HEAVY = [
    "torch",
    "transformers",
    "optimum",
    "onnx",
    "onnx_ir",
    "pandas",
    "matplotlib",
    "safetensors",
]

FORBIDDING = """
import sys
class Forbid:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ImportError(f"{{name}} must not be imported")
sys.meta_path.insert(0, Forbid())
"""

LAYERS = [
    {"leanbert.cli", "leanbert._pyinstaller", "leanbert.integrations"},
    {"leanbert.pages"},
    {"leanbert.pipelines", "leanbert.verification"},
    {"leanbert.batching"},
    {"leanbert.tokenization"},
    {"leanbert.scores"},
    {"leanbert.engines", "leanbert.numerics"},
    {"leanbert.bundle", "leanbert.arguments", "leanbert.records", "leanbert.closing"},
    {
        "leanbert.aside",
        "leanbert.errors",
        "leanbert.cpu",
        "leanbert.files",
        "leanbert.leaving",
        "leanbert.log",
    },
    {"leanbert.shown", "leanbert.environment"},
]
ALLOWED_ROOT_NAMES = {"__version__"}


def run_forbidding(names: list[str], script: str, *words: object, cwd: Path) -> str:
    done = python(["-c", FORBIDDING.format(names=set(names)) + script, *words], cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_predicting_needs_no_heavy_library(tiny_bundle: Path, tmp_path: Path) -> None:
    script = """
from leanbert import pipeline, verify
classify = pipeline("text-classification", sys.argv[1])
print(classify("profit rose")[0]["label"], classify(["a bad loss"], top_k=2)[0][0]["label"])
verify(sys.argv[1])
"""
    out = run_forbidding([*HEAVY, "typing_extensions"], script, tiny_bundle, cwd=tmp_path)
    assert out == "positive negative\n"


def test_no_task_needs_a_heavy_library_or_another_tasks_module(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    script = """
from leanbert.pipelines import TASKS, pipeline
modules = {f"leanbert.pipelines.{task.replace('-', '_')}" for task in TASKS}
assert not modules & set(sys.modules)
pipeline(None, sys.argv[1])
assert modules & set(sys.modules) == {"leanbert.pipelines.text_classification"}
from leanbert.pipelines import *
assert modules <= set(sys.modules)
print("tasks:", len(modules))
"""
    names = [*HEAVY, "typing_extensions"]
    assert run_forbidding(names, script, tiny_bundle, cwd=tmp_path) == "tasks: 7\n"


@pytest.mark.parametrize("command", ["predict", "verify", "info", "doctor"])
def test_commands_need_no_heavy_library(command: str, tiny_bundle: Path, tmp_path: Path) -> None:
    commands: dict[str, list[object]] = {
        "predict": ["predict", "-m", tiny_bundle, "profit rose"],
        "verify": ["verify", tiny_bundle],
        "info": ["info", tiny_bundle],
        "doctor": ["doctor"],
    }
    words = commands[command]
    # doctor only looks whether they are there
    names = [] if command == "doctor" else HEAVY
    script = f"""
from leanbert.cli import main
code = main(sys.argv[1:])
assert not set({HEAVY!r}) & set(sys.modules)
sys.exit(code)
"""
    assert run_forbidding(names, script, *words, cwd=tmp_path)


def test_the_guard_guards(tmp_path: Path) -> None:
    done = python(["-c", FORBIDDING.format(names={"json"}) + "import json.decoder"], tmp_path)
    assert "must not be imported" in done.stderr


def test_texts_of_the_command_line_wait_for_no_reader_or_writer(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    script = """
from leanbert.cli import main
main(sys.argv[1:])
late = ("bulk", "file_inputs", "jobs", "journal", "ledger", "partial", "resuming", "staging")
late += ("wording",)
late = {f"leanbert.cli.{name}" for name in late}
late |= {f"leanbert.records.{name}" for name in ("finding", "lines", "reading", "sources")}
late |= {"leanbert.cli.explained", "leanbert.pages", "leanbert.pipelines.explaining", "html"}
print(late & set(sys.modules), {"csv", "gzip"} & set(sys.modules))
"""
    words = ["predict", "-m", tiny_bundle, "profit rose"]
    out = run_forbidding([], script, *words, cwd=tmp_path)
    assert out.splitlines()[-1] == "set() set()"


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["export", "--help"]])
def test_help_waits_for_no_library(words: list[str], tmp_path: Path) -> None:
    names = [*HEAVY, "numpy", "onnxruntime", "tokenizers"]
    script = """
from leanbert.cli import main
main(sys.argv[1:])
"""
    assert "leanbert" in run_forbidding(names, script, *words, cwd=tmp_path)


def test_importing_the_package_imports_no_library(tmp_path: Path) -> None:
    names = [*HEAVY, "numpy", "onnxruntime", "tokenizers"]
    script = "import leanbert; dir(leanbert); leanbert.LeanBertError; print(leanbert.__version__)"
    assert run_forbidding(names, script, cwd=tmp_path)


def modules() -> dict[str, ast.Module]:
    found = {}
    for path in sorted((RUNTIME / "leanbert").rglob("*.py")):
        name = ".".join(path.relative_to(RUNTIME).with_suffix("").parts)
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        found[name.removesuffix(".__init__")] = tree
    return found


def imports(tree: ast.Module) -> Iterator[tuple[str, list[str]]]:
    """Each imported module, wherever in the file, with the names taken from it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, []
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"a relative import at line {node.lineno}"
            yield node.module or "", [alias.name for alias in node.names]


def part(module: str) -> str:
    return ".".join(module.split(".")[:2])


def layer(module: str) -> int:
    return next(i for i, names in enumerate(LAYERS) if part(module) in names)


def check_direction(importer: str, imported: str, names: list[str]) -> None:
    if imported == "leanbert":
        assert set(names) <= ALLOWED_ROOT_NAMES, f"{importer} takes {names} from the root"
    elif part(importer) != part(imported):
        down = layer(importer) < layer(imported)
        assert down, f"{importer} imports {imported}, which is not below it"


def test_modules_import_downwards_only() -> None:
    sources = modules()
    known = {part(name) for name in sources} - {"leanbert", "leanbert.__main__"}
    assert known == {name for names in LAYERS for name in names}
    for importer, tree in sources.items():
        if importer in {"leanbert", "leanbert.__main__"}:
            continue
        for imported, names in imports(tree):
            if imported.partition(".")[0] == "leanbert":
                check_direction(importer, imported, names)


def test_the_check_of_directions_can_fail() -> None:
    for importer, imported, names in [
        ("leanbert.bundle.config", "leanbert.engines", []),
        ("leanbert.engines.batch", "leanbert.numerics", []),
        ("leanbert.verification", "leanbert.pipelines.base", []),
        ("leanbert.cpu", "leanbert.errors", []),
        ("leanbert.errors", "leanbert", ["pipeline"]),
    ]:
        with pytest.raises(AssertionError):
            check_direction(importer, imported, names)


def test_the_runtime_imports_its_three_libraries_only() -> None:
    import sys

    outside: dict[str, set[str]] = {}
    for importer, tree in modules().items():
        for imported, _ in imports(tree):
            top = imported.partition(".")[0]
            if top not in sys.stdlib_module_names and top != "leanbert":
                outside.setdefault(top, set()).add(importer)
    models = outside.pop("leanbert_models")
    assert models == {"leanbert.pipelines"}
    # Where it is installed:
    arrow = {f"leanbert.records.{name}" for name in ("batches", "compressed", "parquet")}
    arrow |= {"leanbert.cli.parquet_writing", "leanbert.cli.staging"}
    arrow |= {"leanbert.pipelines.frames", "leanbert.integrations.duckdb"}
    arrow |= {"leanbert.integrations.carrying"}
    assert outside.pop("pyarrow") == arrow
    for cluster in ("ray", "pyspark"):  # imported by whoever has one
        assert outside.pop(cluster) == {f"leanbert.integrations.{cluster.removeprefix('py')}"}
    assert outside.pop("pandas") == {"leanbert.integrations.spark"}  # for a UDF of its own name
    typed = outside.pop("typing_extensions")  # type checkers bring it; nothing else reads it
    assert {part(name) for name in typed} == {"leanbert.pipelines"}
    assert outside.pop("huggingface_hub") == {"leanbert.bundle.hub.fetching"}  # when it is asked
    assert outside.pop("shtab") == {"leanbert.cli.completion"}  # as long as it writes a script
    assert set(outside) == {"numpy", "onnxruntime", "tokenizers"}
    assert outside["onnxruntime"] == {"leanbert.engines.ort"}
    homes = {
        "borders",
        "copies",
        "elision",
        "locality",
        "making",
        "pieces",
        "settings",
        "shortening",
    }
    homes |= {"tokenizer", "word_cuts"}
    assert outside["tokenizers"] == {f"leanbert.tokenization.{name}" for name in homes}


def test_export_and_bench_are_named_in_strings_of_the_command_only() -> None:
    for name, tree in modules().items():
        strings = {
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        named = {text for text in strings if text.startswith(("leanbert_export", "leanbert_bench"))}
        wanted = {"leanbert_export.cli", "leanbert_bench.cli"} if name == "leanbert.cli" else set()
        assert named == wanted, name


def test_the_public_namespace_of_the_package() -> None:
    leanbert = import_module("leanbert")
    assert dir(leanbert) == sorted(leanbert.__all__)
    assert {*leanbert._HOME, "__version__"} == set(leanbert.__all__)
    for name, home in leanbert._HOME.items():
        assert getattr(leanbert, name) is getattr(import_module(home), name)
        assert name in import_module(home).__all__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = leanbert.nothing


def test_the_public_namespace_of_the_errors() -> None:
    errors = import_module("leanbert.errors")
    classes = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert classes | {"warn"} == set(errors.__all__)
    base, warning = errors.LeanBertError, errors.LeanBertWarning
    for name in classes - {"LeanBertWarning"}:
        assert issubclass(getattr(errors, name), base)
        assert name in str(errors.__doc__)
    assert issubclass(warning, UserWarning)
    assert not issubclass(warning, base)


@pytest.mark.parametrize(
    "name",
    [
        "bundle.hub.choosing",
        "bundle.hub.failures",
        "bundle.hub.fetching",
        "bundle.hub.names",
        "bundle.hub.pulling",
        "numerics",
        "batching.order",
        "batching.workers",
        "tokenization.sentences",
        "tokenization.special_tokens",
        "verification",
        "files",
        "cli.answers",
        "cli.options",
        "cli.cells",
        "cli.flags",
        "cli.inputs",
        "cli.outputs",
        "cli.parquet_writing",
        "cli.progress",
        "cli.signals",
        "cli.streams",
        "cli.wording",
        "cli.writing",
        "records.delimited",
        "records.jsonl",
        "records.parquet",
        "records.reading",
        "records.signatures",
        "records.sources",
        "engines.saturation",
        "tokenization.vocabulary",
        "tokenization.locality",
        "tokenization.pieces",
        "tokenization.rows",
        "tokenization.settings",
        "tokenization.shortening",
        "engines.forking",
        "engines.report",
    ],
)
def test_the_public_namespace_of_a_module(name: str) -> None:
    module = import_module(f"leanbert.{name}")
    tree = modules()[f"leanbert.{name}"]
    defined = {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    }
    assert set(module.__all__) == defined


def test_everything_in_all_exists() -> None:
    clusters = {"leanbert.integrations.ray", "leanbert.integrations.spark"}  # make clusters
    for name in modules().keys() - clusters:
        if name != "leanbert.__main__" and "-" not in name:  # PyInstaller's hooks are no modules
            module = import_module(name)
            exported = getattr(module, "__all__", [])
            assert len(set(exported)) == len(exported)
            for item in exported:
                assert hasattr(module, item), f"{name}.{item}"


def test_predict_loads_no_other_tasks_module(tmp_path: Path) -> None:
    code = (
        "import sys; from leanbert.cli import main; main(['predict', 'Sales fell.']); "
        "others = ('entities', 'feature_extraction', 'question_answering', 'fill_mask'); "
        "print([name for name in others if f'leanbert.pipelines.{name}' in sys.modules])"
    )
    done = python(["-c", code], tmp_path)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
