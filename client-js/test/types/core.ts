// Compiled under --strict; every line with @ts-expect-error must be refused.
import ab, { Connection, type CallError, type Session } from "wampush";

const onopen = (session: Session): void => {
  session.prefix("news", "http://example.com/news#");
  session.subscribe("news:sport", (topic, event) => console.log(topic.length, event.title));
  session.subscribe<{ price: number }>("price", (_, event) => event.price.toFixed(2));
  session.publish("t", { a: 1 });
  session.publish("t", 1, false);
  session.publish("t", 1, ["id"], ["id"]);
  // @ts-expect-error a session id alone is no list
  session.publish("t", 1, "id");
  session
    .call<number>("add", 1, 2)
    .then((sum) => sum.toFixed())
    .otherwise((error: CallError) => error.desc)
    .always(() => session.close());
  const id: string = session.sessionid();
  console.log(id, session.resolve("news:sport").length);
  // @ts-expect-error null without the text itself
  session.resolve("news:sport", false).length;
};

ab.connect(
  "ws://localhost",
  onopen,
  (code, reason, details) => {
    if (code === ab.CONNECTION_LOST_SCHEDULED_RECONNECT && details) {
      return details.retries > 3 && reason.length > 0;
    }
    return false;
  },
  { maxRetries: 3, retryDelay: 100, skipSubprotocolCheck: true },
);
// @ts-expect-error onConnect is needed
ab.connect("ws://localhost");

new ab.Session("ws://localhost", () => {}, (code) => code.toFixed(), { reopen: true });

const connection = new Connection(async () => "ws://localhost", { longest: 100 });
connection.onstate = (state) => state === "open" && connection.call("x", [1]);
// @ts-expect-error no such state
connection.state === "lost";
connection.onclose = ({ isFinal, code }) => isFinal || code === 1000;
window.addEventListener("wampush:state-lost", (lost) => lost.detail.topic.length);
