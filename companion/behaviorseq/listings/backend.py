"""Keras, loaded when a listing is first used, and what the listings share."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from behaviorseq.arguments import whole
from behaviorseq.optional import optional

if find_spec("tensorflow") is None:
    os.environ.setdefault("KERAS_BACKEND", "torch")

if TYPE_CHECKING:
    import keras
    from keras import layers, ops
else:
    keras = optional("keras", "tensorflow")
    layers, ops = keras.layers, keras.ops

__all__ = ["inputs", "keras", "layers", "ops"]


def inputs(*sizes: str | int) -> Any:
    """Make an input of sizes given as name, size, name, size, after checking them."""
    return keras.Input(tuple(whole(str(n), s, 1) for n, s in zip(*[iter(sizes)] * 2, strict=True)))
