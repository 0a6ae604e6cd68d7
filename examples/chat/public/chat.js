'use strict';

// A plain WebSocket, without any library. The server relays a message to everybody else, so a page
// shows its own one itself. What arrives is put into the page as text, never as markup.

const element = id => document.getElementById(id);
const FIRST_DELAY = 500; // milliseconds; doubled up to LAST_DELAY
const LAST_DELAY = 10000;
let socket = null;
let delay = FIRST_DELAY;

function show(text, kind) {
  const list = element('messages');
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  const line = document.createElement('li');
  line.textContent = text;
  line.className = kind;
  list.append(line);
  element('empty').hidden = true;
  // Who reads further up is left alone.
  if (atEnd || kind === 'own') {
    list.scrollTop = list.scrollHeight;
  }
}

function state(text) {
  element('state').textContent = text;
  element('write').querySelector('button').disabled = socket.readyState !== WebSocket.OPEN;
}

function connect(url) {
  socket = new WebSocket(url);
  state('connecting');
  socket.onopen = () => {
    delay = FIRST_DELAY;
    state('connected');
  };
  socket.onmessage = message => show(message.data, 'other');
  socket.onclose = () => {
    state('not connected, trying again');
    setTimeout(connect, delay * (0.75 + Math.random() / 2), url);
    delay = Math.min(delay * 2, LAST_DELAY);
  };
}

element('write').onsubmit = submit => {
  submit.preventDefault();
  const box = element('text');
  if (socket.readyState === WebSocket.OPEN && box.value !== '') {
    socket.send(box.value);
    show(box.value, 'own');
    box.value = '';
  }
};

fetch('settings.json')
  .then(answer => answer.json())
  .then(settings => connect(settings.websocket));
