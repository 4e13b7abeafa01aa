"""Preparing event logs: cleaning, sessions, codes, windows, scales, gaps, and writing in parts.

Each function takes a pandas, Polars (eager or lazy), DuckDB or Spark dataframe and gives the same
kind back, but for `write_shards`, whose result is on disk. Names are listed in ``__init__.pyi``
and each is imported when it is first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
