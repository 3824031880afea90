"""ONNX Runtime is imported in one place: silently, and with one line where it is missing."""

from __future__ import annotations

import platform
import signal
import sys
from pathlib import Path

import pytest

from tests.helpers.processes import python

# A fresh home; whatever writes to it, or below it, is found.
QUIET = """
import os, sys
from pathlib import Path
home = Path(sys.argv[1])
for name in ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
    os.environ[name] = str(home / name.lower())
    (home / name.lower()).mkdir()
os.environ.pop("ORT_DISABLE_TELEMETRY", None)
"""
WAYS = {
    "pipeline": """
from leanbert import pipeline
pipeline("text-classification", sys.argv[2], engine="onnxruntime")("profit rose")
""",
    "saturation": "from leanbert.engines.saturation import int8_matmuls; int8_matmuls()",
    "verify": """
from leanbert.cli import main
assert main(["verify", sys.argv[2], "--engine", "onnxruntime"]) == 0
""",
    "doctor": "from leanbert.cli import main; assert main(['doctor']) == 0",
    "info": "from leanbert.cli import main; assert main(['info', sys.argv[2]]) == 0",
}
FOUND = """
assert "onnxruntime" in sys.modules
print("found:", [path.name for path in home.rglob("*") if path.is_file()])
"""


@pytest.mark.parametrize("way", WAYS)
def test_no_file_appears_below_a_fresh_home(way: str, tiny_bundle: Path, tmp_path: Path) -> None:
    done = python(["-c", QUIET + WAYS[way] + FOUND, tmp_path, tiny_bundle], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "found: []"


# From here on the kernel ends the process at the first call of socket or socketpair, by whichever
# thread and library: a program of Berkeley's packet filter, which all later threads inherit.
NO_SOCKETS = """
import ctypes, os, platform, struct, sys
numbers = {"x86_64": (41, 53), "aarch64": (198, 199)}[platform.machine()]
KILL, ALLOW = 0x80000000, 0x7FFF0000
program = struct.pack("HBBI", 0x20, 0, 0, 0)  # load the number of the call
for left, number in zip((len(numbers), 1), numbers):
    program += struct.pack("HBBI", 0x15, left, 0, number)  # if it is this one, go to the end
program += struct.pack("HBBI", 0x06, 0, 0, ALLOW) + struct.pack("HBBI", 0x06, 0, 0, KILL)
held = ctypes.create_string_buffer(program, len(program))
class Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("program", ctypes.c_void_p)]
given = Filter(len(program) // 8, ctypes.addressof(held))
prctl = ctypes.CDLL(None, use_errno=True).prctl
prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
if prctl(38, 1, 0, 0, 0) or prctl(22, 2, ctypes.addressof(given), 0, 0):  # no new rights; filter
    print("no filter:", os.strerror(ctypes.get_errno()))
    sys.exit(77)
"""


def run_without_sockets(script: str, folder: Path, *words: object) -> int:
    """The exit code; minus the signal's number where a socket ended the process."""
    if sys.platform != "linux" or platform.machine() not in {"x86_64", "aarch64"}:
        pytest.skip("the filter of system calls is Linux's, on x86-64 and AArch64")
    done = python(["-c", NO_SOCKETS + script, folder, *words], folder)
    if done.returncode == 77:
        pytest.skip(done.stdout.strip())
    assert done.returncode <= 0, done.stderr
    return done.returncode


@pytest.mark.parametrize("opening", ["socket.socket()", "socket.socketpair()"])
def test_the_filter_ends_a_process_that_opens_a_socket(opening: str, tmp_path: Path) -> None:
    """In a thread that begins later, as those of the engines do."""
    script = f"""
import socket, threading
thread = threading.Thread(target=lambda: {opening})
thread.start()
thread.join()
"""
    assert run_without_sockets(script, tmp_path) == -signal.SIGSYS


@pytest.mark.parametrize("way", [*WAYS, "native"])
def test_no_socket_is_opened(way: str, tiny_bundle: Path, tmp_path: Path) -> None:
    native = """
from leanbert import pipeline
pipeline("text-classification")("profit rose")
"""
    script = native if way == "native" else QUIET + WAYS[way]
    assert run_without_sockets(script, tmp_path, tiny_bundle) == 0


def test_what_the_user_says_of_telemetry_stays(tmp_path: Path) -> None:
    script = """
import os, sys
given = os.environ["ORT_DISABLE_TELEMETRY"] = "0"

class Seen:
    def find_spec(self, name, path=None, target=None):
        if name == "onnxruntime":
            print("during:", os.environ["ORT_DISABLE_TELEMETRY"])

sys.meta_path.insert(0, Seen())
import leanbert.engines.ort
print("after:", os.environ["ORT_DISABLE_TELEMETRY"])
"""
    done = python(["-c", script], tmp_path)
    assert done.stdout == "during: 0\nafter: 0\n", done.stderr


MISSING = """
import sys
sys.modules["onnxruntime"] = None
"""


@pytest.mark.parametrize("engine", ["auto", "onnxruntime"])
def test_without_onnxruntime_one_line_names_the_package(
    engine: str, tiny_bundle: Path, tmp_path: Path
) -> None:
    script = f"""
from leanbert.cli import main
sys.exit(main(["predict", "-m", sys.argv[1], "--engine", "{engine}", "profit rose"]))
"""
    done = python(["-c", MISSING + script, tiny_bundle], tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "onnxruntime is not installed; pip install onnxruntime" in done.stderr
    assert ("the native engine cannot run it: " in done.stderr) == (engine == "auto")


def test_without_onnxruntime_the_error_is_an_import_error(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    script = """
from leanbert import LeanBertError, pipeline
try:
    pipeline("text-classification", sys.argv[1], engine="onnxruntime")
except ImportError as error:
    assert isinstance(error, LeanBertError)
    print("named:", "onnxruntime" in str(error))
"""
    done = python(["-c", MISSING + script, tiny_bundle], tmp_path)
    assert done.stdout == "named: True\n", done.stderr


def test_without_onnxruntime_info_and_doctor_still_answer(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    for words in (["info", str(tiny_bundle)], ["doctor"]):
        script = f"from leanbert.cli import main; sys.exit(main({words!r}))"
        done = python(["-c", MISSING + script], tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
