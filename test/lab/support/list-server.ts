/** Block lists over HTTP, served outside: the lab's part of the world that spamd-setup fetches from. */
import type { ChildProcess } from 'node:child_process'
import { NET } from './lab.js'
import type { Machine } from './machine.js'
import { until } from './until.js'

const FOLDER = '/srv/lists'
const PORT = 80

/** See the head of the file. */
export class ListServer {
  readonly #machine: Machine
  #server: ChildProcess | undefined

  constructor(machine: Machine) {
    this.#machine = machine
  }

  async start(): Promise<void> {
    await this.#machine.run('mkdir', '-p', FOLDER)
    this.#server = this.#machine.spawn('python3', '-m', 'http.server', String(PORT), '--directory', FOLDER)
    this.#server.stdout?.resume()
    this.#server.stderr?.resume()
    await until(
      async () => (await this.#machine.try('bash', '-c', `exec 3<>/dev/tcp/127.0.0.1/${PORT}`)).code === 0,
      () => 'the server of lists',
    )
  }

  /** Puts a list in its place, one address or network a line. */
  async publish(name: string, addresses: readonly string[]): Promise<void> {
    await this.#machine.write(`${FOLDER}/${name}`, addresses.map((address) => `${address}\n`).join(''))
  }

  /** The spamd.conf of black lists that are served here. */
  conf(lists: Readonly<Record<string, string>>): string {
    const names = Object.keys(lists)
    const records = names.map(
      (name) =>
        `${name}:\\\n\t:black:\\\n\t:msg="${lists[name]}":\\\n\t:method=http:\\\n\t:file=${NET.outside.ipv4}/${name}:\\\n\t:interval=0s:\n`,
    )
    return `all:\\\n\t:${names.join(':')}:\n\n${records.join('\n')}`
  }
}
