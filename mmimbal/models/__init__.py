from .backbones import EfficientNetLite
from .ensemble import EnsembleClassifier
from .heads import (
    BalancedContrastiveClsHead,
    CosineClsHead,
    MetricLearningClsHead,
)
from .multi_view import MultiViewDataPreprocessor
from .necks import AdapterNeck
