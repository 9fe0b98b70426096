from .index import read_index
from .isic2018 import read_isic2018
from .rbc12 import read_rbc12
from .source import Image, Source
from .write import write_dataset

READERS = {'isic2018': read_isic2018, 'rbc12': read_rbc12, 'csv': read_index}
