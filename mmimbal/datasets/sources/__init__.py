from .covidx import read_covidx
from .folders import read_folders
from .index import read_csv
from .isic2018 import read_isic2018
from .isic2019 import read_isic2019
from .medmnist import read_medmnist
from .plan import plan_dataset
from .public_folders import read_kvasir, read_pbc
from .rbc12 import read_rbc12
from .retinopathy import read_aptos2019, read_eyepacs
from .source import Image, Source
from .write import write_plan

READERS = {
    'aptos2019': read_aptos2019,
    'covidx': read_covidx,
    'csv': read_csv,
    'eyepacs': read_eyepacs,
    'folders': read_folders,
    'isic2018': read_isic2018,
    'isic2019': read_isic2019,
    'kvasir': read_kvasir,
    'medmnist': read_medmnist,
    'pbc': read_pbc,
    'rbc12': read_rbc12,
}
