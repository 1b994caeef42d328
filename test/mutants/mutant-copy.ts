/** A copy of the work tree in which the changes are built in, each behind a switch, and which of them is on. */
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import ts from 'typescript'
import { type Mutant, withSwitches } from './find-mutants.js'

const ROOT = join(import.meta.dirname, '..', '..')

/** One change of one file. */
export interface Candidate extends Mutant {
  layer: string
  /** Relative to the work tree. */
  path: string
  /** The file as it is. */
  text: string
}

/** `test file -> number of a change -> ids of tests`; none where it was come by outside of every test. */
export type Hits = Map<string, Map<number, Set<string>>>

/** What processes of the copy do at a switch: nothing is changed, one change is on, or they note which they come by. */
export type Setting = 'off' | 'record' | number

export class MutantCopy {
  /** Also readable for the other users that tests become. */
  readonly #top = mkdtempSync(join(tmpdir(), 'spamdctl-mutants-'))
  readonly root = join(this.#top, 'spamdctl')
  /** A setup file of vitest: processes that a test starts find out for which test file they run. */
  readonly setupFile = './mutants-setup.mjs'
  readonly #switchFile = join(this.#top, 'switch.mjs')
  /** Texts that are not those of the work tree, by path. */
  readonly #changed = new Map<string, string>()
  #isBuilt = false

  constructor() {
    process.on('exit', () => rmSync(this.#top, { recursive: true, force: true }))
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1))
    chmodSync(this.#top, 0o755)
    for (const folder of ['hits', 'tests', 'workers']) mkdirSync(join(this.#top, folder))
    chmodSync(join(this.#top, 'hits'), 0o777)
    const place = `const top = ${JSON.stringify(this.#top)}\n`
    this.set('off')
    const listed = spawnSync('git', ['ls-files', '-z'], { cwd: ROOT, encoding: 'utf8', maxBuffer: 1 << 26 })
    for (const path of listed.stdout.split('\0')) {
      if (path !== '' && existsSync(join(ROOT, path)))
        cpSync(join(ROOT, path), join(this.root, path), { verbatimSymlinks: true })
    }
    for (const made of ['node_modules', '.lab', 'src/platform/native/build'])
      if (existsSync(join(ROOT, made))) symlinkSync(join(ROOT, made), join(this.root, made))
    for (const [path, source] of [
      [this.#switchFile, 'switch.mjs'],
      [join(this.root, this.setupFile), 'setup.mjs'],
    ] as const)
      writeFileSync(path, place + readFileSync(join(import.meta.dirname, source), 'utf8'))
  }

  /** Holds for processes that start from now on. */
  set(setting: Setting): void {
    writeFileSync(join(this.#top, 'active'), String(setting))
  }

  /** Builds these changes in, numbered as given from 1 on, and no other; also into the built programs. */
  install(candidates: readonly Candidate[]): void {
    for (const [path, text] of this.#changed) writeFileSync(join(this.root, path), text)
    const stale = this.#isBuilt ? new Set(this.#changed.keys()) : new Set(this.#allSources())
    this.#isBuilt = true
    this.#changed.clear()
    // Those of one file stand side by side: a sample is sorted by file.
    for (let first = 0; first < candidates.length; ) {
      const { path, text } = candidates[first]!
      const ofFile = candidates.slice(first).filter((candidate) => candidate.path === path)
      writeFileSync(join(this.root, path), withSwitches(text, ofFile, first + 1, this.#switchFile))
      this.#changed.set(path, text)
      stale.add(path)
      first += ofFile.length
    }
    this.set('off')
    this.#build(stale)
  }

  /** Which test files, and which tests of them, came by which changes since the last call. */
  takeHits(): Hits {
    const folder = join(this.#top, 'hits')
    const hits: Hits = new Map()
    for (const name of readdirSync(folder)) {
      const byNumber = new Map<number, Set<string>>()
      for (const line of readFileSync(join(folder, name), 'latin1').split('\n').filter(Boolean)) {
        const [number, testId] = line.split(' ')
        const tests = byNumber.get(Number(number)) ?? new Set()
        if (testId !== '') tests.add(testId!)
        byNumber.set(Number(number), tests)
      }
      hits.set(decodeURIComponent(name), byNumber)
      rmSync(join(folder, name))
    }
    return hits
  }

  /** The process that runs a test file, or ran it last, has ended. */
  isWorkerGone(file: string): boolean {
    const path = join(this.#top, 'workers', encodeURIComponent(file))
    return existsSync(path) && !existsSync(`/proc/${readFileSync(path, 'latin1')}`)
  }

  /** Before a run: what was run before has ended. */
  forgetWorkers(): void {
    for (const name of readdirSync(join(this.#top, 'workers'))) rmSync(join(this.#top, 'workers', name))
  }

  /** Ends what tests that were broken off have left running. */
  sweep(): void {
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, 'latin1')
        if (words.includes(`${this.root}/`)) process.kill(Number(pid), 'SIGKILL')
      } catch {
        // It has ended.
      }
    }
  }

  /** Builds the programs from the sources as they are now; `sources`: of which nothing has been built yet. */
  #build(sources: Iterable<string>): void {
    for (const path of sources) {
      const { outputText } = ts.transpileModule(readFileSync(join(this.root, path), 'utf8'), {
        fileName: path,
        compilerOptions: {
          target: ts.ScriptTarget.ES2023,
          module: ts.ModuleKind.ESNext,
          verbatimModuleSyntax: true,
        },
      })
      const built = join(this.root, 'dist', path.replace(/\.ts$/, '.js'))
      mkdirSync(dirname(built), { recursive: true })
      writeFileSync(built, outputText)
    }
    for (const script of ['write-manifest.js', 'bundle-programs.js']) {
      const made = spawnSync(process.execPath, [join(this.root, 'scripts', script)], {
        cwd: this.root,
        encoding: 'utf8',
      })
      if (made.status !== 0) throw new Error(`${script} failed:\n${made.stderr}`)
    }
  }

  #allSources(): string[] {
    return ['src', 'commands'].flatMap((folder) =>
      readdirSync(join(this.root, folder), { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.ts'))
        .map((name) => join(folder, name)),
    )
  }
}
