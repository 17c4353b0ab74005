// Wires the picture, the search, the keyboard and the address to each other.

const byId = id => document.getElementById(id);

/** The place in `list`, which ascends, next to `now` in the direction `by`, around the ends. */
function beside(list, now, by) {
  if (by > 0) return Math.max(list.findIndex(i => i > now), 0);
  const before = list.findLastIndex(i => i < now);
  return before < 0 ? list.length - 1 : before;
}

class Viewer {
  constructor(trace) {
    this.trace = trace;
    this.picture = new Picture(byId('history-canvas'), trace);
    this.picture.drawn = () => this.drawn();
    this.results = new Int32Array(0);
    this.anomalies = trace.head.anomalies.map(([i]) => i);
    this.listen();
    this.follow();
  }

  listen() {
    const on = (id, event, act) => byId(id).addEventListener(event, act);
    on('history-by', 'change', e => this.picture.arrange(e.target.value));
    on('history-in', 'click', () => this.picture.zoom(0.5));
    on('history-out', 'click', () => this.picture.zoom(2));
    on('history-all', 'click', () => this.picture.show(0, this.trace.head.end_us));
    on('history-next', 'click', () => this.step(1));
    on('history-previous', 'click', () => this.step(-1));
    on('history-search', 'input', e => this.search(e.target.value));
    on('history-search', 'keydown', e => {
      if (e.key === 'Enter') { this.stepFound(e.shiftKey ? -1 : 1); e.preventDefault(); }
      if (e.key === 'Escape') e.target.blur();
    });
    addEventListener('hashchange', () => this.follow());
    addEventListener('resize', () => this.picture.resize());
    document.addEventListener('keydown', e => this.key(e));
    this.listenToPointer(byId('history-canvas'));
  }

  listenToPointer(canvas) {
    let from = null, moved = 0;
    const place = e => {
      const box = canvas.getBoundingClientRect();
      return [e.clientX - box.x, e.clientY - box.y];
    };
    canvas.addEventListener('pointerdown', e => {
      from = place(e);
      moved = 0;
      canvas.setPointerCapture(e.pointerId);
    });
    canvas.addEventListener('pointermove', e => {
      const [x, y] = place(e);
      if (!from) return this.hover(x, y);
      const [dx, dy] = [x - from[0], y - from[1]], p = this.picture;
      moved += Math.abs(dx) + Math.abs(dy);
      const us = dx / p.plotWidth * (p.t1 - p.t0);
      p.show(p.t0 - us, p.t1 - us);
      p.scroll(-dy / LANE);
      from = [x, y];
    });
    canvas.addEventListener('pointerup', e => {
      const [x, y] = place(e);
      if (from && moved < 5) this.choose(this.picture.at(x, y));
      from = null;
    });
    canvas.addEventListener('pointerleave', () => { byId('history-hover').textContent = ''; });
    canvas.addEventListener('dblclick', e => this.picture.zoom(0.25, place(e)[0]));
    canvas.addEventListener('wheel', e => this.wheel(e, place(e)[0]), { passive: false });
  }

  /** The wheel zooms when the picture has the focus or Ctrl is down; else it scrolls the page. */
  wheel(e, x) {
    const p = this.picture, sideways = Math.abs(e.deltaX) > Math.abs(e.deltaY);
    if (!sideways && !e.ctrlKey && document.activeElement !== p.canvas) return;
    e.preventDefault();
    if (!sideways) return p.zoom(Math.exp(Math.max(-60, Math.min(60, e.deltaY)) / 150), x);
    const us = e.deltaX / p.plotWidth * (p.t1 - p.t0);
    p.show(p.t0 + us, p.t1 + us);
  }

  hover(x, y) {
    const i = this.picture.at(x, y);
    byId('history-hover').textContent = i === NONE ? '' : this.brief(i);
  }

  key(e) {
    if (e.ctrlKey || e.metaKey || e.altKey || /^(INPUT|SELECT)$/.test(e.target.tagName)) return;
    const p = this.picture, focused = document.activeElement === p.canvas, width = p.t1 - p.t0;
    const pan = share => () => p.show(p.t0 + width * share, p.t1 + width * share);
    const anywhere = {
      n: () => this.step(1), p: () => this.step(-1),
      '/': () => { this.see(); byId('history-search').focus(); },
    };
    const here = {
      ArrowLeft: pan(-0.2), ArrowRight: pan(0.2),
      ArrowUp: () => p.scroll(-2), ArrowDown: () => p.scroll(2),
      '+': () => p.zoom(0.5), '=': () => p.zoom(0.5), '-': () => p.zoom(2),
      0: () => p.show(0, this.trace.head.end_us), Home: () => p.show(0, width),
      End: () => p.show(this.trace.head.end_us - width, this.trace.head.end_us),
      Escape: () => this.choose(NONE),
    };
    const act = anywhere[e.key] || (focused && here[e.key]);
    if (act) { act(); e.preventDefault(); }
  }

  see() { byId('context').scrollIntoView({ block: 'start' }); }

  /** The next or the previous anomaly, by time, around the ends. */
  step(by) {
    if (!this.anomalies.length) return this.say('No checker spoke of any operation here.');
    const count = this.anomalies.length, next = beside(this.anomalies, this.picture.selected, by);
    this.see();
    this.choose(this.anomalies[next], true);
    this.say(`Anomaly ${next + 1} of ${count}.`);
  }

  search(query) {
    const found = find(this.trace, query);
    this.picture.found.fill(0);
    if (typeof found === 'string') {
      this.results = new Int32Array(0);
      this.say(`${found}.`);
    } else {
      this.results = found;
      for (const i of found) this.picture.found[i] = 1;
      const sampled = this.trace.n < this.trace.head.total ? ' of those that this page holds' : '';
      const told = `${grouped(found.length)} found${sampled}. Enter goes to the next.`;
      this.say(query.trim() ? told : '');
    }
    this.list();
    this.picture.draw();
  }

  stepFound(by) {
    const count = this.results.length;
    if (!count) return;
    const next = beside(this.results, this.picture.selected, by);
    this.choose(this.results[next], true);
    this.say(`${grouped(next + 1)} of ${grouped(count)} found.`);
  }

  /** The first of what was found, as links. */
  list() {
    byId('history-found').replaceChildren(...[...this.results.slice(0, 12)].map(i => {
      const item = document.createElement('li'), link = document.createElement('a');
      link.href = `#op-${this.trace.invoke[i]}`;
      link.textContent = this.brief(i);
      item.append(link);
      return item;
    }));
  }

  /** Selects an operation, tells of it, and puts it into the address. */
  choose(i, zoom = false) {
    this.picture.select(i, zoom);
    this.tell(i);
    const hash = i === NONE ? '#context' : `#op-${this.trace.invoke[i]}`;
    if (location.hash !== hash) history.replaceState(null, '', hash);
  }

  /** What the address names, if it names an operation. */
  follow() {
    const named = /^#op-(\d+)$/.exec(location.hash);
    if (!named) return;
    const i = placeOfEvent(this.trace, Number(named[1]));
    if (i === NONE) return this.say(`The operation of event ${named[1]} is not in this page.`);
    this.picture.select(i, true);
    this.tell(i);
    this.see();
  }

  say(text) { byId('history-said').textContent = text; }

  brief(i) {
    const t = this.trace, took = span(t.end[i] - t.start[i]);
    const key = nameOf(t.head.keys, t.key[i]), node = nameOf(t.head.nodes, t.node[i]);
    return `process ${t.process[i]}: ${label(t, i)}${key && ` · ${key}`}${node && ` at ${node}`} · `
      + `${OUTCOMES[t.outcome[i]]} · ${moment(t.start[i], 0)}, `
      + (t.answered[i] ? took : 'never answered');
  }

  tell(i) {
    const panel = byId('history-operation');
    panel.replaceChildren();
    if (i === NONE) return;
    const t = this.trace;
    const rows = [
      ['operation', label(t, i)], ['outcome', OUTCOMES[t.outcome[i]]],
      ['process', String(t.process[i])],
      ['key', nameOf(t.head.keys, t.key[i])], ['node', nameOf(t.head.nodes, t.node[i])],
      ['asked with', isNull(t.input, i) ? '' : valueText(t, t.input, i)],
      ['answer', t.outcome[i] === OK ? valueText(t, t.output, i) : ''],
      ['revision', Number.isNaN(t.revision[i]) ? '' : String(t.revision[i])],
      ['error', nameOf(t.head.texts, t.error[i])],
      ['asked', moment(t.start[i], 0)],
      [t.outcome[i] === INFO ? 'given up' : 'answered',
        t.answered[i] ? `${span(t.end[i] - t.start[i])} later` : 'never'],
      ['events', t.complete[i] === NONE ? String(t.invoke[i]) : `${t.invoke[i]}, ${t.complete[i]}`],
    ];
    const made = (tag, content) => {
      const element = document.createElement(tag);
      element.append(content);
      return element;
    };
    const link = made('a', `#op-${t.invoke[i]}`);
    link.href = `#op-${t.invoke[i]}`;
    for (const [name, value] of [...rows.filter(([, value]) => value), ['link', link]]) {
      panel.append(made('dt', name), made('dd', value));
    }
  }

  drawn() {
    const p = this.picture, canvas = p.canvas;
    canvas.dataset.from = p.t0;
    canvas.dataset.to = p.t1;
    canvas.dataset.selected = p.selected === NONE ? '' : this.trace.invoke[p.selected];
    canvas.dataset.ms = p.took_ms.toFixed(1);
    byId('history-window').textContent = `${moment(Math.max(p.t0, 0), p.t1 - p.t0)} to `
      + `${moment(p.t1, p.t1 - p.t0)}: ${span(p.t1 - p.t0)}`;
  }
}

async function start() {
  const section = byId('context');
  if (!section) return;
  section.hidden = false;
  const said = byId('history-said');
  try {
    const trace = await readTrace(t => {
      said.textContent = `Reading: ${grouped(t.ready)} of ${grouped(t.n)}`;
    });
    trace.blockEnds = blockEnds(trace);
    said.textContent = '';
    new Viewer(trace);
    performance.mark('history-read');
    section.dataset.ready = 'true';
  } catch (error) {
    said.textContent = `The history could not be read: ${error.message}.`;
    section.dataset.ready = 'failed';
  }
}

function copyButtons() {
  for (const button of document.querySelectorAll('button.copy')) {
    button.hidden = false;
    button.addEventListener('click', async () => {
      const text = button.parentElement.querySelector('code').textContent;
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = 'Copied';
      } catch {
        getSelection().selectAllChildren(button.parentElement.querySelector('code'));
        button.textContent = 'Selected: press Ctrl+C';
      }
    });
  }
}

copyButtons();
start();
