"""User behavior sequence analysis for recommender systems.

The companion package of the book. Public names are listed once, in ``__init__.pyi``,
and each is imported when it is first used, so that ``import behaviorseq`` stays fast.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
