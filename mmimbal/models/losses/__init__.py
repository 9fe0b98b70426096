from . import pml
from .balanced_contrastive import BalancedContrastiveLoss
from .batch_all_triplet import BatchAllTripletLoss
from .class_balanced_memory import ClassBalancedMemory
from .class_centre import (
    ClassCentreQuadrupletLoss,
    ClassCentreRankingLoss,
    ClassCentreTripletLoss,
)
from .class_counts_loss import ClassCountsLoss
from .gather import gather_embeddings, gather_labels
from .k_positives import KPositivesLoss
from .label_aware_smoothing import LabelAwareSmoothingLoss
from .logit_adjustment import BalancedSoftmaxLoss, LogitAdjustmentLoss, VSLoss
from .margins import GCLLoss, LDAMLoss
from .probabilistic_contrastive import ProCoLoss
from .repaired import DynamicSoftMarginLoss, SmoothAPLoss
from .reweighting import ClassBalancedLoss, ClassImbalanceLoss, PriorWeightedLoss
from .targeted import TargetedLoss
