"""The picture of the front page, drawn when the documentation is built."""

from html import escape

from sklearn.datasets import load_digits

WIDTH, HEIGHT = 600, 300
CELL = 8  # a pixel of a digit, in units of the picture
TITLE = "Two images and their sum go in; a net that reads single images comes out"


def draw_front_picture():
    """Return an SVG: two images and their sum in, what each image shows out."""
    images, digits = load_digits(return_X_y=True)
    seven = images[digits == 7][3].reshape(8, 8) / 16
    five = images[digits == 5][5].reshape(8, 8) / 16
    shapes = [
        *_box(0, 0, 200, 160),
        _text(16, 28, "What you have", "head"),
        *_image(seven, 24, 46),
        *_image(five, 110, 46),
        _text(100, 144, "their sum: 12", "middle"),
        *_box(0, 176, 200, 124),
        _text(16, 204, "What you know", "head"),
        _text(100, 240, "a + b", "code middle"),
        _text(100, 268, "how the label follows", "small middle"),
        _text(100, 286, "from the parts", "small middle"),
        _text(245, 138, "fit(X, y)", "code small middle"),
        _arrow(212, 150, 278),
        *_box(290, 0, 310, 300),
        _text(306, 28, "What you get", "head"),
        *_image(seven, 314, 46),
        *_reading(392, 78, 7),
        _text(480, 74, "nobody wrote", "small"),
        _text(480, 92, "that down", "small"),
        *_image(five, 314, 132),
        *_reading(392, 164, 5),
        _text(480, 160, "a net that reads", "small"),
        _text(480, 178, "single images", "small"),
        _text(306, 244, "predict_symbols(X)", "code"),
        _text(500, 244, "7 and 5", "answer"),
        _text(306, 276, "predict(X)", "code"),
        _text(500, 276, "12", "answer"),
    ]
    opening = (
        f'<svg class="front-picture" viewBox="-2 -2 {WIDTH + 4} {HEIGHT + 4}" role="img" '
        f'aria-label="{TITLE}" xmlns="http://www.w3.org/2000/svg">'
    )
    return "\n".join([opening, *shapes, "</svg>"])


def _box(x, y, width, height):
    yield f'<rect class="box" x="{x}" y="{y}" width="{width}" height="{height}" rx="8"/>'


def _image(pixels, x, y):
    """Yield an image of 8 x 8 pixels: a frame, and a square for each pixel with ink."""
    side = 8 * CELL + 8
    yield f'<rect class="frame" x="{x - 4}" y="{y - 4}" width="{side}" height="{side}" rx="6"/>'
    for row, line in enumerate(pixels):
        for column, ink in enumerate(line):
            if ink > 0:
                yield (
                    f'<rect class="ink" x="{x + column * CELL}" y="{y + row * CELL}" '
                    f'width="{CELL}" height="{CELL}" opacity="{ink:.2f}"/>'
                )


def _reading(x, y, digit):
    yield _arrow(x, y, x + 26)
    yield f'<circle class="symbol" cx="{x + 56}" cy="{y}" r="22"/>'
    yield _text(x + 56, y + 9, str(digit), "digit middle")


def _text(x, y, text, style):
    return f'<text class="{style}" x="{x}" y="{y}">{escape(text)}</text>'


def _arrow(x1, y, x2):
    return f'<path class="arrow" d="M{x1} {y} H{x2} m-8 -6 l8 6 l-8 6"/>'
