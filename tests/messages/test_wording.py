"""What mistakes are told: the exception that PyTorch's code catches, what was got and needed, what to do.

Each case is a mistake made in both frameworks, and phrases that mezzo's message must have.
"""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

import mezzo


def backward_twice(m):
    loss = m.ones(3, requires_grad=True).sin().sum()
    loss.backward()
    loss.backward()


def saved_and_changed(m):
    b = m.ones(3, requires_grad=True) * 2
    c = b.sin()
    b.add_(1)
    c.sum().backward()


def unused(m):
    a, b = (m.ones(1, requires_grad=True) for _ in range(2))
    m.autograd.grad(a.sum(), b)


def used_up(m):
    parameters = m.nn.Linear(2, 2).parameters()
    list(parameters)
    m.optim.SGD(parameters, lr=0.1)


def inferred(m):
    with m.inference_mode():
        x = m.ones(2)
    (x * m.ones(2, requires_grad=True)).sum().backward()


CASES = {
    "product of shapes that do not fit": (
        lambda m: m.ones(2, 3) @ m.ones(4, 5),
        ["matmul:", "mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)", "inner sizes are 3 and 4"],
    ),
    "product of two dtypes": (
        lambda m: m.ones(2, 2) @ m.ones(2, 2, dtype=m.float64),
        ["expected m1 and m2 to have the same dtype", "float32 != float64", "autocast"],
    ),
    "broadcasting": (
        lambda m: m.add(m.ones(2, 3), m.ones(4)),
        ["add:", "(2, 3) and (4,)", "axis -1 has sizes 3 and 4", "equal or 1"],
    ),
    "joining": (
        lambda m: m.cat([m.ones(2, 3), m.ones(2, 4)]),
        ["cat:", "Sizes of tensors must match except in dimension 0", "tensor number 1"],
    ),
    "joining what is no list": (lambda m: m.cat(m.ones(2)), ["cat:", "tuple or list of Tensors, not Tensor", "cat([a, b])"]),
    "reshape": (lambda m: m.ones(2, 3).reshape(4, 2), ["reshape:", "is invalid for input of size 6"]),
    "view of a transpose": (lambda m: m.ones(2, 3).t().view(6), ["view", "not compatible", "use .reshape(...) instead"]),
    "expand": (lambda m: m.ones(2, 3).expand(4, 3), ["expand:", "4", "existing size", "2", "float32[2, 3]"]),
    "axis out of range": (lambda m: m.ones(2, 3).sum(5), ["sum:", "between -2 and 1"]),
    "index out of range": (lambda m: m.ones(2, 3)[7], ["index 7 is out of bounds for dimension 0 with size 2"]),
    "index tensor out of range": (
        lambda m: m.ones(2, 3)[m.tensor([0, 9])],
        ["index 9 is out of bounds for dimension 0 with size 2"],
    ),
    # PyTorch computes on meta where one operand lies there; of cpu and cuda it says this.
    "two devices": (
        lambda m: m.mm(m.ones(2, 2), m.ones(2, 2, device="meta")) if m is mezzo else m.ones(2).backward(),
        ["same device", "cpu and meta", ".to('cpu')"],
    ),
    "unknown device": (lambda m: m.ones(2, device="gpu"), ["'gpu'", "cpu, cuda, meta"]),
    "numpy of what requires grad": (
        lambda m: m.ones(2, requires_grad=True).numpy(),
        ["Can't call numpy() on Tensor that requires grad", "tensor.detach().numpy()"],
    ),
    "item of several": (lambda m: m.ones(2).item(), ["Tensor with 2 elements cannot be converted to Scalar", "tolist()"]),
    "truth of several": (lambda m: bool(m.ones(2)), ["more than one value is ambiguous", "x.any() or x.all()"]),
    "backward of several": (
        lambda m: (m.ones(2, requires_grad=True) * 2).backward(),
        ["grad can be implicitly created only for scalar outputs", "gradient="],
    ),
    "backward without grad": (
        lambda m: m.ones(2).sum().backward(),
        ["does not require grad and does not have a grad_fn", "requires_grad=True"],
    ),
    "backward twice": (backward_twice, ["backward through the graph a second time", "retain_graph=True"]),
    "saved value changed": (
        saved_and_changed,
        ["modified by an inplace operation", "sin saved a float32[3]", "add_ at", "test_wording.py", "clone()"],
    ),
    "leaf written": (
        lambda m: m.ones(3, requires_grad=True).add_(1),
        ["add_:", "a leaf Variable that requires grad", "no_grad()"],
    ),
    "gradient of an unused input": (unused, ["not have been used in the graph", "allow_unused=True"]),
    "integers that require grad": (
        lambda m: m.ones(2, dtype=m.int64, requires_grad=True),
        ["floating point", "can require gradients", "int64"],
    ),
    "unknown keyword": (lambda m: m.add(m.ones(2), 1, gamma=2), ["unexpected keyword argument 'gamma'", "add(input, other, *, alpha=1)"]),
    "missing argument": (lambda m: m.add(m.ones(2)), ["missing", "'other'", "add(input, other, *, alpha=1)"]),
    "no number": (lambda m: m.add(m.ones(2), "a"), ["argument 2 (other) is str 'a'", "must be a Tensor or a number"]),
    "softmax of integers": (lambda m: m.ones(2, dtype=m.int64).softmax(0), ["softmax", "int64", "x.float()"]),
    "in place into a lower dtype": (
        lambda m: m.ones(2, dtype=m.int64).add_(1.5),
        ["result type float32 can't be cast to the desired output type int64"],
    ),
    "in place into another shape": (
        lambda m: m.ones(3).add_(m.ones(2, 3)),
        ["output with shape [3] doesn't match the broadcast shape [2, 3]"],
    ),
    "in place into an expanded tensor": (lambda m: m.ones(1).expand(3).add_(1), ["expanded tensor", "clone() it"]),
    "channels": (
        lambda m: m.nn.functional.conv2d(m.ones(1, 3, 8, 8), m.ones(4, 2, 3, 3)),
        ["conv2d:", "expected input[1, 3, 8, 8] to have 2 channels, but got 3 channels instead"],
    ),
    "features": (lambda m: m.nn.functional.linear(m.ones(2, 3), m.ones(4, 5)), ["linear:", "needs 5 features"]),
    "embedding": (
        lambda m: m.nn.functional.embedding(m.tensor([9]), m.ones(5, 2)),
        ["embedding:", "index 9 is out of bounds", "size 5"],
    ),
    "class out of range": (
        lambda m: m.nn.functional.cross_entropy(m.ones(2, 3), m.tensor([0, 5])),
        ["cross_entropy:", "Target 5 is out of bounds"],
    ),
    "normalized shape": (
        lambda m: m.nn.functional.layer_norm(m.ones(2, 3), (4,)),
        ["layer_norm:", "Given normalized_shape=[4], expected input with shape [*, 4]"],
    ),
    "out that requires grad": (
        lambda m: m.add(m.ones(2), 1, out=m.ones(2, requires_grad=True)),
        ["out=... arguments don't support automatic differentiation"],
    ),
    "vmap over two sizes": (
        lambda m: m.vmap(lambda a, b: a + b)(m.ones(3), m.ones(4)),
        ["vmap: expected all tensors to have the same size in the mapped dimension", "[3, 4]"],
    ),
    "item inside vmap": (lambda m: m.vmap(lambda t: t.item())(m.ones(3)), ["item", "vmap", "mezzo.where"]),
    "random inside vmap": (
        lambda m: m.vmap(lambda t: t + m.rand(1))(m.ones(3)),
        ["called random operation while in randomness error mode", "randomness='different'"],
    ),
    "autocast of an unknown device": (lambda m: m.autocast("tpu"), ["unsupported autocast device_type 'tpu'", "'cpu' or 'cuda'"]),
    "autocast of a number": (lambda m: m.autocast(3), ["Expected `device_type` of type `str`, got: `int`"]),
    "words in a tensor": (lambda m: m.tensor(["a"]), ["tensor:", "str", "numbers"]),
    "rows of several lengths": (lambda m: m.tensor([[1], [2, 3]]), ["tensor:", "one length"]),
    "negative size": (lambda m: m.ones(-1), ["ones:", "negative"]),
    "more memory than there is": (lambda m: m.empty(10**15), ["out of memory", "PiB", "limit:", "Allocated:"]),
    # what people get wrong most, module by module
    "features of a layer": (
        lambda m: m.nn.Linear(10, 5)(m.ones(4, 8)),
        ["linear:", "[4, 8] needs 10 features", "[5, 10]", "mat1 and mat2 shapes cannot be multiplied"],
    ),
    "doubles into a layer": (
        lambda m: m.nn.Linear(3, 2)(m.ones(1, 3, dtype=m.float64)),
        ["linear:", "mat1 and mat2 must have the same dtype", "input is float64", "weight float32", "x.to(mezzo.float32)"],
    ),
    "integers into a layer": (
        lambda m: m.nn.Linear(3, 2)(m.ones(1, 3, dtype=m.int64)),
        ["linear:", "input is int64", "x.to(mezzo.float32)"],
    ),
    "array into a layer": (
        lambda m: m.nn.Linear(2, 2)(np.ones((1, 2), np.float32)),
        ["linear:", "(input) is ndarray", "mezzo.tensor(...)"],
    ),
    "no batch axis": (
        lambda m: m.nn.Conv2d(3, 8, 3)(m.ones(8, 8)),
        ["conv2d:", "Expected 3D (unbatched) or 4D (batched) input", "[8, 8]"],
    ),
    "image smaller than the window": (
        lambda m: m.nn.Conv2d(3, 8, 5)(m.ones(1, 3, 3, 3)),
        ["conv2d:", "Kernel size can't be greater than actual input size", "Pad"],
    ),
    "bytes into a convolution": (
        lambda m: m.nn.Conv2d(3, 8, 3)(m.ones(1, 3, 8, 8, dtype=m.uint8)),
        ["conv2d:", "uint8", "x.float()"],
    ),
    "floats into an embedding": (
        lambda m: m.nn.Embedding(5, 3)(m.ones(2)),
        ["embedding:", "int64 or int32", "float32", "index.long()"],
    ),
    "token out of the vocabulary": (
        lambda m: m.nn.Embedding(5, 3)(m.tensor([1, 7])),
        ["embedding:", "index 7", "size 5", "from 0 to 4"],
    ),
    "float classes": (
        lambda m: m.nn.CrossEntropyLoss()(m.ones(4, 3), m.zeros(4)),
        ["cross_entropy:", "expected target dtype to be Long or Byte, but got float32", "target.long()"],
    ),
    "classes in a column": (
        lambda m: m.nn.CrossEntropyLoss()(m.ones(4, 3), m.zeros(4, 1, dtype=m.int64)),
        ["cross_entropy:", "0D or 1D target tensor expected, multi-target not supported", "[4, 1]", "squeeze(1)"],
    ),
    "classes along the last axis": (
        lambda m: m.nn.CrossEntropyLoss()(m.ones(4, 6, 3), m.zeros(4, 6, dtype=m.int64)),
        ["cross_entropy:", "Expected target size [4, 3], got [4, 6]", "transpose(1, 2)"],
    ),
    "targets of another batch": (
        lambda m: m.nn.CrossEntropyLoss()(m.ones(4, 3), m.zeros(5, dtype=m.int64)),
        ["cross_entropy:", "batch_size (4) to match target batch_size (5)", "shape [4]"],
    ),
    "one class too many": (
        lambda m: m.nn.CrossEntropyLoss()(m.ones(2, 3), m.tensor([0, 3])),
        ["cross_entropy:", "Target 3 is out of bounds", "count from 0", "ignore_index"],
    ),
    "integer probabilities": (
        lambda m: m.nn.BCELoss()(m.ones(4) * 0.5, m.ones(4, dtype=m.int64)),
        ["binary_cross_entropy:", "int64 of target but expected float32", "target.to(mezzo.float32)"],
    ),
    "integer targets of logits": (
        lambda m: m.nn.BCEWithLogitsLoss()(m.ones(4), m.ones(4, dtype=m.int64)),
        ["binary_cross_entropy_with_logits:", "result type float32 can't be cast to int64", "target.float()"],
    ),
    "logits for probabilities": (
        lambda m: m.nn.BCELoss()(m.ones(4) * 2, m.ones(4)),
        ["binary_cross_entropy:", "between 0 and 1", "sigmoid"],
    ),
    "targets without the last axis": (
        lambda m: m.nn.BCEWithLogitsLoss()(m.ones(4, 1), m.ones(4)),
        ["Target size", "must be the same as input size", "unsqueeze(1)"],
    ),
    "normalising one sample": (
        lambda m: m.nn.BatchNorm1d(3)(m.ones(1, 3)),
        ["batch_norm:", "Expected more than 1 value per channel when training", "eval()"],
    ),
    "channels of a normalisation": (
        lambda m: m.nn.BatchNorm2d(3)(m.ones(4, 5, 2, 2)),
        ["batch_norm:", "running_mean should contain 5 elements not 3"],
    ),
    "heads that do not divide": (
        lambda m: m.nn.MultiheadAttention(5, 2),
        ["embed_dim must be divisible by num_heads", "5 and 2"],
    ),
    "width of attention": (
        lambda m: m.nn.MultiheadAttention(4, 2)(*[m.ones(2, 3, 6)] * 3),
        ["was expecting embedding dimension of 4, but got 6", "last axis"],
    ),
    "mask of attention": (
        lambda m: m.nn.functional.scaled_dot_product_attention(m.ones(1, 2, 3, 4), *[m.ones(1, 2, 5, 4)] * 2, attn_mask=m.ones(2, 2)),
        ["scaled_dot_product_attention:", "attn_mask has shape [2, 2]", "3 (queries) and 5 (keys)"],
    ),
    "stacking unequal": (lambda m: m.stack([m.ones(2), m.ones(3)]), ["expects each tensor to be equal size, but got [2] at entry 0 and [3] at entry 1"]),
    "joining nothing": (lambda m: m.cat([]), ["cat:", "expected a non-empty list of Tensors"]),
    "matrix of three axes missing": (lambda m: m.bmm(m.ones(2, 3), m.ones(2, 3)), ["bmm:", "batch1 must be a 3-D tensor"]),
    "mean of integers": (lambda m: m.ones(2, dtype=m.int64).mean(), ["mean:", "could not infer output dtype", "int64", "x.float()"]),
    "assigning what does not fit": (
        lambda m: m.ones(2, 3).__setitem__(0, m.ones(4)),
        ["cannot assign a value of shape [4] to a place of shape [3]", "broadcast"],
    ),
    "one index too many": (lambda m: m.ones(2, 3)[0, 0, 0], ["too many indices for tensor of dimension 2", "[2, 3]"]),
    "mask of another length": (
        lambda m: m.ones(2, 3)[m.tensor([True, False, True])],
        ["The shape of the mask [3] at index 0 does not match the shape of the indexed tensor [2, 3]"],
    ),
    "floats as indices": (
        lambda m: m.ones(3)[m.tensor([0.0, 1.0])],
        ["tensors used as indices must be long, int, byte or bool tensors", "float32", "index.long()"],
    ),
    "a word among numbers": (lambda m: m.tensor([1, "a"]), ["tensor:", "dtype of str", "numbers"]),
    "looping over one number": (lambda m: list(m.tensor(3.0)), ["iteration over a 0-d tensor", "x.item()"]),
    "copying what has a history": (
        lambda m: copy.deepcopy(m.ones(2, requires_grad=True) * 2),
        ["deepcopy", "graph leaves", "x.detach().clone()"],
    ),
    "inverting floats": (lambda m: ~m.ones(2), ["~ (operator.invert) is only implemented on integer and bool", "float32", "x == 0"]),
    "parameters used up": (used_up, ["optimizer got an empty parameter list", "model.parameters()"]),
    "a result among the parameters": (
        lambda m: m.optim.SGD([m.ones(1, requires_grad=True) * 2], lr=0.1),
        ["can't optimize a non-leaf Tensor", "not a result computed from it"],
    ),
    "a misspelt option": (lambda m: m.zeros(2, dtyp=m.float32), ["zeros:", "unexpected keyword argument 'dtyp'", "signature"]),
    "a dtype in words": (lambda m: m.zeros(2, dtype="float32"), ["zeros:", "'float32'", "mezzo.float32"]),
    "more candidates than there are": (lambda m: m.ones(3).topk(5), ["topk:", "selected index k out of range", "5", "3 elements"]),
    "condition of numbers": (
        lambda m: m.where(m.ones(2), m.ones(2), m.ones(2)),
        ["where:", "condition to be a boolean tensor, but got", "condition != 0"],
    ),
    "mask of numbers": (
        lambda m: m.ones(2).masked_fill(m.ones(2), 0),
        ["masked_fill:", "only supports boolean masks", "mask != 0"],
    ),
    "inference tensor saved": (inferred, ["inference tensors cannot be saved for backward", "clone()"]),
    "largest of nothing": (lambda m: m.ones(0).max(), ["size zero"]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_mistake(name):
    """The type PyTorch raises, and the words."""
    mistake, phrases = CASES[name]
    with pytest.raises(Exception) as theirs:
        mistake(torch)
    with pytest.raises(mezzo.errors.MezzoError) as ours:
        mistake(mezzo)
    kind = next(k for k in type(theirs.value).__mro__ if k.__module__ == "builtins")
    kind = RuntimeError if kind is NotImplementedError else kind  # a subclass of it since 2.10
    assert isinstance(ours.value, kind), (
        f"{type(ours.value).__mro__}; PyTorch raises {kind.__name__}: {theirs.value}"
    )
    text = str(ours.value)
    missing = [p for p in phrases if p.lower() not in text.lower()]
    assert not missing, f"the message lacks {missing}:\n{text}"
    assert text.rstrip()[-1] in ".?!)", f"the message is no sentence: {text}"
