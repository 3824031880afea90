"""What the C library shows and promises: symbols, versions, threads, forks, installation."""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import leanbert
from tests.helpers.c_library import (
    EMBEDDED,
    INCLUDE,
    CLibraryError,
    Model,
    c_library_path,
    load_c_library,
    tool,
)

HEADER = (INCLUDE / "leanbert.h").read_text(encoding="utf-8")
TEXTS = ["Operating profit rose to EUR 13.1 mn.", "Sales fell.", ""]


def test_the_library_shows_the_functions_of_its_header_and_no_others() -> None:
    command = [tool("nm"), "-D", "--defined-only", str(c_library_path())]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    shown = {line.split()[2].partition("@")[0] for line in lines if line.split()[1] == "T"}
    declared = set(re.findall(r"^LEANBERT_API .*?(leanbert_\w+)\(", HEADER, re.MULTILINE))
    assert shown == declared
    assert len(declared) > 12


def test_the_library_needs_nothing_beyond_the_c_library() -> None:
    command = [tool("readelf"), "-d", str(c_library_path())]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"SONAME.*\[(.*)\]", printed) == ["libleanbert.so.1"]
    needed = {name.partition(".")[0] for name in re.findall(r"NEEDED.*\[(.*)\]", printed)}
    if not {"libasan", "libtsan", "libubsan"} & needed:
        assert needed <= {"libc", "libm", "libpthread", "ld-linux-x86-64", "ld-linux-aarch64"}


def test_versions_are_those_of_the_header_and_the_package() -> None:
    library = load_c_library()
    assert f"#define LEANBERT_ABI_VERSION {library.leanbert_abi_version()}\n" in HEADER
    assert library.leanbert_version().decode() == leanbert.__version__


def test_the_header_is_plain_c_and_plain_cpp(tmp_path: Path) -> None:
    for name, compiler, standard in (("a.c", "cc", "-std=c99"), ("a.cpp", "c++", "-std=c++11")):
        found = tool(compiler)
        (tmp_path / name).write_text('#include "leanbert.h"\nint x = LEANBERT_OK;\n')
        flags = [standard, "-Wall", "-Wextra", "-pedantic", "-Werror", f"-I{INCLUDE}"]
        subprocess.run([found, *flags, "-fsyntax-only", str(tmp_path / name)], check=True)


def test_many_threads_share_a_model(embedded: Model) -> None:
    expected = embedded.classify(TEXTS)
    wrong: list[str] = []

    def work() -> None:
        for _ in range(20):
            if embedded.classify(TEXTS).tobytes() != expected.tobytes():
                wrong.append("other scores")
            try:
                embedded.embed(TEXTS, "mean")
            except CLibraryError as error:
                if "task is text-classification" not in error.line:
                    wrong.append(error.line)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_threads_are_started_only_when_asked_for() -> None:
    def threads() -> set[str]:
        return {path.name for path in Path("/proc/self/task").iterdir()}

    if not Path("/proc/self/task").is_dir():
        pytest.skip("needs /proc")
    before = threads()
    with Model(EMBEDDED) as model:
        model.classify([*TEXTS * 20])
        assert not threads() - before
    with Model(EMBEDDED, threads=2) as model:
        model.classify([*TEXTS * 20])
        assert len(threads() - before) == 1
    assert not threads() - before


def test_a_forked_child_answers_with_its_parents_model() -> None:
    with Model(EMBEDDED, threads=2) as model:
        expected = model.classify(TEXTS)
        child = os.fork()
        if child == 0:
            os._exit(model.classify(TEXTS).tobytes() != expected.tobytes())
        assert os.waitpid(child, 0)[1] == 0


def test_a_callers_rounding_changes_no_score(
    embedded: Model, make_native: Callable[..., Path], tmp_path: Path
) -> None:
    """The C program sets upward rounding before it asks, and finds it set afterwards."""
    cc = tool("cc")
    source = tmp_path / "rounding.c"
    source.write_text(
        """
#include <fenv.h>
#include <stdio.h>
#include "leanbert.h"
int main(int argc, char** argv) {
  leanbert_model* model;
  const char* text = argv[argc - 1];
  float scores[3];
  if (leanbert_open(argv[1], NULL, &model, NULL, 0)) return 1;
  fesetround(FE_UPWARD);
  if (leanbert_classify(model, NULL, 1, &text, NULL, scores, 3, NULL, NULL, 0)) return 2;
  if (fegetround() != FE_UPWARD) return 3;
  fesetround(FE_TONEAREST);
  fwrite(scores, 4, 3, stdout);
  leanbert_close(model);
  return 0;
}
""",
        encoding="utf-8",
    )
    library, program = c_library_path().parent, tmp_path / "rounding"
    flags = [f"-I{INCLUDE}", f"-L{library}", f"-Wl,-rpath,{library}", "-lleanbert", "-lm"]
    subprocess.run([cc, str(source), *flags, "-o", str(program)], check=True)
    command = [str(program), str(EMBEDDED), TEXTS[0]]
    printed = subprocess.run(command, capture_output=True, check=True).stdout
    expected = embedded.classify(TEXTS[:1])
    assert np.frombuffer(printed, np.float32).tobytes() == expected.tobytes()


def test_an_installed_library_is_found_by_pkg_config(tmp_path: Path) -> None:
    cmake, pkg_config = tool("cmake"), tool("pkg-config")
    build = c_library_path().parent
    if not (build / "cmake_install.cmake").is_file():
        pytest.skip(f"needs the build folder: no {build / 'cmake_install.cmake'}")
    prefix = tmp_path / "usr"
    command = [cmake, "--install", str(build), "--prefix", str(prefix), "--component", "library"]
    subprocess.run(command, check=True, capture_output=True)
    files = {path.relative_to(prefix).as_posix() for path in prefix.rglob("*") if path.is_file()}
    assert files == {
        "include/leanbert.h",
        "include/leanbert.hpp",
        "lib/libleanbert.so",
        "lib/libleanbert.so.1",
        "lib/pkgconfig/leanbert.pc",
    }
    environment = {**os.environ, "PKG_CONFIG_PATH": str(prefix / "lib/pkgconfig")}
    query = [pkg_config, "--cflags", "--libs", "leanbert"]
    printed = subprocess.run(
        query, capture_output=True, text=True, check=True, env=environment
    ).stdout
    assert "-lleanbert" in printed
    flags = [word for word in printed.split() if word.startswith(("-I", "-L"))]
    assert {Path(flag[2:]).resolve() for flag in flags} == {prefix / "include", prefix / "lib"}
