"""The typed REST client, one method a route: the only door for pages and command line. Raises what `errors` has."""

from __future__ import annotations

from backend.client.bundles import BundleRoutes
from backend.client.catalogue import CatalogueRoutes
from backend.client.connection import RunID
from backend.client.evaluations import EvaluationRoutes
from backend.client.events import EventRoutes
from backend.client.pair_sets import PairSetRoutes
from backend.client.preferences import PreferenceRoutes
from backend.client.prompt_sets import PromptSetRoutes
from backend.client.registry import RegistryRoutes
from backend.client.reward_models import RewardModelRoutes
from backend.client.reward_tests import RewardTestRoutes
from backend.client.runs import RunRoutes
from backend.client.samples import SampleRoutes

__all__ = ["RunID", "StudioClient"]


class StudioClient(
    RunRoutes,
    PairSetRoutes,
    PromptSetRoutes,
    EventRoutes,
    SampleRoutes,
    EvaluationRoutes,
    PreferenceRoutes,
    RewardModelRoutes,
    RewardTestRoutes,
    RegistryRoutes,
    BundleRoutes,
    CatalogueRoutes,
):
    """Speaks to one studio. `client.watch(run_id)` follows a run through restarts of the server."""
