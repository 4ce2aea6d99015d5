"""Recurrent networks: letters from packed sequences with carried state, and a translator that attends."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils import rnn


class Letters(nn.Module):
    def __init__(self, letters, width, layers, both_ways=False):
        super().__init__()
        self.embed = nn.Embedding(letters, 6, padding_idx=0)
        self.body = nn.LSTM(6, width, layers, batch_first=True, bidirectional=both_ways)
        self.head = nn.Linear(width * (1 + both_ways), letters)

    def forward(self, x, lengths, state=None):
        packed = rnn.pack_padded_sequence(
            self.embed(x), lengths, batch_first=True, enforce_sorted=False
        )
        y, state = self.body(packed, state)
        y, _ = rnn.pad_packed_sequence(y, batch_first=True, total_length=x.size(1))
        return self.head(y), tuple(part.detach() for part in state)


class Translator(nn.Module):
    """A GRU reads; a GRU cell writes, looking back by additive attention."""

    def __init__(self, words=11, width=8):
        super().__init__()
        self.embed, self.reader = nn.Embedding(words, width), nn.GRU(width, width, batch_first=True)
        self.ask, self.answer, self.score = (
            nn.Linear(width, width),
            nn.Linear(width, width),
            nn.Linear(width, 1),
        )
        self.writer, self.head = nn.GRUCell(2 * width, width), nn.Linear(width, words)

    def forward(self, x, seen, target, teach):
        told, last = self.reader(self.embed(x))
        h, word, found = last[-1], x.new_ones(x.shape[0]), []
        for t in range(target.shape[1]):
            scores = self.score(torch.tanh(self.ask(h).unsqueeze(1) + self.answer(told))).squeeze(
                -1
            )
            weights = scores.masked_fill_(~seen, torch.finfo(scores.dtype).min).softmax(-1)
            looked = torch.bmm(weights.unsqueeze(1), told).squeeze(1)
            h = self.writer(torch.cat([self.embed(word), looked], dim=-1), h)
            found.append(self.head(h))
            word = target[:, t] if teach else found[-1].topk(1).indices.squeeze(-1)
        return torch.stack(found, dim=1)


def main(record, fill):
    rng = np.random.default_rng(0)
    rows = [torch.as_tensor(rng.integers(1, 11, n)) for n in (5, 7, 2, 4)]
    lengths = torch.tensor(list(map(len, rows)))
    x = rnn.pad_sequence(rows, batch_first=True)
    record("padded", x)
    for both_ways in (False, True):
        model, state = fill(Letters(11, 8, 2, both_ways)), None
        record("module", model)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
        criterion = nn.CrossEntropyLoss(ignore_index=0)
        for _ in range(5):
            logits, state = model(x, lengths, None if both_ways else state)
            loss = criterion(logits[:, :-1].flatten(0, 1), x[:, 1:].flatten())
            optimizer.zero_grad()
            loss.backward()
            record("padding", model.embed.weight.grad[0])
            record("norm", nn.utils.clip_grad_norm_(model.parameters(), 0.25))
            optimizer.step()
            record("loss", loss)
    packed = rnn.pack_sequence(rows, enforce_sorted=False)
    for name in packed._fields:
        record(name, getattr(packed, name))
    record("rows", [row.tolist() for row in rnn.unpack_sequence(packed)].__str__())
    model = fill(Translator())
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    seen, target = torch.arange(x.size(1)) < lengths.unsqueeze(1), x.flip(1)
    for step in range(5):
        logits = model(x, seen, target, teach=step % 2 == 0)
        loss = F.nll_loss(F.log_softmax(logits, dim=-1).transpose(1, 2), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        record("translated", loss)
    plain = fill(nn.RNN(3, 4, 2, nonlinearity="relu"))
    narrow = fill(nn.LSTM(3, 6, proj_size=2))
    for layer, given in ((plain, torch.ones(5, 2, 3)), (narrow, torch.ones(5, 3))):
        y, state = layer(given)
        record("outputs", y), record("state", state if layer is plain else state[1])
        record("names", [n for n, _ in layer.named_parameters()].__str__())
    for mistake in (
        lambda: rnn.pack_padded_sequence(torch.zeros(2, 3, 1), [2, 3], batch_first=True),
        lambda: plain(torch.ones(5, 2, 4)),
        lambda: plain(torch.ones(5, 2, 3), torch.ones(1, 2, 4)),
    ):
        try:
            mistake()
        except (RuntimeError, ValueError) as error:
            record("mistake", "runtime" if isinstance(error, RuntimeError) else "value")
