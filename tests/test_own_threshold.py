"""Thresholds: their false-alarm rate and its interval, against simulation and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from gradcon.inspection.threshold import fewest_images, share_interval, threshold


@pytest.mark.parametrize("n, rate", [(19, 0.05), (40, 0.1), (9, 0.05), (200, 0.01), (1, 0.5)])
def test_the_rate_is_that_of_new_inliers(n, rate):
    rng = np.random.default_rng(n)
    rates, covered = [], 0
    for scores in rng.exponential(size=(4000, n)):
        limit = threshold(scores, rate)
        true = stats.expon.sf(limit.value)
        rates.append(true)
        covered += limit.low <= true <= limit.high
    assert np.mean(rates) == pytest.approx(limit.rate, abs=4 * np.std(rates) / 4000**0.5)
    assert covered / 4000 == pytest.approx(0.95, abs=0.015)
    assert limit.rate <= max(rate, 1 / (n + 1)) + 1e-12


@given(
    st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=99),
    st.floats(0.005, 0.995),
)
def test_no_lower_threshold_would_do(scores, rate):
    limit, n = threshold(scores, rate), len(scores)
    above = sum(score > limit.value for score in scores)
    assert above <= round((n + 1) * limit.rate) - 1
    assert limit.rate <= rate + 1e-9 or limit.rate == pytest.approx(1 / (n + 1))
    assert (limit.rate + 1 / (n + 1) > rate) or limit.rate == pytest.approx(n / (n + 1))


def test_so_many_images_are_needed():
    for rate, needed in ((0.05, 19), (0.01, 99), (0.5, 1), (0.3, 3)):
        assert fewest_images(rate) == needed
        assert threshold(np.arange(needed), rate).rate <= rate + 1e-9
        assert threshold(np.arange(max(1, needed - 1)), rate).rate > rate or needed == 1


def test_intervals_by_hand():
    assert share_interval(0, 10) == pytest.approx((0, 1 - 0.025**0.1))
    limit = threshold([1, 2, 3], 0.25)
    assert (limit.rate, limit.images) == (0.25, 3)
    assert (limit.low, limit.high) == pytest.approx((1 - 0.975 ** (1 / 3), 1 - 0.025 ** (1 / 3)))
    assert 3 <= limit.value < 3.001
    assert str(limit).startswith("false-alarm rate 25.0 % (95 % interval 0.8 % to 70.8 %), from 3")
