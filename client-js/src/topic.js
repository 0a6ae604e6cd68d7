/**
 * Where a connection is in a topic: its handlers, its position, and the events whose place is not
 * known yet.
 */
export class Topic {
  constructor(name, since, isReturn) {
    /** As the page has written it. */
    this.name = name;
    this.handlers = [];
    /** The position up to which the handlers have all events; it moves, so it is a copy. */
    this.since_ = since && { ...since };
    this.isReturn_ = isReturn;
    this.held_ = null;
  }

  deliver_(topic, event, offset) {
    const { since_ } = this;
    let position;
    if (since_ && offset) {
      // What is sent again comes with the offsets that it had.
      since_.offset = Math.max(since_.offset, offset);
      position = { epoch: since_.epoch, offset };
    }
    for (const handler of this.handlers.slice()) {
      try {
        handler(topic, event, position);
      } catch (error) {
        // The other handlers get it all the same.
        setTimeout(() => {
          throw error;
        });
      }
    }
  }
}
