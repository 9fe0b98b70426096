"""COVIDx chest X-rays."""

from pathlib import Path

from mmimbal.datasets.sources.source import Image, Source, require_files

SPLITS = ('train', 'val', 'test')
LAYOUT = 'train.txt, test.txt (lines of: patient file class source), train/, test/'


def read_covidx(src: Path) -> Source:
    """Read COVIDx CXR with its official split; the group is the patient.

    Reads the download of https://www.kaggle.com/datasets/andyczhao/covidx-cxr2. Written
    from its documentation, not tried on the download. Classes are those in the lists:
    they differ between versions. Not every version has a ``val.txt``.

    Raises:
        FileNotFoundError: If a list or a folder is missing.
        ValueError: If a line cannot be read, or a file is listed with two labels.
    """
    require_files(src, ('train.txt', 'test.txt', 'train', 'test'), LAYOUT)
    images: dict[tuple[str, str], Image] = {}
    for split in SPLITS:
        file = src / f'{split}.txt'
        if not file.is_file():
            continue
        for number, line in enumerate(file.read_text(encoding='utf-8').splitlines(), 1):
            if not line.strip():
                continue
            cells = line.split()
            if len(cells) < 4:
                raise ValueError(
                    f'{file}, line {number}: expected 4 words, not {line!r}'
                )
            # File names may contain spaces: patient first, class and source last.
            patient, *name, label, _ = cells
            name = ' '.join(name)
            earlier = images.get((split, name))
            if earlier is not None and earlier.label != label:
                raise ValueError(
                    f'{file}, line {number}: {name} has label {label}, but '
                    f'{earlier.label} in an earlier line'
                )
            images[split, name] = Image(
                src / split / name, label, patient, split, f'{split}/{name}'
            )
    classes = tuple(sorted({image.label for image in images.values()}))
    origin = 'COVIDx CXR, Wang et al. 2020, arXiv:2003.09871'
    return Source(list(images.values()), classes, origin, 'those of its sources')
