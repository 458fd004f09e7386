"""Look for what spills out of the pages of the built documentation, in a real browser.

``python docs/check_overflow.py docs/_build``, with Chromium installed. Each page is laid out at the
widths of a laptop and of a telephone. Nothing of the text may reach beyond its column, unless it
scrolls within a box that does not. Exits with 1 and a list where something does.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from html import unescape
from pathlib import Path

WIDTHS = (1280, 390)
AT_ONCE = 40  # pages of one browser
SCRIPT = """
<body><script>
const pages = PAGES, widths = WIDTHS, found = [];
function spills(page) {
  const root = page.documentElement, text = page.querySelector('.bd-article') || page.body;
  const edge = text.getBoundingClientRect().right + 1, list = [];
  if (root.scrollWidth > root.clientWidth + 1) list.push('the page');
  for (const bar of page.querySelectorAll('.bd-sidebar-primary, .bd-sidebar-secondary'))
    if (bar.scrollWidth > bar.clientWidth + 1) list.push(`a bar, ${bar.className}`);
  for (const part of text.querySelectorAll('pre, table, img, svg, dt, p, li, .math, .sd-card')) {
    const box = part.getBoundingClientRect();
    if (!box.width || box.right <= edge || part.closest('details:not([open])')) continue;
    let around = part.parentElement;
    while (around !== text && !(around.getBoundingClientRect().right <= edge
        && /auto|scroll|hidden/.test(page.defaultView.getComputedStyle(around).overflowX)))
      around = around.parentElement;
    if (around === text) list.push(`${part.tagName} ${part.textContent.trim().slice(0, 40)}`);
  }
  return list;
}
async function look() {
  for (const width of widths) for (const name of pages) {
    const frame = document.createElement('iframe');
    frame.style.cssText = `width: ${width}px; height: 900px; border: 0`;
    const loaded = new Promise(done => { frame.onload = done; });
    frame.src = name;
    document.body.append(frame);
    await loaded;
    found.push([width, name, spills(frame.contentDocument)]);
    frame.remove();
  }
  const report = document.createElement('output');
  report.textContent = JSON.stringify(found);
  document.body.append(report);
}
look();
</script></body>
"""


def look(chromium, pages):
    """Return (width, page, what spills) of each page at each width."""
    with tempfile.TemporaryDirectory() as folder:
        names = json.dumps([page.resolve().as_uri() for page in pages])
        script = SCRIPT.replace("PAGES", names, 1).replace("WIDTHS", json.dumps(WIDTHS), 1)
        wrapper = Path(folder, "look.html")
        wrapper.write_text(f"<!doctype html>{script}", encoding="utf-8")
        command = [
            chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--allow-file-access-from-files", f"--user-data-dir={folder}/profile",
            "--virtual-time-budget=10000000", "--dump-dom", wrapper.as_uri(),
        ]  # fmt: skip
        dom = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    report = re.search(r"<output>(.*)</output>", dom.stdout, re.DOTALL)
    if report is None:
        sys.exit("The browser did not finish: it gave no report.")
    return json.loads(unescape(report[1]))


def main():
    folder = Path(sys.argv[1])
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("Chromium was not found. Install it to look at pages.")
    pages = [page for page in sorted(folder.rglob("*.html")) if "_static" not in page.parts]
    n_looks = n_wrong = 0
    for start in range(0, len(pages), AT_ONCE):
        for width, page, spilt in look(chromium, pages[start : start + AT_ONCE]):
            n_looks += 1
            n_wrong += bool(spilt)
            for what in spilt[:3]:
                print(f"{page.rpartition(folder.name + '/')[2]} at {width}: {what}")
    print(f"{n_looks} looks, {n_wrong} where something spills")
    if n_wrong or not n_looks:
        sys.exit(1)


if __name__ == "__main__":
    main()
