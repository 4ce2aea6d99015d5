import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.rnn import (
    PackedSequence,
    pack_padded_sequence,
    pack_sequence,
    pad_packed_sequence,
    pad_sequence,
)


class CharLSTM(nn.Module):
    def __init__(self, vocab, emb, hidden, layers, bidirectional=False):
        super().__init__()
        self.embed = nn.Embedding(vocab, emb, padding_idx=0)
        self.lstm = nn.LSTM(
            emb, hidden, num_layers=layers, batch_first=True, bidirectional=bidirectional
        )
        self.fc = nn.Linear(hidden * (2 if bidirectional else 1), vocab)
        self.hidden, self.layers = hidden, layers

    def forward(self, x, lengths, state=None):
        e = self.embed(x)
        packed = pack_padded_sequence(e, lengths, batch_first=True, enforce_sorted=False)
        out, (h, c) = self.lstm(packed, state)
        out, lens = pad_packed_sequence(out, batch_first=True, total_length=x.size(1))
        return self.fc(out), (h, c)

    def init_hidden(self, bsz):
        weight = next(self.parameters())
        return (
            weight.new_zeros(self.layers, bsz, self.hidden),
            weight.new_zeros(self.layers, bsz, self.hidden),
        )


class Attn(nn.Module):
    def __init__(self, h):
        super().__init__()
        self.Wa, self.Ua, self.Va = nn.Linear(h, h), nn.Linear(h, h), nn.Linear(h, 1)

    def forward(self, query, keys, mask):
        s = self.Va(torch.tanh(self.Wa(query) + self.Ua(keys))).squeeze(2).unsqueeze(1)
        s.masked_fill_(~mask.unsqueeze(1), torch.finfo(s.dtype).min)
        w = F.softmax(s, dim=-1)
        return torch.bmm(w, keys), w


class Seq2Seq(nn.Module):
    def __init__(self, v=9, h=8):
        super().__init__()
        self.emb = nn.Embedding(v, h)
        self.enc = nn.GRU(h, h, batch_first=True)
        self.attn = Attn(h)
        self.dec = nn.GRUCell(2 * h, h)
        self.out = nn.Linear(h, v)

    def forward(self, src, mask, tgt, force=True):
        enc, hid = self.enc(self.emb(src))
        hx = hid[-1]
        tok = torch.ones(src.size(0), dtype=torch.long)
        outs = []
        for i in range(tgt.size(1)):
            ctx, w = self.attn(hx.unsqueeze(1), enc, mask)
            hx = self.dec(torch.cat((self.emb(tok), ctx.squeeze(1)), 1), hx)
            o = self.out(hx)
            outs.append(o)
            tok = tgt[:, i] if force else o.topk(1)[1].squeeze(-1).detach()
        return torch.stack(outs, 1)


def repackage_hidden(h):
    if isinstance(h, torch.Tensor):
        return h.detach()
    return tuple(repackage_hidden(v) for v in h)


def main(record, fill):
    rng = np.random.default_rng(0)
    seqs = [torch.as_tensor(rng.integers(1, 11, n)) for n in (5, 7, 2, 4)]
    lengths = torch.tensor([len(s) for s in seqs])
    x = pad_sequence(seqs, batch_first=True)
    record("x", x)
    for bi in (False, True):
        m = fill(CharLSTM(11, 6, 8, 2, bi))
        record("repr", repr(m))
        opt = torch.optim.SGD(m.parameters(), lr=0.5, momentum=0.9)
        crit = nn.CrossEntropyLoss(ignore_index=0)
        state = None if bi else m.init_hidden(4)
        for i in range(5):
            opt.zero_grad()
            logits, state = m(x, lengths, state)
            state = repackage_hidden(state) if not bi else None
            loss = crit(logits.reshape(-1, 11)[:-1], x.flatten()[1:])
            loss.backward()
            nn.utils.clip_grad_norm_(m.parameters(), 0.25)
            opt.step()
            record("loss", loss)
            record("pad", m.embed.weight.grad[0])
    p = pack_sequence(seqs, enforce_sorted=False)
    record("pack", p.data)
    record("bs", p.batch_sizes)
    record("si", p.sorted_indices)
    record("ui", p.unsorted_indices)
    record("ispack", isinstance(p, PackedSequence))
    record("unp", [t.tolist() for t in nn.utils.rnn.unpack_sequence(p)].__str__())
    mask = torch.arange(x.size(1))[None, :] < lengths[:, None]
    s = fill(Seq2Seq(11))
    opt = torch.optim.Adam(s.parameters(), lr=1e-2)
    tgt = x.flip(1)
    for i in range(5):
        out = s(x, mask, tgt, force=i % 2 == 0)
        loss = F.nll_loss(F.log_softmax(out, -1).transpose(1, 2), tgt)
        opt.zero_grad()
        loss.backward()
        opt.step()
        record("s2s", loss)
    r = fill(nn.RNN(3, 4, 2, nonlinearity="relu", dropout=0.0))
    o, h = r(torch.ones(5, 2, 3))
    record("rnn", o), record("h", h)
    l = fill(nn.LSTM(3, 6, proj_size=2))
    o, (h, c) = l(torch.ones(5, 3))
    record("proj", o), record("c", c)
    record("names", str([n for n, _ in l.named_parameters()]))
    for bad in (
        lambda: pack_padded_sequence(torch.zeros(2, 3, 1), [2, 3], batch_first=True),
        lambda: r(torch.ones(5, 2, 4)),
        lambda: r(torch.ones(5, 2, 3), torch.ones(1, 2, 4)),
    ):
        try:
            bad()
        except Exception as e:
            record(
                "err",
                type(e).__mro__[-3].__name__
                if False
                else ("RuntimeError" if isinstance(e, RuntimeError) else "ValueError"),
            )
