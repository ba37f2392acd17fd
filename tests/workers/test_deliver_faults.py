"""Errors, deaths and outages together: everything is told, in order, and twice only after a death."""

from tests.workers.faults import through_faults


def test_through_errors_deaths_and_outages_everything_is_told_in_order(database: str) -> None:
    heard = through_faults(database, 400, seed=1, channels=2)
    assert (heard.queued, heard.untold, heard.not_told_by_state, heard.out_of_order) == (400, 0, 0, 0)
    assert heard.duplicates <= heard.deaths_after_telling
    assert heard.deaths_after_telling > 0
    assert heard.refused > 50
