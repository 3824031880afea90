"""What LeanBERT says where onnxruntime is missing."""

from __future__ import annotations

import platform
import sys

import pytest

from leanbert.engines.advice import onnxruntime_advice


@pytest.mark.parametrize(
    ("system", "machine", "libc", "wanted"),
    [
        ("linux", "x86_64", "glibc", "pip install onnxruntime"),
        ("linux", "aarch64", "", "PyPI has none for musl"),
        ("darwin", "arm64", "", "pip install onnxruntime"),
        ("darwin", "x86_64", "", "pip install 'onnxruntime<1.24'"),
        ("win32", "ARM64", "", "pip install onnxruntime"),
    ],
)
def test_the_advice_fits_the_platform(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, libc: str, wanted: str
) -> None:
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(platform, "libc_ver", lambda: (libc, ""))
    assert onnxruntime_advice().split(",")[0].split(":")[0] == wanted
