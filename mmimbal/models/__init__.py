from .backbones import EfficientNetLite
from .heads import (
    BalancedContrastiveClsHead,
    CosineClsHead,
    MetricLearningClsHead,
)
from .multi_view import MultiViewDataPreprocessor
