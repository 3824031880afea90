"""What a wheel requires, by what it is built for: ``runtime/native/wheel/requirements.py``."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
from packaging.tags import Tag

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {
    "dependencies": ["numpy>=1.24", "onnxruntime>=1.20,!=1.25.*; sys_platform != 'darwin'", "x"],
    "glibc-only": ["onnxruntime"],
}


@pytest.fixture(scope="module")
def provider() -> ModuleType:
    """The module as the build backend loads it, which is no part of a package."""
    path = ROOT / "runtime" / "native" / "wheel" / "requirements.py"
    spec = spec_from_file_location("requirements", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("tag", "left_out"),
    [
        ("musllinux_1_2_aarch64", True),
        ("manylinux_2_17_x86_64", False),
        ("macosx_11_0_arm64", False),
        ("win_amd64", False),
    ],
)
def test_musl_alone_lacks_what_is_for_glibc_alone(
    provider: ModuleType, monkeypatch: pytest.MonkeyPatch, tag: str, left_out: bool
) -> None:
    monkeypatch.setenv("_PYTHON_HOST_PLATFORM", tag)
    wanted = list(SETTINGS["dependencies"])
    if left_out:
        del wanted[1]
    assert provider.dynamic_metadata(SETTINGS, {}) == {"dependencies": wanted}


def test_a_build_for_this_python_asks_what_it_runs_on(
    provider: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("_PYTHON_HOST_PLATFORM", raising=False)
    for tags, count in (((), 3), (("manylinux_2_17_x86_64", "musllinux_1_2_x86_64"), 2)):
        found = [Tag("py3", "none", tag) for tag in tags]
        monkeypatch.setattr(provider, "sys_tags", lambda found=found: iter(found))
        assert len(provider.dynamic_metadata(SETTINGS, {})["dependencies"]) == count


def test_the_source_distribution_says_that_they_may_differ(provider: ModuleType) -> None:
    assert provider.dynamic_wheel(SETTINGS) == {"dependencies": True}
