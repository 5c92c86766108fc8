"""A model's file for browsers holds the model, to the error of its rounding, and nothing else."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models

from snippets.training.checkpoint import CheckpointError
from snippets.training.export import export, main, packed, quantized, read_export
from snippets.training.translate import load_translator
from tests import ROOT

RELEASED = ROOT / "docs/assets/models/de-en"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(RELEASED, tmp_path_factory.mktemp("exported") / "translator.bin")


def test_a_rounded_number_is_off_by_half_of_its_rows_scale_at_most() -> None:
    weight = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    weight[1] *= 1000
    weight[3] = 0
    rounded, scale = quantized(weight)
    assert rounded.dtype == torch.int8
    assert scale.shape == (5, 1)
    error = (rounded * scale - weight).abs()
    assert (error <= scale / 2 * (1 + 1e-6)).all()
    assert (rounded.abs().amax(1) == torch.tensor([127, 127, 127, 0, 127])).all()


def test_the_file_holds_every_parameter_once(exported: Path) -> None:
    model, tokenizer, config = load_translator(RELEASED / "model.safetensors")
    tensors, facts = read_export(exported)
    kept = dict(model.named_parameters())
    assert tensors.keys() == kept.keys()
    for name, value in kept.items():
        assert tensors[name].dtype == torch.float32
        if value.dim() == 1:
            assert torch.equal(tensors[name], value)
        else:
            scale = value.detach().abs().amax(1, keepdim=True) / 127
            assert ((tensors[name] - value).abs() <= scale * 0.5001).all(), name
    assert facts["config"] == {
        "src": "de", "tgt": "en", "d_model": config.d_model, "n_heads": config.n_heads,
        "n_layers": config.n_layers, "d_ff": config.d_ff,
        "vocab_size": tokenizer.get_vocab_size(), "bits": 8,
    }  # fmt: skip
    matrices = sum(value.numel() for value in kept.values() if value.dim() == 2)
    assert matrices < exported.stat().st_size < 1.09 * matrices


def test_two_exports_are_the_same_bytes(exported: Path, tmp_path: Path) -> None:
    again = export(RELEASED / "model.safetensors", tmp_path / "again.bin")
    assert again.read_bytes() == exported.read_bytes()


def test_sixteen_bits_are_the_released_weights_to_the_bit(tmp_path: Path) -> None:
    tensors, facts = read_export(export(RELEASED, tmp_path / "half.bin", bits=16))
    model, _, _ = load_translator(RELEASED / "model.safetensors")
    for name, value in model.named_parameters():
        assert torch.equal(tensors[name], value), name
    assert facts["config"]["bits"] == 16


def test_a_damaged_file_is_refused(exported: Path, tmp_path: Path) -> None:
    whole = exported.read_bytes()
    for name, data in {
        "cut short": whole[:-1],
        "one bit": whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:],
        "its header": whole.replace(b'"n_heads":4', b'"n_heads":8'),
        "another version": whole[:12] + b"\2" + whole[13:],
        "empty": b"",
    }.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(CheckpointError, match="damaged or no exported model"):
            read_export(tmp_path / name)
    with pytest.raises(CheckpointError, match="cannot be read: No such file"):
        read_export(tmp_path / "nowhere")


def test_what_the_browsers_program_does_not_know_is_refused() -> None:
    _, tokenizer, config = load_translator(RELEASED / "model.safetensors")
    with pytest.raises(CheckpointError, match="pre-norm models only"):
        packed({}, tokenizer, replace(config, norm_first=False), 8)
    words = Tokenizer(models.WordLevel({"<unk>": 0}, "<unk>"))
    lowercase = Tokenizer.from_str(tokenizer.to_str().replace('"NFC"', '"NFKC"'))
    for other in (words, lowercase):
        with pytest.raises(CheckpointError, match=r"not one that snippets\.training\.data makes"):
            packed({}, other, config, 8)
    for value, bits, problem in (
        (torch.nan, 8, "W holds a number that is not finite"),
        (70_000, 16, "W does not fit half precision"),
    ):
        with pytest.raises(CheckpointError, match=problem):
            packed({"W": torch.full((2, 2), value)}, tokenizer, config, bits)
    with pytest.raises(ValueError, match="bits must be 8 or 16, not 4"):
        export(RELEASED, Path("nowhere"), bits=4)


def test_the_command_names_the_checksum_and_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "made" / "translator.bin"
    main([f"--weights={RELEASED}", f"--out={out}"])
    digest = hashlib.sha256(out.read_bytes()).hexdigest()
    assert capsys.readouterr().out == f"{digest}  {out}\n"
    assert [path.name for path in out.parent.iterdir()] == ["translator.bin"]
    with pytest.raises(SystemExit, match="holds 0 sets of weights"):
        main([f"--weights={tmp_path}", f"--out={tmp_path / 'other.bin'}"])
    with pytest.raises(SystemExit, match="cannot be written"):
        main([f"--weights={RELEASED}", f"--out={out / 'below' / 'a-file.bin'}"])
