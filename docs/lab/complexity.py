# ---
# jupyter:
#   description: Times, weighs and counts self-attention, recurrent, convolutional and restricted layers over n and d, and fits exponents with confidence intervals.
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Complexity against the clock { #table-1-against-the-clock }
#
# The paper's Table 1 says how the operations of four layers grow with $n$ and $d$. This lab counts
# the operations, measures the time and the memory that they turn into, and finds where the growth
# is another one than the table's, and why. Where the table's terms come from is in
# [Complexity](../why-attention/complexity.md).
#
# /// know
# What the layers do ([attention](../model/attention.md), [recurrence](../why-attention/recurrence.md),
# [convolution](../why-attention/convolution.md), [restricted attention](../why-attention/restricted.md)),
# and that a power of $n$ is a straight line on logarithmic axes.
# ///
#
# /// learn
# - How well the exponents of Table 1 predict the time that a layer takes, and where they do not.
# - From which length on a recurrent layer is faster than attention, and why not before.
# - What runs out first, time or memory.
# ///

# %% [markdown]
# ## The result { #result }
#
# /// output | time
# ///
#
# /// output | crossings
# ///
#
# - **Confirmed.** The products that Table 1 counts grow with its exponents, exactly. Time follows
#   less closely: [the exponents](#exponents) say for each layer whether its interval holds the count.
# - **Corrected: what makes a stored matrix slow.** Most of the additional time is not arithmetic. It
#   goes into [fresh memory](#fresh-memory) for the results.
# - **Corrected: what the layer costs.** The projections are not in the table, and at the lengths of
#   sentences they are most of attention's work.
# - **Corrected: recurrence is not slow because it computes much.** It computes least. Its time is
#   the waiting, which is why it loses to attention until sequences are long.
# - **Not in the table: memory.** $n^2$ numbers are what stops attention first, and a fused kernel
#   does without them.
# - **Not measured.** One thread, one sequence, forward only. With a batch each wait of the recurrent
#   layer serves more sequences, so the crossing should come earlier. With more processors it should
#   come later, because work can be shared out and waiting cannot.
#
# Every number here is of one machine, the one that built this site, and every build measures anew:
#
# /// output | machine
# ///
#
# The numbers on [Complexity](../why-attention/complexity.md) are those of another run, which
# `make bench` made and the repository keeps. So the two give other lengths for the same crossing. It
# lies where a machine's waiting equals its computing, and machines, even the same machine on a busy
# day, differ more in the ratio of these two than in either. What should agree is the order: recurrence
# passes stored weights before the fused kernel, and a wider layer moves both to shorter sequences.

# %% [markdown]
# ## What is measured { #what-is-measured }
#
# Five layers on one sequence, forward, in float32, on one thread: self-attention that stores its
# $(n, n)$ weights, the same by PyTorch's fused kernel, a recurrent layer, a convolution with
# $k = 5$, and restricted attention with $r = 16$. Heads are 64 wide. The lengths run from
# $n = 64$ to 8192 at $d = 64$, and the widths from $d = 64$ to 1024 at $n = 256$.
#
# - **Operations** are the FLOPs of all matrix products, by PyTorch's counter.
# - **Time** is the shortest of many runs, by PyTorch's timer, in two passes over all sizes:
#   whatever else the machine does can only make a run longer.
# - **Memory** is the sum of all tensors that a layer has made and not yet let go, at its worst
#   moment. Weights and input do not count.
# - **Exponents** are slopes of straight lines through logarithms, with the 95 % interval of
#   Student's distribution. An interval is narrow only if one power describes all the points.
#
# The lab needs PyTorch, matplotlib and SciPy. The notebook holds all else, and takes about a minute.

# %%
# %config InlineBackend.figure_formats = ["svg"]

# %%
import copy
import itertools
import math
import platform
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy
import torch
from IPython.display import HTML, display
from scipy.stats import t
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.benchmark import Timer
from torch.utils.flop_counter import FlopCounterMode

# %% [markdown]
# The layers, with boolean masks that are True where attention is allowed, the instruments, and the
# formulas of what each layer costs:

# %% builds="The layers"
from snippets.softmax import softmax
from snippets.attention import check_attention, scaled_dot_product_attention
from snippets.multi_head import MultiHeadAttention, merge_heads, split_heads
from snippets.recurrent import RecurrentLayer
from snippets.convolution import ConvolutionLayer
from snippets.restricted import RestrictedSelfAttention, banded_attention, pieces

# %% builds="The instruments"
from snippets.operations import ChainMode, apply_layer, count_flops, sequential_operations
from snippets.path_length import after_hops, maximum_path_length, reach
from snippets.seconds_and_bytes import (
    MemoryMode, crossing, fit_exponent, fastest_seconds, peak_memory, processor
)

# %% builds="The formulas"
from snippets.layer_costs import (
    Hardware, Cost, stored_attention, fused_attention, recurrent, convolutional, restricted
)

# %%
K, R, HEAD = 5, 16, 64
LENGTHS = [round(64 * 2 ** (half / 2)) for half in range(15)]  # 64, 91, 128, ..., 8192
WIDTHS = [64, 128, 192, 256, 384, 512, 768, 1024]
LENGTH, WIDTH = 256, 64  # what is kept while the other one grows


def attention(d: int, need_weights: bool) -> Callable[[Tensor], Any]:
    """Self-attention with or without its weights stored, as a function of x."""
    layer = MultiHeadAttention(d, d // HEAD)
    return lambda x: layer(x, x, x, need_weights=need_weights)


LAYERS = {
    "attention, weights stored": lambda d: attention(d, need_weights=True),
    "attention, fused kernel": lambda d: attention(d, need_weights=False),
    "recurrent": RecurrentLayer,
    "convolutional": lambda d: ConvolutionLayer(d, K),
    "restricted attention": lambda d: RestrictedSelfAttention(d, d // HEAD, R),
}
COSTS = {
    "attention, weights stored": lambda n, d: stored_attention(n, d, d // HEAD),
    "attention, fused kernel": fused_attention,
    "recurrent": recurrent,
    "convolutional": lambda n, d: convolutional(n, d, K),
    "restricted attention": lambda n, d: restricted(n, d, R),
}
torch.manual_seed(0)
torch.set_num_threads(1)

# %% [markdown]
# ## Operations { #operations }
#
# The counted operations have to be those of the formulas, to the last one. The counter needs the layers'
# shapes only, so the tensors are of PyTorch's `meta` device: they hold no numbers, and no number is
# computed.

# %%
def counted(name: str, n: int, d: int) -> int:
    """FLOPs of a layer, which must be those of its formula."""
    with torch.device("meta"):
        flops = count_flops(LAYERS[name](d), torch.randn(1, n, d))
    assert flops == COSTS[name](n, d).flops, (name, n, d, flops)
    return flops


COUNTED = LENGTHS[:7]  # up to 512; beyond, the formulas stand for the counts
flops_over_n = {name: [counted(name, n, WIDTH) for n in COUNTED] for name in LAYERS}
flops_over_d = {name: [counted(name, LENGTH, d) for d in WIDTHS] for name in LAYERS}
for name, column in flops_over_n.items():
    column += [COSTS[name](n, WIDTH).flops for n in LENGTHS[len(COUNTED):]]
print("counted and equal to the formulas:", len(LAYERS) * (len(COUNTED) + len(WIDTHS)), "layers")

# %% [markdown]
# Table 1 leaves the projections of attention out. What it keeps grows with exactly the powers that
# it says, in $n$ and $d$ and also in $k$ and $r$.

# %%
def core(n: int, d: int, r: int | None = None) -> int:
    """FLOPs of attention without projections, in full or restricted to r on either side."""
    with torch.device("meta"):
        x = torch.randn(1, 1, n, d)
    if r is None:
        return count_flops(lambda x: scaled_dot_product_attention(x, x, x), x)
    return count_flops(lambda x: banded_attention(x, x, x, r), x)


def convolution(n: int, d: int, k: int) -> int:
    with torch.device("meta"):
        return count_flops(ConvolutionLayer(d, k), torch.randn(1, n, d))


def said(fit: tuple[float, float, float]) -> str:
    """An exponent and its interval."""
    exponent, low, high = (round(value, 2) + 0.0 for value in fit)  # without -0.00
    return f"{exponent:.2f}, 95 % interval {low:.2f} to {high:.2f}"


POWERS = [64, 128, 256, 512, 1024]
ODD = [3, 5, 9, 17, 33]
RADII = [8, 16, 32, 64, 128]
core_fits = {
    ("attention", "n", 2): fit_exponent(POWERS, [core(n, 64) for n in POWERS]),
    ("attention", "d", 1): fit_exponent(POWERS, [core(256, d) for d in POWERS]),
    ("recurrent", "n", 1): fit_exponent(LENGTHS, flops_over_n["recurrent"]),
    ("recurrent", "d", 2): fit_exponent(WIDTHS, flops_over_d["recurrent"]),
    ("convolutional", "n", 1): fit_exponent(LENGTHS, flops_over_n["convolutional"]),
    ("convolutional", "d", 2): fit_exponent(WIDTHS, flops_over_d["convolutional"]),
    ("convolutional", "k", 1): fit_exponent(ODD, [convolution(256, 64, k) for k in ODD]),
    ("restricted attention", "n", 1): fit_exponent(POWERS, [core(n, 64, 16) for n in POWERS]),
    ("restricted attention", "d", 1): fit_exponent(POWERS, [core(256, d, 16) for d in POWERS]),
    ("restricted attention", "r", 1): fit_exponent(RADII, [core(1024, 64, r) for r in RADII]),
}
for (name, size, expected), fit in core_fits.items():
    assert abs(fit[0] - expected) < 1e-9, (name, size, fit)
    print(f"{name:<21} exponent of {size}: {said(fit)}")

# %% [markdown]
# ## Sequential operations and paths { #chains-and-paths }
#
# The table's other two columns, measured in the same way: the longest chain of operations that wait
# for each other, and the number of layers (of steps, for the recurrent layer) until every position
# has a gradient at every other. Contiguous kernels and restricted attention move information by a
# fixed distance a layer, so their paths are proportional to the distance $n - 1$. Dilated kernels
# multiply it, so the path is proportional to $\log n$.

# %%
CHAINED = [16, 32, 64, 128, 256]
chains = {
    name: [sequential_operations(build(64), torch.randn(1, n, 64)) for n in CHAINED]
    for name, build in LAYERS.items()
}
chain_fits = {name: fit_exponent(CHAINED, values) for name, values in chains.items()}
for name, fit in chain_fits.items():
    assert abs(fit[0] - (name == "recurrent")) < 0.01, (name, fit)
    print(f"{name:<26} exponent of n: {said(fit)}")


# %%
def dilated(k: int) -> Iterable[nn.Module]:
    """Convolutions whose dilation is multiplied by (k + 1) / 2 from layer to layer."""
    return (ConvolutionLayer(4, k, ((k + 1) // 2) ** layer) for layer in itertools.count())


ENDS, POWERS_OF_2 = [5, 9, 17, 33], [4, 8, 16, 32]
DISTANCES = [n - 1 for n in ENDS]
STACKS = {  # what is stacked, at which lengths, and what the path is a power of
    "attention": (lambda: MultiHeadAttention(4, 2), ENDS, "n", ENDS),
    "recurrent": (lambda: RecurrentLayer(4), ENDS, "n", ENDS),
    "convolutional": (lambda: ConvolutionLayer(4, K), ENDS, "n - 1", DISTANCES),
    "the same, dilated": (lambda: dilated(3), POWERS_OF_2, "log n", [2, 3, 4, 5]),
    "restricted attention": (lambda: RestrictedSelfAttention(4, 2, 2), ENDS, "n - 1", DISTANCES),
}
paths, path_fits = {}, {}
for name, (stack, lengths, size, sizes) in STACKS.items():
    paths[name] = [maximum_path_length(stack(), n) for n in lengths]
    path_fits[name, size] = fit_exponent(sizes, paths[name])
for name, size, stack, sizes in (
    ("convolutional", "k - 1", lambda k: ConvolutionLayer(4, k), [3, 5, 9, 17]),
    ("restricted attention", "r", lambda r: RestrictedSelfAttention(4, 2, r), [2, 4, 8, 16]),
):
    lengths = [maximum_path_length(stack(value), 33) for value in sizes]
    path_fits[name, size] = fit_exponent([v - 1 if size == "k - 1" else v for v in sizes], lengths)
for (name, size), fit in path_fits.items():
    expected = -1 if size in ("k - 1", "r") else name != "attention"
    assert abs(fit[0] - expected) < 0.01, (name, size, fit)
    print(f"{name:<21} exponent of {size:<5}: {said(fit)}")

# %% [markdown]
# ## Time { #time }

# %%
def over(sizes: list[tuple[int, int]], measure: Callable[..., float]) -> dict[str, list[float]]:
    """A measure of every layer for each (n, d)."""
    results = {}
    with torch.no_grad():
        for name, build in LAYERS.items():
            results[name] = []
            for n, d in sizes:
                layer, x = build(d), torch.randn(1, n, d)
                results[name].append(measure(lambda: layer(x)))
    return results


def timed(sizes: list[tuple[int, int]], passes: int = 2) -> dict[str, list[float]]:
    """The shortest time for each (n, d), of several passes over all of them."""
    columns = [over(sizes, lambda run: fastest_seconds(run, least=0.03)) for _ in range(passes)]
    return {
        name: [min(times) for times in zip(*(column[name] for column in columns), strict=True)]
        for name in LAYERS
    }


seconds_over_n = timed([(n, WIDTH) for n in LENGTHS])
seconds_over_d = timed([(LENGTH, d) for d in WIDTHS])

# %% name="machine"
print(f"{processor()}, {torch.get_num_threads()} thread")
print(f"Python {platform.python_version()}, PyTorch {torch.__version__}")

# %% [markdown]
# **Prediction.** At $d = 64$ the products of attention that grow with $n^2$ overtake the
# projections at $n = 2d = 128$. From there the two lines of attention should turn to slope 2, and
# the other three have slope 1 throughout.
#
# **Look for** the left end, where the lines are flat or nearly so: a small layer costs what its
# operations cost to start. The recurrent layer has no flat part. It starts three operations a
# position, so that it is far above the others where they are short, and attention overtakes it
# where $n^2$ has become more than $n$ waits.

# %% builds="How the plots look"
from snippets.plots import plot_style

# %%
plot_style("complexity", **{"figure.figsize": (6.4, 4.0), "legend.fontsize": 10})
STYLES = {
    "attention, weights stored": {"color": "C0", "marker": "o", "linestyle": "-"},
    "attention, fused kernel": {"color": "C0", "marker": "s", "linestyle": "--"},
    "recurrent": {"color": "C1", "marker": "^", "linestyle": "-"},
    "convolutional": {"color": "C2", "marker": "D", "linestyle": "-"},
    "restricted attention": {"color": "C3", "marker": "v", "linestyle": "-"},
}


def draw(sizes: list[int], values: dict[str, list[float]], x_label: str, y_label: str) -> None:
    """One line a layer, on logarithmic axes."""
    figure, axes = plt.subplots()
    for name, column in values.items():
        axes.plot(sizes, column, label=name, markersize=4, **STYLES[name])
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    ticks = [size for size in sizes if math.log2(size).is_integer()]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.legend(loc="upper left")
    plt.tight_layout()
    plt.show()


# %% name="time" caption="Time of one layer against the length n, at d = 64, both logarithmic. Attention turns upwards and ends above the others; for short sequences the recurrent layer is far slower than all others."
milliseconds = {name: [1e3 * s for s in column] for name, column in seconds_over_n.items()}
draw(LENGTHS, milliseconds, f"n, at d = {WIDTH}", "milliseconds")

# %% [markdown]
# **Prediction.** In $d$ the projections, the recurrent layer and the convolution are quadratic, and
# what is left of attention is linear.
#
# **Look for** the recurrent layer again. At small widths it waits, whatever $d$ is: the line is
# flat until the products are large enough to take longer than their start.

# %% caption="Time of one layer against the width d, at n = 256, both logarithmic. Between d = 64 and 256 the recurrent layer's time rises much less than that of the others."
milliseconds = {name: [1e3 * s for s in column] for name, column in seconds_over_d.items()}
draw(WIDTHS, milliseconds, f"d, at n = {LENGTH}", "milliseconds")

# %% [markdown]
# ## The exponents { #exponents }
#
# Fitted over the upper part of either range, $n \ge 724$ and $d \ge 256$, where the fixed costs
# matter least. *Counted* is the exponent of the counted operations over the same sizes, which is
# what the time would follow if it were proportional to the operations. The last column says whether
# the interval of the time holds it.

# %%
def upper(sizes: list[int], values: list[float], least: int) -> tuple[float, float, float]:
    """The fitted exponent of the part of a range that begins at `least`."""
    kept = [(size, value) for size, value in zip(sizes, values, strict=True) if size >= least]
    return fit_exponent(*zip(*kept, strict=True))


ranges = {
    "n": (LENGTHS, flops_over_n, seconds_over_n, 724),
    "d": (WIDTHS, flops_over_d, seconds_over_d, 256),
}
fits = {
    (name, size): (upper(sizes, flops[name], least), upper(sizes, seconds[name], least))
    for name in LAYERS
    for size, (sizes, flops, seconds, least) in ranges.items()
}
TABLE_1 = {
    "attention, weights stored": ("n²d", 2, 1),
    "attention, fused kernel": ("n²d", 2, 1),
    "recurrent": ("nd²", 1, 2),
    "convolutional": ("knd²", 1, 2),
    "restricted attention": ("rnd", 1, 1),
}


def interval(fit: tuple[float, float, float]) -> str:
    return f"{fit[0]:.2f} <small>[{fit[1]:.2f}, {fit[2]:.2f}]</small>"


def exponents(size: str) -> str:
    """The exponents of one size as an HTML table."""
    rows = []
    for name, (term, in_n, in_d) in TABLE_1.items():
        by_count, by_time = fits[name, size]
        held = "yes" if by_time[1] <= by_count[0] <= by_time[2] else "no"
        in_table = in_n if size == "n" else in_d
        cells = (term, in_table, f"{by_count[0]:.2f}", interval(by_time), held)
        cells = "".join(f"<td>{cell}</td>" for cell in cells)
        rows.append(f'<tr><th scope="row">{name}</th>{cells}</tr>')
    heads = ("layer", "Table 1", f"in {size}", "counted", "time [95 %]", "held")
    heads = "".join(f'<th scope="col">{head}</th>' for head in heads)
    return (
        f"<table><caption>Exponents of {size}</caption><thead><tr>{heads}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>"
    )


display(HTML(exponents("n")))
display(HTML(exponents("d")))

# %% [markdown]
# ## Where they depart, and why { #departures }
#
# **The projections.** Table 1 leaves them out. They are $8nd^2$ of the operations, linear in $n$
# and quadratic in $d$, and pull the exponent of $n$ below 2 and that of $d$ above 1: the
# *counted* column has this already. For restricted attention they are most of the layer.

# %%
for n in (64, 512, 8192):
    parts = [8 * n * WIDTH**2, 4 * n**2 * WIDTH, 12 * n * R * WIDTH]
    in_full, in_window = parts[0] / (parts[0] + parts[1]), parts[0] / (parts[0] + parts[2])
    print(f"n = {n:>4}: projections are {in_full:4.0%} of attention, {in_window:.0%} of restricted")

# %% [markdown]
# **The fixed cost.** Every operation takes some microseconds to start, however small it is. The
# exponent between two lengths shows it: for short sequences it is below 1 in every layer but the
# recurrent one, whose number of operations grows with $n$.

# %%
print(f"{'exponent of n between':<26}{'64, 128':>10}{'512, 1024':>12}{'4096, 8192':>13}")
for name, column in seconds_over_n.items():
    steps = [math.log2(column[i + 2] / column[i]) for i in (0, 6, 12)]
    print(f"{name:<26}{steps[0]:>10.2f}{steps[1]:>12.2f}{steps[2]:>13.2f}")

# %% [markdown]
# ### Fresh memory { #fresh-memory }
#
# Attention that stores its weights makes results of $n^2$ numbers.
# For a result of that size the system usually has to provide new memory, page by page, and fills each
# page with zeros when it is first written to; afterwards the memory is given back. The same arithmetic
# can be done without that, in a result that is there already. The next cell times the three steps
# both ways, and a copy as well.

# %%
n = 4096
with torch.no_grad():
    query, key, value = (torch.randn(1, 1, n, HEAD) for _ in range(3))
    scores = query @ key.mT
    weights, there, averages = softmax(scores), torch.empty_like(scores), torch.empty_like(value)

    def softmax_in_place() -> Tensor:
        """The operations of softmax, each of which writes over the same memory."""
        torch.sub(scores, scores.amax(-1, keepdim=True), out=there).exp_()
        return there.div_(there.sum(-1, keepdim=True))

    assert torch.allclose(softmax_in_place(), weights, rtol=0, atol=1e-6)
    parts = {  # each in fresh memory, and in memory that is there
        "scores": (lambda: query @ key.mT, lambda: torch.matmul(query, key.mT, out=there)),
        "softmax": (lambda: softmax(scores), softmax_in_place),
        "average of the values": (
            lambda: weights @ value,
            lambda: torch.matmul(weights, value, out=averages),
        ),
        "a copy of the scores": (lambda: scores.clone(), lambda: there.copy_(scores)),
    }
    part_seconds = {name: [fastest_seconds(run) for run in runs] for name, runs in parts.items()}
print(f"{'milliseconds':<24}{'fresh':>8}{'there':>8}")
for name, (fresh, kept) in part_seconds.items():
    print(f"{name:<24}{1e3 * fresh:>8.1f}{1e3 * kept:>8.1f}")
fresh, kept = (sum(column) for column in zip(*list(part_seconds.values())[:3], strict=True))
shares = [part_seconds["softmax"][i] / total for i, total in enumerate((fresh, kept))]
print(f"{'softmax, of three steps':<24}{shares[0]:>8.0%}{shares[1]:>8.0%}")

# %% [markdown]
# [A benchmark](../why-attention/self-attention.md#fresh-memory) makes the same layers keep their
# memory from run to run and counts page faults: it takes the time apart, and the exponent as well.
# What is left of softmax's share is arithmetic and moving: a handful of operations for each score, in
# several passes, beside the two products' 64 multiply-adds.

# %% [markdown]
# ## Memory { #memory }
#
# **Prediction.** Stored weights take $n^2$ numbers a head, in three copies at the worst moment:
# the scores, their exponentials and the quotients. All other layers hold a few tensors of $(n, d)$.
# Memory is the same at every repeat and on every machine, so every second length is enough.

# %%
WEIGHED = LENGTHS[::2]  # 64, 128, 256, ..., 8192
memory_over_n = over([(n, WIDTH) for n in WEIGHED], peak_memory)
EXPECTED = {name: 2 if "stored" in name else 1 for name in LAYERS}
memory_fits = {name: upper(WEIGHED, values, 724) for name, values in memory_over_n.items()}
for name, fit in memory_fits.items():
    assert abs(fit[0] - EXPECTED[name]) < 0.05, (name, fit)
    print(f"{name:<26} exponent of n: {said(fit)}")

# %% [markdown]
# In $d$ all of them are linear: a wider layer has wider tensors, and here more heads with a matrix
# each.

# %%
memory_over_d = over([(LENGTH, d) for d in WIDTHS], peak_memory)
for name, values in memory_over_d.items():
    fit = upper(WIDTHS, values, 256)
    assert abs(fit[0] - 1) < 0.1, (name, fit)
    print(f"{name:<26} exponent of d: {said(fit)}")

# %% caption="Memory of one layer against the length n, at d = 64, both logarithmic. Attention that stores its weights has slope 2; all others have slope 1 and lie close together."
mebibytes = {name: [size / 2**20 for size in sizes] for name, sizes in memory_over_n.items()}
draw(WEIGHED, mebibytes, f"n, at d = {WIDTH}", "MiB")

# %% [markdown]
# ## The fused kernel against the stored matrix { #fused }
#
# Both do the same products. The fused kernel takes the keys in blocks, keeps a running softmax, and
# never holds the matrix ([how](../why-attention/self-attention.md)). That saves memory by a factor
# that grows with $n$, and with it the time that [fresh memory](#fresh-memory) takes.

# %%
print("     n     time    memory  (stored / fused)")
stored, fused = list(LAYERS)[:2]
for i, n in enumerate(WEIGHED):
    time_ratio = seconds_over_n[stored][2 * i] / seconds_over_n[fused][2 * i]
    memory_ratio = memory_over_n[stored][i] / memory_over_n[fused][i]
    print(f"{n:>6}{time_ratio:>9.1f}{memory_ratio:>10.1f}")

# %% [markdown]
# ## Where recurrence overtakes attention { #crossover }
#
# By operations there is nothing to overtake: a plain recurrent layer needs fewer than attention at
# [every length](../why-attention/complexity.md#which-is-cheaper). By the clock attention wins as
# long as $n$ waits cost more than its larger work. A position costs the recurrent layer a constant
# time. It costs attention a time that grows with $n$. So there is one crossing. A wider layer moves it
# to shorter sequences: the waits stay, and the products of attention grow.
# Where it lies depends on the machine, so the lengths below, measured where this lab was executed,
# are other ones than those of the [recorded run](../why-attention/complexity.md#crossings).

# %% name="crossings"
def crossings(d: int, lengths: list[int]) -> dict[str, float | None]:
    """The length from which the recurrent layer is faster than either kind of attention."""
    columns = {}
    with torch.no_grad():
        for name in list(LAYERS)[:3]:
            layer, columns[name] = LAYERS[name](d), []
            for n in lengths:
                x = torch.randn(1, n, d)
                columns[name].append(fastest_seconds(lambda: layer(x)))
    step_by_step = columns.pop("recurrent")
    return {name: crossing(lengths, column, step_by_step) for name, column in columns.items()}


crossed = {WIDTH: {}}
for name in list(LAYERS)[:2]:
    crossed[WIDTH][name] = crossing(LENGTHS, seconds_over_n[name], seconds_over_n["recurrent"])
crossed[128] = crossings(128, [256, 512, 1024, 2048, 4096])
crossed[256] = crossings(256, [256, 512, 1024, 2048, 4096])
for d, found in crossed.items():
    for name, n in found.items():
        where = f"from n = {n:.0f}" if n else "at no length measured"
        print(f"d = {d:>3}: recurrent is faster than {name:<26}{where}")

# %% [markdown]
# ## A model of the time { #model }
#
# Three rates are enough to explain most of this: how many operations a second the machine does in a
# large product, how many bytes a second a copy reads and writes, and how long the smallest linear
# layer takes. The copy goes into fresh memory, as the result of an operation does, so that its rate is
# mostly that of [providing pages](#fresh-memory) and much lower than that of the memory itself. The
# time of a layer is taken to be the sum of computing, moving and waiting, with the formulas of the
# [explorer](../why-attention/complexity.md#explore).

# %%
def rates() -> Hardware:
    """The three rates of this machine, on as many threads as are set."""
    square, numbers = torch.randn(1024, 1024), torch.randn(2**24)
    small, linear = torch.randn(1, 64), nn.Linear(64, 64)

    def chain(steps: int = 1000) -> None:
        h = small
        for _ in range(steps):
            h = linear(h)

    with torch.no_grad():
        product = fastest_seconds(lambda: square @ square)
        copy = fastest_seconds(lambda: numbers.clone())
        wait = fastest_seconds(chain)
    return Hardware(2 * 1024**3 / product, 2 * 4 * len(numbers) / copy, wait / 1000)


hardware = rates()
print(f"computing {hardware.flops / 1e9:.0f} GFLOP/s, moving {hardware.bandwidth / 1e9:.1f} GB/s,")
print(f"waiting {hardware.latency * 1e6:.1f} µs an operation")
print()
print(f"{'predicted / measured':<26}{'n = 64':>9}{'512':>8}{'8192':>8}{'d = 256':>10}{'1024':>8}")
predicted = {}
for name, cost in COSTS.items():
    over_n = [cost(n, WIDTH).seconds(hardware) for n in LENGTHS]
    over_d = [cost(LENGTH, d).seconds(hardware) for d in WIDTHS]
    ratios = [a / b for a, b in zip(over_n, seconds_over_n[name], strict=True)]
    ratios_d = [a / b for a, b in zip(over_d, seconds_over_d[name], strict=True)]
    predicted[name] = ratios + ratios_d
    row = (ratios[0], ratios[6], ratios[14], ratios_d[3], ratios_d[7])
    print(f"{name:<26}" + "".join(f"{r:>{w}.2f}" for r, w in zip(row, (9, 8, 8, 10, 8))))
print()
within = [1 / 3 < ratio < 3 for ratios in predicted.values() for ratio in ratios]
print(f"within a factor of three: {sum(within)} of {len(within)} measurements")
