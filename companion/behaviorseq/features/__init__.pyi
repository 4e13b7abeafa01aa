from .statistics import user_statistics as user_statistics
