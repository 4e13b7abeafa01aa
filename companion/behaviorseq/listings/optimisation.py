"""The listings of section 4.3, multi-task and reinforcement learning."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from behaviorseq.arguments import whole

from .backend import inputs, keras, layers

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def multitask(timesteps: int, features: int, num_categories: int) -> keras.Model:
    """Build the multi-task network of section 4.3: will something happen, and of which kind.

    Parameters
    ----------
    timesteps : int
        Events in a window.
    features : int
        Numbers that describe an event.
    num_categories : int
        Kinds.

    Returns
    -------
    keras.Model
        Windows of shape (n, timesteps, features) in; ``predictive_task``, shape (n, 1), and
        ``classification_task``, shape (n, num_categories), out, in a dictionary.

    Notes
    -----
    Changed: the listing stacks both heads in one ``Sequential``, so that the second would read
    nothing but the one probability of the first, and that no output has the name of the first's
    loss. Here both read the flattened layer, and have the names that the losses have.

    References
    ----------
    Caruana, Multitask learning, Machine Learning 28(1), 1997.

    Examples
    --------
    >>> from behaviorseq import listings
    >>> model = listings.multitask(timesteps=10, features=5, num_categories=3)
    >>> {name: head.shape for name, head in model.output.items()}
    {'predictive_task': (None, 1), 'classification_task': (None, 3)}
    """
    window = inputs("timesteps", timesteps, "features", features)
    x = layers.Dense(units=128, activation="relu")(window)
    x = layers.Bidirectional(layers.LSTM(units=64, return_sequences=True))(x)
    x = layers.Flatten()(x)
    happens = layers.Dense(units=1, activation="sigmoid", name="predictive_task")(x)
    kinds = whole("num_categories", num_categories, 2)
    kind = layers.Dense(units=kinds, activation="softmax", name="classification_task")(x)
    model = keras.Model(window, {"predictive_task": happens, "classification_task": kind})
    loss = {
        "predictive_task": "binary_crossentropy",
        "classification_task": "categorical_crossentropy",
    }
    model.compile(optimizer="adam", loss=loss)
    return model


def reinforcement(user_features: int, item_features: int, *, units: int = 64) -> keras.Model:
    """Build the network of section 4.3 that says what recommending an item to a user is worth.

    Parameters
    ----------
    user_features, item_features : int
        Numbers that describe the state of a user, and an item.
    units : int
        Length of the hidden layer.

    Returns
    -------
    keras.Model
        ``[users, items]`` of shapes (n, user_features) and (n, item_features) in, values of shape
        (n, 1) out.

    Notes
    -----
    Added: the listing names only what goes in and what comes out; between them stands one hidden
    layer over both. As listed, trained on rewards seen, it predicts the next reward: a
    system that shows the item with the highest is greedy. What makes it reinforcement learning
    is what it is trained towards: see :func:`q_targets`.

    Examples
    --------
    >>> from behaviorseq import listings
    >>> model = listings.reinforcement(user_features=6, item_features=4, units=8)
    >>> model.output_shape, model.count_params()
    ((None, 1), 97)
    """
    user_input = inputs("user_features", user_features)
    item_input = inputs("item_features", item_features)
    both = layers.Concatenate()([user_input, item_input])
    hidden = layers.Dense(whole("units", units, 1), activation="relu")(both)
    reward_output = layers.Dense(1)(hidden)
    model = keras.Model(inputs=[user_input, item_input], outputs=[reward_output])
    model.compile(optimizer="adam", loss="mse")
    return model


def q_targets(
    model: keras.Model,
    rewards: ArrayLike,
    next_users: ArrayLike,
    items: ArrayLike,
    *,
    discount: float = 0.9,
    last: ArrayLike | None = None,
) -> NDArray[np.float32]:
    r"""Give what :func:`reinforcement` learns towards: :math:`r + \gamma \max_a Q(s', a)`.

    Parameters
    ----------
    model : keras.Model
        The target network: an older copy of the network in training
        (``keras.models.clone_model``, then ``set_weights``), so that it does not chase itself.
    rewards : array-like
        Shape (n,).
    next_users : array-like
        State of each user after the recommendation, shape (n, user_features).
    items : array-like
        The items that could be recommended next, shape (n_items, item_features).
    discount : float
        What a reward one step later is worth.
    last : array-like of bool, optional
        Where no step follows, shape (n,).

    Returns
    -------
    NDArray[float32]
        Shape (n,).

    References
    ----------
    Mnih et al., Human-level control through deep reinforcement learning, Nature 518, 2015.
    """
    users, actions = (np.asarray(each, dtype=np.float32) for each in (next_users, items))
    pairs = [np.repeat(users, len(actions), axis=0), np.tile(actions, (len(users), 1))]
    values = model.predict(pairs, verbose=0).reshape(len(users), len(actions))
    follows = 1.0 if last is None else ~np.asarray(last, dtype=bool)
    targets = np.asarray(rewards) + discount * follows * values.max(axis=1)
    return np.asarray(targets, dtype=np.float32)
