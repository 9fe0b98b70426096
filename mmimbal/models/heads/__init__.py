from .balanced_contrastive_head import BalancedContrastiveClsHead
from .cosine_head import CosineClsHead
from .etf_head import ETFClsHead
from .fitted_heads import KNNClsHead, NearestMeanClsHead
from .frozen_classifier_head import (
    DisAlignClsHead,
    LogitAdjustedClsHead,
    LWSClsHead,
    TauNormClsHead,
)
from .image_views_head import ImageViewsClsHead
from .max_norm_head import MaxNormClsHead
from .metric_learning_head import MetricLearningClsHead
