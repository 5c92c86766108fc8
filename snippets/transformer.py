"""The complete model, section 3 of the paper: `docs/model/transformer.md`.

Shapes: `n_src` and `n_tgt` are the lengths of source and target, `d_model` is the width of
everything between the token ids and the logits.
"""

import torch
from torch import Tensor, nn

from snippets.decoder import Decoder
from snippets.embedding import TokenEmbedding
from snippets.encoder import Encoder
from snippets.positional_encoding import PositionalEncoding


# --8<-- [start:Transformer]
class Transformer(nn.Module):
    """The Transformer: from source tokens and the target so far to logits for the next token.

    The sizes default to the paper's base model. The paper leaves the initialisation open. Here
    biases start at 0, embeddings N(0, 1 / d_model) and matrices Xavier uniform, where W_q, W_k and
    W_v count as one matrix of 3 d_model rows, as in `torch.nn.Transformer`: each alone would start
    √2 times as large, and a post-norm model would then hardly learn to read its source. The last
    linear map has no bias.

    Args:
        src_vocab_size: Number of source tokens.
        tgt_vocab_size: Number of target tokens.
        d_model: Width of embeddings and of every layer's inputs and outputs.
        n_heads: Number of attention heads; it divides `d_model`.
        n_layers: Number of encoder layers, and of decoder layers.
        d_ff: Width inside the feed-forward networks.
        dropout: Probability in [0, 1) of dropping a number in training. It acts where section 5.4
            says: on the output of every sub-layer, before the sum, and on the two sums of
            embeddings and positions. `torch.nn.Transformer` drops attention weights and
            feed-forward activations too.
        norm_first: Pre-norm if True, with a `LayerNorm` at the end of both stacks; the paper has
            post-norm.
        share_embeddings: Use one matrix for source embedding, target embedding and the last linear
            map, as the paper does (section 3.4). Loading keeps them one; a state that holds
            different matrices for them is refused with a ValueError.
        max_len: Length of the longest source or target, at least 1.

    The shapes of the weights do not show `n_heads`, `dropout` and `max_len`, so that loading cannot
    check them. Keep the arguments beside the weights.

    Raises:
        ValueError: If sizes do not fit, `dropout` is not in [0, 1), or embeddings are to be shared
            by vocabularies of different sizes.

    Source: Vaswani et al. (2017), section 3.
    """

    def __init__(
        self,
        src_vocab_size: int,
        tgt_vocab_size: int,
        d_model: int = 512,
        n_heads: int = 8,
        n_layers: int = 6,
        d_ff: int = 2048,
        dropout: float = 0.1,
        norm_first: bool = False,
        share_embeddings: bool = False,
        max_len: int = 5000,
    ) -> None:
        super().__init__()
        if share_embeddings and src_vocab_size != tgt_vocab_size:
            raise ValueError(
                "shared embeddings need one vocabulary, but src_vocab_size = "
                f"{src_vocab_size} and tgt_vocab_size = {tgt_vocab_size}"
            )
        self.src_embedding = TokenEmbedding(src_vocab_size, d_model)
        self.tgt_embedding = (
            self.src_embedding if share_embeddings else TokenEmbedding(tgt_vocab_size, d_model)
        )
        self.positional_encoding = PositionalEncoding(d_model, dropout, max_len)
        self.encoder = Encoder(n_layers, d_model, n_heads, d_ff, dropout, norm_first)
        self.decoder = Decoder(n_layers, d_model, n_heads, d_ff, dropout, norm_first)
        self.output = nn.Linear(d_model, tgt_vocab_size, bias=False)
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear):
                in_one_matrix = name.endswith((".W_q", ".W_k", ".W_v"))  # of 3 d_model rows
                nn.init.xavier_uniform_(module.weight, gain=0.5**0.5 if in_one_matrix else 1.0)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        if share_embeddings:
            self.share()
            self.register_load_state_dict_pre_hook(Transformer.check_shared)
            self.register_load_state_dict_post_hook(Transformer.share)

    def share(self, *_: object) -> None:
        """Make the three matrices one: also after loading, which parts them by `assign=True`."""
        self.tgt_embedding.weight = self.output.weight = self.src_embedding.weight

    def check_shared(self, state: dict[str, Tensor], prefix: str, *_: object) -> None:
        """Refuse a state whose three matrices differ; what it leaves out of them is the same."""
        names = [f"{prefix}{part}.weight" for part in ("src_embedding", "tgt_embedding", "output")]
        given = [name for name in names if name in state]
        for name in given[1:]:
            if not state[name].is_meta and not torch.equal(state[name], state[given[0]]):
                raise ValueError(f"shared embeddings need one matrix: {name} is not {given[0]}")
        state.update({name: state[given[0]] for name in names if given})

    def encode(self, src: Tensor, src_mask: Tensor | None) -> Tensor:
        """Turn source tokens into the memory that the decoder reads; once a sentence is enough.

        Args:
            src: Token ids, integer (batch, n_src).
            src_mask: Boolean, True where a source position may attend to another, broadcastable to
                (batch, n_src, n_src), such as a padding mask (batch, 1, n_src); or None.

        Returns:
            The memory (batch, n_src, d_model).
        """
        return self.encoder(self.positional_encoding(self.src_embedding(src)), src_mask)

    def decode(
        self, tgt: Tensor, memory: Tensor, tgt_mask: Tensor | None, src_mask: Tensor | None
    ) -> Tensor:
        """Turn the target so far and the memory into logits for the token after each position.

        Args:
            tgt: Token ids, integer (batch, n_tgt), with the start token first.
            memory: What `encode` returned, (batch, n_src, d_model).
            tgt_mask: Boolean, True where a target position may attend to another, broadcastable to
                (batch, n_tgt, n_tgt); causal in the paper. None hides nothing, not even the future.
            src_mask: Boolean, True where a target position may attend to a source position,
                broadcastable to (batch, n_tgt, n_src); or None.

        Returns:
            Logits (batch, n_tgt, tgt_vocab_size); row i is about token i + 1.
        """
        x = self.positional_encoding(self.tgt_embedding(tgt))  # (batch, n_tgt, d_model)
        return self.output(self.decoder(x, memory, tgt_mask, src_mask))

    def forward(
        self, src: Tensor, tgt: Tensor, src_mask: Tensor | None, tgt_mask: Tensor | None
    ) -> Tensor:
        """Encode the source and decode every target position in one pass, as training does.

        Args:
            src: Token ids, integer (batch, n_src).
            tgt: Token ids, integer (batch, n_tgt): the target shifted right, behind a start token.
            src_mask: Boolean, True at the source positions that may be attended to, broadcastable
                to (batch, n_src, n_src) and to (batch, n_tgt, n_src): a padding mask
                (batch, 1, n_src); or None.
            tgt_mask: As in `decode`. The masks have no default, because a model without its causal
                mask trains without an error.

        Returns:
            Logits (batch, n_tgt, tgt_vocab_size).

        Raises:
            ValueError: If shapes do not fit.
            TypeError: If a mask is not boolean.
        """
        return self.decode(tgt, self.encode(src, src_mask), tgt_mask, src_mask)


# --8<-- [end:Transformer]
