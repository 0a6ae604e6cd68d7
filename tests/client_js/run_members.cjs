// node run_members.cjs FILE WHICH URL MEMBERS [ADD-ON…]: the rows of members.js on a file of a client, in a
// context that has what a page has. The last line is JSON: names of the file, and the report of the rows.
"use strict";
const { readFileSync } = require("node:fs");
const vm = require("node:vm");
const WebSocket = require("ws");

const [file, which, url, members, ...addOns] = process.argv.slice(2);
const page = {
  WebSocket,
  console,
  setTimeout,
  clearTimeout,
  setInterval,
  clearInterval,
  TextEncoder,
  btoa,
  navigator: { userAgent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120.0.0.0 Safari/537.36" },
  location: { protocol: "http:", host: "example.com", hostname: "example.com", port: "" },
};
const context = vm.createContext(page);
page.window = page.top = context;
for (const each of [file, ...addOns, members]) {
  vm.runInContext(readFileSync(each, "utf8"), context, { filename: each });
}
process.on("uncaughtException", (error) => {
  // What a row has a subscriber throw.
  if (error.message !== "of the page") {
    throw error;
  }
});
const call = `runRows(${JSON.stringify(which)}, ${JSON.stringify(url)})`;
vm.runInContext(call, context).then((report) => {
  console.log(JSON.stringify([vm.runInContext("namesOf()", context), JSON.parse(report)]));
  process.exit(0);
});
