"""The threshold table says where it was chosen and what it gave there."""

import numpy as np

from passerby.evaluation import evaluate, thresholds


def test_the_table_has_the_measurable_rates_and_who_they_were_chosen_on() -> None:
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(1, 21), 4)
    features = rng.normal(size=(21, 16))[people] + 0.5 * rng.normal(size=(80, 16))
    cameras = np.tile([1, 2, 3, 4], 20)
    found = evaluate(
        features, features, people, people, cameras, cameras, fars=(1e-5, 1e-2, 0.1), draws=50
    )
    table = thresholds.table(found, "twenty people")
    assert table["chosen_on"] == "twenty people"
    assert (table["queries"], table["impostor_pairs"]) == (80, 80 * 76)
    assert list(table["at_far"]) == ["0.01", "0.1"]  # 1e-5 is less than one pair
    row = table["at_far"]["0.01"]
    impostor = [
        1 - features[i] @ features[j] / np.linalg.norm(features[i]) / np.linalg.norm(features[j])
        for i in range(80)
        for j in range(80)
        if people[i] != people[j]
    ]
    assert np.mean(np.array(impostor) <= row["distance"]) <= 0.01
    assert row["tar_95"][0] <= row["tar"] <= row["tar_95"][1]
