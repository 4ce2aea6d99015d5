import math

import numpy as np
import torch
import torch.nn as nn
from torch import Tensor
from torch.nn import Transformer


class PositionalEncoding(nn.Module):
    def __init__(self, emb_size: int, dropout: float, maxlen: int = 50):
        super().__init__()
        den = torch.exp(-torch.arange(0, emb_size, 2) * math.log(10000) / emb_size)
        pos = torch.arange(0, maxlen).reshape(maxlen, 1)
        pe = torch.zeros((maxlen, emb_size))
        pe[:, 0::2] = torch.sin(pos * den)
        pe[:, 1::2] = torch.cos(pos * den)
        pe = pe.unsqueeze(-2)
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("pos_embedding", pe)

    def forward(self, tok: Tensor):
        return self.dropout(tok + self.pos_embedding[: tok.size(0), :])


class Seq2SeqTransformer(nn.Module):
    def __init__(self, layers, emb, nhead, sv, tv, ff=32, dropout=0.0, **kw):
        super().__init__()
        self.transformer = Transformer(
            d_model=emb,
            nhead=nhead,
            num_encoder_layers=layers,
            num_decoder_layers=layers,
            dim_feedforward=ff,
            dropout=dropout,
            **kw,
        )
        self.generator = nn.Linear(emb, tv)
        self.src = nn.Embedding(sv, emb)
        self.tgt = nn.Embedding(tv, emb)
        self.pos = PositionalEncoding(emb, dropout)
        self.emb = emb

    def forward(self, src, trg, sm, tm, sp, tp, mp):
        s = self.pos(self.src(src.long()) * math.sqrt(self.emb))
        t = self.pos(self.tgt(trg.long()) * math.sqrt(self.emb))
        return self.generator(self.transformer(s, t, sm, tm, None, sp, tp, mp))

    def encode(self, src, mask):
        return self.transformer.encoder(self.pos(self.src(src) * math.sqrt(self.emb)), mask)

    def decode(self, tgt, memory, mask):
        return self.transformer.decoder(self.pos(self.tgt(tgt) * math.sqrt(self.emb)), memory, mask)


def generate_square_subsequent_mask(sz):
    mask = (torch.triu(torch.ones((sz, sz))) == 1).transpose(0, 1)
    return mask.float().masked_fill(mask == 0, float("-inf")).masked_fill(mask == 1, 0.0)


def create_mask(src, tgt):
    ss, ts = src.shape[0], tgt.shape[0]
    tm = generate_square_subsequent_mask(ts)
    sm = torch.zeros((ss, ss)).type(torch.bool)
    return sm, tm, (src == 1).transpose(0, 1), (tgt == 1).transpose(0, 1)


def main(record, fill):
    rng = np.random.default_rng(0)
    for kw in ({}, dict(norm_first=True, activation="gelu"), dict(bias=False)):
        m = Seq2SeqTransformer(2, 16, 2, 12, 13, **kw)
        for p in m.parameters():
            if p.dim() > 1:
                nn.init.xavier_uniform_(p)
        fill(m)
        opt = torch.optim.Adam(m.parameters(), lr=1e-3, betas=(0.9, 0.98), eps=1e-9)
        crit = torch.nn.CrossEntropyLoss(ignore_index=1)
        src = torch.from_numpy(rng.integers(2, 12, (7, 3)))
        tgt = torch.from_numpy(rng.integers(2, 13, (6, 3)))
        src[5:, 1], tgt[4:, 2] = 1, 1
        for i in range(4):
            ti = tgt[:-1, :]
            sm, tm, sp, tp = create_mask(src, ti)
            logits = m(src, ti, sm, tm, sp, tp, sp)
            opt.zero_grad()
            loss = crit(logits.reshape(-1, logits.shape[-1]), tgt[1:, :].reshape(-1))
            loss.backward()
            opt.step()
            record("loss", loss)
        m.eval()
        with torch.no_grad():
            mem = m.encode(src[:, :1], torch.zeros(7, 7).type(torch.bool))
            ys = torch.ones(1, 1).fill_(2).type(torch.long)
            for i in range(5):
                tm = (
                    generate_square_subsequent_mask(ys.size(0)).type(torch.bool)
                    if False
                    else Transformer.generate_square_subsequent_mask(ys.size(0))
                )
                out = m.decode(ys, mem, tm).transpose(0, 1)
                prob = m.generator(out[:, -1])
                _, nxt = torch.max(prob, dim=1)
                ys = torch.cat([ys, torch.ones(1, 1).type_as(src.data).fill_(nxt.item())], dim=0)
            record("ys", ys)
            record(
                "evalout",
                m(src, tgt, sm, Transformer.generate_square_subsequent_mask(6), None, None, None),
            )
    record("keys", str(list(m.state_dict())))
    mha = fill(nn.MultiheadAttention(8, 2, kdim=6, vdim=5, batch_first=True, add_bias_kv=True))
    q, k, v = torch.ones(2, 3, 8), torch.ones(2, 4, 6), torch.ones(2, 4, 5)
    for kw in (
        dict(),
        dict(need_weights=False),
        dict(average_attn_weights=False),
        dict(key_padding_mask=torch.tensor([[False, False, True, True], [False] * 4])),
    ):
        o, w = mha(q, k, v, **kw)
        record("mha", o)
        record("w", w if w is not None else "none")
    layer = nn.TransformerEncoderLayer(d_model=8, nhead=2, batch_first=True, dropout=0.0)
    enc = fill(
        nn.TransformerEncoder(layer, num_layers=2, norm=nn.LayerNorm(8), enable_nested_tensor=False)
    )
    x = torch.from_numpy(rng.standard_normal((2, 5, 8)).astype("float32"))
    pad = torch.tensor([[False] * 5, [False, False, False, True, True]])
    record("enc", enc(x, src_key_padding_mask=pad))
    enc.eval()
    record("encval", enc(x, src_key_padding_mask=pad)[0])
    record("causal", enc(x, mask=nn.Transformer.generate_square_subsequent_mask(5), is_causal=True))
