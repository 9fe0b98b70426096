"""Turn a public download into data/<name>/: images, index.csv and dataset.json."""

import argparse
import os
from pathlib import Path

from mmimbal.datasets.sources import READERS, write_dataset
from mmimbal.evaluation.table import format_table


def main() -> None:
    """Read the download, split it, write the dataset, print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('name', choices=READERS, help='which layout --src has')
    parser.add_argument('--src', type=Path, required=True, help='the download')
    parser.add_argument(
        '--out', type=Path, help='where to write; $MMIMBAL_DATA/NAME or data/NAME'
    )
    parser.add_argument('--seed', type=int, default=0, help='of a split made here')
    args = parser.parse_args()
    out = args.out or Path(os.environ.get('MMIMBAL_DATA', 'data'), args.name)
    try:
        source = READERS[args.name](args.src)
        counts = write_dataset(source, out, args.seed)
    except (FileNotFoundError, FileExistsError, ValueError) as error:
        raise SystemExit(f'prepare_dataset: {error}') from None
    for split, found in counts.items():
        absent = [name for name in source.classes if not found[name]]
        if absent:
            print(f'No image of {", ".join(absent)} in {split}')
    header = ('split', *source.classes, 'total')
    rows = [
        (split, *(str(found[name]) for name in source.classes), str(found.total()))
        for split, found in counts.items()
    ]
    print(f'{format_table(header, rows)}\nWritten to {out}')


if __name__ == '__main__':
    main()
