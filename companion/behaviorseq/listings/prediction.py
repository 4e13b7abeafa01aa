"""The listings of section 4.1, predicting behavior: an LSTM and a Transformer."""

from __future__ import annotations

from typing import Any

import numpy as np

from behaviorseq.arguments import require, whole

from .backend import inputs, keras, layers, ops


def lstm(timesteps: int, features: int) -> keras.Model:
    """Build the LSTM of section 4.1: will something happen, from a window of events.

    Parameters
    ----------
    timesteps : int
        Events in a window.
    features : int
        Numbers that describe an event.

    Returns
    -------
    keras.Sequential
        Windows of shape (n, timesteps, features) in, probabilities of shape (n, 1) out.

    Notes
    -----
    Changed: ``input_shape`` of the first layer is an ``Input`` before it, as Keras 3 asks for.
    Nothing else. No layer masks: a history shorter than the window is filled with zeros, best in
    front, and the zeros are read like events.

    References
    ----------
    Hochreiter and Schmidhuber, Long short-term memory, Neural Computation 9(8), 1997.

    Examples
    --------
    >>> from behaviorseq import listings
    >>> model = listings.lstm(timesteps=20, features=8)
    >>> model.output_shape, model.count_params()
    ((None, 1), 119617)
    """
    model = keras.Sequential()
    model.add(inputs("timesteps", timesteps, "features", features))
    model.add(layers.LSTM(units=128, return_sequences=True))
    model.add(layers.Dropout(0.2))
    model.add(layers.LSTM(units=64, return_sequences=False))
    model.add(layers.Dropout(0.2))
    model.add(layers.Dense(1, activation="sigmoid"))
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    return model


@keras.saving.register_keras_serializable("behaviorseq")
class Positions(layers.Layer):  # type: ignore[misc]  # Keras ships no types
    r"""Scale vectors by the square root of their length, and add sinusoids of their places.

    Place :math:`p` gets :math:`\sin(p / 10000^{2i/d})` in number :math:`2i` and the cosine in
    number :math:`2i + 1` (Vaswani et al., 2017, section 3.5).
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, x: Any) -> Any:
        """Mark vectors, shape (n, length, d)."""
        length, width = x.shape[1:]
        pair = np.arange(width) // 2
        angle = np.arange(length)[:, None] / 10000 ** (2 * pair / width)
        waves = np.where(np.arange(width) % 2, np.cos(angle), np.sin(angle))
        return x * float(np.sqrt(width)) + ops.cast(ops.convert_to_tensor(waves), x.dtype)


def transformer(
    vocab_size: int, d_model: int, num_heads: int, dff: int, input_sequence_length: int
) -> keras.Model:
    """Build the Transformer of section 4.1: will something happen, from a window of codes.

    Parameters
    ----------
    vocab_size : int
        Number of codes, that of padding included: 0 is padding, items are 1 and more.
    d_model : int
        Length of the vectors.
    num_heads : int
        Attention heads, a divisor of ``d_model``.
    dff : int
        Length of the hidden layer after the attention.
    input_sequence_length : int
        Codes in a window.

    Returns
    -------
    keras.Model
        Codes of shape (n, input_sequence_length) in, probabilities of shape (n, 1) out.

    Notes
    -----
    Added: ``TransformerModel`` is no class of Keras, and the listing says only what goes in and
    what is minimised. Its arguments are those of the encoder of Vaswani et al. (2017), so that is
    what stands here, one block of it: item vectors with sinusoids of their places, attention
    that sees the whole window (it ends before what is predicted) but no padding, a hidden layer,
    each with a residual connection and layer normalisation after it, the dropout of 0.1 of that
    paper. The mean over places and one sigmoid unit follow from the loss.

    References
    ----------
    Vaswani et al., Attention is all you need, NeurIPS 2017.

    Examples
    --------
    >>> from behaviorseq import listings
    >>> model = listings.transformer(501, d_model=32, num_heads=2, dff=64, input_sequence_length=20)
    >>> model.output_shape, model.count_params()
    ((None, 1), 24609)
    """
    for name, size in (("vocab_size", vocab_size), ("num_heads", num_heads), ("dff", dff)):
        whole(name, size, 1)
    require("d_model", d_model, d_model % num_heads == 0, f"a multiple of num_heads={num_heads}")
    codes = inputs("input_sequence_length", input_sequence_length)
    x = layers.Embedding(vocab_size, d_model, mask_zero=True, name="items")(codes)
    x = layers.Dropout(0.1)(Positions(name="positions")(x))
    attention = layers.MultiHeadAttention(num_heads, d_model // num_heads, name="attention")
    x = _residual(x, attention(x, x))
    hidden = layers.Dense(dff, activation="relu", name="hidden")(x)
    x = _residual(x, layers.Dense(d_model, name="back")(hidden))
    probability = layers.Dense(1, activation="sigmoid")(layers.GlobalAveragePooling1D()(x))
    model = keras.Model(codes, probability)
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    return model


def _residual(x: Any, change: Any) -> Any:
    """Add what a part of a block gives to what went in, and normalise."""
    return layers.LayerNormalization(epsilon=1e-6)(layers.Add()([x, layers.Dropout(0.1)(change)]))
