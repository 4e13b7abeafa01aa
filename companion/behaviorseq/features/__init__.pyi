from .statistics import user_statistics as user_statistics
from .windows import daily_counts as daily_counts
