"""The tables, one a file. Rows are `...Row`; what the world sees is in `backend/schemas`."""

from backend.models.alias import AliasMoveRow, AliasRow
from backend.models.checkpoint import CheckpointRow
from backend.models.event import EventRow
from backend.models.frames import FramesRow
from backend.models.group import GroupRow
from backend.models.idempotency import IdempotencyRow
from backend.models.imported_model import ImportedModelRow
from backend.models.label_pair import LabelPairRow
from backend.models.label_task import LabelTaskRow
from backend.models.metric import MetricRow
from backend.models.pair_flag import PairFlagRow
from backend.models.pair_hold import PairHoldRow
from backend.models.prompt_set import PromptSetRow, PromptSetVersionRow
from backend.models.rater import RaterRow
from backend.models.run import RunRow
from backend.models.sample import SampleRow
from backend.models.vote import VoteRow
from backend.models.worker import WorkerRow

__all__ = [
    "AliasMoveRow",
    "AliasRow",
    "CheckpointRow",
    "EventRow",
    "FramesRow",
    "GroupRow",
    "IdempotencyRow",
    "ImportedModelRow",
    "LabelPairRow",
    "LabelTaskRow",
    "MetricRow",
    "PairFlagRow",
    "PairHoldRow",
    "PromptSetRow",
    "PromptSetVersionRow",
    "RaterRow",
    "RunRow",
    "SampleRow",
    "VoteRow",
    "WorkerRow",
]
