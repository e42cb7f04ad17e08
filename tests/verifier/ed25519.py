"""Verification of Ed25519 signatures (RFC 8032 section 5.1), in plain Python: slow, and nothing secret is in it."""

import functools
import hashlib

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)


@functools.cache
def verifies(key: bytes, signature: bytes, message: bytes) -> bool:
    """Section 5.1.7, with the equation that has no cofactor."""
    if len(key) != 32 or len(signature) != 64:
        return False
    a, r = decoded(key), decoded(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    # Another S for the same text would be another signature that verifies.
    if a is None or r is None or s >= L:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    x, y, z, t = a
    return same(sum_of(s, BASE, k, (P - x, y, z, P - t)), r)


def decoded(text: bytes):
    """A point (section 5.1.3) in the extended coordinates of section 5.1.4, or None."""
    y = int.from_bytes(text, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= P:
        return None
    x = square_root((y * y - 1) * pow(D * y * y + 1, P - 2, P) % P)
    if x is None or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


def square_root(square: int):
    root = pow(square, (P + 3) // 8, P)
    for candidate in (root, root * ROOT % P):
        if candidate * candidate % P == square:
            return candidate
    return None


def plus(p, q):
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c = 2 * p[3] * q[3] * D % P
    d = 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def sum_of(s: int, p, k: int, q):
    """s·p + k·q, bit by bit of both at once."""
    both, total = plus(p, q), (0, 1, 1, 0)
    for bit in range(max(s.bit_length(), k.bit_length()) - 1, -1, -1):
        total = plus(total, total)
        match s >> bit & 1, k >> bit & 1:
            case 1, 1:
                total = plus(total, both)
            case 1, 0:
                total = plus(total, p)
            case 0, 1:
                total = plus(total, q)
    return total


def same(p, q) -> bool:
    return (p[0] * q[2] - q[0] * p[2]) % P == 0 and (p[1] * q[2] - q[1] * p[2]) % P == 0


BASE = decoded((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))
