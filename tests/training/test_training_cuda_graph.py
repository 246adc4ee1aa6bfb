"""Whether steps are captured in a CUDA graph; tests/gpu tests the graphs themselves."""

import pytest

from passerby.errors import BadInput
from passerby.training import cuda_graph


@pytest.mark.parametrize(("text", "wanted"), [(None, True), ("1", True), ("0", False)])
def test_the_variable_switches_graphs_off(monkeypatch, text, wanted):
    monkeypatch.delenv(cuda_graph.VARIABLE, raising=False)
    if text is not None:
        monkeypatch.setenv(cuda_graph.VARIABLE, text)
    assert cuda_graph.is_wanted() is wanted


@pytest.mark.parametrize("text", ["", "no", "2"])
def test_another_value_of_the_variable_is_refused(monkeypatch, text):
    monkeypatch.setenv(cuda_graph.VARIABLE, text)
    with pytest.raises(BadInput, match=r"PASSERBY_CUDA_GRAPH='.*0 or 1 was wanted"):
        cuda_graph.is_wanted()
