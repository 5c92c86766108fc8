"""Looks into the heads of a model, and switches them off: `docs/training/attention-maps.md`.

Shapes: `n_query` and `n_key` are sequence lengths, `d_k` is the width of a head.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from snippets.multi_head import MultiHeadAttention


# --8<-- [start:recorded_weights]
@contextmanager
def recorded_weights(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Keep the weights of every attention that runs inside the `with` block.

    A hook asks each attention again for what it has just computed, this time with its weights. The
    output of the model is not touched, so that whatever ran without the block runs the same in it.

    Args:
        model: Any model whose attentions are ours or `torch.nn.MultiheadAttention`, in evaluation
            mode: a second pass with dropout would be another one.

    Yields:
        By the name of each attention, the weights of its last run, (batch, n_heads, n_query,
        n_key); empty at first.

    Raises:
        ValueError: If the model is in training mode.
    """
    if model.training:
        raise ValueError("the model is in training mode: call model.eval() first")
    weights: dict[str, Tensor] = {}

    def hook(name: str, options: dict[str, Any]) -> Any:
        def keep(attention: nn.Module, inputs: tuple, given: dict[str, Any], _: Any) -> None:
            weights[name] = attention.forward(*inputs, **{**given, **options})[1]  # not its hooks

        return keep

    handles = []
    for name, module in model.named_modules():
        if isinstance(module, MultiHeadAttention):
            options = {"need_weights": True}
        elif isinstance(module, nn.MultiheadAttention):
            options = {"need_weights": True, "average_attn_weights": False}
        else:
            continue
        handles.append(module.register_forward_hook(hook(name, options), with_kwargs=True))
    try:
        yield weights
    finally:
        for handle in handles:
            handle.remove()


# --8<-- [end:recorded_weights]


# --8<-- [start:without_heads]
@contextmanager
def without_heads(model: nn.Module, off: Mapping[str, Sequence[int]]) -> Iterator[None]:
    """Switch heads off inside the `with` block: what they have read does not reach W_o.

    Args:
        model: Its attentions are `MultiHeadAttention`.
        off: By the name of an attention, the numbers of its heads, from 0.

    Raises:
        ValueError: If a name is no attention of the model, or it has no such head.
    """
    attentions = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, MultiHeadAttention)
    }
    for name, heads in off.items():
        if name not in attentions:
            raise ValueError(f"the model has no attention {name}")
        n_heads = attentions[name].n_heads
        if not all(0 <= head < n_heads for head in heads):
            raise ValueError(f"{name} has the heads 0 to {n_heads - 1}, not {list(heads)}")

    def silence(heads: Sequence[int], n_heads: int) -> Any:
        def hook(_: nn.Module, inputs: tuple[Tensor]) -> Tensor:
            kept = torch.ones(n_heads, 1, dtype=inputs[0].dtype, device=inputs[0].device)
            kept[list(heads)] = 0
            return (inputs[0].unflatten(-1, (n_heads, -1)) * kept).flatten(-2)

        return hook

    handles = [
        attentions[name].W_o.register_forward_pre_hook(silence(heads, attentions[name].n_heads))
        for name, heads in off.items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


# --8<-- [end:without_heads]
