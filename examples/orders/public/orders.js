'use strict';

const element = id => document.getElementById(id);
const me = new URLSearchParams(location.search).get('as') || 'carol';
const isStaff = me === 'carol';
let session = null;

function show(order) {
  let row = element(`order-${order.number}`);
  if (row === null) {
    row = document.createElement('tr');
    row.id = `order-${order.number}`;
    element('orders').prepend(row);
  }
  row.replaceChildren();
  for (const text of [order.number, order.customer, order.article, order.state]) {
    row.insertCell().textContent = text;
  }
  const cell = row.insertCell();
  if (isStaff && order.state === 'placed') {
    const button = document.createElement('button');
    button.textContent = 'Ship';
    button.onclick = () => session.call('orders.ship', order.number);
    cell.append(button);
  }
  row.className = '';
  requestAnimationFrame(() => { row.className = 'changed'; });
}

function opened(opening) {
  session = opening;
  element('state').textContent = `connected as ${me}`;
  const changed = (topic, order) => show(order);
  session.subscribe(isStaff ? 'orders' : `user.${me}`, changed);
  session.call('orders.list').then(orders => orders.forEach(show));
  element('place').hidden = isStaff;
  element('presence').hidden = !isStaff;
  if (isStaff) {
    session.subscribe('wampush.presence.num_online', (topic, count) => {
      element('presence').textContent = `${count} people are here.`;
    });
  }
}

element('place').onsubmit = event => {
  event.preventDefault();
  session.call('orders.place', element('article').value).then(
    order => { element('answer').textContent = `Order ${order.number} is placed.`; },
    error => { element('answer').textContent = error.desc; }
  );
};

fetch('settings.json').then(answer => answer.json()).then(settings => {
  for (const name of Object.keys(settings.people)) {
    const link = document.createElement('a');
    link.href = `?as=${name}`;
    link.textContent = name;
    if (name === me) link.setAttribute('aria-current', 'page');
    element('people').append(link);
  }
  const url = `${settings.websocket}/?token=${settings.people[me]}`;
  ab.connect(url, opened, (code, reason) => { element('state').textContent = reason; });
});
