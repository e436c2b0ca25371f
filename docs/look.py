"""Every page in a real browser: ``python docs/look.py docs/_build/html`` (needs Chromium, ``apt install chromium``).

Says which pages are wider than the screen, on phones and on desks, and on which element. With ``--pictures DIR`` each
page is photographed as well, narrow and wide, light and dark.
"""

from __future__ import annotations

import argparse
import functools
import html
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

NARROW, WIDE = (360, 390, 700), (1080, 1280, 1320, 1440, 1900)
# an element beyond the edge of the screen is at fault, unless a box around it scrolls; the column is no such box
MEASURE = """<!doctype html><body style="margin:0"><script>
(async () => {
  const found = [];
  for (const width of WIDTHS) for (const page of PAGES) {
    const frame = document.createElement("iframe");
    frame.style.cssText = `border:0;height:900px;width:${width}px`;
    frame.src = "/" + page;
    const loaded = new Promise(done => frame.onload = done);
    document.body.append(frame);
    await loaded;
    const view = frame.contentWindow, root = frame.contentDocument.documentElement, wide = [];
    for (const part of root.querySelectorAll("article *")) {
      const box = part.getBoundingClientRect();
      if (box.width === 0 || box.right <= width + 1) continue;
      let around = part.parentElement;
      while (around && !(["auto", "scroll"].includes(view.getComputedStyle(around).overflowX)
                         && !around.classList.contains("content") && around !== root)) around = around.parentElement;
      if (!around || around.getBoundingClientRect().right > width + 1) wide.push(part.outerHTML.slice(0, 60));
    }
    if (root.scrollWidth > width || wide.length) found.push([width, page, root.scrollWidth, wide[0] || ""]);
    frame.remove();
  }
  document.body.innerHTML = "<pre id=found></pre>";
  document.getElementById("found").textContent = JSON.stringify(found);
})();
</script>"""
SHOW = """<!doctype html><body style="margin:0"><script>localStorage.theme = THEME</script>
<iframe style="border:0" width="WIDTH" height="HEIGHT" src="/PAGE"></iframe>"""


class Handler(SimpleHTTPRequestHandler):
    """The pages, and two of our own that hold them in frames."""

    def do_GET(self) -> None:
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        if path == "/~measure":
            pages = sorted(p.relative_to(self.directory).as_posix() for p in Path(self.directory).rglob("*.html"))
            pages = [page for page in pages if not page.startswith(("_modules", "_static"))]
            self._answer(MEASURE.replace("PAGES", json.dumps(pages)).replace("WIDTHS", query["widths"][0]))
        elif path == "/~show":
            text = SHOW.replace("THEME", json.dumps(query["theme"][0])).replace("PAGE", query["page"][0])
            self._answer(text.replace("WIDTH", query["width"][0]).replace("HEIGHT", query["height"][0]))
        else:
            super().do_GET()

    def _answer(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("docs/_build/html"))
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="photograph every page into this folder")
    args = parser.parse_args()
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not browser:
        print("look.py needs Chromium: apt install chromium", file=sys.stderr)
        return 2
    handler = functools.partial(Handler, directory=str(args.folder.resolve()))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, tempfile.TemporaryDirectory() as profile:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}"

        def run(url: str, *options: str) -> str:
            command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}", *options]
            return subprocess.run([*command, base + url], capture_output=True, text=True, check=True).stdout

        dom = run(f"/~measure?widths={json.dumps([*NARROW, *WIDE])}".replace(" ", ""), "--dump-dom",
                  "--virtual-time-budget=10000000", "--window-size=2000,1000")  # fmt: skip
        found = re.search(r'<pre id="found">(.*?)</pre>', dom, re.DOTALL)
        if not found:
            print("the browser did not come to the end of the pages", file=sys.stderr)
            return 2
        faults = json.loads(html.unescape(found[1]))
        for width, page, wide, part in faults:
            print(f"{page} is {wide} pixels wide on a screen of {width}: {part}")
        if args.pictures:
            args.pictures.mkdir(parents=True, exist_ok=True)
            for path in sorted(args.folder.rglob("*.html")):
                page = path.relative_to(args.folder).as_posix()
                if page.startswith(("_modules", "_static")):
                    continue
                for width, theme in ((390, "light"), (390, "dark"), (1280, "light"), (1280, "dark")):
                    name = f"{page.removesuffix('.html').replace('/', '-')}-{width}-{theme}.png"
                    run(f"/~show?page={page}&width={width}&height=2400&theme={theme}", "--hide-scrollbars",
                        f"--window-size={width},2400", f"--screenshot={args.pictures / name}")  # fmt: skip
        if not faults:
            print(f"No page is wider than its screen, of {', '.join(map(str, (*NARROW, *WIDE)))} pixels.")
        return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
