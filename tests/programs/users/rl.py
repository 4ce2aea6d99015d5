from collections import deque, namedtuple

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.distributions import Categorical, Normal, kl_divergence
from torch.distributions.normal import Normal as Normal2

Transition = namedtuple("Transition", ("state", "action", "next_state", "reward"))


class ReplayMemory:
    def __init__(self, capacity):
        self.memory = deque(maxlen=capacity)

    def push(self, *args):
        self.memory.append(Transition(*args))

    def sample(self, n, rng):
        return [self.memory[i] for i in rng.choice(len(self.memory), n, replace=False)]

    def __len__(self):
        return len(self.memory)


class DQN(nn.Module):
    def __init__(self, n_obs, n_act):
        super().__init__()
        self.layer1, self.layer2, self.v, self.a = (
            nn.Linear(n_obs, 16),
            nn.Linear(16, 16),
            nn.Linear(16, 1),
            nn.Linear(16, n_act),
        )

    def forward(self, x):
        x = F.relu(self.layer2(F.relu(self.layer1(x))))
        a = self.a(x)
        return self.v(x) + a - a.mean(dim=1, keepdim=True)


def optimize(policy, target, mem, opt, rng, GAMMA=0.9):
    batch = Transition(*zip(*mem.sample(8, rng)))
    non_final_mask = torch.tensor(
        tuple(map(lambda s: s is not None, batch.next_state)), device="cpu", dtype=torch.bool
    )
    nxt = torch.cat([s for s in batch.next_state if s is not None])
    state, action, reward = torch.cat(batch.state), torch.cat(batch.action), torch.cat(batch.reward)
    q = policy(state).gather(1, action)
    nv = torch.zeros(8)
    with torch.no_grad():
        nv[non_final_mask] = target(nxt).max(1).values
    expected = (nv * GAMMA) + reward
    loss = nn.SmoothL1Loss()(q, expected.unsqueeze(1))
    opt.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_value_(policy.parameters(), 100)
    for param in policy.parameters():
        param.grad.data.clamp_(-1, 1)
    opt.step()
    return loss


def layer_init(layer, std=np.sqrt(2), bias_const=0.0):
    torch.nn.init.orthogonal_(layer.weight, std)
    torch.nn.init.constant_(layer.bias, bias_const)
    return layer


class Agent(nn.Module):
    def __init__(self, o=4, a=3):
        super().__init__()
        self.critic = nn.Sequential(
            layer_init(nn.Linear(o, 16)), nn.Tanh(), layer_init(nn.Linear(16, 1), std=1.0)
        )
        self.actor = nn.Sequential(
            layer_init(nn.Linear(o, 16)), nn.Tanh(), layer_init(nn.Linear(16, a), std=0.01)
        )
        self.mean = layer_init(nn.Linear(o, 2))
        self.logstd = nn.Parameter(torch.zeros(1, 2))

    def get_action_and_value(self, x, action=None):
        probs = Categorical(logits=self.actor(x))
        if action is None:
            action = probs.sample()
        return action, probs.log_prob(action), probs.entropy(), self.critic(x)

    def continuous(self, x, action):
        mean = self.mean(x)
        std = torch.exp(self.logstd.expand_as(mean))
        d = Normal(mean, std)
        return d.log_prob(action).sum(1), d.entropy().sum(1), d


def gae(rewards, dones, values, next_value, gamma=0.99, lam=0.95):
    adv = torch.zeros_like(rewards)
    last = 0
    T = rewards.size(0)
    for t in reversed(range(T)):
        nonterminal = 1.0 - dones[t]
        nv = next_value if t == T - 1 else values[t + 1]
        delta = rewards[t] + gamma * nv * nonterminal - values[t]
        adv[t] = last = delta + gamma * lam * nonterminal * last
    return adv, adv + values


def main(record, fill):
    rng = np.random.default_rng(0)
    f = lambda *s: torch.from_numpy(rng.standard_normal(s).astype("float32"))
    policy, target = fill(DQN(4, 3)), DQN(4, 3)
    target.load_state_dict(policy.state_dict())
    target.eval()
    opt = optim.AdamW(policy.parameters(), lr=1e-2, amsgrad=True)
    mem = ReplayMemory(50)
    for i in range(30):
        s = f(1, 4)
        with torch.no_grad():
            action = (
                policy(s).max(1)[1].view(1, 1)
                if i % 3
                else torch.tensor([[int(rng.integers(3))]], dtype=torch.long)
            )
        mem.push(s, action, None if i % 5 == 0 else f(1, 4), torch.tensor([float(i % 4)]))
        if len(mem) >= 8:
            record("dqn", optimize(policy, target, mem, opt, rng))
            t, p = target.state_dict(), policy.state_dict()
            for key in p:
                t[key] = p[key] * 0.05 + t[key] * 0.95
            target.load_state_dict(t)
    agent = fill(Agent())
    opt = optim.Adam(agent.parameters(), lr=2.5e-3, eps=1e-5)
    obs, actions, rewards, dones = (
        torch.zeros((8, 2) + (4,)),
        torch.zeros((8, 2) + ()),
        torch.zeros((8, 2)),
        torch.zeros((8, 2)),
    )
    logp, values = torch.zeros(8, 2), torch.zeros(8, 2)
    for step in range(8):
        obs[step] = f(2, 4)
        with torch.no_grad():
            a = torch.from_numpy(rng.integers(0, 3, 2))
            _, lp, _, v = agent.get_action_and_value(obs[step], a)
            values[step] = v.flatten()
        actions[step], logp[step] = a, lp
        rewards[step] = torch.tensor(np.array([1.0, -0.5], dtype=np.float32)).view(-1)
        dones[step] = torch.Tensor(np.array([step == 3, False]))
    adv, ret = gae(rewards, dones, values, agent.critic(obs[-1]).detach().view(-1))
    record("adv", adv)
    b_obs, b_act, b_log, b_adv, b_ret, b_val = (
        obs.reshape((-1, 4)),
        actions.reshape(-1),
        logp.reshape(-1),
        adv.reshape(-1),
        ret.reshape(-1),
        values.reshape(-1),
    )
    cont = f(16, 2)
    old = None
    for epoch in range(3):
        inds = np.arange(16)
        rng.shuffle(inds)
        for start in range(0, 16, 8):
            mb = inds[start : start + 8]
            _, nl, ent, nv = agent.get_action_and_value(b_obs[mb], b_act.long()[mb])
            logratio = nl - b_log[mb]
            ratio = logratio.exp()
            with torch.no_grad():
                kl = ((ratio - 1) - logratio).mean()
                frac = ((ratio - 1.0).abs() > 0.2).float().mean().item()
            a = b_adv[mb]
            a = (a - a.mean()) / (a.std() + 1e-8)
            pg = torch.max(-a * ratio, -a * torch.clamp(ratio, 1 - 0.2, 1 + 0.2)).mean()
            nv = nv.view(-1)
            vu = (nv - b_ret[mb]) ** 2
            vc = b_val[mb] + torch.clamp(nv - b_val[mb], -0.2, 0.2)
            vl = 0.5 * torch.max(vu, (vc - b_ret[mb]) ** 2).mean()
            lp, e2, d = agent.continuous(b_obs[mb], cont[mb])
            old = Normal2(d.loc.detach() + 0.1, d.scale.detach())
            loss = (
                pg
                - 0.01 * ent.mean()
                + vl * 0.5
                - 0.1 * (lp.mean() + e2.mean())
                + 0.1 * kl_divergence(old, d).mean()
            )
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(agent.parameters(), 0.5)
            opt.step()
            record("ppo", loss), record("kl", kl), record("frac", frac)
    act, lp, en, v = agent.get_action_and_value(f(5, 4))
    record("shape", [*act.shape, *lp.shape, *en.shape, *v.shape])
    record("explained", (1 - (b_ret - b_val).var() / b_ret.var()).item())
    y_pred, y_true = b_val.cpu().numpy(), b_ret.cpu().numpy()
    record("np", float(np.var(y_true)))
