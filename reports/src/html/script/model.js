// What the picture and the search ask of a trace.

const OUTCOMES = ['ok', 'failed', 'indeterminate'];
const OK = 0, FAIL = 1, INFO = 2;
/** Operations in a block whose last end is known, so that what is out of sight is skipped. */
const BLOCK = 512;
/** More rows than these for what overlaps in one object or node are drawn over each other. */
const LANES_MAX = 12;

/** A column's value as text. */
function valueText(trace, column, i) {
  switch (column.kind[i]) {
    case KIND_INT: return String(column.a[i]);
    case KIND_TEXT: return trace.head.texts[column.a[i]];
    case KIND_PAIR: return `[${column.a[i]}, ${column.b[i]}]`;
    default: return 'null';
  }
}

const isNull = (column, i) => column.kind[i] === KIND_NULL;
const nameOf = (list, at) => at < 0 ? '' : list[at];

/** An operation in a few characters: `write 17`, `read → 428`. */
function label(trace, i) {
  const f = nameOf(trace.head.fs, trace.f[i]);
  const asked = isNull(trace.input, i) ? '' : ` ${valueText(trace, trace.input, i)}`;
  if (trace.outcome[i] !== OK) return `${f}${asked}`;
  const output = valueText(trace, trace.output, i);
  if (!asked) return `${f} → ${isNull(trace.output, i) ? 'nothing' : output}`;
  return asked.trim() === output ? f + asked : `${f}${asked} → ${output}`;
}

/** Rows by client, by key or by node: their names, and for each operation its row. */
function arrange(trace, by) {
  const group = grouping(trace, by);
  const lanes = packLanes(trace, group);
  const names = [...lanes.keys()].sort((a, b) => group.order(a, b));
  const first = new Map(), rows = [];
  for (const id of names) {
    first.set(id, rows.length);
    const count = lanes.get(id);
    for (let lane = 0; lane < count; lane++) rows.push(lane ? '' : group.name(id));
  }
  const row = new Int32Array(trace.n);
  for (let i = 0; i < trace.n; i++) row[i] = first.get(group.of(i)) + group.lane[i];
  return { by, rows, row };
}

function grouping(trace, by) {
  const head = trace.head, lane = new Uint8Array(trace.n);
  const numbers = (a, b) => a - b;
  const names = list => (a, b) => (a < 0) - (b < 0)
    || nameOf(list, a).localeCompare(nameOf(list, b), 'en', { numeric: true });
  if (by === 'key') {
    const name = id => id < 0 ? '(no key)' : head.keys[id];
    return { lane, of: i => trace.key[i], name, order: names(head.keys) };
  }
  if (by === 'node') {
    const name = id => id < 0 ? '(no node)' : head.nodes[id];
    return { lane, of: i => trace.node[i], name, order: names(head.nodes) };
  }
  // A process ends with its first indeterminate outcome; the next of that client follows it.
  const slots = head.slots;
  const of = slots ? i => ((trace.process[i] % slots) + slots) % slots : i => trace.process[i];
  return { lane, of, name: id => slots ? `client ${id}` : `process ${id}`, order: numbers };
}

/** Gives what overlaps in one group a lane each; returns how many lanes each group has. */
function packLanes(trace, group) {
  const free = new Map();
  for (let i = 0; i < trace.n; i++) {
    const id = group.of(i);
    let ends = free.get(id);
    if (!ends) free.set(id, ends = []);
    let lane = ends.findIndex(end => end <= trace.start[i]);
    if (lane < 0) lane = ends.length < LANES_MAX ? ends.length : i % LANES_MAX;
    ends[lane] = Math.max(ends[lane] || 0, trace.end[i]);
    group.lane[i] = lane;
  }
  return new Map([...free].map(([id, ends]) => [id, ends.length]));
}

/** The latest end in each block of operations. */
function blockEnds(trace) {
  const ends = new Float64Array(Math.ceil(trace.n / BLOCK));
  for (let i = 0; i < trace.n; i++) {
    const at = Math.floor(i / BLOCK);
    if (trace.end[i] > ends[at]) ends[at] = trace.end[i];
  }
  return ends;
}

/** The first place whose operation begins after `time`. */
function firstAfter(trace, time) {
  let low = 0, high = trace.n;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (trace.start[middle] <= time) low = middle + 1; else high = middle;
  }
  return low;
}

/** Calls `each` for every operation that touches the time `t0` to `t1`, until it says false. */
function eachWithin(trace, t0, t1, each) {
  const stop = firstAfter(trace, t1);
  for (let block = 0; block * BLOCK < stop; block++) {
    if (trace.blockEnds[block] < t0) continue;
    const to = Math.min((block + 1) * BLOCK, stop);
    for (let i = block * BLOCK; i < to; i++) {
      if (trace.end[i] >= t0 && each(i) === false) return;
    }
  }
}

/** The place of the operation with this event, by its invocation or its completion. */
function placeOfEvent(trace, event) {
  let low = 0, high = trace.n;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (trace.invoke[middle] < event) low = middle + 1; else high = middle;
  }
  if (trace.invoke[low] === event) return low;
  return trace.complete.indexOf(event);
}

/** A length of time in microseconds, in the unit that suits it. */
function span(us) {
  const digits = x => String(Number(x.toPrecision(3)));
  if (us < 1e3) return `${digits(us)} µs`;
  if (us < 1e6) return `${digits(us / 1e3)} ms`;
  if (us < 1.2e8) return `${digits(us / 1e6)} s`;
  return `${Math.floor(us / 6e7)} min ${Math.round(us % 6e7 / 1e6)} s`;
}

/** A moment in microseconds, as exact as a view of `width_us` needs it. */
function moment(us, width_us) {
  if (width_us < 2e3) return `${(us / 1e3).toFixed(3)} ms`;
  if (width_us < 2e6) return `${(us / 1e3).toFixed(1)} ms`;
  if (width_us < 2e7) return `${(us / 1e6).toFixed(2)} s`;
  return `${Number((us / 1e6).toFixed(1))} s`;
}

const grouped = n => n.toLocaleString('en-US');
