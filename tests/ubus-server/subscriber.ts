// Listens to an object's notifications, as `ubus subscribe` does.

import { connect, type Socket } from "node:net";
import { encodeMessage, UBUS_MESSAGE, UbusMessageReader } from "../../src/flow/ubus/message.ts";

export interface Told {
  readonly method: string;
  readonly data: object;
}

/** Resolves once subscribed. `told` grows with what comes. */
export function subscribe(
  socketPath: string,
  objectPath: string,
): Promise<{ readonly told: Told[]; readonly socket: Socket }> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    const told: Told[] = [];
    const reader = new UbusMessageReader();
    let [own, target] = [0, 0];
    const ask = (type: number, sequence: number, attributes: object): void => {
      socket.write(encodeMessage({ type, sequence, peer: 0, attributes }));
    };
    socket.on("error", reject);
    socket.on("data", (chunk) => {
      reader.push(chunk, ({ type, sequence, attributes }) => {
        const { objectId = 0, method = "", data = {}, status } = attributes;
        if (type === UBUS_MESSAGE.hello) ask(UBUS_MESSAGE.addObject, 1, {});
        else if (type === UBUS_MESSAGE.invoke) told.push({ method, data });
        else if (type === UBUS_MESSAGE.data && sequence === 1) own = objectId;
        else if (type === UBUS_MESSAGE.data && sequence === 2) target = objectId;
        else if (type !== UBUS_MESSAGE.status) return;
        else if (status !== 0) reject(new Error(`request ${sequence} ended with ${status}`));
        else if (sequence === 1) ask(UBUS_MESSAGE.lookup, 2, { objectPath });
        else if (sequence === 2) ask(UBUS_MESSAGE.subscribe, 3, { objectId: own, target });
        else resolve({ told, socket });
      });
    });
  });
}
