"""Augmentation against np.flip, np.rot90, SciPy's geometry, shifts by hand and distributions."""

import json
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import affine_transform
from scipy.stats import kstest

from hpo.nn import augmentation
from hpo.nn.architecture import Floats
from hpo.nn.augmentation import Augmentation, augment, inplace_rotate

STRENGTHS: dict[str, Any] = {
    "flip": 0.5,
    "rotation": 30.0,
    "crop": 2,
    "contrast": 0.4,
    "color": 0.3,
    "noise": 0.2,
    "erase": 0.1,
}
GEOMETRY = ("flip", "rotation", "crop")
SHAPES = [(28, 28), (7, 5), (6, 9, 3), (8, 8, 1)]

shapes = st.tuples(st.integers(1, 7), st.integers(1, 7), st.integers(1, 3))
seeds = st.integers(0, 1000)


def some_rows(shape: tuple[int, ...], rows: int, seed: int = 0, dtype: Any = np.float32) -> Floats:
    X: Floats = np.random.default_rng(seed).normal(size=(rows, int(np.prod(shape)))).astype(dtype)
    return X


def changed(X: Floats, shape: tuple[int, ...], seed: int = 1, **strengths: Any) -> Floats:
    """The rows of ``X`` after augmentation, as images of ``shape``."""
    rng = np.random.default_rng(seed)
    return augment(X, Augmentation(shape, **strengths), rng).reshape(len(X), *shape)


def window(image: Floats, down: int, right: int) -> Floats:
    """The shifted window pixel by pixel: beyond the edge, the edge."""
    height, width = image.shape[:2]
    moved = np.empty_like(image)
    for y, x in np.ndindex(height, width):
        moved[y, x] = image[
            min(max(y + down, 0), height - 1),
            min(max(x + right, 0), width - 1),
        ]
    return moved


def turned(plane: Floats, degrees: float) -> Floats:
    """One colour plane (height, width) turned about its centre by SciPy."""
    cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    matrix = np.array([[cos, sin], [-sin, cos]])
    centre = (np.array(plane.shape) - 1) / 2
    offset = centre - matrix @ centre
    out: Floats = affine_transform(plane, matrix, offset, order=1, mode="nearest")
    return out


# What holds for all operations


def test_without_settings_nothing_changes_and_nothing_is_drawn() -> None:
    X, rng = some_rows((4, 5), 6), np.random.default_rng(0)
    before = rng.bit_generator.state
    same = augment(X, Augmentation((4, 5)), rng)
    assert same.tobytes() == X.tobytes()
    assert same is not X
    assert not np.shares_memory(same, X)
    assert rng.bit_generator.state == before


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", STRENGTHS)
def test_every_operation_changes_a_copy(shape: tuple[int, ...], name: str) -> None:
    X = some_rows(shape, 9)
    before = X.copy()
    rng = np.random.default_rng(3)
    out = augment(X, Augmentation(shape, **{name: STRENGTHS[name]}), rng)
    assert (out.shape, out.dtype) == (X.shape, X.dtype)
    assert out.flags.c_contiguous
    assert np.isfinite(out).all()
    assert (out != X).any()
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("name", STRENGTHS)
def test_every_row_has_draws_of_its_own(name: str) -> None:
    X = np.repeat(some_rows((28, 28), 1), 40, axis=0)
    out = changed(X, (28, 28), **{name: STRENGTHS[name]})
    n_different = len(np.unique(out.reshape(40, -1), axis=0))
    assert n_different == 2 if name == "flip" else n_different > 15


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [0, 1, 2, 50])
def test_any_number_of_rows_of_either_precision(rows: int, dtype: Any) -> None:
    X = some_rows((6, 9, 3), rows, dtype=dtype)
    out = augment(X, Augmentation((6, 9, 3), **STRENGTHS), np.random.default_rng(0))
    assert (out.shape, out.dtype) == (X.shape, np.dtype(dtype))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_same_state_gives_the_same_bits(shape: tuple[int, ...], seed: int) -> None:
    X = some_rows(shape, 5)
    first, again, other = (changed(X, shape, s, **STRENGTHS) for s in (seed, seed, seed + 1))
    assert first.tobytes() == again.tobytes()
    assert first.tobytes() != other.tobytes()


def test_rows_that_are_not_contiguous() -> None:
    wide = some_rows((2, 28, 28), 20)
    part = wide[::2, 784:]
    np.testing.assert_array_equal(
        changed(part, (28, 28), **STRENGTHS), changed(part.copy(), (28, 28), **STRENGTHS)
    )
    fortran = np.asfortranarray(part)
    np.testing.assert_array_equal(
        changed(fortran, (28, 28), **STRENGTHS), changed(part.copy(), (28, 28), **STRENGTHS)
    )


def test_the_order_of_the_operations() -> None:
    """All at once is one after the other: geometry, then intensities, then what is lost."""
    X, shape = some_rows((8, 6, 3), 12), (8, 6, 3)
    rng = np.random.default_rng(5)
    one_by_one = X
    for name in ("flip", "rotation", "crop", "contrast", "color", "noise", "erase"):
        one_by_one = augment(one_by_one, Augmentation(shape, **{name: STRENGTHS[name]}), rng)
    together = augment(X, Augmentation(shape, **STRENGTHS), np.random.default_rng(5))
    assert together.tobytes() == one_by_one.tobytes()


def test_a_shape_without_channels_has_one() -> None:
    X = some_rows((7, 5), 10)
    flat, deep = changed(X, (7, 5), **STRENGTHS), changed(X, (7, 5, 1), **STRENGTHS)
    assert flat.tobytes() == deep.tobytes()
    assert Augmentation((7, 5)).sides == (7, 5, 1)
    assert Augmentation((7, 5, 3)).sides == (7, 5, 3)


@given(shapes, seeds, st.sampled_from(GEOMETRY))
def test_geometry_keeps_the_colour_planes_together(
    shape: tuple[int, ...], seed: int, name: str
) -> None:
    # Planes that differ by a constant still do; rows, columns and channels that got mixed do not.
    grey = some_rows((*shape[:2], 1), 4, seed, np.float64).reshape(4, *shape[:2], 1)
    images = grey + 10.0 * np.arange(3)
    strength = min(2, *(side - 1 for side in shape[:2])) if name == "crop" else STRENGTHS[name]
    out = changed(images.reshape(4, -1), (*shape[:2], 3), seed, **{name: strength})
    np.testing.assert_allclose(out - out[..., :1], np.broadcast_to([0, 10, 20], out.shape))
    assert np.abs(out[..., 0]).max() <= np.abs(grey).max() + 1e-12


# Flip


@given(shapes, seeds)
def test_a_certain_flip_equals_numpy_and_undoes_itself(shape: tuple[int, ...], seed: int) -> None:
    X = some_rows(shape, 3, seed)
    mirrored = changed(X, shape, flip=1.0)
    np.testing.assert_array_equal(mirrored, np.flip(X.reshape(3, *shape), axis=2))
    twice = changed(mirrored.reshape(3, -1), shape, flip=1.0)
    np.testing.assert_array_equal(twice, X.reshape(3, *shape))


def test_flips_are_as_frequent_as_asked_for() -> None:
    X = some_rows((3, 4), 20_000)
    images, out = X.reshape(-1, 3, 4), changed(X, (3, 4), flip=0.2)
    mirrored = (out == images[:, :, ::-1]).all(axis=(1, 2))
    assert (mirrored | (out == images).all(axis=(1, 2))).all()
    assert mirrored.mean() == pytest.approx(0.2, abs=0.01)


# Rotation


@pytest.mark.parametrize("quarter", [-2, -1, 0, 1, 2])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [1, 2, 7, 8])
def test_quarter_turns_equal_numpy(side: int, channels: int, quarter: int) -> None:
    images = some_rows((side, side, channels), 3, dtype=np.float64)
    images = images.reshape(3, side, side, channels)
    out = images.copy()
    inplace_rotate(out, np.full(3, 90.0 * quarter))
    np.testing.assert_allclose(out, np.rot90(images, quarter, axes=(1, 2)), atol=1e-12)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 3e-5), (np.float64, 1e-12)])
@pytest.mark.parametrize("shape", [(28, 28, 1), (9, 14, 3), (1, 6, 1), (6, 1, 2), (1, 1, 1)])
@pytest.mark.parametrize("block_pixels", [1, 500, 1 << 14])
def test_rotation_equals_scipy(
    shape: tuple[int, int, int],
    dtype: Any,
    tolerance: float,
    block_pixels: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(augmentation, "BLOCK_PIXELS", block_pixels)
    images = some_rows(shape, 30, dtype=dtype).reshape(30, *shape)
    degrees = np.random.default_rng(1).uniform(-180, 180, 30)
    out = images.copy()
    inplace_rotate(out, degrees)
    for row, channel in product(range(30), range(shape[2])):
        expected = turned(images[row, :, :, channel].astype(np.float64), degrees[row])
        np.testing.assert_allclose(out[row, :, :, channel], expected, atol=tolerance)


def test_rotation_sees_no_other_image() -> None:
    images = some_rows((5, 6), 3).reshape(3, 5, 6, 1)
    degrees = np.array([0.0, 33.0, 180.0])
    alone = images[1:2].copy()
    inplace_rotate(alone, degrees[1:2])
    images[[0, 2]] = 1e30
    inplace_rotate(images, degrees)
    assert images[1].tobytes() == alone.tobytes()
    assert (images[[0, 2]] == np.float32(1e30)).all()


def test_a_round_image_hardly_changes() -> None:
    # Interpolation is wrong by at most an eighth of the second derivatives, which are up to 1/20.
    y, x = np.mgrid[-13.5:14, -13.5:14]
    blob, beside = (np.exp(-(y**2 + (x - shift) ** 2) / 40) for shift in (0, 4))
    for image, few in ((blob, True), (beside, False)):
        out = changed(np.repeat(image.reshape(1, -1), 50, axis=0), (28, 28), rotation=180.0)
        assert (np.abs(out - image).max() < 2 / 20 / 8) == few


def test_a_constant_image_does_not_change() -> None:
    X = np.full((20, 12 * 9), 0.7, dtype=np.float32)
    np.testing.assert_array_equal(changed(X, (12, 9), rotation=90.0), X.reshape(20, 12, 9))


def test_angles_are_uniform_up_to_the_largest() -> None:
    # Interpolation of a slope is exact, and the turned slope tells its angle.
    slope = np.broadcast_to(np.arange(5.0), (5, 5)).reshape(1, -1)
    out = changed(np.repeat(slope, 5000, axis=0), (5, 5), rotation=25.0)
    sin, cos = out[:, 1, 2] - out[:, 2, 2], out[:, 2, 3] - out[:, 2, 2]
    np.testing.assert_allclose(sin**2 + cos**2, 1)
    angles = np.rad2deg(np.arctan2(sin, cos))
    assert np.abs(angles).max() <= 25
    assert kstest(angles, "uniform", (-25, 50)).pvalue > 0.01


# Crop


@pytest.mark.parametrize("shape", [(7, 5), (4, 6, 3), (2, 2)])
@pytest.mark.parametrize("padding", [1, 3])
def test_crop_is_every_shift_equally_often(shape: tuple[int, ...], padding: int) -> None:
    padding = min(padding, *(side - 1 for side in shape[:2]))
    image = some_rows(shape, 1)
    offsets = list(product(range(-padding, padding + 1), repeat=2))
    out = changed(np.repeat(image, 400 * len(offsets), axis=0), shape, crop=padding)
    found = [
        (out == window(image.reshape(shape), *offset)).reshape(len(out), -1).all(axis=1).mean()
        for offset in offsets
    ]
    assert sum(found) == pytest.approx(1)
    np.testing.assert_allclose(found, 1 / len(offsets), rtol=0.2)


# Intensities


@given(shapes, seeds, st.floats(0.01, 1))
def test_contrast_stretches_each_image_about_its_mean(
    shape: tuple[int, ...], seed: int, strength: float
) -> None:
    images = some_rows(shape, 6, seed, np.float64) + 3
    out = changed(images, shape, seed, contrast=strength).reshape(6, -1)
    np.testing.assert_allclose(out.mean(axis=1), images.mean(axis=1))
    before, after = (rows - rows.mean(axis=1, keepdims=True) for rows in (images, out))
    factors = (before * after).sum(axis=1) / np.maximum((before**2).sum(axis=1), 1e-300)
    np.testing.assert_allclose(after, before * factors[:, None], atol=1e-12)
    if before.any():
        assert np.all(np.abs(factors - 1) <= strength + 1e-9)


def test_contrast_factors_are_uniform() -> None:
    X = np.tile([0.0, 2.0], (5000, 2))
    out = changed(X, (2, 2), contrast=0.3)
    factors = (out[:, 0, 1] - out[:, 0, 0]) / 2
    assert kstest(factors, "uniform", (0.7, 0.6)).pvalue > 0.01


@given(shapes, seeds)
def test_colour_shifts_each_channel_by_one_number(shape: tuple[int, int, int], seed: int) -> None:
    X = some_rows(shape, 3, seed, np.float64)
    shift = changed(X, shape, seed, color=0.5) - X.reshape(3, *shape)
    np.testing.assert_allclose(shift, np.broadcast_to(shift[:, :1, :1], shift.shape), atol=1e-12)
    assert len(np.unique(shift[:, 0, 0])) == 3 * shape[2]


def test_colour_shifts_are_normal() -> None:
    shifts = changed(np.zeros((4000, 12)), (2, 2, 3), color=0.5)[:, 0, 0]
    assert kstest(shifts.ravel(), "norm", (0, 0.5)).pvalue > 0.01
    np.testing.assert_allclose(np.corrcoef(shifts.T), np.eye(3), atol=0.05)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_noise_is_normal_and_independent(dtype: Any) -> None:
    X = some_rows((2, 2, 2), 4000, dtype=dtype)
    noise = changed(X, (2, 2, 2), noise=0.1).reshape(4000, 8) - X
    assert kstest(noise.ravel(), "norm", (0, 0.1)).pvalue > 0.01
    np.testing.assert_allclose(np.corrcoef(noise.T), np.eye(8), atol=0.06)
    np.testing.assert_allclose(np.corrcoef(noise.T, X.T)[:8, 8:], 0, atol=0.06)


# Erase


def rectangles(erased: NDArray[np.bool_]) -> list[tuple[int, int, int, int]]:
    """Top, left, height and width of what is erased of each image, which must be a rectangle."""
    found = []
    for image in erased:
        y, x = np.flatnonzero(image.any(axis=1)), np.flatnonzero(image.any(axis=0))
        assert image[y[0] : y[-1] + 1, x[0] : x[-1] + 1].all()
        found.append((int(y[0]), int(x[0]), int(np.ptp(y)) + 1, int(np.ptp(x)) + 1))
    return found


@pytest.mark.parametrize(
    ("shape", "share", "sides"),
    [
        ((28, 28), 0.1, (9, 9)),
        ((28, 28), 0.25, (14, 14)),
        ((10, 20, 3), 0.25, (5, 10)),
        ((4, 4), 0.5, (3, 3)),
        ((6, 5), 1e-6, (1, 1)),
        ((6, 5), 0.999, (6, 5)),
    ],
)
def test_erased_rectangle_has_its_size_and_the_rest_stays(
    shape: tuple[int, ...], share: float, sides: tuple[int, int]
) -> None:
    X = some_rows(shape, 300)
    out, images = changed(X, shape, erase=share), X.reshape(300, *shape)
    np.testing.assert_array_equal(out[out != 0], images[out != 0])
    erased = (out == 0).reshape(300, *shape[:2], -1)
    assert (erased.all(axis=3) == erased.any(axis=3)).all()
    found = rectangles(erased.all(axis=3))
    assert {each[2:] for each in found} == {sides}


def test_erased_rectangle_is_equally_often_at_every_place() -> None:
    out = changed(np.ones((6000, 30)), (6, 5), erase=0.25)
    places = [each[:2] for each in rectangles(out == 0)]
    expected = set(product(range(4), range(4)))  # 3 x 2 pixels (2.5 rounds to even: 2) in 6 x 5
    counts = [places.count(place) for place in sorted(expected)]
    assert sum(counts) == 6000
    np.testing.assert_allclose(counts, 6000 / len(expected), rtol=0.2)


# Settings


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"flip": -0.1}, "flip must be a probability from 0 to 1, but it is -0.1"),
        ({"flip": 1.1}, "flip must be a probability"),
        ({"rotation": -1.0}, "rotation must be from 0 to 180 degrees"),
        ({"rotation": 180.1}, "rotation must be from 0 to 180 degrees"),
        ({"crop": -1}, "crop must be a whole number from 0 to 4 pixels"),
        ({"crop": 5}, "crop must be a whole number from 0 to 4 pixels, but it is 5"),
        ({"crop": 1.5}, "crop must be a whole number"),
        ({"contrast": -0.1}, "contrast must be from 0 to 1"),
        ({"contrast": 1.1}, "contrast must be from 0 to 1"),
        ({"color": -0.1}, "color must be 0 or more, and finite"),
        ({"color": float("inf")}, "color must be 0 or more, and finite"),
        ({"noise": -0.1}, "noise must be 0 or more, and finite"),
        ({"noise": float("inf")}, "noise must be 0 or more, and finite"),
        ({"erase": -0.1}, "erase must be 0 or more, and below 1"),
        ({"erase": 1.0}, "erase must be 0 or more, and below 1"),
        ({"shape": (7,)}, r"shape must be \(height, width\)"),
        ({"shape": (7, 5, 3, 2)}, r"shape must be \(height, width\)"),
        ({"shape": ()}, r"shape must be \(height, width\)"),
        ({"shape": (7.0, 5)}, r"but it is \(7.0, 5\)"),
        ({"shape": (0, 5)}, r"whole numbers from 1, but it is \(0, 5\)"),
        *(({name: float("nan")}, f"{name} must be .* but it is nan") for name in STRENGTHS),
    ],
)
def test_what_is_out_of_range_is_refused(wrong: dict[str, Any], message: str) -> None:
    settings = Augmentation((7, 5))
    with pytest.raises(ValueError, match=message) as caught:
        replace(settings, **wrong)
    assert "\n" not in str(caught.value)


def test_the_ends_of_the_ranges_are_allowed() -> None:
    X = some_rows((7, 5), 8)
    ends: dict[str, Any] = {
        "flip": 1.0,
        "rotation": 180.0,
        "crop": 4,
        "contrast": 1.0,
        "erase": 0.999,
    }
    for name, strength in ends.items():
        assert np.isfinite(changed(X, (7, 5), **{name: strength})).all()


def test_json_round_trip() -> None:
    for shape in SHAPES:
        settings = Augmentation(shape, **STRENGTHS)
        plain = json.loads(json.dumps(settings.to_json()))
        assert plain == settings.to_json()
        assert Augmentation.from_json(plain) == settings


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"flip": 0.5},
        {"shape": 7},
        {"shape": [7, "5"]},
        {"shape": [7.5, 5]},
        {"shape": [7, 5], "flip": "often"},
        {"shape": [7, 5], "flip": None},
        {"shape": [7, 5], "tilt": 1.0},
        {"shape": [7, 5], "crop": 7},
    ],
)
def test_damaged_records_are_refused(record: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="augmentation"):
        Augmentation.from_json(record)


@pytest.mark.parametrize("X", [np.zeros((3, 34)), np.zeros((3, 5, 7)), np.zeros(35)])
def test_rows_of_another_shape_are_refused(X: Floats) -> None:
    with pytest.raises(ValueError, match=r"rows of 35 features, but X has the shape"):
        augment(X, Augmentation((5, 7)), np.random.default_rng(0))
