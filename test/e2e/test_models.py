"""Whole trained models against the outputs that came with them."""

import numpy as np
import pytest

import kiln


def error(got, want):
    """Largest difference over the RMS of what is wanted."""
    return np.abs(got.astype(np.float64) - want).max() / np.sqrt(np.mean(want.astype(np.float64) ** 2))


@pytest.mark.parametrize("target", ["host", "interpreter"])
@pytest.mark.parametrize("sizes", ["concrete", "as in the model"])
def test_outputs(case, target, sizes):
    path, inputs, outputs = case
    shapes = {n: v.shape for n, v in inputs.items()} if sizes == "concrete" else None
    got = kiln.compile(path, target=target, shapes=shapes).run(inputs)
    assert list(got) == list(outputs)
    for name, want in outputs.items():
        assert got[name].shape == want.shape and got[name].dtype == want.dtype
        assert error(got[name], want) < 1e-4


def test_saved_model_gives_the_same_bits(case, tmp_path):
    path, inputs, _ = case
    model = kiln.compile(path)
    model.save(tmp_path / "model.kiln")
    loaded = kiln.load(tmp_path / "model.kiln")
    for name, want in model.run(inputs).items():
        assert np.array_equal(loaded.run(inputs)[name], want)


def test_threads_change_neither_artifact_nor_bits(case, tmp_path):
    path, inputs, _ = case
    results = []
    for threads in (1, 2):
        model = kiln.compile(path, threads=threads)
        model.save(tmp_path / f"{threads}.kiln")
        results.append(model.run(inputs))
    assert (tmp_path / "1.kiln").read_bytes() == (tmp_path / "2.kiln").read_bytes()
    for name, want in results[0].items():
        assert np.array_equal(results[1][name], want)


def test_unknown_batch(case):
    """One compilation serves batches of 1, 2 and 3 where the model leaves the batch open."""
    path, inputs, outputs = case
    name, value = next(iter(inputs.items()))
    model = kiln.compile(path)
    if isinstance(model.inputs[0].shape[0], int):
        pytest.skip("the model fixes its batch")
    for n in (1, 2, 3):
        got = model.run({name: np.concatenate([value] * n)})
        for output, want in outputs.items():
            assert error(got[output], np.concatenate([want] * n)) < 1e-4
