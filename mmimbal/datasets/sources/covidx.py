"""COVIDx chest X-rays."""

from pathlib import Path

from mmimbal.datasets.sources.source import Image, Source, require_files
from mmimbal.datasets.spelling import SPLITS

LAYOUT = 'train.txt, test.txt (lines of: patient file class source), train/, test/'


def read_covidx(src: Path) -> Source:
    """Read COVIDx CXR with its official split; the group is the patient.

    Reads the download of https://www.kaggle.com/datasets/andyczhao/covidx-cxr2. The
    form of the lines was checked with the published lists of COVIDx 7B and CXR-3A
    (https://github.com/lindawangg/COVID-Net), not with the images. Classes are those in
    the lists: they differ between versions. Not every version has a ``val.txt``.

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
            patient, name, label = _read_line(line, src / split, file, number)
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


def _read_line(line: str, folder: Path, file: Path, number: int) -> tuple[str, ...]:
    """Return patient, file name and class of a line; the source comes last.

    The patient or the file name may contain blanks: ``COVID 1 COVID(1).png positive
    sirm``. The images decide which. Without them, the file name has no blank.

    Raises:
        ValueError: If the line has fewer than four words.
    """
    *words, label, _ = line.split() if len(line.split()) >= 4 else [''] * 2
    if not words:
        raise ValueError(f'{file}, line {number}: expected 4 words, not {line!r}')
    splits = [
        (' '.join(words[:k]), ' '.join(words[k:])) for k in range(len(words) - 1, 0, -1)
    ]
    patient, name = next(
        (split for split in splits if (folder / split[1]).is_file()), splits[0]
    )
    return patient, name, label
