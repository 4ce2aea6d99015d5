"""A byte-level GPT: no tokeniser, 256 symbols, so that any file is training data."""

from __future__ import annotations

import math
from dataclasses import dataclass

import mezzo
from mezzo import nn
from mezzo.nn import functional as F

SYMBOLS = 256


@dataclass(frozen=True)
class GPTConfig:
    """Sizes of a GPT."""

    layers: int = 4
    heads: int = 4
    width: int = 128
    context: int = 128
    dropout: float = 0.0

    def __post_init__(self):
        if self.width % self.heads:
            raise ValueError(
                f"GPTConfig: width {self.width} is not a multiple of heads {self.heads}; every head "
                f"needs the same number of channels. Use width={self.heads * 32}, for instance."
            )


class Attention(nn.Module):
    """Causal self-attention with one projection for queries, keys and values."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.heads = config.heads
        self.project_in = nn.Linear(config.width, 3 * config.width)
        self.project_out = nn.Linear(config.width, config.width)

    def forward(self, x):
        """Mix every position with those before it: (batch, length, width) -> the same."""
        batch, length, width = x.shape
        mixed = self.project_in(x).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = mixed.permute(2, 0, 3, 1, 4).unbind(0)
        seen = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.project_out(seen.transpose(1, 2).reshape(batch, length, width))


class Block(nn.Module):
    """Attention and a two-layer perceptron, each behind a layer norm and added to its input."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width)
        self.attention = Attention(config)
        self.norm2 = nn.LayerNorm(config.width)
        self.perceptron = nn.Sequential(
            nn.Linear(config.width, 4 * config.width),
            nn.GELU(),
            nn.Linear(4 * config.width, config.width),
            nn.Dropout(config.dropout),
        )

    def forward(self, x):
        """One layer: (batch, length, width) -> the same."""
        x = x + self.attention(self.norm1(x))
        return x + self.perceptron(self.norm2(x))


class GPT(nn.Module):
    """A decoder-only transformer over bytes, its output layer tied to its embedding."""

    def __init__(self, config: GPTConfig | None = None):
        super().__init__()
        self.config = config = config or GPTConfig()
        self.symbols = nn.Embedding(SYMBOLS, config.width)
        self.positions = nn.Embedding(config.context, config.width)
        self.blocks = nn.ModuleList([Block(config) for _ in range(config.layers)])
        self.norm = nn.LayerNorm(config.width)
        self._initialise()

    def _initialise(self):
        # Residual branches start small, so that depth does not grow the variance of the sum.
        branch = 0.02 / math.sqrt(2 * self.config.layers)
        for name, parameter in self.named_parameters():
            if parameter.dim() < 2:
                continue
            into_residual = name.endswith(("project_out.weight", "perceptron.2.weight"))
            nn.init.normal_(parameter, 0.0, branch if into_residual else 0.02)
            # Linear biases keep PyTorch's default initialisation.

    def forward(self, tokens):
        """Scores (batch, length, 256) of the byte after each of tokens (batch, length) int64."""
        length = tokens.shape[1]
        if length > self.config.context:
            raise ValueError(
                f"GPT: tokens have length {length}; it must be at most the context, "
                f"{self.config.context}. Pass tokens[:, -{self.config.context}:]."
            )
        x = self.symbols(tokens) + self.positions(mezzo.arange(length, device=tokens.device))
        for block in self.blocks:
            x = block(x)
        return F.linear(self.norm(x), self.symbols.weight)

    def loss(self, tokens, targets):
        """Mean cross entropy in nats per byte of predicting targets (batch, length)."""
        scores = self(tokens)
        return F.cross_entropy(scores.view(-1, SYMBOLS), targets.reshape(-1))


def generate(model: GPT, prompt: bytes, length: int, temperature: float = 0.8) -> bytes:
    """The prompt and `length` more bytes, drawn from the model one at a time.

    Draws by the Gumbel-max trick: the largest score after adding Gumbel noise is a sample of the
    softmax. Raises: ValueError for an empty prompt or a temperature that is not positive.
    """
    if not prompt:
        raise ValueError("generate: argument prompt is empty; it must hold at least one byte.")
    if temperature <= 0:
        raise ValueError(f"generate: temperature is {temperature}; it must be positive.")
    text = list(prompt)
    was_training = model.training
    model.eval()
    with mezzo.no_grad():
        for _ in range(length):
            window = mezzo.tensor([text[-model.config.context :]], dtype=mezzo.int64)
            scores = model(window)[0, -1].float()
            noise = -(-mezzo.rand(SYMBOLS).log()).log()
            text.append(int((scores / temperature + noise).argmax()))
    model.train(was_training)
    return bytes(text)
