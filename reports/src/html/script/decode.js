// Reads the trace that stands in the page (docs/reports.md has its layout): blocks of base64, each
// deflated by itself. The first is JSON; the others are columns of varints, a chunk each.

const NONE = -1;
const KIND_NULL = 0, KIND_INT = 1, KIND_TEXT = 2, KIND_PAIR = 3;

/** The bytes of a block. */
async function unpack(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate-raw'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Lets the page answer before going on. */
const breathe = () => new Promise(done => setTimeout(done));

/** Numbers out of bytes, one after another. */
class Varints {
  constructor(bytes) { this.bytes = bytes; this.at = 0; }
  next() {
    const bytes = this.bytes;
    let byte = bytes[this.at++];
    if (byte < 0x80) return byte;
    let value = byte & 0x7f, unit = 128;
    do {
      byte = bytes[this.at++];
      value += (byte & 0x7f) * unit;
      unit *= 128;
    } while (byte >= 0x80);
    return value;
  }
  signed() { return unfolded(this.next()); }
}

const unfolded = n => n % 2 ? -(n + 1) / 2 : n / 2;

/** Empty columns for `head.count` operations. */
function emptyTrace(head) {
  const n = head.count;
  const value = () => ({ kind: new Uint8Array(n), a: new Float64Array(n), b: new Float64Array(n) });
  return {
    head, n, ready: 0,
    start: new Float64Array(n), end: new Float64Array(n), answered: new Uint8Array(n),
    invoke: new Float64Array(n), complete: new Float64Array(n),
    process: new Float64Array(n), f: new Uint16Array(n), outcome: new Uint8Array(n),
    key: new Int32Array(n), node: new Int32Array(n), error: new Int32Array(n),
    revision: new Float64Array(n).fill(NaN), input: value(), output: value(),
    last: { time: 0, invoke: 0, process: 0, revision: 0, input: 0, output: 0 },
  };
}

/** Reads one chunk into the columns. */
function readChunk(trace, bytes) {
  const from = trace.ready, to = Math.min(from + trace.head.chunk, trace.n);
  const numbers = new Varints(bytes), last = trace.last;
  for (let i = from; i < to; i++) trace.start[i] = last.time += numbers.next();
  for (let i = from; i < to; i++) {
    const took = numbers.next();
    trace.answered[i] = took > 0 ? 1 : 0;
    trace.end[i] = trace.start[i] + Math.max(took - 1, 0);
  }
  for (let i = from; i < to; i++) trace.invoke[i] = last.invoke += numbers.next();
  for (let i = from; i < to; i++) {
    const later = numbers.next();
    trace.complete[i] = later ? trace.invoke[i] + later : NONE;
  }
  for (let i = from; i < to; i++) trace.process[i] = last.process += numbers.signed();
  for (let i = from; i < to; i++) {
    const how = numbers.next();
    trace.f[i] = Math.floor(how / 3);
    trace.outcome[i] = how % 3;
  }
  for (let i = from; i < to; i++) trace.key[i] = numbers.next() - 1;
  for (let i = from; i < to; i++) trace.node[i] = numbers.next() - 1;
  readValues(trace, 'input', numbers, from, to);
  readValues(trace, 'output', numbers, from, to);
  for (let i = from; i < to; i++) {
    const code = numbers.next();
    if (code) trace.revision[i] = last.revision += unfolded(code - 1);
  }
  for (let i = from; i < to; i++) trace.error[i] = numbers.next() - 1;
  trace.ready = to;
}

function readValues(trace, name, numbers, from, to) {
  const column = trace[name], last = trace.last;
  for (let i = from; i < to; i++) {
    const code = numbers.next(), tag = code % 4, rest = Math.floor(code / 4);
    if (tag === 0 && rest === 1) {
      column.kind[i] = trace.input.kind[i];
      column.a[i] = trace.input.a[i];
      column.b[i] = trace.input.b[i];
      continue;
    }
    column.kind[i] = tag;
    if (tag === KIND_INT) column.a[i] = last[name] += unfolded(rest);
    if (tag === KIND_TEXT) column.a[i] = rest;
    if (tag === KIND_PAIR) {
      column.a[i] = last[name] + unfolded(rest);
      column.b[i] = last[name] = column.a[i] + numbers.signed();
    }
  }
}

/** The whole trace; `told` hears after each chunk. */
async function readTrace(told) {
  const blocks = [...document.querySelectorAll('script.trace')];
  if (!blocks.length) return null;
  const head = JSON.parse(new TextDecoder().decode(await unpack(blocks[0].textContent)));
  const trace = emptyTrace(head);
  for (const block of blocks.slice(1)) {
    readChunk(trace, await unpack(block.textContent));
    // What was read is not needed twice, and may be many megabytes.
    block.textContent = '';
    told(trace);
    await breathe();
  }
  return trace;
}
