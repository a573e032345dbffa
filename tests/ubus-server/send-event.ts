// Tells everybody on the bus of an event, as `ubus send` does.

import { connect } from "node:net";
import { encodeMessage, UBUS_MESSAGE, UbusMessageReader } from "../../src/flow/ubus/message.ts";

/** The object that ubusd itself is. */
const EVENTS_ID = 1;

/** @param id the event's name; what it says is that the package mycoflow was changed */
export function sendEvent(socketPath: string, id: string): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    const socket = connect(socketPath);
    const reader = new UbusMessageReader();
    const data = { id, data: { package: "mycoflow" } };
    socket.on("error", reject);
    socket.on("data", (chunk) => {
      reader.push(chunk, ({ type }) => {
        if (type === UBUS_MESSAGE.hello) {
          const attributes = { objectId: EVENTS_ID, method: "send", data };
          const invoke = { type: UBUS_MESSAGE.invoke, sequence: 1, peer: EVENTS_ID, attributes };
          socket.write(encodeMessage(invoke));
        } else if (type === UBUS_MESSAGE.status) {
          socket.destroy();
          resolve();
        }
      });
    });
  });
}
