"""Named streams: equal by name, independent between names."""

import numpy as np

from passerby import seeds


def test_a_stream_is_told_by_all_of_its_name() -> None:
    draws = {
        name: seeds.stream(*name).random()
        for name in [(7, "a"), (7, "b"), (8, "a"), (7, "a", 0), (7, "a", 1), (7, "a", "0")]
    }
    assert len(set(draws.values())) == len(draws)
    assert seeds.stream(7, "a").random() == draws[7, "a"]


def test_streams_do_not_touch_the_global_one() -> None:
    np.random.seed(0)
    seeds.stream(7, "a").random(100)
    assert np.random.rand() == 0.5488135039273248


def test_streams_are_the_same_on_every_machine() -> None:
    assert seeds.number(7, "weights") == 991277889216505376
    assert seeds.stream(0, "x").integers(0, 1000, 4).tolist() == [762, 767, 705, 880]


def test_a_numpy_integer_names_the_same_stream() -> None:
    assert seeds.number(np.int64(7), "a", np.int32(3)) == seeds.number(7, "a", 3)
