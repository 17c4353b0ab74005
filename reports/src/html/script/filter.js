// Shows only the rows that are asked for.
'use strict';

const filter = document.getElementById('filter');
if (filter) {
  const text = document.getElementById('filter-text');
  const verdict = document.getElementById('filter-verdict');
  const apply = () => {
    const words = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of document.querySelectorAll('tr[data-text]')) {
      row.hidden = !words.every(word => row.dataset.text.includes(word))
        || (verdict.value !== '' && row.dataset.verdict !== verdict.value);
      if (!row.hidden && row.closest('table.runs')) shown++;
    }
    const asked = words.length || verdict.value;
    document.getElementById('filter-said').textContent = asked ? `${shown} runs` : '';
  };
  filter.hidden = false;
  text.addEventListener('input', apply);
  verdict.addEventListener('change', apply);
  document.addEventListener('keydown', e => {
    if (e.key === '/' && e.target !== text) { text.focus(); e.preventDefault(); }
  });
}
