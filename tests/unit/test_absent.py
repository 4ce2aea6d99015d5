"""What mezzo does not have: asking whether it is there is answered, using it is an error that says what to do."""

from __future__ import annotations

import pytest
import torch

import mezzo


def test_code_written_for_torchscript_runs_as_python():
    @mezzo.jit.script
    def clip(x, low: float):
        return x.clamp(min=low) if low > 0 else x

    class Block(mezzo.nn.Module):
        scale: mezzo.jit.Final[float] = 2.0

        @mezzo.jit.ignore
        def log(self):
            return "log"

        @mezzo.jit.unused
        def other(self):
            return "other"

        @mezzo.jit.ignore(drop=True)
        def third(self):
            return "third"

        @mezzo.jit.export
        def forward(self, x):
            return x * self.scale if not mezzo.jit.is_scripting() else x

    x = mezzo.tensor([-1.0, 3.0])
    block = mezzo.jit.script(Block())
    assert clip(x, 0.5).tolist() == [0.5, 3.0] and block(x).tolist() == [-2.0, 6.0]
    assert (block.log(), block.other(), block.third()) == ("log", "other", "third")
    assert mezzo.jit.trace(clip, (x, 0.5)) is clip and mezzo.jit.annotate(int, 3) == 3
    assert not mezzo.jit.is_tracing()


def test_scripts_are_not_files(tmp_path):
    with pytest.raises(NotImplementedError, match="mezzo.save"):
        mezzo.jit.save(mezzo.nn.Linear(1, 1), tmp_path / "script.pt")
    with pytest.raises(NotImplementedError, match="state_dict"):
        mezzo.jit.load(tmp_path / "script.pt")


def test_names_are_pytorchs():
    assert all(hasattr(torch.jit, name) for name in mezzo.jit.__all__)
    assert all(hasattr(torch.distributed, name) for name in mezzo.distributed.__all__)


def test_no_processes():
    assert not mezzo.distributed.is_available() and not mezzo.distributed.is_initialized()
    with pytest.raises(AttributeError, match="is_available"):
        getattr(mezzo.distributed, "init_process_group")  # noqa: B009
