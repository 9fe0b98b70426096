from .balanced_contrastive_head import BalancedContrastiveClsHead
from .cosine_head import CosineClsHead
from .fitted_heads import KNNClsHead, NearestMeanClsHead
from .frozen_classifier_head import (
    DisAlignClsHead,
    LogitAdjustedClsHead,
    LWSClsHead,
    TauNormClsHead,
)
from .image_views_head import ImageViewsClsHead
from .metric_learning_head import MetricLearningClsHead
