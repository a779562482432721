"""Element types by Kiln's names: their numpy types, and how exact they are."""
import ml_dtypes
import numpy as np
import onnx.helper as oh

NUMPY = {
    "f32": np.float32, "f64": np.float64, "f16": np.float16, "bf16": ml_dtypes.bfloat16,
    "i8": np.int8, "i16": np.int16, "i32": np.int32, "i64": np.int64,
    "u8": np.uint8, "u16": np.uint16, "u32": np.uint32, "u64": np.uint64, "bool": np.bool_,
}
NUMPY = {name: np.dtype(t) for name, t in NUMPY.items()}
NAMES = {t: name for name, t in NUMPY.items()}
ONNX = {name: oh.np_dtype_to_tensor_dtype(t) for name, t in NUMPY.items()}

FLOATS = ("f32", "f64", "f16", "bf16")
SIGNED = ("i8", "i16", "i32", "i64")
UNSIGNED = ("u8", "u16", "u32", "u64")
INTS = SIGNED + UNSIGNED
NUMBERS = FLOATS + INTS
ANY = NUMBERS + ("bool",)

# Distance from 1 to the next number, and the magnitude beyond which no generated value should go.
EPSILON = {"f32": 2.0**-23, "f64": 2.0**-52, "f16": 2.0**-10, "bf16": 2.0**-7}
LARGEST = {"f32": 1e6, "f64": 1e6, "f16": 2e3, "bf16": 1e5}

# How often a new value has this type.
WEIGHTS = {"f32": 70, "f64": 4, "f16": 3, "bf16": 3, "i64": 5, "i32": 4, "i8": 2, "u8": 2, "i16": 1, "u16": 1, "u32": 1, "u64": 1, "bool": 3}


def integer_range(name):
    info = np.iinfo(NUMPY[name])
    return int(info.min), int(info.max)
