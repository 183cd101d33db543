"""Time of the HTML view in headless Chromium, by the page's own clock: from navigation to the first paint, to the first
contentful paint and to a view that answers, and from the input of a search to the frame that shows what was found.
Usage: measure.py PROGRAM, which writes the views into a folder. Prints medians in ms; exits 1 where one is above its bar."""

import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from chromium import start_chromium

LOADS = 9
SEARCHES = 9
BARS = {"first paint": 500, "search": 50}
QUERIES = ("b", "block19", "tanh", "f32[4]", "flops>1", "unused", "nan", "nothing of this name")

# A message posted from a frame's callback is taken after that frame was drawn.
SEARCH = """
const [query, done] = arguments, field = document.getElementById('search');
document.getElementById('inspector').replaceChildren();
requestAnimationFrame(() => setTimeout(() => {
  field.value = query;
  const start = performance.now(), channel = new MessageChannel();
  field.dispatchEvent(new Event('input'));
  channel.port1.onmessage = () => done([performance.now() - start, document.getElementById('found') !== null]);
  requestAnimationFrame(() => channel.port2.postMessage(0));
}));
"""


def load(browser, address):
    browser.get("about:blank")
    browser.get(address)
    return browser.execute_async_script("""
const done = arguments[0], times = {};
new PerformanceObserver(list => {
  for (const entry of list.getEntries()) times[entry.name] = entry.startTime;
  if ('first-contentful-paint' in times) done([
    times['first-paint'], times['first-contentful-paint'], performance.getEntriesByType('navigation')[0].domInteractive]);
}).observe({ type: 'paint', buffered: true });
""")


def search(browser, query):
    took, found = browser.execute_async_script(SEARCH, query)
    if not found:
        sys.exit(f"a search for {query} shows nothing")
    return took


def main():
    missed = []
    with tempfile.TemporaryDirectory(prefix="weft-view-") as folder:
        subprocess.run([sys.argv[1], folder], check=True)
        browser = start_chromium()
        try:
            for name in ("small", "middle", "large"):
                loads = [load(browser, (Path(folder) / f"{name}.html").as_uri()) for _ in range(LOADS)]
                paint, contentful, ready = (median(times) for times in zip(*loads))
                searches = {query: median(search(browser, query) for _ in range(SEARCHES)) for query in QUERIES}
                slowest = max(searches, key=searches.get)
                print(f"{name:7}first paint {paint:.0f}  first contentful paint {contentful:.0f}  ready {ready:.0f}  "
                      f"search {median(searches.values()):.0f}, slowest {searches[slowest]:.0f} ({slowest})", flush=True)
                for what, took in (("first paint", max(paint, contentful)), ("search", searches[slowest])):
                    if took > BARS[what]:
                        missed.append(f"{name}: {what} {took:.0f} ms, the bar is {BARS[what]} ms")
        finally:
            browser.quit()
    print("\n".join(missed) or "every bar holds")
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
