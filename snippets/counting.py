"""Parameters, FLOPs and memory of the model as closed formulas: `docs/derivations/counting.md`.

Shapes: `n_src` and `n_tgt` are the lengths of source and target, `d_model` is the width between the
layers and `d_ff` that inside the feed-forward networks. The sizes default to the paper's base
model. Every function but the last is arithmetic: no tensor is made.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn


# --8<-- [start:count_parameters]
def count_parameters(
    src_vocab_size: int,
    tgt_vocab_size: int,
    d_model: int = 512,
    n_layers: int = 6,
    d_ff: int = 2048,
    norm_first: bool = False,
    share_embeddings: bool = False,
) -> dict[str, int]:
    """Count the parameters of a `Transformer` from its sizes, part by part.

    The number of heads does not matter, because the heads share the width. Biases are those of this
    site's modules: every linear map has one, except the last.

    Args:
        src_vocab_size: Number of source tokens.
        tgt_vocab_size: Number of target tokens.
        d_model: Width of embeddings and of every layer's inputs and outputs.
        n_layers: Number of encoder layers, and of decoder layers.
        d_ff: Width inside the feed-forward networks.
        norm_first: Pre-norm if True, with one more norm at the end of both stacks.
        share_embeddings: One matrix for both embeddings and the last linear map. It counts once.

    Returns:
        Number of parameters of each part; the parts sum to the whole.

    Raises:
        ValueError: If embeddings are to be shared by vocabularies of different sizes.

    Source: Vaswani et al. (2017), section 3; their own count is in Table 3.
    """
    if share_embeddings and src_vocab_size != tgt_vocab_size:
        raise ValueError(
            "shared embeddings need one vocabulary, but src_vocab_size = "
            f"{src_vocab_size} and tgt_vocab_size = {tgt_vocab_size}"
        )
    tables = tgt_vocab_size if share_embeddings else src_vocab_size + 2 * tgt_vocab_size
    return {
        "embeddings and output": tables * d_model,
        "attention": 3 * n_layers * 4 * (d_model**2 + d_model),
        "feed-forward": 2 * n_layers * (2 * d_model * d_ff + d_ff + d_model),
        "norms": (5 * n_layers + 2 * norm_first) * 2 * d_model,
    }


# --8<-- [end:count_parameters]


# --8<-- [start:count_forward_flops]
def count_forward_flops(
    batch: int,
    n_src: int,
    n_tgt: int,
    tgt_vocab_size: int,
    d_model: int = 512,
    n_layers: int = 6,
    d_ff: int = 2048,
) -> dict[str, int]:
    """Count the FLOPs of the matrix products in one forward pass of a `Transformer`.

    A multiply-add counts as two. Embeddings, which look up rows, and all elementwise operations
    count as nothing. Scores that a mask hides are counted, because they are computed.

    Args:
        batch: Number of sentence pairs.
        n_src: Length of the sources.
        n_tgt: Length of the targets.
        tgt_vocab_size: Number of target tokens.
        d_model: Width of embeddings and of every layer's inputs and outputs.
        n_layers: Number of encoder layers, and of decoder layers.
        d_ff: Width inside the feed-forward networks.

    Returns:
        FLOPs of each kind of product; they sum to the whole.
    """
    src, tgt = batch * n_src, batch * n_tgt  # positions
    projected = n_layers * (4 * src + 4 * tgt + (2 * tgt + 2 * src))  # vectors times (d, d)
    pairs = n_layers * batch * (n_src**2 + n_tgt**2 + n_tgt * n_src)  # of a query and a key
    return {
        "projections": 2 * projected * d_model**2,
        "scores and mixtures": 4 * pairs * d_model,
        "feed-forward": 4 * n_layers * (src + tgt) * d_model * d_ff,
        "output": 2 * tgt * d_model * tgt_vocab_size,
    }


# --8<-- [end:count_forward_flops]


# --8<-- [start:count_activation_bytes]
def count_activation_bytes(
    batch: int,
    n_src: int,
    n_tgt: int,
    d_model: int = 512,
    n_heads: int = 8,
    n_layers: int = 6,
    d_ff: int = 2048,
    dropout: bool = True,
    masked: bool = True,
    fused: bool = True,
    norm_first: bool = False,
    element_size: int = 4,
) -> dict[str, int]:
    """Count the bytes that the forward pass of a `Transformer` keeps for the backward pass.

    Parameters are not counted, and neither are the logits, which only the loss needs.

    Args:
        batch: Number of sentence pairs.
        n_src: Length of the sources.
        n_tgt: Length of the targets.
        d_model: Width of embeddings and of every layer's inputs and outputs.
        n_heads: Number of attention heads.
        n_layers: Number of encoder layers, and of decoder layers.
        d_ff: Width inside the feed-forward networks.
        dropout: Whether dropout acts. Its factors are kept as numbers, as PyTorch does on a CPU.
        masked: Whether every attention has a mask.
        fused: Whether attention is PyTorch's fused kernel, which keeps a number for each query and
            head, and the mask as numbers; or matrix products, which keep all the weights.
        norm_first: Pre-norm if True, with one more norm at the end of both stacks.
        element_size: Bytes of a number: 4 in float32, 8 in float64. Half precision is not covered,
            because the norms keep mean and deviation in float32 there.

    Returns:
        Bytes of each kind of tensor; they sum to the whole.
    """
    src, tgt = batch * n_src, batch * n_tgt  # positions
    sublayers = n_layers * (2 * src + 3 * tgt)  # positions that go through a sub-layer
    queries = n_layers * (src + 2 * tgt)
    keys = n_layers * (2 * src + tgt)
    pairs = n_layers * batch * (n_src**2 + n_tgt**2 + n_tgt * n_src)  # of a query and a key
    normalised = sublayers + norm_first * (src + tgt)
    numbers = {
        "sub-layer inputs": (sublayers + src + tgt) * d_model,
        "queries, keys, values": (queries + 2 * keys) * d_model,
        "attention weights": queries * n_heads + masked * pairs if fused else pairs * n_heads,
        "attention outputs": queries * d_model,
        "feed-forward": n_layers * (src + tgt) * d_ff,
        "norms": normalised * (d_model + 2),
        "dropout": dropout * (sublayers + src + tgt) * d_model,
    }
    token_ids = {"token ids": (src + tgt) * 8}  # int64
    return {name: count * element_size for name, count in numbers.items()} | token_ids


# --8<-- [end:count_activation_bytes]


# --8<-- [start:count_cache_bytes]
def count_cache_bytes(
    batch: int,
    n_src: int,
    n_tgt: int,
    d_model: int = 512,
    n_layers: int = 6,
    element_size: int = 4,
) -> int:
    """Count the bytes of a decoder's keys and values, which decoding token by token keeps.

    Args:
        batch: Number of sentences, or of hypotheses, decoded together.
        n_src: Length of the sources.
        n_tgt: Number of target tokens so far.
        d_model: Width of keys and values, all heads together.
        n_layers: Number of decoder layers.
        element_size: Bytes of a number: 4 in float32, 2 in half precision.

    Returns:
        Bytes: a key and a value for each layer and each position of source and target.
    """
    return 2 * n_layers * batch * (n_src + n_tgt) * d_model * element_size


# --8<-- [end:count_cache_bytes]


# --8<-- [start:count_saved_bytes]
def count_saved_bytes(module: nn.Module, function: Callable[[], Any]) -> int:
    """Measure what autograd keeps for the backward pass while a function runs.

    Args:
        module: Its parameters and buffers are not counted: they are there anyway.
        function: Runs the forward pass, without arguments.

    Returns:
        Bytes of all saved tensors. Memory that several of them share counts once.
    """
    known = {t.untyped_storage().data_ptr() for t in (*module.parameters(), *module.buffers())}
    saved: dict[int, Tensor] = {}  # holds them, so that no address is used twice

    def pack(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage().data_ptr() not in known:
            saved[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        function()
    return sum(tensor.untyped_storage().nbytes() for tensor in saved.values())


# --8<-- [end:count_saved_bytes]
