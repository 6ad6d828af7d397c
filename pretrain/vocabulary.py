"""The tokenizer: RoBERTa's byte-level BPE, small, over the captions and common English words."""

from pathlib import Path

import numpy as np
from tokenizers import ByteLevelBPETokenizer
from transformers import PreTrainedTokenizerBase, RobertaTokenizerFast

from pretrain.captions import corpus

SPECIAL_TOKENS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
MAX_TOKENS = 77
VOCABULARY_SIZE = 2048
# Names that no family has, so that the words of a new class break into a few pieces rather than into bytes.
COMMON = (
    "machine motor pump valve bearing gearbox compressor turbine conveyor leak normal faulty broken noise voice "
    "music bass snare kick hi-hat saxophone clarinet harp banjo ukulele cello harmonica tambourine marimba opera "
    "choir happy sad angry neutral fear surprise disgust calm male female man woman child boy girl adult old "
    "young street park metro station airport bus tram shopping mall square office kitchen bathroom bedroom "
    "library restaurant forest beach lake field garden city village night day morning summer winter water air ice "
    "snow stone metal wood plastic rubber glass wheel brake tyre tractor boat ship submarine rocket elevator "
    "escalator lock key switch button bottle cup plate knife zipper scissors broom brush tooth razor camera "
    "bicycle skateboard ball bat racket game crash bang pop click crack squeak squeal scratch scrape hiss roar "
    "growl howl chirp tweet gobble turkey duck lion tiger elephant monkey wolf snake mouse rat insect wasp "
    "mosquito whale dolphin seal donkey parrot pigeon sparrow robin owl eagle heart beat lung wheeze stomach "
    "swallow eat drink chew gargle hiccup burp cry sob shout whisper yell cheer gasp sigh yawn one two three four "
    "five six seven eight nine zero yes no up down left right on off stop go class other unknown background"
)


def train_tokenizer(directory: Path, *, seed: int = 0) -> PreTrainedTokenizerBase:
    """Write a tokenizer to `directory` in transformers' layout, and return it."""
    directory.mkdir(parents=True, exist_ok=True)
    texts = corpus(np.random.default_rng(seed), 6000) + [f"This is a sound of {word}." for word in COMMON.split()] * 3
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(
        texts, vocab_size=VOCABULARY_SIZE, min_frequency=2, special_tokens=SPECIAL_TOKENS, show_progress=False
    )
    bpe.save_model(str(directory))
    tokenizer = RobertaTokenizerFast.from_pretrained(directory, model_max_length=MAX_TOKENS)
    tokenizer.save_pretrained(directory)
    return tokenizer
