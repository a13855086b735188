"""What an evaluation measures of its stored pictures at the end: diversity by prompt, FID and KID. Reads files alone.

The pictures are read back from the run's folder, so a resumed evaluation measures what an undisturbed one does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch

from backend.artifacts import RunFolder
from backend.figures.distances import FID, FID_INFINITY, KID, Distances
from backend.figures.evaluation import DIVERSITY, DUPLICATES, PIXELS
from backend.schemas.benchmark import DiversityConfig, ReferenceConfig
from backend.schemas.picture_runs import EvaluateConfig
from worker.benchmarks.distance_figures import Reference, distances
from worker.benchmarks.diversity import diversity
from worker.benchmarks.features import (
    Extractor,
    clip_extractor,
    inception_extractor,
    pictures_of,
    read_picture,
)
from worker.benchmarks.frechet import Gaussian
from worker.benchmarks.table import Table
from worker.jobs.pictures import Place
from worker.jobs.policies import device_of


@dataclass(frozen=True)
class Measured:
    """How far all pictures together are from the reference, and what each figure was measured with."""

    distances: Distances = field(default_factory=Distances)
    notes: Mapping[str, str] = field(default_factory=dict)


class Features:
    """Knows where an evaluation's pictures lie, and the reference's features once they are made.

    Raises:
        ValueError: weights or the reference folder are absent, or there will be too few pictures: told before the
            first is made.
    """

    def __init__(self, config: EvaluateConfig, folder: RunFolder, num_prompts: int, batch_size: int) -> None:
        self._config = config
        self._folder = folder
        self._num_prompts = num_prompts
        self._batch_size = batch_size
        self._diverse = None if config.diversity is None else clip_extractor(config.diversity.clip)
        self._distant = None if config.reference is None else _extractor(config.reference)
        self._reference_paths = [] if config.reference is None else pictures_of(_path(config.reference.folder))
        if config.reference is not None and self._num_pictures < 2:
            raise ValueError(
                "reference: FID and KID take at least 2 pictures of a policy, and 1 prompt x samples_per_prompt 1 is "
                "one: raise samples_per_prompt, give more prompts, or leave reference out"
            )

    def measure(self, policy: str, table: Table) -> Measured:
        """Enters each prompt's diversity into the policy's table, and gives the figures of all its pictures."""
        notes: dict[str, str] = {}
        found = Distances()
        if self._config.diversity is not None and self._diverse is not None:
            self._enter_diversity(policy, table, self._config.diversity, self._diverse)
            notes[DIVERSITY] = f"mean of 1 - cosine between pictures of a prompt, features of {self._diverse.name}"
            notes[DUPLICATES] = f"pairs with a cosine distance below {self._config.diversity.near_duplicate_distance:g}"
        if self._config.reference is not None and self._distant is not None:
            found = self._distances(policy, self._config.reference, self._distant)
            notes |= dict.fromkeys((FID, KID), self._note_of_distances(self._distant))
            notes[FID_INFINITY] = self._note_of_infinity(is_measured=FID_INFINITY in found.figures.values)
        return Measured(found, notes)

    def _note_of_distances(self, extractor: Extractor) -> str:
        return f"features: {extractor.name}; {self._num_pictures} pictures against {len(self._reference_paths)}"

    def _note_of_infinity(self, *, is_measured: bool) -> str:
        if is_measured:
            return "what fid would be of endlessly many pictures, extrapolated by the jackknife over prompts"
        return (
            f"not extrapolated: fid of {self._num_pictures} pictures is too high by an amount that so few of "
            f"{self._num_prompts} prompts do not tell; it takes two pictures and a prompt a dimension of the features"
        )

    @property
    def _num_pictures(self) -> int:
        return self._num_prompts * self._config.samples_per_prompt

    def _enter_diversity(self, policy: str, table: Table, config: DiversityConfig, extractor: Extractor) -> None:
        device = device_of(self._config.policy)
        for row in range(self._num_prompts):
            paths = self._paths(policy, row)
            pictures = torch.stack([read_picture(path) for path in paths])
            found = diversity(extractor.extract(pictures.to(device)).cpu(), pictures, config.near_duplicate_distance)
            table.enter_row(DIVERSITY, row, found.cosine_distance)
            table.enter_row(PIXELS, row, found.pixel_distance)
            table.enter_row(DUPLICATES, row, found.near_duplicates)

    def _distances(self, policy: str, config: ReferenceConfig, extractor: Extractor) -> Distances:
        paths = [path for row in range(self._num_prompts) for path in self._paths(policy, row)]
        made = extractor.of_files(paths, device_of(self._config.policy))
        return distances(made, self._num_prompts, self._reference, config, self._config.seed)

    @cached_property
    def _reference(self) -> Reference:
        assert self._distant is not None, "there is a reference"
        features = self._distant.of_files(self._reference_paths, device_of(self._config.policy))
        return Reference(features, Gaussian.of(features))

    def _paths(self, policy: str, row: int) -> list[Path]:
        place = Place(row // self._batch_size + 1, f"evaluate-{policy}", row)
        return [
            self._folder.path(place.path("samples", f"-{index:02d}.png"))
            for index in range(self._config.samples_per_prompt)
        ]


def _extractor(config: ReferenceConfig) -> Extractor:
    return inception_extractor(_path(config.inception)) if config.inception else clip_extractor(config.clip)


def _path(name: str) -> Path:
    return Path(name).expanduser()
