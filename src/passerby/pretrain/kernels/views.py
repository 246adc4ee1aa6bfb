"""The Triton kernels of `views_triton`, which explains them; importing this module needs Triton.

Pictures and views lie in memory as rows of pixels of red, green and blue. Each program works on
`TILE` pixels of one view, in `blur` on `TILE` numbers. Programs of the same view follow each other.
"""
# Triton gives arguments their types, when it compiles a kernel.
# mypy: disable-error-code="no-untyped-def"

import triton
import triton.language as tl

from passerby.pretrain.views_table import COLUMNS, column

_COLUMNS = tl.constexpr(COLUMNS)
_PICTURE = tl.constexpr(column("picture"))
_CUT = tl.constexpr(column("cut"))
_FLIP = tl.constexpr(column("flip"))
_CONTRAST = tl.constexpr(column("contrast"))
_ORDER = tl.constexpr(column("order"))
_FACTORS = tl.constexpr(column("factors"))
_GREY = tl.constexpr(column("grey"))
_BLUR = tl.constexpr(column("blur"))
_HOLE = tl.constexpr(column("hole"))
_BLUR_REACH = tl.constexpr(8)  # as in `views`


@triton.jit
def _of(table, view, which):
    """Load an integer, or the bits of a float, from a row of the table."""
    return tl.load(table + view * _COLUMNS + which)


@triton.jit
def _real(table, view, which):
    return _of(table, view, which).to(tl.float32, bitcast=True)


@triton.jit
def _unit(x):
    return tl.minimum(tl.maximum(x, 0.0), 1.0)


@triton.jit
def _luma(red, green, blue):
    return 0.299 * red + 0.587 * green + 0.114 * blue


@triton.jit
def _between(start, end, weight):
    return _unit(start + weight * (end - start))


@triton.jit
def _hue_channel(value, chroma, sixth, offset):
    k = sixth + offset
    k = k - 6.0 * tl.floor(k / 6.0)
    return value - chroma * _unit(tl.minimum(k, 4.0 - k))


@triton.jit
def _hue(red, green, blue, turn):
    """As `colours.hue`."""
    value = tl.maximum(tl.maximum(red, green), blue)
    chroma = value - tl.minimum(tl.minimum(red, green), blue)
    is_red = red == value
    is_green = green == value
    ahead = tl.where(is_red, green - blue, tl.where(is_green, blue - red, red - green))
    start = tl.where(is_red, 0.0, tl.where(is_green, 2.0, 4.0))
    sixth = ahead / tl.maximum(chroma, 1e-8) + start + 6.0 * turn
    return (
        _hue_channel(value, chroma, sixth, 5.0),
        _hue_channel(value, chroma, sixth, 3.0),
        _hue_channel(value, chroma, sixth, 1.0),
    )


@triton.jit
def _operation(red, green, blue, table, view, place, mean_luma):
    """Apply the operation at a place of the view's order; only contrast uses `mean_luma`."""
    which = _of(table, view, _ORDER + place)
    factor = _real(table, view, _FACTORS + which)
    if which == 0:
        red, green, blue = _unit(red * factor), _unit(green * factor), _unit(blue * factor)
    elif which == 3:
        red, green, blue = _hue(red, green, blue, factor)
    else:
        towards = tl.where(which == 1, mean_luma, _luma(red, green, blue))
        red = _between(towards, red, factor)
        green = _between(towards, green, factor)
        blue = _between(towards, blue, factor)
    return red, green, blue


@triton.jit
def _in_hole(table, view, row, column):
    top, left = _of(table, view, _HOLE), _of(table, view, _HOLE + 1)
    bottom, right = _of(table, view, _HOLE + 2), _of(table, view, _HOLE + 3)
    return (row >= top) & (row < bottom) & (column >= left) & (column < right)


@triton.jit
def _store_finished(out, mask, red, green, blue, table, view, row, column, mean, deviation):
    """Store a view: grey if its draws say so, normalised, with its hole unless a blur follows."""
    if _of(table, view, _GREY) != 0:
        grey = _luma(red, green, blue)
        red, green, blue = grey, grey, grey
    is_last = _of(table, view, _BLUR) == 0  # the bits of 0.0
    erased = _in_hole(table, view, row, column) & is_last
    red = tl.where(erased, 0.0, (red - mean[0]) / deviation[0])
    green = tl.where(erased, 0.0, (green - mean[1]) / deviation[1])
    blue = tl.where(erased, 0.0, (blue - mean[2]) / deviation[2])
    _store(out, mask, red, green, blue)


@triton.jit
def _store(out, mask, red, green, blue):
    tl.store(out, red, mask)
    tl.store(out + 1, green, mask)
    tl.store(out + 2, blue, mask)


@triton.jit
def _sampled(first, last, index, WANTED: tl.constexpr):
    """Centre and reach, in pixels of the picture, of the triangle about a pixel of the view."""
    step = (last - first).to(tl.float32) / WANTED
    return first + (index + 0.5) * step, tl.maximum(step, 1.0)


@triton.jit
def _first_tap(centre, reach):
    """The first pixel whose middle lies within the triangle."""
    return tl.floor(centre - reach - 0.5).to(tl.int32) + 1


@triton.jit
def _weight(place, centre, reach, pixels):
    """Weight of a pixel of the picture; 0 outside the picture."""
    weight = tl.maximum(1.0 - tl.abs(place + 0.5 - centre) / reach, 0.0)
    return tl.where((place >= 0) & (place < pixels), weight, 0.0)


@triton.jit
def _clamped(place, pixels):
    return tl.minimum(tl.maximum(place, 0), pixels - 1)


@triton.jit
def cut(
    pictures,
    table,
    views,
    lumas,
    mean,
    deviation,
    picture_height,
    picture_width,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    TAPS_Y: tl.constexpr,
    TAPS_X: tl.constexpr,
    TILE: tl.constexpr,
):
    """Cut; apply what comes before contrast, or, without jitter, all except the blur."""
    tiles = tl.cdiv(HEIGHT * WIDTH, TILE)
    view, tile = tl.program_id(0) // tiles, tl.program_id(0) % tiles
    at = tile * TILE + tl.arange(0, TILE)
    inside = at < HEIGHT * WIDTH
    row, column = at // WIDTH, at % WIDTH

    left, top = _of(table, view, _CUT), _of(table, view, _CUT + 1)
    right, bottom = _of(table, view, _CUT + 2), _of(table, view, _CUT + 3)
    unflipped = tl.where(_of(table, view, _FLIP) != 0, WIDTH - 1 - column, column)
    centre_y, reach_y = _sampled(top, bottom, row, HEIGHT)
    centre_x, reach_x = _sampled(left, right, unflipped, WIDTH)
    first_y, first_x = _first_tap(centre_y, reach_y), _first_tap(centre_x, reach_x)
    # The resident pictures together have more bytes than 32 bits can count.
    which = _of(table, view, _PICTURE).to(tl.int64)
    picture = pictures + which * picture_height * picture_width * 3

    red = tl.zeros((TILE,), tl.float32)
    green = tl.zeros((TILE,), tl.float32)
    blue = tl.zeros((TILE,), tl.float32)
    total = tl.zeros((TILE,), tl.float32)
    for y in range(TAPS_Y):
        weight_y = _weight(first_y + y, centre_y, reach_y, picture_height)
        line = _clamped(first_y + y, picture_height) * picture_width
        for x in tl.static_range(TAPS_X):
            weight = weight_y * _weight(first_x + x, centre_x, reach_x, picture_width)
            pixel = picture + (line + _clamped(first_x + x, picture_width)) * 3
            red += weight * tl.load(pixel).to(tl.float32)
            green += weight * tl.load(pixel + 1).to(tl.float32)
            blue += weight * tl.load(pixel + 2).to(tl.float32)
            total += weight
    scale = 1.0 / (255.0 * tl.where(inside, total, 1.0))
    red, green, blue = red * scale, green * scale, blue * scale

    out = views + view.to(tl.int64) * (HEIGHT * WIDTH * 3) + at * 3
    contrast = _of(table, view, _CONTRAST)
    if contrast < 0:
        _store_finished(out, inside, red, green, blue, table, view, row, column, mean, deviation)
    else:
        for place in range(3):
            if place < contrast:
                red, green, blue = _operation(red, green, blue, table, view, place, 0.0)
        _store(out, inside, red, green, blue)
        luma = tl.where(inside, _luma(red, green, blue), 0.0)
        tl.store(lumas + view * tiles + tile, tl.sum(luma, 0))


@triton.jit
def contrast_and_after(
    views,
    table,
    lumas,
    mean,
    deviation,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    TILES: tl.constexpr,
    TILE: tl.constexpr,
):
    """Finish views with colour jitter, in place: contrast and all that follows except the blur.

    `TILES` is a power of 2, and not less than the number of tiles of a view.
    """
    tiles = tl.cdiv(HEIGHT * WIDTH, TILE)
    view, tile = tl.program_id(0) // tiles, tl.program_id(0) % tiles
    contrast = _of(table, view, _CONTRAST)
    if contrast >= 0:
        parts = tl.arange(0, TILES)
        sums = tl.load(lumas + view * tiles + parts, parts < tiles, 0.0)
        mean_luma = tl.sum(sums, 0) / (HEIGHT * WIDTH)
        at = tile * TILE + tl.arange(0, TILE)
        inside = at < HEIGHT * WIDTH
        out = views + view.to(tl.int64) * (HEIGHT * WIDTH * 3) + at * 3
        red = tl.load(out, inside, 0.0)
        green = tl.load(out + 1, inside, 0.0)
        blue = tl.load(out + 2, inside, 0.0)
        for place in range(4):
            if place >= contrast:
                red, green, blue = _operation(red, green, blue, table, view, place, mean_luma)
        row, column = at // WIDTH, at % WIDTH
        _store_finished(out, inside, red, green, blue, table, view, row, column, mean, deviation)


@triton.jit
def blur(
    source,
    target,
    table,
    HEIGHT: tl.constexpr,
    WIDTH: tl.constexpr,
    ALONG_ROWS: tl.constexpr,
    TILE: tl.constexpr,
):
    """Blur views along rows; or blur them along columns, and make their holes."""
    LINE: tl.constexpr = WIDTH * 3
    STRIDE: tl.constexpr = 3 if ALONG_ROWS else LINE
    PIXELS: tl.constexpr = WIDTH if ALONG_ROWS else HEIGHT
    tiles = tl.cdiv(HEIGHT * LINE, TILE)
    view, tile = tl.program_id(0) // tiles, tl.program_id(0) % tiles
    sigma = _real(table, view, _BLUR)
    if sigma > 0.0:
        at = tile * TILE + tl.arange(0, TILE)
        inside = at < HEIGHT * LINE
        # A number's neighbours lie `STRIDE` apart, from `low` at one edge to `high` at the other.
        low = at // LINE * LINE + at % 3 if ALONG_ROWS else at % LINE
        high = low + (PIXELS - 1) * STRIDE
        start = view.to(tl.int64) * (HEIGHT * LINE)
        mixed = tl.zeros((TILE,), tl.float32)
        total = 0.0
        for tap in tl.static_range(-_BLUR_REACH, _BLUR_REACH + 1):
            away = tap * (1.0 / sigma)
            weight = tl.exp(-0.5 * away * away)
            neighbour = tl.minimum(tl.maximum(at + tap * STRIDE, low), high)
            mixed += weight * tl.load(source + start + neighbour, inside, 0.0)
            total += weight
        mixed = mixed / total
        if not ALONG_ROWS:
            erased = _in_hole(table, view, at // LINE, at % LINE // 3)
            mixed = tl.where(erased, 0.0, mixed)
        tl.store(target + start + at, mixed, inside)
