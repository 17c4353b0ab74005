// The picture: a row a client (or a key, or a node), a bar an operation, faults behind.
//
// Of many operations in sight the pixels are painted, not the bars: each pixel of a row shows the
// weightiest operation that touches it, so a million cost no more than the pixels, and no anomaly
// is ever covered. Of few, bars with labels are drawn. Outcomes differ in shape as in colour.

const GUTTER = 92, LANE = 20, HEAD = 82, AXIS = 24, HEIGHT_MAX = 620;
/** Where faults begin: above are the leaders, in two lines. */
const BANDS_TOP = 36, REIGN = 17;
/** More operations in sight than these are painted as pixels. */
const BARS_MAX = 2500;
const FONT = '11px ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace';
const COLOURS = [
  '--read', '--write', '--cas', '--other', '--soft', '--invalid', '--unknown', '--ink',
  '--line', '--faint', '--card', '--kill', '--kill-line', '--pause', '--pause-line',
  '--partition', '--partition-line', '--fault', '--fault-line', '--link', '--link-line',
  '--valid',
];
/** What a pixel shows, the weightier the greater: a kind that succeeded, then what did not, … */
const P_FAIL = 5, P_INFO = 6, P_FOUND = 7, P_ANOMALY = 8;

class Picture {
  constructor(canvas, trace) {
    this.canvas = canvas;
    this.context = canvas.getContext('2d');
    this.trace = trace;
    this.t0 = 0;
    this.t1 = trace.head.end_us;
    this.top = 0;
    this.selected = NONE;
    this.found = new Uint8Array(trace.n);
    this.marked = new Uint8Array(trace.n);
    for (const [i] of trace.head.anomalies) this.marked[i] = 1;
    this.classes = Uint8Array.from(trace.head.fs, kindClass);
    this.readColours();
    this.arrange('process');
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      this.readColours();
      this.draw();
    });
  }

  readColours() {
    const style = getComputedStyle(document.documentElement);
    const value = name => style.getPropertyValue(name).trim();
    this.colour = Object.fromEntries(COLOURS.map(name => [name, value(name)]));
    this.patterns = {};
  }

  arrange(by) {
    this.rows = arrange(this.trace, by);
    this.top = 0;
    this.resize();
  }

  resize() {
    const height = Math.min(this.rows.rows.length * LANE, HEIGHT_MAX) + HEAD + AXIS;
    const width = this.canvas.parentElement.clientWidth, scale = devicePixelRatio || 1;
    this.width = width;
    this.height = height;
    this.canvas.width = Math.round(width * scale);
    this.canvas.height = Math.round(height * scale);
    this.canvas.style.height = `${height}px`;
    this.scale = scale;
    this.draw();
  }

  get plotWidth() { return Math.max(this.width - GUTTER - 8, 50); }
  get plotHeight() { return this.height - HEAD - AXIS; }
  x(us) { return GUTTER + (us - this.t0) / (this.t1 - this.t0) * this.plotWidth; }
  time(x) { return this.t0 + (x - GUTTER) / this.plotWidth * (this.t1 - this.t0); }

  /** Shows the time from `t0` to `t1`, at least 20 µs of it and no more than the run. */
  show(t0, t1) {
    const end = this.trace.head.end_us;
    const width = Math.min(Math.max(t1 - t0, 20), end * 1.02 + 20);
    this.t0 = Math.min(Math.max((t0 + t1 - width) / 2, -0.01 * end - 10), end * 1.01 + 10 - width);
    this.t1 = this.t0 + width;
    this.draw();
  }

  zoom(factor, x = GUTTER + this.plotWidth / 2) {
    const at = this.time(x);
    this.show(at - (at - this.t0) * factor, at + (this.t1 - at) * factor);
  }

  scroll(rows) {
    const most = Math.max(this.rows.rows.length * LANE - this.plotHeight, 0);
    this.top = Math.min(Math.max(this.top + rows * LANE, 0), most);
    this.draw();
  }

  /** Selects an operation and brings it into sight. */
  select(i, zoom) {
    this.selected = i;
    if (i !== NONE) {
      const took = Math.max(this.trace.end[i] - this.trace.start[i], 20);
      const middle = (this.trace.start[i] + this.trace.end[i]) / 2;
      const width = zoom ? took * 12 : this.t1 - this.t0;
      const hidden = middle < this.t0 || middle > this.t1;
      if (zoom || hidden) this.show(middle - width / 2, middle + width / 2);
      const y = this.rows.row[i] * LANE - this.top;
      if (y < 0 || y > this.plotHeight - LANE) {
        this.top += y - this.plotHeight / 2;
        this.scroll(0);
      }
    }
    this.draw();
  }

  /** The operation at a point of the canvas, the smallest one where several are. */
  at(x, y) {
    if (x < GUTTER || y < HEAD || y > HEAD + this.plotHeight) return NONE;
    const row = Math.floor((y - HEAD + this.top) / LANE);
    const slack = (this.t1 - this.t0) / this.plotWidth * 3;
    const time = this.time(x), trace = this.trace;
    let best = NONE, least = Infinity;
    eachWithin(trace, time - slack, time + slack, i => {
      if (this.rows.row[i] !== row) return;
      const size = this.marked[i] ? -1 : trace.end[i] - trace.start[i];
      if (size < least) [best, least] = [i, size];
    });
    return best;
  }

  draw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      const began = performance.now();
      this.paint();
      this.took_ms = performance.now() - began;
      this.drawn?.();
    });
  }

  paint() {
    const g = this.context;
    g.setTransform(this.scale, 0, 0, this.scale, 0, 0);
    g.clearRect(0, 0, this.width, this.height);
    g.font = FONT;
    g.textBaseline = 'middle';
    this.paintRows(g);
    g.save();
    g.beginPath();
    g.rect(GUTTER, 0, this.plotWidth, this.height - AXIS + 6);
    g.clip();
    this.paintBands(g);
    this.paintReigns(g);
    this.paintOperations(g);
    g.restore();
    this.paintAxis(g);
  }

  paintRows(g) {
    const first = Math.floor(this.top / LANE);
    const last = Math.min(this.rows.rows.length, Math.ceil((this.top + this.plotHeight) / LANE));
    g.save();
    g.beginPath();
    g.rect(0, HEAD, this.width, this.plotHeight);
    g.clip();
    g.textAlign = 'left';
    for (let row = first; row < last; row++) {
      const y = HEAD + row * LANE - this.top;
      if (this.rows.rows[row]) {
        g.fillStyle = this.colour['--line'];
        g.fillRect(0, y, this.width, 1);
        g.fillStyle = this.colour['--soft'];
        g.fillText(cut(this.rows.rows[row], 13), 2, y + LANE / 2);
      }
    }
    g.restore();
  }

  pattern(g, name) {
    if (!this.patterns[name]) {
      const tile = document.createElement('canvas');
      tile.width = tile.height = 8;
      const [fill, line] = [this.colour[`--${name}`], this.colour[`--${name}-line`]];
      drawTile(tile.getContext('2d'), name, fill, line);
      this.patterns[name] = g.createPattern(tile, 'repeat');
    }
    return this.patterns[name];
  }

  paintBands(g) {
    const bands = this.trace.head.bands.filter(b => b.to_us >= this.t0 && b.from_us <= this.t1);
    const left = band => Math.max(this.x(band.from_us), GUTTER - 2);
    const width = band => Math.max(Math.min(this.x(band.to_us), this.width) - left(band), 1.5);
    for (const band of bands) {
      g.globalAlpha = 0.65;
      g.fillStyle = this.pattern(g, band.class);
      g.fillRect(left(band), BANDS_TOP, width(band), this.height - AXIS - BANDS_TOP);
      g.globalAlpha = 1;
      g.fillStyle = this.colour[`--${band.class}-line`];
      g.fillRect(left(band), BANDS_TOP, width(band), 2);
    }
    // Names come last, or the next fault would cover them. One that does not fit is cut.
    const free = [-Infinity, -Infinity];
    g.fillStyle = this.colour['--ink'];
    g.textAlign = 'left';
    for (const band of bands) {
      const lane = free.findIndex(end => end < left(band));
      if (lane < 0) continue;
      const name = fitting(g, band.name, width(band) + 40);
      if (!name) continue;
      g.fillText(name, left(band) + 3, BANDS_TOP + 12 + lane * 14);
      free[lane] = left(band) + g.measureText(name).width + 12;
    }
  }

  /** Who led: a bar with its name over it, in two lines, for two nodes may hold themselves for it. */
  paintReigns(g) {
    for (const [nth, reign] of this.trace.head.reigns.entries()) {
      if (reign.to_us < this.t0 || reign.from_us > this.t1) continue;
      const x0 = Math.max(this.x(reign.from_us), GUTTER);
      const x1 = Math.min(this.x(reign.to_us), this.width);
      const y = (nth % 2) * REIGN;
      g.fillStyle = this.colour[nth % 2 ? '--cas' : '--valid'];
      g.fillRect(x0, y + 13, Math.max(x1 - x0 - 1, 1), 2);
      g.fillRect(x0, y + 3, 2, 12);
      const texts = [`${reign.node} leads, term ${reign.term}`, `${reign.node} ${reign.term}`];
      const text = texts.find(text => g.measureText(text).width < x1 - x0 - 8);
      if (text) g.fillText(text, x0 + 5, y + 7);
    }
  }

  paintOperations(g) {
    g.save();
    g.beginPath();
    g.rect(GUTTER, HEAD, this.plotWidth, this.plotHeight);
    g.clip();
    const few = [];
    eachWithin(this.trace, this.t0, this.t1, i => few.push(i) <= BARS_MAX);
    if (few.length <= BARS_MAX) for (const i of few) this.paintBar(g, i);
    else this.paintPixels(g);
    this.paintAnomalies(g);
    g.restore();
  }

  weight(i) {
    if (this.marked[i]) return P_ANOMALY;
    if (this.found[i]) return P_FOUND;
    const outcome = this.trace.outcome[i];
    if (outcome === OK) return this.classes[this.trace.f[i]] + 1;
    return outcome === INFO ? P_INFO : P_FAIL;
  }

  paintPixels(g) {
    const width = Math.ceil(this.plotWidth), first = Math.floor(this.top / LANE);
    const count = Math.ceil(this.plotHeight / LANE) + 1, last = first + count;
    const pixels = new Uint8Array(width * count), trace = this.trace, row = this.rows.row;
    const per = this.plotWidth / (this.t1 - this.t0), { t0 } = this, { start, end } = trace;
    eachWithin(trace, this.t0, this.t1, i => {
      const at = row[i];
      if (at < first || at >= last) return;
      const weight = this.weight(i), base = (at - first) * width;
      const x0 = Math.max(Math.floor((start[i] - t0) * per), 0);
      const x1 = Math.min(Math.floor((end[i] - t0) * per), width - 1);
      for (let x = base + x0; x <= base + x1; x++) if (pixels[x] < weight) pixels[x] = weight;
    });
    for (let at = 0; at < count; at++) {
      const y = HEAD + (first + at) * LANE - this.top;
      for (let x = 0; x < width;) {
        const weight = pixels[at * width + x];
        let run = 1;
        while (x + run < width && pixels[at * width + x + run] === weight) run++;
        if (weight) this.paintRun(g, weight, GUTTER + x, y, run);
        x += run;
      }
    }
  }

  /** Heights tell outcomes apart where colours do not. */
  paintRun(g, weight, x, y, width) {
    const [name, above, height] = [
      [], ['--read', 5, 10], ['--write', 5, 10], ['--cas', 5, 10], ['--other', 5, 10],
      ['--soft', 12, 5], ['--unknown', 2, 16], ['--ink', 1, 18], ['--invalid', 1, 18],
    ][weight];
    g.fillStyle = this.colour[name];
    g.fillRect(x, y + above, width, height);
  }

  paintBar(g, i) {
    const trace = this.trace, y = HEAD + this.rows.row[i] * LANE - this.top;
    if (y < HEAD - LANE || y > HEAD + this.plotHeight) return;
    const x0 = Math.max(this.x(trace.start[i]), GUTTER - 4);
    const x1 = Math.max(Math.min(this.x(trace.end[i]), this.width + 4), x0 + 1.5);
    const outcome = trace.outcome[i], marked = this.marked[i] === 1;
    const kind = COLOURS[this.classes[trace.f[i]]];
    const colour = this.colour[marked ? '--invalid' : kind];
    g.fillStyle = g.strokeStyle = colour;
    g.lineWidth = marked ? 2.5 : 1.2;
    g.globalAlpha = outcome === OK ? 0.3 : 0.12;
    g.fillRect(x0, y + 3, x1 - x0, LANE - 6);
    g.globalAlpha = 1;
    g.setLineDash(outcome === INFO ? [6, 3] : outcome === FAIL ? [1.5, 2.5] : []);
    g.strokeRect(x0 + 0.5, y + 3.5, Math.max(x1 - x0 - 1, 0.5), LANE - 7);
    g.setLineDash([]);
    if (outcome === INFO) arrowHead(g, x1, y + LANE / 2);
    if (this.found[i] || i === this.selected) {
      g.strokeStyle = this.colour['--ink'];
      g.lineWidth = i === this.selected ? 3 : 1.5;
      g.strokeRect(x0 - 1.5, y + 1.5, x1 - x0 + 3, LANE - 3);
    }
    if (x1 - x0 > 24) {
      const text = `${outcome === FAIL ? '✗ ' : ''}${label(trace, i)}`;
      g.fillStyle = this.colour['--ink'];
      g.textAlign = 'left';
      g.fillText(cut(text, Math.floor((x1 - x0 - 6) / 6.7)), x0 + 4, y + LANE / 2 + 0.5);
    }
  }

  /** However far one is away, each anomaly has a mark that is seen. */
  paintAnomalies(g) {
    g.fillStyle = g.strokeStyle = this.colour['--invalid'];
    for (const [i, breaks] of this.trace.head.anomalies) {
      const x = this.x((this.trace.start[i] + this.trace.end[i]) / 2);
      const y = HEAD + this.rows.row[i] * LANE - this.top;
      if (x < GUTTER - 6 || x > this.width + 6) continue;
      g.beginPath();
      g.moveTo(x, y + 4);
      g.lineTo(x - 5, y - 4);
      g.lineTo(x + 5, y - 4);
      g.closePath();
      if (breaks) g.fill(); else { g.lineWidth = 1.5; g.stroke(); }
    }
    if (this.selected !== NONE) {
      const x = this.x(this.trace.start[this.selected]);
      g.strokeStyle = this.colour['--ink'];
      g.lineWidth = 1;
      g.setLineDash([2, 3]);
      g.strokeRect(x, HEAD, 0.01, this.plotHeight);
      g.setLineDash([]);
    }
  }

  paintAxis(g) {
    const width = this.t1 - this.t0, y = this.height - AXIS;
    const step = niceStep(width / Math.max(Math.floor(this.plotWidth / 110), 2));
    g.fillStyle = this.colour['--soft'];
    g.fillRect(GUTTER, y, this.plotWidth, 1);
    g.textAlign = 'center';
    for (let t = Math.ceil(this.t0 / step) * step; t <= this.t1; t += step) {
      const x = this.x(t);
      g.fillRect(x, y, 1, 5);
      g.fillText(moment(Math.max(t, 0), width), x, y + 14);
    }
    g.textAlign = 'left';
  }
}

function kindClass(f) {
  if (/^(read|get|dequeue|pop)$/.test(f)) return 0;
  if (/^(write|put|add|enqueue|push)$/.test(f)) return 1;
  return /^(cas|txn)$/.test(f) ? 2 : 3;
}

function cut(text, most) {
  if (text.length <= most) return text;
  return most < 2 ? '' : `${text.slice(0, most - 1)}…`;
}

/** As much of `text` as has room in `width` pixels; nothing where that says nothing. */
function fitting(g, text, width) {
  const whole = g.measureText(text).width;
  if (whole <= width) return text;
  const most = Math.floor(text.length * width / whole);
  return most < 6 ? '' : cut(text, most);
}

function niceStep(least) {
  const unit = 10 ** Math.floor(Math.log10(Math.max(least, 1)));
  return unit * [1, 2, 5, 10].find(factor => unit * factor >= least);
}

function arrowHead(g, x, y) {
  g.beginPath();
  g.moveTo(x, y - 6);
  g.lineTo(x + 7, y);
  g.lineTo(x, y + 6);
  g.fill();
}

/** The fill of a kind of fault, the same as on the rest of the page. */
function drawTile(g, name, fill, line) {
  g.fillStyle = fill;
  g.fillRect(0, 0, 8, 8);
  g.strokeStyle = g.fillStyle = line;
  g.lineWidth = 0.8;
  const stroke = points => {
    g.beginPath();
    points.forEach(([x, y], nth) => nth % 2 ? g.lineTo(x, y) : g.moveTo(x, y));
    g.stroke();
  };
  if (name === 'kill') stroke([[-2, 10], [10, -2], [-2, 2], [2, -2], [6, 10], [10, 6]]);
  else if (name === 'partition') stroke([[-2, -2], [10, 10], [6, -2], [10, 2], [-2, 6], [2, 10]]);
  else if (name === 'link') stroke([[0, 4], [8, 4]]);
  else if (name === 'pause') { g.fillRect(1, 1, 2, 2); g.fillRect(5, 5, 2, 2); }
  else stroke([[4, 0], [4, 8]]);
}
