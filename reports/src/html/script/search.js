// Finding operations: words and `field:value` pairs, all of which must hold.

const FIELDS = ['process', 'key', 'value', 'rev', 'revision', 'outcome', 'node', 'f', 'error',
  'event'];
const NAMED = { ok: OK, fail: FAIL, failed: FAIL, info: INFO, indeterminate: INFO };

/** Which of `list` are `word`, or hold it where `loose`. */
function matching(list, word, loose) {
  const wanted = word.toLowerCase();
  return Uint8Array.from(list, text => {
    const has = text.toLowerCase();
    return has === wanted || has === `"${wanted}"` || (loose && has.includes(wanted)) ? 1 : 0;
  });
}

/** A test for one term of a query; a string says what is wrong with the term. */
function compile(trace, term) {
  const colon = term.indexOf(':');
  const field = colon > 0 ? term.slice(0, colon).toLowerCase() : '';
  const given = colon > 0 && FIELDS.includes(field) ? term.slice(colon + 1) : term;
  const word = given.replace(/^"(.*)"$/, '$1');
  if (!word) return `“${term}” names no value`;
  const number = Number(word), head = trace.head;
  const listed = (column, list, loose) => {
    const hit = matching(list, word, loose);
    return i => column[i] >= 0 && hit[column[i]] === 1;
  };
  switch (FIELDS.includes(field) ? field : '') {
    case 'process':
      return Number.isNaN(number) ? `“${word}” is no process` : i => trace.process[i] === number;
    case 'rev': case 'revision':
      return Number.isNaN(number) ? `“${word}” is no revision` : i => trace.revision[i] === number;
    case 'event':
      return Number.isNaN(number) ? `“${word}” is no event`
        : i => trace.invoke[i] === number || trace.complete[i] === number;
    case 'key': return listed(trace.key, head.keys, false);
    case 'node': return listed(trace.node, head.nodes, false);
    case 'f': return listed(trace.f, head.fs, false);
    case 'error': return listed(trace.error, head.texts, true);
    case 'outcome': {
      const outcome = NAMED[word.toLowerCase()];
      if (outcome === undefined) return `“${word}” is no outcome: ok, fail or info`;
      return i => trace.outcome[i] === outcome;
    }
    case 'value': return ofValue(trace, word, number);
    default: return anywhere(trace, word, number);
  }
}

function ofValue(trace, word, number) {
  const hit = matching(trace.head.texts, word, true), empty = word === 'null' || word === 'nothing';
  const of = (column, i) => {
    switch (column.kind[i]) {
      case KIND_INT: return column.a[i] === number;
      case KIND_PAIR: return column.a[i] === number || column.b[i] === number;
      case KIND_TEXT: return hit[column.a[i]] === 1;
      default: return false;
    }
  };
  if (empty) return i => trace.outcome[i] === OK && isNull(trace.output, i);
  return i => of(trace.input, i) || of(trace.output, i);
}

function anywhere(trace, word, number) {
  const head = trace.head, error = matching(head.texts, word, true);
  const [key, node, f] = [head.keys, head.nodes, head.fs].map(list => matching(list, word, false));
  const value = ofValue(trace, word, number);
  const named = (column, hit, i) => column[i] >= 0 && hit[column[i]] === 1;
  return i => value(i) || named(trace.key, key, i) || named(trace.node, node, i)
    || named(trace.f, f, i) || named(trace.error, error, i)
    || trace.process[i] === number || trace.revision[i] === number;
}

/** The places that `query` finds, ascending, or a sentence on what is wrong with it. */
function find(trace, query) {
  const terms = (query.match(/(?:[a-z]+:)?"[^"]*"|\S+/gi) || []).slice(0, 16);
  const tests = terms.map(term => compile(trace, term));
  const wrong = tests.find(test => typeof test === 'string');
  if (wrong) return wrong;
  const found = [];
  if (tests.length) {
    for (let i = 0; i < trace.n; i++) {
      if (tests.every(test => test(i))) found.push(i);
    }
  }
  return Int32Array.from(found);
}
