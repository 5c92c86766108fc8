"""Times the `Transformer` of `snippets/` against `torch.nn.Transformer`: `make bench`.

All models of a size have the same weights, shapes and arithmetic, and drop in the same places: what
`torch.nn.Transformer` drops beside what section 5.4 of the paper names is switched off. They are
timed in one process, in turns, so that what slows the machine slows all of them; what counts is the
ratio of the medians. Writes `docs/assets/data/speed.json` and `speed.txt`, the table that
`docs/pytorch/speed.md` embeds.
"""

import copy
import time
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.record import machine, medians, publish, table, versions
from snippets.layer_norm import LayerNorm, layer_norm
from snippets.masks import causal_mask, padding_mask
from snippets.multi_head import MultiHeadAttention, merge_heads, split_heads
from snippets.transformer import Transformer

SEED = 0
VOCAB_SIZE = 8000
DROPOUT = 0.1
THREADS = 1
"""With one, the processor's seconds are those of the clock on a machine that does nothing else."""
REPEATS = 9
SIZES = {
    "d_model 256": {"d_model": 256, "n_heads": 4, "n_layers": 3, "d_ff": 1024},
    "base, d_model 512": {"d_model": 512, "n_heads": 8, "n_layers": 6, "d_ff": 2048},
}
BATCH, N_SRC, N_TGT = 16, 32, 30
"""A batch of sentences about as long as those of the paper's training set."""


class Reference(nn.Module):
    """`torch.nn.Transformer` between the embeddings and the last linear map of a `Transformer`."""

    def __init__(self, model: Transformer, d_model: int, n_heads: int, n_layers: int, d_ff: int):
        super().__init__()
        self.embed_src = copy.deepcopy(model.src_embedding)
        self.embed_tgt = copy.deepcopy(model.tgt_embedding)
        self.positional_encoding = copy.deepcopy(model.positional_encoding)
        self.output = copy.deepcopy(model.output)
        self.stacks = nn.Transformer(
            d_model, n_heads, n_layers, n_layers, d_ff, dropout=DROPOUT, batch_first=True
        )
        self.stacks.encoder.norm = self.stacks.decoder.norm = None  # as in the paper
        for layer in (*self.stacks.encoder.layers, *self.stacks.decoder.layers):
            layer.dropout.p = 0.0  # between the two linear layers
            for module in layer.modules():
                if isinstance(module, nn.MultiheadAttention):
                    module.dropout = 0.0  # on the weights

    def forward(self, src: Tensor, tgt: Tensor, src_mask: Tensor, tgt_mask: Tensor) -> Tensor:
        hidden = ~src_mask[:, 0]  # torch.nn's masks are True where attention is forbidden
        x = self.stacks(
            self.positional_encoding(self.embed_src(src)),
            self.positional_encoding(self.embed_tgt(tgt)),
            tgt_mask=~tgt_mask,
            src_key_padding_mask=hidden,
            memory_key_padding_mask=hidden,
        )
        return self.output(x)


class OneProjection(MultiHeadAttention):
    """Multi-head attention whose three projections are one product where their input is one."""

    def forward(self, query, key, value, mask=None, need_weights=False):
        if query is not key:
            return super().forward(query, key, value, mask, need_weights)
        weight = torch.cat([self.W_q.weight, self.W_k.weight, self.W_v.weight])
        bias = torch.cat([self.W_q.bias, self.W_k.bias, self.W_v.bias])
        parts = nn.functional.linear(query, weight, bias).chunk(3, -1)
        q, k, v = (split_heads(part, self.n_heads) for part in parts)
        mask = mask.expand(len(query), query.shape[1], query.shape[1]).unsqueeze(1)
        heads = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.W_o(merge_heads(heads))


class ExplicitAttention(MultiHeadAttention):
    """Multi-head attention that stores its weights, as equation (1) is written."""

    def forward(self, query, key, value, mask=None, need_weights=False):
        return super().forward(query, key, value, mask, need_weights=True)[0]


class WrittenNorm(LayerNorm):
    """Layer normalisation as its formula is written, one operation after another."""

    def forward(self, x: Tensor) -> Tensor:
        return layer_norm(x, self.weight, self.bias, self.eps)


def with_classes(model: Transformer, **replaced: type[nn.Module]) -> Transformer:
    """A copy of a model whose modules of one class are of another, weights kept."""
    model = copy.deepcopy(model)
    for module in model.modules():
        if type(module).__name__ in replaced:
            module.__class__ = replaced[type(module).__name__]
    return model


def batch() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Sentences of different lengths with their masks."""
    generator = torch.Generator().manual_seed(SEED)
    src = torch.randint(1, VOCAB_SIZE, (BATCH, N_SRC), generator=generator)
    tgt = torch.randint(1, VOCAB_SIZE, (BATCH, N_TGT), generator=generator)
    for row in range(BATCH):
        src[row, N_SRC - row % 8 :] = 0
    return src, tgt, padding_mask(src, 0), causal_mask(N_TGT)


def training_step(model: nn.Module, inputs: tuple[Tensor, ...]) -> Callable[[], None]:
    def step() -> None:
        model.zero_grad(set_to_none=True)
        logits = model(*inputs)
        nn.functional.cross_entropy(logits.flatten(0, 1), inputs[1].flatten()).backward()

    return step


def inference(model: nn.Module, inputs: tuple[Tensor, ...]) -> Callable[[], None]:
    def step() -> None:
        model.eval()
        with torch.inference_mode():
            model(*inputs)
        model.train()

    return step


def speeds(results: dict[str, dict[str, float]]) -> str:
    """The speeds as a Markdown table, with `torch.nn.Transformer` as 1 and its times above it."""
    heads = [name.replace("_", " ") for name in results]
    columns = list(results.values())
    base = [column["torch.nn.Transformer"] for column in columns]
    rows = [["", *heads]]
    rows.append(["`torch.nn.Transformer`", *(f"{seconds * 1000:.0f} ms" for seconds in base)])
    for name in list(columns[0])[1:]:
        ratios = (first / column[name] for first, column in zip(base, columns, strict=True))
        rows.append([name, *(f"{ratio:.2f}" for ratio in ratios)])
    return table(rows)


def report(facts: dict) -> str:
    """The speeds, and under them how they were measured."""
    sentences, n_src, n_tgt = facts["batch"]
    return (
        f"{speeds(facts['median_seconds'])}\n"
        f"Medians of the processor time of {facts['repeats']} runs taken in turns, "
        f"{facts['machine']}, PyTorch {facts['versions']['torch']}, seed "
        f"{facts['seed']}; {sentences} sentences of {n_src} "
        f"source and {n_tgt} target tokens, {VOCAB_SIZE} tokens in each vocabulary. Repeat it with "
        "`make bench`.\n"
    )


def main() -> None:
    torch.set_num_threads(THREADS)
    warnings.filterwarnings("ignore", "The PyTorch API of nested tensors")
    inputs = batch()
    results = {}
    for size, sizes in SIZES.items():
        torch.manual_seed(SEED)
        ours = Transformer(VOCAB_SIZE, VOCAB_SIZE, **sizes, dropout=DROPOUT)
        models = {
            "torch.nn.Transformer": Reference(ours, **sizes),
            "as on the pages": ours,
            "weights stored": with_classes(ours, MultiHeadAttention=ExplicitAttention),
            "one projection": with_classes(ours, MultiHeadAttention=OneProjection),
            "layer norm by its formula": with_classes(ours, LayerNorm=WrittenNorm),
        }
        for task in (training_step, inference):
            steps = {name: task(model, inputs) for name, model in models.items()}
            results[f"{size}, {task.__name__}"] = medians(steps, REPEATS, time.process_time)
            print(f"{size}, {task.__name__}: done", flush=True)
    facts = {
        "command": "make bench",
        "machine": machine(THREADS),
        "versions": versions(),
        "seed": SEED,
        "dropout": DROPOUT,
        "batch": [BATCH, N_SRC, N_TGT],
        "repeats": REPEATS,
        "median_seconds": results,
    }
    publish("speed", facts, TABLES)
    print(report(facts))


TABLES = {"speed": report}


if __name__ == "__main__":
    main()
