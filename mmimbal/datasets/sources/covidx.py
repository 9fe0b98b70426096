"""COVIDx chest X-rays."""

from pathlib import Path

from mmimbal.datasets.sources.source import Image, Source, require_files

SPLITS = ('train', 'val', 'test')
LAYOUT = 'train.txt, test.txt (lines of: patient file class source), train/, test/'


def read_covidx(src: Path) -> Source:
    """Read COVIDx CXR with its official split; the group is the patient.

    Takes the download of https://www.kaggle.com/datasets/andyczhao/covidx-cxr2, read
    from its documentation alone. Versions differ in their classes, which are those that
    the lists name, and in whether there is a ``val.txt``.

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
                    f'{file}, line {number}: expected four words: {line!r}'
                )
            # File names may hold spaces: patient first, class and source last.
            patient, *name, label, _ = cells
            name = ' '.join(name)
            known = images.get((split, name))
            if known is not None and known.label != label:
                raise ValueError(
                    f'{file}, line {number}: {name} is {label}, but above {known.label}'
                )
            images[split, name] = Image(
                src / split / name, label, patient, split, f'{split}/{name}'
            )
    classes = tuple(sorted({image.label for image in images.values()}))
    origin = 'COVIDx CXR, Wang et al. 2020, arXiv:2003.09871'
    return Source(list(images.values()), classes, origin, 'of its several sources')
