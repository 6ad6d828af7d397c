"""The frozen CLAP, its stages in the open: read `audio_head` and `audio_tail` beside figure 1 of arXiv 2606.15751."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aspl.errors import DeviceUnavailable, LabelsInvalid
from aspl.features import AudioFeatures
from aspl.model.checkpoints import Checkpoint, load_checkpoint
from aspl.model.stage_features import StageFeatures
from aspl.model.swin import PatchEmbedding, SwinStage
from aspl.prompts.audio import AudioPrompts
from aspl.sound.log_mel import FrontEnd, LogMel
from aspl.stage_layout import StageLayout

# B clips, N samples, T frames or tokens, M mel bins, C channels, E pooled width, D joint width, K texts, L text tokens,
# d text width, S numbers of all Swin stages

# Later stages gather from all frequencies and times anyway: their peaks told little, and have as many channels again.
PEAK_STAGES = 2


class FrozenClap(nn.Module):
    """One unfused LAION CLAP that is never trained; every adapter of every tenant runs through it.

    Attributes:
        name, licence, fingerprint: of the checkpoint.
        joint_width, pooled_width, text_width: D, E and d.
        layout: of what the Swin stages give; statistics_width: S, its width.
        stage_widths: channels at the spectral, token and structural stage.
        logit_scale: the checkpoint's own scale of audio-to-text cosines.
        batch_norm_mean, batch_norm_std: `[M]` in dB, the running statistics that the spectral stage is trained in.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__()
        model = checkpoint.model.requires_grad_(False).eval()
        encoder, config = model.audio_model.audio_encoder, model.config.audio_config
        self.name, self.licence, self.fingerprint = checkpoint.name, checkpoint.licence, checkpoint.fingerprint
        self.tokenizer = checkpoint.tokenizer
        self.front_end = FrontEnd()
        self.mel_bins: int = config.num_mel_bins
        self.joint_width: int = model.config.projection_dim
        self.pooled_width: int = config.hidden_size
        self.text_width: int = model.config.text_config.hidden_size
        self.stage_widths = {
            "spectral": config.num_mel_bins,
            "token": config.patch_embeds_hidden_size,
            "structural": 2 * config.patch_embeds_hidden_size,
        }
        self.logit_scale = float(model.logit_scale_a.exp())
        self.max_text_tokens: int = min(77, model.config.text_config.max_position_embeddings - 2)

        self._log_mel = LogMel(self.front_end)
        self.text_model, self.text_projection = model.text_model, model.text_projection
        self.batch_norm = encoder.batch_norm
        self.register_buffer("batch_norm_mean", encoder.batch_norm.running_mean.clone())
        self.register_buffer("batch_norm_std", (encoder.batch_norm.running_var + encoder.batch_norm.eps).sqrt())
        self._image_side: int = config.spec_size
        folds = config.spec_size // config.num_mel_bins
        self.swin = nn.ModuleList(
            SwinStage(stage, resolution, config.window_size, folds if index < PEAK_STAGES else None)
            for index, (stage, resolution) in enumerate(zip(encoder.layers, encoder.input_resolutions, strict=True))
        )
        self.patch_embedding = PatchEmbedding(encoder.patch_embed, self.swin[0].first_order)
        self.norm = encoder.norm
        widths = tuple(config.patch_embeds_hidden_size * 2**i for i in range(len(self.swin)))
        peaks = tuple(stage.num_bands * width for stage, width in zip(self.swin, widths, strict=True))
        self.layout = StageLayout(widths, peaks[:PEAK_STAGES])
        self.statistics_width = self.layout.width
        self.audio_projection = model.audio_projection

    @classmethod
    def load(
        cls,
        source: str | Path,
        device: str | torch.device = "cpu",
        dtype: torch.dtype = torch.float32,
        *,
        revision: str | None = None,
        tokenizer: str | Path | None = None,
    ) -> Self:
        """Load a checkpoint (see `aspl.model.checkpoints`) onto `device` in `dtype`, float32 or bfloat16.

        The log-mel, the spectral prompt and batch norm stay in float32 whatever `dtype` is.

        Raises:
            CheckpointNotFound, CheckpointInvalid: what the checkpoint is not.
            DeviceUnavailable: a device that is not here, or another `dtype`.
        """
        _check_device(torch.device(device), dtype)
        with torch.no_grad():
            clap = cls(load_checkpoint(source, revision=revision, tokenizer=tokenizer))
        clap.requires_grad_(False).eval()
        for part in (clap.patch_embedding, clap.swin, clap.norm, clap.audio_projection):
            part.to(dtype)
        return clap.to(device)

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode: batch statistics, drop-path and dropout have no place in a frozen model."""
        return super().train(False)

    @property
    def device(self) -> torch.device:
        return self.batch_norm_mean.device

    @property
    def dtype(self) -> torch.dtype:
        return self.norm.weight.dtype

    @cached_property
    def mel_centres_hz(self) -> np.ndarray:
        """`[M]`, of the mel bins."""
        return self._log_mel.centres_hz

    def log_mel(self, waveforms: Tensor) -> Tensor:
        """Return the log-mel in dB, float32 `[B, 1, T, M]`, of 10 s waveforms `[B, 480000]` at 48 kHz."""
        return self._log_mel(waveforms.to(self.device))

    def encode_audio(self, log_mel: Tensor, prompts: AudioPrompts | None = None) -> Tensor:
        """Return embeddings, float32 `[B, D]` of unit norm, of log-mels `[B, 1, T, M]` in dB under `prompts`."""
        return self.project_audio(self.pool_audio(log_mel, prompts))

    def hear(self, log_mel: Tensor, prompts: AudioPrompts | None = None, *, stages: bool = False) -> AudioFeatures:
        """Return the features of log-mels `[B, 1, T, M]` in dB under `prompts`, from one pass.

        Args:
            stages: whether statistics and peaks of the stages are wanted too.
        """
        if not stages:
            return AudioFeatures(self.encode_audio(log_mel, prompts))
        prompts, heard = prompts or AudioPrompts(), StageFeatures()
        pooled = self.audio_tail(self.audio_head(log_mel, prompts, heard), prompts, heard)
        return AudioFeatures(self.project_audio(pooled), heard.joined())

    def pool_audio(self, log_mel: Tensor, prompts: AudioPrompts | None = None) -> Tensor:
        """Return the mean over tokens before the projection, float32 `[B, E]`."""
        prompts = prompts or AudioPrompts()
        return self.audio_tail(self.audio_head(log_mel, prompts), prompts)

    def audio_head(self, log_mel: Tensor, prompts: AudioPrompts, heard: StageFeatures | None = None) -> Tensor:
        """Run everything before the structural prompt: `[B, 1, T, M]` dB -> tokens `[B, T / 4, 2C]` in window order.

        Args:
            heard: takes what stage 1 gives.
        """
        x = log_mel if prompts.spectral is None else prompts.spectral(log_mel)
        x = self.batch_norm(x.transpose(1, 3)).transpose(1, 3)  # [B, 1, T, M], running statistics
        x = self._fold(x)  # [B, 1, 256, 256]
        x = self.patch_embedding(x.to(self.dtype))  # [B, T, C] in window order
        if prompts.token is not None:
            x = prompts.token(x)
        x = self.swin[0].run_blocks(x)
        if heard is not None:
            heard.take(x, self.swin[0])
        return self.swin[0].merge(x)

    def audio_tail(self, tokens: Tensor, prompts: AudioPrompts, heard: StageFeatures | None = None) -> Tensor:
        """Run the structural prompt and everything after it: tokens `[B, T / 4, 2C]` -> pooled `[B, E]`.

        Args:
            heard: takes what each later stage gives, the last one after the layer norm.
        """
        x = tokens if prompts.structural is None else prompts.structural(tokens)
        for stage in self.swin[1:]:
            x = stage.run_blocks(x)
            if heard is not None and stage is not self.swin[-1]:
                heard.take(x, stage)
            x = stage.merge(x)
        x = self.norm(x)
        if heard is not None:
            heard.take(x, self.swin[-1])
        return x.float().mean(1)

    def project_audio(self, pooled: Tensor) -> Tensor:
        """Return embeddings of unit norm, float32 `[B, D]`, of pooled features `[B, E]`."""
        return F.normalize(self.audio_projection(pooled.to(self.dtype)).float(), dim=-1)

    def encode_text(self, texts: Sequence[str]) -> Tensor:
        """Return embeddings, float32 `[K, D]` of unit norm, of texts.

        Raises:
            LabelsInvalid: a text of more tokens than the text encoder was trained with, by name.
        """
        tokens = self.tokenize(texts)
        length = max(len(ids) for ids in tokens)
        ids = torch.full((len(tokens), length), self.tokenizer.pad_token_id)
        for row, token_ids in enumerate(tokens):
            ids[row, : len(token_ids)] = torch.tensor(token_ids)
        mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in tokens])
        return self.encode_token_embeddings(self.embed_tokens(ids.to(self.device)), mask.to(self.device))

    def tokenize(self, texts: Sequence[str], *, reserve: int = 0) -> list[list[int]]:
        """Return the token ids of each text, start and end included, not padded; `reserve` tokens are kept free.

        Raises:
            LabelsInvalid: a text that does not fit, by name.
        """
        token_ids = self.tokenizer(list(texts), padding=False, truncation=False, verbose=False)["input_ids"]
        for text, ids in zip(texts, token_ids, strict=True):
            limit = self.max_text_tokens - reserve
            if len(ids) > limit:
                raise LabelsInvalid(f"{text!r} takes {len(ids)} tokens; the text encoder takes {limit}: shorten it")
        return token_ids

    def embed_tokens(self, token_ids: Tensor) -> Tensor:
        """Return word embeddings `[..., L, d]` of token ids `[..., L]`, before positions are added."""
        return self.text_model.embeddings.word_embeddings(token_ids)

    def encode_token_embeddings(self, embeddings: Tensor, mask: Tensor, *, chunk: int = 128) -> Tensor:
        """Return text embeddings of unit norm `[K, D]` of word embeddings `[K, L, d]` padded on the right.

        Args:
            mask: `[K, L]`, 1 for a token and 0 for padding.
            chunk: the most rows in one pass of the text encoder.
        """
        rows = []
        for start in range(0, len(embeddings), chunk):
            part = slice(start, start + chunk)
            pooled = self.text_model(inputs_embeds=embeddings[part], attention_mask=mask[part]).pooler_output
            rows.append(F.normalize(self.text_projection(pooled), dim=-1))
        return torch.cat(rows)

    def _fold(self, x: Tensor) -> Tensor:
        """Stretch `[B, 1, T, M]` to 256 * 256 / M frames and fold it into an image `[B, 1, 256, 256]` (HTS-AT, 3.1)."""
        side = self._image_side
        folds = side // x.shape[3]
        x = F.interpolate(x, (side * folds, x.shape[3]), mode="bicubic", align_corners=True)
        return x.reshape(len(x), folds, side, -1).transpose(2, 3).reshape(len(x), 1, side, side)


def _check_device(device: torch.device, dtype: torch.dtype) -> None:
    if device.type not in ("cpu", "cuda"):
        raise DeviceUnavailable(f"no device {device}: take cpu or cuda")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise DeviceUnavailable(f"no device {device} here: torch {torch.__version__} sees {torch.cuda.device_count()}")
    if dtype not in (torch.float32, torch.bfloat16):
        raise DeviceUnavailable(f"the model runs in float32 or bfloat16, not in {dtype}")
