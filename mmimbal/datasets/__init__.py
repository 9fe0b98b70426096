from .csv_dataset import CSVDataset
from .digits_lt import DigitsLT
from .labels import get_class_counts, get_class_names, get_labels
from .samplers import ClassBalancedSampler
