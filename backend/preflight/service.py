"""A configuration and a device in, memory, time and advice out; sizes come from files, workers from the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from backend.errors import MalformedError, NotFoundError
from backend.preflight.advice import Change, Estimated, changes_until
from backend.preflight.devices import (
    devices_folder,
    measured_device,
    named_device,
    read_devices,
    unmeasured_cpu,
)
from backend.preflight.judges import judging_of, reward_bytes_of
from backend.preflight.memory import Memory, memory_of
from backend.preflight.plan import Judging, Plan, plan_of
from backend.preflight.reward_model import preflight_reward_model
from backend.preflight.sizes import PUBLISHED, PolicySizes, read_sizes
from backend.preflight.time import seconds_of
from backend.reward_models.known import hub_folder
from backend.runs.policies import policy_folder
from backend.schemas.base import FieldProblem
from backend.schemas.config import PretrainConfig
from backend.schemas.every_run import PolicyConfig
from backend.schemas.picture_runs import SampleConfig
from backend.schemas.preflight import (
    MeasuredDevice,
    MemoryMoment,
    MemoryPart,
    Preflight,
    PreflightChange,
    PreflightDevice,
    PreflightRequest,
)
from backend.schemas.reward_model import RewardModelConfig
from backend.schemas.run import Worker
from backend.schemas.scaling import Precision

# A tenth of the device is left to what no estimate knows.
USABLE_SHARE = 0.9
# Narrower models leave a GPU idle between their kernels.
SMALLEST_GPU_WIDTH = 1024

WHAT: Mapping[str, str] = {
    "process": "Python, torch and libraries; on a GPU its context",
    "weights": "of transformer and picture tokenizer, float32",
    "reference": "the frozen start, or the base: a second policy",
    "optimizer": "AdamW's two moments of every trained number",
    "average": "the weights' moving average",
    "rewards": "weights of reward networks",
    "judges": "weights of GenEval's detector, and of the CLIPs and Inception that measure",
    "gathered": "what sharded weights, and their gradients, are made whole of at a time: embedding, head, two layers",
    "gradients": "one number for every trained one",
    "activations": "what the layers, or the decoder, hold at that moment",
    "logits": "over the picture codes, at the positions that the step reads",
    "rollout buffers": "trajectories and pictures of all groups",
    "allocator": "blocks that the allocator keeps beside the tensors",
}


def preflight(wanted: PreflightRequest, workers: Sequence[Worker], runs_dir: Path) -> Preflight:
    """Estimates one process of the run.

    Raises:
        MalformedError: the kind is pretrain, or no device can be told.
        NotFoundError: the sizes of the policy, or of a reward model's base, cannot be read.
    """
    config = wanted.config
    if isinstance(config, PretrainConfig):
        raise MalformedError("preflight knows all kinds but one: a pretrain run makes its own small model")
    device = choose_device(wanted, workers, runs_dir)
    if isinstance(config, RewardModelConfig):
        return preflight_reward_model(config, device, runs_dir)
    sizes = sizes_of(config.policy, runs_dir)

    def memory(changed: Estimated) -> Memory:
        return memory_of(plan_of(changed, sizes), device.kind, reward_bytes_of(changed), judging_of(changed, runs_dir))

    def needed(changed: Estimated) -> int:
        # Processes on one CPU share its memory; each GPU has its own.
        return memory(changed).peak_bytes * (plan_of(changed, sizes).num_processes if device.kind == "cpu" else 1)

    def fits(changed: Estimated) -> bool:
        return device.memory_bytes is None or needed(changed) <= USABLE_SHARE * device.memory_bytes

    changes = changes_until(config, fits, needed)
    judging = judging_of(config, runs_dir)
    told = tuple(
        _told(change, sizes, device, needed(change.config), fits(change.config), judging) for change in changes
    )
    does_fit = None if device.memory_bytes is None else fits(config)
    return _answer(config, plan_of(config, sizes), device, memory(config), does_fit, told, judging)


def sizes_of(policy: PolicyConfig, runs_dir: Path) -> PolicySizes:
    """The sizes of the policy that a configuration names."""
    folder = policy_folder(policy, runs_dir)
    if published := PUBLISHED.get(str(folder)):
        return published
    if folder.is_dir():
        return read_sizes(folder)
    if (fetched := hub_folder(str(folder))) is not None:
        return read_sizes(fetched, is_from_hub=True)
    known = ", ".join(PUBLISHED)
    raise NotFoundError(
        f"policy.source is {policy.source!r}, but there is no policy at {folder}, so its sizes are unknown: give a "
        f"folder, run:<id>, shipped, a hub name that this machine has fetched (hf download), or one of {known}"
    )


def choose_device(wanted: PreflightRequest, workers: Sequence[Worker], runs_dir: Path) -> PreflightDevice:
    """The device that was asked for, else one of this kind that a job measured, else the CPU of the worker.

    Of several it is that of the worker that was heard from last; where no worker's machine has been measured, the one
    with the newest measurement.
    """
    heard = sorted(workers, key=lambda worker: worker.seen_at, reverse=True)
    is_half = wanted.config.policy.precision is Precision.BFLOAT16
    if wanted.accelerator is not None:
        return named_device(wanted.accelerator, wanted.memory_gib, is_half=is_half)
    asked = wanted.config.policy.device
    has_gpu = any(worker.device != "cpu" for worker in workers)
    kind = ("cuda" if has_gpu else "cpu") if asked == "auto" else asked
    measured = [device for device in read_devices(devices_folder(runs_dir)) if device.kind == kind]
    if measured:
        return measured_device(_nearest(measured, heard), wanted.memory_gib, is_half=is_half)
    if kind == "cuda":
        problem = FieldProblem(pointer="/accelerator", message="name the GPU")
        raise MalformedError("no job has measured a GPU here yet: name one, such as accelerator 'RTX 4090'", (problem,))
    own = next(iter(heard), None)
    memory_gib = wanted.memory_gib or (own.memory_gib if own else None)
    source = "asked for" if wanted.memory_gib else f"worker {own.name}" if own else "unknown: no worker was heard from"
    return unmeasured_cpu(own.num_cores if own else 1, memory_gib, source)


def _nearest(measured: Sequence[MeasuredDevice], heard: Sequence[Worker]) -> MeasuredDevice:
    """The device of the first worker that has one, else the first device. A worker's name is its host and process."""
    hosts = [worker.name.rpartition("-")[0] for worker in heard]
    own = (device for host in hosts for device in measured if device.host == host)
    return next(own, measured[0])


def _told(
    change: Change, sizes: PolicySizes, device: PreflightDevice, peak: int, fits: bool, judging: Judging
) -> PreflightChange:
    seconds = seconds_of(plan_of(change.config, sizes), device, judging.operations).total
    return PreflightChange(
        setting=change.setting, value=change.value, why=change.why, peak_bytes=peak, seconds_a_step=seconds, fits=fits
    )


def _answer(
    config: Estimated,
    plan: Plan,
    device: PreflightDevice,
    memory: Memory,
    fits: bool | None,
    changes: tuple[PreflightChange, ...],
    judging: Judging,
) -> Preflight:
    seconds = seconds_of(plan, device, judging.operations)
    at_peak = sorted(memory.by_moment[memory.peak_moment].items(), key=lambda part: -part[1])
    return Preflight(
        device=device,
        parts=tuple(MemoryPart(name=name, num_bytes=size, what=WHAT[name]) for name, size in at_peak),
        moments=tuple(
            MemoryMoment(name=name, num_bytes=sum(parts.values())) for name, parts in memory.by_moment.items()
        ),
        peak_bytes=memory.peak_bytes,
        peak_moment=memory.peak_moment,
        fits=fits,
        seconds_rollout=seconds.rollout,
        seconds_update=seconds.update,
        seconds_judging=seconds.judging,
        seconds_a_step=seconds.total,
        seconds_in_all=seconds.total * plan.num_steps,
        num_steps=plan.num_steps,
        changes=changes,
        notes=tuple(_notes(config, plan, device, fits, changes, judging)),
    )


def _notes(
    config: Estimated,
    plan: Plan,
    device: PreflightDevice,
    fits: bool | None,
    changes: tuple[PreflightChange, ...],
    judging: Judging,
) -> list[str]:
    notes = [
        "Time is that of rollout and update, and rather too low: the default recipe on a CPU took 1.2 to 1.5 times it. "
        "Rewards, probes, pictures and checkpoints come on top."
    ]
    if judging.names:
        notes.append(
            f"Pictures are judged by {', '.join(judging.names)}: their products are in the time, reading and resizing "
            "pictures and a reference folder's own features are not."
        )
    if device.kind == "cuda" and plan.sizes.hidden_size < SMALLEST_GPU_WIDTH:
        notes.append("So small a model waits for its kernels to be launched: the time is mostly that.")
    if isinstance(config, SampleConfig) and config.extrapolation is not None:
        notes.append("A picture that grows is unmasked window by window: each of them is a step here, of one prompt.")
    if plan.num_processes > 1:
        exchange = "weights and gradients" if plan.num_holders > 1 else "gradients"
        notes.append(
            f"Figures are of each of {plan.num_processes} processes; their exchange of {exchange} is not in them."
        )
    if reward_bytes_of(config):
        notes.append("Reward networks are counted as the published checkpoints of their names.")
    if fits is False and not (changes and changes[-1].fits):
        is_sharded = plan.num_holders > 1 or "scaling.sharding" in (change.setting for change in changes)
        other = ", or adapters (lora.is_enabled), which are trained without sharding" if is_sharded else ""
        notes.append(f"No setting is left that makes it fit: take a larger device or a smaller policy{other}.")
    return notes
