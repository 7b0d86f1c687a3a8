// The canvas of the brush: it shows the photo and the strokes, and reports strokes. What they do to the photo, and what
// models say of it, is worked out in Python. Works with a mouse, a pen, a finger, and with the keyboard alone.

const SIDE = 512; // pixels of the canvas, whatever its size on the page
const STEP = 1 / 64; // of an arrow key, as a share of the photo; with shift four times as much
const SEND_EVERY = 150; // milliseconds between two reports while a stroke is drawn
const NEAR = 0.004; // points closer than this to the last one are left out
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const clamp = (value) => Math.min(1, Math.max(0, value));

function drawStroke(context, stroke) {
  context.strokeStyle = context.fillStyle = stroke.colour;
  context.lineWidth = stroke.width * SIDE;
  context.lineCap = context.lineJoin = "round";
  context.beginPath();
  stroke.points.forEach(([x, y], index) => context[index ? "lineTo" : "moveTo"](x * SIDE, y * SIDE));
  if (stroke.points.length === 1) context.lineTo(stroke.points[0][0] * SIDE, stroke.points[0][1] * SIDE);
  context.stroke();
}

function drawCursor(context, [x, y], width) {
  const radius = Math.max(4, (width * SIDE) / 2);
  for (const [colour, more] of [["black", 1.5], ["white", 0]]) { // seen on dark and on bright photos
    context.strokeStyle = colour;
    context.lineWidth = 1.5;
    context.beginPath();
    context.arc(x * SIDE, y * SIDE, radius + more, 0, 2 * Math.PI);
    context.moveTo(x * SIDE - 7 - more, y * SIDE);
    context.lineTo(x * SIDE + 7 + more, y * SIDE);
    context.moveTo(x * SIDE, y * SIDE - 7 - more);
    context.lineTo(x * SIDE, y * SIDE + 7 + more);
    context.stroke();
  }
}

function elements(el) {
  el.classList.add("anomaly-brush");
  const canvas = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE, tabIndex: 0 });
  canvas.setAttribute("role", "application");
  canvas.setAttribute("data-lm-suppress-shortcuts", "true"); // or JupyterLab moves between cells with the arrow keys
  const hint = document.createElement("p");
  hint.textContent =
    "Mouse: draw. Keyboard: arrow keys move the brush (shift: faster), space puts it down and lifts it, " +
    "backspace takes the last stroke away, delete all.";
  const state = document.createElement("p");
  state.setAttribute("role", "status");
  el.append(canvas, hint, state);
  return { canvas, state };
}

function render({ model, el }) {
  const { canvas, state } = elements(el);
  const context = canvas.getContext("2d");
  const photo = new Image();
  let strokes = model.get("strokes");
  let current = null; // the stroke that is being drawn
  let cursor = [0.5, 0.5];
  let timer = null;
  let sending = false;

  function redraw() {
    context.clearRect(0, 0, SIDE, SIDE);
    if (photo.complete && photo.naturalWidth) context.drawImage(photo, 0, 0, SIDE, SIDE);
    [...strokes, ...(current ? [current] : [])].forEach((stroke) => drawStroke(context, stroke));
    drawCursor(context, cursor, model.get("width"));
    canvas.dataset.cursor = cursor.map((value) => value.toFixed(3)).join(" ");
    canvas.dataset.pen = current ? "down" : "up";
    canvas.dataset.strokes = strokes.length + (current ? 1 : 0);
  }

  function send() {
    clearTimeout(timer);
    timer = null;
    sending = true;
    const all = current ? [...strokes, current] : strokes;
    model.set("strokes", all.map((stroke) => ({ ...stroke, points: [...stroke.points] })));
    sending = false;
    model.save_changes();
  }

  const counted = () => `${strokes.length} stroke${strokes.length === 1 ? "" : "s"}`;

  function say(words) {
    state.textContent = words;
  }

  function down() {
    current = { colour: model.get("colour"), width: model.get("width"), points: [cursor] };
    say("brush is down");
    send();
  }

  function move(place) {
    cursor = place.map(clamp);
    if (!current) return;
    const last = current.points[current.points.length - 1];
    if (Math.hypot(cursor[0] - last[0], cursor[1] - last[1]) < NEAR) return;
    current.points.push(cursor);
    timer = timer ?? setTimeout(send, SEND_EVERY);
  }

  function up() {
    if (!current) return;
    strokes = [...strokes, current];
    current = null;
    say(`brush is up, ${counted()}`);
    send();
  }

  function take(kept) {
    current = null;
    strokes = kept;
    say(counted());
    send();
  }

  function place(event) {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  function key(event) {
    const arrow = ARROWS[event.key];
    const far = STEP * (event.shiftKey ? 4 : 1);
    if (arrow) move([cursor[0] + arrow[0] * far, cursor[1] + arrow[1] * far]);
    else if (event.key === " ") current ? up() : event.repeat || down();
    else if (event.key === "Escape") up();
    else if (event.key === "Backspace") take(current ? strokes : strokes.slice(0, -1));
    else if (event.key === "Delete") take([]);
    else return; // tab, above all, goes on to the next control
    event.preventDefault();
    event.stopPropagation();
    redraw();
  }

  const listeners = {
    pointerdown: (event) => {
      if (event.button) return;
      canvas.setPointerCapture(event.pointerId);
      canvas.focus();
      move(place(event));
      down();
    },
    pointermove: (event) => move(place(event)),
    pointerup: up,
    pointercancel: up,
    keydown: key,
    blur: up,
  };
  for (const [name, listener] of Object.entries(listeners)) {
    canvas.addEventListener(name, (event) => (listener(event), redraw()));
  }

  const changes = {
    "change:strokes": () => {
      if (sending) return;
      strokes = model.get("strokes");
      current = null;
      redraw();
    },
    "change:photo": () => (photo.src = model.get("photo")),
    "change:alt": () => canvas.setAttribute("aria-label", model.get("alt")),
    "change:width": redraw,
  };
  for (const [name, listener] of Object.entries(changes)) model.on(name, listener);
  photo.onload = redraw;
  changes["change:photo"]();
  changes["change:alt"]();
  redraw();
  return () => {
    clearTimeout(timer);
    for (const [name, listener] of Object.entries(changes)) model.off(name, listener);
  };
}

export default { render };
