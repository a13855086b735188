"""Where a step's pictures are judged and kept."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from tests.worker.maskgrpo.toys import PROMPTS, ToyPolicy, brightness, toy_config
from worker.maskgrpo.collection import Collector
from worker.maskgrpo.sample_filter import SampleFilter
from worker.maskgrpo.types import Group, RewardFunction, Rewards


class OnDevice(Tensor):
    """Numbers that count as a GPU's until `cpu` brings them: the test's machine may have none."""

    def cpu(self) -> Tensor:  # type: ignore[override]
        return self.as_subclass(Tensor)


class DevicePolicy(ToyPolicy):
    """Decodes on the device."""

    def decode(self, codes: Tensor) -> Tensor:
        return super().decode(codes).as_subclass(OnDevice)


def groups_of(policy: ToyPolicy, reward: RewardFunction) -> tuple[Group, ...]:
    config = toy_config()
    return Collector(policy, reward, config).collect(PROMPTS, 0, SampleFilter(config.grpo.filter)).groups


def test_pictures_are_judged_where_they_were_made_and_kept_on_the_cpu() -> None:
    places: list[type] = []

    def noting(pictures: Tensor, prompts: Sequence[str]) -> Rewards:
        places.append(type(pictures))
        return brightness(pictures, prompts)

    found, expected = groups_of(DevicePolicy(), noting), groups_of(ToyPolicy(), brightness)
    assert set(places) == {OnDevice}
    for group, plain in zip(found, expected, strict=True):
        kept = [group.pictures, group.rewards.total, *group.rewards.breakdown.values(), group.advantages]
        assert {type(each) for each in kept} == {Tensor}
        assert torch.equal(group.pictures, plain.pictures)
        assert torch.equal(group.rewards.total, plain.rewards.total)
        assert torch.equal(group.advantages, plain.advantages)
