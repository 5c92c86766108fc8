"""The museum has an exhibit for every trap, and every exhibit's check catches what it should.

`page_problems` says what an exhibit lacks; tests damage the page and expect to be told. What a
check catches and what it lets pass is tested on the functions of the page itself. The whole page
runs once more with every check compiled alone, as somebody who copies it has it.
"""

import ast
import contextlib
import io
import math
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise
from types import SimpleNamespace
from xml.etree import ElementTree as etree

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from snippets.attention import scaled_dot_product_attention
from snippets.cross_entropy import label_smoothing_loss
from snippets.embedding import TokenEmbedding
from snippets.encoder import Encoder
from snippets.layer_norm import LayerNorm
from snippets.masks import causal_mask
from snippets.multi_head import MultiHeadAttention
from snippets.positional_encoding import sinusoidal_encoding
from snippets.residual import Residual
from tests import ROOT
from tests.runner.pages import OUTPUT_MARK, Block, blocks_of

PAGE = ROOT / "docs" / "reference" / "errata.md"
FIGURES = ROOT / "docs" / "assets" / "figures"
SVG = "{http://www.w3.org/2000/svg}"
LINK = r"\]\(([^)#\s]+\.md)(?:#([a-z0-9-]+))?\)"

# The traps that well-known texts fell into, and the heading of each one's exhibit.
TRAPS = {
    "LayerNorm with the unbiased standard deviation": "unbiased-deviation",
    "LayerNorm with eps outside the root": "eps-outside-the-root",
    "pre-norm code under a text that says post-norm": "pre-norm-as-post-norm",
    "the stack's final norm missing": "last-norm-missing",
    "the stack's final norm doubled": "last-norm-doubled",
    "dropout on attention weights presented as the paper's": "dropout-on-weights",
    "a dropout argument that never reaches the attention": "dropout-that-never-arrives",
    "label smoothing that divides by V - 2": "smoothing-by-v-minus-2",
    "label smoothing that gives mass to padding": "smoothing-padding",
    "KL form and cross-entropy form not the same up to a constant": "two-forms-of-smoothing",
    "a language model trained without its causal mask": "no-causal-mask",
    "the two opposite mask conventions": "inverted-mask",
    "a row that may attend to nothing": "row-that-sees-nothing",
    "positional encoding with a wrong exponent": "wrong-exponent",
    "positional encoding with its halves swapped": "swapped-halves",
    "positional encoding of an odd d_model": "odd-width",
    "tied embeddings with the default initialisation": "tied-default-initialisation",
    "vocabulary built from the test set": "vocabulary-from-the-test-set",
    "BLEU from teacher forcing": "bleu-from-teacher-forcing",
    "BLEU with no signature": "bleu-without-signature",
    "greedy decoding that never stops at the end token": "never-stops",
    "gradient accumulation that does not divide": "accumulation-without-division",
    "gradient accumulation over parts of unequal size": "unequal-micro-batches",
    "gradient accumulation that steps on the first micro-batch": "first-micro-batch-step",
    "dependencies that vanish": "vanished-dependency",
}
# This check refuses by a message; all others print False for the wrong code, True for the right.
REFUSES = {"bleu-without-signature"}
# These exhibits wait at the end of the page, to leave whole for the pages on training.
TRAINING = {
    "vocabulary-from-the-test-set",
    "bleu-without-signature",
    "bleu-from-teacher-forcing",
    "never-stops",
    "accumulation-without-division",
    "unequal-micro-batches",
    "first-micro-batch-step",
}


# the page


def sections(markdown: str, level: int) -> dict[str, tuple[int, str]]:
    """The headings of a level with their line and their text, down to the next as high."""
    found: dict[str, tuple[int, str]] = {}
    fenced, current = False, None
    for number, line in enumerate(markdown.splitlines(), 1):
        fenced ^= line.startswith("```")
        heading = None if fenced else re.match(r"(#+) .*\{ #([a-z0-9-]+) \}$", line)
        if heading and len(heading[1]) <= level:
            current = heading[2] if len(heading[1]) == level else None
            if current:
                found[current] = (number, "")
        elif current:
            start, text = found[current]
            found[current] = (start, f"{text}{line}\n")
    return found


def page_problems(markdown: str) -> Iterator[str]:
    """What the museum lacks, each with its line."""
    exhibits = sections(markdown, level=3)
    for trap, anchor in TRAPS.items():
        if anchor not in exhibits:
            yield f"errata.md: no exhibit {anchor} for the trap: {trap}"
    for anchor, (line, text) in exhibits.items():
        here = f"errata.md:{line}: {anchor}"
        if anchor not in TRAPS.values():
            yield f"{here} is the exhibit of no trap"
        yield from exhibit_problems(here, anchor, text)
    chapters = sections(markdown, level=2)
    if next(iter(chapters), None) != "by-symptom":
        yield "errata.md: the table of symptoms is not the first section"
    training = set(sections(f"## All {{ #all }}\n{chapters.get('training', (0, ''))[1]}", level=3))
    if training != TRAINING:
        yield f"errata.md: under training and elsewhere: {sorted(training ^ TRAINING)}"
    if [anchor for anchor in chapters if anchor != "sources"][-1] != "training":
        yield "errata.md: the exhibits on training are not the last"
    index = chapters.get("by-symptom", (0, ""))[1]
    listed = re.findall(r"\]\(#([a-z0-9-]+)\)", index)
    for anchor in exhibits:
        if listed.count(anchor) != 1:
            yield f"errata.md: the table of symptoms links {listed.count(anchor)} times to {anchor}"


def exhibit_problems(here: str, anchor: str, text: str) -> Iterator[str]:
    mistake, mark, check = text.partition("**The check.**")
    if not mark:
        yield f"{here} has no check"
    if not outputs(check):
        yield f"{here}: the check shows no output"
    if not re.match(r"\n(?!```|<)\S", mistake):
        yield f"{here} does not begin with what people write"
    if not re.search(r"\bfound\b[^.]*\]\(https://|\]\(https://[^)]+\)\nfound", mistake):
        yield f"{here} does not say where it was found"
    if "```" not in mistake:
        yield from elsewhere_problems(here, mistake)
    elif not outputs(mistake):
        yield f"{here}: the mistake shows no output"
    elif not any(re.search(r"\d", output) for output in outputs(mistake)):
        yield f"{here}: the symptom is not a number"
    shown = " ".join(outputs(check))
    wanted = (r"\bcompared\b", r"not comparable") if anchor in REFUSES else ("False", "True")
    for pattern in wanted:
        if not re.search(pattern, shown):
            yield f"{here}: the check never prints {pattern}"
    links = re.findall(LINK, text)
    if not links:
        yield f"{here} links to no other page"
    for target, fragment in links:
        page = (PAGE.parent / target).resolve()
        if not page.is_file() or page == PAGE:
            yield f"{here}: {target} is not another page"
        elif fragment and f"{{ #{fragment} }}" not in page.read_text(encoding="utf-8"):
            yield f"{here}: {target} has no place {fragment}"


def elsewhere_problems(here: str, mistake: str) -> Iterator[str]:
    """An exhibit without a block of its own has one on the page that it links: told once."""
    for target, fragment in re.findall(LINK, mistake):
        page = (PAGE.parent / target).resolve()
        text = page.read_text(encoding="utf-8") if page.is_file() else ""
        told = text.partition(f"{{ #{fragment} }}")[2] if fragment else ""
        if "```python" in re.split(r"\n(?=#|\*\*)", told)[0]:
            return
    yield f"{here}: the mistake is shown neither here nor where the exhibit links"


def outputs(text: str) -> list[str]:
    return re.findall(rf"```\n\n<!--{OUTPUT_MARK}-->\n```text\n(.+?)```", text, re.DOTALL)


def test_every_trap_has_an_exhibit_with_symptom_check_and_link() -> None:
    assert list(page_problems(PAGE.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{ #odd-width }", "{ #even-width }", "no exhibit odd-width"),
        ("{ #odd-width }", "{ #even-width }", "even-width is the exhibit of no trap"),
        ("**The check.** Mask one row", "Mask one row", "row-that-sees-nothing has no check"),
        (
            "3 words, 27 padding: the loss is 92% too large",
            "x",
            "smoothing-padding: the symptom is",
        ),
        (
            "layer-norm.md#unbiased-variance",
            "layer-norm.md",
            "unbiased-deviation: the mistake is sh",
        ),
        (
            "layer-norm.md#unbiased-variance",
            "layer-norm.md#biased",
            "layer-norm.md has no place bia",
        ),
        ("The mistake was found in\n[harvardnlp", "See\n[harvardnlp", "deviation does not say wh"),
        (
            "## By symptom",
            "## Before { #before }\n\n## By symptom",
            "symptoms is not the first sec",
        ),
        ("## Sources", "## More { #more }\n\n## Sources", "training are not the last"),
        (
            "### Vocabulary from",
            "## More { #more }\n\n### Vocabulary from",
            "under training and else",
        ),
        ("](bibliography.md)", "](#by-symptom)", "bleu-without-signature links to no other page"),
        ("../index.md#how-", "../index.md#why-", "../index.md has no place why-it-stays"),
        ("../model/transformer.md", "../model/none.md", "none.md is not another page"),
        ("[no causal mask](#no-causal-mask)", "no causal mask", "links 0 times to no-causal-mask"),
        ("summed:  False", "summed:  True", "accumulation-without-division: the check never pr"),
        ("rounded down:        False", "", "odd-width: the check never prints"),
        (
            "```\n\n<!--pytest-codeblocks:expected-output-->\n```text\nendless: mean length",
            "```\n\n```text\nendless: mean length",
            "never-stops: the mistake shows no output",
        ),
    ],
)
def test_a_damaged_page_is_noticed(old: str, new: str, message: str) -> None:
    markdown = PAGE.read_text(encoding="utf-8")
    assert old in markdown
    assert any(message in problem for problem in page_problems(markdown.replace(old, new)))


# the functions of the page


def is_definition(node: ast.stmt) -> bool:
    """Whether a statement defines something without computing anything."""
    if isinstance(node, ast.Assign | ast.AugAssign):
        try:
            ast.literal_eval(node.value)
        except ValueError:
            return False
        return True
    return isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef)


def definitions() -> SimpleNamespace:
    """What the page defines, without what it runs: its trainings would take seconds."""
    namespace = SimpleNamespace(__name__="errata")
    for block in blocks_of(PAGE, ROOT):
        body = [node for node in ast.parse(block.code).body if is_definition(node)]
        exec(compile(ast.Module(body, []), str(PAGE), "exec"), namespace.__dict__)
    return namespace


# These use the check of another exhibit and say so.
BORROWED = {
    "eps-outside-the-root": "is_layer_norm",
    "swapped-halves": "is_the_papers",
    "unequal-micro-batches": "has_the_whole_gradient",
}


def imported(source: str) -> dict[str, object]:
    """What the import statements of a program, at its top level, bring."""
    body = [
        node for node in ast.parse(source).body if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    namespace: dict[str, object] = {}
    exec(compile(ast.Module(body, []), "imports", "exec"), namespace)
    return namespace


def checks(markdown: str) -> dict[str, str]:
    """The blocks of each exhibit's check, by anchor."""
    parts = {
        anchor: text.partition("**The check.**")[2]
        for anchor, (_, text) in sections(markdown, level=3).items()
    }
    return {
        anchor: "".join(re.findall(r"^```python\n(.+?)^```", part, re.MULTILINE | re.DOTALL))
        for anchor, part in parts.items()
    }


def first_definition(code: str) -> ast.FunctionDef | ast.ClassDef:
    """What a block defines first; in the block of a check, the check itself."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    return next(node for node in ast.parse(code).body if isinstance(node, kinds))


def alone(code: str, basic: dict[str, object]) -> object:
    """The check of a block, compiled with the imports of the block and the basic ones only."""
    node = first_definition(code)
    namespace = basic | imported(code)
    exec(compile(ast.Module([node], []), "check", "exec"), namespace)
    return namespace[node.name]


def run_with_checks_alone(markdown: str, blocks: list[Block]) -> str:
    """What the page prints if each check knows nothing of the page but the imports at its top."""
    by_anchor = checks(markdown)
    basic = imported(blocks[0].code)
    single = {
        code: alone(code, basic) for anchor, code in by_anchor.items() if anchor not in BORROWED
    }
    namespace: dict[str, object] = {"__name__": "__main__"}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for block in blocks:
            tree = ast.parse(block.code)
            if block.code in single:
                node = first_definition(block.code)
                tree.body = [other for other in tree.body if other.lineno != node.lineno]
                namespace[node.name] = single[block.code]
            exec(compile(tree, block.page.name, "exec"), namespace)
    return printed.getvalue()


def test_every_check_runs_copied_alone() -> None:
    markdown, blocks = PAGE.read_text(encoding="utf-8"), blocks_of(PAGE, ROOT)
    for anchor, code in checks(markdown).items():
        if anchor in BORROWED:
            assert f"{BORROWED[anchor]}(" in code
        else:
            check = first_definition(code)
            assert re.search(rf"\b{check.name}\(", code.partition(f" {check.name}(")[2]), anchor
    expected = "".join(block.expected_output or "" for block in blocks)
    assert run_with_checks_alone(markdown, blocks) == expected


def test_a_check_that_reads_a_name_of_the_page_is_noticed() -> None:
    basic = imported("import torch")
    assert alone("def check(x):\n    return torch.equal(x, x)", basic)(torch.ones(1))
    with pytest.raises(NameError, match="limit"):
        alone("def check(x):\n    return x < limit\n\n\nprint(check(1))", basic)(1)


PAGE_FUNCTIONS = definitions()  # for the tests that draw many examples


@pytest.fixture
def page() -> SimpleNamespace:
    return definitions()


@pytest.mark.parametrize("d_model", [2, 3, 8, 512])
def test_the_norm_check_knows_layer_normalisation_from_its_look_alikes(
    page: SimpleNamespace, d_model: int
) -> None:
    torch.manual_seed(0)
    x = torch.randn(100, d_model, dtype=torch.float64)
    for scale in (1.0, 0.003):
        assert page.is_layer_norm(LayerNorm(d_model).double(), scale * x)
        assert page.is_layer_norm(nn.LayerNorm(d_model, dtype=torch.float64), scale * x)
        assert not page.is_layer_norm(page.unbiased_norm, scale * x)
        assert not page.is_layer_norm(page.outside_norm, scale * x)


def test_a_sublayer_of_zeros_tells_the_orders_apart(page: SimpleNamespace) -> None:
    torch.manual_seed(0)
    assert page.is_post_norm(Residual(6, 0.0), 6)
    assert not page.is_post_norm(Residual(6, 0.0, norm_first=True), 6)
    assert not page.is_post_norm(lambda x, sublayer: x + LayerNorm(6)(sublayer(x)), 6)


@pytest.mark.parametrize(
    ("norm_first", "last_norm", "expected"),
    [(True, False, False), (True, True, True), (False, False, True), (False, True, True)],
)
def test_only_a_stack_with_its_last_norm_leaves_normalised(
    page: SimpleNamespace, norm_first: bool, last_norm: bool, expected: bool
) -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 5, 16)
    assert page.leaves_normalised(page.torch_stack(norm_first, last_norm, 3), x) == expected
    ours = Encoder(3, 16, 2, 32, 0.0, norm_first)
    assert page.leaves_normalised(lambda x: ours(x, None), x)


@pytest.mark.parametrize("n_layers", [1, 3])
@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("last_norm", [False, True])
def test_the_norms_of_a_stack_are_counted(
    page: SimpleNamespace, n_layers: int, norm_first: bool, last_norm: bool
) -> None:
    stack = page.torch_stack(norm_first, last_norm, n_layers)
    assert page.has_its_norms(stack, 2 * n_layers, norm_first) == (norm_first == last_norm)
    ours = Encoder(n_layers, 16, 2, 32, 0.0, norm_first)
    assert page.has_its_norms(ours, 2 * n_layers, norm_first, LayerNorm)


def test_dropped_weights_sum_to_one_give_or_take_what_the_page_says() -> None:
    """The sum of n even weights, each kept with 1 - p and scaled up, has variance p/((1 - p) n)."""
    p, n_key = 0.1, 64
    text = sections(PAGE.read_text(encoding="utf-8"), level=3)["dropout-on-weights"][1]
    shown = re.search(r"dropped: +weights sum to 1, give or take (\d\.\d\d)", text)
    assert shown
    assert float(shown[1]) == round(math.sqrt(p / ((1 - p) * n_key)), 2)


def test_dropout_arrives_only_where_it_is_handed_on(page: SimpleNamespace) -> None:
    x = 3 * [torch.randn(2, 5, 8)]
    assert page.dropout_arrives(MultiHeadAttention(8, 2, 0.5), *x)
    assert not page.dropout_arrives(MultiHeadAttention(8, 2, 0.0), *x)
    assert not page.dropout_arrives(page.Attention(8, 2, 0.5), *x)

    class NeverOff(nn.Module):
        def forward(self, x: Tensor, *_: Tensor) -> Tensor:
            return functional.dropout(x, 0.5, training=True)

    assert not page.dropout_arrives(NeverOff(), *x)
    assert page.is_deterministic(MultiHeadAttention(8, 2, 0.0), x[0])
    assert not page.is_deterministic(MultiHeadAttention(8, 2, 0.5), x[0])


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.integers(3, 50), st.floats(0.01, 0.9), st.data())
def test_epsilon_by_v_minus_2_sums_to_more_than_one(
    vocab_size: int, epsilon: float, data: st.DataObject
) -> None:
    logits = torch.zeros(
        1, vocab_size, dtype=torch.float64
    )  # uniform: the loss is ln V times the sum
    target = torch.tensor([data.draw(st.integers(0, vocab_size - 1))])
    total = PAGE_FUNCTIONS.by_v_minus_2(logits, target, epsilon).item() / math.log(vocab_size)
    expected = 1 + epsilon / (vocab_size - 2)
    torch.testing.assert_close(total, expected, rtol=1e-12, atol=0)


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.integers(1, 5), st.integers(0, 7), st.integers(0, 2**16))
def test_smoothing_at_padding_adds_to_the_loss(n_real: int, n_padding: int, seed: int) -> None:
    torch.manual_seed(seed)
    logits = torch.randn(n_real + n_padding, 11, dtype=torch.float64)
    target = torch.cat([torch.randint(1, 11, (n_real,)), torch.zeros(n_padding, dtype=torch.long)])
    excess = PAGE_FUNCTIONS.padded_loss(logits, target, 0) - label_smoothing_loss(
        logits, target, pad_id=0
    )
    added = -0.1 * logits[n_real:].log_softmax(-1).mean(-1).sum() / n_real
    torch.testing.assert_close(excess, added, rtol=0, atol=1e-12)
    assert (excess > 1e-3) == (n_padding > 0)


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 0.4])
def test_the_checks_of_the_loss_know_pytorchs(page: SimpleNamespace, epsilon: float) -> None:
    torch.manual_seed(0)
    smooth = {"label_smoothing": epsilon}

    def theirs(logits: Tensor, target: Tensor, pad_id: int = -1) -> Tensor:
        return functional.cross_entropy(logits, target, ignore_index=pad_id, **smooth)

    def over_the_padding_too(logits: Tensor, target: Tensor, pad_id: int) -> Tensor:
        return theirs(logits, target)

    assert page.is_smoothed_cross_entropy(theirs, epsilon)
    assert not page.is_smoothed_cross_entropy(theirs, epsilon + 0.1)
    assert page.ignores_padding_logits(theirs)
    assert not page.ignores_padding_logits(over_the_padding_too)


def test_a_divergence_is_known_by_its_distance_from_the_cross_entropy(
    page: SimpleNamespace,
) -> None:
    torch.manual_seed(0)

    def divergence(logits: Tensor, q: Tensor) -> Tensor:
        return (q * (q.log() - logits.log_softmax(-1))).sum(-1).mean()

    assert page.differs_by_the_entropy(divergence)
    assert not page.differs_by_the_entropy(lambda logits, q: 2 * divergence(logits, q))
    assert not page.differs_by_the_entropy(
        lambda logits, q: -(q * logits.log_softmax(-1)).sum(-1).mean()  # the cross-entropy itself
    )


def test_an_untrained_model_sees_the_future_without_its_mask_and_only_then(
    page: SimpleNamespace,
) -> None:
    torch.manual_seed(0)
    model, causal = page.LanguageModel(11).double(), causal_mask(8)
    assert page.sees_no_future(lambda text: model(text, causal), 11)
    assert not page.sees_no_future(lambda text: model(text, None), 11)
    assert not page.sees_no_future(lambda text: model(text, causal.T), 11)


def test_the_checks_of_a_mask_catch_what_they_should(page: SimpleNamespace) -> None:
    torch.manual_seed(0)
    allowed = torch.arange(5) < 2
    for mask, expected in ((allowed, True), (~allowed, False), (None, False)):
        mask = mask if mask is None else mask.expand(1, 5, 5)

        def attend(x: Tensor, mask: Tensor | None = mask) -> Tensor:
            return scaled_dot_product_attention(x, x, x, mask)[0]

        assert page.ignores_padding(attend, 2, 6) == expected

    def fused(x: Tensor, mask: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(x, x, x, mask)

    assert page.has_finite_gradient(fused)
    assert not page.has_finite_gradient(page.plain)


def test_only_a_refusal_by_name_counts(page: SimpleNamespace) -> None:
    assert page.refuses_an_odd_width(sinusoidal_encoding)
    assert not page.refuses_an_odd_width(page.rounded_down)

    def fails(n: int, d_model: int) -> Tensor:
        raise ValueError("sizes differ")

    assert not page.refuses_an_odd_width(fails)


def other_encodings() -> dict[str, Callable[[int, int], Tensor]]:
    def table(n: int, d_model: int, exponent: Callable[[int], float], base: float) -> Tensor:
        def entry(pos: int, k: int) -> float:
            return (math.cos if k % 2 else math.sin)(pos / base ** exponent(k))

        return torch.tensor([[entry(pos, k) for k in range(d_model)] for pos in range(n)])

    return {
        "k for every feature": lambda n, d: table(n, d, lambda k: k / d, 10_000),
        "i for a pair": lambda n, d: table(n, d, lambda k: k // 2 / d, 10_000),
        "another base": lambda n, d: table(n, d, lambda k: 2 * (k // 2) / d, 9_000),
        "positions from 1": lambda n, d: sinusoidal_encoding(n + 1, d)[1:],
        "cosine first": lambda n, d: (
            sinusoidal_encoding(n, d).unflatten(1, (-1, 2)).flip(2).flatten(1)
        ),
    }


def test_the_encoding_check_catches_every_other_encoding(page: SimpleNamespace) -> None:
    assert page.is_the_papers(sinusoidal_encoding)
    assert not page.is_the_papers(page.doubled_exponent)
    assert not page.is_the_papers(page.halves)
    for name, encode in other_encodings().items():
        assert not page.is_the_papers(encode), name


@pytest.mark.parametrize("d_model", [2, 14, 64])
def test_swapped_halves_keep_every_dot_product(page: SimpleNamespace, d_model: int) -> None:
    wrong, right = (encode(40, d_model).double() for encode in (page.halves, sinusoidal_encoding))
    torch.testing.assert_close(wrong @ wrong.T, right @ right.T, rtol=0, atol=1e-12)


def test_a_default_table_is_far_from_a_guess_and_ours_is_near(page: SimpleNamespace) -> None:
    torch.manual_seed(0)
    assert not page.starts_by_guessing(nn.Embedding(997, 256).weight)
    assert page.starts_by_guessing(TokenEmbedding(997, 256).weight)
    assert page.starts_by_guessing(torch.zeros(997, 256))


def test_a_vocabulary_is_from_the_words_that_it_was_built_from(page: SimpleNamespace) -> None:
    assert page.is_from({"a", "b"}, ["b", "a", "c", "a"])
    assert not page.is_from({"a", "d"}, ["b", "a", "c", "a"])


def test_no_test_sentence_is_in_the_training_text(page: SimpleNamespace) -> None:
    """And every sentence fits, word for word, in the width of the model's prompt."""
    page.random.seed(1)
    drawn = [page.sentence() for _ in range(500)]
    lengths = {len(side.split()) for pair in drawn for side in pair}
    assert all(len(english.split()) == len(german.split()) for english, german in drawn)
    assert max(lengths) + 1 == page.WIDTH
    code = "".join(block.code for block in blocks_of(PAGE, ROOT))
    drawing = re.search(r"^random\.seed\(0\)\n.*?^test = .*?$", code, re.MULTILINE | re.DOTALL)
    assert drawing
    exec(drawing[0], page.__dict__)
    assert {english for english, _ in page.train}.isdisjoint(english for english, _ in page.test)
    assert {word for pair in page.test for side in pair for word in side.split()} <= {
        word for pair in page.train for side in pair for word in side.split()
    }


# BLEU


def counted_bleu(candidates: list[list[str]], references: list[list[str]], max_n: int) -> float:
    """Corpus BLEU from Papineni et al. (2002), section 2.3, with nothing but lists."""
    precisions = []
    for n in range(1, max_n + 1):
        matched = total = 0
        for candidate, reference in zip(candidates, references, strict=True):
            grams = [tuple(candidate[i : i + n]) for i in range(len(candidate) - n + 1)]
            unused = [tuple(reference[i : i + n]) for i in range(len(reference) - n + 1)]
            total += len(grams)
            for gram in grams:
                if gram in unused:
                    unused.remove(gram)
                    matched += 1
        precisions.append(Fraction(matched, total) if total else Fraction(0))
    if not all(precisions):
        return 0.0
    c, r = sum(map(len, candidates)), sum(map(len, references))
    brevity = 1.0 if c > r else math.exp(1 - r / c)
    return 100 * brevity * math.prod(float(p) ** (1 / max_n) for p in precisions)


TEXTS = st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=12), min_size=1, max_size=4)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(TEXTS, TEXTS, st.integers(1, 4))
def test_bleu_is_the_formula_counted_by_hand(
    candidates: list[list[str]], references: list[list[str]], max_n: int
) -> None:
    n = min(len(candidates), len(references))
    candidates, references = candidates[:n], references[:n]
    torch.testing.assert_close(
        PAGE_FUNCTIONS.bleu(candidates, references, max_n),
        counted_bleu(candidates, references, max_n),
        rtol=1e-9,
        atol=0,
    )


def test_bleu_gives_the_numbers_of_its_paper(page: SimpleNamespace) -> None:
    """Papineni et al. (2002), section 2.1: seven times "the" against a text that has two."""
    the, reference = ["the"] * 7, ["the", "cat", "is", "on", "the", "mat"]
    assert page.bleu([the], [reference], max_n=1) == pytest.approx(100 * 2 / 7)
    assert page.bleu([reference], [reference]) == pytest.approx(100)
    assert page.bleu([reference[:3]], [reference], max_n=1) == pytest.approx(100 * math.exp(-1))
    assert page.bleu([the], [reference]) == 0


def test_scores_of_one_signature_can_be_compared_and_others_not(page: SimpleNamespace) -> None:
    one, two, other = page.Score(30, "raw"), page.Score(28.5, "raw"), page.Score(28.5, "lower")
    assert one - two == 1.5
    with pytest.raises(ValueError, match="not comparable: raw and lower"):
        one - other


# teacher forcing and the end token


@pytest.mark.parametrize("seed", range(5))
def test_both_passes_are_right_to_the_end_equally_often(page: SimpleNamespace, seed: int) -> None:
    """Whatever the model: until the first mistake both read the same words."""
    torch.manual_seed(seed)
    src = torch.randint(3, 6, (200, page.WIDTH))
    page.model = page.LanguageModel(6).double()
    free = page.greedy(src)
    tgt = functional.pad(free, (0, page.WIDTH - free.shape[1]), value=page.PAD)
    wrong = torch.rand(len(src)) < 0.5  # half of the references are what it says, half are not
    tgt[wrong, 0] = (tgt[wrong, 0] + 1) % 6
    with torch.no_grad():
        forced = page.predict(src, tgt).argmax(-1)

    def right(output: Tensor) -> Tensor:
        """Up to and with the end token: there is no reference behind it."""
        before_end = ((tgt == page.EOS).cumsum(1) - (tgt == page.EOS).int()) == 0
        padded = functional.pad(output, (0, page.WIDTH - output.shape[1]), value=page.PAD)
        return ((padded == tgt) | ~before_end).all(1)

    assert torch.equal(right(forced), right(free))
    assert 0 < right(free).sum() < len(src)


def follows_the_end(row: list[int], end: int, pad: int) -> bool:
    return end in row and any(token != pad for token in row[row.index(end) + 1 :])


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.lists(st.lists(st.integers(0, 4), min_size=5, max_size=5), min_size=1, max_size=4))
def test_the_stop_check_finds_whatever_follows_the_end_token(rows: list[list[int]]) -> None:
    page = PAGE_FUNCTIONS
    runs_on = any(follows_the_end(row, page.EOS, page.PAD) for row in rows)
    assert page.stops(torch.tensor(rows), page.EOS, page.PAD) == (not runs_on)


def test_greedy_decoding_is_the_endless_one_up_to_the_end_token(page: SimpleNamespace) -> None:
    torch.manual_seed(0)
    src = torch.randint(3, 7, (300, page.WIDTH))
    page.model = page.LanguageModel(7).double()
    endless, stopped = page.greedy_on_and_on(src, 14), page.greedy(src, 14)
    assert page.stops(stopped, page.EOS, page.PAD)
    assert not page.stops(endless, page.EOS, page.PAD)
    for on_and_on, row in zip(endless.tolist(), stopped.tolist(), strict=True):
        end = on_and_on.index(page.EOS) + 1 if page.EOS in on_and_on else len(on_and_on)
        assert row == on_and_on[:end] + [page.PAD] * (len(row) - end)


# gradient accumulation


def test_the_check_of_a_gradient_knows_every_parameter(page: SimpleNamespace) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(7, 11, dtype=torch.float64)
    batch = torch.randn(6, 7, dtype=torch.float64), torch.randint(11, (6,))

    def whole(layer: nn.Module, x: Tensor, label: Tensor) -> None:
        functional.cross_entropy(layer(x), label).backward()

    def without_bias(layer: nn.Module, x: Tensor, label: Tensor) -> None:
        whole(layer, x, label)
        layer.bias.grad.mul_(1.1)

    assert page.has_the_whole_gradient(whole, layer, *batch)
    assert page.has_the_whole_gradient(whole, layer, *batch)  # what it leaves does not add up
    assert not page.has_the_whole_gradient(without_bias, layer, *batch)


def test_a_translation_is_known_by_its_source_alone(page: SimpleNamespace) -> None:
    src, tgt = torch.arange(12).view(3, 4), torch.arange(12).view(3, 4) + 1
    assert page.translates(lambda src, tgt: src + 1, src, tgt)
    assert not page.translates(lambda src, tgt: tgt, src, tgt)


def test_adam_hides_a_factor_on_the_gradient_and_clipping_does_not() -> None:
    torch.manual_seed(0)
    gradients = torch.randn(20, 5, dtype=torch.float64)

    def walk(factor: float, kind: type[torch.optim.Optimizer], clip: float = math.inf) -> Tensor:
        w = torch.zeros(5, dtype=torch.float64, requires_grad=True)
        optimizer = kind([w], lr=0.01)
        for gradient in gradients:
            w.grad = factor * gradient
            nn.utils.clip_grad_norm_([w], clip)
            optimizer.step()
        return w.detach()

    torch.testing.assert_close(
        walk(4, torch.optim.Adam), walk(1, torch.optim.Adam), rtol=1e-5, atol=0
    )
    torch.testing.assert_close(walk(4, torch.optim.SGD), 4 * walk(1, torch.optim.SGD))
    clipped, unclipped = walk(4, torch.optim.Adam, clip=2.0), walk(1, torch.optim.Adam, clip=2.0)
    assert (clipped - unclipped).norm() > 0.05 * unclipped.norm()


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=5), st.integers(0, 2**16))
def test_sums_over_all_tokens_give_the_whole_gradient_however_they_are_cut(
    sizes: list[int], seed: int
) -> None:
    torch.manual_seed(seed)
    n = sum(sizes)
    layer = nn.Linear(7, 11, dtype=torch.float64)
    x, label = torch.randn(n, 7, dtype=torch.float64), torch.randint(11, (n,))
    whole = torch.autograd.grad(functional.cross_entropy(layer(x), label), layer.weight)[0]
    parts = list(zip(x.split(sizes), label.split(sizes), strict=True))
    for x_part, label_part in parts:
        (functional.cross_entropy(layer(x_part), label_part, reduction="sum") / n).backward()
    torch.testing.assert_close(layer.weight.grad, whole, rtol=0, atol=1e-12)
    layer.zero_grad()
    for x_part, label_part in parts:
        (functional.cross_entropy(layer(x_part), label_part) / len(parts)).backward()
    means_agree = torch.allclose(layer.weight.grad, whole, rtol=0, atol=1e-9)
    assert means_agree == (len(set(sizes)) == 1)


@pytest.mark.parametrize(
    ("due", "expected"),
    [
        (lambda i: i % 4 == 0, False),
        (lambda i: (i + 1) % 4 == 0, False),  # the last two are left over
        (lambda i: i % 4 == 0 or i == 9, False),
        (lambda i: (i + 1) % 3 == 0 or i == 9, False),
        (lambda i: (i + 1) % 4 == 0 or i == 9, True),
    ],
)
def test_only_stepping_behind_the_last_part_uses_every_micro_batch(
    page: SimpleNamespace, due: Callable[[int], bool], expected: bool
) -> None:
    *seen, left = page.steps(due)
    assert sum(seen) + left == 10
    assert page.all_used(seen, left, 4) == expected


def test_the_figure_has_the_micro_batches_of_each_step(page: SimpleNamespace) -> None:
    root = etree.parse(FIGURES / "errata-accumulation.svg").getroot()
    boxes = [
        {key: float(rect.get(key)) for key in ("x", "y", "width", "height")}
        | {"seen": rect.get("class") != "optional"}
        for rect in root.iter(f"{SVG}rect")
    ]
    circles = [(float(c.get("cx")), float(c.get("cy"))) for c in root.iter(f"{SVG}circle")]
    numbers = [text.text for text in root.iter(f"{SVG}text") if text.text.isdigit()]
    assert numbers == [str(i) for i in range(10)] * 2

    def groups(y: float) -> list[tuple[int, bool]]:
        row = sorted((box for box in boxes if box["y"] == y), key=lambda box: box["x"])
        for left, right in pairwise(row):
            assert left["x"] + left["width"] < right["x"]
        return [
            (
                sum(
                    box["x"] < cx < box["x"] + box["width"] and y < cy < y + box["height"]
                    for cx, cy in circles
                ),
                box["seen"],
            )
            for box in row
        ]

    above, below = (groups(y) for y in sorted({box["y"] for box in boxes}))
    *seen, left = page.steps(lambda i: i % 4 == 0)
    assert above == [*((n, True) for n in seen), (left, False)]
    *seen, left = page.steps(lambda i: (i + 1) % 4 == 0 or i == 9)
    assert (below, left) == ([(n, True) for n in seen], 0)


def test_the_figure_counts_the_words_of_the_reference(page: SimpleNamespace) -> None:
    root = etree.parse(FIGURES / "errata-teacher-forcing.svg").getroot()
    words = [(float(t.get("x")), float(t.get("y")), t.text) for t in root.iter(f"{SVG}text")]
    forms = {english: german.split() for english, german in page.VERBS}["buy"]
    your = next(your for english, your, _ in page.NOUNS if english == "map").split()
    reference = ["du", forms[0], your[0], "Karte"]
    for side, read, says in (
        (lambda x: x < 320, reference, ["Sie", *reference[1:]]),
        (lambda x: x > 320, ["Sie", forms[2], your[2]], ["Sie", forms[2], your[2], "Karte"]),
    ):
        rows = {
            y: [text for x, at, text in sorted(words) if at == y and side(x)] for y in (82, 152)
        }
        assert rows[82] == says
        assert rows[152] == ["<bos>", *read[:3]]
        same = sum(a == b for a, b in zip(says, reference, strict=True))
        (count,) = [text for x, _, text in words if "as in the reference" in text and side(x)]
        assert count == f"says: {same} of 4 as in the reference"


# dependencies


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("import a.b, c as d", {"a", "c"}),
        ("from e.f import g", {"e"}),
        ("def late():\n    import h\n    from i import j", {"h", "i"}),
        ("text = 'import k'  # import l", set()),
    ],
)
def test_imports_are_found_wherever_they_stand(
    page: SimpleNamespace, program: str, expected: set[str]
) -> None:
    assert page.imports(program) == expected
