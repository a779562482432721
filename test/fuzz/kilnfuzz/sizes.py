"""Dims and their sizes. One model is run at several sets of sizes; a dim is its size in each of them."""
SETS = 3

# Names of unknown sizes as models have them, and as they might collide with what a compiler makes up.
NAMES = ["N", "H", "W", "C", "batch", "seq", "d0", "d1", "d2", "d3", "u0", "u1", "s0", "part", "x_0", "H_1", "a b", "x:y", "é", "größe", "漢字", "?", "-1",
         "N*2", "H+1", "1", "007", "check", "in", "floordiv", "d0 = H", "%", "N~", "\"q\"", "a,b", "[N]", "_", "$0", "@d0", "#1", "!", ".0", "N.0", "~d0",
         "unk__12", "sequence_length", "min", "max", "mod"]

# Sizes where tails, vectors and empty loops meet.
COMMON = [1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 6, 7, 8, 8, 9, 11, 12, 13, 16, 16, 17]
LARGE = [19, 23, 24, 31, 32, 33, 37, 48, 63, 64, 65, 100, 127, 128, 129, 257]


class Dim:
    """The sizes of a dim in each set of sizes, and whether the model says it as a number."""
    __slots__ = ("sizes", "static")

    def __init__(self, sizes, static=False):
        self.sizes, self.static = tuple(sizes), static

    @staticmethod
    def of(size):
        return Dim((size,) * SETS, True)

    def __eq__(self, other):
        return self.sizes == other.sizes

    def __hash__(self):
        return hash(self.sizes)

    def __repr__(self):
        return str(self.sizes[0]) if self.static else str(list(self.sizes))

    def is_(self, size):
        return all(s == size for s in self.sizes)

    @property
    def most(self):
        return max(self.sizes)

    @property
    def least(self):
        return min(self.sizes)

    @property
    def fixed(self):
        """The one size of all sets, or None."""
        return self.sizes[0] if self.most == self.least else None


def derive(function, *dims):
    """The dim computed from others, set by set."""
    return Dim((function(*at) for at in zip(*(d.sizes for d in dims))), all(d.static for d in dims))


def product(dims):
    result = Dim.of(1)
    for dim in dims:
        result = derive(lambda a, b: a * b, result, dim)
    return result


def broadcast_dim(a, b):
    """The dim of two that meet in an elementwise op, or None."""
    if any(x != y and x != 1 and y != 1 for x, y in zip(a.sizes, b.sizes)):
        return None
    return derive(lambda x, y: y if x == 1 else x, a, b)


def broadcast(*shapes):
    """numpy's broadcast of dims, or None where they do not fit."""
    rank = max(map(len, shapes))
    result = []
    for i in range(rank):
        dim = Dim.of(1)
        for shape in shapes:
            if i >= rank - len(shape):
                dim = broadcast_dim(dim, shape[i - rank + len(shape)])
                if dim is None:
                    return None
        result.append(dim)
    return tuple(result)


def elements(dims):
    """The number of elements at the largest set of sizes."""
    return product(dims).most


def random_size(random):
    kind = random.random()
    return random.choice(LARGE) if kind < 0.08 else random.randint(1, 24) if kind < 0.35 else random.choice(COMMON)


def random_symbol_sizes(random):
    sizes = [random_size(random) for _ in range(SETS)]
    if random.random() < 0.08:
        sizes[random.randrange(SETS)] = 0
    if random.random() < 0.15:
        sizes[random.randrange(SETS)] = 1
    return sizes
