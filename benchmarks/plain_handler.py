"""The service that one would write first: FastAPI, and laion-clap's `get_audio_embedding_from_data` for each request.

Run as `python -m benchmarks.plain_handler PORT WEIGHTS` in the environment of `make parity`. It holds a full-size
HTSAT-tiny on random weights, which it also writes to the directory WEIGHTS for others to load.
"""

import importlib
import sys
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import librosa
import torch
import uvicorn
from fastapi import FastAPI, UploadFile
from transformers import BartTokenizer, BertTokenizer, RobertaModel, RobertaTokenizer

from tests.parity import laion
from tests.parity.test_laion_clap import write_tokenizer

SAMPLE_RATE_HZ = 48_000
CHECKPOINT = "tiny.pt"
# What laion-clap imports and its audio side does not use.
UNUSED = ("PIL", "braceexpand", "torchvision.datasets", "webdataset", "wget")


def build_clap_module() -> torch.nn.Module:
    """laion-clap's own `CLAP_Module` with the weights of `laion.build_laion_clap`, made without the hub."""
    model = laion.build_laion_clap("tiny")
    with ExitStack() as patched:
        patched.enter_context(mock.patch.dict(sys.modules, laion.stand_ins(*UNUSED)))
        for kind in (BartTokenizer, BertTokenizer, RobertaTokenizer):
            patched.enter_context(mock.patch.object(kind, "from_pretrained"))
        random_roberta = RobertaModel(laion.ROBERTA_BASE)
        patched.enter_context(mock.patch.object(RobertaModel, "from_pretrained", lambda name: random_roberta))
        module = importlib.import_module("laion_clap").CLAP_Module(enable_fusion=False, device="cpu")
    module.model.load_state_dict(model.state_dict())
    return module


def create_app(clap: torch.nn.Module) -> FastAPI:
    """A route that decodes a file as laion-clap's own example does, and embeds it; and the same without gradients."""
    app = FastAPI()

    @app.post("/embed")
    def embed(audio: UploadFile) -> list[float]:
        waveform, _ = librosa.load(audio.file, sr=SAMPLE_RATE_HZ)
        return clap.get_audio_embedding_from_data(x=waveform[None])[0].tolist()

    @app.post("/embed_without_gradients")
    def embed_without_gradients(audio: UploadFile) -> list[float]:
        with torch.no_grad():  # which laion-clap leaves to its caller, and its example leaves out
            return embed(audio)

    return app


def main() -> None:
    """Build, write the weights, serve until told to end."""
    port, weights = int(sys.argv[1]), Path(sys.argv[2])
    clap = build_clap_module()
    weights.mkdir(parents=True, exist_ok=True)
    write_tokenizer(weights)
    laion.write_laion_checkpoint(clap.model, weights / CHECKPOINT)
    uvicorn.run(create_app(clap), host="127.0.0.1", port=port, access_log=False)


if __name__ == "__main__":
    main()
