"""A step of Adam is PyTorch's."""

import pytest
import torch

from snippets.training.adam import adam_step


@pytest.mark.parametrize("eps", [1e-9, 0.1])
def test_matches_torch_over_many_steps(eps: float) -> None:
    torch.manual_seed(0)
    ours = torch.randn(3, 5, dtype=torch.float64)
    theirs = ours.clone().requires_grad_()
    m, v = torch.zeros_like(ours), torch.zeros_like(ours)
    optimizer = torch.optim.Adam([theirs], lr=0.01, betas=(0.7, 0.98), eps=eps)
    for step in range(1, 21):
        theirs.grad = torch.randn_like(theirs) * 10.0 ** -(step % 4)
        adam_step(ours, theirs.grad, m, v, step, 0.01, (0.7, 0.98), eps)
        optimizer.step()
        torch.testing.assert_close(ours, theirs.detach(), rtol=0, atol=1e-12)


def test_a_step_counts_from_1() -> None:
    with pytest.raises(ValueError, match="step must be at least 1, not 0"):
        adam_step(*torch.zeros(4, 2), step=0, rate=0.1)
