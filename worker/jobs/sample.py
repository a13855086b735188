"""The sample job: pictures for prompts and seeds, with their unmasking trajectories."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from torch import Tensor

from backend.artifacts import RunFolder
from backend.schemas.event import Log, SamplesMade, StepFinished
from backend.schemas.picture_runs import SampleConfig
from backend.schemas.run import RunStatus
from worker.jobs.extrapolation import refuse_unbounded, show_grown, source_of
from worker.jobs.inpainting import start_of
from worker.jobs.policies import load, prepare_torch
from worker.jobs.progress import read_progress, write_progress
from worker.jobs.prompts import CaptionSource, heldout_captions, own_texts, task_of
from worker.jobs.protocol import Job, outcome_of
from worker.jobs.records import GroupLabel, number
from worker.jobs.showing import Shown, show, store_shown
from worker.jobs.start import job_started
from worker.maskgrpo.extrapolation import window_side
from worker.maskgrpo.inpainting import settings_for
from worker.shapes.grammar import UNDERSTOOD
from worker.shapes.world import IMAGE_SIZE
from worker.showo.policy import ShowoPolicy

_PICTURES_A_BATCH = 32
_NUM_TOLD = 3


def sample_job(config: SampleConfig, folder: RunFolder) -> Job:
    """Makes the pictures batch by batch; one step is one batch."""
    prepare_torch(config.policy)
    texts = own_texts(config.prompts, folder)
    prompts = list(texts) or _captions(config)
    policy = load(config.policy, folder)
    seeds = tuple(range(config.seed, config.seed + config.samples_per_prompt))
    size, show_batch = _batches(config, policy, folder, seeds)
    num_steps = math.ceil(len(prompts) / size)
    done, _ = read_progress(folder)
    flags = yield job_started(done, num_steps, policy.device)
    for step in range(done + 1, num_steps + 1):
        if outcome := outcome_of(flags):
            return outcome
        started = time.monotonic()
        start = (step - 1) * size
        part = prompts[start : start + size]
        shown = show_batch(part)
        groups = tuple(
            store_shown(
                folder, policy, each, GroupLabel(step, index, each.prompt, "policy"), "sample", range(len(seeds))
            )
            for index, each in enumerate(shown, start)
        )
        rewards = [float(each.rewards.total.mean()) for each in shown]
        metrics = {"reward": number(sum(rewards) / len(rewards))}
        yield StepFinished(step=step, num_steps=num_steps, metrics=metrics, seconds=time.monotonic() - started)
        num_done = (start + len(part)) * len(seeds)
        flags = yield SamplesMade(
            step=step, purpose="sample", groups=groups, num_done=num_done, num_total=len(prompts) * len(seeds)
        )
        if step == 1 and (remark := _without_verdict(texts, shown[0].pictures)):
            flags = yield Log(level="warning", message=remark)
        write_progress(folder, step, {})
    return RunStatus.SUCCEEDED


def _batches(
    config: SampleConfig, policy: ShowoPolicy, folder: RunFolder, seeds: tuple[int, ...]
) -> tuple[int, Callable[[Sequence[str]], list[Shown]]]:
    """How many prompts are shown at once, and how: as whole pictures, painted over, or grown."""
    sampling, grown = config.sampling, config.extrapolation
    if grown is not None:
        source = source_of(policy, grown, folder)
        refuse_unbounded(source, window_side(policy), grown, sampling, len(seeds))
        return 1, lambda prompts: [show_grown(policy, source, grown, each, seeds, sampling) for each in prompts]
    begun = None
    if config.inpainting is not None:
        begun = start_of(policy, config.inpainting, folder)
        sampling = settings_for(int((begun == policy.codebook_size).sum()), sampling)
    size = max(1, _PICTURES_A_BATCH // len(seeds))
    return size, lambda prompts: show(policy, prompts, [seeds] * len(prompts), sampling, begun)


def _without_verdict(texts: Sequence[str], pictures: Tensor) -> str:
    """What to say of own prompts that the verifier cannot judge; empty where it judges all, or none for their size."""
    foreign = [text for text in texts if task_of(text) is None]
    if not foreign or pictures.shape[-2:] != (IMAGE_SIZE, IMAGE_SIZE):
        return ""
    told = ", ".join(repr(text) for text in foreign[:_NUM_TOLD]) + (", ..." if len(foreign) > _NUM_TOLD else "")
    return (
        f"no verdict and no reward for {len(foreign)} of {len(texts)} prompts, which are no captions of the small "
        f"world: {told}. {UNDERSTOOD}"
    )


def _captions(config: SampleConfig) -> list[str]:
    if config.prompts.split.value == "heldout" and not config.prompts.tasks:
        return [caption.text for caption in heldout_captions(config.num_prompts, "num_prompts")]
    return CaptionSource(config.prompts, config.seed).next_prompts(config.num_prompts)
