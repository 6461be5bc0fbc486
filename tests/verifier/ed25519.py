"""Verification of Ed25519 signatures (RFC 8032, section 5.1.7), slow and plain, with nothing but Python's own library."""
import functools
import hashlib

P = 2 ** 255 - 19
ORDER = 2 ** 252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)


def _x(y, sign):
    """The x of a point with this y, or None."""
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    if square == 0:
        return None if sign else 0
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P:
        return None
    return P - x if x & 1 != sign else x


def _point(data):
    number = int.from_bytes(data, "little")
    y = number & ((1 << 255) - 1)
    x = _x(y, number >> 255)
    return None if x is None else (x, y, 1, x * y % P)


def _add(a, b):
    """Sum of two points in extended homogeneous coordinates."""
    e = (a[1] - a[0]) * (b[1] - b[0]) % P
    f = (a[1] + a[0]) * (b[1] + b[0]) % P
    g = 2 * a[3] * b[3] * D % P
    h = 2 * a[2] * b[2] % P
    s, t, u, v = f - e, h - g, h + g, f + e
    return s * t % P, u * v % P, t * u % P, s * v % P


def _table(point):
    """For each of the 64 hexadecimal digits of a number, the sixteen multiples of the point that it can stand for."""
    rows = []
    for _ in range(64):
        row = [(0, 1, 1, 0)]
        for _ in range(16):
            row.append(_add(row[-1], point))
        rows.append(row[:16])
        point = row[16]
    return rows


def _times(number, table):
    total = (0, 1, 1, 0)
    for row in table:
        total = _add(total, row[number & 15])
        number >>= 4
    return total


def _bytes(point):
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


_Y = 4 * pow(5, P - 2, P) % P
BASE = _table((_x(_Y, 0), _Y, 1, _x(_Y, 0) * _Y % P))


@functools.lru_cache(16)
def _minus(public):
    """The multiples of the key's point, turned round; None when it is no point."""
    point = _point(public)
    return point and _table((P - point[0], point[1], point[2], P - point[3]))


def verify(public, message, signature):
    if len(public) != 32 or len(signature) != 64:
        return False
    minus = _minus(public)
    s = int.from_bytes(signature[32:], "little")
    if minus is None or s >= ORDER:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % ORDER
    return _bytes(_add(_times(s, BASE), _times(h, minus))) == signature[:32]


# RFC 8032, section 7.1: tests 1, 2, 3 and the one of SHA(abc).
VECTORS = [
    ("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"),
    ("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"),
    ("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"),
    ("ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
     "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704"),
]


def self_test():
    """Whether every vector verifies, and none of them with one bit changed."""
    for public, message, signature in VECTORS:
        public, message, signature = (bytes.fromhex(text) for text in (public, message, signature))
        if not verify(public, message, signature):
            return False
        for at in range(0, 64, 7):
            changed = bytearray(signature)
            changed[at] ^= 1
            if verify(public, message, bytes(changed)):
                return False
        if verify(public, message + b"x", signature):
            return False
        larger = signature[:32] + (int.from_bytes(signature[32:], "little") + ORDER).to_bytes(32, "little")
        if verify(public, message, larger):
            return False
    return True


if __name__ == "__main__":
    assert self_test()
    print("the vectors verify")
