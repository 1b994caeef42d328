import { describe, expect, test } from 'vitest'
import { Command, type LightLoader, runLightly } from '../../../src/cli/light-oclif.js'

/** What the commands of a test did, and what was left to oclif. */
function makeCommands(): { done: string[]; loaders: Record<string, LightLoader> } {
  const done: string[] = []
  const commandOf = (name: string, body: (command: Command) => Promise<void> | void): LightLoader => {
    class Tested extends Command {
      async run(): Promise<void> {
        done.push([name, ...this.argv].join(' '))
        await body(this)
      }
      protected override async catch(error: Error): Promise<void> {
        if (error.message !== 'expected') throw error
        done.push(`caught by ${this.id}`)
      }
    }
    return async () => ({ default: Tested })
  }
  const fail = (message: string) => (): void => {
    throw new Error(message)
  }
  return {
    done,
    loaders: {
      lists: commandOf('lists', () => undefined),
      'lists:catalogue': commandOf('catalogue', () => undefined),
      init: commandOf('init', async ({ config }) => await config.runCommand('lists', ['--json'])),
      broken: commandOf('broken', fail('expected')),
      faulty: commandOf('faulty', fail('a bug')),
      explain: commandOf('explain', async ({ config }) => await config.runCommand('help', ['explain'])),
    },
  }
}

async function run(words: string[]): Promise<{ isDone: boolean; done: string[] }> {
  const { done, loaders } = makeCommands()
  const isDone = await runLightly(
    words,
    loaders,
    async (asked) => void done.push(`oclif: ${asked.join(' ')}`),
  )
  return { isDone, done }
}

describe('commands without oclif', () => {
  test.for([
    [['lists'], 'lists'],
    [['lists', '--json'], 'lists --json'],
    [['lists', 'catalogue', 'x'], 'catalogue x'],
    [['lists', '--', '--help'], 'lists -- --help'],
  ] as const)('%j runs "%s"', async ([words, expected]) => {
    expect(await run([...words])).toEqual({ isDone: true, done: [expected] })
  })

  test.for([
    [[]],
    [['nosuch']],
    [['--version']],
    [['lists:catalogue']],
    [['lists', '--help']],
    [['constructor']],
  ])('%j is left to oclif', async ([words]) => {
    expect(await run(words as string[])).toEqual({ isDone: false, done: [] })
  })

  test('a command runs another, and what only oclif has', async () => {
    expect((await run(['init'])).done).toEqual(['init', 'lists --json'])
    expect((await run(['explain'])).done).toEqual(['explain', 'oclif: help explain'])
  })

  test('a failure is the command’s own matter first', async () => {
    expect((await run(['broken'])).done).toEqual(['broken', 'caught by broken'])
    await expect(run(['faulty'])).rejects.toThrow('a bug')
  })
})
