"""Handwritten digits: the UCI test set shipped with mezzo, and a small convolutional network for it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from mezzo import nn

_FILE = Path(__file__).resolve().parent.parent / "_data" / "digits.npz"
CLASSES = 10
SIDE = 8
INK = 16  # the largest pixel value in the file


class Split(NamedTuple):
    """Training and test arrays: images (n, 8, 8) uint8 from 0 to 16, labels (n,) uint8."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


def load_digits() -> tuple[np.ndarray, np.ndarray]:
    """The 1,797 scans and their labels, as NumPy arrays.

    Returns images, uint8 (1797, 8, 8) with values 0 to 16, and labels, uint8 (1797,).
    Source: UCI "Optical Recognition of Handwritten Digits" (CC BY 4.0), see `_data/README.md`.
    """
    with np.load(_FILE) as file:
        return file["images"], file["labels"]


def split_digits(test_fraction: float = 0.4, seed: int = 0) -> Split:
    """The digits split into train and test, the same share of every class, in a seeded order.

    The default keeps 718 scans for the test, so that one scan more or less is 0.14 points.
    Raises: ValueError unless 0 < test_fraction < 1.
    """
    if not 0 < test_fraction < 1:
        raise ValueError(
            f"split_digits: argument test_fraction is {test_fraction}; it must lie between 0 and 1."
        )
    images, labels = load_digits()
    rng = np.random.default_rng(seed)
    train, test = [], []
    for label in range(CLASSES):
        members = rng.permutation(np.flatnonzero(labels == label))
        cut = round(len(members) * test_fraction)
        test.append(members[:cut])
        train.append(members[cut:])
    train_rows = rng.permutation(np.concatenate(train))
    test_rows = np.sort(np.concatenate(test))
    return Split(images[train_rows], labels[train_rows], images[test_rows], labels[test_rows])


class DigitsNet(nn.Module):
    """Two 3x3 convolutions with batch norm, a pooling and two linear layers: 152,000 parameters for 8x8 images."""

    def __init__(self, channels: int = 32, hidden: int = 128, dropout: float = 0.3):
        super().__init__()
        wide = 2 * channels
        self.features = nn.Sequential(
            nn.Conv2d(1, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, wide, 3, padding=1),
            nn.BatchNorm2d(wide),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(wide * (SIDE // 2) ** 2, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, CLASSES),
        )

    def forward(self, images):
        """Scores (n, 10) of images (n, 1, 8, 8) with values around 0 to 1."""
        return self.classifier(self.features(images))
