// Names, numbers and addresses of guests, by the conventions of NixOS's tests: guests are numbered
// from 1 in the order of their names, and guest N has 192.168.VLAN.N on each of its VLANs.

/** One network card of a guest. */
export interface Link {
  readonly vlan: number;
  readonly mac: string;
  /** `eth1` for the first VLAN of a guest, and so on. */
  readonly interfaceName: string;
  readonly address4: string;
  readonly address6: string;
}

export interface GuestAddresses {
  readonly name: string;
  readonly number: number;
  readonly links: readonly Link[];
}

/** Both bounds come from one byte of the MAC address. */
const VLAN_MAX = 255;
const GUESTS_MAX = 254;

/** @param vlansByName the VLANs of each guest */
export function assignAddresses(
  vlansByName: Readonly<Record<string, readonly number[]>>,
): GuestAddresses[] {
  const names = Object.keys(vlansByName).sort();
  if (names.length > GUESTS_MAX) throw new RangeError(`at most ${GUESTS_MAX} guests`);
  return names.map((name, index) => {
    if (!/^[a-z][a-z0-9-]{0,30}$/.test(name)) {
      throw new RangeError(`"${name}" is no host name: a letter, then letters, digits and dashes`);
    }
    const number = index + 1;
    const links = vlansByName[name]!.map((vlan, card) => makeLink(vlan, number, card + 1));
    return { name, number, links };
  });
}

function makeLink(vlan: number, number: number, card: number): Link {
  if (!(Number.isInteger(vlan) && vlan >= 1 && vlan <= VLAN_MAX)) {
    throw new RangeError(`VLAN ${vlan} is not in 1..${VLAN_MAX}`);
  }
  return {
    vlan,
    mac: `52:54:00:12:${hexByte(vlan)}:${hexByte(number)}`,
    interfaceName: `eth${card}`,
    address4: `192.168.${vlan}.${number}`,
    address6: `2001:db8:${vlan}::${number}`,
  };
}

function hexByte(value: number): string {
  return value.toString(16).padStart(2, "0");
}

/** The kernel parameters that guest/usr/local/lib/lab/network reads. Each guest is known by its first address. */
export function networkParameters(guest: GuestAddresses, all: readonly GuestAddresses[]): string[] {
  const links = guest.links.map(
    ({ mac, interfaceName, address4, address6 }) =>
      `lab.link=${mac},${interfaceName},${address4}/24,${address6}/64`,
  );
  const hosts = all.flatMap(({ name, links: [first] }) =>
    first === undefined
      ? []
      : [`lab.host=${first.address4},${name}`, `lab.host=${first.address6},${name}`],
  );
  return [`lab.name=${guest.name}`, ...links, ...hosts];
}
