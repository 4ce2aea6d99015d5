"""Tensors, gradients and a training loop: fit a line to points. Runs in a second."""

from __future__ import annotations

import mezzo as torch

torch.manual_seed(0)

# A derivative: d(x^3)/dx at 2 is 12.
x = torch.tensor(2.0, requires_grad=True)
(x**3).backward()
print("d(x^3)/dx at 2 =", x.grad.item())

# A line, y = 3x - 1, seen through noise.
inputs = torch.linspace(-1, 1, 200).unsqueeze(1)
targets = 3 * inputs - 1 + 0.05 * torch.randn(200, 1)

model = torch.nn.Linear(1, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
for _ in range(100):
    optimizer.zero_grad()
    loss = torch.nn.functional.mse_loss(model(inputs), targets)
    loss.backward()
    optimizer.step()

print(f"fitted: y = {model.weight.item():.2f} x {model.bias.item():+.2f}, loss {loss.item():.4f}")
