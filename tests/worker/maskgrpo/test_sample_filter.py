"""The sample filter's history and threshold."""

from __future__ import annotations

import pytest
import torch

from backend.schemas.algorithm import SampleFilterConfig
from worker.maskgrpo.sample_filter import SampleFilter


def test_the_threshold_is_the_percentile_of_the_past_by_hand() -> None:
    sample_filter = SampleFilter(SampleFilterConfig(percentile=25))
    assert sample_filter.threshold == 0
    sample_filter.record(torch.tensor([0.4, 0.1, 0.3, 0.2, 0.5] * 2))
    assert sample_filter.threshold == pytest.approx(0.2)
    assert sample_filter.is_vanishing(torch.tensor([0.1, 0.21])).tolist() == [True, False]


def test_a_short_history_gives_no_threshold() -> None:
    sample_filter = SampleFilter(SampleFilterConfig(percentile=25))
    sample_filter.record(torch.full((9,), 0.4))
    assert sample_filter.threshold == 0
    sample_filter.record(torch.full((1,), 0.4))
    assert sample_filter.threshold == pytest.approx(0.4)


def test_groups_without_any_spread_vanish_even_where_the_threshold_is_zero() -> None:
    sample_filter = SampleFilter(SampleFilterConfig(percentile=10))
    sample_filter.record(torch.tensor([0.0, 0.0, 0.0, 0.5] * 5))
    assert sample_filter.threshold == 0
    assert sample_filter.is_vanishing(torch.tensor([0.0, 0.01])).tolist() == [True, False]


def test_the_history_forgets_what_is_old() -> None:
    sample_filter = SampleFilter(SampleFilterConfig(percentile=0, history_size=2))
    sample_filter.record(torch.tensor([0.1, 0.6, 0.7]))
    assert sample_filter.threshold == pytest.approx(0.6)


def test_switched_off_it_has_no_threshold_and_no_tries() -> None:
    sample_filter = SampleFilter(SampleFilterConfig(is_enabled=False, max_tries=3))
    sample_filter.record(torch.tensor([0.1, 0.6]))
    assert sample_filter.threshold == 0
    assert sample_filter.max_tries == 0


def test_a_saved_history_gives_the_same_threshold() -> None:
    one, other = SampleFilter(SampleFilterConfig()), SampleFilter(SampleFilterConfig())
    one.record(torch.rand(33, generator=torch.Generator().manual_seed(0)))
    other.load_state_dict(one.state_dict())
    assert other.threshold == one.threshold > 0
