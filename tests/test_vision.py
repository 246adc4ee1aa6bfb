"""The door to torchvision: its models work beside a CPU torch, and `nms` is the definition's."""

import numpy as np
import torch

from passerby import seeds
from passerby.vision import non_maximum_suppression, torchvision


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two xyxy boxes, from the definition."""
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    both = max(wide, 0) * max(high, 0)
    area = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return both / (area - both)


def slow_nms(boxes: np.ndarray, scores: np.ndarray, iou_threshold: float) -> list[int]:
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        if all(overlap(boxes[i], boxes[j]) <= iou_threshold for j in kept):
            kept.append(i)
    return kept


def test_nms_equals_the_slow_loop() -> None:
    rng = seeds.stream(0, "nms")
    for count in (0, 1, 2, 60):
        corner = rng.uniform(0, 50, (count, 2))
        boxes = np.hstack([corner, corner + rng.uniform(5, 30, (count, 2))])
        scores = rng.random(count)
        fast = non_maximum_suppression(torch.from_numpy(boxes), torch.from_numpy(scores), 0.4)
        assert fast.tolist() == slow_nms(boxes, scores, 0.4)


def test_nms_keeps_the_first_of_equal_boxes() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 10]])
    assert non_maximum_suppression(boxes, torch.tensor([0.5, 0.5]), 0.5).tolist() == [0]


def test_models_of_torchvision_can_be_built() -> None:
    net = torchvision.models.resnet18()
    assert sum(p.numel() for p in net.parameters()) == 11_689_512
