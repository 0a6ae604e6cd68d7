/*
 * The shared worker of wampush-tabs.js: one hub, and one member for each port.
 */

import { whenGone } from "./election.js";
import { makeHub } from "./tabs.js";

const ports = new Map();
let hub = null;
let lastId = 0;

self.onconnect = ({ ports: [port] }) => {
  const id = String((lastId += 1));
  const remove = () => {
    ports.delete(id);
    hub.remove(id);
  };
  port.onmessage = ({ data }) => {
    if (data.type === "hello") {
      ports.set(id, port);
      hub = hub || makeHub(data.settings, (to, message) => ports.has(to) && ports.get(to).postMessage(message));
      whenGone(data.lock, remove);
      port.postMessage({ type: "hub" });
    } else {
      hub.receive(id, data);
      if (data.type === "leave" || data.type === "close") {
        ports.delete(id);
      }
    }
  };
};
