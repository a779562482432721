"""What ops mean, in numpy: straight formulas in float64 (integers as Python integers), rounded once. OPS has them by name."""
from . import elementwise, movement, products, recurrent, reduce, sampling
from .values import OPS
