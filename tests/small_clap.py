"""A CLAP of random weights, small enough to build in a test: `python -m tests.small_clap DIRECTORY`."""

import sys
from pathlib import Path

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import ClapConfig, ClapModel, RobertaTokenizerFast

SPECIAL_TOKENS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
CORPUS = [
    "This is a sound of a dog barking, a cat, rain on a roof, sea waves, a crying baby, a clock ticking.",
    "This is a sound of a person sneezing, a helicopter, a chainsaw, a rooster, a fire crackling.",
]


def write_small_clap(directory: Path, *, seed: int = 0) -> Path:
    """Write a random CLAP of 16 channels in transformers' layout to `directory`, and return it."""
    directory.mkdir(parents=True, exist_ok=True)
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(CORPUS, vocab_size=400, min_frequency=1, special_tokens=SPECIAL_TOKENS, show_progress=False)
    bpe.save_model(str(directory))
    tokenizer = RobertaTokenizerFast.from_pretrained(directory, model_max_length=77)
    tokenizer.save_pretrained(directory)
    torch.manual_seed(seed)
    model = ClapModel(small_config(vocab_size=len(tokenizer)))
    with torch.no_grad():
        for parameter in model.parameters():  # transformers' own start is too near to zero to tell sounds apart
            if parameter.ndim > 1:
                parameter.normal_(std=parameter.shape[-1] ** -0.5)
        batch_norm = model.audio_model.audio_encoder.batch_norm
        batch_norm.running_mean.uniform_(-60, -40)
        batch_norm.running_var.uniform_(300, 1500)
    model.eval().save_pretrained(directory)
    return directory


def small_config(*, vocab_size: int) -> ClapConfig:
    text = {
        "vocab_size": vocab_size,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 80,
        "projection_dim": 48,
    }
    audio = {
        "patch_embeds_hidden_size": 16,
        "hidden_size": 128,
        "depths": [2, 2, 2, 2],
        "num_attention_heads": [2, 4, 8, 16],
        "projection_dim": 48,
        "num_mel_bins": 64,
        "spec_size": 256,
        "window_size": 8,
        "enable_fusion": False,
    }
    return ClapConfig(text_config=text, audio_config=audio, projection_dim=48, logit_scale_init_value=14.3)


if __name__ == "__main__":
    print(write_small_clap(Path(sys.argv[1])))
