"""An experiment, named by four words: data set, profile, stage 1, stage 2."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from mmengine.config import Config

from mmimbal.command_line.prepared import (
    OWN,
    base_of_prepared,
    data_folder,
    is_prepared,
)
from mmimbal.files.config_text import read_config

CONFIGS = Path(__file__).resolve().parents[1] / '.mim' / 'configs'
BASES = CONFIGS / '_base_'
# Folder of each word below ``configs/_base_/``.
GROUPS = dict(dataset='datasets', profile='profiles', stage1='stage1', stage2='stage2')
NONE = 'none'  # instead of a method of stage 1: the net is trained in one stage
USUAL_PROFILES = ('224px', 'digits')  # not part of file names
USUAL_STAGE1 = 'triplet'  # not part of file names of stage 2


@dataclass(frozen=True)
class Experiment:
    """An experiment: four words, each the name of a base below ``configs/_base_/``.

    Attributes:
        dataset: Base in ``datasets/``, or the folder of a prepared data set; see
            :mod:`mmimbal.command_line.prepared`.
        profile: Base in ``profiles/``: image size, net and schedule.
        stage1: Base in ``stage1/``; ``None`` if the net is trained in one stage, with
            head and sampler of ``stage2``.
        stage2: Base in ``stage2/``; ``None`` for a run of stage 1.
        single_run: Whether one run trains both stages.
    """

    dataset: str
    profile: str
    stage1: str | None
    stage2: str | None = None
    single_run: bool = False

    def __str__(self) -> str:
        """Return the name, such as ``isic2018/64px/triplet/crt``."""
        name = f'{self.dataset}/{self.profile}/{self.stage1 or NONE}'
        if self.stage2:
            name += f'{"+" if self.single_run else "/"}{self.stage2}'
        return name

    @property
    def bases(self) -> list[str]:
        """Paths of the bases, such as ``stage1/triplet``."""
        words = {group: getattr(self, word) for word, group in GROUPS.items()}
        return [f'{group}/{word}' for group, word in words.items() if word]

    @property
    def file_name(self) -> str:
        """Name of the config and the work dir, such as ``stage1_triplet_64px``."""
        if not self.stage2:
            name = f'stage1_{self.stage1}'
        elif not self.stage1:
            name = f'one_stage_{self.stage2}'
        elif self.single_run:
            name = f'two_stage_{self.stage1}_{self.stage2}'
        elif self.stage1 == USUAL_STAGE1:
            name = f'stage2_{self.stage2}'
        else:
            name = f'stage2_{self.stage1}_{self.stage2}'
        usual = self.profile in USUAL_PROFILES
        return name if usual else f'{name}_{self.profile}'

    @property
    def first_stage(self) -> 'Experiment':
        """The experiment of stage 1 that this stage 2 starts from."""
        return replace(self, stage2=None)

    def with_bases(
        self, replacements: Sequence[str], profile: str | None = None
    ) -> 'Experiment':
        """Return the experiment with other words.

        Args:
            replacements: Pairs of bases, ``OLD=NEW``, such as
                ``stage1/triplet=stage1/circle``.
            profile: Another profile, if any.

        Raises:
            ValueError: If OLD is not a base of the experiment, or NEW is not in the
                same folder.
        """
        changed = self
        for replacement in replacements:
            old, _, new = replacement.partition('=')
            group, _, word = new.partition('/')
            if old not in changed.bases or group != old.split('/')[0] or not word:
                raise ValueError(
                    f'--base {replacement}: expected OLD=NEW, where OLD is one of '
                    f'{", ".join(changed.bases)}, and NEW is in the same folder'
                )
            key = next(key for key, value in GROUPS.items() if value == group)
            changed = replace(changed, **{key: word})
        return replace(changed, profile=profile) if profile else changed

    def check(self) -> None:
        """Check that all words are known and can be combined.

        Raises:
            ValueError: If a word is unknown (the message has similar words), or if
                words cannot be combined (the message says why).
        """
        for word, group in GROUPS.items():
            name = getattr(self, word)
            is_word = name is None or name in words_of(group)
            is_own = word == 'dataset' and name and is_prepared(data_folder(name))
            if not is_word and not is_own:
                raise ValueError(unknown_word(str(self), group, name))
        dataset = load_base(f'datasets/{self.dataset}')
        profile = load_base(f'profiles/{self.profile}')
        needed_profile = dataset.get('only_with', self.profile)
        needed_dataset = profile.get('only_for', self.dataset)
        if needed_profile != self.profile or needed_dataset != self.dataset:
            raise ValueError(
                f'{self}: the profile {self.profile} is not for images of '
                f'{self.dataset}'
                + (f'; use {needed_profile}' if needed_profile != self.profile else '')
            )
        if self.stage1 is None and self.stage2 is None:
            raise ValueError(f'{self}: name a method of stage 1 or of stage 2')
        if self.single_run and self.stage1 is None:
            raise ValueError(
                f'{self}: a single run of both stages needs a stage 1. For one stage, '
                f'write {replace(self, single_run=False)}'
            )
        if self.stage2 and (self.single_run or self.stage1 is None):
            self._check_one_run()

    def _check_one_run(self) -> None:
        """Check that one run can train the head of stage 2 and the backbone."""
        stage2 = load_base(f'stage2/{self.stage2}')
        if stage2.stage2_train_cfg.get('type') == 'mmimbal.FitLoop':
            raise ValueError(
                f'{self}: {self.stage2} is computed from the features of a trained '
                'backbone, so it needs a separate run: '
                f'{replace(self, stage1=self.stage1 or USUAL_STAGE1, single_run=False)}'
            )
        if not self.single_run:
            return
        head, reason = load_base(f'stage1/{self.stage1}').head, None
        if dict(stage2.stage2_head) != {'type': 'LinearClsHead'}:
            reason = f'{self.stage2} has others'
        elif 'metric_loss' not in head:
            reason = f'{self.stage1} has no metric loss that stage 2 could leave out'
        elif 'loss' in head:
            reason = (
                f'{head.loss.type} of {self.stage1} would rebalance in stage 2, too'
            )
        if reason:
            raise ValueError(
                f'{self}: a single run keeps the head and the loss of stage 1, but '
                f'{reason}. Use a separate run for stage 2: '
                f'{replace(self, single_run=False)}'
            )


def parse_experiment(name: str) -> Experiment:
    """Return the experiment with a given name.

    Args:
        name: ``DATASET/PROFILE/STAGE1`` for stage 1; ``.../STAGE1/STAGE2`` for stage 2
            after this stage 1; ``.../STAGE1+STAGE2`` for both in a single run;
            ``.../none/STAGE2`` for one stage with head and sampler of ``STAGE2``.

    Raises:
        ValueError: If the name has another form; see also :meth:`Experiment.check`.
    """
    words = name.split('/')
    if not 3 <= len(words) <= 4 or '' in words:
        raise ValueError(
            f'{name!r} is neither a config file nor DATASET/PROFILE/STAGE1[/STAGE2], '
            'such as isic2018/64px/triplet/crt'
        )
    dataset, profile, stage1, *stage2 = words
    single_run = '+' in stage1 and not stage2
    if single_run:
        stage1, *stage2 = stage1.split('+', 1)
    experiment = Experiment(
        dataset,
        profile,
        None if stage1 == NONE else stage1,
        *(stage2 or [None]),
        single_run,
    )
    experiment.check()
    return experiment


def words_of(group: str) -> list[str]:
    """Return the names of all bases in a folder of ``configs/_base_/``."""
    return sorted(path.stem for path in (BASES / group).glob('*.py'))


def unknown_word(where: str, group: str, word: str) -> str:
    """Return the message for an unknown word, with similar words and all words."""
    words = words_of(group)
    spelled = {each.casefold(): each for each in words}
    near = difflib.get_close_matches(word.casefold(), spelled, n=3)
    near = [spelled[each] for each in near]
    hint = f'Did you mean {" or ".join(near)}? ' if near else ''
    for other in GROUPS.values():
        if word in words_of(other):
            hint += f'{word} is in {other}: words are DATASET/PROFILE/STAGE1/STAGE2. '
    known = ', '.join(words)
    if group == 'datasets':
        known += (
            f'; and folders of tools/prepare_dataset.py, but {data_folder(word)} is '
            'none (MMIMBAL_DATA names the folder that holds them; default: data)'
        )
    return f'{where}: no {word} in {group}. {hint}Known are {known}'


def load_base(name: str) -> Config:
    """Load a base; ``name`` is its path below ``configs/_base_/``, without ``.py``."""
    if text := text_of_prepared(name):
        return _load_text(text)
    return _load_file(name)


def text_of_prepared(name: str) -> str | None:
    """Return the text of the base of a prepared data set; ``None`` for other bases."""
    group, _, word = name.partition('/')
    own = BASES / 'datasets' / f'{OWN}.py'
    has_file = word != OWN and (BASES / f'{name}.py').is_file()
    if group != 'datasets' or has_file or not is_prepared(data_folder(word)):
        return None
    return base_of_prepared(word, own)


@cache
def _load_text(text: str) -> Config:
    return Config.fromstring(text, '.py')


@cache
def _load_file(name: str) -> Config:
    return read_config(BASES / f'{name}.py')
