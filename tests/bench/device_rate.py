"""How fast a device multiplies matrices, and which kinds of work a piece of code spends its time on."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch.profiler import ProfilerActivity, profile

from tests.bench.timing import Way

SIDE, CUDA_SIDE = 2048, 8192
KINDS: Mapping[str, tuple[str, ...]] = {
    "matrix products": ("addmm", "mm", "bmm", "matmul", "linear", "gemm", "cutlass", "nvjet"),
    "attention": ("attention", "flash", "fmha"),
    "GELU": ("gelu",),
    "norms": ("layer_norm", "LayerNorm"),
    "distribution and draw": ("softmax", "exp", "cumsum", "searchsorted", "sort", "logsumexp", "topk"),
    "optimizer": ("adam", "lerp", "_foreach", "norm"),
    "copies and look-ups": ("copy_", "cat", "index", "embedding", "gather", "clone", "fill", "zero", "slice_backward"),
    "sums and products by element": ("mul", "add", "sub", "sum", "neg", "div", "where", "elementwise"),
}


def matrix_product(device: torch.device, dtype: torch.dtype = torch.float32) -> Way:
    """A product of two square matrices, large enough for the device's rate; its units are operations."""
    side = SIDE if device.type == "cpu" else CUDA_SIDE
    left, right = torch.randn(2, side, side, generator=torch.Generator().manual_seed(0)).to(device, dtype)
    num_products = 1 if device.type == "cpu" else 20

    def multiply() -> None:
        for _ in range(num_products):
            left @ right

    return Way(f"matrix product {side} x {side}", multiply, num_products * 2 * side**3)


def shares_by_kind(run: Callable[[], object], device: torch.device) -> dict[str, float]:
    """The share of the run's own time that each kind of work takes, largest first; what fits no kind is 'other'."""
    is_gpu = device.type == "cuda"
    activities = [ProfilerActivity.CUDA if is_gpu else ProfilerActivity.CPU]
    with profile(activities=activities) as profiled:
        run()
    seconds: dict[str, float] = {}
    for event in profiled.key_averages():
        taken = event.self_device_time_total if is_gpu else event.self_cpu_time_total
        seconds[_kind_of(event.key)] = seconds.get(_kind_of(event.key), 0.0) + taken
    whole = sum(seconds.values())
    return {kind: each / whole for kind, each in sorted(seconds.items(), key=lambda pair: -pair[1])}


def _kind_of(name: str) -> str:
    # Attention first: its kernels have products in their names, too.
    if any(word in name for word in KINDS["attention"]):
        return "attention"
    return next((kind for kind, words in KINDS.items() if any(word in name for word in words)), "other")


def print_shares(title: str, shares: Mapping[str, float]) -> None:
    """A line a kind."""
    print(f"\n{title}")
    for kind, share in shares.items():
        if share >= 0.005:
            print(f"  {kind:<40} {share:>6.1%}")
