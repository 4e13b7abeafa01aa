"""Curves of a run in TensorBoard."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from torch.utils.tensorboard import SummaryWriter


class TensorBoard:
    """Writes each epoch of a run to a folder that ``tensorboard --logdir`` shows.

    Give it to ``fit`` as ``log``. A run that goes on from a checkpoint replaces what it logged of
    the epochs that it repeats.

    Parameters
    ----------
    folder : path
        One for each run.

    Raises
    ------
    ImportError
        If TensorBoard is not installed.
    """

    def __init__(self, folder: str | Path) -> None:
        if find_spec("tensorboard") is None:
            raise ImportError(
                'tensorboard is not installed: pip install "behaviorseq[tensorboard]" installs it'
            )
        self.folder = folder
        self._writer: SummaryWriter | None = None

    def __call__(self, row: dict[str, Any]) -> None:
        """Write the numbers of an epoch under its number."""
        epoch = row["epoch"]
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(self.folder, purge_step=epoch)
        for name, value in row.items():
            if name != "epoch":
                self._writer.add_scalar(name, value, epoch)
        self._writer.flush()
