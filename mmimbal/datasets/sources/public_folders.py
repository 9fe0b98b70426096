"""Public datasets with one folder per class."""

from pathlib import Path

from mmimbal.datasets.sources.folders import read_folders
from mmimbal.datasets.sources.source import Source


def read_kvasir(src: Path) -> Source:
    """Read Kvasir v2 (https://datasets.simula.no/kvasir/): 8 folders of images.

    Written from its documentation, not tried on the download.
    """
    origin = 'Pogorelov et al. 2017, doi:10.1145/3083187.3083212'
    return read_folders(src, origin, 'research and education only')


def read_pbc(src: Path) -> Source:
    """Read the PBC blood cells (doi:10.17632/snkd93bnjr.1): 8 folders of images.

    Written from its documentation, not tried on the download.
    """
    return read_folders(
        src, 'Acevedo et al. 2020, doi:10.17632/snkd93bnjr.1', 'CC BY 4.0'
    )
