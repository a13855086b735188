"""The launch page's preflight: which device to think of, and what the form's run would need there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import gradio as gr

from backend.schemas.config import RunConfig
from backend.schemas.preflight import Accelerator, PreflightRequest
from ui.components.panels import panel, wrapped
from ui.components.preflight import preflight_panel, unknown_panel
from ui.forms import FormValue
from ui.studio import StudioError, client_for

OWN = "this studio's worker"
ConfigOf = Callable[[str, tuple[FormValue, ...]], RunConfig | None]
READING = wrapped(panel("Preflight", '<p class="u-muted">Counting …</p>'))


class PreflightPart:
    """A choice of device and the estimate below it."""

    def __init__(self) -> None:
        choices = [OWN, *(each.value for each in Accelerator)]
        with gr.Row(elem_classes=["u-fields"]):
            self._device = gr.Dropdown(
                choices, value=OWN, label="Preflight for", info="A GPU by its data sheet.", elem_id="preflight-device"
            )
            self._memory = gr.Number(
                0, label="Memory, GiB", info="0 = the device's own.", minimum=0, elem_id="preflight-memory"
            )
        self._shown = gr.HTML(READING, apply_default_css=False, elem_id="launch-preflight")

    def follow(
        self,
        changed: gr.HTML,
        kind: gr.components.Component,
        inputs: Sequence[gr.components.Component],
        config_of: ConfigOf,
    ) -> None:
        """Estimates anew when what stands beside the form changes, or the device."""
        gr.on(
            [changed.change, self._device.input, self._memory.input],
            _estimator(config_of),
            [self._device, self._memory, kind, *inputs],
            self._shown,
            queue=False,
            show_progress="hidden",
            trigger_mode="always_last",
        )


def _estimator(config_of: ConfigOf) -> Callable[..., str]:
    def estimate(request: gr.Request, device: str, memory: float | None, kind: str, *shown: FormValue) -> str:
        config = config_of(kind, shown)
        if config is None:
            return ""
        accelerator = None if device == OWN else Accelerator(device)
        wanted = PreflightRequest(config=config, accelerator=accelerator, memory_gib=memory or None)
        try:
            with client_for(request) as client:
                return wrapped(preflight_panel(client.preflight(wanted)))
        except StudioError as error:
            return wrapped(unknown_panel(error.title, error.detail))

    return estimate
