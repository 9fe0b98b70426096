from . import pml
from .balanced_contrastive import BalancedContrastiveLoss
from .batch_all_triplet import BatchAllTripletLoss
from .centre import CentreLoss
from .class_balanced_memory import ClassBalancedMemory
from .class_centre import (
    ClassCentreQuadrupletLoss,
    ClassCentreRankingLoss,
    ClassCentreTripletLoss,
)
from .class_counts_loss import ClassCountsLoss, UsesClassCounts
from .dot_regression import DotRegressionLoss
from .equalization import SoftmaxEqualizationLoss
from .gather import gather_embeddings, gather_without_gradient
from .k_positives import KPositivesLoss
from .label_aware_smoothing import LabelAwareSmoothingLoss
from .lade import LADELoss
from .logit_adjustment import BalancedSoftmaxLoss, LogitAdjustmentLoss, VSLoss
from .margins import GCLLoss, LDAMLoss
from .parametric_contrastive import ParametricContrastiveLoss
from .probabilistic_contrastive import ProCoLoss
from .range_loss import RangeLoss
from .remix import RemixLoss
from .repaired import DynamicSoftMarginLoss, SmoothAPLoss
from .reweighting import ClassBalancedLoss, ClassImbalanceLoss, PriorWeightedLoss
from .supcon import SupConLoss
from .supervised_prototypes import SupervisedPrototypesLoss
from .targeted import TargetedLoss
