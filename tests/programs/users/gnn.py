import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


def degree(index, n):
    out = torch.zeros(n)
    return out.scatter_add_(0, index, out.new_ones((index.size(0),)))


class GCNConv(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.lin = nn.Linear(i, o, bias=False)
        self.bias = nn.Parameter(torch.zeros(o))

    def forward(self, x, edge_index):
        n = x.size(0)
        loops = torch.arange(n).unsqueeze(0).repeat(2, 1)
        edge_index = torch.cat([edge_index, loops], dim=1)
        row, col = edge_index
        deg = degree(col, n)
        dis = deg.pow(-0.5)
        dis[dis == float("inf")] = 0
        norm = dis[row] * dis[col]
        h = self.lin(x)
        out = torch.zeros_like(h).index_add_(0, col, norm.view(-1, 1) * h[row])
        return out + self.bias


class GATConv(nn.Module):
    def __init__(self, i, o, heads=2):
        super().__init__()
        self.heads, self.o = heads, o
        self.lin = nn.Linear(i, heads * o, bias=False)
        self.att_src = nn.Parameter(torch.empty(1, heads, o))
        self.att_dst = nn.Parameter(torch.empty(1, heads, o))

    def forward(self, x, ei):
        h = self.lin(x).view(-1, self.heads, self.o)
        src, dst = ei[0], ei[1]
        a = (h * self.att_src).sum(-1)[src] + (h * self.att_dst).sum(-1)[dst]
        a = F.leaky_relu(a, 0.2)
        n = x.size(0)
        top = torch.full((n, self.heads), float("-inf")).scatter_reduce(
            0, dst[:, None].expand(-1, self.heads), a, reduce="amax", include_self=True
        )
        e = (a - top.detach()[dst]).exp()
        den = torch.zeros(n, self.heads).index_add(0, dst, e)
        alpha = e / (den[dst] + 1e-16)
        out = torch.zeros(n, self.heads, self.o)
        out.scatter_add_(
            0, dst.view(-1, 1, 1).expand(-1, self.heads, self.o), h[src] * alpha.unsqueeze(-1)
        )
        return F.elu(out.mean(dim=1))


class SAGE(nn.Module):
    def __init__(self, i, o, reduce):
        super().__init__()
        self.l, self.r, self.reduce = nn.Linear(i, o), nn.Linear(i, o), reduce

    def forward(self, x, ei):
        idx = ei[1].unsqueeze(-1).expand(-1, x.size(1))
        agg = x.new_zeros(x.shape).scatter_reduce_(
            0, idx, x[ei[0]], reduce=self.reduce, include_self=False
        )
        return self.l(agg) + self.r(x)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.g, self.s1, self.s2, self.c2 = (
            GCNConv(5, 8),
            GATConv(8, 8),
            SAGE(8, 8, "mean"),
            SAGE(8, 8, "amax"),
            GCNConv(8, 3),
        )

    def forward(self, x, ei, batch):
        x = F.relu(self.c1(x, ei))
        x = F.dropout(x, p=0.0, training=self.training)
        x = self.g(x, ei)
        x = x + self.s1(x, ei).tanh() + self.s2(x, ei).sigmoid()
        x = self.c2(x, ei)
        n = int(batch.max()) + 1
        pooled = torch.zeros(n, x.size(1)).index_add_(0, batch, x) / torch.bincount(
            batch, minlength=n
        ).unsqueeze(1)
        return x, F.log_softmax(pooled, dim=1)


def main(record, fill):
    rng = np.random.default_rng(0)
    n = 12
    ei = torch.from_numpy(rng.integers(0, n, (2, 40)))
    ei = torch.unique(torch.cat([ei, ei.flip(0)], 1), dim=1)
    ei = ei[:, ei[0] != ei[1]]
    record("ei", ei)
    x = torch.from_numpy(rng.random((n, 5), dtype=np.float32))
    batch = torch.tensor([0] * 4 + [1] * 5 + [2] * 3)
    y = torch.tensor([0, 2, 1])
    train_mask = torch.zeros(n, dtype=torch.bool)
    train_mask[torch.randperm(n)[:0]] = True
    train_mask[:6] = 1
    labels = torch.from_numpy(rng.integers(0, 3, n))
    model = fill(Net())
    opt = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)
    for epoch in range(6):
        model.train()
        opt.zero_grad()
        node, graph = model(x, ei, batch)
        loss = F.nll_loss(graph, y) + F.cross_entropy(node[train_mask], labels[train_mask])
        loss.backward()
        opt.step()
        record("loss", loss)
    pred = node.argmax(dim=1)
    acc = (pred[~train_mask] == labels[~train_mask]).sum() / (~train_mask).sum()
    record("acc", acc)
    A = torch.zeros(n, n)
    A[ei[0], ei[1]] = 1.0
    record("sym", bool((A == A.T).all()))
    D = A.sum(1)
    L = torch.diag(D) - A
    ev = torch.linalg.eigvalsh(L)
    record("ev", ev)
    record("nz", A.nonzero().t())
    record("nzt", A.nonzero(as_tuple=True)[0])
    A.index_put_((ei[0], ei[1]), torch.ones(ei.size(1)), accumulate=True)
    record("A2", A)
    record(
        "prod",
        torch.ones(n).scatter_reduce(0, ei[1], torch.arange(ei.size(1)).float() * 0.1, "prod"),
    )
    u, inv, cnt = torch.unique(ei[0], return_inverse=True, return_counts=True)
    record("u", u), record("inv", inv), record("cnt", cnt)
    uc, c = torch.unique_consecutive(ei[0], return_counts=True)
    record("uc", uc)
