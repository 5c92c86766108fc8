"""What the layers of Table 1 cost, as formulas of their sizes: `docs/why-attention/complexity.md`.

One sequence, one forward pass without gradients, float32. `n` is the length of the sequence, `d`
the width `d_model`, `h` the number of heads, `k` the size of a kernel, `r` how far a restricted
query sees to either side.
"""

from dataclasses import dataclass


# --8<-- [start:Cost]
@dataclass(frozen=True)
class Hardware:
    """What a machine does in a second.

    Args:
        flops: Floating-point operations a second, in large matrix products.
        bandwidth: Bytes a second, to and from memory.
        latency: Seconds that an operation takes, however small it is.
    """

    flops: float
    bandwidth: float
    latency: float


@dataclass(frozen=True)
class Cost:
    """What one layer takes.

    Args:
        flops: Floating-point operations of its matrix products.
        memory: Bytes of all tensors that it makes, at the moment when they are most.
        traffic: Bytes that it moves: every tensor that it makes is written once and read once.
        steps: Length of the longest chain of operations.
        path: Layers, or steps of a recurrence, between the two positions farthest apart.
    """

    flops: int
    memory: int
    traffic: int
    steps: int
    path: int

    def seconds(self, hardware: Hardware) -> float:
        """The predicted time: computing, moving and waiting, one after the other."""
        computing = self.flops / hardware.flops
        moving = self.traffic / hardware.bandwidth
        return computing + moving + self.steps * hardware.latency


# --8<-- [end:Cost]


# --8<-- [start:costs]
def stored_attention(n: int, d: int, h: int) -> Cost:
    """Self-attention that stores its h weights of (n, n), equation (1) as it is written."""
    largest = max(3 * n * d + 3 * h * n * (n + 1), 6 * n * d + h * n * n)
    made = 7 * n * d + 4 * h * n * n
    return Cost(8 * n * d**2 + 4 * n**2 * d, 4 * largest, 8 * made, 15, 1)


def fused_attention(n: int, d: int) -> Cost:
    """Self-attention by a kernel that goes through the scores in blocks and keeps none."""
    made = 5 * n * d
    return Cost(8 * n * d**2 + 4 * n**2 * d, 4 * made, 8 * made, 7, 1)


def recurrent(n: int, d: int) -> Cost:
    """A plain recurrent layer, three operations a position."""
    return Cost(4 * n * d**2, 12 * n * d, 40 * n * d, 3 * n + 1, n)


def convolutional(n: int, d: int, k: int) -> Cost:
    """A convolution with a contiguous kernel, as one matrix product."""
    made = (k + 1) * n * d + (n + k - 1) * d
    path = max(1, -(-2 * (n - 1) // (k - 1)))
    return Cost(2 * k * n * d**2, 4 * made, 8 * made, 3, path)


def restricted(n: int, d: int, r: int) -> Cost:
    """Restricted self-attention in blocks of r queries, which see 3r keys; n is at least 2."""
    path = max(1, -(-(n - 1) // r))
    r = min(r, max(n - 1, 1))
    queries = -(-n // r) * r  # the last block is filled up
    pieces = (4 * queries + 4 * r) * d
    mask = 3 * r * queries  # 5 bytes an entry: once as a truth value, once as a number to add
    distances = 3 * r * r  # 17 bytes an entry: with its sign, without it, and compared to r
    flops = 8 * n * d**2 + 12 * queries * r * d
    memory = 4 * (3 * n * d + pieces) + 5 * mask
    traffic = 2 * (4 * (5 * n * d + pieces) + 5 * mask + 17 * distances)
    return Cost(flops, memory, traffic, 10, path)


# --8<-- [end:costs]
