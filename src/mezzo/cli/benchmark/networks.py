"""The networks of the training rows, each written once for mezzo and PyTorch alike."""

from __future__ import annotations

import itertools
from types import ModuleType


def mlp(lib: ModuleType):
    """784-1024-1024-10 with relu."""
    nn = lib.nn
    return nn.Sequential(
        nn.Linear(784, 1024), nn.ReLU(), nn.Linear(1024, 1024), nn.ReLU(), nn.Linear(1024, 10)
    )


def _block(lib: ModuleType, width: int, heads: int, causal: bool):
    """A transformer block: attention and a network of four times the width, norms before."""
    nn = lib.nn

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x):
            batch, length, _ = x.shape
            heads_of = self.qkv(self.norm1(x)).view(batch, length, 3, heads, width // heads)
            q, k, v = heads_of.permute(2, 0, 3, 1, 4).unbind(0)
            mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
            x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, width))
            return x + self.down(nn.functional.gelu(self.up(self.norm2(x))))

    return Block()


def gpt(lib: ModuleType, vocabulary: int = 256, length: int = 256, width: int = 256):
    """Six layers, width 256, four heads, bytes."""
    nn = lib.nn

    class GPT(nn.Module):
        def __init__(self):
            super().__init__()
            self.token, self.place = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
            self.blocks = nn.Sequential(*(_block(lib, width, 4, True) for _ in range(6)))
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)
            self.positions = lib.arange(length)

        def forward(self, tokens):
            x = self.token(tokens) + self.place(self.positions)
            return self.head(self.norm(self.blocks(x)))

    return GPT()


def _residual(lib: ModuleType, inner: int, outer: int, stride: int):
    """Two 3x3 convolutions with batch norms beside a shortcut."""
    nn = lib.nn

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(inner, outer, 3, stride, 1, bias=False)
            self.conv2 = nn.Conv2d(outer, outer, 3, 1, 1, bias=False)
            self.norm1, self.norm2 = nn.BatchNorm2d(outer), nn.BatchNorm2d(outer)
            self.shortcut = nn.Identity()
            if stride > 1 or inner != outer:
                self.shortcut = nn.Sequential(
                    nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer)
                )

        def forward(self, x):
            y = nn.functional.relu(self.norm1(self.conv1(x)))
            return nn.functional.relu(self.norm2(self.conv2(y)) + self.shortcut(x))

    return Residual()


def resnet18(lib: ModuleType, classes: int = 1000):
    """He et al. 2016, 18 layers: a 7x7 stem, then two residual blocks of 64, 128, 256 and 512."""
    nn = lib.nn
    widths = (64, 64, 128, 256, 512)
    blocks = []
    for stage, (inner, outer) in enumerate(itertools.pairwise(widths)):
        blocks.append(_residual(lib, inner, outer, 1 if stage == 0 else 2))
        blocks.append(_residual(lib, outer, outer, 1))
    return nn.Sequential(
        nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
        nn.MaxPool2d(3, 2, 1), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(512, classes),
    )  # fmt: skip


def vit_small(lib: ModuleType, classes: int = 1000, width: int = 384):
    """Dosovitskiy et al. 2021 with the S sizes of DeiT: patches of 16, 12 layers of 6 heads."""
    nn = lib.nn

    class ViT(nn.Module):
        def __init__(self):
            super().__init__()
            self.patches = nn.Conv2d(3, width, 16, 16)
            self.token = nn.Parameter(lib.zeros(1, 1, width))
            self.place = nn.Parameter(lib.randn(1, 197, width) * 0.02)
            self.blocks = nn.Sequential(*(_block(lib, width, 6, False) for _ in range(12)))
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

        def forward(self, images):
            x = self.patches(images).flatten(2).transpose(1, 2)
            x = lib.cat([self.token.expand(x.shape[0], -1, -1).to(x.dtype), x], 1) + self.place
            return self.head(self.norm(self.blocks(x))[:, 0])

    return ViT()
