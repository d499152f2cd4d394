"""The torch back end: any sentence-transformers directory."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketplace_ai.encoding.backend import ATTENTION_MASK, Tokens, num_threads
from marketplace_ai.encoding.dtype import Device, DtypePlan, plan_dtype
from marketplace_ai.encoding.model_directory import check_directory, saved_dtype, weights_hash
from marketplace_ai.encoding.text_encoder import EncoderError

logger = logging.getLogger(__name__)

#: Padded tokens of one device batch, by device. CPU: one batch for each core, measured with the
#: bundled encoder on two cores and short titles, in texts a second: 512 tokens 253, 1024: 227,
#: 2048: 223, 4096: 196 (with both cores on each batch 202, 222, 183, 195). CUDA: the default of
#: text-embeddings-inference (``--max-batch-tokens``).
TOKEN_BUDGET = {"cpu": 512, "cuda": 16384}


class TorchBackend:
    """A loaded directory, on the first visible CUDA device if there is one, else on the CPU.

    The result is that of ``SentenceTransformer.encode(text, normalize_embeddings=True)``, with
    the directory's default prompt applied once, and its own pooling and normalization.
    """

    name = "torch"

    def __init__(
        self,
        path: Path,
        *,
        links_within: Path | None = None,
        dtype: str = "auto",
        device: Device | None = None,
    ) -> None:
        """Check and load the directory ``path``. Raises ``EncoderError``.

        ``links_within`` is for the snapshots of a hub cache, see ``check_directory``; ``dtype``
        is one of ``DTYPES``, see ``plan_dtype``; ``device`` overrides ``Device.detect``.
        """
        path = path.absolute()
        check_directory(path, links_within=links_within)
        # Before loading: if the files change meanwhile, the hash does not match what is
        # registered, and the encoder is refused.
        self.weights_hash = weights_hash(path)
        device = device or Device.detect()
        self.token_budget = TOKEN_BUDGET[device.kind]
        self.device = "cpu" if device.kind == "cpu" else "cuda:0"
        self.num_streams = self._threads = num_threads() if device.kind == "cpu" else 1
        plan = plan_dtype(device, dtype, saved_dtype(path))
        self.model = load_model(path, self.device, plan)
        config = getattr(getattr(self.model[0], "model", None), "config", None)
        #: The attention implementation in use by transformers' name, as 'sdpa'.
        self.attention = str(getattr(config, "_attn_implementation", ""))
        self.prompts: dict[str, str] = {
            name: prompt for name, prompt in self.model.prompts.items() if prompt
        }
        default = self.model.default_prompt_name
        self.prompt: str = self.model.prompts[default] if default else ""
        self.dtype = str(self.model.dtype).removeprefix("torch.")
        self.dimension = int(self.model.get_embedding_dimension() or 0)
        self.max_tokens = int(self.model.max_seq_length or 0)
        if not self.dimension or not self.max_tokens:
            raise EncoderError(
                f"{path} does not say how long its vectors or its texts are; set max_seq_length "
                "and save it again with SentenceTransformer.save_pretrained."
            )
        self.special_tokens: list[str] = self.model.tokenizer.all_special_tokens
        first = self.model[0]
        #: With flash attention a batch is passed as one long text, without any padding.
        self._unpadded = bool(getattr(first, "can_flatten_inputs", False))
        first.unpad_inputs = False  # ``_features`` joins each batch, after tokens were counted

    def tokenize(self, texts: Sequence[str]) -> Tokens:
        features = self.model.preprocess(list(texts), prompt=self.prompt)
        columns = {
            name: value.numpy()
            for name, value in features.items()
            if getattr(value, "ndim", 0) == 2 and value.shape == features[ATTENTION_MASK].shape
        }
        extras = {name: value for name, value in features.items() if name not in columns}
        return Tokens(columns, extras)

    def run(self, tokens: Tokens) -> NDArray[np.float32]:
        import torch

        # torch keeps this number by thread, and each stream is a thread.
        if self.device == "cpu" and torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        with torch.inference_mode():
            features = self._features(tokens)
            moved = {
                name: value.to(self.device) if isinstance(value, torch.Tensor) else value
                for name, value in features.items()
            }
            vectors: NDArray[np.float32] = self.vectors(moved).float().cpu().numpy()
        return vectors

    def vectors(self, features: dict[str, Any]) -> Any:
        """Unit vectors as a tensor, as ``SentenceTransformer.encode`` makes them."""
        import torch

        embeddings = self.model(features)["sentence_embedding"]
        if self.model.truncate_dim is not None:
            embeddings = embeddings[..., : self.model.truncate_dim]
        # In float32: a length rounded to bfloat16 is off by up to 4e-3.
        return torch.nn.functional.normalize(embeddings.float(), p=2, dim=1)

    def set_concurrency(self, batches: int) -> None:
        """Divide the cores among ``batches``: threads that shared a batch would synchronize at
        every layer."""
        self._threads = max(self.num_streams // batches, 1)

    def free_memory(self) -> None:
        import torch

        if self.device != "cpu":
            torch.cuda.empty_cache()

    def _features(self, tokens: Tokens) -> dict[str, Any]:
        import torch

        if not self._unpadded:
            columns = {name: torch.from_numpy(column) for name, column in tokens.columns.items()}
            return {**columns, **tokens.extras}
        first = self.model[0]
        is_token = tokens.columns[ATTENTION_MASK].astype(bool)
        texts = [
            {name: column[row, is_token[row]].tolist() for name, column in tokens.columns.items()}
            for row in range(len(is_token))
        ]
        joined = dict(first.data_collator(texts))
        joined.pop("labels", None)
        # Positions of the RoBERTa family do not start at 0.
        joined["position_ids"] = joined["position_ids"] + first._flatten_position_offset
        return {**joined, **tokens.extras}


def load_model(path: Path, device: str, plan: DtypePlan) -> Any:
    """The model of a directory, without flash attention if it does not support that."""
    if plan.attention is not None:
        try:
            return _load_with(path, device, {"attn_implementation": plan.attention}, plan.dtype)
        except (ImportError, ValueError) as error:
            logger.warning("No %s for %s: %s", plan.attention, path.name, error)
    try:
        return _load_with(path, device, {}, plan.dtype)
    except Exception as error:
        raise EncoderError(
            f"{path} cannot be loaded by sentence-transformers ({type(error).__name__}: {error}). "
            "Save the model again with SentenceTransformer.save_pretrained."
        ) from error


def _load_with(path: Path, device: str, attention: dict[str, str], dtype: str) -> Any:
    from sentence_transformers import SentenceTransformer

    with _quiet():
        model = SentenceTransformer(
            str(path),
            device=device,
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs={"use_safetensors": True, "dtype": dtype, **attention},
        )
    return model.eval()


@contextmanager
def _quiet() -> Iterator[None]:
    # A worker's log needs neither a progress bar for some 200 tensors nor the remark that the
    # directory has a default prompt, which is the one that is applied.
    from transformers.utils import logging as transformers_logging

    bars: Any = transformers_logging  # its functions are untyped
    was_enabled = bars.is_progress_bar_enabled()
    log = logging.getLogger("sentence_transformers.base.model")
    bars.disable_progress_bar()
    log.addFilter(_is_not_prompt_remark)
    try:
        yield
    finally:
        log.removeFilter(_is_not_prompt_remark)
        if was_enabled:
            bars.enable_progress_bar()


def _is_not_prompt_remark(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("Default prompt name is set")
