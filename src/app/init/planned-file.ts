/** Files that `spamdctl init` needs, what exists in their place, and the difference in readable form. */
import { createTwoFilesPatch } from 'diff'

/** A wanted file: whole, or with lines added to what an administrator wrote. */
export interface PlannedFile {
  /** Absolute path on the machine that is set up. */
  path: string
  /** One line for people: what the file is for. */
  purpose: string
  /** Permission bits of a file that is made. */
  mode: number
  content: WantedContent
  /** The text with which a package installs it: no administrator has written it, so it can be replaced. */
  shipped?: string
}

/**
 * `whole`: exactly this text. `lines`: the existing file with missing lines appended; a line counts as
 * present when `isThere` accepts one of the file's lines.
 */
export type WantedContent =
  | { kind: 'whole'; text: string }
  | { kind: 'lines'; lines: readonly WantedLine[]; ifMissing: string }

/** A line to add, and how to recognise that an equivalent one exists. */
export interface WantedLine {
  text: string
  isThere: (line: string) => boolean
}

/** What is to be done about one file. */
export type FileStep =
  | { action: 'keep'; file: PlannedFile }
  /** `path` is the file itself, or FILE.new beside one with other contents. */
  | {
      action: 'create' | 'replace' | 'write-beside' | 'extend'
      file: PlannedFile
      path: string
      text: string
      diff: string
    }

/**
 * Decides about a file from its present text (undefined: none). A file with other contents is never
 * overwritten: the new text goes to FILE.new, for the administrator to merge; adding lines keeps everything.
 * A file that is unchanged since a package installed it is replaced.
 */
export function planFileStep(file: PlannedFile, present: string | undefined): FileStep {
  const { content, path } = file
  if (content.kind === 'whole') {
    if (present === content.text) return { action: 'keep', file }
    const action = present === undefined ? 'create' : present === file.shipped ? 'replace' : 'write-beside'
    const target = action === 'write-beside' ? `${path}.new` : path
    return {
      action,
      file,
      path: target,
      text: content.text,
      diff: diffOf(path, target, present ?? '', content.text),
    }
  }
  const before = present ?? content.ifMissing
  const lines = before.split('\n')
  const missing = content.lines.filter(({ isThere }) => !lines.some(isThere)).map(({ text }) => text)
  if (missing.length === 0 && present !== undefined) return { action: 'keep', file }
  const joint = before === '' || before.endsWith('\n') ? '' : '\n'
  const text = `${before}${joint}${missing.map((line) => `${line}\n`).join('')}`
  return {
    action: present === undefined ? 'create' : 'extend',
    file,
    path,
    text,
    diff: diffOf(path, path, present ?? '', text),
  }
}

/** A unified diff, as diff -u prints it; control characters of the old text are the renderer's to escape. */
function diffOf(from: string, to: string, before: string, after: string): string {
  // The library puts a line `Index: NAME` and a rule above the names.
  const patch = createTwoFilesPatch(from, to, before, after, undefined, undefined, { context: 2 })
  return patch.slice(patch.indexOf('--- '))
}
