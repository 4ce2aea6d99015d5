"""Distributions beside PyTorch's: densities, moments, entropies, divergences, gradients; draws by their moments."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import mezzo


@pytest.fixture(autouse=True)
def _validate():
    """PyTorch's compiler, once loaded by another test, switches off what these tests look at."""
    torch.distributions.Distribution.set_default_validate_args(True)


A, B = [0.5, -1.0, 2.0], [0.7, 1.5, 0.2]
P, Q = [0.2, 0.5, 0.9], [0.6, 0.3, 0.4]
ROWS = [[0.2, 0.3, 0.5], [0.1, 0.8, 0.1]]
TRIL = [[1.0, 0.0], [0.5, 2.0]]
CASES = {
    "Normal": ((A, B), (B, B), [0.3, -2.0, 4.0]),
    "LogNormal": ((A, B), (B, B), [0.3, 2.0, 4.0]),
    "Laplace": ((A, B), (B, B), [0.3, -2.0, 4.0]),
    "Gumbel": ((A, B), None, [0.3, -2.0, 4.0]),
    "Exponential": ((B,), ([1.0, 2.0, 0.5],), [0.3, 2.0, 0.0]),
    "Uniform": ((A, [1.0, 2.0, 3.0]), ([0.0, -2.0, 1.0], [2.0, 3.0, 5.0]), [0.7, 0.5, 2.5]),
    "Bernoulli": ((P,), (Q,), [0.0, 1.0, 1.0]),
    "Geometric": ((P,), (Q,), [0.0, 3.0, 1.0]),
    "Poisson": ((B,), ([1.0, 2.0, 0.5],), [0.0, 3.0, 1.0]),
    "Categorical": ((ROWS,), (ROWS[::-1],), [2, 0]),
    "OneHotCategorical": ((ROWS,), (ROWS[::-1],), [[0.0, 0, 1], [1, 0, 0]]),
    "Cauchy": ((A, B), None, [0.3, -2.0, 4.0]),
    "HalfNormal": ((B,), None, [0.3, 2.0, 4.0]),
    "Gamma": ((B, Q), (Q, B), [0.3, 2.0, 4.0]),
    "Chi2": ((B,), (Q,), [0.3, 2.0, 4.0]),
    "Beta": ((B, [2.0, 3.0, 1.5]), (Q, B), [0.3, 0.9, 0.5]),
    "Dirichlet": ((ROWS,), (ROWS[::-1],), [0.3, 0.5, 0.2]),
    "StudentT": (([3.0, 1.5, 4.0], A, B), None, [0.3, -2.0, 4.0]),
    "Binomial": (([3.0, 5.0, 9.0], P), None, [0.0, 2.0, 9.0]),
    "NegativeBinomial": (([3.0, 5.0, 2.5], P), None, [0.0, 2.0, 9.0]),
}


def build(frame, name, parameters, by="probs"):
    tensors = [frame.tensor(p, dtype=frame.float64, requires_grad=True) for p in parameters]
    kind = getattr(frame.distributions, name)
    return (kind(logits=tensors[0]) if by == "logits" else kind(*tensors)), tensors


BY_LOGITS = ("Bernoulli", "Geometric", "Categorical", "OneHotCategorical")
# What PyTorch shows without parameters, or without the derived ones.
SHOWN_EMPTY = ("LogNormal", "OneHotCategorical", "Beta", "HalfNormal", "Chi2")
HEAVY = ("Cauchy", "StudentT")  # no variance in some place


def close(ours, theirs) -> None:
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize(
    "name, by", [(n, "probs") for n in CASES] + [(n, "logits") for n in BY_LOGITS]
)
def test_equals_pytorch(name, by):
    parameters, other, value = CASES[name]
    (d, mine), (e, yours) = build(mezzo, name, parameters, by), build(torch, name, parameters, by)
    integral = name == "Categorical"
    v = mezzo.tensor(value) if integral else mezzo.tensor(value, dtype=mezzo.float64)
    w = torch.tensor(value) if integral else torch.tensor(value, dtype=torch.float64)
    if name not in SHOWN_EMPTY:
        assert repr(d).replace("mezzo.", "torch.") == repr(e)
    assert tuple(d.batch_shape) == tuple(e.batch_shape)
    assert tuple(d.event_shape) == tuple(e.event_shape)
    close(d.log_prob(v), e.log_prob(w))
    for what in ("mean", "variance", "stddev"):
        close(getattr(d, what), getattr(e, what))
    if name not in ("Poisson", "Binomial", "NegativeBinomial"):
        close(d.entropy(), e.entropy())
    for what in ("cdf", "icdf"):
        point = ([0.1, 0.5, 0.9], v, w) if what == "icdf" else (value, v, w)
        u = (
            mezzo.tensor(point[0], dtype=mezzo.float64),
            torch.tensor(point[0], dtype=torch.float64),
        )
        try:
            want = getattr(e, what)(u[1])
        except NotImplementedError:
            continue
        if what in type(d).__dict__:
            close(getattr(d, what)(u[0]), want)
    d.log_prob(v).sum().backward()
    e.log_prob(w).sum().backward()
    for a, b in zip(mine, yours):
        close(a.grad, b.grad)
    if other is not None and by == "probs":
        close(
            mezzo.distributions.kl_divergence(d, build(mezzo, name, other)[0]),
            torch.distributions.kl_divergence(e, build(torch, name, other)[0]),
        )


@pytest.mark.parametrize("name", [n for n in CASES if n not in ("Categorical", *HEAVY)])
def test_draws_have_the_moments(name):
    """Within five standard errors."""
    mezzo.manual_seed(0)
    d, _ = build(mezzo, name, CASES[name][0])
    count = 20000
    x = d.sample((count,)).numpy()
    assert x.shape == (count, *d.batch_shape, *d.event_shape)
    mean, std = d.mean.detach().numpy(), d.stddev.detach().numpy()
    assert (np.abs(x.mean(0) - mean) < 5 * std / count**0.5 + 1e-12).all()
    if name not in ("LogNormal", "Gamma", "Chi2"):
        assert np.allclose(x.std(0), std, rtol=0.06)


def test_categorical_draws():
    mezzo.manual_seed(0)
    d = mezzo.distributions.Categorical(mezzo.tensor(ROWS))
    x = d.sample((5000, 2)).numpy()
    assert x.shape == (5000, 2, 2)
    for row in range(2):
        share = np.bincount(x[..., row].ravel(), minlength=3) / 10000
        np.testing.assert_allclose(share, ROWS[row], atol=0.025)


@pytest.mark.parametrize(
    "name",
    ["Normal", "LogNormal", "Laplace", "Gumbel", "Exponential", "Uniform", "Cauchy", "HalfNormal"],
)
def test_draws_carry_gradients(name):
    d, parameters = build(mezzo, name, CASES[name][0])
    assert d.has_rsample and not d.sample((3,)).requires_grad
    d.rsample((4,)).sum().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in parameters)


def test_multivariate_normal_and_independent():
    for given in ("scale_tril", "covariance_matrix", "precision_matrix"):
        found = []
        for frame in (mezzo, torch):
            loc = frame.tensor([[0.5, -1.0], [2.0, 0.0]], dtype=frame.float64)
            matrix = frame.tensor(TRIL, dtype=frame.float64)
            matrix = matrix if given == "scale_tril" else matrix @ matrix.T
            d = frame.distributions.MultivariateNormal(loc, **{given: matrix})
            e = frame.distributions.MultivariateNormal(
                loc * 2, scale_tril=frame.eye(2, dtype=frame.float64) * 1.5
            )
            value = frame.tensor([0.3, 0.7], dtype=frame.float64)
            parts = [
                d.log_prob(value),
                d.entropy(),
                d.variance,
                d.covariance_matrix,
                frame.distributions.kl_divergence(d, e),
            ]
            normal = frame.distributions.Independent(
                frame.distributions.Normal(loc, frame.ones_like(loc)), 1
            )
            parts += [normal.log_prob(value), normal.entropy(), normal.mean]
            found.append(parts)
        for a, b in zip(*found):
            close(a, b)
    assert tuple(d.sample((5,)).shape) == (5, 2, 2)


@pytest.mark.parametrize(
    "code",
    ["Normal(F.zeros(2), F.zeros(2))", "Bernoulli(F.tensor([1.5]))", "Uniform(F.ones(1), F.zeros(1))",
     "Categorical()", "Exponential(F.tensor(-1.0))", "Bernoulli(F.tensor([0.5])).log_prob(F.tensor([2.0]))",
     "Beta(F.tensor(0.0), F.tensor(1.0))", "Dirichlet(F.ones(3)).log_prob(F.ones(3))", "Normal('a', 1.0)",
     "Categorical(F.ones(3)).log_prob(F.tensor(3))", "Dirichlet(F.ones(3)).log_prob(F.ones(2) / 2)",
     "Normal(F.zeros(3), F.ones(3)).log_prob(F.zeros(2))", "Normal(0.0, 1.0).log_prob(0.5)",
     "Binomial(3, F.tensor(0.5)).log_prob(F.tensor(4.0))", "Geometric(F.tensor(0.0))", "Exponential(F.tensor(1.0)).log_prob(F.tensor(-1.0))"],
)  # fmt: skip
def test_bad_values_are_refused(code):
    for frame in (torch, mezzo):
        with pytest.raises(ValueError):
            eval(code, {**vars(frame.distributions), "F": frame})


def squashed(frame):
    """The policy of soft actor-critic: a normal variable through tanh, scaled."""
    D = frame.distributions
    loc = frame.tensor([[0.3, -1.0], [0.8, 2.0]], dtype=frame.float64, requires_grad=True)
    scale = frame.tensor([[0.5, 1.0], [0.1, 0.7]], dtype=frame.float64, requires_grad=True)
    parts = [D.TanhTransform(cache_size=1), D.AffineTransform(1.0, 2.0)]
    return D.TransformedDistribution(D.Normal(loc, scale), parts), (loc, scale)


def mixture(frame):
    D = frame.distributions
    loc = frame.tensor(TRIL, dtype=frame.float64, requires_grad=True)
    logits = frame.tensor([0.3, -0.2], dtype=frame.float64, requires_grad=True)
    parts = D.Independent(D.Normal(loc, frame.ones_like(loc)), 1)
    return D.MixtureSameFamily(D.Categorical(logits=logits), parts), (loc, logits)


def multinomial(frame):
    rows = frame.tensor(ROWS, dtype=frame.float64, requires_grad=True)
    return frame.distributions.Multinomial(4, rows), (rows,)


def relaxed(frame):
    rows = frame.tensor(ROWS, dtype=frame.float64, requires_grad=True)
    heat = frame.tensor(0.7, dtype=frame.float64, requires_grad=True)
    return frame.distributions.RelaxedOneHotCategorical(heat, logits=rows), (rows, heat)


def composed(frame):
    D = frame.distributions
    loc = frame.tensor([0.3, -1.0], dtype=frame.float64, requires_grad=True)
    parts = [D.ExpTransform(), D.SigmoidTransform().inv.inv, D.SoftplusTransform(), D.AffineTransform(0.5, 3.0)]  # fmt: skip
    return D.TransformedDistribution(D.Normal(loc, 1.0), D.ComposeTransform(parts)), (loc,)


@pytest.mark.parametrize(
    "make, value",
    [(squashed, [[0.3, -0.5], [2.9, 1.0]]), (mixture, [0.5, 1.0]), (multinomial, [1.0, 3.0, 0.0]),
     (relaxed, [0.2, 0.7, 0.1]), (composed, [3.6, 4.2])],
)  # fmt: skip
def test_derived_equal_pytorch(make, value):
    found = []
    for frame in (mezzo, torch):
        d, parameters = make(frame)
        log = d.log_prob(frame.tensor(value, dtype=frame.float64))
        log.sum().backward()
        shapes = (tuple(d.batch_shape), tuple(d.event_shape), tuple(d.sample((5,)).shape))
        found.append((log, *(p.grad for p in parameters), shapes))
    assert found[0][-1] == found[1][-1]
    for a, b in zip(found[0][:-1], found[1][:-1]):
        close(a, b)


def test_squashed_draws_have_finite_log_probs():
    """Where tanh rounds to 1, the cached inverse still knows the draw."""
    D = mezzo.distributions
    loc = mezzo.tensor([20.0], requires_grad=True)
    d = D.TransformedDistribution(D.Normal(loc, 1.0), [D.TanhTransform(cache_size=1)])
    x = d.rsample()
    assert x.item() == 1.0 and bool(d.log_prob(x).isfinite().all())


@pytest.mark.parametrize("rate", [0.3, 9.0, 15.0, 400.0])
def test_poisson_draws(rate):
    """Mean and variance within five standard errors, and every value's share beside its probability."""
    mezzo.manual_seed(0)
    d = mezzo.distributions.Poisson(mezzo.tensor(rate, dtype=mezzo.float64))
    x, count = d.sample((40000,)), 40000
    assert abs(x.mean().item() - rate) < 5 * (rate / count) ** 0.5
    assert abs(x.var().item() - rate) < 5 * (rate * (2 * rate + 1) / count) ** 0.5
    values = mezzo.arange(int(rate) + 3, dtype=mezzo.float64)
    share = (x[:, None] == values).to(mezzo.float64).mean(0)
    assert bool(((share - d.log_prob(values).exp()).abs() < 5 * (0.25 / count) ** 0.5).all())


def test_straight_through_and_expand():
    D = mezzo.distributions
    p = mezzo.tensor(ROWS, dtype=mezzo.float64, requires_grad=True)
    x = D.OneHotCategoricalStraightThrough(p).rsample()
    assert set(x.detach().flatten().tolist()) <= {0.0, 1.0} and x.requires_grad
    for name in CASES:
        d, _ = build(mezzo, name, CASES[name][0])
        wide = d.expand((4, *d.batch_shape))
        assert type(wide) is type(d) and tuple(wide.batch_shape) == (4, *d.batch_shape)
        value = mezzo.tensor(
            CASES[name][2], dtype=mezzo.int64 if name == "Categorical" else mezzo.float64
        )
        close(wide.log_prob(value)[3], d.log_prob(value))


@pytest.mark.parametrize("name", ["Bernoulli", "Categorical", "OneHotCategorical"])
@pytest.mark.parametrize("expand", [True, False])
def test_enumerate_support(name, expand):
    found = [
        build(f, name, CASES[name][0])[0].enumerate_support(expand=expand) for f in (mezzo, torch)
    ]
    np.testing.assert_array_equal(found[0].detach().numpy(), found[1].detach().numpy())


def test_a_users_own_distribution():
    """Subclasses as people write them: constraints as class attributes, super().__init__ last."""
    found = []
    for frame in (mezzo, torch):
        D = frame.distributions

        class Triangle(D.Distribution):
            arg_constraints = {"width": D.constraints.positive}
            support = D.constraints.interval(0.0, 10.0)

            def __init__(self, width, validate_args=None):
                self.width = width
                super().__init__(self.width.shape, validate_args=validate_args)

            def log_prob(self, value):
                if self._validate_args:
                    self._validate_sample(value)
                return (2 * (1 - value / self.width) / self.width).log()

        found.append(Triangle(frame.tensor([3.0, 2.0])).log_prob(frame.tensor(1.0)))
        with pytest.raises(ValueError):
            Triangle(frame.tensor([-1.0]))
        with pytest.raises(ValueError):
            Triangle(frame.tensor([3.0])).log_prob(frame.tensor(-1.0))
    np.testing.assert_allclose(found[0].numpy(), found[1].numpy(), rtol=1e-6)
