/** What a transcript of spamd-setup must come to with the differences that are wanted, computed from its input alone. */
import { execFileSync } from 'node:child_process'
import { basename } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { escapeControl } from '../../../src/codec/escape.js'
import { parseSpamdConf, type SpamdList } from '../../../src/codec/spamd-conf/spamd-conf.js'
import { type NaiveList, type NaiveRange, naiveCidrs, readNaiveList } from './naive-list.js'
import { bytesOf, type SetupTranscript } from './replay.js'

export interface Prediction {
  rc: number
  /** Lines of stderr, hints and notes left out; a pattern where the system's or our own reason stands. */
  stderr: (string | RegExp)[]
  connections: string[]
  pfctlStdin: string | undefined
  urls: string[]
  /** Names of the wanted differences that this input touches. */
  rules: string[]
}

interface Fetched {
  list: NaiveList | undefined
  stderr: (string | RegExp)[]
}

const OPTION_LETTERS = 'bDdn'

/** Undefined for a wrong call, where the recording itself is what we must do. */
export function predict(transcript: SetupTranscript): Prediction | undefined {
  const letters = optionLetters(transcript.argv)
  if (letters === undefined) return undefined
  return new Predictor(transcript, letters).run()
}

function optionLetters(argv: readonly string[]): Set<string> | undefined {
  const letters = new Set<string>()
  for (const [index, word] of argv.entries()) {
    if (word === '--') return index === argv.length - 1 ? letters : undefined
    if (!word.startsWith('-') || word === '-') return undefined
    for (const letter of word.slice(1)) {
      if (!OPTION_LETTERS.includes(letter)) return undefined
      letters.add(letter)
    }
  }
  return letters
}

class Predictor {
  readonly #transcript: SetupTranscript
  readonly #letters: Set<string>
  readonly #rules = new Set<string>()
  readonly #stderr: (string | RegExp)[] = []
  readonly #urls: string[] = []
  #hasFailed = false

  constructor(transcript: SetupTranscript, letters: Set<string>) {
    this.#transcript = transcript
    this.#letters = letters
  }

  run(): Prediction {
    const { conf, env, ub } = this.#transcript
    if (ub !== null) this.#rules.add('undefined behaviour of the original')
    if (env.ANCHOR_NOUSER !== undefined || env.ANCHOR_NOSERVICE !== undefined) {
      this.#rules.add('no need of user or service')
    }
    const text = conf === null ? undefined : Buffer.from(conf, 'latin1')
    if (conf?.includes('\r') === true) this.#rules.add('CR LF accepted')
    if (conf !== null && conf !== '' && !conf.endsWith('\n'))
      this.#rules.add('last line without newline accepted')
    const { lists, diagnostics } = parseSpamdConf(text ?? new Uint8Array(0), { fileName: '{CONF}' })
    const fatal = diagnostics.find(({ severity, list }) => severity === 'error' && list === undefined)
    if (fatal !== undefined) {
      this.#rules.add('errors of spamd.conf name their place')
      this.#failAtPlace(fatal.original)
      return this.#result([], undefined)
    }

    const groups: {
      black: SpamdList | undefined
      ranges: NaiveRange[]
      white: NaiveRange[]
      isHeld: boolean
    }[] = []
    const cache = new Map<string, Fetched>()
    for (const entry of lists) {
      const group = groups.at(-1)
      if (!entry.isUsable) {
        this.#rules.add('an unusable list does not stop the others')
        const { original } = entry.diagnostic
        this.#failAtPlace(original)
        if (entry.colour === 'black') groups.push({ black: undefined, ranges: [], white: [], isHeld: true })
        else if (group !== undefined) group.isHeld = true
        continue
      }
      const fetched = this.#fetch(entry, cache, entry.colour === 'white' && group !== undefined)
      if (entry.colour === 'black') {
        const isMessageMissing = this.#isMessageMissing(entry)
        if (isMessageMissing && fetched.list === undefined) {
          // What is wrong with the record is told before what became of its source.
          this.#stderr.splice(-fetched.stderr.length, 0, this.#stderr.pop()!)
        }
        groups.push({
          black: entry,
          ranges: fetched.list?.ranges ?? [],
          white: [],
          isHeld: fetched.list === undefined || isMessageMissing,
        })
      } else if (group !== undefined) {
        if (fetched.list === undefined) group.isHeld = true
        else group.white.push(...fetched.list.ranges)
      }
    }

    const connections: string[] = []
    const union: NaiveRange[] = []
    for (const { black, ranges, white, isHeld } of groups) {
      if (black === undefined || isHeld) continue
      const cidrs4 = naiveCidrs(ranges, white, 4)
      const cidrs6 = naiveCidrs(ranges, white, 6)
      for (const [family, cidrs] of [
        [4, cidrs4],
        [6, cidrs6],
      ] as const) {
        for (const cidr of cidrs) union.push(rangeOf(family, cidr))
      }
      connections.push(this.#configLine(black, cidrs4, cidrs6))
      if (cidrs4.length + cidrs6.length === 0) this.#rules.add('an emptied list is cleared')
    }
    const table =
      this.#letters.has('b') && groups.length > 0
        ? [...naiveCidrs(union, [], 4), ...naiveCidrs(union, [], 6)].map((cidr) => `${cidr}\n`).join('')
        : undefined
    return this.#result(connections, table)
  }

  #result(connections: string[], table: string | undefined): Prediction {
    const { listener, env } = this.#transcript
    const isDry = this.#letters.has('n')
    let sent = isDry ? [] : connections
    if (!listener && !isDry) {
      // Nothing to clear in a spamd that is not there.
      if (sent.some((line) => !/^[^;]*;\n$/.test(line))) {
        this.#fail("spamd-setup: Can't connect to spamd on port 8026: Connection refused")
      }
      sent = []
    }
    // pfctl takes these two for the marks of an empty place: they are never written.
    let pfctlStdin = isDry ? undefined : table?.replace(/^(?:0\.0\.0\.0\/32|::\/128)\n/gm, '')
    if (table !== undefined) this.#rules.add('pfctl: one replace with the union, -f -')
    if (pfctlStdin !== undefined && env.PFCTL !== undefined) {
      this.#rules.add('a failing pfctl is an error')
      this.#fail(/^spamd-setup: cannot (?:read|replace) table spamd: .*/)
      pfctlStdin = undefined
    }
    const stderr = this.#stderr.map((line) => (typeof line === 'string' ? escapeControl(line) : line))
    if (stderr.some((line, index) => line !== this.#stderr[index]))
      this.#rules.add('control characters shown as \\xNN')
    return {
      rc: this.#hasFailed ? 1 : 0,
      stderr,
      connections: sent,
      pfctlStdin,
      urls: this.#urls,
      rules: [...this.#rules],
    }
  }

  #fetch(list: SpamdList, cache: Map<string, Fetched>, holdsBlackList: boolean): Fetched {
    let fetched = cache.get(list.name)
    const isRemote = list.method !== 'file' && list.method !== 'exec'
    if (fetched === undefined) {
      fetched = this.#read(list)
      cache.set(list.name, fetched)
      if (isRemote) this.#urls.push(`${list.method}://${list.location}`)
    }
    if (isRemote && this.#letters.has('d')) this.#stderr.push(`Getting ${list.method}://${list.location}`)
    if (fetched.list === undefined) {
      this.#rules.add('a failed source is an error, the others go on')
      for (const line of fetched.stderr) this.#fail(withSuffix(line, holdsBlackList))
    } else if (this.#letters.has('d')) {
      this.#stderr.push(`${list.colour}list ${list.name} ${fetched.list.entries} entries`)
    }
    if ((fetched.list?.disputedLines.length ?? 0) > 0) this.#rules.add('lines read as the specification says')
    return fetched
  }

  #read(list: SpamdList): Fetched {
    const failed = (line: string | RegExp): Fetched => ({ list: undefined, stderr: [line] })
    const couldNot = new RegExp(
      `^spamd-setup: Could not add ${list.colour}list ${escapeRegExp(escapeControl(list.name))}: .*`,
    )
    const bytes = this.#bytes(list)
    if (bytes === 'missing') {
      return failed(
        list.method === 'file'
          ? `spamd-setup: Can't open ${list.location} by file method: No such file or directory`
          : couldNot,
      )
    }
    if (bytes === 'failed') return failed(couldNot)
    let content: Buffer
    try {
      content = inflate(bytes)
    } catch {
      return failed(couldNot)
    }
    const naive = readNaiveList(content)
    const isEmptyDownload = list.method !== 'file' && naive.entries === 0 && !list.isEmptyOk
    if (naive.isMostlyUnknown || isEmptyDownload) return failed(couldNot)
    return { list: naive, stderr: [] }
  }

  #bytes(list: SpamdList): Buffer | 'missing' | 'failed' {
    const { files } = this.#transcript
    if (list.method === 'exec') return this.#execute(list.location)
    if (list.method !== 'file') {
      const content = files[basename(list.location)]
      return content === undefined ? 'failed' : bytesOf(content)
    }
    if (list.location === '{DIR}') return 'failed'
    const content = files[list.location.replace(/^\{DIR\}\/+/, '')]
    return content === undefined ? 'missing' : bytesOf(content)
  }

  /** Our own idea of what the few commands of the transcripts print: cat, echo, gzip and scripts of the transcript. */
  #execute(command: string): Buffer | 'failed' {
    const [program = '', ...args] = command.split(/[ \t]+/).filter((word) => word !== '')
    const { files } = this.#transcript
    const script = files[program.replace('{DIR}/', '')]
    const input = args.map((word) => files[word.replace('{DIR}/', '')])
    const name = basename(program)
    if (name === 'echo') return Buffer.from(`${args.join(' ')}\n`)
    if (name === 'cat') {
      return input.every((content) => content !== undefined)
        ? Buffer.concat(input.map((content) => bytesOf(content!)))
        : 'failed'
    }
    if (name === 'gzip') return bytesOf(input.at(-1) ?? '')
    if (script === undefined) return 'failed'
    try {
      return execFileSync('/bin/sh', ['-c', bytesOf(script).toString('latin1'), 'script', ...args], {
        cwd: '/',
        stdio: ['ignore', 'pipe', 'ignore'],
      })
    } catch {
      return 'failed'
    }
  }

  #isMessageMissing(list: SpamdList): boolean {
    if (list.message?.kind !== 'file') return false
    const { path } = list.message
    if (this.#transcript.files[path.replace(/^\{DIR\}\/+/, '')] !== undefined) return false
    this.#rules.add('a missing message file does not stop the others')
    this.#fail(
      new RegExp(`^spamd-setup: Can't (open message|read) from ${escapeRegExp(escapeControl(path))}: .*`),
    )
    return true
  }

  #configLine(list: SpamdList, cidrs4: string[], cidrs6: string[]): string {
    if (cidrs4.length + cidrs6.length === 0) return `${list.name};\n`
    let line = `${list.name};"${this.#messageOf(list)}"`
    for (const [keyword, cidrs] of [
      ['inet', cidrs4],
      ['inet6', cidrs6],
    ] as const) {
      if (cidrs.length > 0) line += `;${keyword};${cidrs.length};${cidrs.join(';')}`
    }
    return `${line}\n`
  }

  /** The original's encoding, and ours where spamd would not read back what was meant. */
  #messageOf(list: SpamdList): string {
    const message = list.message!
    const text =
      message.kind === 'text'
        ? message.text
        : bytesOf(this.#transcript.files[message.path.replace('{DIR}/', '')]!).toString('latin1')
    let encoded = ''
    for (let at = 0; at < text.length; at += 1) {
      const character = text[at]!
      const next = text[at + 1]
      if (character === '\n') encoded += '\\n'
      else if (character === '"') encoded += '\\"'
      else if (character === '\0') this.#rules.add('message escaped so that spamd reads what was meant')
      else if (character === '\\' && (next === 'n' || next === '"' || next === '\\')) {
        // A pair: `\"` stays one, a doubled backslash too.
        if (next === '"') {
          encoded += '\\\\\\"'
          this.#rules.add('message escaped so that spamd reads what was meant')
        } else encoded += `\\${next}`
        at += 1
      } else if (character === '%' && (next === '%' || next === 'A')) {
        encoded += `%${next}`
        at += 1
      } else if (
        (character === '\\' || character === '%') &&
        (next === undefined || '\\%\n"'.includes(next))
      ) {
        encoded += character + character
        this.#rules.add('message escaped so that spamd reads what was meant')
      } else encoded += character
    }
    return encoded
  }

  /** Where the original has no words of its own, ours is one of the lines that are left out here. */
  #failAtPlace(original: string | undefined): void {
    this.#hasFailed = true
    if (original !== undefined) this.#stderr.push(`spamd-setup: ${original}`)
  }

  #fail(line: string | RegExp): void {
    this.#hasFailed = true
    this.#stderr.push(line)
  }
}

function withSuffix(line: string | RegExp, holdsBlackList: boolean): string | RegExp {
  if (!holdsBlackList || typeof line !== 'string') return line
  return new RegExp(`^${escapeRegExp(escapeControl(line))}; blacklist .* stays as it was$`)
}

function inflate(bytes: Buffer): Buffer {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes
  // Bytes behind the last member do not count, unless they are a member that is damaged.
  for (let end = bytes.length; end > 18; end -= 1) {
    if (end < bytes.length && bytes[end] === 0x1f && bytes[end + 1] === 0x8b) break
    try {
      return gunzipSync(bytes.subarray(0, end))
    } catch {
      // Not there yet.
    }
  }
  throw new Error('no gzip member')
}

function rangeOf(family: 4 | 6, cidr: string): NaiveRange {
  const [range] = readNaiveList(Buffer.from(`${cidr}\n`)).ranges
  return { ...range!, family }
}

function escapeRegExp(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
