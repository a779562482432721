"""The picture side of tools/demo: `input DIR` writes and draws the digit, `output DIR` reads the model's answer."""
import pathlib
import sys

import numpy as np

CASE = pathlib.Path(__file__).resolve().parent.parent / "test" / "models" / "mnist_8"
SHADES = " .:-=+*#%@"


def draw(image):
    """Print a (28, 28) image of values in 0..255 with two columns for each pixel, rows of background left out."""
    for row in image[(image > 25).any(axis=1)]:
        print("    " + "".join(SHADES[int(v) * (len(SHADES) - 1) // 255] * 2 for v in row))


def main():
    step, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    if step == "input":
        digit = np.load(CASE / "inputs.npz")["Input3"]
        np.save(folder / "digit.npy", digit)
        print("A handwritten digit, 28 x 28:")
        draw(digit[0, 0])
        return
    scores = np.load(folder / "Plus214_Output_0.npy")[0]
    print("The model's score for each digit:")
    low, high = scores.min(), scores.max()
    for digit, score in enumerate(scores):
        print(f"    {digit} {score:10.2f} " + "#" * int(40 * (score - low) / (high - low)))
    print(f"It reads a {scores.argmax()}.")
    want = np.load(CASE / "outputs.npz")["Plus214_Output_0"][0]
    error = np.abs(scores - want).max() / np.sqrt(np.mean(want**2))
    print(f"Largest difference from the recorded answer: {error:.1e} of its RMS.")
    sys.exit(1 if error > 1e-4 else 0)


if __name__ == "__main__":
    main()
