"""The operation that CONTRIBUTING.md adds, added: everything it promises follows from that one place."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap

PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
import mezzo.ops
{imports}
before = set(mezzo.ops.REGISTRY)
{record}
from mezzo import ops
assert set(ops.REGISTRY) - before == {{"squareplus"}}
ops.install(squareplus)
import numpy as np, torch, mezzo
from mezzo.compiler import trace
values = np.linspace(-3, 3, 12).reshape(3, 4)
x = mezzo.tensor(values, requires_grad=True)
t = torch.tensor(values, requires_grad=True)
reference = lambda v, b=4.0: (v + (v * v + b).sqrt()) / 2
def same(a, b):
    np.testing.assert_allclose(a.detach().float().numpy(), b.detach().float().numpy(), rtol=1e-6)
same(squareplus(x), reference(t))
same(x.squareplus(2.0), reference(t, 2.0))
same(x.detach().transpose(0, 1).squareplus(), reference(t.detach().T))
same(x.detach().clone().squareplus_(), reference(t))
out = mezzo.zeros(3, 4, dtype=mezzo.float64)
squareplus(x.detach(), out=out)
same(out, reference(t))
(g,) = mezzo.autograd.grad(squareplus(x).sum(), x, create_graph=True)
(h,) = torch.autograd.grad(reference(t).sum(), t, create_graph=True)
same(g, h)
same(mezzo.autograd.grad(g.sum(), x)[0], torch.autograd.grad(h.sum(), t)[0])
same(mezzo.vmap(squareplus)(x.detach()), reference(t))
same(trace(squareplus, x.detach())(x.detach()), reference(t))
assert squareplus(mezzo.arange(3)).dtype is mezzo.float32
assert squareplus(x.bfloat16()).dtype is mezzo.bfloat16
assert squareplus(mezzo.zeros(0, 3)).shape == (0, 3)
assert "squareplus" in ops.namespace("mezzo") and "squareplus" in ops.namespace("nn.functional")
print("done")
"""


def test_the_example_is_whole(root):
    blocks = re.findall(r"```python\n(.*?)```", (root / "CONTRIBUTING.md").read_text(), re.S)
    record = next(b for b in blocks if "def squareplus" in b)
    imports = next(b for b in blocks if "import elementwise" in b)
    # Comments and decorators are read from source by nobody: the record works from exec as from a file.
    program = PROGRAM.format(
        imports=imports, record=textwrap.dedent(record), tests=str(root / "tests")
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=root)
    assert done.stdout.strip() == "done", done.stderr
