from .heads import MetricLearningClsHead
from .multi_view import MultiViewDataPreprocessor
