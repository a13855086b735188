"""Watches a whole run for reward hacking: the reward rises while what was not trained on, or the variety, falls.

It compares the run's first steps with its last ones, `alarms.window` of each, and raises an alarm, a single step's too,
once when a bound is crossed and again only after it was kept meanwhile. It knows no pictures and no policy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, variance
from typing import Any, NamedTuple

import torch
from torch import Tensor

from backend.schemas.config import TrainConfig
from backend.schemas.event import AlarmCode
from backend.schemas.reward import RewardConfig, RewardNormalisation
from worker.maskgrpo.advantage import group_std
from worker.maskgrpo.alarms import Alarm
from worker.maskgrpo.types import Group

REWARD, DIVERSITY, DUPLICATES, KL, SHARE = "reward/mean", "diversity", "near_duplicates", "kl", "reward_share/"
SAME_SHARE = 0.95
"""pictures that agree in this share of their codes are near-duplicates"""

_LOOK = "Look at the pictures and ask people about them; "


class Series(NamedTuple):
    """A metric's first and last values; the last ones come after the first."""

    first: list[float]
    last: list[float]

    def add(self, value: float, window: int) -> None:
        """Takes one step's value; what is no number says nothing."""
        if not math.isfinite(value):
            return
        if len(self.first) < window:
            self.first.append(value)
        else:
            self.last.append(value)
            del self.last[:-window]

    def is_full(self, window: int) -> bool:
        """Whether both windows are."""
        return len(self.first) == len(self.last) == window

    @property
    def rise(self) -> float:
        """Last mean minus first mean in standard errors of that difference; infinite where neither window varies."""
        gap = fmean(self.last) - fmean(self.first)
        error = math.sqrt(variance(self.first) / len(self.first) + variance(self.last) / len(self.last))
        return gap / error if error else math.copysign(math.inf, gap) if gap else 0.0


class Monitors:
    """What a run's metrics were like at first, what they are like now, and which alarms stand."""

    def __init__(self, config: TrainConfig) -> None:
        self._config = config
        self._heldout = [f"reward/{reward.name}" for reward in config.rewards if reward.weight == 0]
        self._series: dict[str, Series] = {}
        self._standing: set[str] = set()

    @property
    def standing(self) -> tuple[str, ...]:
        """The keys of the alarms that were raised and whose bound has not been kept since."""
        return tuple(sorted(self._standing))

    def watch(self, metrics: Mapping[str, float], of_step: Sequence[Alarm] = ()) -> list[Alarm]:
        """Takes a step's metrics and what is wrong with the step by itself; gives what has newly crossed its bound."""
        names = [REWARD, DIVERSITY, DUPLICATES, KL, *self._heldout]
        for name in [*names, *(name for name in metrics if name.startswith(SHARE))]:
            if name in metrics:
                series = self._series.setdefault(name, Series([], []))
                series.add(metrics[name], self._config.alarms.window)
        return self._news([*of_step, *self._divergence(), *self._drift(), *self._dominance()], of_probe=False)

    def hear_probe(self, overall: float, interval: tuple[float, float]) -> list[Alarm]:
        """Takes the probe's difference from the base: an alarm where it is surely below while the reward has risen."""
        found = []
        if interval[1] < 0 and self._has_risen():
            message = (
                f"The training reward rose, and the held-out score is {-overall:.3g} below the base's (interval "
                f"[{interval[0]:.3g}, {interval[1]:.3g}]): the policy learns the reward and forgets the prompts."
            )
            cure = f"{_LOOK}go back to an earlier checkpoint, give the KL a weight, or add the verifier to the rewards."
            found.append(Alarm("heldout_regression", "warning", message, cure))
        return self._news(found, of_probe=True)

    def state_dict(self) -> dict[str, Any]:
        """Plain values."""
        series = {name: [list(each.first), list(each.last)] for name, each in self._series.items()}
        return {"series": series, "standing": list(self.standing)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes up what `state_dict` gave."""
        self._series = {name: Series(list(first), list(last)) for name, (first, last) in state["series"].items()}
        self._standing = set(state["standing"])

    def _news(self, found: Sequence[Alarm], *, of_probe: bool) -> list[Alarm]:
        by_key: dict[str, Alarm] = {}
        for alarm in found:
            # Several passes of a step may find the same: the first says it.
            by_key.setdefault(alarm.key, alarm)
        asked = {key for key in self._standing if (key == "heldout_regression") is of_probe}
        news = [alarm for key, alarm in by_key.items() if key not in self._standing]
        self._standing = (self._standing - asked) | set(by_key)
        return news

    def _full(self, name: str) -> Series | None:
        series = self._series.get(name)
        return series if series is not None and series.is_full(self._config.alarms.window) else None

    def _has_risen(self) -> bool:
        reward = self._full(REWARD)
        return reward is not None and reward.rise >= self._config.alarms.divergence

    def _divergence(self) -> list[Alarm]:
        found: list[Alarm] = []
        reward = self._full(REWARD)
        for name in self._heldout if reward is not None and self._has_risen() else ():
            series = self._full(name)
            if reward is None or series is None or series.rise > -self._config.alarms.divergence:
                continue
            message = (
                f"The training reward rose from {fmean(reward.first):.3g} to {fmean(reward.last):.3g}, while "
                f"{name.removeprefix('reward/')}, which has no weight, fell from {fmean(series.first):.3g} to "
                f"{fmean(series.last):.3g}."
            )
            cure = f"{_LOOK}go back to an earlier checkpoint, or give {name.removeprefix('reward/')} a weight."
            found.append(Alarm("reward_divergence", "warning", message, cure, name))
        return found

    def _drift(self) -> list[Alarm]:
        bounds, found = self._config.alarms, []
        diversity = self._full(DIVERSITY)
        if diversity and fmean(diversity.last) < bounds.diversity_floor * fmean(diversity.first):
            message = (
                f"The pictures of a prompt differ in {fmean(diversity.last):.3g} of their codes, under "
                f"{bounds.diversity_floor:g} of the {fmean(diversity.first):.3g} at first."
            )
            found.append(_alarm("diversity_collapse", message, "go back, or give the KL a weight."))
        duplicates = self._full(DUPLICATES)
        if duplicates and fmean(duplicates.last) > max(bounds.duplicates_ceiling, fmean(duplicates.first)):
            message = (
                f"{fmean(duplicates.last):.0%} of the pairs of pictures of a prompt agree in {SAME_SHARE:.0%} of their "
                f"codes or more, over the bound of {bounds.duplicates_ceiling:.0%}."
            )
            found.append(_alarm("near_duplicates", message, "go back, or raise the sampling temperature."))
        kl = self._full(KL)
        if kl and fmean(kl.last) > bounds.kl_ceiling:
            message = f"The KL from the policy that the run began with is {fmean(kl.last):.3g} nats a token."
            found.append(_alarm("far_from_reference", message, "give the KL a weight, or lower the learning rate."))
        return found

    def _dominance(self) -> list[Alarm]:
        shares = {name: self._full(name) for name in self._series if name.startswith(SHARE)}
        found: list[Alarm] = []
        for name, series in shares.items():
            if series is None or fmean(series.last) <= self._config.alarms.dominance_ceiling:
                continue
            reward = name.removeprefix(SHARE)
            message = (
                f"{reward} makes {fmean(series.last):.0%} of the rewards' spread within groups: it alone is learned."
            )
            cure = "Normalise the rewards to one scale, or change their weights."
            found.append(Alarm("dominant_reward", "warning", message, cure, reward))
        return found


def monitored_metrics(groups: Sequence[Group], rewards: Sequence[RewardConfig]) -> dict[str, float]:
    """The metrics that only the monitors need: near-duplicates, and each weighted reward's share of the spread.

    Args:
        groups: of a step's first tries.
        rewards: the run's.

    Returns:
        `near_duplicates` in [0, 1]; with two weighted rewards or more `reward_share/<name>`, which sum to 1; NaN where
        no group has a spread.
    """
    codes = torch.stack([group.trajectory.codes for group in groups])
    found = {DUPLICATES: float(_share_of_duplicates(codes))}
    weighted = [reward for reward in rewards if reward.weight != 0]
    if len(weighted) < 2:
        return found
    totals = torch.stack([group.rewards.total for group in groups])
    spread = float(group_std(totals).square().sum())
    centred = totals - totals.mean(dim=1, keepdim=True)
    for reward in weighted:
        part = torch.stack([group.rewards.breakdown[str(reward.name)] for group in groups]) * _factor(reward, groups)
        covariance = float(((part - part.mean(dim=1, keepdim=True)) * centred).mean(dim=1).sum())
        found[f"{SHARE}{reward.name}"] = covariance / spread if spread else math.nan
    return found


def _factor(reward: RewardConfig, groups: Sequence[Group]) -> float:
    """By which a part's values enter the sum."""
    if reward.normalisation is RewardNormalisation.AFFINE:
        return reward.weight / reward.std
    if reward.normalisation is RewardNormalisation.BATCH:
        std = float(torch.cat([group.rewards.breakdown[str(reward.name)] for group in groups]).std(correction=0))
        return reward.weight / std if std else 0.0
    return reward.weight


def _share_of_duplicates(codes: Tensor) -> Tensor:
    """The share of pairs of a group's pictures that agree nearly everywhere; (P, G, N) int64 -> scalar."""
    agreement = torch.stack([(codes == other[:, None]).float().mean(dim=2) for other in codes.unbind(dim=1)], dim=1)
    size = codes.shape[1]
    above = torch.triu(torch.ones(size, size, dtype=torch.bool, device=codes.device), diagonal=1)
    return (agreement[:, above] >= SAME_SHARE).float().mean()


def _alarm(code: AlarmCode, message: str, cure: str) -> Alarm:
    return Alarm(code, "warning", message, f"{_LOOK}{cure}")
