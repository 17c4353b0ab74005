// Asks its server every second what came of a run that goes on, and shows it.
'use strict';

const main = document.getElementById('live');
const put = (id, text) => { document.getElementById(`live-${id}`).textContent = text; };
const shape = (name, attributes) => {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
};

function draw(state) {
  const svg = document.getElementById('live-plot'), width = svg.clientWidth || 800, height = 200;
  const shown = state.seconds.slice(-300), first = state.seconds.length - shown.length;
  const most = Math.max(1, ...shown.map(([ok, fail, info]) => ok + fail + info));
  const step = width / Math.max(shown.length, 30), parts = [];
  for (const band of state.bands) {
    const x = Math.max((band.from_s - first) * step, 0);
    const end = ((band.to_s ?? state.seconds.length) - first) * step;
    if (end <= 0) continue;
    parts.push(shape('rect', { x, y: 0, width: Math.max(end - x, 1), height, class: 'band' }));
  }
  shown.forEach((counts, at) => {
    let y = height;
    ['ok', 'fail', 'info'].forEach((name, nth) => {
      const tall = counts[nth] / most * (height - 14);
      y -= tall;
      const place = { x: at * step, y, width: Math.max(step - 1, 0.5), height: tall };
      if (tall) parts.push(shape('rect', { ...place, class: name }));
    });
  });
  const label = shape('text', { x: 4, y: 12 });
  label.textContent = `${most} a second`;
  svg.replaceChildren(...parts, label);
}

const seconds = s => `${s.toFixed(1)} s`;

function soFar({ violation, watched }) {
  if (violation) {
    return `A violation after ${seconds(violation.time_ms / 1000)}: ${violation.reason}.`;
  }
  return watched ? 'No violation so far.'
    : 'The verdict comes at the end: no checker of this test runs along.';
}

function show(state) {
  for (const id of ['ok', 'fail', 'info', 'landed']) put(id, state[id].toLocaleString('en-US'));
  // The second that goes on is not whole yet.
  const last = state.seconds.slice(-6, -1);
  const ended = last.reduce((sum, [ok, fail, info]) => sum + ok + fail + info, 0);
  put('rate', String(Math.round(ended / Math.max(last.length, 1))));
  put('time', seconds(state.time_ms / 1000));
  const header = document.querySelector('header.verdict');
  header.className = `verdict ${state.violation ? 'invalid' : 'live'}`;
  put('verdict', state.violation ? 'invalid so far' : 'under way');
  put('sentence', soFar(state));
  const list = document.getElementById('live-faults');
  list.replaceChildren(...state.bands.slice(-40).reverse().map(band => {
    const item = document.createElement('li');
    const until = band.to_s === null ? ', going on' : ` to ${seconds(band.to_s)}`;
    item.textContent = `${band.what}: from ${seconds(band.from_s)}${until}`;
    return item;
  }));
  draw(state);
}

async function look() {
  try {
    const answer = await fetch(main.dataset.address, { cache: 'no-store' });
    if (!answer.ok) throw new Error(`the server says ${answer.status}`);
    const state = await answer.json();
    show(state);
    main.dataset.looked = String(Number(main.dataset.looked || 0) + 1);
    if (state.report) { location.href = state.report; return; }
  } catch (error) {
    put('sentence', `Nothing is heard of the run: ${error.message}.`);
  }
  setTimeout(look, 1000);
}

look();
