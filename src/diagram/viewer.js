'use strict';
// Columns of the record, as weft.graph/1 has them, and of each canvas the folded boxes on it.
const data = JSON.parse(document.getElementById('weft-data').textContent);
const graph = data.graph, nodes = graph.nodes, text = graph.strings, count = nodes.kind.length;
const byId = id => document.getElementById(id);
const [INPUT, PARAMETER, CONSTANT, OP] = [0, 1, 2, 3];
const bytesOf = { f32: 4, f64: 8, i32: 4, i64: 8, u8: 1, bool: 1, boolean: 1 };

// ---- the record

const first = graph.first_edge, source = graph.source;
const consumerStart = new Uint32Array(count + 1), consumerList = new Uint32Array(source.length);
for (const n of source) ++consumerStart[n + 1];
for (let n = 0; n < count; ++n) consumerStart[n + 1] += consumerStart[n];
{
  const next = consumerStart.slice();
  for (let n = 0; n < count; ++n) for (let e = first[n]; e < first[n + 1]; ++e) consumerList[next[source[e]]++] = n;
}
const inputs = n => source.slice(first[n], first[n + 1]);
const consumers = n => Array.from(consumerList.subarray(consumerStart[n], consumerStart[n + 1]));
const typeBytes = graph.types.map(t => {
  const [dtype, extents] = t.slice(0, -1).split('[');
  return bytesOf[dtype] * (extents === '' ? 1 : extents.split(',').reduce((a, b) => a * Number(b), 1));
});
const scopePath = [''];
for (let s = 1; s < graph.scopes.parent.length; ++s) {
  const outer = scopePath[graph.scopes.parent[s]];
  scopePath.push((outer ? outer + '/' : '') + text[graph.scopes.name[s]]);
}
const typeOf = n => graph.types[nodes.type[n]];
const opOf = n => nodes.kind[n] === OP ? text[graph.op_kinds[nodes.op[n]].name] : ['input', 'parameter', 'constant'][nodes.kind[n]];
const nameOf = n => text[nodes.name[n]];
const headline = n => text[nodes.label[n]] || nameOf(n).split('/').pop() || opOf(n);
const isUnused = n => count > 1 && consumerStart[n + 1] === consumerStart[n] && n !== graph.root && graph.root >= 0;
const argument = (n, slot) => {
  const names = graph.op_kinds[nodes.op[n]].arguments;
  return names.length ? text[names[Math.min(slot, names.length - 1)]] : String(slot);
};

// ---- numbers

const number = v => v === undefined ? 0 : typeof v === 'number' ? v : v === 'inf' ? Infinity : v === '-inf' ? -Infinity : NaN;
const measured = graph.measurements;
const at = (column, n) => number(measured[column][n]);
const digits = v => Number.isFinite(v) ? String(Number(v.toPrecision(3))) : v > 0 ? 'inf' : 'NaN';
function quantity(v, unit) {
  const prefixes = ['', 'k', 'M', 'G', 'T', 'P'];
  let p = 0;
  while (Math.abs(v) >= 999.95 && p + 1 < prefixes.length) { v /= 1000; ++p; }
  return (p === 0 && Number.isInteger(v) ? String(v) : v.toFixed(1)) + ' ' + prefixes[p] + unit;
}
const cividis = [[0, 34, 78], [18, 53, 112], [59, 73, 108], [87, 93, 109], [112, 113, 115], [138, 134, 120], [165, 156, 116], [195, 179, 105], [254, 232, 56]];
const diverging = [[5, 80, 160], [140, 185, 225], [247, 247, 247], [225, 175, 120], [140, 70, 10]];
function color(anchors, share) {
  const place = Math.min(Math.max(share, 0), 1) * (anchors.length - 1), low = Math.min(Math.floor(place), anchors.length - 2);
  return anchors[low].map((c, i) => Math.round(c + (place - low) * (anchors[low + 1][i] - c)));
}
const luminance = rgb => rgb.map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const textOn = rgb => luminance(rgb) > 0.179 ? '#000000' : '#ffffff';

// ---- overlays: { text, share or position, alarm } of a list of nodes

const sum = (list, f) => { let total = 0; for (const n of list) total += f(n); return total; };
const elements = n => typeBytes[nodes.type[n]] / bytesOf[typeOf(n).split('[')[0]];
const norms = measured.gradient_norm.map(number).filter(v => v > 0 && Number.isFinite(v)).sort((a, b) => a - b);
const median = norms.length ? norms[norms.length >> 1] : 1;
const overlays = {
  shape: () => ({}),
  time(list) {
    const forward = sum(list, n => at('forward', n)), backward = sum(list, n => at('backward', n));
    if (forward + backward <= 0) return {};
    return { value: forward + backward, text: digits(1e3 * forward) + (backward ? ' + ' + digits(1e3 * backward) : '') + ' ms' };
  },
  memory(list) {
    const output = sum(list, n => nodes.kind[n] === OP ? typeBytes[nodes.type[n]] : 0), kept = sum(list, n => nodes.kept[n]);
    return output ? { value: kept, text: quantity(output, 'B') + ', kept ' + quantity(kept, 'B') } : {};
  },
  flops(list) {
    const flops = sum(list, n => number(nodes.flops[n]));
    return flops ? { value: flops, text: quantity(flops, 'FLOP') } : {};
  },
  gradient(list) {
    let most = NaN;
    for (const n of list) { const v = measured.gradient_norm.length ? at('gradient_norm', n) : NaN; if (!(v <= most) && !Number.isNaN(v)) most = v; }
    if (Number.isNaN(most)) return list.length === 1 && nodes.kind[list[0]] === PARAMETER ? { text: 'no gradient' } : {};
    if (most === 0) return { text: 'gradient zero' };
    return { position: Number.isFinite(most) ? Math.log10(most / median) / 3 : 1, alarm: !Number.isFinite(most), text: '|g| ' + digits(most) };
  },
  nonfinite(list) {
    const bad = sum(list, n => at('bad_values', n)), gradients = sum(list, n => at('bad_gradients', n));
    const origin = list.includes(measured.origin);
    if (!bad && !gradients && !origin) return {};
    const parts = [];
    if (origin) parts.push(measured.origin_in_rule ? 'ORIGIN in its rule' : 'ORIGIN');
    if (bad) parts.push('NaN ' + bad + '/' + sum(list, elements));
    if (gradients) parts.push('gradient NaN ' + gradients);
    return { text: parts.join(' '), alarm: true };
  },
  gradcheck(list) {
    const tested = list.filter(n => at('check', n) > 0), failed = tested.find(n => at('check', n) > 1);
    if (failed !== undefined) return { text: 'FAIL ' + text[measured.check_where[failed]], alarm: true };
    if (tested.length) return { text: 'pass ' + digits(Math.max(...tested.map(n => at('check_error', n)))) };
    return list.some(n => nodes.kind[n] === OP) ? { text: 'untested' } : {};
  },
};
const captions = {
  shape: '', time: 'forward + backward time', memory: 'output, kept for backward', flops: 'work of the forward',
  gradient: 'gradient norm, around the median', nonfinite: 'red, dashed: NaN or infinite', gradcheck: 'red, dashed: FAIL',
};

// ---- canvases

let state = { canvas: 0, shift: 0, trail: [] }, svg = null, boxes = new Map(), selected = null, box = null;
const firstPicture = byId('canvas').querySelector('svg')?.cloneNode(true) ?? null;
const pictureOf = c => c === 0 ? firstPicture : byId('t' + c)?.content.querySelector('svg') ?? null;
const ranged = (folded, shift) => {
  const list = [];
  for (const [a, b] of folded.ranges) for (let n = a; n <= b; ++n) list.push(n + shift);
  return list;
};
const holds = (folded, n) => folded.ranges.some(([a, b]) => n >= a && n <= b);
function consumerOfEdge(e) {
  let low = 0, high = count;
  while (high - low > 1) { const middle = (low + high) >> 1; if (first[middle] <= e) low = middle; else high = middle; }
  return low;
}
function contentOf(id, shift, canvas) {
  const kind = id[0], value = Number(id.slice(1));
  if (kind === 's') {
    const folded = data.canvases[canvas].find(b => b.id === id);
    return folded ? { folded, list: ranged(folded, shift) } : null;
  }
  if (kind === 'x') {
    const consumer = consumerOfEdge(value);
    return { list: [source[first[consumer + shift] + value - first[consumer]]], outside: true };
  }
  return { list: [value + shift], kind };
}
function show(canvas, shift, trail) {
  state = { canvas, shift, trail };
  const picture = pictureOf(canvas);
  boxes = new Map();
  svg = picture ? picture.cloneNode(true) : null;
  byId('canvas').replaceChildren(svg ?? note('This part could not be drawn: see the table (t).'));
  for (const g of svg ? svg.querySelectorAll('g.node') : []) {
    const content = /^[nbasx]\d+$/.test(g.id) ? contentOf(g.id, shift, canvas) : null;
    if (!content) continue;
    content.g = g;
    content.id = g.id;
    boxes.set(g.id, content);
    const n = content.list[0];
    const label = content.folded ? content.folded.name + ', folded, ' + content.list.length + ' nodes' : describe(n);
    g.setAttribute('aria-label', label);
    g.setAttribute('tabindex', '-1');
    g.setAttribute('role', 'button');
    g.addEventListener('click', () => { if (!moved) choose(content); });
    g.addEventListener('dblclick', () => open(content));
    if (shift && content.kind === 'n') g.querySelector('text').textContent = headline(n);
  }
  svg?.setAttribute('role', 'group');
  svg?.setAttribute('aria-label', 'graph');
  svg?.querySelectorAll('title').forEach(t => t.remove());
  svg?.querySelectorAll('a').forEach(a => { for (const name of ['xlink:title', 'title']) a.removeAttribute(name); });
  crumbs();
  paint();
  fit();
}
const note = words => { const p = document.createElement('p'); p.textContent = words; p.style.padding = '20px'; return p; };
const describe = n => 'node ' + n + ' ' + headline(n) + ' ' + typeOf(n) + (scopePath[nodes.scope[n]] ? ' in ' + scopePath[nodes.scope[n]] : '');
function crumbs() {
  const nav = byId('crumbs');
  nav.replaceChildren();
  [...state.trail, null].forEach((place, i, all) => {
    const step = button(i === 0 ? 'all' : all[i - 1].name, () => place && show(place.canvas, place.shift, all.slice(0, i)));
    if (!place) step.setAttribute('aria-current', 'page');
    if (i) nav.append(' / ');
    nav.append(step);
  });
}
function button(words, action) {
  const b = document.createElement('button');
  b.textContent = words;
  b.addEventListener('click', action);
  return b;
}
function open(content) {
  const folded = content.folded;
  if (!folded) return choose(content);
  if (folded.to < 0) { choose(content); return say(folded.name + ' has no picture of its own: see the table'); }
  const place = { canvas: state.canvas, shift: state.shift, name: folded.name };
  show(folded.to, state.shift + folded.shift, [...state.trail, place]);
  say(folded.name + ' opened');
}
function up() {
  const place = state.trail.at(-1);
  if (place) show(place.canvas, place.shift, state.trail.slice(0, -1));
}
// The canvas on which n has a box of its own, or the last one on the way that has a picture.
function goto(n) {
  let canvas = 0, shift = 0;
  const trail = [];
  for (;;) {
    const local = n - shift, picture = pictureOf(canvas);
    if (picture?.querySelector('#n' + local + ',#b' + local)) break;
    const folded = data.canvases[canvas].find(b => holds(b, local));
    if (!folded || folded.to < 0) break;
    trail.push({ canvas, shift, name: folded.name });
    canvas = folded.to;
    shift += folded.shift;
  }
  if (canvas !== state.canvas || shift !== state.shift) show(canvas, shift, trail);
  const content = boxes.get('n' + (n - shift)) ?? boxes.get('b' + (n - shift)) ?? [...boxes.values()].find(b => b.list.includes(n));
  choose(content ?? null, n);
}

// ---- selection

function reach(start, next) {
  const seen = new Set(start), stack = [...start];
  while (stack.length) for (const n of next(stack.pop())) if (!seen.has(n)) { seen.add(n); stack.push(n); }
  return seen;
}
function choose(content, node = content?.list[0]) {
  box = content;
  selected = content?.folded && node === content.list[0] ? null : node;
  const start = content?.folded ? content.list : [node];
  const lit = start.length > 20000 ? null : new Set([...reach(start, inputs), ...reach(start, consumers)]);
  for (const b of boxes.values()) {
    b.g.classList.toggle('selected', b === content);
    b.g.classList.toggle('dim', lit !== null && !b.list.some(n => lit.has(n)));
  }
  if (content) content.g.focus({ preventScroll: true });
  inspect(content, node);
  say(content?.folded && selected === null ? content.folded.name : describe(node));
  if (selected !== null) history.replaceState(null, '', '#n' + selected);
}
const say = words => { byId('live').textContent = words; };
function inspect(content, n) {
  const panel = byId('inspector'), list = document.createElement('dl');
  const fact = (name, value) => {
    if (value === '' || value === undefined) return;
    const dt = document.createElement('dt'), dd = document.createElement('dd');
    dt.textContent = name;
    dd.textContent = value;
    list.append(dt, dd);
  };
  const title = document.createElement('h2');
  panel.replaceChildren(title, list);
  if (content?.folded && selected === null) {
    title.textContent = content.folded.name;
    fact('holds', content.folded.about);
    fact('nodes', content.list.length);
    for (const kind of Object.keys(overlays)) fact(kind, overlays[kind](content.list).text);
    if (content.folded.to >= 0) panel.append(button('open (Enter)', () => open(content)));
    content.list.slice(0, 100).forEach(m => panel.append(button(m + ' ' + headline(m), () => goto(m))));
    return;
  }
  title.textContent = 'n' + n + ' ' + headline(n);
  fact('op', opOf(n));
  fact('attributes', text[nodes.attributes[n]]);
  fact('name', nameOf(n));
  fact('type', typeOf(n));
  fact('scope', scopePath[nodes.scope[n]]);
  fact('source', nodes.file[n] ? text[nodes.file[n]] + ':' + nodes.line[n] : '');
  fact('bytes', quantity(typeBytes[nodes.type[n]], 'B'));
  for (const kind of Object.keys(overlays)) fact(kind, overlays[kind]([n]).text);
  inputs(n).forEach((m, slot) => panel.append(button('← ' + argument(n, slot) + ': ' + m + ' ' + headline(m), () => goto(m))));
  consumers(n).slice(0, 100).forEach(m => panel.append(button('→ ' + m + ' ' + headline(m), () => goto(m))));
}

// ---- overlays on boxes

function paint() {
  const kind = byId('overlay').value, marks = new Map();
  let most = 0;
  for (const b of boxes.values()) {
    const mark = b.outside || b.kind === 'a' ? {} : overlays[kind](b.list);
    marks.set(b, mark);
    most = Math.max(most, mark.value ?? 0);
  }
  for (const [b, mark] of marks) {
    const words = b.g.querySelectorAll('text'), shapes = b.g.querySelectorAll('path, polygon');
    if (!b.outside && b.kind !== 'a' && words.length) words[words.length - 1].textContent = mark.text ?? '\u00a0';
    const rgb = mark.position !== undefined ? color(diverging, (mark.position + 1) / 2)
      : mark.value !== undefined && most > 0 ? color(cividis, mark.value / most) : null;
    shapes.forEach(s => { s.style.fill = rgb && s.getAttribute('fill') !== 'none' ? 'rgb(' + rgb.join() + ')' : ''; });
    words.forEach(w => { w.style.fill = rgb ? textOn(rgb) : ''; });
    b.g.classList.toggle('alarm', Boolean(mark.alarm));
  }
  const scale = byId('scale'), anchors = kind === 'gradient' ? diverging : cividis;
  scale.hidden = ['shape', 'nonfinite', 'gradcheck'].includes(kind);
  scale.style.background = 'linear-gradient(to right,' + anchors.map(c => 'rgb(' + c.join() + ')').join() + ')';
  byId('caption').textContent = captions[kind];
}

// ---- moving

let view = null, moved = false;
const pointers = new Map();
function fit() {
  if (!svg) return;
  const b = svg.getBBox();
  view = { x: b.x - 10, y: b.y - 10, w: b.width + 20, h: b.height + 20 };
  // Tall pictures start at the top, at a size that can be read.
  const frame = byId('canvas').getBoundingClientRect(), readable = 700 * frame.width / 1000;
  if (view.h > 3 * view.w && view.w < readable) { view.h = view.w * frame.height / frame.width; }
  apply();
}
const apply = () => svg?.setAttribute('viewBox', [view.x, view.y, view.w, view.h].join(' '));
function zoom(factor, x, y) {
  if (!svg) return;
  const frame = svg.getBoundingClientRect(), scale = Math.max(view.w / frame.width, view.h / frame.height);
  const cx = view.x + view.w / 2 + (x - frame.left - frame.width / 2) * scale;
  const cy = view.y + view.h / 2 + (y - frame.top - frame.height / 2) * scale;
  view = { x: cx - (cx - view.x) * factor, y: cy - (cy - view.y) * factor, w: view.w * factor, h: view.h * factor };
  apply();
}
const place = byId('canvas');
place.addEventListener('wheel', e => { e.preventDefault(); zoom(Math.exp(e.deltaY * 0.0015), e.clientX, e.clientY); }, { passive: false });
place.addEventListener('pointerdown', e => { pointers.set(e.pointerId, e); moved = false; });
addEventListener('pointerup', e => pointers.delete(e.pointerId));
addEventListener('pointercancel', e => pointers.delete(e.pointerId));
addEventListener('pointermove', e => {
  const before = pointers.get(e.pointerId);
  if (!before || !view || !svg) return;
  const frame = svg.getBoundingClientRect(), scale = Math.max(view.w / frame.width, view.h / frame.height);
  const other = [...pointers.values()].find(p => p.pointerId !== e.pointerId);
  if (other) {
    const distance = p => Math.hypot(p.clientX - other.clientX, p.clientY - other.clientY);
    zoom(distance(before) / Math.max(distance(e), 1), (e.clientX + other.clientX) / 2, (e.clientY + other.clientY) / 2);
  } else {
    if (Math.hypot(e.clientX - before.clientX, e.clientY - before.clientY) < 3 && !moved) return;
    view.x -= (e.clientX - before.clientX) * scale;
    view.y -= (e.clientY - before.clientY) * scale;
    apply();
  }
  moved = true;
  pointers.set(e.pointerId, e);
});

// ---- search

function matcher(query) {
  const compare = /^(flops|time|bytes)\s*([<>])\s*(\S+)$/.exec(query);
  const value = { flops: n => number(nodes.flops[n]), time: n => at('forward', n), bytes: n => typeBytes[nodes.type[n]] };
  if (compare) return n => compare[2] === '>' ? value[compare[1]](n) > Number(compare[3]) : value[compare[1]](n) < Number(compare[3]);
  if (query === 'nan') return n => at('bad_values', n) + at('bad_gradients', n) > 0;
  if (query === 'unused') return isUnused;
  const hit = text.map(t => t.toLowerCase().includes(query)), scopeHit = scopePath.map(p => p.toLowerCase().includes(query));
  const typeHit = graph.types.map(t => t.includes(query));
  return n => hit[nodes.name[n]] || hit[nodes.label[n]] || scopeHit[nodes.scope[n]] || typeHit[nodes.type[n]] ||
    (nodes.kind[n] === OP && hit[graph.op_kinds[nodes.op[n]].name]);
}
function search() {
  const query = byId('search').value.trim().toLowerCase(), panel = byId('inspector');
  if (!query) return;
  const test = matcher(query), found = [];
  let total = 0;
  for (let n = 0; n < count; ++n) if (test(n) && ++total <= 200) found.push(n);
  const title = document.createElement('h2');
  title.textContent = total + ' found';
  title.id = 'found';
  panel.replaceChildren(title, ...found.map(n => button(n + ' ' + headline(n) + ' ' + scopePath[nodes.scope[n]], () => goto(n))));
  say(total + ' found');
}
byId('search').addEventListener('input', search);
byId('search').addEventListener('keydown', e => { if (e.key === 'Enter') byId('inspector').querySelector('button')?.click(); });

// ---- table: only the rows in view are there

const columns = [
  ['id', n => n], ['op', opOf], ['name', nameOf], ['scope', n => scopePath[nodes.scope[n]]], ['type', typeOf],
  ['FLOP', n => number(nodes.flops[n])], ['bytes', n => typeBytes[nodes.type[n]]],
  ['ms', n => measured.forward.length ? 1e3 * at('forward', n) : 0],
];
const rowHeight = 24;
let order = Array.from({ length: count }, (_, n) => n), sorted = 0, ascending = true;
columns.forEach(([name, value], c) => byId('heads').append(button(name, () => {
  ascending = sorted === c ? !ascending : true;
  sorted = c;
  const keys = Array.from({ length: count }, (_, n) => value(n));
  order.sort((a, b) => (keys[a] < keys[b] ? -1 : keys[a] > keys[b] ? 1 : a - b) * (ascending ? 1 : -1));
  rows();
})));
function rows() {
  const box = byId('rows'), from = Math.max(0, Math.floor(box.scrollTop / rowHeight) - 5);
  const filler = document.createElement('div');
  filler.style.height = count * rowHeight + 'px';
  const shown = order.slice(from, from + Math.ceil(box.clientHeight / rowHeight) + 10).map((n, i) => {
    const row = document.createElement('div');
    row.className = 'row';
    row.tabIndex = 0;
    row.setAttribute('role', 'row');
    row.setAttribute('aria-rowindex', from + i + 1);
    row.style.top = (from + i) * rowHeight + 'px';
    for (const [name, value] of columns) {
      const cell = document.createElement('span'), v = value(n);
      cell.setAttribute('role', 'cell');
      cell.textContent = typeof v === 'number' && name !== 'id' ? digits(v) : v;
      row.append(cell);
    }
    const act = () => { toggleTable(false); goto(n); };
    row.addEventListener('click', act);
    row.addEventListener('keydown', e => { if (e.key === 'Enter') { e.stopPropagation(); act(); } });
    return row;
  });
  box.replaceChildren(filler, ...shown);
}
byId('rows').addEventListener('scroll', rows);
byId('rows').setAttribute('aria-rowcount', count);
function toggleTable(on = byId('table').hidden) {
  byId('table').hidden = !on;
  if (on) { rows(); byId('heads').querySelector('button').focus(); }
}
const toggleHelp = (on = byId('help').hidden) => { byId('help').hidden = !on; };

// ---- keys

function step(list) {
  const n = list.find(m => [...boxes.values()].some(b => b.list.includes(m))) ?? list[0];
  if (n === undefined) return;
  const content = [...boxes.values()].find(b => b.list.includes(n));
  content ? choose(content) : goto(n);
}
addEventListener('keydown', e => {
  if (e.ctrlKey || e.metaKey || e.altKey) return;
  if (e.key === 'Escape') { toggleTable(false); toggleHelp(false); document.activeElement.blur(); return; }
  if (/^(INPUT|SELECT)$/.test(e.target.tagName) || e.target.closest?.('#table')) return;
  const all = [...boxes.values()], here = box ?? all[0], own = new Set(here?.list ?? []);
  const actions = {
    '/': () => byId('search').focus(), '?': () => toggleHelp(), t: () => toggleTable(), f: fit, 0: fit,
    '+': () => zoom(0.8, innerWidth / 2, innerHeight / 2), '-': () => zoom(1.25, innerWidth / 2, innerHeight / 2),
    ArrowUp: () => step((here?.list ?? []).flatMap(inputs).filter(n => !own.has(n))),
    ArrowDown: () => step((here?.list ?? []).flatMap(consumers).filter(n => !own.has(n))),
    ArrowLeft: () => all.length && choose(all[(all.indexOf(here) + all.length - 1) % all.length]),
    ArrowRight: () => all.length && choose(all[(all.indexOf(here) + 1) % all.length]),
    Backspace: up,
    Enter: () => here && (e.target.tagName !== 'BUTTON') && open(here),
  };
  if (!actions[e.key] || (e.key === 'Enter' && e.target.tagName === 'BUTTON')) return;
  e.preventDefault();
  actions[e.key]();
});

byId('overlay').value = data.overlay;
byId('overlay').addEventListener('change', paint);
byId('fit').addEventListener('click', fit);
byId('up').addEventListener('click', up);
byId('tables').addEventListener('click', () => toggleTable());
byId('close').addEventListener('click', () => toggleTable(false));
byId('keys').addEventListener('click', () => toggleHelp());
const fromAddress = () => { const m = /^#n(\d+)$/.exec(location.hash); if (m && Number(m[1]) < count) goto(Number(m[1])); };
addEventListener('hashchange', fromAddress);
addEventListener('resize', fit);
show(0, 0, []);
fromAddress();
document.documentElement.dataset.ready = 'yes';
