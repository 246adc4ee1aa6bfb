"""Finetuning on fake tensors of a GPU: no recipe's step waits for the GPU."""

import pytest

pytestmark = pytest.mark.slow


def test_no_step_of_a_recipe_makes_the_host_wait(on_fake_gpu):
    told = on_fake_gpu("finetune_forward.py")
    assert set(told) == {"bot", "bot-ibn", "agw", "sbs", "mgn"}
    for name, step in told.items():
        assert step["waits"] == {}, name
        assert step["devices"] == ["cuda"], name
        assert step["channels_last"] == {"weights": True, "input": True}, name
