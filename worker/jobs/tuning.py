"""The policy of a run in training: which of its weights are trained, what it is compared with, and how it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from backend.artifacts import RunFolder
from backend.schemas.config import TrainConfig
from backend.schemas.scaling import LoRAExport
from worker.jobs.policies import EXPORTED_ADAPTER, START_POLICY, export_policy, load_start
from worker.jobs.whole_folder import whole_folder
from worker.maskgrpo.seeds import derived_seed
from worker.maskgrpo.types import Policy
from worker.showo.loading import save_policy
from worker.showo.lora import AdapterlessPolicy, add_adapter, merged, save_adapter
from worker.showo.policy import ShowoPolicy


class Tuning:
    """The policy as it is trained: whole, or an adapter beside weights that stay as they are."""

    def __init__(
        self, config: TrainConfig, folder: RunFolder, *, has_reference: bool, is_sharded: bool = False
    ) -> None:
        """Loads the policy, and with a reference the policy that the run began with; sharded, each in its turn."""
        self._lora = config.lora
        self._folder = folder
        self._is_sharded = is_sharded
        self.policy = load_start(config.policy, folder)
        self.policy.showo.is_checkpointed = config.scaling.is_gradient_checkpointed
        if config.lora.is_enabled:
            generator = torch.Generator().manual_seed(derived_seed(config.seed, "adapter"))
            lora = config.lora
            add_adapter(self.policy.showo, lora.rank, lora.alpha, lora.target_modules, generator)
        if is_sharded:
            _shard(self.policy)
        self.reference = self._reference(config) if has_reference else None

    def _reference(self, config: TrainConfig) -> Policy:
        """The policy that the run began with: with an adapter it is there already."""
        if config.lora.is_enabled:
            return AdapterlessPolicy(self.policy)
        reference = load_start(config.policy, self._folder).requires_grad_(False)
        if self._is_sharded:
            _shard(reference)
        return reference

    def end_step(self) -> None:
        """Lets go of what a step's passes without gradient leave behind."""
        if self._is_sharded and isinstance(self.reference, ShowoPolicy):
            from worker.showo.sharding import forget_passes  # noqa: PLC0415

            forget_passes(self.reference.showo)

    def write(self, path: Path, weights: Mapping[str, Tensor] | None = None) -> None:
        """Writes what a checkpoint keeps for evaluation: the policy, or the adapter alone.

        Args:
            path: a folder.
            weights: all of the policy's by name, where it holds a part of each only.
        """
        if not self._lora.is_enabled:
            save_policy(self.policy, path, weights)
            return
        save_adapter(self.policy.showo, path, "../../../" + START_POLICY)

    def export(self, weights: Mapping[str, Tensor] | None = None) -> None:
        """Writes what other runs and other programs load; `weights` as in `write`."""
        if not self._lora.is_enabled:
            export_policy(self.policy, self._folder, weights)
            return
        if self._lora.export is not LoRAExport.ADAPTER:
            with merged(self.policy.showo):
                export_policy(self.policy, self._folder)
        if self._lora.export is not LoRAExport.MERGED:
            with whole_folder(self._folder.path(EXPORTED_ADAPTER)) as temporary:
                save_adapter(self.policy.showo, temporary, "../../" + START_POLICY)


def _shard(policy: ShowoPolicy) -> None:
    # Only here, for FSDP2 takes a second to import and most runs hold their weights whole.
    from worker.showo.sharding import shard  # noqa: PLC0415

    shard(policy)
