"""The six listings of the document's chapter 4 as Keras 3 models, on TensorFlow or on PyTorch.

Each function builds one listing: the layers it writes down, in that order and with those sizes,
compiled as it says. What had to be added or changed to make it run stands in the function's
notes. Keras chooses what it computes with when it is first imported, by the environment variable
``KERAS_BACKEND``: ``tensorflow``, its own default, or ``torch``, the default here where TensorFlow
is not installed. ``keras.utils.set_random_seed`` seeds the weights, the dropout and the batches.
"""

from .interests import GCN, Sampling, gcn, vae, variational_decoder, variational_encoder
from .optimisation import multitask, q_targets, reinforcement
from .prediction import Positions, lstm, transformer

__all__ = [
    "GCN",
    "Positions",
    "Sampling",
    "gcn",
    "lstm",
    "multitask",
    "q_targets",
    "reinforcement",
    "transformer",
    "vae",
    "variational_decoder",
    "variational_encoder",
]
