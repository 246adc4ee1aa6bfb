"""Triton kernels of `maxpool_triton`: maxima over 3x3 windows, and their gradient.

A map `(B, C, H, W)` lies channels last in memory. The window `(i, j)` has the rows `2i - 1` to
`2i + 1` and the columns `2j - 1` to `2j + 1`; what lies outside of the map counts as -inf. There
are `ceil(H / 2)` by `ceil(W / 2)` windows. The places in a window are numbered 0 to 8, row by row.

Each program works on tiles of `POSITIONS` windows beside each other by `COLUMNS` channels.
Offsets within a picture fit into int32; the offset of a whole picture may need int64.
"""
# Triton gives arguments their types, when it compiles a kernel.
# mypy: disable-error-code="no-untyped-def"

import triton
import triton.language as tl


@triton.jit
def _as_float32(value):
    """The same value in float32; bfloat16 is its upper half.

    Written as a shift, it compiles to fewer instructions: with `to`, the compiler turns the
    comparisons back into ones of bfloat16.
    """
    if value.dtype == tl.bfloat16:
        bits = value.to(tl.uint16, bitcast=True).to(tl.uint32) << 16
        return bits.to(tl.float32, bitcast=True)
    else:
        return value


@triton.jit
def _tile(channels, out_width, EVEN: tl.constexpr, POSITIONS: tl.constexpr, COLUMNS: tl.constexpr):
    """Columns of windows and channels of a program's tile, and which of the channels exist.

    `EVEN` says that all of them do.
    """
    across = tl.cdiv(out_width, POSITIONS)
    block = tl.program_id(0) // across
    column = (tl.program_id(0) - block * across) * POSITIONS + tl.arange(0, POSITIONS)
    channel = block * COLUMNS + tl.arange(0, COLUMNS)
    there = tl.full([COLUMNS], 1, tl.int32) > 0 if EVEN else channel < channels
    return column, channel, there


@triton.jit
def _inside(row, column, height, width):
    """Which of the columns are inside of a map in a row, which may be outside."""
    rows = row + tl.zeros_like(column)  # in Triton's interpreter a mask cannot begin as one value
    return (rows >= 0) & (rows < height) & (column >= 0) & (column < width)


@triton.jit
def _larger(best, place, value, place_of_value):
    """The larger of two values, and its place; the first of equal values, the last of two NaN."""
    better = (value > best) | (value != value)
    return tl.where(better, value, best), tl.where(better, place_of_value, place)


@triton.jit
def _largest_of_row(
    picture, row, column, channel, there, height, width, channels, FIRST: tl.constexpr
):
    """The largest value of each window's three columns in one row of the map, and its place.

    The places are `FIRST` to `FIRST + 2`. A place outside of the map is never given.
    """
    line = picture + row * width * channels
    for across in tl.static_range(3):
        at = 2 * column - 1 + across
        inside = _inside(row, at, height, width)[:, None] & there[None, :]
        offset = at[:, None] * channels + channel[None, :]
        value = _as_float32(tl.load(line + offset, inside, -float("inf")))
        if across == 0:
            best = value
            start = tl.where(column == 0, FIRST + 1, FIRST)
            place = tl.broadcast_to(start[:, None], value.shape)
        else:
            best, place = _larger(best, place, value, FIRST + across)
    return best, place


@triton.jit
def _as_loaded(value, IS_BFLOAT16: tl.constexpr):
    """Undo `_as_float32`."""
    if IS_BFLOAT16:
        bits = value.to(tl.uint32, bitcast=True) >> 16
        return bits.to(tl.uint16).to(tl.bfloat16, bitcast=True)
    else:
        return value


@triton.jit
def maximum(
    x,
    y,
    places,
    height,
    width,
    channels,
    out_height,
    out_width,
    HAS_PLACES: tl.constexpr,
    EVEN: tl.constexpr,
    ROWS: tl.constexpr,
    POSITIONS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """`y`: the maximum of each window; `places`, uint8: where in its window it is.

    Each program works on `ROWS` tiles, one below the other: a window's last row of the map is also
    the first row of the window below.

    Grid: `(ceil(out_width / POSITIONS) * ceil(C / COLUMNS), ceil(out_height / ROWS), B)`.
    """
    begin = tl.program_id(1) * ROWS
    number = tl.program_id(2).to(tl.int64)
    column, channel, there = _tile(channels, out_width, EVEN, POSITIONS, COLUMNS)
    picture = x + number * (height * width * channels)
    out = number * (out_height * out_width * channels)
    target = column[:, None] * channels + channel[None, :]
    best, place = _largest_of_row(
        picture, 2 * begin - 1, column, channel, there, height, width, channels, 0
    )
    place += tl.where(begin == 0, 3, 0)  # no place is above the map
    for step in tl.static_range(ROWS):
        row = begin + step
        middle, place_of_middle = _largest_of_row(
            picture, 2 * row, column, channel, there, height, width, channels, 3
        )
        below, place_of_below = _largest_of_row(
            picture, 2 * row + 1, column, channel, there, height, width, channels, 6
        )
        best, place = _larger(best, place, middle, place_of_middle)
        best, place = _larger(best, place, below, place_of_below)
        into = out + row * out_width * channels
        inside = _inside(row, column, out_height, out_width)[:, None] & there[None, :]
        tl.store(y + into + target, _as_loaded(best, y.dtype.element_ty == tl.bfloat16), inside)
        if HAS_PLACES:
            tl.store(places + into + target, place.to(tl.uint8), inside)
        best, place = below, place_of_below - 6


@triton.jit
def _window(gradient, places, row, column, channel, there, channels, out_height, out_width):
    """Gradients of a row of windows in float32 and their places; gradients outside are 0."""
    inside = _inside(row, column, out_height, out_width)[:, None] & there[None, :]
    offset = row * out_width * channels + column[:, None] * channels + channel[None, :]
    value = tl.load(gradient + offset, inside, 0.0).to(tl.float32)
    return value, tl.load(places + offset, inside, 0)


@triton.jit
def _given(value, place, wanted: tl.constexpr):
    return tl.where(place == wanted, value, 0.0)


@triton.jit
def _put(picture, value, row, column, channel, there, height, width, channels):
    """Store the gradients of a row's columns that are inside of the map."""
    inside = _inside(row, column, height, width)[:, None] & there[None, :]
    offset = row * width * channels + column[:, None] * channels + channel[None, :]
    tl.store(picture + offset, value.to(picture.dtype.element_ty), inside)


@triton.jit
def gather(
    gradient,
    places,
    of_x,
    height,
    width,
    channels,
    out_height,
    out_width,
    EVEN: tl.constexpr,
    POSITIONS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """`of_x`: the sum of the gradients of the windows whose maximum is at a position.

    Each program works on the positions `(2i, 2j)`, `(2i, 2j + 1)`, `(2i + 1, 2j)` and
    `(2i + 1, 2j + 1)`, for one `i` and the `j` of a tile. Only the windows `(i, j)`, `(i, j + 1)`,
    `(i + 1, j)` and `(i + 1, j + 1)` cover them. Sums are made in this order, in float32.

    Grid: `(ceil(out_width / POSITIONS) * ceil(C / COLUMNS), out_height, B)`.
    """
    row = tl.program_id(1)
    number = tl.program_id(2).to(tl.int64)
    column, channel, there = _tile(channels, out_width, EVEN, POSITIONS, COLUMNS)
    out = number * (out_height * out_width * channels)
    gradient += out
    places += out
    here, at_here = _window(
        gradient, places, row, column, channel, there, channels, out_height, out_width
    )
    right, at_right = _window(
        gradient, places, row, column + 1, channel, there, channels, out_height, out_width
    )
    below, at_below = _window(
        gradient, places, row + 1, column, channel, there, channels, out_height, out_width
    )
    corner, at_corner = _window(
        gradient, places, row + 1, column + 1, channel, there, channels, out_height, out_width
    )
    upper_left = _given(here, at_here, 4)
    upper_right = _given(here, at_here, 5) + _given(right, at_right, 3)
    lower_left = _given(here, at_here, 7) + _given(below, at_below, 1)
    lower_right = _given(here, at_here, 8) + _given(right, at_right, 6)
    lower_right = lower_right + _given(below, at_below, 2) + _given(corner, at_corner, 0)

    first = of_x + number * (height * width * channels)
    _put(first, upper_left, 2 * row, 2 * column, channel, there, height, width, channels)
    _put(first, upper_right, 2 * row, 2 * column + 1, channel, there, height, width, channels)
    _put(first, lower_left, 2 * row + 1, 2 * column, channel, there, height, width, channels)
    _put(first, lower_right, 2 * row + 1, 2 * column + 1, channel, there, height, width, channels)
