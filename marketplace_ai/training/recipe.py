"""The recipe: every hyper-parameter in one place, with where its value comes from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

#: What a row of a pair's positives begins with where the base has no prompts of its own: the
#: model card's pairs are 'Støping av 15,5m2 gulv' with 'query: støpe 15,5m2 gulv'.
POSITIVE_PROMPT = "query: "


@dataclass(frozen=True)
class Recipe:
    """How an encoder is trained.

    The values of the first block are those of the model card that this follows (bge-m3
    fine-tuned on Norwegian job titles); where the card says nothing they are the defaults of the
    trainer it was made with (transformers 4: AdamW, learning rate 5e-5, linear to 0 without
    warm-up, no weight decay, gradients clipped at 1). ``blend`` says how much of it is
    kept. Those of the last block are off in the card.
    """

    epochs: float = 1.0  # card: num_train_epochs
    batch_size: int = 32  # card: per_device_train_batch_size, per_device_eval_batch_size
    #: TripletLoss: Euclidean, ``triplet_margin`` 5. Unit vectors are at most 2 apart, so that
    #: margin never closes: the loss pulls and pushes all triplets alike, the easy ones too.
    margin: float = 5.0
    ranking_scale: float = 20.0  # card: MultipleNegativesRankingLoss, cosine
    score_scale: float = 20.0  # card: CoSENTLoss, cosine
    learning_rate: float = 5e-5  # trainer's default
    warmup: float = 0.0  # trainer's default, a share of the steps
    weight_decay: float = 0.0  # trainer's default
    max_grad_norm: float = 1.0  # trainer's default
    seed: int = 42  # trainer's default

    #: How far the weights go from the base's to where training took them; 1 is the card's. With
    #: all of it the gate refused what was trained, half of the way it did not (docs/training.md).
    blend: float = 0.5

    #: Tokens of a training text; None for as many as the base reads (bge-m3: 8,192).
    max_tokens: int | None = None
    #: The table of word embeddings is trained or stays as it is; "auto": stays on a CPU. It holds
    #: 82% of the weights of multilingual-e5-small, and training texts have few of its words.
    embeddings: Literal["auto", "freeze", "train"] = "auto"
    #: Prefixes of the vector that are trained to be vectors by themselves (Kusupati et al.,
    #: 2022); empty for none.
    matryoshka: tuple[int, ...] = ()
    #: Rows that go through the model at once where the ranking loss works on larger batches
    #: (Gao et al., 2021); None: the whole batch.
    cached: int | None = None
    #: Each pair gets the nearest text of another category, by the base, as a negative.
    hard_negatives: bool = False
    #: Rank of low-rank adapters instead of all weights (Hu et al., 2022); None for none.
    lora: int | None = None
    bf16: bool = False
    gradient_checkpointing: bool = False
    #: Evaluations without a better one after which training stops, keeping the best; None: never.
    patience: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values for JSON."""
        return asdict(self)

    def problems(self) -> list[str]:
        """What is wrong with it, each with what would be right; empty where it can be used."""
        found = [
            f"{name} must be more than 0, not {value}"
            for name, value in (
                ("epochs", self.epochs), ("margin", self.margin),
                ("learning rate", self.learning_rate),
                ("scale", min(self.ranking_scale, self.score_scale)),
            )
            if not value > 0
        ]  # fmt: skip
        if self.batch_size < 2:
            found.append(f"the batch size must be 2 or more, not {self.batch_size}")
        for name, number in (
            ("tokens", self.max_tokens), ("rows at once", self.cached),
            ("rank of the adapters", self.lora), ("patience", self.patience),
        ):  # fmt: skip
            if number is not None and number < 1:
                found.append(f"{name} must be 1 or more, not {number}")
        if any(size < 1 for size in self.matryoshka):
            found.append(f"dimensions must be 1 or more, not {self.matryoshka}")
        if not 0 <= self.seed < 1 << 32:
            found.append(f"the seed must lie between 0 and 2^32 - 1, not at {self.seed}")
        if not 0 < self.blend <= 1:
            found.append(f"the blend must be more than 0, and 1 at most, not {self.blend}")
        if not 0 <= self.warmup < 1:
            found.append(f"the warm-up is a share of the steps below 1, not {self.warmup}")
        return found
