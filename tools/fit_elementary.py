#!/usr/bin/env python3
"""Coefficients and error bounds of kernels/src/num/elementary, by mpmath; prints Rust constants.

Each polynomial interpolates at Chebyshev points, and its coefficients are rounded to f64. The error printed is the
largest over a fine grid, of the polynomial with the rounded coefficients and exact arithmetic; what rounding of the
evaluation adds is derived in the comments of the sources.
"""

import numpy as np
from mpmath import cos, erfc, exp, factorial, ln, log, mp, mpf, pi, polyval, sin, sqrt

mp.prec = 400


def lsb_cleared(x, bits):
    """x to `bits` bits, to nearest."""
    shift = bits - 1 - int(mp.floor(log(abs(x), 2)))
    return mp.nint(x * mpf(2) ** shift) / mpf(2) ** shift


def f64(x):
    return mpf(float(x))


def f32(x):
    return mpf(float(np.float32(float(x))))


def f32_text(x):
    return str(np.float32(float(x)))


def points(low, high, count):
    return [(low + high) / 2 + (high - low) / 2 * cos(pi * (2 * i + 1) / (2 * count)) for i in range(count)]


def interpolate(function, low, high, terms):
    """The polynomial of `terms` terms through `function` at Chebyshev points, lowest coefficient first."""
    xs = points(low, high, terms)
    ys = [function(x) for x in xs]
    # Newton's divided differences, then expanded.
    table = list(ys)
    for j in range(1, terms):
        for i in range(terms - 1, j - 1, -1):
            table[i] = (table[i] - table[i - 1]) / (xs[i] - xs[i - j])
    poly = [mpf(0)]
    for i in range(terms - 1, -1, -1):
        shifted = [mpf(0)] + poly
        poly = [a - xs[i] * b for a, b in zip(shifted, poly + [mpf(0)])]
        poly[0] += table[i]
    return poly[:terms]


def fit(function, low, high, terms):
    return [f64(c) for c in interpolate(function, low, high, terms)]


def worst(function, coefficients, low, high, count=4001):
    return max(
        abs(polyval(coefficients[::-1], x) - function(x))
        for x in ((low + (high - low) * (i + mpf(1) / 2) / count) for i in range(count))
    )


U = mpf(2) ** -53


def rounding_error(coefficients, x):
    """A bound of the roundings of `polynomial` in exp.rs: even and odd powers apart."""
    square = x * x

    def horner(part):
        value, error = mpf(part[-1]), mpf(0)
        for c in part[-2::-1]:
            # The square has a rounding too.
            error = error * square + U * abs(value) * square + U * abs(value * square + c)
            value = value * square + c
        return value, error

    (even, even_error), (odd, odd_error) = horner(coefficients[0::2]), horner(coefficients[1::2])
    return even_error + abs(x) * odd_error + U * abs(even + x * odd)


def rounding_error_constant_last(coefficients, x):
    return abs(x) * rounding_error(coefficients[1:], x) + U * abs(polyval(coefficients[::-1], x))


def show(name, coefficients):
    print(f"const {name}: [f64; {len(coefficients)}] = [")
    for c in coefficients:
        print(f"    {float(c)!r},")
    print("];")


def bits(x):
    return f"2^{float(log(x, 2)):.2f}"


def exponential():
    ln2 = ln(mpf(2))
    high = lsb_cleared(ln2, 42)
    low = f64(ln2 - high)
    print(f"ln 2 = {float(high)!r} + {float(low)!r}, off by {bits(abs(ln2 - high - low))}")
    # |r| ≤ ln2/2, a little more where x·log2(e) lies close to a half.
    r = ln2 / 2 * (1 + mpf(2) ** -30)

    def tail(known):
        """(e^r - Σ_{k<known} r^k/k!) / r^known"""
        return lambda x: sum(x**k / factorial(k + known) for k in range(60))

    for name, known, terms in (("TAIL", 5, 8), ("TAIL", 5, 9), ("TAIL", 4, 9), ("TAIL", 4, 10), ("TAIL_F32", 1, 10), ("TAIL_F32", 1, 11)):
        coefficients = fit(tail(known), -r, r, terms)
        error = worst(tail(known), coefficients, -r, r)
        roundings = max(rounding_error(coefficients, x) * abs(x) ** (known - 1) * x / (exp(x) - 1) for x in points(-r, r, 200))
        print(f"// from r^{known}: roundings {bits(roundings)} of (e^r-1)/r; absolute error of the tail {bits(error)}, of (e^r-1)/r {bits(error * r**(known-1))}, of e^r relative {bits(error * r**known / exp(-r))}")
        show(name, coefficients)
    for k in (6, 24):
        third = f64(mpf(1) / k)
        print(f"1/{k} - f64 = {float(mpf(1) / k - third)!r}")


def exponential_by_registers():
    """What exp_table.rs, exp_avx2.rs and exp_avx512.rs hold."""
    ln2 = ln(mpf(2))
    print("// exp_table: 2^(j/64), rounded, and ln(2^(j/64) / that)")
    powers = [mpf(2) ** (mpf(j) / 64) for j in range(64)]
    show("POWERS", [f64(p) for p in powers])
    show("CORRECTIONS", [f64(ln(p / f64(p))) for p in powers])

    def quotient(x):
        """(e^x - 1 - x) / x^2"""
        return sum(x**k / factorial(k + 2) for k in range(40))

    for name, count, width, terms in (("avx512 f64", 16, 38, 6), ("avx2 f64", 64, 36, 5)):
        step = ln2 / count
        high = lsb_cleared(step, width)
        low = f64(step - high)
        print(f"// {name}: {count}/ln 2 = {float(count / ln2)!r}, L = {float(high)!r} + {float(low)!r}, off by {bits(abs(step - high - low))}")
        r = step / 2 * (1 + mpf(2) ** -30)
        coefficients = fit(quotient, -r, r, terms)
        print(f"// |r| <= {bits(r)}, error of e^r {bits(worst(quotient, coefficients, -r, r) * r * r)}")
        show("H", coefficients)

    # f32 on AVX-512: L in three parts, the second of six bits because zeros follow.
    step = ln2 / 32
    high = lsb_cleared(step, 12)
    middle = lsb_cleared(step - high, 8)
    low = f32(step - high - middle)
    print(f"// avx512 f32: 32/ln 2 = {f32_text(32 / ln2)}, L = {f32_text(high)} + {f32_text(middle)} + {f32_text(low)}, off by {bits(abs(step - high - middle - low))}")
    # 32/ln 2 in f32 moves n by up to 2^-14.
    r = step / 2 * (1 + mpf(2) ** -10)
    coefficients = [f32(c) for c in interpolate(quotient, -r, r, 3)]
    print(f"// |r| <= {bits(r)}, error of e^r {bits(worst(quotient, coefficients, -r, r) * r * r)}, H = {', '.join(map(f32_text, coefficients))}")

    # f32 on AVX2: a polynomial alone, a little too small.
    def lowered(x):
        return exp(x) * (1 - mpf(2) ** -39)

    r = ln2 / 2 * (1 + mpf(2) ** -30)
    coefficients = fit(lowered, -r, r, 9)
    print(f"// avx2 f32: absolute error {bits(worst(lowered, coefficients, -r, r))}")
    show("POLYNOMIAL", coefficients)


def complementary_error():
    # erfc(a) = exp(-a²) G(a), a ≥ 0; G is smooth in t = (a - K)/(a + K).
    k, top, terms = mpf(4), mpf("10.25"), 20

    def g(t):
        a = k * (1 + t) / (1 - t)
        return exp(a * a) * erfc(a)

    low, high = mpf(-1), (top - k) / (top + k)
    coefficients = fit(g, low, high, terms)
    error = worst(g, coefficients, low, high, 801)
    print(f"// absolute error of G {bits(error)}, relative {bits(error / g(high))}, G >= {float(g(high))}")
    show("G", coefficients)
    # In f64: erfc(a) = exp(-a²) F(s) / (1 + 2a), s = (a - 3/2)/(a + 3), a ≤ 6; the first seven terms in two parts.
    def f(s):
        a = (mpf(3) / 2 + 3 * s) / (1 - s)
        return exp(a * a) * erfc(a) * (1 + 2 * a)

    high, terms, in_parts = mpf(1) / 2 * (1 + mpf(2) ** -40), 24, 7
    exact = interpolate(f, -high, high, terms)
    parts = [(f64(c), f64(c - f64(c))) for c in exact[:in_parts]]
    tail = [f64(c) for c in exact[in_parts:]]
    whole = [a + b for a, b in parts] + tail
    grid = [high * (mpf(i) / 400 - 1) for i in range(801)]
    error = max(abs(polyval(whole[::-1], s) - f(s)) / f(s) for s in grid)
    rounding = max(rounding_error(tail, s) * abs(s) ** in_parts / f(s) for s in grid)
    share = max(abs(polyval(tail[::-1], s) * s**in_parts) / f(s) for s in grid)
    step = mpf(2) ** -60
    moved = max(abs((polyval(tail[::-1], s + step) - polyval(tail[::-1], s)) / step * s ** (in_parts + 1)) / f(s) for s in grid)
    print(f"// relative error of F {bits(error)}, roundings of the tail {bits(rounding)}, the tail {bits(share)}, s without its low part {bits(moved * U)}")
    print("const F: [Parts; 7] = [")
    for a, b in parts:
        print(f"    Parts::new({float(a)!r}, {float(b)!r}),")
    print("];")
    show("F_TAIL", tail)
    for k in range(in_parts):
        following = max(abs(s * polyval(whole[:k:-1], s)) for s in grid) / abs(whole[k])
        print(f"// from s^{k + 1} on it is at most {float(following):.2f} of the term before")


def sine_and_cosine():
    half = pi / 2
    high = f64(half)
    middle = f64(half - high)
    low = f64(half - high - middle)
    print(f"// π/2 = {float(high)!r} + {float(middle)!r} + {float(low)!r}, off by {bits(abs(half - high - middle - low))}")
    top = (pi / 4 * (1 + mpf(2) ** -20)) ** 2

    def series(first, step):
        """Σ_{k≥first} (-1)^k z^(k-first) / (2k + step)!"""
        return lambda z: sum((-1) ** k * z ** (k - first) / factorial(2 * k + step) for k in range(first, first + 30))

    # y = m + m z P, m = 1 or r: for f32 P is one polynomial, for f64 its terms from z² on.
    for name, step, value in (("SIN", 1, lambda z: sin(sqrt(z)) / sqrt(z)), ("COS", 0, lambda z: cos(sqrt(z)))):
        for first, format in ((1, "f32"), (3, "f64")):
            coefficients = fit(series(first, step), mpf(0), top, 6)
            error = worst(series(first, step), coefficients, mpf(0), top, 1001)
            grid = [top * (i + 1) / 400 for i in range(400)]
            # In f64 the largest coefficient is added last, alone.
            rounding = rounding_error if first == 1 else rounding_error_constant_last
            roundings = max(rounding(coefficients, z) * z**first / value(z) for z in grid)
            print(f"// {format}, m = {'r' if step else '1'}: error of y {bits(error * top**first / value(top))}, roundings {bits(roundings)}")
            show(name, coefficients)
    for k in (6, 24, 120):
        print(f"1/{k} - f64 = {float(mpf(1) / k - f64(mpf(1) / k))!r}")


exponential()
exponential_by_registers()
complementary_error()
sine_and_cosine()
