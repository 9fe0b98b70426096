from .class_counts import draw_class_counts
from .recall_by_count import draw_recall_by_count
