"""Which pairs are open to a rater, and in which order, as text of SQL. Knows not who asks for them and locks them."""

from __future__ import annotations

from backend.schemas.preference import PairStrategy

# Asked with every vote of every rater, so this is text: building it anew each time would cost more than answering it.
# Where people and programs are asked about one task, votes and holds of the other kind are taken off; looking for them
# costs several times the rest, and nearly all tasks are of one kind.
_OTHER_KIND = """
LEFT JOIN (
    SELECT
        pair_id,
        count(*) AS num_votes,
        sum(CASE vote.outcome WHEN '0' THEN 1 WHEN '1' THEN 0 ELSE 0.5 END) AS sum_first
    FROM rater JOIN vote ON vote.rater_id = rater.id AND vote.undone_at IS NULL AND vote.outcome <> 'skip'
    WHERE rater.label_task_id = :task_id AND rater.is_simulated <> :is_simulated AND NOT rater.is_excluded
    GROUP BY pair_id
) AS other_kind ON other_kind.pair_id = pair.id
"""
_IS_OF_MY_KIND = (
    "AND rater_id IN (SELECT id FROM rater WHERE label_task_id = :task_id AND is_simulated = :is_simulated)"
)
_VOTES = {False: "pair.num_votes", True: "(pair.num_votes - coalesce(other_kind.num_votes, 0))"}
_FIRSTS = {False: "pair.sum_first", True: "(pair.sum_first - coalesce(other_kind.sum_first, 0))"}
OPEN_PAIRS = {
    is_mixed: f"""
FROM label_pair AS pair
LEFT JOIN (
    SELECT
        pair_id,
        bool_or(rater_id = :rater_id) AS is_mine,
        count(*) FILTER (WHERE rater_id <> :rater_id {_IS_OF_MY_KIND if is_mixed else ""}) AS num_others
    FROM pair_hold WHERE expires_at > now() OR rater_id = :rater_id GROUP BY pair_id
) AS held ON held.pair_id = pair.id
{_OTHER_KIND if is_mixed else ""}
WHERE pair.label_task_id = :task_id
AND (pair.is_gold OR {_VOTES[is_mixed]} < :votes_per_pair)
AND (pair.is_gold OR {_VOTES[is_mixed]} + coalesce(held.num_others, 0) < :votes_per_pair)
AND pair.id NOT IN (SELECT pair_id FROM vote WHERE rater_id = :rater_id AND undone_at IS NULL)
"""
    for is_mixed in (False, True)
}

# Another permutation of the places for each rater: times a number of its own, modulo a prime.
PRIME = 2**31 - 1
PLACE = f"((pair.index + 1)::bigint * :shuffle % {PRIME})"

# With a uniform prior, w of n votes for the first picture leave its preference a Beta(1 + w, 1 + n - w); the pair of
# the largest variance comes first: that of few or of contradicting votes. Without a vote it is 1/12. A quarter of the
# gold pairs stand among those without a vote, and the others anywhere, so that they come at any time.
_VARIANCE = {
    is_mixed: f"""CASE
    WHEN pair.is_gold AND {PLACE} % 4 = 0 THEN 1 / 12.0
    WHEN pair.is_gold THEN {PLACE} / {PRIME}.0 / 12
    ELSE (1 + {firsts}) * (1 + {votes} - {firsts}) / ((2 + {votes}) * (2 + {votes}) * (3 + {votes}))
END"""
    for is_mixed, votes, firsts in ((each, _VOTES[each], _FIRSTS[each]) for each in (False, True))
}

ORDER = {
    (PairStrategy.SHUFFLED, False): PLACE,
    (PairStrategy.SHUFFLED, True): PLACE,
    (PairStrategy.MOST_INFORMATIVE, False): f"{_VARIANCE[False]} DESC, {PLACE}",
    (PairStrategy.MOST_INFORMATIVE, True): f"{_VARIANCE[True]} DESC, {PLACE}",
}
