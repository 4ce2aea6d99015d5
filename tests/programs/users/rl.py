"""Reinforcement learning: Q-learning from a replay buffer with a slow target, and clipped policy gradients."""

import random
from collections import deque

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.distributions import Categorical, kl_divergence
from torch.distributions.normal import Normal


class Duel(nn.Module):
    """Values of actions as a state's value and what each action adds."""

    def __init__(self, sees, acts):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(sees, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU())
        self.state, self.gain = nn.Linear(16, 1), nn.Linear(16, acts)

    def forward(self, x):
        x = self.body(x)
        gain = self.gain(x)
        return self.state(x) + gain - gain.mean(-1, keepdim=True)


class Buffer:
    def __init__(self, size):
        self.items = deque(maxlen=size)

    def sample(self, rng, count):
        chosen = [self.items[i] for i in rng.choice(len(self.items), count, replace=False)]
        return tuple(torch.as_tensor(np.stack(column)) for column in zip(*chosen))


def improve(online, slow, buffer, optimizer, rng, discount=0.9):
    seen, acted, paid, then, over = buffer.sample(rng, 8)
    told = online(seen).gather(1, acted.unsqueeze(1)).squeeze(1)
    with torch.no_grad():
        best = online(then).argmax(
            dim=1, keepdim=True
        )  # chosen by one network, valued by the other
        ahead = slow(then).gather(1, best).squeeze(1)
        ahead[over] = 0.0
    loss = F.smooth_l1_loss(told, paid + discount * ahead)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_value_(online.parameters(), 1.0)
    optimizer.step()
    return loss


class Player(nn.Module):
    def __init__(self, sees=4, acts=3):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(sees, 16), nn.Tanh())
        self.choice, self.value, self.mean = nn.Linear(16, acts), nn.Linear(16, 1), nn.Linear(16, 2)
        self.log_std = nn.Parameter(torch.zeros(2))
        for layer, gain in (
            (self.body[0], 2**0.5),
            (self.choice, 0.01),
            (self.value, 1.0),
            (self.mean, 0.01),
        ):
            nn.init.orthogonal_(layer.weight, gain)
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        h = self.body(x)
        mean = self.mean(h)
        return (
            Categorical(logits=self.choice(h)),
            Normal(mean, self.log_std.exp().expand_as(mean)),
            self.value(h).squeeze(-1),
        )


def advantages(paid, over, values, last, discount=0.99, decay=0.95):
    found, carried = torch.empty_like(paid), 0.0
    for t in range(len(paid) - 1, -1, -1):
        goes_on = 1.0 - over[t].float()
        ahead = last if t == len(paid) - 1 else values[t + 1]
        carried = (
            paid[t] + discount * ahead * goes_on - values[t] + discount * decay * goes_on * carried
        )
        found[t] = carried
    return found


def learn_values(record, fill, rng):
    random.seed(0)
    online, slow = fill(Duel(4, 3)), Duel(4, 3)
    slow.load_state_dict(online.state_dict())
    slow.eval()
    optimizer, buffer = torch.optim.AdamW(online.parameters(), lr=1e-2, amsgrad=True), Buffer(25)
    for i in range(30):
        seen = rng.standard_normal(4).astype(np.float32)
        with torch.no_grad():
            act = (
                int(rng.integers(3))
                if i % 3 == 0
                else online(torch.from_numpy(seen)).argmax().item()
            )
        then = rng.standard_normal(4).astype(np.float32)
        buffer.items.append((seen, np.int64(act), np.float32(i % 4), then, np.bool_(i % 5 == 0)))
        if len(buffer.items) >= 8:
            record("values", improve(online, slow, buffer, optimizer, rng))
            mixed = {
                k: torch.lerp(v, online.state_dict()[k], 0.05) for k, v in slow.state_dict().items()
            }
            slow.load_state_dict(mixed)


def learn_policy(record, fill, rng):
    player = fill(Player())
    optimizer = torch.optim.Adam(player.parameters(), lr=2.5e-3, eps=1e-5)
    seen = torch.from_numpy(rng.standard_normal((8, 2, 4)).astype(np.float32))
    acts, turns = (
        torch.from_numpy(rng.integers(0, 3, (8, 2))),
        torch.from_numpy(rng.standard_normal((8, 2, 2)).astype(np.float32)),
    )
    paid = torch.tensor(np.tile(np.array([1.0, -0.5], dtype=np.float32), (8, 1)))
    over = torch.zeros(8, 2, dtype=torch.bool)
    over[3, 0] = True
    with torch.no_grad():
        choice, turn, values = player(seen)
        before, old = choice.log_prob(acts), Normal(turn.loc + 0.1, turn.scale)
        gained = advantages(paid, over, values, values[-1])
    record("gained", gained)
    flat = [t.flatten(0, 1) for t in (seen, acts, before, gained, values, turns)]
    for _ in range(3):
        for rows in np.array_split(rng.permutation(16), 2):
            x, a, b, gain, value, turned = (t[rows] for t in flat)
            choice, turn, told = player(x)
            ratio = (choice.log_prob(a) - b).exp()
            scaled = (gain - gain.mean()) / (gain.std() + 1e-8)
            policy = -torch.minimum(ratio * scaled, ratio.clamp(0.8, 1.2) * scaled).mean()
            held = value + (told - value).clamp(-0.2, 0.2)
            fit = 0.5 * torch.maximum((told - gain - value) ** 2, (held - gain - value) ** 2).mean()
            near = Normal(turn.loc.detach() + 0.1, turn.scale.detach())
            motion = -turn.log_prob(turned).sum(-1).mean() + 0.1 * kl_divergence(near, turn).mean()
            loss = policy + 0.5 * fit - 0.01 * choice.entropy().mean() + 0.1 * motion
            optimizer.zero_grad()
            loss.backward()
            record("norm", nn.utils.clip_grad_norm_(player.parameters(), 0.5))
            optimizer.step()
            (
                record("policy", loss),
                record("clipped", (ratio.sub(1).abs() > 0.2).float().mean().item()),
            )
    choice, turn, _ = player(seen)
    record("shapes", [*choice.sample().shape, *turn.rsample((3,)).shape, *choice.probs.shape])
    record("old", old.loc.mean()), record("told", 1 - (paid - values).var() / paid.var())


def main(record, fill):
    rng = np.random.default_rng(0)
    learn_values(record, fill, rng)
    learn_policy(record, fill, rng)
