"""float16 with a GradScaler on the digits: the loop PyTorch users write, and what mezzo adds to it.

mezzo's own: `amp.ledger()` tells what ran in which dtype, and `scaler.step()` whether it was skipped.
"""

from __future__ import annotations

import numpy as np

import mezzo as torch
from mezzo.models.digits import DigitsNet, split_digits

torch.manual_seed(0)
data = split_digits()
images = torch.from_numpy(data.train_images[:, None].astype(np.float32) / 16)
labels = torch.from_numpy(data.train_labels.astype(np.int64))

model = DigitsNet()
optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
# Far too large on purpose: the first steps overflow float16, are skipped, and the scale backs off.
scaler = torch.amp.GradScaler("cpu", init_scale=2.0**24)


def step(rows) -> tuple[float, bool]:
    """One step of training: the loss, and whether the scaler skipped it."""
    optimizer.zero_grad()
    with torch.autocast("cpu", dtype=torch.float16):
        loss = torch.nn.functional.cross_entropy(model(images[rows]), labels[rows])
    scaler.scale(loss).backward()
    report = scaler.step(optimizer)
    scaler.update()
    return loss.item(), report.skipped


with torch.amp.ledger() as book:
    step(torch.arange(64))
for operation, dtypes in sorted(book.counts().items()):
    print(f"{operation:24} {', '.join(f'{count} in {name}' for name, count in dtypes.items())}")

for number in range(60):
    loss, skipped = step(torch.randperm(len(labels))[:128])
    if skipped or number % 10 == 0:
        note = "skipped: a gradient overflowed" if skipped else ""
        print(f"step {number:3}  loss {loss:.3f}  scale {scaler.get_scale():>10.0f}  {note}")
