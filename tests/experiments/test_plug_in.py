import json

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from mmimbal.experiments.comparison import compare
from mmimbal.experiments.fold_test import p_text
from mmimbal.experiments.page import effects_by_way, write_page
from mmimbal.experiments.plug_in import PlugInEffect, plug_in_effect
from mmimbal.experiments.results import pack
from mmimbal.experiments.rows import read_rows, read_runs
from mmimbal.visualization.plug_in import draw_plug_in_effects
from tests.example_results import METRIC, SIZE, change_results


@pytest.fixture
def comparison(results):
    """Of triplet and ce with two ways of stage 2; with the second, triplet loses."""

    def add_a_way(result):
        for row in [r for r in result['rows'] if r['stage2'] == 'crt']:
            other = dict(row, stage2='lws', test=dict(row['test']))
            if result['method'] == 'triplet':
                other['predicted'] = pack(np.zeros(SIZE, int))
                other['test']['macro_f1'] -= 30 + 10 * result['fold']
            result['rows'].append(other)

    folder = results / 'study'
    change_results(folder, add_a_way)
    rows = read_rows(read_runs(folder), METRIC)['one']
    return compare(rows, folder, 'one', resamples=50)


def test_it_is_the_mean_over_all_ways_of_stage_2(comparison):
    effect = plug_in_effect(comparison, 'triplet', 'ce')
    assert list(effect.differences) == ['crt', 'lws']
    for metric in ('balanced_accuracy', 'macro_f1'):
        values = comparison.metrics
        expected = {
            way: values[f'triplet + {way}'][metric] - values[f'ce + {way}'][metric]
            for way in ('crt', 'lws')
        }
        for way, difference in expected.items():
            assert np.allclose(effect.differences[way][metric], difference)
        both = (expected['crt'] + expected['lws']) / 2
        assert np.allclose(effect.mean(metric), both)
        assert expected['crt'][0] > 0 > expected['lws'][0]
        assert effect.above_zero(metric) == 1
    turned = plug_in_effect(comparison, 'ce', 'triplet')
    assert turned.above_zero('macro_f1') == 1
    assert turned.mean('macro_f1')[0] == -effect.mean('macro_f1')[0]


def test_above_zero_counts_measured_differences_and_not_resamples():
    measured = {
        'a': dict(macro_f1=np.array([0.5, -3.0, -4.0])),
        'b': dict(macro_f1=np.array([-0.5, 3.0, 4.0])),
        'c': dict(macro_f1=np.array([0.0, 3.0, 4.0])),
    }
    assert PlugInEffect('ours', 'other', measured, {}).above_zero('macro_f1') == 1


def test_the_p_value_is_over_folds_and_means_of_seeds_and_ways(comparison):
    effect = plug_in_effect(comparison, 'triplet', 'ce')

    def of_fold(row, fold):
        runs = comparison.rows[row].runs
        return np.mean([runs[fold, s]['test']['macro_f1'] for s in (0, 1)])

    values = [
        np.mean(
            [
                of_fold(f'triplet + {w}', k) - of_fold(f'ce + {w}', k)
                for w in ('crt', 'lws')
            ]
        )
        for k in (0, 1)
    ]
    # Two folds: of four parts two are for test, one is for train.
    corrected = ttest_1samp(values, 0).statistic * np.sqrt(0.5 / (0.5 + 2))
    expected = 2 * (0.5 - np.arctan(abs(corrected)) / np.pi)  # t of one degree: Cauchy
    assert effect.p_values['macro_f1'] == pytest.approx(expected)


def test_without_a_shared_stage_2_there_is_none(comparison):
    assert plug_in_effect(comparison, 'triplet', 'nothing') is None


def test_the_page_shows_what_the_grid_asks_for(results, tmp_path):
    file = results / 'study' / 'grid.json'
    about = json.loads(file.read_text())
    file.write_text(json.dumps(about | dict(plug_in=[('triplet', 'ce')])))
    page = tmp_path / 'docs' / 'page.md'
    write_page(results / 'study', page, resamples=50)
    text = page.read_text()
    rows = read_rows(read_runs(results / 'study'), METRIC)['one']
    comparison = compare(rows, results / 'study', 'one', resamples=50)
    effect = plug_in_effect(comparison, 'triplet', 'ce').mean('balanced_accuracy')
    line = next(
        x for x in text.splitlines() if x.startswith('| one | triplet minus ce')
    )
    assert f'{effect[0]:+.1f} [' in line and '1 of 1' in line
    for name in ('page_plug_in.png', 'page_plug_in_macro_f1.png'):
        assert f'({name})' in text
        assert (tmp_path / 'docs' / name).read_bytes()[:4] == b'\x89PNG'


def test_a_way_that_one_control_lacks_is_drawn_for_the_other():
    values = np.array([1.0, 0.5, 1.5])
    pairs = {
        'a': dict(crt=values, mean=values),
        'b': dict(crt=values, lws=values, mean=values),
    }
    for order in (['a', 'b'], ['b', 'a']):
        figure = draw_plug_in_effects(
            dict(one={('recipe', name): pairs[name] for name in order}), 'x'
        )
        (axes,) = figure.axes
        assert {t.get_text() for t in axes.get_yticklabels()} == {'crt', 'lws', 'mean'}
        assert axes.get_yticklabels()[-1].get_text() == 'mean'


def test_recipes_with_one_control_are_drawn_each():
    values = np.array([[1.0, 0.5, 1.5]])
    effects = [
        PlugInEffect(recipe, 'ce', dict(crt=dict(balanced_accuracy=values[0])), {})
        for recipe in 'abcdefgh'
    ]
    by_way = effects_by_way(dict(one=effects), 'balanced_accuracy')
    figure = draw_plug_in_effects(by_way, 'x')
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == [f'{recipe} minus ce' for recipe in 'abcdefgh']


@pytest.mark.parametrize(
    ('value', 'text'), [(None, '-'), (2.4e-8, '< 0.001'), (0.0312, '0.031')]
)
def test_p_values_are_never_0(value, text):
    assert p_text(value) == text


def test_a_difference_by_rounding_is_not_above_0():
    differences = {'crt': {METRIC: np.array([1e-13])}}
    assert PlugInEffect('a', 'b', differences, {}).above_zero(METRIC) == 0
