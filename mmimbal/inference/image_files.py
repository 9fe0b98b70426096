"""Images to predict: files of a folder, or those of a split."""

from collections.abc import Sequence
from pathlib import Path

from mmcv.transforms import Compose
from mmengine.dataset import pseudo_collate
from torch.utils.data import Dataset

from mmimbal.datasets.csv_dataset import CSVDataset
from mmimbal.datasets.index_file import read_index, rows_of_split
from mmimbal.datasets.sources.walk import files_below, reason_to_leave_out


def find_images(paths: Sequence[Path], split: str | None = None) -> list[str]:
    """Return the paths of images.

    Args:
        paths: Images, and folders of images.
        split: Split of a data set; then the only path is its folder.

    Raises:
        FileNotFoundError: If a path does not exist, or there is no image.
        ValueError: If there is a split, but several paths or no such split.
    """
    if split:
        if len(paths) != 1:
            raise ValueError(f'--split {split} needs one folder with an index.csv')
        index = paths[0] / 'index.csv'
        table = read_index(index)
        chosen = table.filter(rows_of_split(table, split, 'split', index))
        return [str(paths[0] / file) for file in chosen['file'].to_pylist()]
    found = []
    for path in paths:
        if path.is_dir():
            found += [
                str(path / file)
                for file in files_below(path)
                if reason_to_leave_out(path, file, set(), len(file.parts)) is None
            ]
        elif path.exists():
            found.append(str(path))
        else:
            raise FileNotFoundError(f'no image or folder {path}')
    if not found:
        raise FileNotFoundError(f'no images in {", ".join(map(str, paths))}')
    return found


def groups_of_split(folder: Path, split: str) -> list[str]:
    """Return the group of each image of a split, (N,); its file without groups."""
    dataset = CSVDataset(str(folder), split, test_mode=True)
    return dataset.get_groups()


class ImageFiles(Dataset):
    """Images in files; a broken one is an item with the reason.

    Args:
        files: Paths of the images.
        pipeline: Pipeline of test images.
    """

    def __init__(self, files: Sequence[str], pipeline: list[dict]) -> None:
        self.files = files
        self.pipeline = Compose(pipeline)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> dict:
        """Return ``index`` and ``item``, what the pipeline makes, or ``problem``."""
        try:
            item = self.pipeline(dict(img_path=self.files[index]))
        except Exception as error:  # decoders raise errors of any type
            return dict(index=index, problem=f'{type(error).__name__}: {error}')
        if item is None:
            return dict(index=index, problem='the pipeline gave no image')
        return dict(index=index, item=item)


def collate(items: list[dict]) -> dict:
    """Return ``indices``, ``batch`` of the images that could be read, ``problems``."""
    good = [item for item in items if 'item' in item]
    return dict(
        indices=[item['index'] for item in good],
        batch=pseudo_collate([item['item'] for item in good]) if good else None,
        problems={
            item['index']: item['problem'] for item in items if 'problem' in item
        },
    )
