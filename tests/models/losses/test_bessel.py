"""Against SciPy, and against closed forms where SciPy under- or overflows."""

import numpy as np
import pytest
import torch
from scipy.special import gammaln, ive

from mmimbal.models.losses.bessel import log_bessel

POINTS = torch.tensor([1e-3, 0.1, 1, 5, 20, 100, 1e3, 1e4], dtype=torch.float64)


@pytest.mark.parametrize('order', [0, 0.5, 1, 5, 15, 31.5, 32, 63, 127])
def test_it_equals_that_of_scipy(order):
    x = POINTS.numpy()
    expected = np.log(ive(order, x)) + x - order * np.log(x)
    finite = np.isfinite(expected)  # SciPy underflows for small x of high orders
    assert finite.sum() > 5
    found = log_bessel(POINTS**2, order).numpy()
    np.testing.assert_allclose(found[finite], expected[finite], atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize('order', [0, 0.5, 63, 511, 2047])
def test_at_zero_it_is_the_first_term_of_the_series(order):
    """Where the logarithm of SciPy's value is infinite."""
    found = log_bessel(torch.zeros(1, dtype=torch.float64), order)
    expected = -order * np.log(2) - gammaln(order + 1)
    assert found.item() == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_order_a_half_is_a_hyperbolic_sine():
    """I is sqrt(2 / (pi x)) sinh x; it overflows a float64 from 710 on."""
    x = torch.tensor([0.3, 3.0, 30.0, 3e5], dtype=torch.float64)
    sinh = x + torch.log1p(-torch.exp(-2 * x)) - np.log(2)
    expected = 0.5 * torch.log(2 / (np.pi * x)) + sinh - 0.5 * x.log()
    torch.testing.assert_close(log_bessel(x**2, 0.5), expected)


@pytest.mark.parametrize('order', [0, 1, 63])
def test_gradient_is_half_the_ratio_of_orders(order):
    """d log(I_v / x**v) / dx = I_(v+1) / I_v."""
    x2 = (POINTS[2:] ** 2).requires_grad_()
    log_bessel(x2, order).sum().backward()
    x = POINTS[2:].numpy()
    ratio = ive(order + 1, x) / ive(order, x)
    np.testing.assert_allclose(x2.grad, ratio / (2 * x), rtol=1e-8)
    assert torch.autograd.gradcheck(
        lambda x2: log_bessel(x2, order), (POINTS[1:6].square().requires_grad_(),)
    )
    zero = torch.zeros(1, requires_grad=True)
    log_bessel(zero, order).backward()
    assert zero.grad.item() == pytest.approx(1 / (4 * (order + 1)), rel=1e-6)


def test_float32_stays_and_a_negative_order_is_named():
    assert log_bessel(torch.ones(2), 3).dtype == torch.float32
    with pytest.raises(ValueError, match='order=-1 must not be negative'):
        log_bessel(torch.ones(2), -1)
