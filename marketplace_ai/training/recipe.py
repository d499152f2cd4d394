"""The training recipe: every hyperparameter and its default, with the source of the value."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

#: Prefix of the positives of pairs where the base model has no prompts: the reference model card
#: pairs 'Støping av 15,5m2 gulv' with 'query: støpe 15,5m2 gulv'.
POSITIVE_PROMPT = "query: "


@dataclass(frozen=True)
class Recipe:
    """The hyperparameters of one training.

    The first block has the values of the reference model card (bge-m3 fine-tuned on Norwegian
    job titles). What the card does not state is the default of the trainer it was made with
    (transformers 4: AdamW, learning rate 5e-5, linear decay to 0 without warm-up, no weight
    decay, gradients clipped at 1). The options of the last block are off in the card.
    """

    epochs: float = 1.0  # card: num_train_epochs
    batch_size: int = 32  # card: per_device_train_batch_size, per_device_eval_batch_size
    #: TripletLoss: Euclidean, ``triplet_margin`` 5. Unit vectors are at most 2 apart, so no
    #: triplet ever reaches the margin, and the loss acts on easy triplets as on hard ones.
    margin: float = 5.0
    ranking_scale: float = 20.0  # card: MultipleNegativesRankingLoss, cosine
    score_scale: float = 20.0  # card: CoSENTLoss, cosine
    learning_rate: float = 5e-5  # trainer's default
    warmup: float = 0.0  # trainer's default, a share of the steps
    weight_decay: float = 0.0  # trainer's default
    max_grad_norm: float = 1.0  # trainer's default
    seed: int = 42  # trainer's default

    #: Weight interpolation (WiSE-FT): 0 would be the base, 1 is the fine-tuned model and what the
    #: card has. At 1 the promotion gate refused the result, at 0.5 it did not (docs/training.md).
    interpolation_alpha: float = 0.5

    #: Tokens of a training text; None: as many as the base reads (bge-m3: 8,192).
    max_tokens: int | None = None
    #: Whether the word embeddings are trained; "auto": only on a GPU. They are 82% of the weights
    #: of multilingual-e5-small, and training texts contain few of its words.
    embeddings: Literal["auto", "freeze", "train"] = "auto"
    #: Vector sizes that are trained as prefixes of the vector (Kusupati et al., 2022).
    matryoshka: tuple[int, ...] = ()
    #: Rows per forward pass of the ranking loss, for batches that do not fit into memory
    #: (GradCache: Gao et al., 2021); None: the whole batch.
    gradcache_mini_batch_size: int | None = None
    #: Adds to each pair the nearest text of another category, by the base, as a negative.
    hard_negatives: bool = False
    #: Rank of low-rank adapters (Hu et al., 2022); None: all weights are trained.
    lora: int | None = None
    bf16: bool = False
    gradient_checkpointing: bool = False
    #: Evaluations without improvement before training stops and keeps the best; None: never.
    patience: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """The recipe as plain values for JSON."""
        return asdict(self)

    def problems(self) -> list[str]:
        """Values that cannot be used, one sentence each; empty for a valid recipe."""
        problems = [
            f"{name} must be more than 0, not {value}"
            for name, value in (
                ("epochs", self.epochs), ("margin", self.margin),
                ("learning rate", self.learning_rate),
                ("scale", min(self.ranking_scale, self.score_scale)),
            )
            if not value > 0
        ]  # fmt: skip
        if self.batch_size < 2:
            problems.append(f"the batch size must be 2 or more, not {self.batch_size}")
        for name, number in (
            ("the number of tokens", self.max_tokens),
            ("the GradCache mini-batch size", self.gradcache_mini_batch_size),
            ("the rank of the adapters", self.lora), ("patience", self.patience),
        ):  # fmt: skip
            if number is not None and number < 1:
                problems.append(f"{name} must be 1 or more, not {number}")
        if any(size < 1 for size in self.matryoshka):
            problems.append(f"vector sizes must be 1 or more, not {self.matryoshka}")
        if not 0 <= self.seed < 1 << 32:
            problems.append(f"the seed must lie between 0 and 2^32 - 1, not at {self.seed}")
        if not 0 < self.interpolation_alpha <= 1:
            problems.append(
                "the interpolation coefficient must be more than 0 and at most 1, not "
                f"{self.interpolation_alpha}"
            )
        if not 0 <= self.warmup < 1:
            problems.append(f"the warm-up is a share of the steps below 1, not {self.warmup}")
        return problems
