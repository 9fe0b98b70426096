from .balanced_contrastive_head import BalancedContrastiveClsHead
from .causal_head import CausalClsHead
from .cosine_head import CosineClsHead
from .cosine_means_head import CosineMeansClsHead
from .etf_head import ETFClsHead
from .experts_head import ExpertsClsHead
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
from .parametric_contrastive_head import ParametricContrastiveClsHead
from .tuned_classifier_head import TunedClassifierClsHead
