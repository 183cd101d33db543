"""The HTML view in a real headless Chromium, offline: no request, no error; clicks, search, drill-down, overlays, keys,
dark mode, table. Usage: view.py PROGRAM, which writes the views into a folder. Exits 77 where there is no browser."""

import json
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from xml.etree import ElementTree

from chromium import start_chromium
from selenium import webdriver
from selenium.common.exceptions import NoAlertPresentException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys


class View(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="weft-view-")
        subprocess.run([PROGRAM, cls.folder.name], check=True)
        cls.browser = start_chromium()

    @classmethod
    def tearDownClass(cls):
        cls.browser.quit()
        cls.folder.cleanup()

    def open(self, name, fragment=""):
        self.browser.get("about:blank")
        self.browser.get_log("browser")
        self.browser.get_log("performance")
        start = time.monotonic()
        self.browser.get((Path(self.folder.name) / name).as_uri() + fragment)
        self.assertEqual(self.run_script("return document.documentElement.dataset.ready"), "yes")
        return time.monotonic() - start

    def tearDown(self):
        self.assertEqual(self.browser.get_log("browser"), [])
        requests = [json.loads(entry["message"])["message"] for entry in self.browser.get_log("performance")]
        urls = [r["params"]["request"]["url"] for r in requests if r["method"] == "Network.requestWillBeSent"]
        self.assertEqual([u for u in urls if not u.startswith(("file://", "about:", "data:"))], [])
        self.assertLessEqual(len([u for u in urls if u.startswith("file://")]), 1)

    def run_script(self, script, *arguments):
        return self.browser.execute_script(script, *arguments)

    def by_id(self, name):
        return self.browser.find_element(By.ID, name)

    def press(self, *keys):
        webdriver.ActionChains(self.browser).send_keys(*keys).perform()

    def live(self):
        return self.run_script("return document.getElementById('live').textContent")

    def inspector(self):
        return self.by_id("inspector").text

    def overlay(self, name):
        self.run_script("const o = document.getElementById('overlay'); o.value = arguments[0]; o.dispatchEvent(new Event('change'))", name)

    def test_small_shows_nodes_and_what_was_measured(self):
        self.open("small.html")
        self.assertIn("ORIGIN", self.by_id("canvas").text)
        origin = self.run_script("return [...document.querySelectorAll('g.node')].find(g => g.textContent.includes('ORIGIN')).id")
        self.assertIn("log", self.by_id(origin).text)
        self.by_id(origin).click()
        self.assertIn("ORIGIN", self.inspector())
        self.assertIn("log", self.live())
        self.assertTrue(self.browser.current_url.endswith("#" + origin))
        fills = set()
        for name in ("time", "memory", "flops", "gradient", "shape"):
            self.overlay(name)
            fills.add(self.run_script("return [...document.querySelectorAll('g.node.contraction path, g.node.contraction polygon')].map(p => getComputedStyle(p).fill).join()"))
        self.assertGreater(len(fills), 2)
        self.overlay("flops")
        self.assertIn("kFLOP", self.by_id("canvas").text)

    def test_keys_lead_through_the_graph(self):
        self.open("small.html")
        self.press(Keys.ARROW_RIGHT)
        before = self.live()
        self.press(Keys.ARROW_RIGHT)
        self.assertNotEqual(self.live(), before)
        self.open("small.html", "#n3")
        self.assertIn("conv2d", self.live())
        self.press(Keys.ARROW_DOWN)
        self.assertIn("relu", self.live())
        self.press(Keys.ARROW_UP)
        self.assertIn("conv2d", self.live())
        self.press("?")
        self.assertTrue(self.by_id("help").is_displayed())
        self.press(Keys.ESCAPE)
        self.assertFalse(self.by_id("help").is_displayed())
        self.press("t")
        self.assertTrue(self.by_id("table").is_displayed())
        self.press(Keys.ENTER)
        self.press(Keys.ESCAPE)

    def test_dark_mode_follows_the_reader(self):
        self.open("small.html")
        page = "return getComputedStyle(document.body).backgroundColor"
        light = self.run_script(page)
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]})
        self.assertNotEqual(self.run_script(page), light)
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})

    def test_without_script_the_picture_is_there(self):
        text = (Path(self.folder.name) / "small.html").read_text()
        self.assertIn("<svg", text.split("<script", 1)[0])
        self.assertIn("default-src 'none'", text)

    def test_middle_opens_folded_boxes(self):
        self.open("middle.html")
        folded = "return [...document.querySelectorAll('g.folded')].map(g => g.id)"
        self.assertTrue(self.run_script(folded))
        first = self.run_script(folded)[0]
        self.by_id(first).click()
        self.assertIn("nodes", self.inspector())
        self.press(Keys.ENTER)
        self.assertIn("opened", self.live())
        self.assertTrue(self.run_script("return document.querySelectorAll('#canvas g.node').length") > 1)
        self.press(Keys.BACKSPACE)
        self.assertEqual(self.run_script(folded)[0], first)
        # A node deep inside is shown by its number, on the way through the folded boxes.
        self.open("middle.html", "#n100")
        self.assertIn("node 100 ", self.live())
        self.assertTrue(self.run_script("return document.querySelectorAll('#crumbs button').length") > 1)

    def test_large_is_quick_and_complete(self):
        seconds = self.open("large.html")
        self.assertLess(seconds, 20)
        search = self.by_id("search")
        took = self.run_script("const s = document.getElementById('search'); s.value = 'block199'; const t = performance.now();"
                               "s.dispatchEvent(new Event('input')); return performance.now() - t")
        self.assertLess(took, 1000)
        self.assertIn("found", self.inspector())
        search.send_keys(Keys.ENTER)
        self.assertIn("block199", self.live())
        self.by_id("tables").click()
        self.assertLess(self.run_script("return document.querySelectorAll('#rows .row').length"), 100)
        self.run_script("document.getElementById('rows').scrollTop = 24 * 50000")
        time.sleep(0.3)
        self.assertIn("5000", self.by_id("rows").text)
        self.by_id("heads").find_elements(By.TAG_NAME, "button")[5].click()

    def expected(self):
        return json.loads((Path(self.folder.name) / "expected.json").read_text())

    def check_no_script_ran(self):
        with self.assertRaises(NoAlertPresentException):
            self.browser.switch_to.alert.text

    def test_hostile_names_are_only_text(self):
        self.open("hostile.html")
        self.check_no_script_ran()
        self.assertEqual(self.run_script("return document.querySelectorAll('img, canvas, iframe, object, a[href]').length"), 0)
        self.assertEqual(self.run_script("return document.querySelectorAll('script').length"), 2)
        shown = self.run_script("return document.getElementById('canvas').textContent.replace(/\\s/g, '')")
        for name in self.expected():
            last = name.rsplit("/", 1)[-1] or name
            for line in last.split("\n"):
                self.assertIn("".join(line.split()), shown)
        for node in self.run_script("return [...document.querySelectorAll('g.node')].map(g => g.id)"):
            self.run_script("document.getElementById(arguments[0]).dispatchEvent(new MouseEvent('click', {bubbles: true}))", node)
            self.assertTrue(self.inspector())
        self.by_id("search").send_keys("</script>")
        self.by_id("tables").click()
        self.assertIn("alert(1)", self.run_script("return document.getElementById('rows').textContent"))
        self.check_no_script_ran()

    def test_a_hostile_svg_is_only_a_picture(self):
        self.browser.get("about:blank")
        self.browser.get_log("browser")
        self.browser.get((Path(self.folder.name) / "hostile.svg").as_uri())
        self.check_no_script_ran()
        self.assertEqual(self.run_script("return document.documentElement.nodeName"), "svg")
        self.assertEqual(self.run_script("return document.querySelectorAll('script, image, parsererror, [onerror], [onload], foreignObject').length"), 0)
        links = self.run_script("return [...document.querySelectorAll('a')].map(a => a.getAttribute('xlink:href') || a.getAttribute('href')).filter(x => x)")
        self.assertEqual(links, [])

    def test_hostile_names_are_read_back_by_parsers_of_xml_and_json(self):
        folder = Path(self.folder.name)
        svg = ElementTree.parse(folder / "hostile.svg")
        titles = "".join("".join(svg.getroot().itertext()).split())
        graphml = ElementTree.parse(folder / "hostile.graphml")
        values = {data.text or "" for data in graphml.iter("{http://graphml.graphdrawing.org/xmlns}data")}
        strings = json.loads((folder / "hostile.json").read_bytes())["strings"]  # without loss: controls too
        printable = {"".join(c for c in text if c.isprintable()) for text in strings}
        for name in self.expected():
            self.assertIn("".join(name.split()), titles)
            self.assertIn(name, values)
            if "\ufffd" not in name:
                self.assertIn("".join(c for c in name if c.isprintable()), printable)
        html = (folder / "hostile.html").read_bytes()
        data = html.split(b'id="weft-data">', 1)[1].split(b"</script>", 1)[0]
        self.assertNotIn(b"<", data)
        self.assertEqual(json.loads(data)["graph"]["strings"], strings)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=2)
