"""The table of whole calls of ``native_bench encoder``."""

import re

import pytest

from tests.helpers.native_bench import native_bench

COMMAND = (
    "encoder --isa avx2,neon --models BERT-tiny --shapes 1x8,3x40 --threads 1,2 --seconds 0.01"
)


def test_shares_are_those_of_the_roof_beside_them() -> None:
    done = native_bench(*COMMAND.split())
    assert (done.returncode, done.stderr) == (0, "")
    rows = re.findall(r"^\| BERT-tiny \| (.*) \|$", done.stdout, re.MULTILINE)
    found = [row.replace("%", "").split(" | ") for row in rows]
    shapes = [(threads, shape) for threads, shape, *_ in found]
    assert shapes == [("1", "1 x 8"), ("1", "3 x 40"), ("2", "1 x 8"), ("2", "3 x 40")]
    for _, _, _, rate, roof, share, with_attention in found:
        assert float(share) == pytest.approx(100 * float(rate) / float(roof), rel=0.05)
        assert float(with_attention) > float(share)
