"""Whether a page can be read: contrast of its texts, both colour schemes, narrow windows."""

from __future__ import annotations

from typing import Any, Literal

from playwright.sync_api import Page

#: WCAG 2.2, success criterion 1.4.3: normal text, and large text (24 px, or bold from 18.66 px).
NORMAL, LARGE = 4.5, 3.0

# Texts with their colour, the colours of the elements below them, size and weight.
_TEXTS = """() => {
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        const text = walker.currentNode.textContent.trim();
        if (text === '' || element.closest('.visually-hidden, noscript, script')
            || !element.checkVisibility()) continue;
        const style = getComputedStyle(element);
        const grounds = [];
        for (let each = element; each !== null; each = each.parentElement) {
            grounds.push(getComputedStyle(each).backgroundColor);
        }
        found.push({text, color: style.color, grounds, size: parseFloat(style.fontSize),
            weight: Number(style.fontWeight)});
    }
    return found;
}"""

Rgb = tuple[float, float, float]


def _rgba(text: str) -> tuple[float, float, float, float]:
    """Read ``rgb(1, 2, 3)`` or ``rgba(1, 2, 3, 0.5)``, as getComputedStyle writes colours."""
    numbers = [float(each) for each in text[text.index("(") + 1 : -1].split(",")]
    return numbers[0], numbers[1], numbers[2], numbers[3] if len(numbers) > 3 else 1.0


def _ground(colors: list[str]) -> Rgb:
    """The first opaque colour below a text; half transparent ones are not used by our pages."""
    for each in colors:
        *rgb, alpha = _rgba(each)
        assert alpha in (0, 1), each
        if alpha == 1:
            return rgb[0], rgb[1], rgb[2]
    return 255, 255, 255


def contrast(first: Rgb, second: Rgb) -> float:
    """The contrast of two colours as WCAG defines it, from 1 to 21."""

    def luminance(color: Rgb) -> float:
        red, green, blue = (
            each / 255 / 12.92 if each / 255 <= 0.04045 else ((each / 255 + 0.055) / 1.055) ** 2.4
            for each in color
        )
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    darker, lighter = sorted((luminance(first), luminance(second)))
    return (lighter + 0.05) / (darker + 0.05)


def _faint(texts: list[dict[str, Any]]) -> list[str]:
    """The texts whose contrast is too low."""
    found = []
    for each in texts:
        is_large = each["size"] >= 24 or (each["size"] >= 18.66 and each["weight"] >= 700)
        *color, alpha = _rgba(each["color"])
        assert alpha == 1, each
        ratio = contrast((color[0], color[1], color[2]), _ground(each["grounds"]))
        if ratio < (LARGE if is_large else NORMAL):
            found.append(f"{ratio:.2f}: {each['text']!r}")
    return found


def check_looks(page: Page) -> None:
    """Look at a page in light and dark, at 390 and 1,280 pixels; leave it narrow and light."""
    grounds: set[str] = set()
    schemes: tuple[Literal["dark", "light"], ...] = ("dark", "light")
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 844})
            overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert overflow <= 0, f"{page.url}: {overflow} pixels too wide at {width}"
        texts = page.evaluate(_TEXTS)
        assert len(texts) > 3
        assert _faint(texts) == [], f"{page.url} in {scheme} colours"
        grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(grounds) == 2, f"{page.url} has the same background in both colour schemes"
