"""Curves in TensorBoard: against a stand-in that keeps calls, and against itself where it is."""

import sys
from types import ModuleType

import pytest

from behaviorseq.training import TensorBoard, tensorboard

ROWS = [{"epoch": 3, "loss": 2.5, "validation": 0.1}, {"epoch": 4, "loss": 2.0, "validation": 0.2}]


class Writer:
    """Stands for torch's writer."""

    def __init__(self, folder, purge_step):
        self.calls = [(folder, purge_step)]
        self.flushed = 0
        made.append(self)

    def add_scalar(self, name, value, step):
        self.calls.append((name, value, step))

    def flush(self):
        self.flushed += 1


made = []


def test_epochs_are_written_under_their_numbers_over_what_was_there(monkeypatch):
    stand_in = ModuleType("torch.utils.tensorboard")
    stand_in.SummaryWriter = Writer
    monkeypatch.setattr(tensorboard, "find_spec", lambda name: ModuleType(name))
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", stand_in)
    made.clear()
    log = TensorBoard("runs/a")
    for row in ROWS:
        log(row)
    (writer,) = made
    assert writer.calls == [
        ("runs/a", 3),
        ("loss", 2.5, 3),
        ("validation", 0.1, 3),
        ("loss", 2.0, 4),
        ("validation", 0.2, 4),
    ]
    assert writer.flushed == 2


def test_it_says_what_to_install_where_it_is_not(monkeypatch):
    monkeypatch.setattr(tensorboard, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"behaviorseq\[tensorboard\]"):
        TensorBoard("runs/a")


def test_tensorboard_reads_back_what_was_written(tmp_path):
    reader = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="needs TensorBoard"
    )
    log = TensorBoard(tmp_path)
    for row in ROWS:
        log(row)
    events = reader.EventAccumulator(str(tmp_path)).Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [(3, 2.5), (4, 2.0)]
