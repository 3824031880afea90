"""studies.arm_blocks: the loop that is taken from assembly, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from leanbert.errors import InputError
from studies import arm_blocks

ASSEMBLY = """
_ZN8leanbert12_GLOBAL__N_14Neon10block_int8ILm1ELm0EEEvPKhm:
	.cfi_startproc
.LBB0_1:                                // the loop
	ldr	q1, [x2]
	smlal	v0.4s, v1.4h, v2.h[3]
	b.ne	.LBB0_1
	ret
	.cfi_endproc
_ZN8leanbert12_GLOBAL__N_14Neon10block_int8ILm6ELm0EEEvPKhm:
	.cfi_startproc
	cbz	x1, .LBB1_3
.LBB1_2:
	ldr	q1, [sp, #16]                   // 16-byte Reload
	smlal	v3.4s, v1.4h, v2.h[3]
	smlal2	v4.4s, v1.8h, v2.h[3]
	subs	x1, x1, #1
	b.ne	.LBB1_2
.LBB1_3:
	ret
	.cfi_endproc
_ZN8leanbert12_GLOBAL__N_19other_int8ILm6EEEvv:
	.cfi_startproc
.LBB2_1:
	sdot	v3.4s, v1.16b, v2.4b[3]
	sdot	v3.4s, v1.16b, v2.4b[3]
	sdot	v3.4s, v1.16b, v2.4b[3]
	b	.LBB2_1
	.cfi_endproc
"""


def test_the_fullest_loop_of_the_function_is_found() -> None:
    loop = arm_blocks.find_loop(ASSEMBLY, "block_int8")
    assert [line.split()[0] for line in loop.instructions] == [
        "ldr", "smlal", "smlal2", "subs", "b.ne",
    ]  # fmt: skip
    assert (len(loop.multiplies), loop.stack) == (2, 1)


def test_a_loop_around_another_is_none_of_a_block() -> None:
    outer = """
_Z11score_blockILm6EEvv:
.LBB0_1:
	fmla	v0.4s, v1.4s, v2.s[0]
.LBB0_2:
	ldr	q1, [x1]
	fmla	v0.4s, v1.4s, v2.s[1]
	b.ne	.LBB0_2
	fmla	v0.4s, v1.4s, v2.s[2]
	b.ne	.LBB0_1
	.cfi_endproc
"""
    loop = arm_blocks.find_loop(outer, "score_block")
    assert loop.multiplies == ["fmla\tv0.4s, v1.4s, v2.s[1]"]


def test_a_function_without_multiply_adds_is_refused() -> None:
    with pytest.raises(InputError, match="value_block16: no loop with multiply-adds"):
        arm_blocks.find_loop(ASSEMBLY, "value_block16")


def test_multiply_adds_alone_depend_on_nothing_but_themselves() -> None:
    lines = arm_blocks.multiplies_alone(arm_blocks.find_loop(ASSEMBLY, "block_int8"))
    assert lines[0] == "smlal v0.4s, v30.4h, v15.h[3]"
    sums = [line.split()[1] for line in lines]
    assert len(set(sums)) == len(sums) == 24
    assert not {"v15.4s,", "v30.4s,"} & set(sums)


def test_a_missing_program_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    missing = str(tmp_path / "no-such-compiler")
    assert arm_blocks.main(["--compiler", missing]) == 1
    assert capsys.readouterr().err.endswith("no-such-compiler: No such file or directory\n")


def test_the_table_says_who_counted() -> None:
    row = {"path": "neon", "block": "int8 matmul", "core": "cortex-a53", "instructions": 10}
    row |= {"multiply_adds": 8, "stack": 0, "cycles": 10.0, "cycles_of_multiply_adds": 7.0}
    text = arm_blocks.table({"compiler": "cc 1.0", "llvm_mca": "mca 2.0", "rows": [row]})
    assert "| `neon` | int8 matmul | 8 of 10 | cortex-a53 70% |" in text
    assert text.endswith("cc 1.0; mca 2.0.\n")
