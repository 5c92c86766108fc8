"""Every module under a default dtype, and on a default device, that is not the usual one."""

from collections.abc import Iterator

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from snippets.convolution import ConvolutionLayer
from snippets.embedding import TokenEmbedding
from snippets.feed_forward import FeedForward
from snippets.layer_norm import LayerNorm
from snippets.masks import causal_mask
from snippets.multi_head import MultiHeadAttention
from snippets.positional_encoding import LearnedPositionalEncoding, PositionalEncoding
from snippets.recurrent import RecurrentLayer
from snippets.residual import Residual
from snippets.restricted import RestrictedSelfAttention
from snippets.transformer import Transformer

RUNS = {
    "Transformer": lambda x, ids: Transformer(11, 11, 12, 3, 1, 20)(ids, ids, None, causal_mask(5)),
    "pre-norm": lambda x, ids: Transformer(11, 11, 12, 3, 1, 20, norm_first=True)(
        ids, ids, None, causal_mask(5)
    ),
    "TokenEmbedding": lambda x, ids: TokenEmbedding(11, 12)(ids),
    "PositionalEncoding": lambda x, ids: PositionalEncoding(12)(x),
    "LearnedPositionalEncoding": lambda x, ids: LearnedPositionalEncoding(12)(x),
    "MultiHeadAttention": lambda x, ids: MultiHeadAttention(12, 3)(x, x, x),
    "with weights": lambda x, ids: MultiHeadAttention(12, 3)(x, x, x, need_weights=True)[0],
    "FeedForward": lambda x, ids: FeedForward(12, 20)(x),
    "LayerNorm": lambda x, ids: LayerNorm(12)(x),
    "Residual": lambda x, ids: Residual(12)(x, FeedForward(12, 20)),
    "RecurrentLayer": lambda x, ids: RecurrentLayer(12)(x),
    "ConvolutionLayer": lambda x, ids: ConvolutionLayer(12, 3)(x),
    "RestrictedSelfAttention": lambda x, ids: RestrictedSelfAttention(12, 3, 2)(x),
}


@pytest.fixture(params=[torch.bfloat16, torch.float16, torch.float64], ids=str)
def default_dtype(request: pytest.FixtureRequest) -> Iterator[torch.dtype]:
    torch.set_default_dtype(request.param)
    yield request.param
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("name", RUNS)
def test_is_built_and_run_in_the_default_dtype(name: str, default_dtype: torch.dtype) -> None:
    output = RUNS[name](torch.randn(2, 5, 12, requires_grad=True), torch.randint(11, (2, 5)))
    assert output.dtype == default_dtype
    output.sum().backward()


class NoFloat64(TorchDispatchMode):
    """The meta device as if it were one without float64, such as Apple's MPS."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (list, tuple)) else [result]:
            is_tensor = isinstance(tensor, torch.Tensor) and tensor.is_meta
            if is_tensor and tensor.dtype == torch.float64:
                raise TypeError("this device has no float64")
        return result


@pytest.mark.parametrize("name", RUNS)
def test_is_built_and_run_on_a_default_device_without_float64(name: str) -> None:
    ids = torch.zeros(2, 5, dtype=torch.long, device="meta")
    with torch.device("meta"), NoFloat64():
        assert RUNS[name](torch.randn(2, 5, 12), ids).is_meta
