// The heads of HTTP messages give host, target, agent and media type, cut or not.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TEXT_CHARACTERS_MAX } from "../../src/flow/tap/features.ts";
import { readHttpRequest, readHttpResponse } from "../../src/flow/tap/http.ts";
import { ascii, bytesOf } from "./packets.ts";

function request(text: string) {
  const bytes = bytesOf([9, 9], ascii(text), [9]);
  return readHttpRequest(bytes, 2, 2 + text.length);
}
function response(text: string) {
  const bytes = bytesOf([9, 9], ascii(text), [9]);
  return readHttpResponse(bytes, 2, 2 + text.length);
}

const head =
  "GET /live/index.m3u8?x=1 HTTP/1.1\r\nhOST: Media.Example.org:8080\r\nUser-Agent: Player/1.0 (TV)\r\nAccept: */*\r\n\r\n";

describe("a request", () => {
  test("shows its host without port, its target and its agent, whatever the fields' case", () => {
    expect(request(`${head}body`)).toEqual({
      ...{ method: "GET", target: "/live/index.m3u8?x=1", host: "media.example.org" },
      ...{ userAgent: "Player/1.0 (TV)", isComplete: true },
    });
  });

  test("to a proxy shows where it is to go", () => {
    expect(request("CONNECT chat.example:443 HTTP/1.1\r\n\r\n")?.host).toBe("chat.example");
    expect(request("CONNECT [2001:db8::1]:443 HTTP/1.1\r\n\r\n")?.host).toBe("2001:db8::1");
    expect(request("GET http://www.example:80/x HTTP/1.0\n\n")?.host).toBe("www.example");
  });

  test("of a less usual method is one when its line says HTTP", () => {
    for (const method of ["PROPFIND", "BITS_POST", "M-SEARCH", "RPC_IN_DATA"]) {
      expect(request(`${method} /a HTTP/1.1\r\nHost: a.example\r\n\r\n`)?.host).toBe("a.example");
      expect(request(`${method} /a`)).toBeNull();
    }
  });

  test("cut anywhere shows the true host or none", () => {
    for (let length = 0; length < head.length; length += 1) {
      const cut = request(head.slice(0, length));
      expect(cut?.isComplete ?? false).toBe(false);
      expect([undefined, null, "media.example.org"]).toContain(cut?.host);
    }
  });

  test("is told from RTSP, SIP and chat", () => {
    for (const text of [
      "OPTIONS rtsp://a.example/ RTSP/1.0\r\n\r\n",
      "INVITE sip:b@a.example SIP/2.0\r\n\r\n",
      "NICK someone\r\nUSER a b c :d\r\n",
      "GET\r\n\r\n",
      "get / HTTP/1.1\r\n\r\n",
    ]) {
      expect(request(text)).toBeNull();
    }
  });

  test("with a target beyond all measure keeps its beginning", () => {
    const told = request(`GET /${"a".repeat(4_000)} HTTP/1.1\r\nHost: a.example\r\n\r\n`);
    expect(told?.target).toHaveLength(TEXT_CHARACTERS_MAX);
    expect(told?.host).toBe("a.example");
  });
});

describe("an answer", () => {
  test("shows its media type", () => {
    const text = "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Type: video/mp2t; a=b\r\n\r\n\x00\x01";
    expect(response(text)).toEqual({ contentType: "video/mp2t; a=b", isComplete: true });
    expect(response("HTTP/1.1 204 No Content\r\n\r\n")).toEqual({
      ...{ contentType: null, isComplete: true },
    });
    expect(response("HTTP/1.1 200")).toEqual({ contentType: null, isComplete: false });
    expect(response("RTSP/1.0 200 OK\r\n\r\n")).toBeNull();
  });
});

test("no bytes make either reader throw, or show what is no host name", () => {
  fc.assert(
    fc.property(
      fc.nat(head.length),
      fc.array(fc.tuple(fc.nat(head.length), fc.nat(255)), { maxLength: 6 }),
      fc.uint8Array({ maxLength: 80 }),
      (length, changes, rest) => {
        const bytes = bytesOf(ascii(head.slice(0, length)), rest);
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        const told = readHttpRequest(bytes, 0, bytes.length);
        readHttpResponse(bytes, 0, bytes.length);
        if (told?.host != null) expect(told.host).toMatch(/^[a-z0-9._:[\]-]{1,253}$/);
      },
    ),
    { numRuns: 1_000 },
  );
});
