/** pcapng blocks for tests, either byte order. Source: draft-ietf-opsawg-pcapng. */
export class PcapngWriter {
  readonly #isLittle: boolean

  constructor(isLittle = true) {
    this.#isLittle = isLittle
  }

  /** A block around a body that is padded to 4 bytes. */
  block(type: number, body: Uint8Array): Uint8Array {
    const padded = Math.ceil(body.length / 4) * 4
    const bytes = new Uint8Array(padded + 12)
    const view = new DataView(bytes.buffer)
    view.setUint32(0, type, this.#isLittle)
    view.setUint32(4, bytes.length, this.#isLittle)
    bytes.set(body, 8)
    view.setUint32(8 + padded, bytes.length, this.#isLittle)
    return bytes
  }

  section(): Uint8Array {
    return this.block(
      0x0a0d0d0a,
      Buffer.concat([this.u32(0x1a2b3c4d), this.u16(1), this.u16(0), Buffer.alloc(8, 0xff)]),
    )
  }

  /** `resolution` is the if_tsresol byte. */
  interfaceDescription(linkType: number, snapLengthBytes = 0, resolution?: number): Uint8Array {
    const option =
      resolution === undefined
        ? []
        : [this.u16(9), this.u16(1), Uint8Array.of(resolution, 0, 0, 0), this.u16(0), this.u16(0)]
    return this.block(
      1,
      Buffer.concat([this.u16(linkType), this.u16(0), this.u32(snapLengthBytes), ...option]),
    )
  }

  enhancedPacket(interfaceIndex: number, ticks: number, packet: Uint8Array): Uint8Array {
    const head = [interfaceIndex, Math.floor(ticks / 2 ** 32), ticks % 2 ** 32, packet.length, packet.length]
    return this.block(6, Buffer.concat([...head.map((value) => this.u32(value)), packet]))
  }

  simplePacket(packet: Uint8Array, wireBytes: number = packet.length): Uint8Array {
    return this.block(3, Buffer.concat([this.u32(wireBytes), packet]))
  }

  obsoletePacket(interfaceIndex: number, ticks: number, packet: Uint8Array): Uint8Array {
    const head = [Math.floor(ticks / 2 ** 32), ticks % 2 ** 32, packet.length, packet.length]
    return this.block(
      2,
      Buffer.concat([this.u16(interfaceIndex), this.u16(0), ...head.map((value) => this.u32(value)), packet]),
    )
  }

  u16(value: number): Uint8Array {
    const bytes = new Uint8Array(2)
    new DataView(bytes.buffer).setUint16(0, value, this.#isLittle)
    return bytes
  }

  u32(value: number): Uint8Array {
    const bytes = new Uint8Array(4)
    new DataView(bytes.buffer).setUint32(0, value, this.#isLittle)
    return bytes
  }
}
