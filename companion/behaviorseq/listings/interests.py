"""The listings of section 4.2, recognising interests: a GCN and a VAE."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from behaviorseq.arguments import whole
from behaviorseq.features.graph import normalized

from .backend import inputs, keras, layers, ops

if TYPE_CHECKING:
    import scipy.sparse as sp
    from numpy.typing import ArrayLike, NDArray


@keras.saving.register_keras_serializable("behaviorseq")
class GCN(layers.Layer):  # type: ignore[misc]  # Keras ships no types
    r"""One graph convolution, :math:`\mathrm{ReLU}(\hat A X W + b)`, which Keras has not.

    Parameters
    ----------
    units : int
        Length of the vectors that come out.
    edges : array-like
        The entries of :math:`\hat A` that are not 0: row, column, weight; shape (3, n_edges).

    References
    ----------
    Kipf and Welling, Semi-supervised classification with graph convolutional networks, ICLR 2017,
    equation 2.
    """

    def __init__(self, units: int, edges: ArrayLike, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.edges: NDArray[np.float64] = np.asarray(edges, dtype=np.float64)

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Make the weights for vectors of shape (n, nodes, features)."""
        self.kernel = self.add_weight(name="kernel", shape=(shape[-1], self.units))
        self.bias = self.add_weight(name="bias", shape=(self.units,), initializer="zeros")

    def call(self, x: Any) -> Any:
        """Mix the vectors of each node and its neighbors, (n, nodes, features) in."""
        rows, columns = self.edges[:2].astype(np.int32)
        nodes = ops.transpose(ops.matmul(x, self.kernel), (1, 0, 2))  # (nodes, n, units)
        sent = ops.take(nodes, columns, axis=0) * self.edges[2].astype(np.float32)[:, None, None]
        mixed = ops.segment_sum(sent, rows, num_segments=x.shape[1])
        return ops.relu(ops.transpose(mixed, (1, 0, 2)) + self.bias)

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Give the shape of what comes out."""
        return (*shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        """Give what the layer is made of again."""
        return {**super().get_config(), "units": self.units, "edges": self.edges.tolist()}


def gcn(
    adjacency: sp.csr_array, features: int, num_interests: int, *, units: int = 64
) -> keras.Model:
    """Build the GCN of section 4.2: the interest that each node of a graph belongs to.

    Parameters
    ----------
    adjacency : scipy.sparse.csr_array
        Weights of the edges, symmetric, shape (nodes, nodes).
    features : int
        Numbers that describe a node.
    num_interests : int
        Classes.
    units : int
        Length of the vectors between the two layers.

    Returns
    -------
    keras.Sequential
        Nodes of shape (1, nodes, features) in, probabilities of shape (1, nodes, num_interests)
        out. Nodes without a known class get weight 0 in ``sample_weight``, shape (1, nodes).

    Notes
    -----
    Added: the layer ``GCN``, which Keras has not; its length, which the listing does not give; and
    the graph, which it never mentions: its ``nodes`` are those of ``adjacency``. One graph is one
    example, so a batch holds one. The graph is normalised by
    :func:`behaviorseq.features.normalized`. A second convolution, which reaches neighbors of
    neighbors and is usual, is not in the listing.

    References
    ----------
    Kipf and Welling, Semi-supervised classification with graph convolutional networks, ICLR 2017.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> from behaviorseq import listings
    >>> path = sp.csr_array([[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    >>> model = listings.gcn(path, features=4, num_interests=2, units=8)
    >>> model.output_shape, model.count_params()
    ((None, 3, 2), 58)
    """
    hat = normalized(adjacency).tocoo()
    model = keras.Sequential()
    model.add(inputs("nodes", hat.shape[0], "features", features))
    model.add(GCN(whole("units", units, 1), np.stack([hat.row, hat.col, hat.data])))
    model.add(layers.Dropout(0.2))
    model.add(layers.Dense(whole("num_interests", num_interests, 2), activation="softmax"))
    model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
    return model


@keras.saving.register_keras_serializable("behaviorseq")
class Sampling(layers.Layer):  # type: ignore[misc]  # Keras ships no types
    r"""Draw from normal distributions, and add their distance from the standard one to the loss.

    The distance is the mean over a batch of
    :math:`\tfrac12 \sum_j (\mu_j^2 + \sigma_j^2 - 1 - \ln \sigma_j^2)` (Kingma and Welling, 2014,
    appendix B), times ``weight``. Outside training the mean comes out.

    Parameters
    ----------
    weight : float
        Of the distance in the loss.
    """

    def __init__(self, weight: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.weight = weight
        self.seeds = keras.random.SeedGenerator()

    def call(self, parts: tuple[Any, Any], training: bool = False) -> Any:
        """Draw with given means and logarithms of variances, both of shape (n, latent_dim)."""
        mean, log_variance = parts
        terms = ops.square(mean) + ops.exp(log_variance) - 1 - log_variance
        self.add_loss(self.weight * ops.mean(ops.sum(terms, axis=-1)) / 2)
        if not training:
            return mean
        noise = keras.random.normal(ops.shape(mean), seed=self.seeds)
        return mean + ops.exp(log_variance / 2) * noise

    def compute_output_shape(self, shapes: list[tuple[int | None, ...]]) -> tuple[int | None, ...]:
        """Give the shape of what comes out."""
        return tuple(shapes[0])

    def get_config(self) -> dict[str, Any]:
        """Give what the layer is made of again."""
        return {**super().get_config(), "weight": self.weight}


def variational_encoder(
    timesteps: int, features: int, latent_dim: int, *, units: int = 64
) -> keras.Model:
    """Build the encoder of :func:`vae`: a window in, a draw from its distribution out."""
    window = inputs("timesteps", timesteps, "features", features)
    read = layers.LSTM(whole("units", units, 1), name="reader")(window)
    mean = layers.Dense(whole("latent_dim", latent_dim, 1), name="mean")(read)
    log_variance = layers.Dense(latent_dim, name="log_variance")(read)
    z = Sampling(1 / (timesteps * features), name="sampling")((mean, log_variance))
    return keras.Model(window, z, name="encoder")


def variational_decoder(
    latent_dim: int, features: int, timesteps: int, *, units: int = 64
) -> keras.Model:
    """Build the decoder of :func:`vae`: a point in, the probabilities of a window out."""
    z = inputs("latent_dim", latent_dim)
    repeated = layers.RepeatVector(whole("timesteps", timesteps, 1))(z)
    states = layers.LSTM(whole("units", units, 1), return_sequences=True, name="writer")(repeated)
    window = layers.Dense(whole("features", features, 1), activation="sigmoid")(states)
    return keras.Model(z, window, name="decoder")


def vae(timesteps: int, features: int, latent_dim: int, *, units: int = 64) -> keras.Model:
    """Build the variational autoencoder of section 4.2: windows described by a few numbers.

    Parameters
    ----------
    timesteps : int
        Events in a window.
    features : int
        Numbers of 0 to 1 that describe an event.
    latent_dim : int
        Numbers that describe a window.
    units : int
        Length of the states of encoder and decoder.

    Returns
    -------
    keras.Model
        Windows of shape (n, timesteps, features) in and out. ``get_layer("encoder")`` and
        ``get_layer("decoder")`` are its parts: new windows are what the decoder makes of draws
        from the standard normal distribution.

    Notes
    -----
    Changed: the listing gives its decoder ``encoder.input``, so that the encoder would have no
    part in the model; it gets what the encoder makes of it. Added: what is inside the two, which
    the listing does not say, an LSTM each; the draw and the distance from the prior, without
    which it is an autoencoder that cannot generate; ``timesteps`` for the decoder, which has to
    know how much to write. Keras takes the mean of the cross-entropy over the numbers of a
    window where the evidence bound has their sum, so the distance is divided by
    ``timesteps * features``: the loss is the negative bound divided by that.

    References
    ----------
    Kingma and Welling, Auto-encoding variational Bayes, ICLR 2014.

    Examples
    --------
    >>> from behaviorseq import listings
    >>> model = listings.vae(timesteps=10, features=5, latent_dim=2, units=8)
    >>> model.output_shape, model.count_params()
    ((None, 10, 5), 881)
    """
    encoder = variational_encoder(timesteps, features, latent_dim, units=units)
    decoder = variational_decoder(latent_dim, features, timesteps, units=units)
    model = keras.Model(inputs=encoder.input, outputs=decoder(encoder.output))
    model.compile(optimizer="adam", loss="binary_crossentropy")
    return model
