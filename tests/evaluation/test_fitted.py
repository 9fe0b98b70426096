"""What all fitted decisions share."""

import ast
import json
import pkgutil
from importlib import import_module
from inspect import Parameter, getsource, isfunction, signature

import numpy as np
import pytest
import torch

from mmimbal import evaluation
from mmimbal.evaluation.abstention import ConfidenceThreshold, fit_confidence_threshold
from mmimbal.evaluation.conformal import ConformalSets, fit_conformal_sets
from mmimbal.evaluation.recalibration import Calibration, with_prevalence
from mmimbal.evaluation.temperature import fit_temperature
from mmimbal.evaluation.thresholds import Threshold, fit_threshold
from mmimbal.evaluation.vector_scaling import fit_vector_scaling
from tests.evaluation.simulated import CLASSES, own_groups, simulate

NEW, _ = simulate(np.random.default_rng(9), 40)
OTHER_ORDER = ('melanoma', 'nevus', 'scar')


def fit_all():
    probabilities, labels = simulate(np.random.default_rng(0), 300)
    images, groups = (probabilities, labels), own_groups(300)
    return [
        fit_temperature(*images, CLASSES),
        with_prevalence(fit_vector_scaling(*images, CLASSES), dict(scar=0.5)),
        fit_threshold(*images, groups, CLASSES, 'melanoma', sensitivity=0.9),
        fit_threshold(*images, groups, CLASSES, 'melanoma', specificity=0.9),
        fit_confidence_threshold(*images, CLASSES, 0.9),
        fit_conformal_sets(*images, groups, CLASSES),
    ]


FITTED = fit_all()


def is_plain(value):
    """Return whether a value has no type of numpy or of ours in it."""
    if type(value) is dict:
        return all(type(k) is str and is_plain(v) for k, v in value.items())
    if type(value) is list:
        return all(map(is_plain, value))
    return value is None or type(value) in (str, int, float, bool)


def fitting_functions():
    """Return all functions ``fit_...`` of mmimbal.evaluation."""
    modules = [
        import_module(f'{evaluation.__name__}.{each.name}')
        for each in pkgutil.iter_modules(evaluation.__path__)
    ]
    return {
        name: function
        for module in modules
        for name, function in vars(module).items()
        if name.startswith('fit_')
        and isfunction(function)
        and function.__module__ == module.__name__
    }


@pytest.mark.parametrize('fitted', FITTED, ids=lambda f: type(f).__name__)
def test_stored_and_read_again(fitted, tmp_path):
    content = fitted.to_dict()
    assert is_plain(content)
    torch.save(content, tmp_path / 'c.pth')
    for read in (
        json.loads(json.dumps(content)),
        torch.load(tmp_path / 'c.pth', weights_only=True),
    ):
        again = type(fitted).from_dict(read, CLASSES)
        assert again == fitted
        assert (again.apply(NEW, CLASSES) == fitted.apply(NEW)).all()


@pytest.mark.parametrize('fitted', FITTED, ids=lambda f: type(f).__name__)
def test_other_classes_are_refused(fitted):
    content = fitted.to_dict()
    assert content['classes'] == list(CLASSES)
    with pytest.raises(ValueError, match='they have another order'):
        fitted.apply(NEW, OTHER_ORDER)
    with pytest.raises(ValueError, match='they have another order'):
        type(fitted).from_dict(content, OTHER_ORDER)
    with pytest.raises(ValueError, match=r"missing: \['scar'\], unknown: \['mole'\]"):
        fitted.apply(NEW, ('nevus', 'melanoma', 'mole'))
    with pytest.raises(ValueError, match=r'\(40, 2\), but there are 40 images and 3'):
        fitted.apply(NEW[:, :2])


@pytest.mark.parametrize('fitted', FITTED, ids=lambda f: type(f).__name__)
def test_bad_probabilities_are_refused(fitted):
    for value, message in ((np.nan, 'not finite'), (2.0, 'not probabilities')):
        broken = NEW.copy()
        broken[3, 1] = value
        with pytest.raises(ValueError, match=f'{message}.* image 3'):
            fitted.apply(broken)
    assert len(fitted.apply(NEW[:0])) == 0


@pytest.mark.parametrize('fitted', FITTED, ids=lambda f: type(f).__name__)
def test_damaged_content_is_refused(fitted):
    kind, content = type(fitted), fitted.to_dict()
    with pytest.raises(ValueError, match=r"expected a .*, got 'Other'"):
        kind.from_dict(content | dict(type='Other'))
    with pytest.raises(ValueError, match=r"unknown \['more'\]"):
        kind.from_dict(content | dict(more=1))
    name = {
        Calibration: 'scale',
        Threshold: 'value',
        ConfidenceThreshold: 'value',
        ConformalSets: 'scores',
    }[kind]
    with pytest.raises(ValueError, match=rf"has no \['{name}'\]"):
        kind.from_dict({k: v for k, v in content.items() if k != name})
    for wrong in (None, 'x', float('nan')):
        with pytest.raises(ValueError):
            kind.from_dict(content | {name: wrong})


def test_all_fitting_functions_were_tried():
    assert set(fitting_functions()) == {
        'fit_temperature',
        'fit_vector_scaling',
        'fit_threshold',
        'fit_confidence_threshold',
        'fit_conformal_sets',
    }


@pytest.mark.parametrize('name', fitting_functions())
def test_calibration_images_are_all_that_is_fitted_on(name):
    """They are required arguments, and nothing else could bring images in."""
    function = fitting_functions()[name]
    parameters = list(signature(function).parameters.values())
    assert [p.name for p in parameters[:2]] == ['probabilities', 'labels']
    images = [p for p in parameters if p.name in ('probabilities', 'labels', 'groups')]
    assert all(p.default is Parameter.empty for p in images)
    assert 'calibration images' in function.__doc__
    module = import_module(function.__module__)
    allowed = {
        f'mmimbal.evaluation.{each}'
        for each in (
            'calibration_images',
            'confusion',
            'fitted',
            'recalibration',
        )
    }
    called = set()
    for node in ast.walk(ast.parse(getsource(module))):
        if isinstance(node, ast.ImportFrom) and node.module.startswith('mmimbal'):
            assert node.module in allowed
        if isinstance(node, ast.Call):
            called.add(getattr(node.func, 'id', getattr(node.func, 'attr', '')))
    assert not called & {'open', 'load', 'loads', 'load_predictions', 'Path'}


def test_a_fit_depends_on_its_arguments_alone():
    assert fit_all() == FITTED
