"""Complex arithmetic and Fourier transforms of complex tensors against PyTorch's: values and gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mezzo

RNG = np.random.default_rng(0)
Z = RNG.standard_normal((3, 4)) + 1j * RNG.standard_normal((3, 4))
W = RNG.standard_normal(4) + 1j * RNG.standard_normal(4)
R = RNG.standard_normal((3, 4))

EXPRESSIONS = """
z+w z-w z*w z/w z+r r-z z*r r/z r*w z+2 2-z z*1.5 z/2 1/z z+(1-2j) (2+1j)*z r*(1+2j) z/(1-1j) -z z**2 z**3 z**0.5 z**(1+1j) 2**z
z.exp() z.log() z.sqrt() z.sin() z.cos() z.tanh() z.sinh() z.cosh() z.square() z.reciprocal() z.sigmoid()
z.abs() z.angle() F.abs(z)*z z.real*z.imag z.conj().resolve() F.view_as_real(z) F.view_as_complex(F.stack([r,r*2],-1))*z
z.sum() z.sum(0) z.sum(1,keepdim=True) z.mean() z.mean(0) z@w z@z.T (r+0j)@w z.T@(r+1j) z.mm(z.mT) z@z.mH (z*1).H@z z.adjoint()*2 F.where(r>0,z,z*2)
F.polar(r.abs(),r)*z F.complex(r,r*2)*z F.cat([z,z*w]) z[1:]*z[0] z.add(w,alpha=2) z.transpose(0,1)*2
F.fft.fft(z) F.fft.ifft(z,6,0) F.fft.fft2(z) F.fft.irfft(z) F.fft.irfft(z,5,norm='ortho') F.fft.fftn(z,norm='forward')
F.fft.irfft2(z) F.fft.hfft(z,7) F.fft.ifft(F.fft.fft(z)*w) F.fft.irfft(F.fft.rfft(r)*F.fft.rfft(r*2),n=4) F.fft.fftshift(z)
""".split()


def run(frame, code: str, dtype):
    """The value, and the gradients of a real function of it by z, w and r."""
    wide = {"z": Z, "w": W, "r": R}
    names = {
        k: frame.from_numpy(v.astype(dtype if v.dtype.kind == "c" else np.dtype(dtype).type(0).real.dtype)).requires_grad_()
        for k, v in wide.items()
    }  # fmt: skip
    y = eval(code.replace(".resolve()", "+0"), {**names, "F": frame})
    loss = (y.abs() ** 2 * 0.5).sum() + (y.real * 0.7).sum()
    loss.backward()
    plain = lambda g: g.resolve_conj().numpy() if frame is torch else g.numpy()
    grads = {k: None if v.grad is None else plain(v.grad) for k, v in names.items()}
    return y.detach().numpy(), grads


@pytest.mark.parametrize("code", EXPRESSIONS)
@pytest.mark.parametrize("dtype", ["complex128", "complex64"])
def test_values_and_gradients(code, dtype):
    rtol, atol = (1e-9, 1e-11) if dtype == "complex128" else (2e-5, 2e-5)
    ours, mine = run(mezzo, code, dtype)
    theirs, yours = run(torch, code, dtype)
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=atol)
    for name, want in yours.items():
        assert (mine[name] is None) == (want is None), name
        if want is not None:
            assert mine[name].dtype == want.dtype
            np.testing.assert_allclose(mine[name], want, rtol=rtol * 10, atol=atol * 10)


def test_numbers_near_the_limits_divide():
    big = mezzo.tensor([1e200 + 1e200j, 1e-200 + 1e-200j], dtype=mezzo.complex128)
    np.testing.assert_allclose((big / big).numpy(), [1, 1], rtol=1e-15)


def test_products_of_unequal_dtypes_are_refused():
    for frame in (torch, mezzo):
        with pytest.raises(RuntimeError, match="same dtype"):
            frame.from_numpy(Z) @ frame.from_numpy(R).T


def test_comparison_and_inplace():
    for frame in (torch, mezzo):
        z = frame.from_numpy(Z.copy())
        assert bool((z == z).all()) and bool((z != z + 1).all())
        z += 1j
        z *= 2
        np.testing.assert_allclose(z.numpy(), (Z + 1j) * 2)
        z.sub_(frame.from_numpy(W))
        np.testing.assert_allclose(z.numpy(), (Z + 1j) * 2 - W)


def test_inplace_has_a_gradient():
    grads = []
    for frame in (torch, mezzo):
        leaf = frame.from_numpy(Z.copy()).requires_grad_()
        z = leaf * 1
        z *= frame.from_numpy(W)
        z += 2j
        (z.abs() ** 2).sum().backward()
        grads.append(leaf.grad.numpy())
    np.testing.assert_allclose(grads[1], grads[0], rtol=1e-12)


def test_vmap_and_second_derivative():
    z = mezzo.from_numpy(Z.copy())
    batched = mezzo.vmap(lambda row: (row * row.conj()).real.sum())(z)
    np.testing.assert_allclose(batched.numpy(), (np.abs(Z) ** 2).sum(1), rtol=1e-12)
    transformed = mezzo.vmap(mezzo.fft.fft)(z)
    np.testing.assert_allclose(transformed.numpy(), np.fft.fft(Z, axis=1), rtol=1e-12)
    seconds = []
    for frame in (torch, mezzo):
        x = frame.from_numpy(R.copy()).requires_grad_()
        loss = (frame.fft.rfft(x).abs() ** 3).sum()
        (g,) = frame.autograd.grad(loss, x, create_graph=True)
        (h,) = frame.autograd.grad((g * frame.from_numpy(R)).sum(), x)
        seconds.append(h.numpy())
    np.testing.assert_allclose(seconds[1], seconds[0], rtol=1e-9)


def test_rotary_positions():
    """Pairs of channels turned by an angle, as language models do it."""
    x = RNG.standard_normal((2, 5, 8)).astype(np.float32)
    results = []
    for frame in (torch, mezzo):
        angles = frame.outer(
            frame.arange(5).float(), 1.0 / (10.0 ** (frame.arange(0, 8, 2).float() / 8))
        )
        turn = frame.polar(frame.ones_like(angles), angles)
        t = frame.from_numpy(x).requires_grad_()
        pairs = frame.view_as_complex(t.reshape(2, 5, 4, 2))
        y = frame.view_as_real(pairs * turn).flatten(2)
        y.square().mul(frame.arange(8)).sum().backward()
        results.append((y.detach().numpy(), t.grad.numpy()))
    for a, b in zip(*results):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
