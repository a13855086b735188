"""Show-o, MAGVIT-v2 and their text tokenizer from the published format, and back: a local folder or a hub name.

It knows which parts make a policy, no training and no sampling.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from worker.showo.model import Showo, ShowoConfig
from worker.showo.policy import ShowoPolicy, pairing_problems
from worker.showo.prompting import has_text_tokenizer, load_text_tokenizer
from worker.showo.published import (
    PHI_1_5,
    phi_config,
    published_config,
    published_vq_config,
    read_published,
    showo_config,
    vq_config,
    write_json,
)
from worker.showo.sources import TEXT_FILES, find_folder, is_hub_name
from worker.showo.vq import MagvitV2
from worker.showo.weights import (
    WEIGHT_NAMES,
    StoredWeights,
    fill,
    has_weights,
    open_weights,
    weight_problems,
    write_weights,
)

SHIPPED_WEIGHTS = Path(__file__).parents[1] / "shapes" / "weights"
PUBLISHED_VQ = "showlab/magvitv2"
"""the image tokenizer of the published Show-o models, which do not name it"""
CLIP_WIDTH = 1024
"""of the features that a published `w_clip_vit` model projects"""


@dataclass(frozen=True)
class Part:
    """A module without memory, and the stored tensors that it is to hold."""

    what: str
    module: nn.Module
    stored: StoredWeights

    def problems(self) -> list[str]:
        """Return how the tensors do not fit."""
        return weight_problems(self.module, self.stored.shapes, f"{self.what} in {self.stored.path}")


@dataclass(frozen=True)
class LanguageModel:
    """What was found of the language model that a Show-o is built on."""

    folder: Path | None
    """holds its config.json; None for Phi-1.5, whose sizes are known"""
    tokenizer: PreTrainedTokenizerFast | None
    cure: str
    """how to get the tokenizer where there is none"""

    def with_ends(self, config: ShowoConfig) -> ShowoConfig:
        """Return the sizes with the text's first and last token as the tokenizer has them, as published."""
        found = {} if self.tokenizer is None else {name: getattr(self.tokenizer, name) for name in
                                                   ("bos_token_id", "eos_token_id")}  # fmt: skip
        return replace(config, **{name: token for name, token in found.items() if token is not None})


def load_policy(
    source: str | Path,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    *,
    base: str | Path | None = None,
    vq: str | Path | None = None,
) -> ShowoPolicy:
    """Load a policy in Show-o's published format.

    The language model that its config.json names, for sizes and words, is looked for beside the checkpoint, in `llm/`
    inside it, and on the hub; the image tokenizer in `vq/` inside it, or on the hub for a model from there. A policy
    without text or image tokenizer serves ids and codes, and says what is missing when it is asked for more.

    Args:
        source: a folder, a hub name, or a file that holds a plain state dict; SHIPPED_WEIGHTS is the tiny one inside.
        device: where the weights go.
        dtype: of the transformer's weights; None for float32 whatever they are stored in.
        base: the Show-o that a plain state dict was tuned from: a folder or a hub name, of which only the
            configuration and the tokenizers are read; None where a config.json lies beside it.
        vq: the image tokenizer, a folder or a hub name; None for what was said above.

    Raises:
        ValueError: something is missing or broken, or parts do not belong together: one error that names all of it.
    """
    home, stored = _home_and_weights(source, base)
    own = read_published(home)
    language = _language_model(home, str(own["llm_model_path"]))
    config, problems = showo_config(own, language.folder)
    config = language.with_ends(config)
    with torch.device("meta"):
        showo, projector = Showo(config), _projector(stored, config, bool(own.get("w_clip_vit")))
    parts = [Part("transformer", _as_published(showo, projector), stored)]
    image, image_cure = _image_part(home, vq, is_published=is_hub_name(base or source))
    parts += [image] if image else []
    magvit = image.module if image and isinstance(image.module, MagvitV2) else None
    problems += [problem for part in parts for problem in part.problems()]
    problems += pairing_problems(config, magvit.config if magvit else None, language.tokenizer)
    if problems:
        raise ValueError(f"{source} does not hold together: " + "; ".join(problems))
    for part in parts:
        fill(part.module, part.stored, device, None if part is image else dtype)
    cures = {"no_text_tokenizer": language.cure, "no_image_tokenizer": image_cure}
    return ShowoPolicy(showo, magvit, language.tokenizer, projector=projector, **cures).eval()


def load_vq(source: str | Path, device: str | torch.device = "cpu", dtype: torch.dtype | None = None) -> MagvitV2:
    """Load an image tokenizer in MAGVIT-v2's published format, frozen.

    Args:
        source: its folder or hub name, `showlab/magvitv2`; a weights file with its config.json beside it; or a
            policy's folder that holds one as `vq/`.
        device: where the weights go.
        dtype: of the weights; None for float32 whatever they are stored in.

    Returns:
        `encode`, pixels in [-1, 1] to codes, and `decode`, codes to pixels in [0, 1]; see `MagvitV2`.

    Raises:
        ValueError: something is missing or broken, or config and weights do not belong together.
    """
    part = _vq_part(_vq_place(source))
    if problems := part.problems():
        raise ValueError(f"{source} does not hold together: " + "; ".join(problems))
    fill(part.module, part.stored, device, dtype)
    assert isinstance(part.module, MagvitV2)
    return part.module.requires_grad_(False).eval()


def save_policy(policy: ShowoPolicy, folder: Path, weights: Mapping[str, Tensor] | None = None) -> None:
    """Write a policy in the published format; what `load_policy` reads back is equal bit for bit.

    The language model keeps its hub name, by which Show-o's own code finds it; its files lie in `llm/` all the same.

    Args:
        policy: the policy.
        folder: is made where it is not.
        weights: the transformer's, whole, by the policy's names of them, where the policy holds a part of each only.
    """
    llm, vq = folder / "llm", folder / "vq"
    llm.mkdir(parents=True, exist_ok=True)
    config = policy.showo.config
    write_json(folder / "config.json", published_config(config, has_projector=policy.mm_projector is not None))
    own = {name.removeprefix("showo."): tensor for name, tensor in (weights or {}).items()}
    write_weights(folder / WEIGHT_NAMES[0], _as_published(policy.showo, policy.mm_projector).state_dict() | own)
    write_json(llm / "config.json", phi_config(config))
    if policy.tokenizer is not None:
        policy.tokenizer.save_pretrained(llm)
    if policy.magvit is not None:
        vq.mkdir(exist_ok=True)
        write_json(vq / "config.json", published_vq_config(policy.magvit.config))
        write_weights(vq / WEIGHT_NAMES[0], policy.magvit.state_dict())


def _is_whole(folder: Path) -> bool:
    return (folder / "config.json").is_file() and has_weights(folder)


def _home_and_weights(source: str | Path, base: str | Path | None) -> tuple[Path, StoredWeights]:
    """Return the folder of the configuration, and the weights: those of the folder, or a state dict on top of it."""
    path = Path(source).expanduser()
    if not path.is_file():
        path = find_folder(source, _is_whole if base is None else has_weights)
    stored = open_weights(path)
    if base is not None:
        return find_folder(base, lambda folder: (folder / "config.json").is_file(), (TEXT_FILES,)), stored
    home = path.parent if path.is_file() else path
    if not (home / "config.json").is_file():
        raise ValueError(
            f"{stored.path} is a state dict without a config.json beside it: name the Show-o that it was tuned from as "
            "its base, a folder or a hub name such as showlab/show-o-512x512"
        )
    return home, stored


def _language_model(home: Path, name: str) -> LanguageModel:
    """Find the language model that a Show-o in `home` names."""
    inside = home / "llm"
    cure = (
        f"there is no text tokenizer for {home}, so prompts cannot be read: put tokenizer.json of its language model "
        f"({name}) into {{}}, or its vocab.json and merges.txt"
    )
    for folder in (home / name, inside, Path(name).expanduser()):
        if (folder / "config.json").is_file():
            words = load_text_tokenizer(folder) if has_text_tokenizer(folder) else None
            return LanguageModel(folder.resolve(), words, cure.format(folder.resolve()))
    if name == PHI_1_5 and has_text_tokenizer(inside):
        return LanguageModel(None, load_text_tokenizer(inside), "")
    if not is_hub_name(name):
        raise ValueError(
            f"{home / 'config.json'} names the language model {name!r}, but there is no config.json in "
            f"{(home / name).resolve()}; copy the language model's files there"
        )
    try:
        folder = find_folder(name, lambda it: (it / "config.json").is_file() and has_text_tokenizer(it), (TEXT_FILES,))
    except ValueError as error:
        if name != PHI_1_5:
            raise
        return LanguageModel(None, None, f"{cure.format(inside)}. {error}")
    return LanguageModel(folder, load_text_tokenizer(folder), "")


def _image_part(home: Path, vq: str | Path | None, is_published: bool) -> tuple[Part | None, str]:
    """Return the image tokenizer of a Show-o in `home`; without one, None and how to get it."""
    if vq is not None:
        return _vq_part(_vq_place(vq)), ""
    inside = home / "vq"
    cure = (
        f"there is no image tokenizer for {home}, so pictures cannot be encoded or decoded: put one into {inside} "
        f"(that of the published models is {PUBLISHED_VQ}), or name it as vq"
    )
    if inside.is_dir():
        return _vq_part(inside), ""
    if not is_published:
        return None, cure
    try:
        return _vq_part(find_folder(PUBLISHED_VQ, _is_whole)), ""
    except ValueError as error:
        return None, f"{cure}. {error}"


def _vq_place(source: str | Path) -> Path:
    """Return an image tokenizer's folder, or its file of weights."""
    path = Path(source).expanduser()
    return path if path.is_file() else find_folder(source, _is_whole)


def _vq_part(place: Path) -> Part:
    place = place / "vq" if (place / "vq" / "config.json").is_file() else place
    config = vq_config(place.parent if place.is_file() else place)
    with torch.device("meta"):
        magvit = MagvitV2(config)
    return Part("image tokenizer", magvit, open_weights(place))


def _projector(stored: StoredWeights, config: ShowoConfig, is_expected: bool) -> nn.Module | None:
    """Return the projector of CLIP's features, which nothing here uses, so that an export still has it."""
    found = [name for name in stored.shapes if name.startswith("mm_projector.")]
    if not found and not is_expected:
        return None
    # Show-o writes the published widths whatever the transformer's, so the file says them.
    shape = stored.shapes.get("mm_projector.0.weight", ())
    outputs, inputs = shape if len(shape) == 2 else (config.hidden_size, CLIP_WIDTH)
    return nn.Sequential(nn.Linear(inputs, outputs), nn.GELU(), nn.Linear(outputs, outputs))


def _as_published(showo: Showo, projector: nn.Module | None) -> nn.Module:
    """Return a module over the same tensors whose names are those of a published checkpoint."""
    whole = nn.Module()
    whole.add_module("showo", showo.showo)
    if projector is not None:
        whole.add_module("mm_projector", projector)
    return whole
