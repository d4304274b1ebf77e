// Input of the page: mouse and keys become actions that the server carries out. Nothing about the karyotype is decided here.
// Gradio runs this once for the karyogram's element, whose content is replaced with each answer.
const STORED = 'gricol-zoo-tab';
const newToken = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
let token;
try {
  // It survives a reload, and ends with the tab.
  token = sessionStorage.getItem(STORED) || newToken();
  sessionStorage.setItem(STORED, token);
} catch { token = newToken(); }

let selected = null;  // the selected chromosome's number
let marked = null;    // the first of two that are to be swapped
let typed = '';       // digits of a class typed so far
let asking = 0;       // timer of the request for the selected chromosome's details
let drag = null;
let zoom = 1;
const scrolled = {left: 0, top: 0};

const board = () => element.querySelector('.board');
const hits = () => [...element.querySelectorAll('.hit')];
const hitOf = (id) => element.querySelector(`.hit[data-id="${id}"]`);
const version = () => Number(document.querySelector('#tools .tools')?.dataset.version || 0);
const labels = () => (board()?.dataset.labels || '').split('|').filter(Boolean);
const send = (what, more = {}) => trigger('review', {what, token, version: version(), ...more});

const say = (words) => {
  const line = document.querySelector('#typed');
  if (line) line.textContent = words;
};

const show = () => {
  for (const one of document.querySelectorAll('.hit, .doubt')) {
    const id = Number(one.dataset.id);
    one.classList.toggle('chosen', id === selected);
    one.classList.toggle('marked', id === marked);
  }
};

const select = (id, ask = true) => {
  if (!hitOf(id)) return;
  selected = id;
  show();
  hitOf(id).scrollIntoView({block: 'nearest', inline: 'nearest'});
  document.querySelector(`.doubt[data-id="${id}"]`)?.scrollIntoView({block: 'nearest'});
  clearTimeout(asking);
  if (ask) asking = setTimeout(() => send('select', {id}), 120);  // a held arrow key passes over many
};

const act = (what, more = {}) => {
  clearTimeout(asking);
  if (selected === null) { say('Choose a chromosome first: click it, or press an arrow key.'); return; }
  send(what, {id: selected, ...more});
};

const swap = () => {
  if (marked === null || selected === null || marked === selected) {
    marked = marked === selected ? null : selected;
    say(marked === null ? '' : `No. ${marked} is marked. Go to the other one and press S again, or Esc.`);
    show();
    return;
  }
  const other = marked;
  marked = null;
  say('');
  act('swap', {other});
};

// --- keys ---

const middle = (hit) => {
  const box = hit.getBBox();
  return {x: box.x + box.width / 2, y: box.y + box.height / 2, top: box.y, foot: box.y + box.height};
};

const step = (key) => {
  const all = hits();
  if (!all.length) return;
  const now = all.findIndex((hit) => Number(hit.dataset.id) === selected);
  if (now < 0) { select(Number(all[0].dataset.id)); return; }
  if (key === 'ArrowLeft' || key === 'ArrowRight') {
    const next = all[(now + (key === 'ArrowRight' ? 1 : all.length - 1)) % all.length];
    select(Number(next.dataset.id));
    return;
  }
  const here = middle(all[now]);
  const beyond = all.map((hit) => ({hit, at: middle(hit)}))
    .filter(({at}) => (key === 'ArrowDown' ? at.y > here.foot : at.y < here.top));
  const least = Math.min(...beyond.map(({at}) => Math.abs(at.y - here.y)));
  const row = beyond.filter(({at}) => Math.abs(at.y - here.y) < least + 60);
  row.sort((one, other) => Math.abs(one.at.x - here.x) - Math.abs(other.at.x - here.x));
  if (row.length) select(Number(row[0].hit.dataset.id));
};

const nextDoubt = (by) => {
  const all = [...document.querySelectorAll('.doubt')].map((one) => Number(one.dataset.id));
  if (!all.length) { say('Nothing is left in doubt.'); return; }
  const now = all.indexOf(selected);
  select(all[now < 0 ? (by > 0 ? 0 : all.length - 1) : (now + by + all.length) % all.length]);
};

const forget = () => {
  if (typed) say('');
  typed = '';
};

const commit = () => {
  const label = typed;
  typed = '';
  say('');
  if (labels().includes(label)) act('move', {label});
};

const type = (letter) => {
  const known = labels();
  if (!known.some((label) => label.startsWith(typed + letter))) typed = '';
  if (!known.some((label) => label.startsWith(typed + letter))) { say(`There is no class ${letter}.`); return; }
  typed += letter;
  if (known.filter((label) => label.startsWith(typed)).length === 1) { commit(); return; }
  say(`Class ${typed}: press Enter, or its second digit.`);  // no time limit: slow typing works too
};

const SIMPLE = {
  ArrowLeft: step, ArrowRight: step, ArrowUp: step, ArrowDown: step,
  n: () => nextDoubt(1), N: () => nextDoubt(-1), f: () => act('turn'), F: () => act('turn'), s: swap, S: swap,
  u: () => act('move', {label: ''}), U: () => act('move', {label: ''}),
  '+': () => magnify(zoom * 1.25), '=': () => magnify(zoom * 1.25), '-': () => magnify(zoom / 1.25),
};

const onKey = (event) => {
  const at = event.target;
  if (at.closest?.('input, textarea, select, [contenteditable=true]') || !board()) return;
  const key = event.key;
  if (event.ctrlKey || event.metaKey) {
    const does = {z: event.shiftKey ? 'redo' : 'undo', y: 'redo', s: 'save', enter: 'check'}[key.toLowerCase()];
    if (!does) return;
    event.preventDefault();
    send(does);
    return;
  }
  if (event.altKey) return;
  if (key === 'Escape') { forget(); marked = null; stopDrag(); say(''); show(); return; }
  if (key === 'Enter') {
    if (at.closest?.('button, a, [role=listbox]')) return;  // leave it to the button
    event.preventDefault();
    if (typed) commit(); else act('confirm');
    return;
  }
  if (SIMPLE[key]) { event.preventDefault(); forget(); SIMPLE[key](key); return; }
  if (/^[0-9xyXY]$/.test(key)) { event.preventDefault(); type(key.toUpperCase()); }
};

// --- mouse ---

const magnify = (value) => {
  zoom = Math.min(6, Math.max(1, value));
  element.style.setProperty('--zoom', zoom);
  if (selected !== null) hitOf(selected)?.scrollIntoView({block: 'nearest', inline: 'nearest'});
};

const stopDrag = () => {
  drag?.ghost?.remove();
  element.querySelectorAll('.target').forEach((one) => one.classList.remove('target'));
  drag = null;
};

const startGhost = () => {
  const image = element.querySelector(`#chromosome-${drag.id}`);
  drag.ghost = document.createElement('div');
  drag.ghost.className = 'ghost';
  if (image) {
    const box = image.getBoundingClientRect();
    const picture = document.createElement('img');
    picture.src = image.getAttribute('href');
    picture.width = box.width;
    picture.height = box.height;
    drag.ghost.append(picture);
  }
  document.body.append(drag.ghost);
};

const under = (event) => {
  const found = document.elementFromPoint(event.clientX, event.clientY)?.closest('.hit, .place');
  return found && element.contains(found) ? found : null;
};

const onDown = (event) => {
  const hit = event.target.closest?.('.hit');
  if (hit && element.contains(hit) && event.button === 0) {
    event.preventDefault();  // no text is selected while something is dragged
    drag = {id: Number(hit.dataset.id), x: event.clientX, y: event.clientY, ghost: null};
  }
};

const onMove = (event) => {
  if (!drag) return;
  if (!drag.ghost && Math.hypot(event.clientX - drag.x, event.clientY - drag.y) < 5) return;
  if (!drag.ghost) startGhost();
  drag.ghost.style.transform = `translate(${event.clientX}px, ${event.clientY}px)`;
  element.querySelectorAll('.target').forEach((one) => one.classList.remove('target'));
  under(event)?.classList.add('target');
};

const onUp = (event) => {
  if (!drag) return;
  const {id, ghost} = drag;
  const to = ghost ? under(event) : null;
  stopDrag();
  if (!ghost) { select(id); return; }
  if (!to) return;
  selected = id;
  show();
  const from = hitOf(id).dataset.label;
  const place = to.dataset.label;
  if (place === from) return;
  if (to.classList.contains('hit')) act('swap', {other: Number(to.dataset.id)});
  else act('move', {label: place});
};

const onClick = (event) => {
  const hit = event.target.closest?.('[data-do], [data-move], [data-save], [data-zoom], [data-open], .doubt');
  if (!hit) return;
  const {do: does, move, save, zoom: how, open, id} = hit.dataset;
  if (does === 'swap') swap();
  else if (does === 'next') nextDoubt(1);
  else if (['undo', 'redo', 'check', 'save'].includes(does)) send(does);
  else if (does === 'cells' || does === 'report') { say('Classifying and drawing all cells, a second or two each …'); send(does); }
  else if (does) act(does);
  else if (open !== undefined) send('open', {label: open});
  else if (move !== undefined) act('move', {label: move});
  else if (save) send('file', {kind: save});
  else if (how) magnify(how === '0' ? 1 : how === '+' ? zoom * 1.25 : zoom / 1.25);
  else if (id) select(Number(id));
  if (does !== 'check') hit.blur?.();  // otherwise Enter would press it again
};

const onWheel = (event) => {
  if (!event.ctrlKey || !element.contains(event.target)) return;
  event.preventDefault();
  magnify(zoom * (event.deltaY < 0 ? 1.15 : 1 / 1.15));
};

const onScroll = (event) => {
  if (event.target.classList?.contains('scroll')) {
    scrolled.left = event.target.scrollLeft;
    scrolled.top = event.target.scrollTop;
  }
};

const onLeave = (event) => {
  if (document.querySelector('#tools .tools')?.dataset.unsaved === '1') {
    event.preventDefault();
    event.returnValue = '';
  }
};

window.gricolZooReview?.abort();  // Gradio may build the element twice
const stop = window.gricolZooReview = new AbortController();
const on = (where, name, what, more = {}) => where.addEventListener(name, what, {signal: stop.signal, ...more});
on(document, 'keydown', onKey);
on(document, 'pointerdown', onDown);
on(document, 'pointermove', onMove);
on(document, 'pointerup', onUp);
on(document, 'pointercancel', stopDrag);
on(document, 'click', onClick);
on(document, 'wheel', onWheel, {passive: false});
on(element, 'scroll', onScroll, {capture: true});
on(element, 'focusin', (event) => { if (event.target.dataset?.id && !drag) select(Number(event.target.dataset.id)); });
on(window, 'beforeunload', onLeave);

watch('value', () => {
  stopDrag();
  if (selected !== null && !hitOf(selected)) selected = null;
  if (marked !== null && !hitOf(marked)) marked = null;
  const fresh = board()?.dataset.cell;
  if (fresh !== element.dataset.cell) { selected = marked = null; element.dataset.cell = fresh || ''; }
  if (selected === null && board()?.dataset.selected) selected = Number(board().dataset.selected);
  const scroll = element.querySelector('.scroll');
  if (scroll) { scroll.scrollLeft = scrolled.left; scroll.scrollTop = scrolled.top; }
  show();
});
send('hello');
