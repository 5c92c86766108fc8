"""Numeric edges, and the places where PyTorch looks at a program instead of running it."""

import re

import pytest
import torch
from torch import Tensor, nn
from torch.export import export

from snippets.attention import check_attention, scaled_dot_product_attention
from snippets.cross_entropy import label_smoothing_loss
from snippets.masks import padding_mask
from snippets.multi_head import MultiHeadAttention
from snippets.scan import linear_recurrence
from snippets.self_attention import blockwise_attention
from snippets.softmax import softmax, softmax_backward
from snippets.transformer import Transformer
from tests.oracle import F64, HALVES, close, random, variable


def test_many_equal_scores_share_the_weight_in_float16() -> None:
    weights = softmax(torch.zeros(65520, dtype=torch.float16))
    assert torch.equal(weights, torch.softmax(torch.zeros(65520, dtype=torch.float16), 0))
    assert (weights > 0).all()


@pytest.mark.parametrize("dtype", HALVES)
def test_the_mean_of_many_small_weights_is_not_lost_in_half_precision(dtype: torch.dtype) -> None:
    y = torch.full((4097,), 2.0**-13, dtype=dtype)
    y[0] = 0.5
    grad_y = torch.full_like(y, 2.0**-12)
    grad_y[0] = 0  # the mean, 2^-13, is the sum of 4096 products that float16 rounds to 0
    assert softmax_backward(y, grad_y)[0] == -(2.0**-14)


def test_without_keys_every_path_gives_zeros() -> None:
    query, key, value = random(2, 3, 5), random(2, 0, 5), random(2, 0, 7)
    output, weights = scaled_dot_product_attention(query, key, value)
    assert weights.shape == (2, 3, 0)
    zeros = torch.zeros(2, 3, 7, dtype=F64)
    for found in (output, blockwise_attention(query, key, value, 4)):
        close(found, zeros)
    layer = MultiHeadAttention(12, 3).to(F64)
    q, nothing = variable(2, 3, 12), variable(2, 0, 12)
    for mask in (None, torch.ones(3, 0, dtype=torch.bool)):
        fused = layer(q, nothing, nothing, mask)
        close(layer(q, nothing, nothing, mask, need_weights=True)[0], fused)
        close(fused, layer.W_o.bias.expand(2, 3, 12))


def test_a_hidden_key_may_hold_anything_finite_and_no_value_may_be_nan() -> None:
    query, key, value = random(1, 2, 4), random(1, 3, 4), random(1, 3, 4)
    mask = torch.tensor([True, True, False])
    expected, _ = scaled_dot_product_attention(query, key, value, mask)
    key[0, 2], value[0, 2] = torch.nan, 1e300
    close(scaled_dot_product_attention(query, key, value, mask)[0], expected)
    value[0, 2] = torch.inf
    assert scaled_dot_product_attention(query, key, value, mask)[0].isnan().all()


@pytest.mark.parametrize("pad_id", [0.5, True, "0", torch.tensor(0)])
def test_a_pad_id_is_an_integer(pad_id: object) -> None:
    tokens = torch.tensor([[1, 0]])
    with pytest.raises(TypeError, match=r"^pad_id must be an integer, not "):
        padding_mask(tokens, pad_id)
    with pytest.raises(TypeError, match=r"^pad_id must be an integer or None, not "):
        label_smoothing_loss(torch.zeros(1, 2, 3), tokens, pad_id=pad_id)


def test_no_pad_id_is_no_integer() -> None:
    with pytest.raises(TypeError, match=r"^pad_id must be an integer, not None$"):
        padding_mask(torch.tensor([[1, 0]]), None)


def test_a_pad_id_beyond_the_tokens_dtype_hides_nothing() -> None:
    tokens = torch.tensor([[255, 0]], dtype=torch.uint8)
    assert padding_mask(tokens, -1).all()
    assert padding_mask(tokens, 256).all()


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((4,), (4,), (4,)), "query, key and value must be (..., n, d), not (4,), (4,), (4,)"),
        (((2, 3, 4), (5, 3, 4), (5, 3, 4)), "the leading axes of (2, 3, 4), (5, 3, 4) and "),
    ],
)
def test_attention_rejects_axes_that_do_not_fit(shapes: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        check_attention(*(torch.zeros(shape) for shape in shapes), None)


def test_the_loop_rejects_what_the_scan_rejects() -> None:
    with pytest.raises(ValueError, match="a and b must be"):
        linear_recurrence(torch.zeros(5, 1), torch.zeros(5, 3))


def logits_and_target() -> tuple[Tensor, Tensor]:
    return variable(6, 4, 11), torch.tensor([[1, 2, 0, 0]] * 6)


def test_the_loss_is_mapped_and_compiled() -> None:
    logits, target = logits_and_target()

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        return label_smoothing_loss(logits, target, 0.1, pad_id=0)

    one_by_one = torch.stack([loss(*pair) for pair in zip(logits, target, strict=True)])
    close(torch.func.vmap(loss)(logits, target), one_by_one)
    gradient = torch.autograd.grad(loss(logits, target), logits)[0]
    compiled = torch.compile(loss, backend="eager", fullgraph=True)
    found = compiled(logits, target)
    close(found, loss(logits, target))
    close(torch.autograd.grad(found, logits)[0], gradient)
    per_sample = torch.func.vmap(torch.func.grad(loss))(logits, target)
    close(per_sample / 6, gradient)


def test_logits_at_padding_may_be_nan() -> None:
    logits, target = logits_and_target()
    with torch.no_grad():
        logits[target == 0] = torch.nan
    loss = label_smoothing_loss(logits, target, 0.1, pad_id=0)
    gradient = torch.autograd.grad(loss, logits)[0]
    assert loss.isfinite()
    assert torch.equal(gradient[target == 0], torch.zeros(12, 11, dtype=F64))


def test_the_loss_under_autocast_has_float32s_precision() -> None:
    torch.manual_seed(0)
    x, W, target = torch.randn(40, 16), nn.Linear(16, 3000), torch.randint(3000, (40,))
    with torch.autocast("cpu", torch.bfloat16):
        logits = W(x)
        loss = label_smoothing_loss(logits, target, 0.1)
    assert logits.dtype == torch.bfloat16
    expected = nn.functional.cross_entropy(logits.double(), target, label_smoothing=0.1)
    close(loss.double(), expected, atol=1e-5)


class AveragingRuntime(torch.fx.Interpreter):
    """Runs a graph with a kernel that answers with the mean where a query sees nothing.

    So does what PyTorch's exporter to ONNX makes of its fused attention.
    """

    def call_function(self, target, args, kwargs):
        if "scaled_dot_product_attention" in str(target):
            query, key, value, mask = args[:4]
            scores = query @ key.mT / query.shape[-1] ** 0.5
            return torch.softmax(scores.masked_fill(~mask, -1e30), -1) @ value
        return super().call_function(target, args, kwargs)


def test_an_exported_query_that_sees_nothing_gets_zeros_from_any_kernel() -> None:
    torch.manual_seed(0)

    class SelfAttention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = MultiHeadAttention(12, 3)

        def forward(self, x: Tensor, mask: Tensor) -> Tensor:
            return self.attention(x, x, x, mask)

    model, x, mask = SelfAttention().eval(), torch.randn(2, 5, 12), torch.rand(2, 5, 5) < 0.7
    mask[0, 2] = False
    graph = export(model, (x, mask)).module()
    with torch.no_grad():
        found = AveragingRuntime(graph).run(x, mask)
        torch.testing.assert_close(found, model(x, mask), rtol=0, atol=1e-5)


def test_the_longest_sequence_can_be_set() -> None:
    model = Transformer(11, 11, 12, 3, 1, 20, max_len=6)
    ids = torch.ones(1, 7, dtype=torch.long)
    assert model(ids[:, :6], ids[:, :6], None, None).shape == (1, 6, 11)
    with pytest.raises(ValueError, match="length 7 is longer than max_len = 6"):
        model(ids, ids[:, :6], None, None)
