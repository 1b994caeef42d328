/** A load generator for spamd's SMTP port: loopback only, bounded in connections and time. */
import { connect, type Socket } from 'node:net'

/** Maximum number of sockets, and maximum duration, of a run. */
export const MAX_CONNECTIONS = 20_000
export const MAX_RUN_MS = 60_000

export interface HeldConnections {
  sockets: Socket[]
  /** Gaps between bytes in milliseconds, of all connections together. */
  gapsMs: number[]
  /** Connections that ended or failed before `release`. */
  lostCount: number
  /** Connections that have received their first byte. */
  servedCount: number
  release(): Promise<void>
}

/** Opens `count` connections, `perSec` per second, and keeps them open, recording when each byte arrives. */
export async function holdConnections(port: number, count: number, perSec: number): Promise<HeldConnections> {
  if (count > MAX_CONNECTIONS) throw new RangeError(`at most ${MAX_CONNECTIONS} connections`)
  const held: HeldConnections = {
    sockets: [],
    gapsMs: [],
    lostCount: 0,
    servedCount: 0,
    release: async () => {
      isReleased = true
      await Promise.all(
        held.sockets.map(
          (socket) =>
            new Promise<void>((resolve) => {
              if (socket.destroyed) resolve()
              else socket.once('close', () => resolve()).destroy()
            }),
        ),
      )
    },
  }
  let isReleased = false
  const startedMs = performance.now()
  for (let opened = 0; opened < count; ) {
    const due = Math.min(count, Math.ceil(((performance.now() - startedMs) / 1000) * perSec))
    for (; opened < due; opened += 1) {
      // Source addresses vary, so that there are enough ports and limits per address do not apply.
      const localAddress = `127.66.${(opened >> 8) & 255}.${opened & 255 || 1}`
      const socket = connect({ port, host: '127.0.0.1', localAddress })
      let lastMs = -1
      socket.on('data', () => {
        const nowMs = performance.now()
        if (lastMs < 0) held.servedCount += 1
        else held.gapsMs.push(nowMs - lastMs)
        lastMs = nowMs
      })
      socket.on('error', () => undefined)
      socket.on('close', () => {
        if (!isReleased) held.lostCount += 1
      })
      held.sockets.push(socket)
    }
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return held
}

/**
 * Runs complete greylist dialogues, `lanes` at a time, for `durationMs`; returns how many ended with 451. Each is a
 * new tuple, numbered from `firstSerial` on.
 */
export async function runDialogues(
  port: number,
  lanes: number,
  durationMs: number,
  firstSerial = 1,
): Promise<number> {
  let finished = 0
  let serial = firstSerial - 1
  const endMs = performance.now() + Math.min(durationMs, MAX_RUN_MS)
  const lane = async (): Promise<void> => {
    while (performance.now() < endMs) {
      serial += 1
      if (await runDialogue(port, serial)) finished += 1
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  return finished
}

/**
 * Begins a greylist dialogue every `1 / perSec` seconds for `durationMs`; returns the milliseconds from connection to
 * end of each dialogue that ended with 451.
 */
export async function timeDialogues(port: number, perSec: number, durationMs: number): Promise<number[]> {
  const count = Math.floor((Math.min(durationMs, MAX_RUN_MS) / 1000) * perSec)
  const startedMs = performance.now()
  const tookMs: number[] = []
  const running: Promise<void>[] = []
  for (let serial = 1; serial <= count; serial += 1) {
    const dueMs = startedMs + (serial * 1000) / perSec
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, dueMs - performance.now())))
    const beganMs = performance.now()
    running.push(
      runDialogue(port, serial).then((isRefused) => {
        if (isRefused) tookMs.push(performance.now() - beganMs)
      }),
    )
  }
  await Promise.all(running)
  return tookMs
}

function runDialogue(port: number, serial: number): Promise<boolean> {
  const localAddress = `127.${67 + ((serial >> 16) & 63)}.${(serial >> 8) & 255}.${serial & 255 || 1}`
  const commands = [
    `HELO mx${serial}.example.org\r\n`,
    `MAIL FROM:<sender${serial}@example.org>\r\n`,
    `RCPT TO:<user${serial % 500}@example.net>\r\n`,
    'DATA\r\n',
  ]
  return new Promise((resolve) => {
    let isRefused = false
    let step = 0
    const socket = connect({ port, host: '127.0.0.1', localAddress })
    socket.on('data', (chunk: Buffer) => {
      if (chunk.toString('latin1').startsWith('451')) isRefused = true
      const command = commands[step]
      step += 1
      if (command !== undefined) socket.write(command, 'latin1')
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(isRefused))
  })
}

/** The quantile of the numbers at `share`; the array is sorted in place. */
export function percentile(values: number[], share: number): number {
  values.sort((left, right) => left - right)
  return values[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN
}
