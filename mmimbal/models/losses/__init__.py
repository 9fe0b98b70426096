from . import pml
from .gather import gather_embeddings, gather_labels
