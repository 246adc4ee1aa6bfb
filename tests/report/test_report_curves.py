"""The curves of one model: what is marked, and with which intervals."""

import numpy as np
import pytest
from evaluated_samples import evaluated
from matplotlib.axes import Axes

from passerby.evaluation.result import NOT_SURE
from passerby.report import curves


def marks(axes: Axes, begin: str) -> dict[str, tuple[float, float]]:
    """Where the marks stand whose text in the legend begins so."""
    handles, labels = axes.get_legend_handles_labels()
    return {
        text: tuple(float(value[0]) for value in handle[0].get_data())
        for handle, text in zip(handles, labels, strict=True)
        if text.startswith(begin)
    }


def test_the_roc_has_each_named_far_with_its_interval() -> None:
    result = evaluated(draws=20).result
    (axes,) = curves.roc(result).axes
    assert result.intervals is not None
    low, high = result.intervals.tar[5e-2] or (-1, -1)
    rate, _ = result.verification.true_accept_rate(5e-2) or (-1, -1)
    text = f"TAR at FAR 5 %: {100 * rate:.1f} % [{100 * low:.1f}, {100 * high:.1f}] *"
    assert marks(axes, "TAR at FAR 5 %") == {text: (5e-2, rate)}
    bars = [bar.get_segments()[0][:, 1] for bar in axes.collections]
    assert len(bars) == 2
    np.testing.assert_allclose(bars[0], [low, max(high, rate)])
    curve = result.verification.curve()
    np.testing.assert_array_equal(axes.get_lines()[0].get_xdata(), curve.fpr)
    np.testing.assert_array_equal(axes.get_lines()[0].get_ydata(), curve.tpr)
    assert axes.get_xscale() == "log"


def test_without_intervals_there_are_no_bars() -> None:
    (axes,) = curves.roc(evaluated().result).axes
    assert not axes.collections
    assert all("[" not in text for text in marks(axes, "TAR"))


def test_a_far_of_less_than_one_pair_is_left_out() -> None:
    result = evaluated(fars=(1e-9, 1e-1), draws=5).result
    (axes,) = curves.roc(result).axes
    assert [text[:16] for text in marks(axes, "TAR")] == ["TAR at FAR 10 %:"]
    assert axes.get_xlim()[0] > 1e-4
    assert curves.threshold(result, 1e-9) is None


def test_a_set_too_small_for_any_far_has_a_curve_without_marks() -> None:
    result = evaluated(fars=(1e-9,)).result
    (axes,) = curves.roc(result).axes
    assert len(axes.get_lines()) == 1
    (axes,) = curves.distances(result).axes
    assert len(axes.get_lines()) == 2


def test_the_cmc_marks_the_ranks_that_were_asked_for() -> None:
    result = evaluated(ranks=(1, 5, 30), draws=20).result
    (axes,) = curves.cmc(result).axes
    assert list(marks(axes, "rank").values()) == [(k, result.ranking.cmc(k)) for k in (1, 5)]
    assert len(axes.collections) == 2  # the bar of each
    np.testing.assert_array_equal(axes.get_lines()[0].get_ydata(), result.cmc_curve())
    assert axes.get_ylim()[1] <= 1.01


def test_distances_have_a_line_at_the_threshold_of_each_far() -> None:
    result = evaluated().result
    (axes,) = curves.distances(result).axes
    lines = {str(line.get_label()): line for line in axes.get_lines()}
    for far, name, mark in ((5e-2, "5 %", " *"), (2e-1, "20 %", "")):
        at = curves.threshold(result, far)
        assert at == (result.verification.true_accept_rate(far) or (0, None))[1]
        text = f"threshold at FAR {name} of pairs: {at:.4g}{mark}"
        assert list(lines[text].get_xdata()) == [at, at]
    looks = {(str(line.get_linestyle()), line.get_marker()) for line in axes.get_lines()}
    assert len(looks) == 4  # both kinds of pairs and both thresholds, without colour
    assert axes.get_xlabel() == "cosine distance"


def test_shares_of_both_kinds_are_drawn_whole() -> None:
    (axes,) = curves.distances(evaluated().result).axes
    for line in axes.get_lines()[:2]:
        assert np.sum(line.get_ydata()) == pytest.approx(1)


def test_rates_from_fewer_than_thirty_errors_are_marked_and_the_mark_is_explained() -> None:
    result = evaluated(fars=(5e-2, 2e-1)).result
    assert (result.impostor_errors(5e-2) or 0) < 30 <= (result.impostor_errors(2e-1) or 0)
    for figure, begin in ((curves.roc(result), "TAR"), (curves.distances(result), "threshold")):
        texts = [text.get_text() for text in figure.legends[0].get_texts()]
        assert [text.endswith(" *") for text in texts if text.startswith(begin)] == [True, False]
        assert figure.legends[0].get_title().get_text() == NOT_SURE
    sure = curves.roc(evaluated(fars=(2e-1,)).result)
    assert "not sure" not in sure.legends[0].get_title().get_text()
