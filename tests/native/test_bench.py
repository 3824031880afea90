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
    for _, shape, _, rate, roof, share, with_attention in found:
        rounded = 0.05 + 50 * (float(rate) + float(roof)) / float(roof) ** 2
        assert float(share) == pytest.approx(100 * float(rate) / float(roof), abs=1.1 * rounded)
        assert float(with_attention) >= float(share)
        if shape == "3 x 40":  # attention adds 4.5% to the operations
            more = float(with_attention) / float(share)
            assert more == pytest.approx(1.045, abs=0.002 + 0.2 / float(share))
