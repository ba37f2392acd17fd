"""Which labels count where: cuts between bands, cells of many series, clusters."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.calibration.cells import cell_index
from monitor.drift.bands import by_band, part_of
from monitor.drift.baseline import known, stacked
from monitor.drift.betting import bets, stakes
from monitor.drift.labels import of_clusters
from tests.calibration.streams import pair_lists, some_pairs
from tests.drift.feeding import Pairs, labels_of

NOTHING = np.zeros((1, 4, 2))


def test_a_confidence_on_a_cut_belongs_to_the_upper_part() -> None:
    places = [0.0, 0.5, 0.7499, 0.75, 0.8, 0.8999, 0.9, 0.90000000000000002, 0.95, 1.0]
    assert part_of(cell_index(places)).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 2]
    near = [1e-12, 1 - 1e-7, 449.5 / 600, 450.5 / 600, 539.5 / 600, 540.5 / 600]
    assert part_of(cell_index(near)).tolist() == [0, 2, 0, 1, 1, 2]


def test_the_first_band_is_all_parts_together() -> None:
    assert by_band(np.array([[1.0, 2.0, 4.0], [0.0, 1.0, 0.0]])).tolist() == [[7, 1, 2, 4], [1, 0, 1, 0]]


@given(st.lists(some_pairs, min_size=1, max_size=4))
def test_sums_by_part_are_those_of_a_loop_over_labels(series: list[Pairs]) -> None:
    labels = labels_of(*series)
    expected = np.zeros((len(series), 3))
    for row, pairs in enumerate(series):
        for c, _ in pairs:
            expected[row, part_of(cell_index([c]))[0]] += 1
    assert labels.by_part(labels.n).tolist() == expected.tolist()
    assert labels.total(labels.n).tolist() == [len(pairs) for pairs in series]


@given(some_pairs)
def test_clusters_of_one_row_are_plain_labels(pairs: Pairs) -> None:
    plain = labels_of(pairs)
    alone = of_clusters([0] * len(pairs), [c for c, _ in pairs], [y for _, y in pairs], range(len(pairs)))
    assert np.array_equal(plain.cells, alone.cells)
    assert np.array_equal(plain.n, alone.n)
    assert plain.right == pytest.approx(alone.right, abs=1e-8)
    assert plain.position == pytest.approx(alone.position, abs=1e-8)


def test_a_cluster_weighs_one_label_however_many_rows_it_has() -> None:
    labels = of_clusters([0, 0, 0, 1, 1], [0.8, 0.8, 0.3, 0.8, 0.9], [1, 0, 1, 1, 1], [7, 7, 7, 7, 8])
    assert labels.total(labels.n) == pytest.approx([1, 2])
    assert labels.total(labels.right) == pytest.approx([2 / 3, 2])
    assert labels.by_part(labels.n)[0] == pytest.approx([1 / 3, 2 / 3, 0])


@given(st.lists(st.tuples(st.sampled_from((0.92, 0.95, 0.98)), st.sampled_from((0.0, 1.0))), min_size=1, max_size=6))
def test_a_cluster_gains_no_more_than_a_bet_on_its_averaged_residual(pairs: Pairs) -> None:
    """Its mean is then at most 1 whenever the mean of the averaged residual is at most the tolerance."""
    c, y = np.array([c for c, _ in pairs]), np.array([y for _, y in pairs])
    baselines, rows = stacked([known()]), [0] * len(pairs)
    labels = of_clusters(rows, c, y, rows)
    expected = baselines.expected(labels.position, labels.series, labels.part)
    gained = np.exp(bets(baselines, NOTHING, labels, expected, 0.01).log_factor[0, 3])
    zeros = np.zeros((1, 3))
    stake = stakes(baselines, np.full((1, 3), 1e12), zeros, zeros + 0.01, zeros)[0, 2]
    average = float((c - y).mean())
    for side, sign in enumerate((1, -1)):
        assert (gained[side] <= 1 + stake[side] * (sign * average - 0.01) + 1e-5).all()


@given(pair_lists)
def test_a_pane_of_clusters_counts_each_cluster_once(pairs: Pairs) -> None:
    if pairs:
        cluster = [place // 3 for place in range(len(pairs))]
        labels = of_clusters([0] * len(pairs), [c for c, _ in pairs], [y for _, y in pairs], cluster)
        assert float(labels.n.sum()) == pytest.approx(len(set(cluster)))
        assert (labels.right <= labels.n).all()
