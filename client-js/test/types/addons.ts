/* What users of TypeScript write; compiled under --strict, never run. Wrong uses must not compile. */

import { authenticate, authsign, deriveKey, type Permissions } from "wampush/cra";
import { StreamOverflow, Wampush, type CallError } from "wampush/modern";
import { sharedConnection } from "wampush/tabs";

interface Order {
  number: number;
  state: "placed" | "shipped";
}

const client = new Wampush<{ orders: Order; "wampush.presence.num_online": number }>(
  async () => "wss://www.example.org/ws",
  {
    token: async () => (await fetch("/token")).text(),
    authenticate: async (connection): Promise<Permissions> =>
      authenticate(connection, "alice", "secret"),
    states: { price: "prices.coffee" },
    timeout: 5000,
    connect: sharedConnection,
    name: "user 7",
  },
);

client
  .on("Blogs/post", (post: { title: string }) => post.title, (code, text) => code.toFixed() + text)
  .once("Blogs/new", null, (code: number) => code)
  .off("Blogs/post")
  .send("Blogs/post", { title: "x" });

const value: Promise<string> = client.send<string>({ handler: "a", module: "b", data: [1] });
const cart: Promise<string[]> = client.call<string[]>("cart.add", ["apple"], {
  timeout: 100,
  signal: new AbortController().signal,
});
cart.catch((error: CallError) => error.uri + error.desc);

const stop: () => void = client.onMessage("orders", (order) => order.state === "shipped");
stop();
client.onStateChange("num_online", (count: number) => count);
client.onStateChange(({ changes, value: values }) => changes.map((name) => values[name]));
client.onConnectionChange((state, end) => (state === "waiting" ? end?.delay : null));
client.publish("orders", { number: 7, state: "placed" }, { exclude: ["id"] });

async function read(): Promise<void> {
  try {
    for await (const order of client.events("orders", { limit: 10 })) {
      const number: number = order.number;
      console.log(number, await value);
    }
  } catch (error) {
    if (!(error instanceof StreamOverflow)) {
      throw error;
    }
  }
}
void read();

const key: string = deriveKey("secret", { salt: "pepper", iterations: 1000 });
const signature: string = authsign("challenge", key);
void signature;

const anyTopics = new Wampush("ws://127.0.0.1:8080");
anyTopics.onMessage("whatever", (event) => event.anything);
const open: boolean = anyTopics.connected && anyTopics.state === "open";
void open;

// @ts-expect-error: not a state
client.state === "opened";
// @ts-expect-error: the event is of another type
client.publish("orders", { number: "7", state: "placed" });
// @ts-expect-error: there is no such topic
client.onMessage("order", () => {});
// @ts-expect-error: arguments are a list
client.call("cart.add", "apple");
// @ts-expect-error: a number of milliseconds
new Wampush("ws://127.0.0.1:8080", { timeout: "5 s" });
// @ts-expect-error: read only
client.sessionId = "x";
// @ts-expect-error: made by sharedConnection
new (await import("wampush/tabs")).SharedConnection();
