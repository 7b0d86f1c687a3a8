'use strict';
// The live page: photos and paint to pixels, pixels through the models (in a worker), numbers to pictures and words.
// Shapes as in the library: S is a model's image size; images are (1, 3, S, S) float32 in [0, 1], maps (S, S).

const $ = (id) => document.getElementById(id);
const percent = (share) => `${Number((100 * share).toFixed(share < 0.01 ? 1 : 0))} %`; // a small share is not none
const text = (key, values = {}) => words[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
const { categories: CATEGORIES, methods: METHODS, colours: COLOURS } = LIVE.start;
const STORE = 'anomaly-live';
const FORMAT = 1;
const LARGEST_PHOTO = 4096; // pixels of the longer side of one's own photo
const STEP = 0.02; // of the part's width: one press of an arrow key; with Shift four times as far
const LAYER_LIMIT = 10; // times the mean of a layer's error over the photo, as detect draws it
const FLOW_LIMIT = 2 * 11 / 256; // largest displacement, in half images

const state = {
  language: 'en', category: CATEGORIES[0], meta: null, photo: null, strokes: [], cursor: [0.5, 0.5], pen: null,
  opacity: 0.9, guess: null, run: 0, ready: false, results: {}, thresholds: {}, views: {},
  speed: { draem: 100, dmad: 85, dfr: 140 }, // ms as benchmarks/README.md has them; then as this browser takes
};
let words = LIVE.start.words.en;

// ---------------------------------------------------------------------------------------------------- the engine

async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function script(file) { // a page from file:// may not fetch, but it may run scripts
  return new Promise((resolve, reject) => {
    const element = document.createElement('script');
    element.src = file;
    element.onload = () => { element.remove(); resolve(); };
    element.onerror = () => reject(new Error(`${file} is missing`));
    document.head.append(element);
  });
}

function workerMain() { // runs in the worker, behind ONNX Runtime's own script
  const sessions = {};
  const tasks = {
    start: ({ wasm, glue }) => {
      ort.env.wasm.numThreads = 1;
      ort.env.wasm.wasmBinary = wasm.buffer;
      ort.env.wasm.wasmPaths = { mjs: URL.createObjectURL(new Blob([glue], { type: 'text/javascript' })) };
    },
    load: async ({ key, model }) => { sessions[key] = await ort.InferenceSession.create(model); },
    drop: async ({ key }) => { await sessions[key]?.release(); delete sessions[key]; },
    run: async ({ key, image, size, outputs }) => {
      const began = performance.now();
      const found = await sessions[key].run({ images: new ort.Tensor('float32', image, [1, 3, size, size]) }, outputs);
      const arrays = Object.fromEntries(outputs.map((name) => [name, found[name].data]));
      return { arrays, milliseconds: performance.now() - began };
    },
  };
  self.onmessage = async ({ data: { id, task, ...rest } }) => {
    try {
      self.postMessage({ id, answer: await tasks[task](rest) });
    } catch (error) {
      self.postMessage({ id, error: String(error) });
    }
  };
}

const WORKERS = navigator.hardwareConcurrency > 1 ? 2 : 1; // each holds an engine of its own and runs on one core
const bySpeed = () => [...METHODS].sort((a, b) => state.speed[a] - state.speed[b]);
const order = () => (WORKERS > 1 ? bySpeed().reverse() : bySpeed()); // one core: the slowest last; two: it has its own
const engine = { workers: [], waiting: new Map(), number: 0, loaded: new Map() };

function ask(worker, task, rest) {
  return new Promise((resolve, reject) => {
    const id = engine.number++;
    engine.waiting.set(id, { resolve, reject });
    worker.postMessage({ id, task, ...rest });
  });
}

function answered({ data: { id, answer, error } }) {
  const { resolve, reject } = engine.waiting.get(id);
  engine.waiting.delete(id);
  if (error) reject(new Error(error)); else resolve(answer);
}

async function startEngine() {
  if (typeof WebAssembly !== 'object') throw new Error('no WebAssembly');
  await script('engine.js');
  const parts = {};
  for (const name of ['ort', 'glue', 'wasm']) parts[name] = await unpacked(LIVE.engine[name]);
  delete LIVE.engine;
  const source = new Blob([parts.ort, `\n;(${workerMain})();`], { type: 'text/javascript' });
  for (let number = 0; number < WORKERS; number++) {
    const worker = new Worker(URL.createObjectURL(source));
    worker.onmessage = answered;
    worker.onerror = (event) => engine.waiting.forEach(({ reject }) => reject(new Error(event.message)));
    engine.workers.push(worker);
  }
  await Promise.all(engine.workers.map((worker) => ask(worker, 'start', { wasm: parts.wasm, glue: parts.glue })));
}
const started = startEngine();

async function load(key, method) { // the slowest method has a worker of its own, where there are two
  await started;
  await script(`${key}.js`);
  const model = await unpacked(LIVE.files[key]);
  delete LIVE.files[key];
  const worker = engine.workers[method === bySpeed().at(-1) ? WORKERS - 1 : 0];
  await ask(worker, 'load', { key, model });
  return worker;
}

function model(category, method) { // of one category at a time: a phone has little memory
  for (const [key, ready] of engine.loaded) {
    if (!key.startsWith(`${category}/`)) { engine.loaded.delete(key); ready.then((worker) => ask(worker, 'drop', { key })); }
  }
  const key = `${category}/${method}`;
  if (!engine.loaded.has(key)) engine.loaded.set(key, load(key, method));
  return engine.loaded.get(key);
}

async function photosOf(category) {
  if (!LIVE.files[`${category}/photos`]) await script(`${category}/photos.js`);
  return LIVE.files[`${category}/photos`];
}

// ------------------------------------------------------------------------------------------------ photos to pixels

function coefficients(length, size) { // Pillow's triangle filter: for each target pixel its first source and weights
  const scale = length / size, support = Math.max(scale, 1);
  return Array.from({ length: size }, (_, index) => {
    const centre = (index + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const last = Math.min(length, Math.trunc(centre + support + 0.5));
    const weights = [];
    for (let place = first; place < last; place++) {
      weights.push(Math.max(0, 1 - Math.abs((place - centre + 0.5) / support)));
    }
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return [first, weights.map((weight) => Math.trunc(0.5 + weight / sum * (1 << 22)))];
  });
}

function resizedLines(source, count, length, size, stride, jump) { // one axis, in 8-bit steps as Pillow does
  if (length === size) return source;
  const target = new Uint8Array(count * size * 3), table = coefficients(length, size);
  for (let line = 0; line < count; line++) {
    for (let index = 0; index < size; index++) {
      const [first, weights] = table[index];
      for (let channel = 0; channel < 3; channel++) {
        let sum = 1 << 21;
        for (let k = 0; k < weights.length; k++) {
          sum += source[line * stride(length) + (first + k) * jump(count) + channel] * weights[k];
        }
        target[line * stride(size) + index * jump(count) + channel] = Math.min(255, Math.max(0, sum >> 22));
      }
    }
  }
  return target;
}

function squeezed(pixels, size) { // ImageData -> (3, S, S) float32, equal to the library's data.images.squeezed
  const { width, height, data } = pixels;
  const rgb = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; from < data.length; from += 4) for (let c = 0; c < 3; c++) rgb[to++] = data[from + c];
  const across = (source, rows) => resizedLines(source, rows, width, size, (length) => 3 * length, () => 3);
  const down = (source, columns) => resizedLines(source, columns, height, size, () => 3, (count) => 3 * count);
  // Pillow 13 begins with the height where that shrinks by more than twice as many pixels as the width
  const small = height > size && height - size > 2 * (width - size) ? across(down(rgb, width), size) : down(across(rgb, height), size);
  const image = new Float32Array(3 * size * size);
  for (let place = 0; place < size * size; place++) {
    for (let c = 0; c < 3; c++) image[c * size * size + place] = small[3 * place + c] / 255;
  }
  return image;
}

function blank(width, height) {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [width, height];
  return canvas;
}

const context = (canvas) => canvas.getContext('2d', { willReadFrequently: true });
const pixelsOf = (canvas) => context(canvas).getImageData(0, 0, canvas.width, canvas.height);

async function decoded(address) { // an address of a photo -> canvas of its own size; transparent pixels over black
  const image = new Image();
  image.src = address;
  await image.decode();
  const share = Math.min(1, LARGEST_PHOTO / Math.max(image.naturalWidth, image.naturalHeight));
  const canvas = blank(Math.round(image.naturalWidth * share), Math.round(image.naturalHeight * share));
  context(canvas).fillRect(0, 0, canvas.width, canvas.height);
  context(canvas).drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas;
}

// ------------------------------------------------------------------------------------------------------- painting

function draw(target, stroke) {
  const { width } = target.canvas;
  const points = stroke.points.map(([x, y]) => [x * width, y * target.canvas.height]);
  target.strokeStyle = target.fillStyle = stroke.colour;
  target.lineWidth = Math.max(1, stroke.size * width);
  target.lineCap = target.lineJoin = 'round';
  target.beginPath();
  target.moveTo(...points[0]);
  points.forEach((point) => target.lineTo(...point));
  target.lineTo(points.at(-1)[0] + 0.01, points.at(-1)[1]);
  target.stroke();
}

function ink() { // the strokes alone, opaque
  const canvas = blank(state.photo.canvas.width, state.photo.canvas.height);
  state.strokes.forEach((stroke) => draw(context(canvas), stroke));
  return canvas;
}

function painted() { // the part with its paint
  const canvas = blank(state.photo.canvas.width, state.photo.canvas.height);
  context(canvas).drawImage(state.photo.canvas, 0, 0);
  context(canvas).globalAlpha = state.opacity;
  context(canvas).drawImage(ink(), 0, 0);
  return canvas;
}

function paintedShare() {
  if (!state.strokes.length) return 0;
  const { data } = pixelsOf(ink());
  let count = 0;
  for (let place = 3; place < data.length; place += 4) count += data[place] > 127;
  return count / (data.length / 4);
}

function showPart() {
  const canvas = $('part'), { width, height } = state.photo.canvas;
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  const pen = canvas.getContext('2d');
  pen.drawImage(painted(), 0, 0);
  if (document.activeElement === canvas) {
    for (const [colour, line] of [['#000', 4], ['#fff', 2]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = line * width / 400;
      pen.setLineDash(state.pen ? [] : [width / 60, width / 60]);
      pen.beginPath();
      pen.arc(state.cursor[0] * width, state.cursor[1] * height, Math.max(3, brush() * width / 2), 0, 7);
      pen.stroke();
    }
  }
  canvas.setAttribute('aria-label', text('partAlt', { name: state.photo.name, share: percent(paintedShare()) }));
}

const brush = () => 0.01 * Number($('size').value);
const place = (event) => {
  const box = $('part').getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
};

function begin(point) {
  state.pen = { colour: $('colour').value, size: brush(), points: [point] };
  state.strokes.push(state.pen);
}

function extend(point) {
  state.cursor = point;
  if (state.pen) state.pen.points.push(point);
  showPart();
}

function end() {
  state.pen = null;
  changed();
}

function onKey(event) {
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const far = event.shiftKey ? 4 * STEP : STEP;
  if (event.key in moves) {
    extend(state.cursor.map((value, axis) => Math.min(1, Math.max(0, value + far * moves[event.key][axis]))));
    say('at', { x: percent(state.cursor[0]), y: percent(state.cursor[1]) });
  } else if (event.key === ' ') {
    if (state.pen) end(); else begin(state.cursor);
    say(state.pen ? 'penDown' : 'penUp');
    showPart();
  } else if (event.key === 'Enter') {
    begin(state.cursor);
    end();
  } else if (event.key === 'z' || event.key === 'Z') {
    undo();
  } else return;
  event.preventDefault();
}

function undo() {
  state.strokes.pop();
  state.pen = null;
  changed();
}

// ------------------------------------------------------------------------------------------------- looking at a part

function say(key, values = {}, isBusy = false) {
  state.said = [key, values, isBusy]; // to say it again in another language
  $('status').textContent = text(key, values);
  $('status').classList.toggle('busy', isBusy);
}

function changed() { // the picture is another one: what was seen of the old one does not hold
  showPart();
  state.run += 1;
  state.guess = null;
  state.results = {};
  if ($('ask').checked) { say('waiting'); showCards(); } else see();
}

async function look(category, method, meta, image) { // one method's outputs of one image
  const worker = await model(category, method);
  const { size, pictures } = meta.methods[method];
  return { worker, ...await ask(worker, 'run', { key: `${category}/${method}`, image, size, outputs: ['map', 'score', ...pictures] }) };
}

async function see() {
  const run = ++state.run, pixels = pixelsOf(painted()), clean = pixelsOf(state.photo.canvas), left = bySpeed();
  const took = new Map(), titleOf = (method) => state.meta.methods[method].title;
  const tell = () => say(state.ready ? 'busy' : 'loading', { title: left.map(titleOf).join(', ') }, true);
  const seeOne = async (method) => {
    const { size } = state.meta.methods[method], image = squeezed(pixels, size);
    const { arrays, milliseconds, worker } = await look(state.category, method, state.meta, image);
    if (run !== state.run) return; // the part has changed meanwhile
    state.ready = true;
    state.speed[method] = milliseconds;
    took.set(worker, (took.get(worker) ?? 0) + milliseconds);
    state.results[method] = { ...arrays, image, clean: squeezed(clean, size) };
    left.splice(left.indexOf(method), 1);
    showCard(method);
    if (left.length) tell();
  };
  tell();
  if (!$('cards').children.length) showCards();
  try {
    if (WORKERS > 1) await Promise.all(order().map(seeOne));
    else for (const method of order()) if (run === state.run) await seeOne(method);
    if (run !== state.run) return;
    say('done', { milliseconds: Math.round(Math.max(...took.values())) });
    if (state.guess) remember();
  } catch (error) {
    fail(error);
  }
}

function fail(error) { // what the models say of test photos is shown as pictures then
  say('failed', { reason: error.message });
  $('twin').hidden = false;
}

const scoreOf = (method) => state.results[method].score[0];
const isAlarm = (method) => scoreOf(method) >= state.thresholds[method];

// ----------------------------------------------------------------------------------------------------------- the cards

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
  made.append(...children);
  return made;
}

function paintPicture(canvas, values, size, colourOf) { // values (S, S) or (3, S, S)
  [canvas.width, canvas.height] = [size, size];
  const pixels = new ImageData(size, size), area = size * size;
  for (let index = 0; index < area; index++) {
    const colour = colourOf ? colourOf(values[index])
      : [0, 1, 2].map((c) => 255 * Math.min(1, Math.max(0, values[c * area + index])));
    pixels.data.set([...colour, 255], 4 * index);
  }
  canvas.getContext('2d').putImageData(pixels, 0, 0);
}

const coloured = (share) => COLOURS[Math.round(255 * Math.min(1, Math.max(0, share || 0)))];

function mean(values) {
  return values.reduce((total, value) => total + value, 0) / values.length;
}

function viewNames(method) {
  return ['input', ...state.meta.methods[method].pictures];
}

function viewWords(method, name) {
  return words[`view_${name}`] ?? text('layer', { number: viewNames(method).indexOf(name) });
}

function showView(method, canvas) {
  const { size } = state.meta.methods[method], name = state.views[method], result = state.results[method];
  const values = name === 'input' ? result.image : result[name];
  const limit = name === 'deformation' ? FLOW_LIMIT : LAYER_LIMIT * mean(values);
  paintPicture(canvas, values, size, values.length === size * size ? (value) => coloured(value / limit) : null);
  canvas.setAttribute('aria-label', text('viewAlt', { title: state.meta.methods[method].title, name: viewWords(method, name) }));
}

function digits(score, threshold) { // as many as it takes to tell the two apart
  for (let count = 3; count < 9; count++) {
    const pair = [score.toPrecision(count), threshold.toPrecision(count)];
    if (pair[0] !== pair[1]) return pair.map((text) => String(Number(text)));
  }
  return [score.toPrecision(9), threshold.toPrecision(9)];
}

function telling(method) { // a sentence that follows the numbers
  const result = state.results[method], { size, pictures } = state.meta.methods[method];
  if (method === 'draem') {
    let before = 0, after = 0, apart = 0;
    result.reconstruction.forEach((repair, index) => {
      const paint = Math.abs(result.image[index] - result.clean[index]);
      if (paint > 0) { before += paint; after += Math.abs(repair - result.clean[index]); }
      apart += Math.abs(repair - result.image[index]);
    });
    return before ? text('repaired', { share: percent(Math.max(0, 1 - after / before)) })
      : text('unpainted', { difference: percent(apart / result.image.length) });
  }
  if (method === 'dfr') {
    const peak = result.map.reduce((best, value, index) => (value > result.map[best] ? index : best), 0);
    const prominence = (values) => {
      const middle = mean(values);
      return (values[peak] - middle) / Math.sqrt(mean(values.map((value) => (value - middle) ** 2)));
    };
    const order = pictures.map((name) => prominence(result[name]));
    return text('layers', { number: order.indexOf(Math.max(...order)) + 1 });
  }
  const longest = result.deformation.reduce((most, value) => Math.max(most, value), 0);
  return text('moved', { pixels: (longest * (size - 1) / 2).toFixed(1) });
}

function counts(method) { // what the sentence about the test photos says
  const { scores } = state.meta.methods[method], { photos } = state.meta;
  const alarms = (anomalous) => scores.filter((score, i) => photos[i].anomalous === anomalous && score >= state.thresholds[method]).length;
  const defects = photos.filter((photo) => photo.anomalous).length;
  return { found: alarms(true), defects, alarms: alarms(false), normals: photos.length - defects, all: photos.length };
}

function range(method) {
  const values = [...state.meta.methods[method].scores, state.meta.methods[method].thresholds.image];
  if (state.results[method]) values.push(scoreOf(method));
  const low = Math.min(...values), high = Math.max(...values), margin = 0.03 * (high - low);
  return [low - margin, high + margin];
}

function strip(method) { // the test photos' scores on a line
  const [low, high] = range(method), x = (value) => (300 * (value - low) / (high - low)).toFixed(1);
  const marks = state.meta.methods[method].scores.map((score, index) => (state.meta.photos[index].anomalous
    ? `<path d="M${x(score) - 3} 33l6 6m-6 0l6-6" class="anomalous"/>`
    : `<circle cx="${x(score)}" cy="12" r="3" class="normal"/>`));
  const line = x(state.thresholds[method]);
  marks.push(`<line x1="${line}" x2="${line}" y1="2" y2="46" class="line"/>`);
  if (state.results[method]) marks.push(`<path d="M${x(scoreOf(method))} 18l5 6l-5 6l-5-6z" class="here"/>`);
  return `<svg viewBox="-6 0 312 48" preserveAspectRatio="none" role="img" aria-label="${text('stripAlt')}">${marks.join('')}</svg>`;
}

function thresholdControl(method) {
  const [low, high] = range(method);
  const slider = element('input', { type: 'range', min: 0, max: 1000, id: `threshold-${method}` });
  slider.value = 1000 * (state.thresholds[method] - low) / (high - low);
  slider.oninput = () => {
    state.thresholds[method] = low + slider.value / 1000 * (high - low);
    refresh(method);
  };
  const reset = element('button', { type: 'button' }, text('reset'));
  reset.onclick = () => {
    state.thresholds[method] = state.meta.methods[method].thresholds.image;
    slider.value = 1000 * (state.thresholds[method] - low) / (high - low);
    refresh(method);
  };
  return [element('label', { for: slider.id }, text('threshold')), slider, reset];
}

function refresh(method) { // what follows the threshold
  const card = $(`card-${method}`);
  card.querySelector('.confusion').textContent = text('confusion', counts(method));
  card.querySelector('.strip').innerHTML = strip(method);
  $(`glance-${method}`).parentNode.hidden = !state.results[method];
  if (!state.results[method]) return;
  const verdict = card.querySelector('.verdict'), decision = isAlarm(method) ? 'anomalous' : 'normal';
  const [score, threshold] = digits(scoreOf(method), state.thresholds[method]);
  verdict.className = `verdict ${decision}`;
  verdict.textContent = text('decision', { decision: words[decision], score, threshold });
  $(`glance-${method}`).nextSibling.textContent = `${state.meta.methods[method].title}: ${words[decision]}`;
  $(`glance-${method}`).nextSibling.className = decision;
  const guessed = card.querySelector('.guessed');
  const right = state.guess?.includes(method) === isAlarm(method);
  guessed.textContent = state.guess ? text(right ? 'guessedRight' : 'guessedWrong') : '';
}

function showCard(method) {
  const { title, size, thresholds } = state.meta.methods[method], card = $(`card-${method}`);
  card.replaceChildren(element('h3', {}, title));
  const result = state.results[method];
  if (result) {
    const view = element('canvas', { role: 'img' }), map = element('canvas', { role: 'img' });
    const choice = element('select', { id: `view-${method}` });
    choice.append(...viewNames(method).map((name) => element('option', { value: name }, viewWords(method, name))));
    choice.value = state.views[method];
    choice.onchange = () => { state.views[method] = choice.value; showView(method, view); };
    const colour = (value) => coloured((value - thresholds.pixel_median) / (thresholds.pixel - thresholds.pixel_median) / 2);
    paintPicture(map, result.map, size, colour);
    map.setAttribute('aria-label', text('mapAlt', { title, share: percent(mean(result.map.map((value) => value >= thresholds.pixel))) }));
    showView(method, view);
    paintPicture($(`glance-${method}`), result.map, size, colour);
    card.append(
      element('p', { class: 'verdict' }), element('p', { class: 'guessed small' }),
      element('div', { class: 'pictures' },
        element('figure', {}, view), element('figure', {}, map, element('figcaption', {}, text('map')))),
      element('label', { for: choice.id }, text('view')), choice,
      element('p', { class: 'telling' }, telling(method)));
  }
  card.append(...thresholdControl(method), element('div', { class: 'strip' }), element('p', { class: 'confusion small' }));
  refresh(method);
}

function showCards() {
  $('cards').replaceChildren(...METHODS.map((method) => element('article', { class: 'card', id: `card-${method}` })));
  METHODS.forEach(showCard);
}

// ------------------------------------------------------------------------------------------------------- predictions

function records() {
  try { return JSON.parse(localStorage.getItem(STORE)) ?? []; } catch { return []; }
}

function keep(list) {
  try { localStorage.setItem(STORE, JSON.stringify(list)); } catch { /* private windows keep nothing */ }
  showRecord(list);
}

function remember() {
  const scores = Object.fromEntries(METHODS.map((method) => [method, scoreOf(method)]));
  keep([...records(), {
    when: new Date().toISOString(), category: state.category, photo: state.photo.name, painted: paintedShare(),
    predicted: state.guess, found: METHODS.filter(isAlarm), scores, thresholds: { ...state.thresholds },
  }]);
}

const rightIn = (record) => METHODS.filter((method) => record.predicted.includes(method) === record.found.includes(method)).length;

function showRecord(list = records()) {
  const right = list.reduce((total, record) => total + rightIn(record), 0);
  $('record').textContent = text(list.length ? 'record' : 'recordNone', { right, all: METHODS.length * list.length });
}

function download(content, name) {
  const link = element('a', { download: name, href: URL.createObjectURL(new Blob([JSON.stringify(content, null, 1)], { type: 'application/json' })) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// ----------------------------------------------------------------------------------------------------- the teacher's view

const lists = (value) => Array.isArray(value) && value.every((item) => METHODS.includes(item));
const isRecord = (record) => record && lists(record.predicted) && lists(record.found)
  && [record.when, record.category, record.photo].every((text) => typeof text === 'string') && Number.isFinite(record.painted);

async function mergeFiles(files) {
  const merged = new Map(), names = new Set(), bad = [];
  for (const file of files) {
    try {
      const content = JSON.parse(await file.text());
      const students = content.students ?? [content]; // a merged file may be merged again
      if (content.format !== STORE || !students.every((student) => student.records.every(isRecord))) throw new Error();
      for (const { name, records: list } of students) {
        names.add(String(name));
        list.forEach((record) => merged.set(JSON.stringify([name, record]), { name: String(name), record }));
      }
    } catch { bad.push(file.name); }
  }
  return { all: [...merged.values()], names: [...names], bad, count: files.length };
}

function tableRow(label, paint, list) {
  const share = (key, method) => `${list.filter(({ record }) => record[key].includes(method)).length} / ${list.length}`;
  const right = list.reduce((total, { record }) => total + rightIn(record), 0) / (METHODS.length * list.length);
  const cells = [paint, String(list.length), ...METHODS.map((method) => `${share('predicted', method)}, ${share('found', method)}`), percent(right)];
  return element('tr', {}, element('th', { scope: 'row' }, label), ...cells.map((text) => element('td', { class: 'number' }, text)));
}

function showClass({ all, names, bad, count }) {
  $('class-status').textContent = [
    text('teacherStatus', { files: count - bad.length, people: names.length, records: all.length }),
    ...bad.map((name) => text('teacherBad', { name })),
  ].join(' ');
  $('class-download').hidden = !all.length;
  if (!all.length) { $('class-view').replaceChildren(); return; }
  const groups = new Map();
  all.forEach((entry) => {
    const { category, photo, painted: share } = entry.record, key = JSON.stringify([category, photo, share.toFixed(2)]);
    groups.set(key, [...(groups.get(key) ?? []), entry]);
  });
  const heads = [text('tablePart'), text('tablePaint'), text('tableCount'), ...METHODS.map((method) => text('tableMethod', { title: method.toUpperCase() })), text('tableRight')];
  const rows = [...groups].sort((a, b) => b[1].length - a[1].length).map(([key, list]) => {
    const [category, photo, share] = JSON.parse(key);
    return tableRow(`${category}, ${photo}`, percent(Number(share)), list);
  });
  $('class-view').replaceChildren(element('div', { class: 'table', tabindex: 0, role: 'region', 'aria-label': text('caption') }, element('table', {},
    element('caption', {}, text('caption')),
    element('thead', {}, element('tr', {}, ...heads.map((text) => element('th', { scope: 'col' }, text)))),
    element('tbody', {}, tableRow(text('all'), '', all), ...rows))));
  $('class-download').onclick = () => download({
    format: STORE, version: FORMAT,
    students: names.map((name) => ({ name, records: all.filter((entry) => entry.name === name).map(({ record }) => record) })),
  }, 'class.json');
}

// ----------------------------------------------------------------------------------------------------------- the page

function translate() {
  words = LIVE.start.words[state.language];
  document.documentElement.lang = state.language;
  document.title = text('title');
  document.querySelectorAll('[data-text]').forEach((node) => { node.textContent = words[node.dataset.text]; });
  showOpacity();
  showRecord();
  if (state.said) say(...state.said);
  if (state.merged) showClass(state.merged);
  if (state.photo) { fillPhotos(); showPart(); showCards(); }
}

function showOpacity() {
  state.opacity = Number($('opacity').value) / 100;
  $('opacity-value').textContent = percent(state.opacity);
}

function fillPhotos() {
  const options = state.meta.photos.map(({ name }, index) => element('option', { value: index }, name.replace('good/', `${text('normalPhoto')}/`)));
  if (state.photo?.own) options.push(element('option', { value: 'own' }, text('ownPhoto')));
  $('photo').replaceChildren(...options);
  $('photo').value = state.photo?.own ? 'own' : state.photo?.index ?? 0;
}

async function choosePhoto(index) {
  const { name, data } = state.meta.photos[index];
  state.photo = { name, index, canvas: await decoded(data) };
  state.strokes = [];
  fillPhotos();
  changed();
}

async function chooseOwn(file) {
  const address = URL.createObjectURL(file);
  try {
    state.photo = { name: file.name, own: true, canvas: await decoded(address) };
  } catch (error) { say('failed', { reason: `${file.name}: ${error.message}` }); return; } finally { URL.revokeObjectURL(address); }
  state.strokes = [];
  fillPhotos();
  changed();
}

async function chooseCategory(category) {
  const meta = await photosOf(category);
  Object.assign(state, { category, meta, photo: null, results: {}, ready: false });
  $('category').value = category;
  METHODS.forEach((method) => {
    state.thresholds[method] = meta.methods[method].thresholds.image;
    state.views[method] = meta.methods[method].pictures[0];
  });
  fillPhotos();
  await choosePhoto(Math.max(0, meta.photos.findIndex((photo) => !photo.anomalous)));
}

function showGuess() { // nobody needs the question who does not want to be asked
  $('question').hidden = $('show').hidden = !$('ask').checked;
}

function show(teacher) {
  $('student').hidden = teacher;
  $('teacher').hidden = !teacher;
  $('to-student').setAttribute('aria-pressed', String(!teacher));
  $('to-teacher').setAttribute('aria-pressed', String(teacher));
}

function connect() {
  $('twin').hidden = true;
  $('nav').hidden = $('student').hidden = false;
  const part = $('part');
  part.onpointerdown = (event) => { part.setPointerCapture(event.pointerId); part.focus({ preventScroll: true }); state.cursor = place(event); begin(state.cursor); showPart(); };
  part.onpointermove = (event) => { if (state.pen && part.hasPointerCapture(event.pointerId)) extend(place(event)); };
  part.onpointerup = () => { if (state.pen) end(); };
  part.onpointercancel = part.onpointerup;
  part.onkeydown = onKey;
  part.onfocus = part.onblur = () => { if (state.photo) showPart(); };
  $('undo').onclick = undo;
  $('clear').onclick = () => { state.strokes = []; changed(); };
  $('opacity').oninput = () => { showOpacity(); showPart(); };
  $('opacity').onchange = () => { if (state.strokes.length) changed(); };
  $('size').oninput = showPart;
  $('category').onchange = () => chooseCategory($('category').value);
  $('photo').onchange = () => { if ($('photo').value !== 'own') choosePhoto(Number($('photo').value)); };
  $('own').onchange = () => { if ($('own').files.length) chooseOwn($('own').files[0]); };
  $('guess').onsubmit = (event) => {
    event.preventDefault();
    state.guess = [...document.querySelectorAll('#guesses input:checked')].map((box) => box.value);
    see();
  };
  $('ask').onchange = () => { showGuess(); if (!$('ask').checked && !Object.keys(state.results).length) see(); };
  $('download').onclick = () => download({ format: STORE, version: FORMAT, name: $('name').value.trim(), records: records() }, 'predictions.json');
  $('forget').onclick = () => keep([]);
  $('class-files').onchange = async () => { state.merged = await mergeFiles($('class-files').files); showClass(state.merged); };
  $('to-student').onclick = () => show(false);
  $('to-teacher').onclick = () => show(true);
  $('language').onchange = () => { state.language = $('language').value; translate(); };
}

async function open() {
  document.querySelector('.bar').style.background = `linear-gradient(to right, ${COLOURS.filter((_, i) => i % 32 === 0 || i === 255).map((c) => `rgb(${c})`)})`;
  if (navigator.language?.startsWith('vi')) state.language = $('language').value = 'vi';
  $('category').replaceChildren(...CATEGORIES.map((name) => element('option', { value: name }, name)));
  $('glance').replaceChildren(...METHODS.map((method) => element('figure', { hidden: '' },
    element('canvas', { id: `glance-${method}` }), element('figcaption'))));
  $('guesses').replaceChildren(...METHODS.map((method) => element('label', {},
    element('input', { type: 'checkbox', name: 'alarm', value: method }), ` ${method.toUpperCase()}`)));
  connect();
  translate();
  started.catch(fail);
  const [category, mode] = location.hash.slice(1).split('/'); // #nut, or #nut/look to see at once, without a prediction
  if (mode === 'look') $('ask').checked = false;
  showGuess();
  await chooseCategory(CATEGORIES.includes(category) ? category : CATEGORIES[0]);
}

if (window.parent !== window) { // in a frame, which takes the page's height
  new ResizeObserver(() => window.parent.postMessage({ liveHeight: document.body.offsetHeight }, '*')).observe(document.body);
}

window.live = { // what the tests ask: a test photo's score, decision and map, by the page's own functions
  opened: open(),
  async trio(category, index) { // milliseconds from pixels to the results of all three
    const meta = await photosOf(category), pixels = pixelsOf(await decoded(meta.photos[index].data));
    await Promise.all(METHODS.map((method) => model(category, method)));
    const began = performance.now();
    await Promise.all(order().map((method) => look(category, method, meta, squeezed(pixels, meta.methods[method].size))));
    return performance.now() - began;
  },
  async detect(category, index, method) {
    const meta = await photosOf(category), { size, thresholds } = meta.methods[method];
    const image = squeezed(pixelsOf(await decoded(meta.photos[index].data)), size);
    const { arrays, milliseconds } = await look(category, method, meta, image);
    const bytes = (array) => btoa(Array.from(new Uint8Array(array.buffer), (byte) => String.fromCharCode(byte)).join(''));
    return { score: arrays.score[0], anomalous: arrays.score[0] >= thresholds.image, milliseconds, map: bytes(arrays.map), image: bytes(image) };
  },
};
