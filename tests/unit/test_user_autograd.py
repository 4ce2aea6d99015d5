"""Differentiation as users meet it: every program does what it does in PyTorch."""

from __future__ import annotations

import pytest
from user_programs import check

PROGRAMS = [
    "x=torch.tensor([1.,2.],requires_grad=True); y=(x*x).sum(); y.backward(); x.grad",
    "x=torch.tensor([1.,2.],requires_grad=True); y=x*x; y.backward()",
    "x=torch.tensor([1.,2.],requires_grad=True); y=(x*x).sum(); y.backward(); y.backward()",
    "x=torch.tensor([1.,2.],requires_grad=True); y=(x*x).sum(); y.backward(retain_graph=True); y.backward(); x.grad",
    "x=torch.tensor([1.,2.],requires_grad=True); x.add_(1)",
    "x=torch.tensor([1.,2.],requires_grad=True); x[0]=3",
    "x=torch.tensor([1.,2.],requires_grad=True); y=x*2; z=y.exp(); y.add_(1); z.sum().backward(); x.grad",
    "x=torch.tensor([1.,2.],requires_grad=True); z=(x*2).exp(); z.add_(1); z.sum().backward(); x.grad",
    "x=torch.tensor([1.,2.],requires_grad=True); y=x.clone(); y[0]=5; (y**2).sum().backward(); x.grad",
    "x=torch.randn(3,requires_grad=True); x.numpy()",
    "x=torch.ones(3,requires_grad=True); np.array(x)",
    "x=torch.ones(3,requires_grad=True); np.asarray(x.detach())",
    "x=torch.ones(3,requires_grad=True); y=x.detach(); y.requires_grad, y.is_leaf",
    "x=torch.ones(2,requires_grad=True); g=torch.autograd.grad((x**3).sum(),x,create_graph=True)[0]; torch.autograd.grad(g.sum(),x)",
    "x=torch.ones(2,requires_grad=True); w=torch.ones(2,requires_grad=True); torch.autograd.grad(x.sum(),[x,w])",
    "x=torch.ones(2,requires_grad=True); w=torch.ones(2,requires_grad=True); torch.autograd.grad(x.sum(),[x,w],allow_unused=True)",
    "x=torch.ones(2,requires_grad=True); y=x*2; y.retain_grad(); y.sum().backward(); y.grad",
    "x=torch.ones(2,requires_grad=True); h=x.register_hook(lambda g: g*3); (x*2).sum().backward(); h.remove(); x.grad",
    """class Sq(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, k):
        ctx.save_for_backward(x); ctx.k=k
        return x*x*k
    @staticmethod
    def backward(ctx,g):
        x,=ctx.saved_tensors
        return 2*x*g*ctx.k, None
x=torch.tensor([3.],requires_grad=True); Sq.apply(x,2).sum().backward(); x.grad
""",
    """class Sq(torch.autograd.Function):
    @staticmethod
    def forward(x, k):
        return x*x*k, x+1
    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[0]); ctx.k=inputs[1]; ctx.set_materialize_grads(False)
    @staticmethod
    def backward(ctx,g,g2):
        x,=ctx.saved_tensors
        return 2*x*g*ctx.k + (0 if g2 is None else g2), None
x=torch.tensor([3.],requires_grad=True); Sq.apply(x,2)[0].sum().backward(); x.grad, ctx if 'ctx' in dir() else None
""",
    """class E(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x): return x*1
    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx,g): return g*2
x=torch.tensor([3.],requires_grad=True); E.apply(x).backward(); x.grad
""",
    """class E(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x): return x*1
    @staticmethod
    def backward(ctx,g): return g*2, g
x=torch.tensor([3.],requires_grad=True); E.apply(x).backward(); x.grad
""",
    """class E(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x): return x*1
    @staticmethod
    def backward(ctx,g): return torch.ones(5)
x=torch.tensor([3.],requires_grad=True); E.apply(x).backward(); x.grad
""",
    """class E(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x): ctx.mark_dirty(x); x.add_(1); return x
    @staticmethod
    def backward(ctx,g): return g*2
x=torch.tensor([3.],requires_grad=True); y=x*1; z=E.apply(y); z.backward(); x.grad, z is y
""",
    """with torch.no_grad():
    x=torch.ones(2,requires_grad=True); y=x*2
y.requires_grad
""",
    """with torch.inference_mode():
    y=torch.ones(2)
x=torch.ones(2,requires_grad=True); (x*y).sum().backward()
""",
    """@torch.no_grad()
def f(x): return x*2
f(torch.ones(1,requires_grad=True)).requires_grad
""",
    """x=torch.ones(2,requires_grad=True)
with torch.set_grad_enabled(False): y=x*2
y.requires_grad, torch.is_grad_enabled()
""",
    "x=torch.ones(3,requires_grad=True); x.requires_grad=False; x.requires_grad",
    "x=torch.ones(3,requires_grad=True); y=x*1; y.requires_grad=False",
    "x=torch.ones(3); x.requires_grad=True; (x*2).sum().backward(); x.grad.zero_(); x.grad",
    "x=torch.ones(3,requires_grad=True); x.grad=torch.ones(2)",
    "x=torch.ones(3,requires_grad=True); x.backward(torch.ones(3)); x.grad",
    "x=torch.ones(3,requires_grad=True); (x*2).backward(torch.ones(2))",
    "x=torch.ones(3,requires_grad=True); y=x.view(3); v=(x*1); w=v[1:]; w.mul_(3); v.sum().backward(); x.grad",
    "x=torch.ones(2,2,requires_grad=True); y=x*1; y.T.mul_(2); y.sum().backward(); x.grad",
    "import copy; x=torch.ones(2,requires_grad=True); y=copy.deepcopy(x); y.requires_grad, y.is_leaf, copy.copy(x)",
    "import copy; x=torch.ones(2,requires_grad=True)*2; copy.deepcopy(x)",
    "repr(torch.ones(2,requires_grad=True)), repr(torch.ones(2,requires_grad=True)*2), repr(torch.ones(2,dtype=torch.bfloat16)), repr(torch.zeros(0,3)), repr(torch.tensor([True,False])), repr(nn.Parameter(torch.ones(2))), repr(torch.tensor([1e-10,1])), repr(torch.tensor([float('nan'),float('inf'),1.])), repr(torch.randn(2,3)>5), repr(torch.tensor([1,-2])), repr(torch.arange(2000)), repr(torch.tensor(1.5)), repr(torch.ones(2,dtype=torch.float64)), repr(torch.ones(2,2,2))",
]


@pytest.mark.parametrize("text", PROGRAMS)
def test_as_in_pytorch(text):
    check(text)
