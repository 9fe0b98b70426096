from . import pml
from .batch_all_triplet import BatchAllTripletLoss
from .gather import gather_embeddings, gather_labels
