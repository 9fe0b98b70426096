from . import pml
from .balanced_contrastive import BalancedContrastiveLoss
from .batch_all_triplet import BatchAllTripletLoss
from .class_balanced_memory import ClassBalancedMemory
from .class_centre import (
    ClassCentreQuadrupletLoss,
    ClassCentreRankingLoss,
    ClassCentreTripletLoss,
)
from .gather import gather_embeddings, gather_labels
from .repaired import DynamicSoftMarginLoss, SmoothAPLoss
