import copy

import pytest
import torch

from passerby.training.lars import TRUST, Lars


def test_lars_is_its_definition_for_weights_and_plain_sgd_for_biases():
    generator = torch.Generator().manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(5, 3, generator=generator))
    bias = torch.nn.Parameter(torch.randn(5, generator=generator))
    ours = Lars([weight, bias], lr=0.5, momentum=0.8, weight_decay=0.01)
    slow = {"weight": weight.detach().clone(), "bias": bias.detach().clone()}
    velocity = {name: torch.zeros_like(tensor) for name, tensor in slow.items()}
    for _ in range(3):
        gradients = {n: torch.randn(t.shape, generator=generator) for n, t in slow.items()}
        weight.grad, bias.grad = gradients["weight"].clone(), gradients["bias"].clone()
        ours.step()
        change = gradients["weight"] + 0.01 * slow["weight"]
        change = change * TRUST * slow["weight"].norm() / change.norm()
        for name, moved in (("weight", change), ("bias", gradients["bias"])):
            velocity[name] = 0.8 * velocity[name] + moved
            slow[name] = slow[name] - 0.5 * velocity[name]
    torch.testing.assert_close(weight.detach(), slow["weight"])
    torch.testing.assert_close(bias.detach(), slow["bias"])


@pytest.mark.parametrize("weight", [torch.zeros(2, 2), torch.ones(2, 2)])
def test_a_tensor_or_a_gradient_of_length_0_is_not_scaled(weight):
    parameter = torch.nn.Parameter(weight.clone())
    parameter.grad = torch.ones(2, 2) if not weight.any() else torch.zeros(2, 2)
    Lars([parameter], lr=0.1).step()
    torch.testing.assert_close(parameter.detach(), weight - 0.1 * parameter.grad)


def test_state_goes_through_a_checkpoint():
    def one() -> tuple[torch.nn.Parameter, Lars]:
        parameter = torch.nn.Parameter(torch.ones(3, 2))
        return parameter, Lars([parameter], lr=0.3, momentum=0.9)

    (first, ours), (second, other) = one(), one()
    for step in range(4):
        if step == 2:
            other.load_state_dict(copy.deepcopy(ours.state_dict()))
            second.data.copy_(first.data)
        first.grad = torch.full((3, 2), float(step + 1))
        ours.step()
        if step >= 2:
            second.grad = first.grad.clone()
            other.step()
    assert torch.equal(first, second)


def test_parameters_without_a_gradient_stay():
    parameter = torch.nn.Parameter(torch.ones(2))
    Lars([parameter], lr=1.0).step()
    assert parameter.tolist() == [1, 1]


@pytest.mark.parametrize("found", [0.0, 1.0])
def test_a_step_that_found_something_infinite_changes_nothing(found):
    def stepped(flag: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        parameter = torch.nn.Parameter(torch.ones(3, 2))
        ours = Lars([parameter], lr=0.3, momentum=0.9)
        for gradient, each in ((0.5, None), (2.0, flag)):
            parameter.grad = torch.full((3, 2), gradient)
            ours.found_inf = each
            before = parameter.detach().clone()
            ours.step()
        return before, parameter.detach()

    before, after = stepped(torch.tensor(found))
    wanted = before if found else stepped(None)[1]
    assert torch.equal(after, wanted)
