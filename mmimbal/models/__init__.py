from .heads import MetricLearningClsHead
