// What both ends of the bench's call, and the reader of its captures, agree on.

/** On both ends: within the range that VoIP gear uses for RTP. */
export const VOICE_PORT = 16_404;

/** RTP's name of each speaker (RFC 3550, section 8): the client calls, the server answers. */
export const VOICE_SSRC = { call: 0x2f6a91c4, answer: 0x7b1e05d3 } as const;
