"""nn.Transformer on a toy task (write a sequence backwards), greedy decoding, and attention layers with every mask."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

PAD, START, STOP = 0, 1, 2


class Reverser(nn.Module):
    def __init__(self, words, width, **options):
        super().__init__()
        self.words, self.places = (
            nn.Embedding(words, width, padding_idx=PAD),
            nn.Embedding(32, width),
        )
        self.body = nn.Transformer(width, 2, 2, 2, dim_feedforward=24, dropout=0.0, **options)
        self.head = nn.Linear(width, words)
        self.first = options.get("batch_first", False)

    def embed(self, tokens):
        places = torch.arange(tokens.shape[1 if self.first else 0], device=tokens.device)
        places = self.places(places)
        return self.words(tokens) + (places if self.first else places.unsqueeze(1))

    def forward(self, source, target):
        length = target.shape[1 if self.first else 0]
        later = nn.Transformer.generate_square_subsequent_mask(length)
        hidden, ahead = (
            (source == PAD, target == PAD)
            if self.first
            else ((source == PAD).t(), (target == PAD).t())
        )
        y = self.body(
            self.embed(source),
            self.embed(target),
            tgt_mask=later,
            src_key_padding_mask=hidden,
            tgt_key_padding_mask=torch.zeros_like(ahead, dtype=later.dtype).masked_fill(
                ahead, float("-inf")
            ),
            memory_key_padding_mask=hidden,
        )
        return self.head(y)


def batch(rng, first):
    rows = [rng.integers(3, 12, n) for n in (6, 4, 5)]
    source = nn.utils.rnn.pad_sequence(
        [torch.from_numpy(r) for r in rows], batch_first=first, padding_value=PAD
    )
    back = [torch.from_numpy(np.concatenate([[START], r[::-1], [STOP]])) for r in rows]
    return source, nn.utils.rnn.pad_sequence(back, batch_first=first, padding_value=PAD)


def main(record, fill):
    rng = np.random.default_rng(0)
    for options in (
        {},
        {"norm_first": True, "activation": "gelu"},
        {"bias": False, "batch_first": True},
    ):
        model, first = fill(Reverser(12, 16, **options)), options.get("batch_first", False)
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, betas=(0.9, 0.98), eps=1e-9)
        for _ in range(4):
            source, target = batch(rng, first)
            given, wanted = (target[:, :-1], target[:, 1:]) if first else (target[:-1], target[1:])
            logits = model(source, given)
            loss = F.cross_entropy(logits.flatten(0, 1), wanted.reshape(-1), ignore_index=PAD)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            record("loss", loss)
        model.eval()
        with torch.no_grad():
            written = source.new_full((1, 1), START)
            one = source[:1] if first else source[:, :1]
            for _ in range(5):
                logits = model(one, written)
                best = logits[0, -1].argmax() if first else logits[-1, 0].argmax()
                written = torch.cat([written, best.view(1, 1)], dim=1 if first else 0)
            record("written", written), record("logits", logits)
        record("names", str(list(model.state_dict())))
    wide = fill(nn.MultiheadAttention(8, 2, kdim=6, vdim=5, batch_first=True, add_bias_kv=True))
    q, k, v = (
        torch.from_numpy(rng.standard_normal(s).astype("float32"))
        for s in ((2, 3, 8), (2, 4, 6), (2, 4, 5))
    )
    hidden = torch.tensor([[False, False, True, True], [False] * 4])
    for options in (
        {},
        {"need_weights": False},
        {"average_attn_weights": False},
        {"key_padding_mask": hidden},
    ):
        y, weights = wide(q, k, v, **options)
        record("attended", y), record("weights", weights)
    layer = nn.TransformerEncoderLayer(
        d_model=8, nhead=2, dim_feedforward=16, batch_first=True, dropout=0.0
    )
    encoder = fill(
        nn.TransformerEncoder(layer, num_layers=2, norm=nn.LayerNorm(8), enable_nested_tensor=False)
    )
    x, later = (
        torch.from_numpy(rng.standard_normal((2, 4, 8)).astype("float32")),
        nn.Transformer.generate_square_subsequent_mask(4),
    )
    (
        record("hidden", encoder(x, src_key_padding_mask=hidden)),
        record("causal", encoder(x, mask=later, is_causal=True)),
    )
    encoder.eval()
    record("evaluated", encoder(x, src_key_padding_mask=hidden)[1])
