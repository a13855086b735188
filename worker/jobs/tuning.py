"""The policy of a run in training: which of its weights are trained, what it is compared with, and how it is kept."""

from __future__ import annotations

from pathlib import Path

import torch

from backend.artifacts import RunFolder
from backend.schemas.config import TrainConfig
from backend.schemas.scaling import LoRAExport
from worker.jobs.policies import EXPORTED_ADAPTER, START_POLICY, export_policy, load_start
from worker.jobs.whole_folder import whole_folder
from worker.maskgrpo.seeds import derived_seed
from worker.maskgrpo.types import Policy
from worker.showo.loading import save_policy
from worker.showo.lora import AdapterlessPolicy, add_adapter, merged, save_adapter


class Tuning:
    """The policy as it is trained: whole, or an adapter beside weights that stay as they are."""

    def __init__(self, config: TrainConfig, folder: RunFolder, *, has_reference: bool) -> None:
        self._lora = config.lora
        self._folder = folder
        self.policy = load_start(config.policy, folder)
        self.policy.showo.is_checkpointed = config.scaling.is_gradient_checkpointed
        if config.lora.is_enabled:
            generator = torch.Generator().manual_seed(derived_seed(config.seed, "adapter"))
            lora = config.lora
            add_adapter(self.policy.showo, lora.rank, lora.alpha, lora.target_modules, generator)
        self.reference = self._reference(config) if has_reference else None

    def _reference(self, config: TrainConfig) -> Policy:
        """The policy that the run began with: with an adapter it is there already."""
        if config.lora.is_enabled:
            return AdapterlessPolicy(self.policy)
        return load_start(config.policy, self._folder).requires_grad_(False)

    def write(self, path: Path) -> None:
        """Writes what a checkpoint keeps for evaluation: the policy, or the adapter alone."""
        if not self._lora.is_enabled:
            save_policy(self.policy, path)
            return
        save_adapter(self.policy.showo, path, "../../../" + START_POLICY)

    def export(self) -> None:
        """Writes what other runs and other programs load."""
        if not self._lora.is_enabled:
            export_policy(self.policy, self._folder)
            return
        if self._lora.export is not LoRAExport.ADAPTER:
            with merged(self.policy.showo):
                export_policy(self.policy, self._folder)
        if self._lora.export is not LoRAExport.MERGED:
            with whole_folder(self._folder.path(EXPORTED_ADAPTER)) as temporary:
                save_adapter(self.policy.showo, temporary, "../../" + START_POLICY)
